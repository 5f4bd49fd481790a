"""(T, T) arrays of outputs t (rows) and steps k (columns): truncation schemes, sums by lag."""

from typing import Callable

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.types import Bools, Floats
from theano_rnn.model import truncation


def reach(scheme: str, T: int) -> Floats:
    """1 where step k (column) receives the error of output t (row) under a scheme, else 0.

    Under artbp it is 1 everywhere, the mean over all cuts.

    Parameters
    ----------
    scheme : str
        Such as "window:4".
    T : int
        The number of steps.

    Returns
    -------
    (T, T) array

    Raises
    ------
    RNNError
        For any other scheme.

    Examples
    --------
    >>> reach("window:1", 3).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    T = validation.whole_number(T, "T", at_least=1)
    cut = truncation.parse(scheme)
    K = T if cut.K is None else cut.K
    t, k = np.arange(T)[:, None], np.arange(T)
    schemes: dict[str, Callable[[], Bools]] = {
        "full": lambda: t >= k,
        "window": lambda: (t >= k) & (t - k <= K),
        "chunk": lambda: (t >= k) & (t // K == k // K),
        "last": lambda: (t >= k) & (k >= T - K),
        "artbp": lambda: t >= k,
    }
    return schemes[cut.scheme]().astype(np.float64)


def cosine(a: Floats, b: Floats) -> float:
    """The cosine of the angle between two arrays; 0 if one of them is 0."""
    norms = float(lengths_of(a.ravel())), float(lengths_of(b.ravel()))
    # Each by its own norm: a product of large ones would overflow.
    return float((a / norms[0] * (b / norms[1])).sum()) if min(norms) > 0 else 0.0


def by_lag(pairs: Floats) -> Floats:
    """The sums of a (T, T) array over all pairs with lag t - k = 0, 1, ..., T-1, (T,).

    Parameters
    ----------
    pairs : (T, T) array
        Rows t, columns k.

    Returns
    -------
    (T,) array

    Examples
    --------
    >>> by_lag(np.array([[1.0, 0.0], [2.0, 3.0]]))
    array([4., 2.])
    """
    return np.array([np.trace(pairs, -lag) for lag in range(len(pairs))])


def lengths_of(a: Floats) -> Floats:
    """2-norms along the last axis, also where the squares would leave the range of float64."""
    scale = np.asarray(abs(a).max(axis=-1))
    scale = np.where(scale == 0, 1.0, scale)
    with np.errstate(over="ignore"):  # the length itself may
        lengths: Floats = scale * np.sqrt(((a / scale[..., None]) ** 2).sum(axis=-1))
    return lengths
