"""All that a report shows of one flow, measured once; drawing it computes nothing more."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from theano_rnn.common.types import Floats, Ints, Record
from theano_rnn.flow.curves import operating_points
from theano_rnn.flow.decay import geometric_mean, left_by_lag
from theano_rnn.flow.exponents import Exponent
from theano_rnn.flow.jacobians import Spectra
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.pairs import by_lag
from theano_rnn.flow.pool import Pool
from theano_rnn.flow.states import Saturation
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.model.cells import CELLS
from theano_rnn.training.settings import NETWORK, Settings

#: At most this many K are tried under each truncation scheme.
MOST_K = 30
SCHEMES = ("window", "chunk", "last")


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report shows.

    Attributes
    ----------
    name : str
        The name of the model in the report.
    cell : str
    layers : int
    inputs, targets : list of str
        The word that each step reads, and the word to predict there.
    losses : (T,) or None
        E_t of each word, in nats; None for a loss given by its gradient.
    verdict : Verdict
        On the flow, or on a sample of texts.
    norms : (T, T)
        |dE_t/ds_k|, t rows; NaN above the diagonal.
    shares : (T, T)
        The share of each pair in dE/dW, all W together if there are more layers. Here and below
        a cell without W has dE/dU.
    lags : int
        Lags are shown from 0 to this one.
    left : (T,)
        The share of |dE_t/ds_k| left, by lag, as ``decay.left_by_lag`` returns it.
    products : (ends, T)
        |ds_t/ds_{t-n}| by lag n, for some ends t.
    bound, radius : float or None
        ``Flow.bound``, and gamma times the spectral radius of W, for one plain layer.
    carried : (layers, T) or None
        The norm of the part of the products that the carry gate makes: ``Flow.identity_path``.
    contributions : (T,)
        Share of dE/dW by lag.
    K : list of int
    cosines : dict
        By "window", "chunk", "last": for each K the cosine of dE/dW with the full dE/dW.
    truncation, cosine, ratio
        The scheme of the training, the cosine of its dE/dW with the full dE/dW, and |truncated|
        / |full|.
    ratios : dict
        As ``cosines``, with |truncated| / |full|.
    wanted : float or None
        The cosine that the user asked for.
    lasting, first : dict
        By "window" and "chunk": ``Flow.smallest_K`` and ``Flow.first_K`` of this cosine.
    is_trained : bool
        Whether the network is from a run; otherwise it has its initial parameters.
    one_step : dict
        Of the norms |ds_t/ds_{t-1}|: "mean", "max", and "above_1", the share that exceeds 1.
    saturation : dict
        As ``Flow.saturation``.
    spectra : dict
        As ``Flow.spectra``.
    live, omega : float
        As ``Flow.live_steps`` and ``Flow.omega``.
    exponent : Exponent
        As ``Flow.exponent``.
    curves : dict
        ``operating_points``: z (T, n) by the name of a curve ("tanh", "gate f", ...).
    open : (units, T)
        phi'(z) of each unit, or with gates its carry gate; the least open unit first.
    open_name : str
        The name of what ``open`` holds.
    is_text : bool
        Whether the network reads tokens, not vectors of real numbers.
    """

    name: str
    cell: str
    layers: int
    inputs: list[str]
    targets: list[str]
    losses: Optional[Floats]
    verdict: Verdict
    norms: Floats
    shares: Floats
    lags: int
    left: Floats
    products: Floats
    bound: Optional[float]
    radius: Optional[float]
    carried: Optional[Floats]
    contributions: Floats
    K: list[int]
    cosines: dict[str, list[float]]
    truncation: str
    cosine: float
    ratio: float
    ratios: dict[str, list[float]]
    wanted: Optional[float]
    lasting: dict[str, int]
    first: dict[str, int]
    is_trained: bool
    one_step: dict[str, float]
    saturation: Saturation
    spectra: Spectra
    live: float
    omega: float
    exponent: Exponent
    curves: dict[str, Floats]
    open: Floats
    open_name: str
    is_text: bool = True

    @property
    def T(self) -> int:
        """The number of steps of the text."""
        return len(self.inputs)

    @property
    def gradient(self) -> str:
        """The gradient that is taken apart: "dE/dW", or "dE/dU" of a cell without W."""
        return f"dE/d{CELLS[self.cell].matrix}"

    def numbers(self) -> Record:
        """All findings for JSON: lists, and None for numbers that are not finite."""
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name not in ("curves", "open")  # H numbers a step, and all in the figures
        }


def measure(
    flow: Measures,
    inputs: Sequence[str],
    targets: Sequence[str],
    name: str,
    *,
    truncation: str = "full",
    lags: Optional[int] = None,
    settings: Optional[Settings] = None,
    wanted: Optional[float] = None,
    sample: Optional[Pool] = None,
) -> Findings:
    """Measure all that a report shows.

    Parameters
    ----------
    flow : Flow
    inputs, targets : list of str
        The words of the flow's x and y.
    name : str
    truncation : str
        The scheme of the training.
    lags : int, optional
        The longest lag to show; by default the longest of the text.
    settings : Settings, optional
        The settings of the run; None for a network that is not from a run.
    wanted : float, optional
        A cosine above 0 and at most 1: find the smallest K that reach it.
    sample : Sample, optional
        The verdict is on these texts; by default on the flow alone.

    Raises
    ------
    RNNError
        For any other cosine, and if the arrays do not fit into the memory.
    """
    T, a = flow.T, flow.architecture
    cell, bound = CELLS[a.cell], flow.bound()
    radius = flow.spectra()["W"]["spectral_radius"] if cell.is_plain and a.layers == 1 else None
    shares, products = flow.shares(flow.recurrent), flow.norms_by_lag(_ends(flow))
    network = {name: getattr(a, name) for name in NETWORK}
    assumed = Settings(truncation=truncation, **network) if settings is None else settings
    curves = operating_points(flow)
    said = (
        verdict(flow, assumed, geometric_mean(products))
        if sample is None
        else verdict(sample, assumed)
    )
    return Findings(
        name=name,
        cell=a.cell,
        layers=a.layers,
        inputs=list(inputs),
        targets=list(targets),
        losses=None if flow.y is None else flow.losses,
        verdict=said,
        norms=np.where(np.tri(T, dtype=bool), flow.norms, np.nan),
        shares=shares,
        lags=T - 1 if lags is None else lags,
        left=left_by_lag(flow.norms, flow.first_lag),
        products=products,
        bound=bound,
        radius=None if radius is None else (cell.gamma or 1) * radius,
        carried=flow.identity_path(_ends(flow)),
        contributions=by_lag(shares),
        truncation=truncation,
        wanted=wanted,
        is_trained=settings is not None,
        one_step=_summary(flow.one_step_norms()),
        saturation=flow.saturation(),
        spectra=flow.spectra(),
        live=flow.live_steps(),
        omega=flow.omega(),
        exponent=flow.exponent(),
        curves=curves,
        open=_open(flow, curves),
        is_text=flow.reads_tokens,
        open_name=f"gate {cell.carry_gate}" if cell.carry_gate else f"{cell.activation.name}'(z)",
        **_truncated(flow, truncation, wanted),
    )


def _truncated(flow: Measures, truncation: str, wanted: Optional[float]) -> dict[str, Any]:
    """The fields of `Findings` about truncated gradients, all W together."""
    W = flow.recurrent
    cosine, ratio = flow.truncated(truncation, W)
    K = sorted(set(np.unique(np.geomspace(1, flow.T, MOST_K).round().astype(int)).tolist()))
    cuts = {scheme: [flow.truncated(f"{scheme}:{k}", W) for k in K] for scheme in SCHEMES}
    found = {
        scheme: (flow.smallest_K(scheme, wanted, W), flow.first_K(scheme, wanted, W))
        for scheme in ("window", "chunk")
        if wanted is not None
    }
    return {
        "cosine": cosine,
        "ratio": ratio,
        "K": K,
        "cosines": {scheme: [cut[0] for cut in of] for scheme, of in cuts.items()},
        "ratios": {scheme: [cut[1] for cut in of] for scheme, of in cuts.items()},
        "lasting": {scheme: K[0] for scheme, K in found.items()},
        "first": {scheme: K[1] for scheme, K in found.items()},
    }


def _open(flow: Measures, curves: dict[str, Floats]) -> Floats:
    """``Findings.open``."""
    cell = CELLS[flow.architecture.cell]
    if cell.carry_gate is None:
        values = [cell.activation.derivative(z) for z in curves.values()]
    else:
        values = list(flow.gates[cell.carry_gate])
    units = np.concatenate(values, axis=1).T
    ordered: Floats = units[np.argsort(units.mean(axis=1), kind="stable")]
    return ordered


def _summary(norms: Floats) -> dict[str, float]:
    return {
        "mean": float(norms.mean()),
        "max": float(norms.max()),
        "above_1": float((norms > 1).mean()),
    }


def _ends(flow: Measures) -> int:
    """The number of ends t for the products of Jacobians; a wide state, which is slow, has few."""
    return 8 if flow.S <= 128 else 3 if flow.S <= 256 else 2


def power(base: float, n: Union[Ints, int]) -> Any:
    """base^n, inf if it overflows."""
    with np.errstate(over="ignore"):
        return np.float64(base) ** n


# ---- JSON


def plain(value: Any) -> Any:
    """A value for JSON: numbers, lists and dicts; None for numbers that are not finite.

    >>> plain({"a": np.array([1.0, np.nan])})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(v) for key, v in value.items()}
    if dataclasses.is_dataclass(value):
        return plain(vars(value))
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
