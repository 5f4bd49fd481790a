"""Everything a report shows of one flow, measured once; what draws it computes nothing."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from theano_rnn.common.types import Floats, Ints, Record
from theano_rnn.flow.curves import operating_points
from theano_rnn.flow.decay import geometric_mean, left_by_lag
from theano_rnn.flow.jacobians import Spectra
from theano_rnn.flow.measures import Flow
from theano_rnn.flow.pairs import by_lag
from theano_rnn.flow.states import Saturation
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.model.cells import CELLS
from theano_rnn.training.settings import NETWORK, Settings

#: At most so many K are tried under each truncation scheme.
MOST_K = 30
SCHEMES = ("window", "chunk", "last")


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report shows.

    Attributes
    ----------
    name : str
        Of the model, as the report calls it.
    cell : str
    layers : int
    inputs, targets : list of str
        The word read at each step, and the one to be predicted there.
    losses : (T,)
        E_t of each word, in nats.
    verdict : Verdict
    norms : (T, T)
        |dE_t/ds_k|, t rows; NaN above the diagonal.
    shares : (T, T)
        Share of each pair in dE/dW; of all W together, where there are more layers.
    lags : int
        Lags are shown from 0 to this one.
    left : (T,)
        What is left of |dE_t/ds_k| by lag, the geometric mean over t; 1 at lag 0, for lstm at 1.
    products : (ends, T)
        |ds_t/ds_{t-n}| by lag n, for some ends t.
    bound, radius : float or None
        gamma sigma_max(W) and gamma times the spectral radius of W, of one layer without gates.
    carried : (layers, T) or None
        The norm of the part of the products that the carry gate makes: ``Flow.identity_path``.
    contributions : (T,)
        Share of dE/dW by lag.
    K : list of int
    cosines : dict
        By "window", "chunk", "last": the cosine of dE/dW with the full one, for each K.
    truncation, cosine, ratio
        The scheme that the model is trained with, the cosine of its dE/dW with the full one, and
        their norms' ratio.
    ratios : dict
        As ``cosines``: |truncated| / |full| for each K.
    wanted : float or None
        The cosine that was asked for.
    lasting, first : dict
        By "window" and "chunk", the K of ``Flow.smallest_K`` and ``Flow.first_K`` for it.
    is_trained : bool
        Whether it is a run's network; one that is as it begins is not.
    one_step : dict
        Of the norms |ds_t/ds_{t-1}|: "mean", "max", and "above_1", the share that exceeds 1.
    saturation : dict
        As ``Flow.saturation``.
    spectra : dict
        As ``Flow.spectra``.
    live, omega : float
        As ``Flow.live_steps`` and ``Flow.omega``.
    exponent : float
        The largest Lyapunov exponent, nats a step, the first quarter of the text left out.
    curves : dict
        By the name of a curve ("tanh", "gate f", ...): z (T, n), where the model is on it.
    open : (units, T)
        phi'(z) of each unit, or of a cell with gates the gate that keeps; the least open first.
    open_name : str
        What that is.
    """

    name: str
    cell: str
    layers: int
    inputs: list[str]
    targets: list[str]
    losses: Floats
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
    exponent: float
    curves: dict[str, Floats]
    open: Floats
    open_name: str

    @property
    def T(self) -> int:
        """Steps of the text."""
        return len(self.inputs)

    def numbers(self) -> Record:
        """All of it as JSON takes it: lists, and None for what is not finite.

        Returns
        -------
        dict
        """
        return {
            field.name: plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name not in ("curves", "open")  # H numbers a step, and all in the figures
        }


def measure(
    flow: Flow,
    inputs: Sequence[str],
    targets: Sequence[str],
    name: str,
    *,
    truncation: str = "full",
    lags: Optional[int] = None,
    settings: Optional[Settings] = None,
    wanted: Optional[float] = None,
) -> Findings:
    """Measure all that a report shows.

    Parameters
    ----------
    flow : Flow
    inputs, targets : list of str
        The words of its x and y.
    name : str
    truncation : str
        The scheme that the model is trained with.
    lags : int, optional
        The longest lag to show; that of the text where not given.
    settings : Settings, optional
        Of the run that the network is from; not given for one that is as it begins.
    wanted : float, optional
        A cosine above 0 and at most 1, whose smallest K are to be found.

    Returns
    -------
    Findings

    Raises
    ------
    RNNError
        For another cosine; as ``Flow`` where the memory does not suffice.
    """
    T, a = flow.T, flow.architecture
    cell, bound = CELLS[a.cell], flow.bound()
    radius = None if bound is None else flow.spectra()["W"]["spectral_radius"]
    shares, products = flow.shares(flow.recurrent), flow.norms_by_lag(_ends(flow))
    network = {name: getattr(a, name) for name in NETWORK}
    assumed = Settings(truncation=truncation, **network) if settings is None else settings
    curves = operating_points(flow)
    return Findings(
        name=name,
        cell=a.cell,
        layers=a.layers,
        inputs=list(inputs),
        targets=list(targets),
        losses=flow.losses,
        verdict=verdict(flow, assumed, geometric_mean(products)),
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
        exponent=float(flow.lyapunov(1, transient=T // 4)[0]),
        curves=curves,
        open=_open(flow, curves),
        open_name=f"gate {cell.carry_gate}" if cell.carry_gate else f"{cell.activation.name}'(z)",
        **_truncated(flow, truncation, wanted),
    )


def _truncated(flow: Flow, truncation: str, wanted: Optional[float]) -> dict[str, Any]:
    """What `Findings` has of truncated gradients, of all W together."""
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


def _open(flow: Flow, curves: dict[str, Floats]) -> Floats:
    """phi'(z) of each unit, or its carry gate, (units, T), the least open first."""
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


def _ends(flow: Flow) -> int:
    """How many ends t the products of Jacobians are taken from: a wide state takes long."""
    return 8 if flow.S <= 128 else 3 if flow.S <= 256 else 2


def power(base: float, n: Union[Ints, int]) -> Any:
    """base^n, inf where it overflows."""
    with np.errstate(over="ignore"):
        return np.float64(base) ** n


# ---- JSON


def plain(value: Any) -> Any:
    """Numbers, lists and dicts as JSON takes them; None for what is not finite.

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
