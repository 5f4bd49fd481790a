"""What to tell of a step whose loss or gradient is not finite."""

from collections.abc import Sequence
from typing import Optional

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Bools, Ints
from theano_rnn.rnn import RNN
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State


def diagnosis(
    settings: Settings,
    model: RNN,
    tokens: Sequence[str],
    state: State,
    run: Run,
    x: Ints,
    y: Ints,
    mask: Optional[Bools],
) -> str:
    """Which step, which parameter, which sentence, which checkpoint is the last good; what to do.

    Parameters
    ----------
    settings : Settings
    model : RNN
        Before the step.
    tokens : sequence of str
        Of the vocabulary.
    state : State
    run : Run
    x, y, mask
        Those of the step.
    """
    with np.errstate(all="ignore"):
        norms = {n: np.linalg.norm(p.astype("float64")) for n, p in model.parameters().items()}
        gradients = model.bptt(x, y, mask)
    bad = [name for name, g in gradients.items() if not np.isfinite(g).all()]
    name = bad[0] if bad else max(norms, key=norms.__getitem__)
    text = " ".join(str(tokens[token]) for token in np.ravel(x, order="F")[:12])
    try:
        _, last, _ = run.last()
        good = f"the last good checkpoint is of epoch {last['epoch'] + 1}, step {last['step']}"
    except RNNError:
        good = "there is no checkpoint yet"
    with np.errstate(over="ignore"):
        norm = float(np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradients.values())))
    what = "the loss or the gradient is"
    if not bad and norm**2 > float(np.finfo(model.dtype).max):
        what = f"the gradient is finite, but its norm, {norm:.3g}, overflows {model.dtype}: it is"
    return (
        f"{what} not finite in epoch {state.epoch + 1}, step "
        f"{state.step + 1}, and the step was not taken. Parameter {name}, of norm "
        f"{norms[name]:.3g}, has {'such a gradient' if bad else 'the largest norm'}. It read: "
        f"{text!r}; {good}. Try a smaller --learning-rate than {state.learning_rate:g}"
        + (f" or --clip than {settings.clip:g}" if settings.clip else " or a --clip")
        + ", or --on-nonfinite skip or restore"
    )
