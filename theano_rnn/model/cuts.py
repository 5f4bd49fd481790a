"""Anticipated reweighted truncation, ``artbp:K``: cuts at random, and a gradient without bias.

Backpropagation cuts the error between step t-1 and step t with probability c_t, and multiplies it
by 1/(1 - c_t) where it does not::

    delta_{t-1} = e_{t-1} + a_t delta_t J_t       a_t = 0 with probability c_t, else 1/(1 - c_t)

The mean of a_t is 1, whatever was drawn before it, so the mean of the gradient over all cuts is
the full gradient. A run is the steps from one cut to the next; it has K steps on average.

=================  ========================================  ===================================
``artbp:K``        c = 1/K                                   the factors grow as (1 - 1/K)^-lag
``artbp:K:alpha``  c = (alpha - 1) / ((alpha - 2) K + l)     as a power of the lag; long runs are
                   after l steps without a cut               likelier, alpha above 2
=================  ========================================  ===================================

Cuts are drawn here, outside the graph, once a sequence and the same for all layers. The graph
reads the factors a_t.

References
----------
C. Tallec, Y. Ollivier, Unbiasing truncated backpropagation through time (2017), arXiv 1705.08209.
"""

import functools
from typing import Any

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Bools, Floats
from theano_rnn.common.validation import shown
from theano_rnn.model.truncation import Truncation


def probabilities(truncation: Truncation, T: int) -> Floats:
    """c after l = 1, ..., T steps without a cut.

    Parameters
    ----------
    truncation : Truncation
        Of the scheme "artbp".
    T : int

    Returns
    -------
    (T,) array
    """
    K, alpha = truncation.K, truncation.alpha
    assert K is not None
    if alpha is None:
        return np.full(T, 1 / K)
    return (alpha - 1) / ((alpha - 2) * K + np.arange(1, T + 1))


def draw(truncation: Truncation, shape: tuple[int, ...], random: np.random.Generator) -> Bools:
    """Cuts of B sequences, each with its own.

    Parameters
    ----------
    truncation : Truncation
    shape : tuple
        (T, B).
    random : numpy.random.Generator

    Returns
    -------
    (T, B) booleans
        True at the steps t whose error does not reach step t-1; never at the first.
    """
    T, B = shape
    if truncation.alpha is None:  # at every step with the same probability
        cuts: Bools = random.random((T, B)) < probabilities(truncation, 1)
        cuts[:1] = False
        return cuts
    shorter, _ = _tables(truncation, T)
    # As many runs as there may be; u in [0, 1) says how long each is.
    runs = np.searchsorted(shorter, random.random((T, B)), side="right")
    at = np.cumsum(runs, axis=0)  # (T, B) steps that begin a run
    cuts = np.zeros((T + 1, B), bool)
    cuts[np.minimum(at, T), np.arange(B)] = True
    return cuts[:T]


@functools.lru_cache(maxsize=64)
def _tables(truncation: Truncation, T: int) -> tuple[Floats, Floats]:
    """For l = 1, ..., T steps: P(a run has fewer), to search in; and 1/(1 - c)."""
    c = probabilities(truncation, T)
    return 1 - np.cumprod(np.append(1, 1 - c[:-1])), 1 / (1 - c)


def factors(truncation: Truncation, cuts: Bools, dtype: str) -> Floats:
    """a_t: 0 at a cut, 1/(1 - c_t) elsewhere, 1 at the first step.

    Parameters
    ----------
    truncation : Truncation
    cuts : (T, B) booleans
    dtype : str

    Returns
    -------
    (T, B) array of the dtype
    """
    if truncation.alpha is None:
        a = np.where(cuts, 0, 1 / (1 - probabilities(truncation, 1))).astype(dtype)
    else:
        t, (_, grown) = np.arange(len(cuts))[:, None], _tables(truncation, len(cuts))
        begins = np.maximum.accumulate(np.where(cuts, t, 0))  # of the run that step t is in
        a = np.empty(cuts.shape, dtype)
        a[1:] = grown[(t - begins)[:-1]]
        a[cuts] = 0
    a[0] = 1
    return a


def checked(cuts: Any, shape: tuple[int, ...]) -> Bools:
    """Cuts that a caller gives, as booleans (T, B).

    Parameters
    ----------
    cuts : array of booleans, or of 0 and 1
    shape : tuple
        That of x, (T,) or (T, B).

    Returns
    -------
    (T, B) booleans

    Raises
    ------
    RNNError
        For another shape, or other values.
    """
    try:
        given = np.asarray(cuts)
    except ValueError:
        given = np.asarray(None)
    if given.shape != shape or given.dtype.kind not in "biuf":
        raise RNNError(f"cuts are {shown(cuts)}; pass booleans of the shape of x, {shape}")
    if not np.isin(given, (0, 1)).all():
        raise RNNError("cuts hold other numbers than 0 and 1; pass booleans, true at a cut")
    return given.astype(bool).reshape(len(given), -1)


def of_call(
    truncation: Truncation,
    cuts: Any,
    shape: tuple[int, ...],
    random: np.random.Generator,
    dtype: str,
) -> list[Floats]:
    """The factors that a compiled function takes: of the cuts given, or of new ones.

    Parameters
    ----------
    truncation : Truncation
    cuts : array of booleans of the shape of x, or None
    shape : tuple
        That of x.
    random : numpy.random.Generator
        Draws the cuts that are not given.
    dtype : str

    Returns
    -------
    list of one (T, B) array; empty for the schemes without cuts at random

    Raises
    ------
    RNNError
        For bad cuts, or cuts for another scheme.
    """
    if truncation.scheme != "artbp":
        if cuts is not None:
            raise RNNError(
                f"cuts are for truncation artbp:K, not for {truncation}; leave them out"
            )
        return []
    if cuts is None:
        found = draw(truncation, (shape[0], shape[1] if len(shape) > 1 else 1), random)
    else:
        found = checked(cuts, shape)
    return [factors(truncation, found, dtype)]
