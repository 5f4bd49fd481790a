"""Measure what this environment can, and print it as JSON.

usage: measurements.py gradients | first-step | speed SECONDS
"""

import json
import sys
import time
from typing import Any

START = time.perf_counter()

#: The sentence of the benchmark: so many words, from a vocabulary of that size.
WORDS, VOCAB, HIDDEN = 20, 8000, 100


def gradients() -> dict[str, Any]:
    """The largest error of Theano against NumPy, and whether all schemes pass."""
    from theano_rnn.gradcheck import cross_check

    rows = list(cross_check())
    errors = [error for row in rows for error in (row.loss, *row.gradients.values())]
    return {"largest": max(errors), "passed": all(row.passed for row in rows)}


def sentence() -> tuple[Any, list[int], list[int]]:
    """A model, and a sentence to learn."""
    import numpy as np

    from theano_rnn import RNN

    tokens = np.random.default_rng(0).integers(VOCAB, size=WORDS + 1).tolist()
    return RNN(VOCAB, HIDDEN), tokens[:-1], tokens[1:]


def first_step() -> dict[str, Any]:
    """Seconds until the first step is done, from the start of Python's program."""
    model, x, y = sentence()
    model.sgd_step(x, y, learning_rate=0.005)
    return {"seconds": time.perf_counter() - START}


def speed(seconds: float) -> dict[str, Any]:
    """Steps in a second."""
    model, x, y = sentence()
    for _ in range(50):
        model.sgd_step(x, y, learning_rate=0.005)
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.sgd_step(x, y, learning_rate=0.005)
        steps += 1
    return {"steps": steps / (time.perf_counter() - start)}


def main(what: str, *arguments: str) -> None:
    if what == "gradients":
        found = gradients()
    elif what == "first-step":
        found = first_step()
    else:
        found = speed(float(arguments[0]))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
