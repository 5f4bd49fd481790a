"""How the error decays with the lag: the share left, the rate per step, half-life, horizon."""

import math
from typing import NamedTuple, Optional

import numpy as np

from theano_rnn.common.types import Floats

#: At the horizon the gradient falls below this share of its value at lag 0.
LOST = 0.01
#: The number of lags that a rate needs.
SHORTEST = 3
#: A norm below this has lost digits, because float64 has none much smaller.
SMALLEST = 1e-290


class Rate(NamedTuple):
    """The line start * rate^n, fitted to the share left at lag n.

    ``low`` and ``high`` are two standard errors of the slope away from the rate.
    """

    rate: float
    low: float
    high: float
    start: float


def geometric_mean(rows: Floats) -> Floats:
    """The geometric mean of each column, without its zeros and numbers that are not finite.

    0 for a column of zeros, NaN for one without a finite number.

    >>> geometric_mean(np.array([[1.0, 2.0, 0.0, np.nan], [4.0, np.nan, 0.0, np.nan]]))
    array([ 2.,  2.,  0., nan])
    """
    counts = np.isfinite(rows) & (rows > 0)
    with np.errstate(all="ignore"):
        logs = np.where(counts, np.log(np.where(counts, rows, 1)), 0).sum(axis=0)
        mean: Floats = np.exp(np.clip(logs / counts.sum(axis=0), -700, 700))
    zeros = (rows == 0).any(axis=0) & ~counts.any(axis=0)
    return np.where(zeros, 0.0, mean)


def left_by_lag(norms: Floats, first: int = 0) -> Floats:
    """The share of |dE_t/dh_k| left at lag n = t - k, the geometric mean over t, by lag, (T,).

    Each output is divided by its own |dE_t/dh_{t-first}|, so that large errors do not drown the
    others. ``first`` is 1 for lstm: its output reads s alone, so the error is in the whole state
    (s and c) only from the step before on.

    >>> left_by_lag(np.array([[1.0, 0.0], [4.0, 8.0]]))
    array([1. , 0.5])
    >>> left_by_lag(np.array([[1.0, 0.0], [4.0, 8.0]]), first=1)
    array([2., 1.])
    """
    T = len(norms)
    left = np.zeros(T)
    own = np.full(T, np.nan)
    own[first:] = np.diagonal(norms, -first)
    own[~(own > SMALLEST)] = np.nan
    with np.errstate(all="ignore"):
        shares = np.where(norms > SMALLEST, norms, 0) / own[:, None]
    for lag in range(T):
        left[lag] = np.nan_to_num(geometric_mean(np.diagonal(shares, -lag)[:, None])[0])
    return left


def rate_of(left: Floats, first: int = 0) -> Optional[Rate]:
    """The line through log left from lag ``first`` on, each lag weighted by its number of pairs.

    None if the text is too short for one.

    >>> [round(float(number), 12) for number in rate_of(3 * 0.5 ** np.arange(6))]
    [0.5, 0.5, 0.5, 3.0]
    """
    T = len(left)
    n = np.flatnonzero(left > 0)
    n = n[n >= first]
    if T < SHORTEST + first or len(n) == 0:
        return None
    if len(n) == 1:
        return Rate(0.0, 0.0, 0.0, float(left[n[0]]))
    log, w = np.log(left[n]), (T - n).astype(float)
    middle = np.average(n, weights=w)
    far = n - middle
    slope = (w * far * log).sum() / (w * far**2).sum()
    height = np.average(log, weights=w)
    rest = log - height - slope * far
    error = ((w * rest**2).sum() / max(len(n) - 2, 1) / (w * far**2).sum()) ** 0.5
    logs = np.array([slope, slope - 2 * error, slope + 2 * error, height - slope * middle])
    return Rate(*np.exp(np.clip(logs, -700, 700)).tolist())


def half_life_of(rate: float) -> float:
    """The steps in which a gradient of this rate halves or doubles; inf if it does neither.

    >>> half_life_of(0.5), half_life_of(2.0), half_life_of(0.0), half_life_of(1.0)
    (1.0, 1.0, 0.0, inf)
    """
    if rate <= 0:
        return 0.0
    return math.log(2) / abs(math.log(rate)) if rate != 1 else math.inf


def horizon_of(left: Floats) -> Optional[int]:
    """The lag from which on less than 1 % is left; None if the last lag has more.

    >>> horizon_of(np.array([1, 0.1, 0.001, 0.1, 0.001, 0.0005])), horizon_of(np.ones(5))
    (4, None)
    """
    seen = np.flatnonzero(left >= LOST)
    lag = int(seen[-1]) + 1 if len(seen) else 0
    return lag if lag < len(left) else None


def share_of_zeros(norms: Floats) -> float:
    """The share of pairs t > k whose error is exactly 0, of the outputs that have an error."""
    t, k = np.tril_indices(len(norms), -1)
    below = norms[t, k][np.diagonal(norms)[t] != 0]
    return float((below == 0).mean()) if len(below) else 0.0
