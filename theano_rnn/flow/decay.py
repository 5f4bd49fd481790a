"""How the error decays with the lag: the share left, fitted lines, half-life, horizon."""

import math
from typing import NamedTuple, Optional

import numpy as np

from theano_rnn.common.types import Floats

#: At the horizon the gradient falls below this share of its value at the first lag; it has
#: exploded where it is above the inverse.
LOST = 0.01
#: The number of lags that a rate needs.
SHORTEST = 3
#: A norm below this has lost digits, because float64 has none much smaller.
SMALLEST = 1e-290
#: Logarithms beyond this one are not made numbers of.
FARTHEST = 700.0


class Piece(NamedTuple):
    """The line start * rate^n from lag ``first`` to lag ``last``."""

    first: int
    last: int
    rate: float
    start: float


class Sums(NamedTuple):
    """What is added over pairs of outputs and steps, by group of outputs and lag, (G, T) each.

    ``logs`` of the log of the share left, over the ``counts`` pairs that have one; how many pairs
    are ``lost`` (0, or below ``SMALLEST``), and how many ``overflow``.
    """

    logs: Floats
    counts: Floats
    lost: Floats
    overflow: Floats

    def log_left(self, weights: Optional[Floats] = None) -> Floats:
        """The mean log by lag of all groups, or of ``weights`` (n, G) of them: (T,) or (n, T).

        -inf where all is lost, inf where something overflows, NaN where there is no pair.
        """
        w = np.ones(len(self.logs)) if weights is None else weights
        with np.errstate(all="ignore"):
            mean: Floats = (w @ self.logs) / (w @ self.counts)
        mean = np.where((w @ self.counts == 0) & (w @ self.lost > 0), -np.inf, mean)
        return np.where(w @ self.overflow > 0, np.inf, mean)


def geometric_mean(rows: Floats) -> Floats:
    """The geometric mean of each column, without its zeros and numbers that are not finite.

    0 for a column of zeros, NaN for one without a finite number.

    >>> geometric_mean(np.array([[1.0, 2.0, 0.0, np.nan], [4.0, np.nan, 0.0, np.nan]]))
    array([ 2.,  2.,  0., nan])
    """
    counts = np.isfinite(rows) & (rows > 0)
    with np.errstate(all="ignore"):
        logs = np.where(counts, np.log(np.where(counts, rows, 1)), 0).sum(axis=0)
        mean: Floats = np.exp(np.clip(logs / counts.sum(axis=0), -FARTHEST, FARTHEST))
    zeros = (rows == 0).any(axis=0) & ~counts.any(axis=0)
    return np.where(zeros, 0.0, mean)


def sums_by_lag(norms: Floats, first: int = 0, groups: int = 1) -> Sums:
    """The sums of one text, its outputs t in successive groups of the same size.

    Each output is divided by its own |dE_t/dh_{t-first}|, so that large errors do not drown the
    others. ``first`` is 1 for lstm: its output reads s alone, so the error is in the whole state
    (s and c) only from the step before on.

    Parameters
    ----------
    norms : (T, T) array
        |dE_t/dh_k|, t rows.
    first : int
    groups : int
        At most this many.
    """
    T = len(norms)
    steps = np.arange(T)
    step = steps[:, None] - steps  # t - n, a row for each t and a column for each lag n
    norm = np.take_along_axis(norms, np.maximum(step, 0), axis=1)
    own = norm[:, [first]] if first < T else np.full((T, 1), np.nan)
    is_pair = (step >= 0) & (own > SMALLEST) & (steps >= first)[:, None]
    with np.errstate(all="ignore"):
        log = np.log(norm) - np.log(own)
    counts = is_pair & (norm > SMALLEST) & np.isfinite(log)
    starts = np.unique(steps * min(groups, T) // T, return_index=True)[1]
    sums = (
        np.where(counts, log, 0),
        counts,
        is_pair & (norm <= SMALLEST),
        is_pair & (norm == np.inf),
    )
    return Sums(*(np.add.reduceat(part.astype(float), starts) for part in sums))


def left_of(log: Floats) -> Floats:
    """The share left from its mean log; 0 where there is no pair."""
    left: Floats = np.exp(np.clip(log, -FARTHEST, FARTHEST))
    return np.where(np.isposinf(log), np.inf, np.where(np.isnan(log) | np.isneginf(log), 0, left))


def left_by_lag(norms: Floats, first: int = 0) -> Floats:
    """The share of |dE_t/dh_k| left at lag n = t - k, the geometric mean over t, by lag, (T,).

    Errors that are lost are left out of a mean, as long as others are in it.

    >>> left_by_lag(np.array([[1.0, 0.0], [4.0, 8.0]]))
    array([1. , 0.5])
    >>> left_by_lag(np.array([[1.0, 0.0], [4.0, 8.0]]), first=1)
    array([2., 1.])
    """
    return left_of(sums_by_lag(norms, first).log_left())


def line(n: Floats, log: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Slope and height at n = 0 of the weighted line through each row of ``log``.

    A row with fewer than two lags of any weight has the slope NaN.

    >>> slope, height = line(np.arange(3.0), np.array([[1.0, 3.0, 5.0]]), np.ones((1, 3)))
    >>> slope.round(12), height.round(12)
    (array([2.]), array([1.]))
    """
    w = np.where(np.isfinite(log), w, 0)
    log = np.where(np.isfinite(log), log, 0)
    with np.errstate(all="ignore"):
        total = w.sum(axis=-1)
        middle, mean = (w * n).sum(axis=-1) / total, (w * log).sum(axis=-1) / total
        far = n - middle[..., None]
        slope = (w * far * log).sum(axis=-1) / (w * far**2).sum(axis=-1)
    return slope, mean - slope * middle


def knot_of(n: Floats, log: Floats, w: Floats) -> Optional[int]:
    """The place in ``n`` where a line of two pieces bends, or None if one line is as good.

    Two pieces are taken where one line misses the means by more than 5 % (the root mean square)
    and two miss them by at most half as much; each has at least three lags.
    """
    N, root = len(n), np.sqrt(w)
    if N < 2 * SHORTEST:
        return None

    def rest(columns: list[Floats]) -> float:
        basis = np.stack(columns, axis=1) * root[:, None]
        found = np.linalg.lstsq(basis, log * root, rcond=None)[0]
        return float(np.sqrt(((log * root - basis @ found) ** 2).sum() / w.sum()))

    ones, one = np.ones(N), rest([np.ones(N), n])
    if one <= 0.05:
        return None
    places = np.unique(np.linspace(2, N - 3, 60).round().astype(int))
    rests = [rest([ones, n, np.maximum(0, n - n[i])]) for i in places]
    best = int(np.argmin(rests))
    return int(places[best]) if rests[best] <= one / 2 else None


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


def grown_of(left: Floats) -> Optional[int]:
    """The lag from which on there is more than 100 times as much; None if the last has less.

    >>> grown_of(np.array([1, 10, 1000, 10, 1000])), grown_of(np.ones(5))
    (4, None)
    """
    with np.errstate(divide="ignore"):
        return horizon_of(1 / np.asarray(left, float))


def zeros_of(norms: Floats) -> tuple[int, int]:
    """How many pairs t > k are exactly 0, of outputs that have an error; and how many pairs."""
    t, k = np.tril_indices(len(norms), -1)
    below = norms[t, k][np.diagonal(norms)[t] != 0]
    return int((below == 0).sum()), len(below)
