"""A verdict in sentences: what was seen by lag, and what the bound proves."""

import math
from collections.abc import Iterator
from typing import Optional

from theano_rnn.flow.decay import LOST, SHORTEST, half_life_of
from theano_rnn.flow.evidence import Evidence, Range
from theano_rnn.flow.labels import (
    DECAYS,
    EXPLODES,
    GROWS,
    KEPT,
    PROVED,
    SLOW_LAGS,
    UNKNOWN,
    VANISHES,
    is_fast,
    is_none,
    is_steady,
    levels_off,
)
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cells import CELLS

NO_ERROR = "The errors of all outputs are 0: there is nothing to follow back."
#: A bound this near to 1 is 1: float32 rounds an orthogonal W to it.
ROUNDED = 1e-6


def words_of(kind: str, observed: str, e: Evidence, parts: dict[str, float]) -> str:
    """What is proved and what is seen, with the numbers.

    Parameters
    ----------
    kind, observed : str
        As in ``Verdict``.
    e : Evidence
    parts : dict
        ``Verdict.parts``.
    """
    if not e.left.any():
        return NO_ERROR
    said = [_first(observed, e)]
    if kind == PROVED:
        said.insert(0, "The gradient is proved to vanish on any text.")
    said += [*_of_rate(e), *_of_end(e)]
    if observed == UNKNOWN:
        said += _why_unknown(e)
    if parts:
        each = " and ".join(f"{rate:.3g} of that of {name}" for name, rate in parts.items())
        said.append(f"Taken apart, each step back leaves {each}.")
    return " ".join(said)


def _first(observed: str, e: Evidence) -> str:
    this, has, reach = "this text", "is", "reaches"
    if e.texts > 1:
        this, has, reach = f"these {e.texts} texts", "are", "reach"
    seen = {
        VANISHES: f"The gradient is observed to vanish on {this}.",
        EXPLODES: f"The gradient is observed to explode on {this}.",
        DECAYS: f"The gradient decays slowly, and does not fall to 1 % as far as {this} {reach}.",
        GROWS: f"The gradient grows slowly, and not 100-fold as far as {this} {reach}.",
        KEPT: f"The gradient is kept on {this}: it neither clearly decays nor grows.",
        UNKNOWN: f"{this[0].upper()}{this[1:]} {has} too short to say how the gradient goes on.",
    }[observed]
    if observed == VANISHES and e.horizon is None and e.zeros <= 0.5:
        return f"The gradient vanishes, but {this} {has} too short to see 1 % left."
    if observed == EXPLODES and e.grown is None:
        return f"The gradient explodes, but {this} {has} too short to see 100 times as much."
    return seen


def _of_rate(e: Evidence) -> Iterator[str]:
    last = e.last
    if last is None or e.rate is None:
        needed, most = SHORTEST + e.first, len(e.left)
        yield f"A rate needs {needed} steps up to an output that has an error; here it is {most}."
        return
    if last.rate == 0:
        yield "Nothing of |dE_t/ds_k| is left one step back."
        return
    who = "Each step back"
    if e.zeros:
        zeros = f"{e.zeros:.0%}" if e.zeros >= 0.005 else "fewer than 1 %"
        who = f"{zeros} of the pairs t > k are exactly 0; for the others, each step back"
    if len(e.pieces) > 1:
        early = e.pieces[0]
        yield (
            f"One rate does not fit. {who} leaves {early.rate:.3g} of |dE_t/ds_k| up to lag "
            f"{early.last}, and {last.rate:.3g} from there on{_ranges(e)}, by lines fitted to its "
            f"mean logarithm by lag: in the end it {_changes(last.rate)}."
        )
        return
    yield (
        f"{who} leaves {last.rate:.3g} of |dE_t/ds_k|{_ranges(e)}, by a line fitted to its mean "
        f"logarithm by lag: it {_changes(last.rate)}."
    )


def _ranges(e: Evidence) -> str:
    """How sure the rate is, and how much texts differ; nothing where no digit shows it."""
    assert e.rate is not None and e.last is not None
    if e.texts == 1:
        shown = _shown(e.rate)
        is_same = shown in ("", f"{e.last.rate:.3g}")
        return "" if is_same else f" ({shown} in parts of this text)"
    said = f"{_shown(e.rate)} in 95 % of the draws of {e.texts} texts"
    return f" ({said}{'; single texts: ' + _shown(e.spread) if e.spread else ''})"


def _shown(of: Range) -> str:
    low, high = f"{of.low:.3g}", f"{of.high:.3g}"
    return low if low == high else f"{low} to {high}"


def _changes(rate: float) -> str:
    half_life = half_life_of(rate)
    if math.isinf(half_life):
        return "neither halves nor doubles"
    change, steps = "halves" if rate < 1 else "doubles", f"{half_life:,.1f}"
    return f"{change} in {steps} step{'s' * (steps != '1.0')}"


def _of_end(e: Evidence) -> Iterator[str]:
    """What is left at the end, or since when less than 1 % or more than 100 times is."""
    if e.last is None:
        return
    of = " of the error at lag 1" if e.first else ""
    if e.horizon is not None:
        between = ""
        if e.horizons is not None and e.horizons[0] < e.horizons[1]:
            between = f" ({e.horizons[0]} to {e.horizons[1]} in 95 % of the draws)"
        yield f"Less than 1 %{of} is left after {steps_of(e.horizon)}{between}."
        if e.surge is not None:
            yield f"Before that it grows: {share_of(float(e.left[e.surge]))} at lag {e.surge}."
        return
    if e.grown is not None:
        times = f"More than 100 times{' the error at lag 1' if e.first else ' as much'}"
        yield f"{times} is there after {steps_of(e.grown)}."
        return
    where = f"At the longest lag{'' if e.texts == 1 else ' that counts'}, {e.longest},"
    left = float(e.left[-1])
    yield f"{where} {share_of(left)}{of} is {'left' if left <= 1 else 'there'}."


def share_of(left: float) -> str:
    """A share in words.

    >>> share_of(0.0221), share_of(0.25), share_of(0.9996), share_of(1.0), share_of(1.25)
    ('2.2 %', '25 %', '99.96 %', '100 %', '1.25 times as much')
    """
    if left > 1.0000005:
        form = ".7g" if left < 1.005 else ",.0f" if 1000 <= left < 1e15 else ",.3g"
        return f"{left:{form}} times as much"
    digits = 2 if left < 0.99 else 4
    return f"{100 * left:.{digits}g} %"


def _why_unknown(e: Evidence) -> Iterator[str]:
    if e.rate is None or e.last is None:
        return
    if not is_none(e.rate) and is_fast(e, e.last.rate):
        if levels_off(e) and e.levels is not None:
            end = f"below {100 * e.levels:.2g} %"
            if e.last.rate > 1:
                end = f"beyond {1 / e.levels:.2g} times as much"
            yield f"It slows down, and may never come {end}."
        else:
            yield (
                "The gradient has changed too little on this text to show that it goes on at this "
                "rate."
            )
    elif e.longest - e.first < SLOW_LAGS:
        yield (
            f"A rate so near to 1 needs {SLOW_LAGS} lags at least; the longest here is "
            f"{e.longest}."
        )
    elif not is_steady(e):
        yield "The longest lags do not go on at this rate."
    else:
        shown = _shown(e.rate)
        if " to " in shown:
            yield f"Any rate from {shown} a step is possible."
        else:
            yield "What comes after the bend is too short to tell."


def steps_of(lag: int) -> str:
    """A number of steps.

    >>> steps_of(1), steps_of(2)
    ('1 step', '2 steps')
    """
    return f"{lag:,} step{'s' * (lag != 1)}"


def disagreement(horizon: Optional[int], other: Optional[int]) -> str:
    """A sentence where only one of the errors and the products of Jacobians falls below 1 %."""
    if (other is None) == (horizon is None):
        return ""
    if other is None:
        return (
            " The products |ds_t/ds_k| do not fall below 1 %: they keep directions in which no "
            "error of this text points."
        )
    return (
        f" The products |ds_t/ds_k| do fall below 1 %, after {steps_of(other)}: "
        "they start from a few t, and the errors by lag are a mean over all outputs."
    )


# ---- the bound


def is_below_one(bound: Optional[float]) -> bool:
    """Whether the bound proves that the gradient vanishes."""
    return bound is not None and bound < 1 - ROUNDED


def is_at_most_one(bound: Optional[float]) -> bool:
    """Whether the bound proves that the gradient cannot explode."""
    return bound is not None and bound <= 1 + ROUNDED


def guaranteed_by(bound: Optional[float]) -> Optional[int]:
    """The lag n from which on bound^n is at most 1 %."""
    if bound is None or not is_below_one(bound):
        return None
    return max(1, math.ceil(math.log(LOST) / math.log(bound))) if bound > 0 else 1


def bound_says(architecture: Architecture, bound: Optional[float]) -> str:
    """What the bound proves, or that it proves nothing here."""
    cell = CELLS[architecture.cell]
    gamma = cell.gamma
    if bound is None:
        is_of_layers = gamma is not None or not cell.has_W
        of = f"{architecture.layers} layers" if is_of_layers else f"the cell {architecture.cell}"
        return f"No bound is known for {of}, so nothing is proved."
    if gamma is None:
        gate = cell.carry_gate
        formula = f"ds_t/ds_{{t-1}} = diag({gate}_t), and no {gate} exceeds 1"
    else:
        formula = f"gamma sigma_max(W) = {gamma:g} x {bound / gamma:.3g} = {bound:.3g}"
    lag = guaranteed_by(bound)
    if lag is not None:
        return (
            f"The bound proves it: {formula} < 1, and |ds_t/ds_{{t-1}}| exceeds it at no step. "
            f"At most 1 % is left after {steps_of(lag)}, whatever the text."
        )
    if is_at_most_one(bound):
        return (
            f"The bound proves that the gradient cannot explode: {formula}, so that no "
            "|ds_t/ds_k| exceeds 1, whatever the text. It does not prove that it vanishes."
        )
    return f"The bound proves nothing here: {formula} > 1."
