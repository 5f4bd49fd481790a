"""Axes: title, scale, range and ticks, and the part of a long text that they show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from theano_rnn.common.types import Floats

#: The page shows at most this many steps, the last of the text; the PNGs show all.
MOST_STEPS = 150
#: The figures show at most this many units: of more, every n-th.
MOST_UNITS = 200
#: An axis shows at most this many words: of more, every n-th.
MOST_WORDS = 60
#: The limits of a logarithmic axis: a tick beyond its ends must be a number too.
FAR = 1e-240, 1e240
#: More labels than these are written small, and turned on an x axis.
CROWDED = 10


@dataclass(frozen=True)
class Axis:
    """An axis of a figure.

    Attributes
    ----------
    title : str
    is_log, is_percent : bool
        Its scale, and whether its numbers are shown in percent.
    range : (float, float), optional
        From left to right, or from bottom to top; by default the range of the data.
    ticks, labels : sequence, optional
        The places of the ticks, and their texts.
    every : int, optional
        The distance between ticks, instead of ``ticks``.
    is_upright : bool
        Whether the labels are turned by 90 degrees.
    """

    title: str = ""
    is_log: bool = False
    is_percent: bool = False
    range: Optional[tuple[float, float]] = None
    ticks: Optional[Sequence[int]] = None
    labels: Optional[Sequence[str]] = None
    every: Optional[int] = None
    is_upright: bool = False


def words_axis(words: Sequence[str], title: str, first: int = 0, is_x: bool = True) -> Axis:
    """The axis of steps first+1..T with their words, every n-th of many; a y axis goes down."""
    T = len(words)
    shown = range(first, T, every(T - first, MOST_WORDS))
    ends = first + 0.5, T + 0.5
    return Axis(
        title,
        range=ends if is_x else ends[::-1],
        ticks=[k + 1 for k in shown],
        labels=[words[k] for k in shown],
        is_upright=is_x and T > CROWDED,
    )


def lag_axis(longest: int) -> Axis:
    """The axis of lags 0..longest."""
    return Axis("lag n = t - k, in steps", every=whole_tick(longest))


def K_axis(T: int) -> Axis:
    """The logarithmic axis of K from 1 to T, with ticks at powers of two."""
    K = powers_of_two(T)
    return Axis("K", is_log=True, range=(0.9, T * 1.1), ticks=K, labels=[str(k) for k in K])


def log_range(values: Floats, below: float = 1, above: float = 1) -> tuple[float, float]:
    """The range from the least positive value / ``below`` to the greatest * ``above``.

    >>> import numpy as np
    >>> log_range(np.array([0.0, 0.5, 4.0, np.nan]), above=10)
    (0.5, 40.0)
    """
    values = values[(values >= FAR[0]) & (values <= FAR[1])]
    least, most = (values.min(), values.max()) if len(values) else (0.1, 1.0)
    return float(least / below), float(most * above)


def first_step(T: int) -> int:
    """The first step that the page shows, from 0."""
    return max(0, T - MOST_STEPS)


def every(n: int, most: int) -> int:
    """The least m such that every m-th of n are at most ``most``.

    >>> every(60, 60), every(61, 60)
    (1, 2)
    """
    return -(-n // most)


def whole_tick(largest: int) -> int:
    """The distance between whole ticks, of which there are about a dozen.

    >>> [whole_tick(n) for n in (3, 24, 60, 1000)]
    [1, 2, 5, 100]
    """
    steps = [m * 10**e for e in range(9) for m in (1, 2, 5)]
    return next((step for step in steps if step * 12 >= largest), largest)


def powers_of_two(largest: int) -> list[int]:
    """1, 2, 4, ... up to the largest.

    >>> powers_of_two(9)
    [1, 2, 4, 8]
    """
    return [2**e for e in range(largest.bit_length())]
