"""Fresh interpreters, for what a process shows only when it starts anew."""

import os
import subprocess
import sys
from pathlib import Path

from theano_rnn.engine.settings import user_settings

HERE = str(Path(__file__).parent)


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
