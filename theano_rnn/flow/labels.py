"""What to call a gradient flow, from what was seen of it.

A label depends on what was seen, not on the number of steps: two texts of one network that show
the same rate get the same label, or one of them is too short to say. Both directions have the
same criteria, but for errors that are exactly 0. A gradient that grows and is then lost vanishes,
and how far it grows (``Evidence.surge``) is told too.

====================  ===========================================================================
proved to vanish      gamma sigma_max(W) < 1, whatever the text
observed to vanish    less than 1 % is left; or less than 10 % is, and at the rate seen it will be
                      less than 1 % at lag 90, as 0.95^90 is, and the curve does not level off; or
                      more than half of the errors before their own step are exactly 0
decays slowly         each step leaves less than all of it, but not so little
kept                  each step leaves all, and at the longest lags it neither halves nor doubles
grows slowly          each step adds to it, but not so much
observed to explode   more than 100 times as much; or as for vanishing, with the inverse
too short to say      else
====================  ===========================================================================

Of a text with 13 lags or more, half is enough in the place of 10 %, if its last third goes on at
the same rate. A slow rate, and none, need so many lags too.
"""

import math
from typing import Optional

from theano_rnn.flow.decay import LOST
from theano_rnn.flow.evidence import Evidence, Range

PROVED, VANISHES, EXPLODES = "proved to vanish", "observed to vanish", "observed to explode"
DECAYS, GROWS, KEPT, UNKNOWN = "decays slowly", "grows slowly", "kept", "too short to say"
#: A gradient vanishes when less than 1 % of it is left at this lag, and explodes when it has
#: grown 100-fold: it halves, or doubles, in 14 steps (0.95 or 1.05 a step).
WITHIN = 90
#: The lags that a text needs for a slow rate: so many may halve it.
SLOW_LAGS = 13
#: A half-life beyond this number of steps is none.
ENDLESS = 1000.0


def label_of(e: Evidence) -> str:
    """The label of what was seen; never "proved to vanish"."""
    if e.last is None or e.rate is None:
        return UNKNOWN
    if e.zeros > 0.5 or e.horizon is not None:
        return VANISHES
    if e.grown is not None:
        return EXPLODES
    if is_none(e.rate):
        return KEPT if _is_kept(e) else UNKNOWN
    falls = e.last.rate < 1
    is_long = e.longest - e.first >= SLOW_LAGS and is_steady(e)
    if is_fast(e, e.last.rate):
        is_seen = _change(e, falls) >= math.log(2 if is_long else 10)
        if not is_seen or levels_off(e) or not is_fast(e, _end(e.tail, not falls)):
            return UNKNOWN
        return VANISHES if falls else EXPLODES
    if not is_long or is_fast(e, _end(e.tail, falls)):
        return UNKNOWN
    return DECAYS if falls else GROWS


def is_none(rate: Range) -> bool:
    """Whether a rate may be 1, or is as good as 1."""
    least = math.log(2) / ENDLESS
    return rate.low <= 1 <= rate.high or max(abs(math.log(r)) for r in rate) < least


def is_fast(e: Evidence, rate: float) -> bool:
    """Whether less than 1 %, or more than 100 times as much, would be there at lag 90.

    Parameters
    ----------
    e : Evidence
    rate : float
        At which it goes on from the longest lag.
    """
    assert e.last is not None
    log = math.log(e.left[-1]) + max(0, WITHIN - e.longest) * math.log(rate)
    return (-log if e.last.rate < 1 else log) > math.log(1 / LOST)


def _end(tail: Optional[Range], high: bool) -> float:
    """One end of the range of the tail; of a tail without one the rate 1."""
    return 1.0 if tail is None else tail.high if high else tail.low


def _change(e: Evidence, falls: bool) -> float:
    """The log by which it has fallen, or grown, at the longest lag: of the mean and of the line.

    The smaller of the two.
    """
    assert e.last is not None
    mean = math.log(e.left[-1])
    fitted = math.log(e.last.start) + e.longest * math.log(e.last.rate)
    return min(-mean, -fitted) if falls else min(mean, fitted)


def levels_off(e: Evidence) -> bool:
    """Whether the curve seems to end above 1 %, or below 100 times as much."""
    return e.levels is not None and e.levels > LOST


def is_steady(e: Evidence) -> bool:
    """Whether the last third of the lags goes on as the last piece does.

    Their ranges overlap, or the logs of the rates are within a factor of two.
    """
    assert e.rate is not None
    if e.bends or e.tail is None:
        return False
    if e.tail.low <= e.rate.high and e.rate.low <= e.tail.high:
        return True
    if is_none(e.tail) or is_none(e.rate):
        return is_none(e.tail) and is_none(e.rate)
    tail, rate = (sum(map(math.log, of)) for of in (e.tail, e.rate))
    return 0.5 < tail / rate < 2


def _is_kept(e: Evidence) -> bool:
    """Whether it neither halves nor doubles, and does not begin to.

    What is lost before the last of two pieces does not count.
    """
    assert e.rate is not None and e.last is not None
    n = e.longest - e.last.first
    ends = [e.rate.low**n, e.rate.high**n]
    if len(e.pieces) == 1:
        ends.append(float(e.left[-1]))
    return n >= SLOW_LAGS and all(0.5 < end < 2 for end in ends) and is_steady(e)
