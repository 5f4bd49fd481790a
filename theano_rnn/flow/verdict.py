"""What a gradient flow says, in words: proved or seen to vanish or explode, why, and what helps.

Three things are kept apart. |J| <= gamma sigma_max(W) < 1 at every step *proves* that the gradient
vanishes. What it does on one text is *observed*: a rate per step. And where gamma sigma_max(W) is
1 or more, or no such bound is known, the bound is *silent*: it allows both, and proves neither.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from theano_rnn.common.types import Floats
from theano_rnn.flow.advice import advise
from theano_rnn.flow.decay import (
    LOST,
    SHORTEST,
    Rate,
    half_life_of,
    horizon_of,
    left_by_lag,
    rate_of,
    share_of_zeros,
)
from theano_rnn.flow.measures import Flow
from theano_rnn.flow.reasons import reasons
from theano_rnn.model.cells import CELLS

if TYPE_CHECKING:
    from theano_rnn.training.settings import Settings

PROVED, VANISHES, EXPLODES = "proved to vanish", "observed to vanish", "observed to explode"
DECAYS, KEPT, UNKNOWN = "decays slowly", "kept", "too short to say"
#: A gradient decays when less than this is left of it a step back, with two standard errors to
#: spare: it halves in less than 13 steps. It explodes when more than the inverse is.
KEEPS = 0.95


@dataclass(frozen=True)
class Verdict:
    """What a gradient flow says.

    Attributes
    ----------
    kind : str
        "proved to vanish", "observed to vanish", "observed to explode", "decays slowly" (1 % of it
        is not reached within this text), "kept", or "too short to say".
    observed : str
        The kind that this text alone shows: not "proved to vanish".
    words : str
        The same in a sentence or two, with the numbers.
    bound : float or None
        gamma sigma_max(W), where there is one.
    bound_says : str
        What it proves, or that it is silent.
    guaranteed : int or None
        The lag by which a bound below 1 leaves at most 1 % of any gradient.
    rate : float or None
        What is left of |dE_t/dh_k| a step further back: exp of the slope of its mean log by lag.
        ``words`` have the range of two standard errors around it.
    rate_start : float or None
        Of the fitted line rate_start * rate^n: its value at lag 0.
    half_life : float or None
        Steps until half of it is left (when it grows: until it has doubled).
    horizon : int or None
        The lag from which on less than 1 % of it is left, for lstm of what is there at lag 1; None
        if that is not in this text.
    zeros : float
        Share of the pairs t > k whose dE_t/dh_k is exactly 0.
    reasons, remedies : tuple of str
        Remedies are options of ``scripts/train.py``, which the settings do not have yet.
    """

    kind: str
    observed: str
    words: str
    bound: Optional[float]
    bound_says: str
    guaranteed: Optional[int]
    rate: Optional[float]
    rate_start: Optional[float]
    half_life: Optional[float]
    horizon: Optional[int]
    zeros: float
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]


def verdict(
    flow: Flow, settings: Optional["Settings"] = None, products: Optional[Floats] = None
) -> Verdict:
    """The verdict on a flow; never an error, however short the text or odd the numbers.

    Parameters
    ----------
    flow : Flow
    settings : Settings, optional
        Of the run: what it does already is not advised. Those of the network alone where not
        given.
    products : (T,) array, optional
        What is left of |ds_t/ds_k| by lag. Where given, it is said if it does not agree with the
        errors.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> model = RNN(7, 4, initialization="spectral:0.1")
    >>> verdict(Flow(model, [0, 3, 1, 2, 6], [3, 1, 2, 6, 5])).kind
    'proved to vanish'
    """
    left = left_by_lag(flow.norms, flow.first_lag)
    rate = rate_of(left, flow.first_lag)
    horizon = horizon_of(left)
    zeros = share_of_zeros(flow.norms)
    bound = flow.bound()
    observed = _observed(rate, horizon, zeros)
    kind = PROVED if bound is not None and bound < 1 else observed
    vanishes = kind in (PROVED, VANISHES, DECAYS)
    words = _words(kind, observed, rate, horizon, flow, zeros)
    if products is not None:
        words += _disagreement(horizon, products)
    return Verdict(
        kind=kind,
        observed=observed,
        words=words,
        bound=bound,
        bound_says=_bound_says(flow, bound),
        guaranteed=_guaranteed(bound),
        rate=None if rate is None else rate.rate,
        rate_start=None if rate is None else rate.start,
        half_life=None if rate is None else half_life_of(rate.rate),
        horizon=horizon,
        zeros=zeros,
        reasons=tuple(reasons(flow, vanishes, kind == EXPLODES)),
        remedies=tuple(map(str, advise(flow, vanishes, kind == EXPLODES, settings))),
    )


def _observed(rate: Optional[Rate], horizon: Optional[int], zeros: float) -> str:
    if rate is None:
        return UNKNOWN
    if zeros > 0.5 or horizon is not None:
        return VANISHES
    if rate.high < KEEPS:
        return DECAYS
    return EXPLODES if rate.low > 1 / KEEPS else KEPT


def _guaranteed(bound: Optional[float]) -> Optional[int]:
    """The lag n from which on bound^n is at most 1 %."""
    if bound is None or bound >= 1:
        return None
    return max(1, math.ceil(math.log(LOST) / math.log(bound))) if bound > 0 else 1


# ---- words


def _words(
    kind: str,
    observed: str,
    rate: Optional[Rate],
    horizon: Optional[int],
    flow: Flow,
    zeros: float,
) -> str:
    first = {
        VANISHES: "Observed to vanish, on this text.",
        DECAYS: f"Decays slowly; {LOST:.0%} is not reached within this text.",
        EXPLODES: "Observed to explode, on this text.",
        KEPT: "Neither clearly vanishes nor clearly explodes on this text: it is kept.",
        UNKNOWN: "Too short to say.",
    }[observed].replace("1%", "1 %")
    if kind == PROVED:
        first = f"Proved to vanish: no text can keep it. {first}"
    return " ".join([first, _of_rate(rate, flow.T, zeros), *_of_horizon(rate, horizon, flow)])


def _of_rate(rate: Optional[Rate], T: int, zeros: float) -> str:
    if rate is None:
        steps = f"{T} step{'s' * (T != 1)}"
        return f"The text has {steps}; a rate needs {SHORTEST} and errors that are not 0."
    if rate.rate == 0:
        return "Nothing of |dE_t/ds_k| is left one step back."
    others = f"{zeros:.0%} of the pairs t > k are exactly 0; of the others, a" if zeros else "A"
    said = f"{others} step back leaves {rate.rate:.3g} of |dE_t/ds_k| "
    said += f"({rate.low:.3g} to {rate.high:.3g}): "
    half_life = half_life_of(rate.rate)
    if math.isinf(half_life):
        return said + "neither half nor double."
    change, steps = "halves" if rate.rate < 1 else "doubles", f"{half_life:,.1f}"
    return f"{said}it {change} in {steps} step{'s' * (steps != '1.0')}."


def _of_horizon(rate: Optional[Rate], horizon: Optional[int], flow: Flow) -> list[str]:
    of = " of what is there at lag 1" if flow.first_lag else ""
    if horizon is not None:
        return [f"Less than 1 %{of} is left after {horizon} step{'s' * (horizon != 1)}."]
    if rate is not None and rate.rate < 1:
        return [f"More than 1 %{of} is left at the longest lag of this text, {flow.T - 1}."]
    return []


def _disagreement(horizon: Optional[int], products: Floats) -> str:
    """What is said where the errors and the products of Jacobians do not both reach 1 %."""
    other = horizon_of(products)
    if (other is None) == (horizon is None):
        return ""
    if other is None:
        return (
            " The products |ds_t/ds_k| do not fall below 1 %: they carry directions that the "
            "errors of this text do not have."
        )
    return (
        f" The products |ds_t/ds_k| do fall below 1 %, after {other} step{'s' * (other != 1)}: "
        "they are of fewer t, and the errors by lag are a mean over all outputs."
    )


def _bound_says(flow: Flow, bound: Optional[float]) -> str:
    cell = flow.architecture.cell
    gamma = CELLS[cell].gamma
    if bound is None or gamma is None:
        why = (
            f"none is known for {flow.architecture.layers} layers"
            if gamma is not None
            else f"none is known for the cell {cell}"
        )
        return f"The bound is silent: {why}."
    formula = f"gamma sigma_max(W) = {gamma:g} x {bound / gamma:.3g} = {bound:.3g}"
    if bound < 1:
        lag = _guaranteed(bound)
        return (
            f"The bound proves it: {formula} < 1, and no step's |ds_t/ds_{{t-1}}| exceeds it. "
            f"At most 1 % is left after {lag} step{'s' * (lag != 1)}, whatever the text."
        )
    return f"The bound is silent: {formula} >= 1, which proves neither."
