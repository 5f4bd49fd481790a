"""The verdict on a gradient flow, in words: does it vanish or explode, why, and what helps.

Three cases differ. |J| <= gamma sigma_max(W) < 1 at every step *proves* that the gradient
vanishes. On one text a rate per step is *observed*. If gamma sigma_max(W) is 1 or more, or no
such bound is known, the bound *proves nothing*: it allows both.
"""

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Callable, Optional

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
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.reasons import reasons
from theano_rnn.model.cells import CELLS

if TYPE_CHECKING:
    from theano_rnn.training.settings import Settings

PROVED, VANISHES, EXPLODES = "proved to vanish", "observed to vanish", "observed to explode"
DECAYS, KEPT, UNKNOWN = "decays slowly", "kept", "too short to say"
#: A gradient decays when each step back leaves less of it than this, by two standard errors: it
#: halves in less than 13 steps. It explodes when each step leaves more than the inverse.
KEEPS = 0.95


@dataclass(frozen=True)
class Verdict:
    """The verdict on a gradient flow.

    Attributes
    ----------
    kind : str
        "proved to vanish", "observed to vanish", "observed to explode", "decays slowly" (but not
        to 1 % within this text), "kept", or "too short to say".
    observed : str
        The kind that this text alone shows, never "proved to vanish".
    words : str
        The same in a few sentences, with the numbers.
    bound : float or None
        ``Flow.bound``.
    bound_says : str
        What the bound proves, or that it proves nothing here.
    guaranteed : int or None
        The lag by which a bound below 1 leaves at most 1 % of any gradient.
    rate : float or None
        The share of |dE_t/dh_k| that each step back leaves: exp of the slope of its mean log by
        lag. ``words`` give the range of two standard errors around it.
    rate_start : float or None
        The value at lag 0 of the fitted line rate_start * rate^n.
    half_life : float or None
        Steps until half of it is left; if it grows, until it has doubled.
    horizon : int or None
        The lag from which on less than 1 % of it is left, for lstm less than 1 % of the error at
        lag 1; None where this text has no such lag.
    zeros : float
        Share of the pairs t > k whose dE_t/dh_k is exactly 0.
    reasons : tuple of str
    remedies : tuple of str
        Options of ``scripts/train.py`` that would help and are not set yet, each with its effect.
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

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        said = f"<b>{escape(self.kind)}</b><br>{escape(self.words)}<br>{escape(self.bound_says)}"
        return f"<p>{said}</p>{self.lists_html()}"

    def lists_html(self, written: Callable[[str], str] = escape) -> str:
        """The reasons and the remedies as lists of HTML; ``written`` turns a text into HTML."""
        parts = []
        for title, lines in ("Because", self.reasons), ("What helps", self.remedies):
            if lines:
                items = "".join(f"<li>{written(line)}</li>" for line in lines)
                parts.append(f"<p>{title}</p><ul>{items}</ul>")
        return "".join(parts)


def verdict(
    flow: Measures, settings: Optional["Settings"] = None, products: Optional[Floats] = None
) -> Verdict:
    """The verdict on a flow, however short the text or odd the numbers.

    Parameters
    ----------
    flow : Flow
    settings : Settings, optional
        The settings of the run: the verdict does not advise what they already do. By default
        only those of the network.
    products : (T,) array, optional
        The share of |ds_t/ds_k| left by lag: the words tell if it disagrees with the errors.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from theano_rnn import RNN, Flow
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
    flow: Measures,
    zeros: float,
) -> str:
    first = {
        VANISHES: "The gradient is observed to vanish on this text.",
        DECAYS: "The gradient decays slowly, and does not fall to 1 % within this text.",
        EXPLODES: "The gradient is observed to explode on this text.",
        KEPT: "The gradient is kept on this text: it neither clearly vanishes nor explodes.",
        UNKNOWN: "The text is too short to say.",
    }[observed]
    if kind == PROVED:
        first = f"The gradient is proved to vanish on any text. {first}"
    return " ".join([first, _of_rate(rate, flow.T, zeros), *_of_horizon(rate, horizon, flow)])


def _of_rate(rate: Optional[Rate], T: int, zeros: float) -> str:
    if rate is None:
        steps = f"{T} step{'s' * (T != 1)}"
        return f"A rate needs {SHORTEST} steps and errors other than 0; this text has {steps}."
    if rate.rate == 0:
        return "Nothing of |dE_t/ds_k| is left one step back."
    others = f"{zeros:.0%} of the pairs t > k are exactly 0; for the others, e" if zeros else "E"
    said = f"{others}ach step back leaves {rate.rate:.3g} of |dE_t/ds_k| "
    said += f"({rate.low:.3g} to {rate.high:.3g}): "
    half_life = half_life_of(rate.rate)
    if math.isinf(half_life):
        return said + "it neither halves nor doubles."
    change, steps = "halves" if rate.rate < 1 else "doubles", f"{half_life:,.1f}"
    return f"{said}it {change} in {steps} step{'s' * (steps != '1.0')}."


def _of_horizon(rate: Optional[Rate], horizon: Optional[int], flow: Measures) -> list[str]:
    of = " of the error at lag 1" if flow.first_lag else ""
    if horizon is not None:
        return [f"Less than 1 %{of} is left after {horizon} step{'s' * (horizon != 1)}."]
    if rate is not None and rate.rate < 1:
        return [f"More than 1 %{of} is left at the longest lag of this text, {flow.T - 1}."]
    return []


def _disagreement(horizon: Optional[int], products: Floats) -> str:
    """A sentence where only one of the errors and the products of Jacobians falls below 1 %."""
    other = horizon_of(products)
    if (other is None) == (horizon is None):
        return ""
    if other is None:
        return (
            " The products |ds_t/ds_k| do not fall below 1 %: they keep directions in which no "
            "error of this text points."
        )
    return (
        f" The products |ds_t/ds_k| do fall below 1 %, after {other} step{'s' * (other != 1)}: "
        "they start from a few t, and the errors by lag are a mean over all outputs."
    )


def _bound_says(flow: Measures, bound: Optional[float]) -> str:
    cell = flow.architecture.cell
    gamma = CELLS[cell].gamma
    if bound is None or gamma is None:
        why = (
            f"none is known for {flow.architecture.layers} layers"
            if gamma is not None
            else f"none is known for the cell {cell}"
        )
        return f"The bound proves nothing here: {why}."
    formula = f"gamma sigma_max(W) = {gamma:g} x {bound / gamma:.3g} = {bound:.3g}"
    if bound < 1:
        lag = _guaranteed(bound)
        return (
            f"The bound proves it: {formula} < 1, and |ds_t/ds_{{t-1}}| exceeds it at no step. "
            f"At most 1 % is left after {lag} step{'s' * (lag != 1)}, whatever the text."
        )
    return f"The bound proves nothing here: {formula} >= 1."
