"""A training, but for what it does between epochs, beside its steps alone: batches and logs."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from theano_rnn.training import build
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

#: The sentences of the text, of so many words, and how many words it has.
SENTENCES, WORDS, VOCABULARY = 1000, 20, 2000
#: What a user trains: settings by the name of the mode.
MODES: dict[str, dict[str, Any]] = {
    "sentence": {},
    "batch": {"batch_size": 16},
    "stream": {"stream": True, "batch_size": 16, "truncation": "chunk:20"},
    "characters": {"level": "char", "stream": True, "truncation": "chunk:100"},
}


def write_text(path: Path, seed: int) -> None:
    """Write sentences of random words, the n-th of them with a share of 1/n, into a file."""
    random, share = np.random.default_rng(seed), 1 / np.arange(1, VOCABULARY + 1)
    words = random.choice(VOCABULARY, p=share / share.sum(), size=(SENTENCES, WORDS))
    path.write_text("\n".join(" ".join(f"w{n}" for n in sentence) for sentence in words))


class Clock(Callback):
    """The tokens and the seconds between the second step of a training and the last."""

    def __init__(self) -> None:
        self.tokens, self.seconds, self.last = 0, 0.0, float("nan")

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        now = time.perf_counter()
        if state.epoch or state.step > 2:  # the first ones compile
            self.tokens += tokens
            self.seconds += now - self.last
        self.last = now

    def epoch(self, record: dict[str, Any]) -> None:
        self.last = time.perf_counter()


def rates(folder: Path, mode: str, cell: str, epochs: int) -> tuple[float, float]:
    """Tokens a second of the steps alone, and of a training of these epochs.

    Parameters
    ----------
    folder : Path
        Where ``write_text`` has written text.txt, and the run is made.
    mode : str
        A name in ``MODES``.
    cell : str
    epochs : int
    """
    settings = Settings(
        text=str(folder / "text.txt"), sentences="lines", cell=cell, patience=None,
        epochs=epochs, threads=1, **{"level": "word", **MODES[mode]},
    )  # fmt: skip
    corpus = build.build_corpus(settings)
    training, clock = Training(settings, Run.create(folder / f"{mode} {cell}"), corpus), Clock()
    training.run_epochs(clock)
    examples, state = list(training.examples.of_epoch(training.state)), None
    alone = []
    for _ in range(epochs):
        tokens, begun = 0, time.perf_counter()
        for x, y, mask in examples:
            after = training.step(x, y, 1e-3, settings.clip, mask=mask, state=state)[2]
            state = after if settings.stream else None
            tokens += int(np.size(y) if mask is None else mask.sum())
        alone.append(tokens / (time.perf_counter() - begun))
    return max(alone), clock.tokens / clock.seconds
