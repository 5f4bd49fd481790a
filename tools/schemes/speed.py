"""What a step takes under cuts at random, beside chunk:K: in one process, in turns."""

import time

import numpy as np
from rich.table import Table

from theano_rnn import RNN, Step

SCHEMES = ("chunk:20", "artbp:20", "artbp:20:4")
#: Vocabulary and steps of a text.
TEXTS = {"200 characters": (64, 200), "20 words": (8000, 20)}


def seconds(vocab_size: int, T: int, rounds: int) -> np.ndarray:
    """Of the processor, (rounds, schemes), for an SGD step of tanh with 100 units."""
    x, y = np.random.default_rng(0).integers(vocab_size, size=(2, T))
    steps = [Step(RNN(vocab_size, 100, truncation=scheme, seed=0)) for scheme in SCHEMES]
    for step in steps:
        step(x, y, 0.001, 5.0)  # it compiles
    found = np.zeros((rounds, len(steps)))
    for row in range(rounds):
        for n in np.roll(range(len(steps)), row):
            begun = time.thread_time()  # to draw the cuts is a part of the step
            steps[n](x, y, 0.001, 5.0)
            found[row, n] = time.thread_time() - begun
    return found


def table(rounds: int) -> Table:
    """Medians, and how many times that of chunk:K they are; the same of the least."""
    made = Table(title="A step, milliseconds of the processor", title_justify="left")
    for column in ("text", "truncation", "median", "times", "least", "times"):
        made.add_column(column, justify="left" if column in ("text", "truncation") else "right")
    for text, sizes in TEXTS.items():
        found = 1000 * seconds(*sizes, rounds)
        median, least = np.median(found, axis=0), found.min(axis=0)
        for n, scheme in enumerate(SCHEMES):
            columns = [f"{a[n]:.3f} {a[n] / a[0]:.2f}".split() for a in (median, least)]
            made.add_row(text, scheme, *columns[0], *columns[1])
    return made
