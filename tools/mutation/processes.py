"""Work in forks of this process: so many at once, each with a time for what it does next."""

import gc
import json
import os
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

#: Bytes that a fork may take beside what is there at its start.
ROOM = 6 * 2**30

#: Seconds for a fork to begin.
BEGIN = 60.0

Message = dict[str, Any]
Tell = Callable[[Message], None]


class Ended(NamedTuple):
    task: Any
    last: Message  # what it told last
    how: str  # "returned", "late" or "died"


class _Fork:
    def __init__(self, task: Any, work: Callable[[Any, Tell, Path], None]) -> None:
        self.task, self.data, self.last = task, b"", {}
        self.due = time.monotonic() + BEGIN
        self.folder = tempfile.mkdtemp(prefix="mutation-")
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reading)
            _in_child(lambda tell: work(task, tell, Path(self.folder)), writing)
        os.close(writing)

    def read(self) -> bool:
        """Take what it tells; false where it has ended."""
        part = os.read(self.reading, 2**16)
        *lines, self.data = (self.data + part).split(b"\n")
        for line in lines:
            self.last = json.loads(line)
            self.due = time.monotonic() + self.last.get("seconds", BEGIN)
        return bool(part)

    def end(self, is_late: bool) -> Ended:
        if is_late:
            for kill in (os.killpg, os.kill):
                try:
                    kill(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        os.close(self.reading)
        _, status = os.waitpid(self.pid, 0)
        shutil.rmtree(self.folder, ignore_errors=True)
        how = "late" if is_late else "returned" if status == 0 else "died"
        return Ended(self.task, self.last, how)


def forked(
    tasks: Iterable[Any], work: Callable[[Any, Tell, Path], None], jobs: int
) -> Iterator[Ended]:
    """``work(task, tell, folder)`` of each task, as they end.

    What a fork tells, a dictionary, has the seconds within which it tells more or returns.
    """
    waiting, forks = iter(tasks), {}
    gc.collect()
    gc.freeze()  # what is here already need not be looked through in each fork
    try:
        while True:
            while len(forks) < jobs:
                task = next(waiting, None)
                if task is None:
                    break
                fork = _Fork(task, work)
                forks[fork.reading] = fork
            if not forks:
                return
            soon = min(fork.due for fork in forks.values()) - time.monotonic()
            ready, _, _ = select.select(list(forks), [], [], max(0.0, soon))
            for fork in list(forks.values()):
                if fork.reading in ready:
                    is_over, is_late = not fork.read(), False
                else:
                    is_over = is_late = time.monotonic() > fork.due
                if is_over:
                    del forks[fork.reading]
                    yield fork.end(is_late)
    finally:
        gc.unfreeze()
        for fork in forks.values():
            fork.end(is_late=True)


def _in_child(work: Callable[[Tell], None], writing: int) -> None:
    """All of a fork; it does not return."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(2 if "MUTATION_DEBUG" in os.environ else 3):
            os.dup2(quiet, descriptor)
        there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (there + ROOM, there + ROOM))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        work(lambda message: _write(writing, json.dumps(message).encode() + b"\n"))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
