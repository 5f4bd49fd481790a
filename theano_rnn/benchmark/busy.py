"""Steps beside other busy processes, with each number of threads and with ``threads=0``."""

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from theano_rnn.benchmark.child import Spec
from theano_rnn.benchmark.programs import REST, Program
from theano_rnn.engine import most_threads
from theano_rnn.training.thread_choice import PAUSE

#: Busy processes beside the program.
PROCESSES = (0, 1, 2, 4)
#: What is trained, by name: two layers of an lstm on a stream of words, one on characters.
WORKLOADS: dict[str, dict[str, Any]] = {
    "words": {
        "vocab_size": 10_000, "hidden_size": 200, "T": 35, "B": 20,
        "network": {"layers": 2, "embedding_size": 200},
    },
    "characters": {"vocab_size": 64, "hidden_size": 100, "T": 200},
}  # fmt: skip
#: Seconds of a turn.
TURN = 0.5

#: It ends with the process that started it, however that ends.
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Have so many other processes compute."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def rates(name: str, processes: int, seed: int, rounds: int) -> dict[int, float]:
    """Tokens a second, by the number of threads, measured in turns; 0: as ``threads=0`` chooses.

    Parameters
    ----------
    name : str
        A name in ``WORKLOADS``.
    processes : int
        How many are busy beside it.
    seed : int
    rounds : int

    Returns
    -------
    dict
        Medians of the rounds. That of 0 counts what a comparison costs, one in ``PAUSE`` seconds.
    """
    numbers = (0, *sorted({1, most_threads()}))
    measured: dict[int, list[float]] = {number: [] for number in numbers}
    with Program(Spec("ours", cell="lstm", seed=seed, **WORKLOADS[name])) as child:
        child.ask("time", steps=2)
        with busy_processes(processes):
            compared = child.ask("compare_threads")
            for _ in range(rounds):
                for number in numbers:
                    time.sleep(REST)
                    done = child.ask("run_with_threads", threads=number, seconds=TURN)
                    measured[number].append(done["tokens"] / done["seconds"])
    rate = {number: statistics.median(each) for number, each in measured.items()}
    rest = max(PAUSE - compared["seconds"], 0)
    rate[0] = (compared["tokens"] + rate[0] * rest) / (compared["seconds"] + rest)
    return rate
