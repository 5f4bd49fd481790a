"""The nets, and what ten steps of each leave, to the last bit."""

import hashlib
import platform
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from theano_rnn.engine import theano
from theano_rnn.text.batches import Stream, batch
from theano_rnn.training.build import build_model, build_step
from theano_rnn.training.settings import Settings

STEPS, VOCAB = 10, 50

#: By name; what they are trained on is drawn with the seed.
NETS = {
    "tanh, sgd": Settings(truncation="window:4", hidden_size=16),
    "gru, adam": Settings(
        cell="gru", layers=2, embedding_size=6, hidden_size=12, optimizer="adam",
        learning_rate=0.01,
    ),
    "lstm, rmsprop, batches": Settings(
        cell="lstm", bias=True, dropout=0.3, batch_size=4, hidden_size=12, optimizer="rmsprop",
        learning_rate=0.01, clip=1.0,
    ),
    "tanh, momentum, stream": Settings(
        stream=True, truncation="chunk:5", batch_size=3, dropout=0.2, hidden_size=16,
        optimizer="momentum",
    ),
    "relu, adagrad, tied": Settings(
        cell="relu", tied=True, bias=True, truncation="last:2", hidden_size=16, l2=0.001,
        initialization="identity", optimizer="adagrad", clip=0.1, clip_by="value",
    ),
    "sigmoid, nesterov, omega": Settings(
        cell="sigmoid", omega=0.5, batch_size=4, hidden_size=16, optimizer="nesterov",
        initialization="orthogonal",
    ),
}  # fmt: skip

Example = tuple[np.ndarray, np.ndarray, Optional[np.ndarray]]


def examples(settings: Settings, seed: int) -> Iterator[Example]:
    """x, y and the mask of each step: sentences of 2 to 12 tokens, or pieces of a stream."""
    rng = np.random.default_rng(seed)
    sentences = [rng.integers(VOCAB, size=length + 1) for length in rng.integers(2, 13, STEPS * 8)]
    if settings.stream:
        stream = Stream(sentences, settings.batch_size, settings.steps)
        yield from ((*stream[i], None) for i in range(STEPS))
    for i in range(0 if settings.stream else STEPS):
        if settings.batch_size == 1:
            yield sentences[i][:-1], sentences[i][1:], None
        else:
            yield batch(sentences[i * settings.batch_size : (i + 1) * settings.batch_size])


def digest(*arrays: np.ndarray) -> str:
    """Of types, shapes and every bit."""
    found = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        found.update(f"{array.dtype.str} {array.shape} ".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def ten_steps(settings: Settings, seed: int) -> dict[str, Any]:
    """Losses in float64, and digests.

    ``drawn`` is of all that came from NumPy's generator: initial parameters, tokens, and the
    state that the dropout leaves it in; ``parameters`` of them and the optimizer's state after
    the last step.
    """
    settings = Settings(**{**vars(settings), "seed": seed})
    model = build_model(settings, VOCAB, dtype="float64")
    step = build_step(settings, model)
    drawn, losses, state = [*model.parameters().values()], [], None
    for number, (x, y, mask) in enumerate(examples(settings, seed)):
        random = np.random.default_rng([seed, number])
        loss, _, after = step(
            x, y, settings.learning_rate, settings.clip, mask=mask, state=state, random=random
        )
        losses.append(loss)
        drawn += [x, y, random.integers(2**63, size=4)]
        state = after if settings.stream else None
    left = {**model.parameters(), **step.state()}
    return {"losses": losses, "drawn": digest(*drawn), "parameters": digest(*left.values())}


def record(names: list[str], seed: int) -> dict[str, Any]:
    """What is compared: the ten steps of each net, and which versions made them."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions["theano"] = theano.__version__
    return {
        **versions,
        "machine": platform.machine(),
        "seed": seed,
        "nets": {name: ten_steps(NETS[name], seed) for name in names},
    }
