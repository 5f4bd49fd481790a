"""Gradient clipping, as Theano expressions."""

from typing import Callable

import numpy as np

from theano_rnn.common.types import Variable, Variables
from theano_rnn.model.later import tensor, theano


def global_norm(gradients: Variables) -> Variable:
    """sqrt(sum g^2) over all gradients together.

    Parameters
    ----------
    gradients : list of expressions

    Returns
    -------
    scalar expression
    """
    return tensor.sqrt(sum(tensor.sqr(g).sum() for g in gradients))


def clip_by_norm(gradients: Variables, clip: Variable) -> tuple[Variables, Variable]:
    """g *= min(1, clip / norm), with the norm of all gradients together: the direction stays.

    Parameters
    ----------
    gradients : list of expressions
    clip : scalar expression or float
        The largest norm, positive.

    Returns
    -------
    gradients : list of expressions
    norm : scalar expression
        Before clipping.

    Notes
    -----
    A norm of 0 leaves the zeros. Where the squares leave the range of the dtype (a gradient above
    1.8e19 in float32) the norm is infinite and finite gradients become 0; one that is itself not
    finite becomes NaN.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks
    (2013), algorithm 1.
    """
    norm = global_norm(gradients)
    scale = tensor.minimum(1, _scalar(clip, norm.dtype) / norm)  # clip / 0 is infinite, so 1
    return [g * scale for g in gradients], norm


def clip_by_value(gradients: Variables, clip: Variable) -> tuple[Variables, Variable]:
    """Each entry of each gradient clipped to [-clip, clip]: the direction may change.

    Parameters
    ----------
    gradients : list of expressions
    clip : scalar expression or float
        Positive.

    Returns
    -------
    gradients : list of expressions
    norm : scalar expression
        Of all gradients together, before clipping: it does not tell how many entries were cut.
    """
    norm = global_norm(gradients)
    clip = _scalar(clip, norm.dtype)
    return [tensor.clip(g, -clip, clip) for g in gradients], norm


#: From gradients and a clip: the clipped gradients, and the norm before.
Clipping = Callable[[Variables, Variable], tuple[Variables, Variable]]
CLIPPINGS: dict[str, Clipping] = {"norm": clip_by_norm, "value": clip_by_value}


def _scalar(value: Variable, dtype: str) -> Variable:
    """A scalar expression of the dtype, from an expression or a number."""
    if isinstance(value, theano.graph.basic.Variable):
        return tensor.cast(value, dtype)
    # A bare float would be rounded to float32, or widen float32 where floatX is float64.
    return tensor.constant(np.asarray(value, dtype))
