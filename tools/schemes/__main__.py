"""Print how far each truncation scheme comes in how many seconds, on a task or on a text.

Of ``task``, temporal order, the loss is that of new sequences; the answer is one output, the last,
and what decides it lies near the beginning and near the middle. Of ``text`` it is that of the
validation sentences, after each epoch; all seeds have the same ones. Seconds are those of the
steps: compiling and evaluating do not count. They are of the processor, and do not depend on what
else runs; set OPENBLAS_NUM_THREADS=1. Each figure is the mean over the seeds, with their standard
deviation. ``speed`` compares the time of a step under artbp:20 and chunk:20.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from rich.console import Console
from rich.table import Table

from schemes import speed
from theano_rnn.common.types import Record
from theano_rnn.long_term import tasks
from theano_rnn.long_term.net import TaskNet
from theano_rnn.long_term.remedies import parse as remedy
from theano_rnn.model import cuts
from theano_rnn.training import build
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

SCHEMES = ("full", "window:4", "chunk:4", "last:4", "artbp:4", "artbp:4:4", "adaptive:0.1")
#: Updates between two points of a curve of the task.
BLOCK = 50

#: Seconds so far, and the loss then.
Curve = list[tuple[float, float]]


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m schemes", description=__doc__)
    p.add_argument("what", choices=["task", "text", "speed"])
    p.add_argument("file", nargs="?", type=Path, help="the text, split 80/10/10")
    p.add_argument("--schemes", nargs="+", default=list(SCHEMES), metavar="SCHEME")
    p.add_argument("--seeds", type=int, default=5, metavar="N")
    p.add_argument("--seconds", type=float, nargs="+", default=[2, 5, 10], help="of the columns")
    p.add_argument("--length", type=int, default=20, metavar="L", help="of the task's sequences")
    p.add_argument("--learning-rate", type=float, default=0.05, metavar="X")
    p.add_argument("--epochs", type=int, default=3, metavar="N", help="of a text")
    p.add_argument("--vocab-size", type=int, default=1000, metavar="N", help="of a text")
    arguments = p.parse_args(argv)
    if (arguments.what == "text") != (arguments.file is not None):
        p.error("text needs a file, and the others take none")
    return arguments


def of_task(scheme: str, arguments: argparse.Namespace) -> Iterator[Curve]:
    """A curve of each seed: tanh, 50 units, SGD with the gradient clipped to 1, batches of 20."""
    task, length = tasks.TASKS["temporal_order"], arguments.length
    nets = [
        TaskNet(task, "tanh", remedy("clip"), seed=seed, truncation=scheme)
        for seed in range(arguments.seeds)
    ]
    net = nets[0]
    update = net.compile_update(arguments.learning_rate)
    first = [{name: p.get_value() for name, p in other.shared.items()} for other in nets]
    for seed, values in enumerate(first):
        for name, value in values.items():
            net.shared[name].set_value(value)
        random, curve, seconds = np.random.default_rng([seed, 1]), [], 0.0
        while seconds < max(arguments.seconds):
            losses = []
            for _ in range(BLOCK):
                x, y = task.generate(random, length, 20)
                begun = time.thread_time()  # to draw the cuts is a part of the step
                factors = cuts.of_call(net.truncation, None, x.shape[:2], random, net.dtype)
                losses.append(update(x, y, *factors)[0])
                seconds += time.thread_time() - begun
            curve.append((seconds, float(np.mean(losses))))
        yield curve


class Clock(Callback):
    """The loss after each epoch, and the seconds of the processor for all steps till then."""

    def __init__(self) -> None:
        self.seconds, self.curve = 0.0, []

    def started(self, training: Training) -> None:
        self._training, self._compiled, self._last = training, 0, time.thread_time()

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        now, compiled = time.thread_time(), self._training.step.compiled
        if compiled == self._compiled:
            self.seconds += now - self._last
        self._compiled, self._last = compiled, now

    def epoch(self, record: Record) -> None:
        self.curve.append((self.seconds, record["valid_loss"]))
        print("K", record.get("K"), self.curve[-1], file=sys.stderr)
        self._last = time.thread_time()


def of_text(scheme: str, arguments: argparse.Namespace) -> Iterator[Curve]:
    """A curve of each seed: tanh, 50 units, SGD on one sentence after another."""
    settings = Settings(
        text=str(arguments.file), hidden_size=50, vocab_size=arguments.vocab_size,
        truncation=scheme, epochs=arguments.epochs, learning_rate=arguments.learning_rate,
    )  # fmt: skip
    corpus = build.build_corpus(settings)
    for seed in range(arguments.seeds):
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            run = Run.create(Path(folder) / "run")
            Training(dataclasses.replace(settings, seed=seed), run, corpus).run_epochs(clock)
        yield clock.curve


def at(curve: Curve, seconds: float) -> float:
    """The last loss that was reached within so many seconds; NaN before the first."""
    return next((loss for s, loss in reversed(curve) if s <= seconds), np.nan)


def spread(values: Sequence[float], digits: int = 3) -> str:
    if not np.isfinite(values).all():
        return "-"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=len(values) > 1):.{digits}f}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "110")))
    if arguments.what == "speed":
        console.print(speed.table(rounds=2000))
        return 0
    title = f"Loss in nats (lower is better), {arguments.seeds} seeds"
    table = Table(title=title, title_justify="left")
    table.add_column("truncation")
    is_text = arguments.what == "text"
    columns = [f"epoch {n + 1}" for n in range(arguments.epochs)] + ["seconds"] if is_text else [
        f"{s:g} s" for s in arguments.seconds] + ["ms an update"]  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right")
    for scheme in arguments.schemes:
        if scheme.startswith("adaptive") and not is_text:
            continue  # the task has no epochs
        curves = list((of_text if is_text else of_task)(scheme, arguments))
        if is_text:
            row = [spread([c[n][1] for c in curves]) for n in range(arguments.epochs)]
            row.append(spread([c[-1][0] for c in curves], 1))
        else:
            row = [spread([at(c, s) for c in curves]) for s in arguments.seconds]
            row.append(spread([1000 * c[-1][0] / len(c) / BLOCK for c in curves], 2))
        table.add_row(scheme, *row)
        print(scheme, *row, file=sys.stderr)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
