"""What a gradient flow says, in words: proved or seen to vanish or explode, why, and what helps.

Three things are kept apart. |J| <= gamma sigma_max(W) < 1 at every step *proves* that the gradient
vanishes. What it does on one text is *observed*: a rate per step. And where gamma sigma_max(W) is
1 or more, or no such bound is known, the bound is *silent*: it allows both, and proves neither.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from theano_rnn.cells import CELLS
from theano_rnn.flow.measures import GAMMA, Flow
from theano_rnn.types import Floats

PROVED, VANISHES, EXPLODES = "proved to vanish", "observed to vanish", "observed to explode"
KEPT, UNKNOWN = "kept", "too short to say"
#: A gradient vanishes when less than this is left of it a step back, with two standard errors to
#: spare: it halves in less than 13 steps. It explodes when more than the inverse is.
KEEPS = 0.95
#: The horizon is where the gradient falls below this share of its value at lag 0.
LOST = 0.01
#: So many steps are needed for a rate.
SHORTEST = 3
#: Below it a number has lost digits to the smallest that float64 can hold.
SMALLEST = 1e-290


class Rate(NamedTuple):
    """The line start * rate^n, fitted to what is left at lag n.

    ``low`` and ``high`` are two standard errors of the slope away from the rate.
    """

    rate: float
    low: float
    high: float
    start: float


@dataclass(frozen=True)
class Verdict:
    """What a gradient flow says.

    Attributes
    ----------
    kind : str
        "proved to vanish", "observed to vanish", "observed to explode", "kept", or "too short to
        say".
    words : str
        The same in a sentence or two, with the numbers.
    bound : float or None
        gamma sigma_max(W), where there is one.
    bound_says : str
        What it proves, or that it is silent.
    rate : float or None
        What is left of |dE_t/dh_k| a step further back: exp of the slope of its mean log by lag.
        ``words`` have the range of two standard errors around it.
    rate_start : float or None
        Of the fitted line rate_start * rate^n: its value at lag 0.
    half_life : float or None
        Steps until half of it is left (when it grows: until it has doubled).
    horizon : int or None
        The lag from which on less than 1 % of it is left; None if that is not in this text.
    zeros : float
        Share of the pairs t > k whose dE_t/dh_k is exactly 0.
    reasons, remedies : tuple of str
        Remedies are options of ``scripts/train.py``.
    """

    kind: str
    words: str
    bound: Optional[float]
    bound_says: str
    rate: Optional[float]
    rate_start: Optional[float]
    half_life: Optional[float]
    horizon: Optional[int]
    zeros: float
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]


def verdict(flow: Flow) -> Verdict:
    """The verdict on a flow; never an error, however short the text or odd the numbers.

    Parameters
    ----------
    flow : Flow

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
    left = left_by_lag(flow.norms)
    rates = rate_of(left)
    rate = None if rates is None else rates.rate
    horizon = horizon_of(left)
    zeros = share_of_zeros(flow.norms)
    bound = flow.bound()
    kind = _kind(bound, rates, horizon, zeros)
    half_life = None if rate is None else half_life_of(rate)
    bound_says = _bound_says(flow, bound)
    return Verdict(
        kind=kind,
        words=_words(kind, rates, horizon, flow.T, zeros),
        bound=bound,
        bound_says=bound_says,
        rate=rate,
        rate_start=None if rates is None else rates.start,
        half_life=half_life,
        horizon=horizon,
        zeros=zeros,
        reasons=tuple(_reasons(flow, kind)),
        remedies=tuple(_remedies(flow, kind)),
    )


# ---- numbers


def left_by_lag(norms: Floats) -> Floats:
    """What is left of |dE_t/dh_k| at lag n = t - k: the geometric mean over t, by lag, (T,).

    Each output counts by its own |dE_t/dh_t|, so that those that err much do not drown the
    others. Pairs that are exactly 0 or not finite are left out; where none is left, 0.

    >>> left_by_lag(np.array([[1.0, 0.0], [4.0, 8.0]]))
    array([1. , 0.5])
    """
    T, left = len(norms), np.zeros(len(norms))
    with np.errstate(all="ignore"):
        logs = np.log(norms) - np.log(np.diag(norms))[:, None]
    logs[~(norms > SMALLEST) | ~np.isfinite(logs)] = np.nan
    for lag in range(T):
        found = np.diagonal(logs, -lag)
        found = found[np.isfinite(found)]
        left[lag] = np.exp(np.clip(found.mean(), -700, 700)) if len(found) else 0.0
    return left


def rate_of(left: Floats) -> Optional[Rate]:
    """The line through log left, each lag weighted by its number of pairs; None where there is none.

    >>> [round(float(number), 12) for number in rate_of(3 * 0.5 ** np.arange(6))]
    [0.5, 0.5, 0.5, 3.0]
    """
    T = len(left)
    n = np.flatnonzero(left > 0)
    if T < SHORTEST or len(n) == 0:
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
    """Steps in which a gradient of this rate halves, or doubles; inf if it does neither.

    >>> half_life_of(0.5), half_life_of(2.0), half_life_of(0.0), half_life_of(1.0)
    (1.0, 1.0, 0.0, inf)
    """
    if rate <= 0:
        return 0.0
    return math.log(2) / abs(math.log(rate)) if rate != 1 else math.inf


def horizon_of(left: Floats) -> Optional[int]:
    """The lag from which on less than 1 % is left; None where 1 % is left at the last.

    >>> horizon_of(np.array([1, 0.1, 0.001, 0.1, 0.001, 0.0005])), horizon_of(np.ones(5))
    (4, None)
    """
    seen = np.flatnonzero(left >= LOST)
    lag = int(seen[-1]) + 1 if len(seen) else 0
    return lag if lag < len(left) else None


def share_of_zeros(norms: Floats) -> float:
    """Of the pairs t > k, those whose error is exactly 0."""
    below = norms[np.tril_indices(len(norms), -1)]
    return float((below == 0).mean()) if len(below) else 0.0


def _kind(
    bound: Optional[float], rates: Optional[Rate], horizon: Optional[int], zeros: float
) -> str:
    if bound is not None and bound < 1:
        return PROVED
    if rates is None:
        return UNKNOWN
    if rates.high < KEEPS or zeros > 0.5 or horizon is not None:
        return VANISHES
    return EXPLODES if rates.low > 1 / KEEPS else KEPT


# ---- words


def _words(kind: str, rates: Optional[Rate], horizon: Optional[int], T: int, zeros: float) -> str:
    if rates is None:
        observed = (
            f"The text has {T} step{'s' * (T != 1)}; a rate needs {SHORTEST} and errors that are "
            "not 0."
        )
    elif rates.rate == 0:
        observed = "Nothing of |dE_t/ds_k| is left one step back."
    else:
        others = (
            f"{zeros:.0%} of the pairs t > k are exactly 0; of the others, a" if zeros else "A"
        )
        observed = f"{others} step back leaves {rates.rate:.3g} of |dE_t/ds_k| "
        observed += f"({rates.low:.3g} to {rates.high:.3g}): "
        half_life = half_life_of(rates.rate)
        if math.isinf(half_life):
            observed += "neither half nor double."
        else:
            change = "halves" if rates.rate < 1 else "doubles"
            observed += f"it {change} in {half_life:,.1f} step{'s' * (half_life != 1)}."
    if horizon is not None:
        observed += f" Less than 1 % is left after {horizon} step{'s' * (horizon != 1)}."
    elif rates is not None and rates.rate < 1:
        observed += f" More than 1 % is left at the longest lag of this text, {T - 1}."
    first = {
        PROVED: "Proved to vanish: no text can keep it.",
        VANISHES: "Observed to vanish, on this text.",
        EXPLODES: "Observed to explode, on this text.",
        KEPT: "Neither clearly vanishes nor clearly explodes on this text: it is kept.",
        UNKNOWN: "Too short to say.",
    }[kind]
    return f"{first} {observed}"


def _bound_says(flow: Flow, bound: Optional[float]) -> str:
    cell = flow.architecture.cell
    if bound is None:
        why = (
            f"none is known for {flow.architecture.layers} layers"
            if cell in GAMMA
            else f"none is known for the gates of {cell}"
        )
        return f"The bound is silent: {why}."
    formula = f"gamma sigma_max(W) = {GAMMA[cell]:g} x {bound / GAMMA[cell]:.3g} = {bound:.3g}"
    if bound < 1:
        return f"The bound proves it: {formula} < 1, and no step's |ds_t/ds_t-1| exceeds it."
    return f"The bound is silent: {formula} >= 1, which proves neither."


def _reasons(flow: Flow, kind: str) -> list[str]:
    """What was found that explains it."""
    a, found = flow.architecture, flow.saturation()
    vanishes = kind in (PROVED, VANISHES)
    told = []
    if not np.isfinite(flow.norms).all():
        told.append("some errors are not finite: they overflow float64")
    if vanishes and a.cell in ("tanh", "sigmoid"):
        if found["saturated"] > 0.25:
            told.append(f"saturation: {found['saturated']:.0%} of the states are at their ends")
        if a.cell == "sigmoid":
            told.append(f"sigma' is at most 1/4: {found['derivative']:.3f} on average here")
        elif found["derivative"] < 0.5:
            told.append(f"tanh' is {found['derivative']:.3f} on average, at most 1")
    if a.cell == "relu" and vanishes:
        if found["dead"] > 0:
            told.append(f"dead ReLUs: {found['dead']:.0%} of the units are 0 at every word")
        if found["derivative"] < 0.9:
            told.append(
                f"ReLU's derivative is 1 at {found['derivative']:.0%} of the states, 0 else"
            )
    if a.cell in GAMMA:
        told.extend(_of_spectra(flow, kind))
    keeps = CELLS[a.cell].keeps
    if keeps is not None and vanishes:
        for layer, gate in enumerate(flow.gates[keeps], start=1):
            told.append(
                f"layer {layer}: the gate that keeps, {keeps}, is {gate.mean():.2f} on average "
                f"and below .1 in {(gate < 0.1).mean():.0%}: that much is carried a "
                "step back"
            )
        for name, (closed, _) in found["gates"].items():
            if name != keeps and closed > 0.25:
                told.append(f"the gate {name} is closed (below .1) in {closed:.0%} of its values")
    if vanishes and not told:
        told.append(
            "no single one: derivatives and matrices allow more, but the products of different "
            "steps' Jacobians do not line up"
        )
    return told


def _of_spectra(flow: Flow, kind: str) -> Iterator[str]:
    for name, found in flow.spectra().items():
        radius, sigma = found["spectral_radius"], found["sigma_max"]
        both = f"the spectral radius of {name} is {radius:.3g}, sigma_max {sigma:.3g}"
        if kind in (PROVED, VANISHES) and radius * GAMMA[flow.architecture.cell] < 1:
            yield f"{both}: W by itself forgets"
        elif kind in (PROVED, VANISHES):
            yield f"{both}: W by itself would not forget; the derivatives make it"
        elif kind == EXPLODES and sigma > 1:
            yield f"{both}: the products can grow, and do"


def _remedies(flow: Flow, kind: str) -> Iterator[str]:
    """Options of train.py that go against it."""
    a, found = flow.architecture, flow.saturation()
    if kind == EXPLODES:
        yield "--clip 1 --clip-by norm: the step stays bounded, the direction is kept"
        yield "--initialization orthogonal or spectral:1: products begin without growth"
        yield "--l2 1e-5: W stays small"
    if kind not in (PROVED, VANISHES):
        return
    if CELLS[a.cell].keeps is None:
        if a.cell == "sigmoid":
            yield "--cell tanh: a derivative of up to 1 instead of 1/4"
        if a.cell in ("tanh", "sigmoid") and found["saturated"] > 0.25:
            yield "--l2 1e-4, a smaller --learning-rate or --clip: states away from the ends"
        if a.cell == "relu":
            yield "--initialization identity --clip 1: a unit that is on keeps all of it"
        else:
            yield "--initialization orthogonal: products of W begin at norm 1"
            yield "--cell relu --initialization identity: a unit that is on keeps all of it"
        yield "--omega 2: a term of the loss that keeps the norm from step to step"
        yield "--cell lstm --bias, or --cell gru: gates that keep the state"
    elif a.cell == "lstm" and not a.bias:
        yield "--bias: the forget gate's begins at 1, and f at .73 instead of .5"
    elif a.cell == "lstm":
        yield "more --epochs, and a --truncation of longer reach: f is learned"
    else:
        yield "--cell lstm --bias: a forget gate that begins open"
