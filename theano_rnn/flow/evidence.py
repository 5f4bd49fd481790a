"""What is seen of a gradient flow, by lag: how much is left, at which rate, and how sure that is.

Of one text a range says how much its parts differ. Of many texts it is the bootstrap's (Efron
1979): the texts are drawn again with replacement, 400 times, and 95 % of the fits lie in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.decay import (
    FARTHEST,
    LOST,
    SHORTEST,
    Piece,
    Sums,
    grown_of,
    half_life_of,
    horizon_of,
    knot_of,
    left_of,
    line,
    sums_by_lag,
    zeros_of,
)

#: How often the texts, or the parts of one, are drawn again.
DRAWS = 400
#: The parts of one text: successive outputs.
PARTS = 10
#: So many texts have a spread of their own.
MANY_TEXTS = 5
#: A lag counts if at least this share of the texts is longer than it.
REACHED = 0.1


class Range(NamedTuple):
    """Of 95 % of the draws, from the least to the greatest."""

    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """What is seen; what is not described here is as in ``Verdict``.

    Attributes
    ----------
    first : int
        The lag at which all begins: ``Flow.first_lag``.
    left : (lags,) array
        The share left by lag, from lag 0 to the longest that counts.
    pieces : tuple of Piece
        None at all if there are fewer than three lags.
    rate : Range or None
        Of the rate of the last piece.
    tail : Range or None
        Of the rate of the last third of the lags, at least three.
    bends : bool
        Whether one of the last three lags lies off the line of the last piece by more than six
        times the median of the others: the line does not go on.
    levels : float or None
        The least level, in 95 % of the draws, at which the curve seems to end, by Aitken's
        extrapolation; of a curve that grows, that of its inverse.
    horizons : tuple of int or None
        Of the horizon, in 95 % of the draws, if all have one.
    """

    texts: int
    first: int
    left: Floats
    zeros: float
    pieces: tuple[Piece, ...]
    rate: Optional[Range]
    tail: Optional[Range]
    bends: bool
    levels: Optional[float]
    spread: Optional[Range]
    horizons: Optional[tuple[int, int]]

    @property
    def last(self) -> Optional[Piece]:
        """The piece that reaches the longest lag: what goes on beyond it."""
        return self.pieces[-1] if self.pieces else None

    @property
    def longest(self) -> int:
        """The longest lag that counts."""
        return len(self.left) - 1

    @property
    def horizon(self) -> Optional[int]:
        """The lag from which on less than 1 % is left."""
        return horizon_of(self.left)

    @property
    def grown(self) -> Optional[int]:
        """The lag from which on there is more than 100 times as much."""
        return grown_of(self.left)

    @property
    def surge(self) -> Optional[int]:
        """The lag before the horizon at which there is most, if that is more than 100 times."""
        left = self.left[: self.horizon]  # all of it where there is none
        lag = int(np.argmax(left)) if len(left) else 0
        return lag if self.grown is None and self.left[lag] > 1 / LOST else None

    @property
    def half_life(self) -> Optional[float]:
        """Of the last piece: steps in which it halves, or doubles."""
        return None if self.last is None else half_life_of(self.last.rate)


def evidence(norms: Sequence[Floats], first: int) -> Evidence:
    """What is seen of |dE_t/dh_k| on each of some texts.

    Parameters
    ----------
    norms : list of (T, T) arrays
        Of each text.
    first : int
        ``Flow.first_lag``.
    """
    sums = _of_texts(norms, first)
    reached = sorted((len(of) for of in norms), reverse=True)
    lags = reached[int(np.ceil(REACHED * len(norms))) - 1]
    # A lag at which no output has an error of its own tells nothing.
    pairs = (sums.counts + sums.lost + sums.overflow).sum(axis=0)[:lags]
    lags = int(np.flatnonzero(pairs)[-1]) + 1 if pairs.any() else lags
    sums = Sums(*(part[:, :lags] for part in sums))
    weights = _draws(len(sums.logs))
    log, drawn = sums.log_left(), sums.log_left(weights)
    pieces, rate, tail = _lines(sums, first, weights)
    falls = bool(pieces) and pieces[-1].rate < 1
    is_many = len(norms) >= MANY_TEXTS
    zeros, below = (sum(of) for of in zip(*map(zeros_of, norms)))
    return Evidence(
        texts=len(norms),
        first=first,
        left=left_of(log),
        zeros=zeros / max(1, below),
        pieces=pieces,
        rate=rate,
        tail=tail,
        bends=_bends(log, sums.counts.sum(axis=0), pieces[-1]) if pieces else False,
        levels=_level(drawn[:, first:] * (1 if falls else -1)),
        spread=_spread(sums, first) if is_many else None,
        horizons=_horizons(drawn) if is_many else None,
    )


def _of_texts(norms: Sequence[Floats], first: int) -> Sums:
    """A group for each text; of one text alone, for each of its parts."""
    if len(norms) == 1:
        return sums_by_lag(norms[0], first, PARTS)
    lags = max(map(len, norms))
    each = [sums_by_lag(of, first) for of in norms]
    return Sums(
        *(
            np.concatenate([np.pad(part, ((0, 0), (0, lags - part.shape[1]))) for part in parts])
            for parts in zip(*each)
        )
    )


def _draws(groups: int) -> Floats:
    """How often each group is drawn, (DRAWS, groups); the same at each call."""
    drawn = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), DRAWS)
    return drawn.astype(np.float64)


def _lines(
    sums: Sums, first: int, weights: Floats
) -> tuple[tuple[Piece, ...], Optional[Range], Optional[Range]]:
    """The pieces, the range of the last rate, and that of the tail."""
    log, T = sums.log_left(), sums.logs.shape[1]
    n = np.flatnonzero(np.isfinite(log) & (np.arange(T) >= first))
    if T < SHORTEST + first or not len(n):
        return (), None, None
    if len(n) == 1:  # nothing is left one step back
        only = Piece(int(n[0]), int(n[0]), 0.0, float(left_of(log)[n[0]]))
        return (only,), Range(0.0, 0.0), Range(0.0, 0.0)
    counts = sums.counts.sum(axis=0)
    knot = knot_of(n.astype(float), log[n], counts[n])
    edges = [n] if knot is None else [n[: knot + 1], n[knot:]]
    pieces = []
    for lags in edges:
        slope, height = line(lags.astype(float), log[lags], counts[lags])
        rate, start = _exp(slope), _exp(height)
        pieces.append(Piece(int(lags[0]), int(lags[-1]), rate, start))
    drawn, w = sums.log_left(weights), weights @ sums.counts
    third = n[-max(SHORTEST, len(n) // 3) :]
    ranges = []
    for lags in (edges[-1], third):
        rates = np.exp(np.clip(line(lags * 1.0, drawn[:, lags], w[:, lags])[0], -700, 700))
        ranges.append(_range(rates))
    return tuple(pieces), ranges[0], ranges[1]


def _bends(log: Floats, counts: Floats, piece: Piece) -> bool:
    n = np.arange(piece.first, piece.last + 1)
    n = n[np.isfinite(log[n])]
    if len(n) < 3 * SHORTEST or piece.rate == 0:
        return False
    rest = log[n] - math.log(piece.start) - n * math.log(piece.rate)
    scatter = rest * np.sqrt(counts[n])  # a mean over fewer pairs scatters more
    others = np.median(abs(scatter[:-SHORTEST]))
    return bool(abs(scatter[-SHORTEST:]).max() > 6 * others + 1e-6)


def _exp(log: Floats) -> float:
    return float(np.exp(np.clip(log, -FARTHEST, FARTHEST)))


def _range(values: Floats) -> Optional[Range]:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return Range(*np.percentile(values, [2.5, 97.5]).tolist())


def _level(logs: Floats) -> Optional[float]:
    """The least level of ``Evidence.levels``, from (DRAWS, lags) logs of a curve that falls.

    From the means x, y, z over three successive windows of lags: of a r^n + b the expression
    (x z - y^2) / (x + z - 2 y) is b exactly. Norms add as they are where they point alike, and
    their squares where they do not: the larger level of the two counts; the smaller one where
    the draws do not agree, as the curve is too rough to tell.
    """
    m = logs.shape[1] // 3
    if m < 1:
        return None
    levels, agree = [], True
    for power in (1, 2):
        values = np.exp(np.clip(power * logs[:, -3 * m :], -FARTHEST, FARTHEST))
        values = values.reshape(len(logs), 3, m)
        x, y, z = values.mean(axis=2).T  # NaN of a draw without a pair at these lags
        with np.errstate(all="ignore"):
            level = np.maximum(0, (x * z - y**2) / (x + z - 2 * y)) ** (1 / power)
        level = level[np.isfinite(level)]
        if len(level):
            low, high = np.percentile(level, [2.5, 97.5]).tolist()
            levels.append(low)
            agree = agree and high <= 1.1 * low
    return (max if agree else min)(levels, default=None)


def _horizons(drawn: Floats) -> Optional[tuple[int, int]]:
    found = []
    for log in drawn:
        seen = np.flatnonzero(~np.isnan(log))  # a draw may have no pair at the longest lags
        found.append(horizon_of(left_of(log[: seen[-1] + 1])) if len(seen) else None)
    if None in found:
        return None
    low, high = np.percentile(np.array(found, float), [2.5, 97.5]).round().astype(int).tolist()
    return low, high


def _spread(sums: Sums, first: int) -> Optional[Range]:
    """Of the rates of single texts, each with one line through all its lags."""
    with np.errstate(all="ignore"):
        logs = sums.logs / sums.counts
    n = np.arange(first, logs.shape[1], dtype=float)
    slopes, _ = line(n, logs[:, first:], sums.counts[:, first:])
    return _range(np.exp(np.clip(slopes, -700, 700)))
