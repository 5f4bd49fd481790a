"""What a case may not do, and how it ended."""

import errno
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Optional

from hypothesis.strategies import SearchStrategy

from theano_rnn.common.errors import RNNError

#: Seconds that a case may take, at most.
LONGEST = 20.0

#: What code from a file, or a program that it starts, would have to go through.
FORBIDDEN = {
    "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen",
    "socket.connect", "ctypes.dlopen", "os.fork",
}  # fmt: skip
#: What changes files, and which of its arguments are their names.
CHANGING = {
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,),
    "os.truncate": (0,), "os.link": (0, 1), "os.symlink": (1,), "os.chmod": (0,),
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes
    ----------
    name : str
    cases : strategy
        Of what ``run`` takes.
    run : function (case, folder)
        Whatever it returns is a result.
    errors : tuple of types
        Those that it documents.
    is_small : bool
        Whether a case is so small that one which is refused for want of memory has asked for far
        too much.
    prepare : function ()
        Done once, before any case: what is compiled.
    near : function (case, random.Random), optional
        Another case, near a drawn one: to draw takes ten times as long as to read.
    """

    name: str
    cases: SearchStrategy
    run: Callable[[Any, Path], Any]
    errors: tuple[type[Exception], ...] = (RNNError,)
    is_small: bool = True
    prepare: Callable[[], None] = lambda: None
    near: Optional[Callable[[Any, random.Random], Any]] = None


@dataclass
class Tally:
    """How cases ended."""

    cases: int = 0
    results: int = 0
    errors: int = 0
    failures: dict[str, str] = field(default_factory=dict)  # what happened -> the shortest case
    counts: Counter = field(default_factory=Counter)  # of each failure

    def fail(self, what: str, case: str) -> None:
        self.counts[what] += 1
        if what not in self.failures or len(case) < len(self.failures[what]):
            self.failures[what] = case

    def add(self, other: "Tally") -> None:
        self.cases += other.cases
        self.results += other.results
        self.errors += other.errors
        for what, case in other.failures.items():
            self.fail(what, case)
        self.counts.update({what: n - 1 for what, n in other.counts.items()})


class Forbidden(BaseException):
    """Not to be caught by what is judged."""


class TooLong(BaseException):
    """Not to be caught by what is judged."""


class Guard:
    """Watches, while a case runs, what Python reports of code, programs and files.

    A hook of ``sys.addaudithook`` stays for good, so there is one guard in a process.
    """

    def __init__(self, folder: Path):
        self.folder = os.path.realpath(folder)
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self.is_on:
            return
        if event in FORBIDDEN:
            self._refuse(event)
        elif event == "open" and self._is_writing(arguments):
            self._check(event, arguments[0])
        elif event in CHANGING:
            for i in CHANGING[event]:
                self._check(event, arguments[i])

    @staticmethod
    def _is_writing(arguments: tuple) -> bool:
        _, mode, flags = arguments
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

    def _check(self, event: str, name: Any) -> None:
        if isinstance(name, int):  # a descriptor, whose name was looked at when it was opened
            return
        path = os.fsdecode(name)
        # The name itself and what it is a link to.
        inside = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if not (inside + os.sep).startswith(self.folder + os.sep):
            self._refuse(f"{event} {inside}")

    def _refuse(self, what: str) -> None:
        self.seen.append(what)
        raise Forbidden(what)


def end(target: Target, case: Any, folder: Path, tally: Tally, guard: Optional[Guard]) -> None:
    """Run a case and count how it ended."""
    begin = time.monotonic()
    failure = None
    tally.cases += 1
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        if guard is not None:
            guard.seen.clear()
            guard.is_on = True
        target.run(case, folder)
        tally.results += 1
    except target.errors as error:
        if target.is_small and _ran_out(error):
            failure = f"memory: {_where(error)}"
        tally.errors += failure is None
    except BaseException as error:
        failure = f"{type(error).__name__}: {str(error)[:80]} {_where(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if guard is not None:
            guard.is_on = False
            if guard.seen and failure is None:
                failure = f"forbidden: {guard.seen[0]}"
    if failure is None and time.monotonic() - begin > LONGEST / 2:
        failure = f"it took {time.monotonic() - begin:.0f} seconds"
    if failure is not None:
        tally.fail(failure, shown(case))


def _ran_out(error: BaseException) -> bool:
    """Whether the error, or one that it was made of, is that of memory."""
    found: Optional[BaseException] = error
    while found is not None:
        if isinstance(found, MemoryError) or getattr(found, "errno", 0) == errno.ENOMEM:
            return True
        found = found.__context__
    return False


def _where(error: BaseException) -> str:
    """The innermost line of this package."""
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if "theano_rnn" in name and f"{os.sep}fuzz{os.sep}" not in name.split("theano_rnn", 1)[1]:
            place = f"({Path(name).name}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return place


def shown(case: Any) -> str:
    """A case as it is reported; a part that cannot be shown by its kind."""
    try:
        return repr(case)
    except ValueError:  # a number of more digits than Python writes
        parts = case.items() if isinstance(case, dict) else case
        if isinstance(case, (dict, list, tuple)):
            return f"{type(case).__name__}({', '.join(map(shown, parts))})"
        return f"some {type(case).__name__}"


def on_alarm(number: int, frame: Optional[FrameType]) -> None:
    """The handler of SIGALRM."""
    raise TooLong(f"after {LONGEST:g} seconds")


def emptied(folder: Path) -> None:
    """Remove what a case left behind."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
