"""Processes of their own: fresh interpreters, and copies of the one that runs the tests."""

import gc
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from theano_rnn.engine.settings import user_settings

HERE = str(Path(__file__).parent)
#: Seconds of a script, on a machine that does other work too.
LONGEST = 900


def environment(flags=None, **changes):
    """The environment of this process, with these of Theano's flags and variables changed.

    Modules of this folder, such as this one, can be imported.
    """
    flags = {**user_settings(os.environ), **(flags or {})}
    joined = ",".join(f"{key}={value}" for key, value in flags.items())
    path = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "THEANO_FLAGS": joined, "PYTHONPATH": path, **changes}


def run_python(code, *arguments, flags=None, cwd=None, **changes):
    """What a fresh interpreter prints, its environment changed; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(flags, **changes),
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Forked:
    """A script in a copy of this process, which has imported Theano already.

    A fresh interpreter takes seconds to get so far. It is a process like any other: it can be
    waited for, interrupted and killed.
    """

    def __init__(self, path, *arguments, cwd=None):
        self.files = [tempfile.TemporaryFile("w+") for _ in range(2)]
        self.returncode = None
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        # Those of Hypothesis and of pytest would catch the KeyboardInterrupt of a Ctrl-C.
        gc.callbacks.clear()
        sys.unraisablehook = sys.__unraisablehook__
        try:
            for number, file in enumerate(self.files, 1):
                os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))
            os.chdir(cwd or ".")
            sys.argv = [str(path), *map(str, arguments)]
            runpy.run_path(str(path), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # what an interpreter does with what nobody catches
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # what pytest would do when a process ends is not for this one

    def poll(self):
        """The exit code, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = _exit_code(status) if pid else None
        return self.returncode

    def wait(self):
        """Wait for its end; return itself, with ``returncode``, ``stdout`` and ``stderr``.

        It is killed if it takes longer than any script here.
        """
        end = time.monotonic() + LONGEST
        while self.poll() is None:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        for file in self.files:
            file.seek(0)
        self.stdout, self.stderr = (file.read() for file in self.files)
        return self

    def send_signal(self, number):
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _exit_code(status):
    """As ``subprocess`` gives it: that of a signal is negative."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
