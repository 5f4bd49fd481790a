"""Cases in processes of their own, whose memory is bounded and that may die of a case."""

import json
import os
import random
import resource
import select
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Optional

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from fuzz.judge import LONGEST, Guard, Tally, Target, emptied, end, on_alarm, shown

#: Cases of one process, and the bytes that they may take beside what is there at its start.
CHUNK, ROOM = 500, 2**30

#: Cases near each one that is drawn, where a target has such.
NEAR = 9

#: Bytes of the case under way that are kept for the report.
KEPT = 2**16


def run(target: Target, cases: int, seed: int) -> Tally:
    """So many cases, in processes one after the other."""
    tally = Tally()
    target.prepare()
    chunk = 0
    while tally.cases < cases:
        tally.add(_in_process(target, min(CHUNK, cases - tally.cases), seed * 10_000 + chunk))
        chunk += 1
    return tally


def run_here(target: Target, cases: int, seed: int, folder: Path, guard: Any = None) -> Tally:
    """So many cases, or some fewer, in this process."""
    tally = Tally()
    _run(target, cases, seed, folder, tally, guard, None)
    return tally


def _in_process(target: Target, cases: int, seed: int) -> Tally:
    """A fork of this process runs them; if it dies, the case it died of is a failure."""
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        under_way = os.open(Path(folder) / "case", os.O_RDWR | os.O_CREAT)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(target, cases, seed, Path(folder), under_way, writing)
        os.close(writing)
        data, is_late = _received(reading, cases)
        os.close(reading)
        if is_late:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        case = os.pread(under_way, KEPT, 0).decode(errors="replace")
        os.close(under_way)
    if data.endswith(b"\n"):
        found = json.loads(data)
        return Tally(
            found["cases"], found["results"], found["errors"], found["failures"],
            Counter(found["counts"]),
        )  # fmt: skip
    if os.WIFEXITED(status) and not is_late:
        raise RuntimeError(f"cases of {target.name} cannot be drawn")
    tally = Tally(cases=1)
    how = "it never ended" if is_late else f"the process died of signal {os.WTERMSIG(status)}"
    tally.fail(how, case)
    return tally


def _child(
    target: Target, cases: int, seed: int, folder: Path, under_way: int, writing: int
) -> None:
    """All of a process: its limits, its cases, what it tells; it does not return."""
    status = 1
    try:
        signal.signal(signal.SIGALRM, on_alarm)
        # A crash leaves no core, and nothing is written without end.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**27, 2**27))
        there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (there + ROOM, there + ROOM))
        inside = folder / "cases"
        inside.mkdir()
        tally = Tally()
        _run(target, cases, seed, inside, tally, Guard(inside), under_way)
        told = {**vars(tally), "counts": dict(tally.counts)}
        with open(writing, "wb") as file:
            file.write(json.dumps(told).encode() + b"\n")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _run(
    target: Target, cases: int, seed: int, folder: Path, tally: Tally, guard: Any, under_way: Any
) -> None:
    """Draw cases until there are enough; hypothesis ends a round early where it sees no more."""
    rounds, many = 0, 1 if target.near is None else 1 + NEAR
    while tally.cases < cases and rounds < 100:

        @hypothesis.seed(seed * 100 + rounds)
        @hypothesis.settings(
            max_examples=-(-(cases - tally.cases) // many),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @hypothesis.given(target.cases)
        def each(case: Any) -> None:
            first, drawn = case, random.Random(seed + tally.cases)
            for i in range(many):
                if tally.cases >= cases:
                    return
                if i and target.near is not None:
                    case = target.near(first, drawn)
                if under_way is not None:
                    os.ftruncate(under_way, 0)
                    os.pwrite(under_way, shown(case).encode(errors="replace")[:KEPT], 0)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    end(target, case, folder, tally, guard)
                emptied(folder)

        each()
        rounds += 1


def _received(reading: int, cases: int) -> tuple[bytes, bool]:
    """What the process tells, and whether it is too late for it."""
    data, last = b"", time.monotonic() + 2 * LONGEST + cases
    while True:
        left = last - time.monotonic()
        if left <= 0:
            return data, True
        ready, _, _ = select.select([reading], [], [], left)
        if ready:
            part = os.read(reading, 2**16)
            if not part:
                return data, False
            data += part


def fast_folder() -> Optional[str]:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
