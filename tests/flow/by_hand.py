"""Findings and flows made of numbers by hand: no net, no chance."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from theano_rnn.flow.decay import Piece
from theano_rnn.flow.exponents import Exponent
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.verdict import Verdict
from theano_rnn.training import build
from theano_rnn.training.settings import Settings

SCHEMES = ("window", "chunk", "last")


def wave(*shape):
    """Numbers from -1 to 1 with two digits, each other than its neighbours."""
    n = np.arange(np.prod(shape)).reshape(shape)
    return np.round((37 * n % 201 - 100) / 100, 2)


def findings_of(name, cell, T, rate, **changes):
    t, k = np.arange(T)[:, None], np.arange(T)
    n = np.arange(T)
    norms = np.where(t >= k, rate ** np.maximum(t - k, 0) * (2 + wave(T, T)), np.nan)
    ends = np.array([1.1**-n, 1.2**-n, 0 * n])
    ends[0, T // 2 + 1 :] = np.nan
    words = ["the", "a&b", "<b>", "$5", "cat", "unpronounceable"]
    K = [k for k in (1, 2, 4, 8, 12) if k <= T]
    verdict = Verdict(
        kind="observed to vanish", observed="observed to vanish",
        words="The words of the verdict on |dE_t/ds_k|.",
        bound=1.25, bound_says="What the bound 1.25 says.",
        guaranteed=None, rate=rate, rate_start=0.9, half_life=1234.5, horizon=9, zeros=0.01,
        reasons=("a reason",), remedies=("--cell lstm: a remedy",),
        pieces=(Piece(0, T - 1, rate, 0.9),),
    )  # fmt: skip
    settings = {
        "name": name, "cell": cell, "layers": 1,
        "inputs": [words[i % 6] for i in range(T)],
        "targets": [words[(i + 1) % 6] for i in range(T)],
        "losses": 2 + wave(T), "verdict": verdict, "norms": norms,
        "shares": np.where(t >= k, wave(T, T) / T, 0), "lags": T - 1,
        "left": np.round(rate**n, 300), "products": ends,
        "bound": 1.25, "radius": 0.75, "carried": None,
        "contributions": wave(T) / 2, "K": K,
        "cosines": {s: [k / (k + i) for k in K] for i, s in enumerate(SCHEMES)},
        "truncation": "last:2", "cosine": 0.4567, "ratio": 0.1234,
        "ratios": {s: [k / (k + 1.5) for k in K] for s in SCHEMES},
        "wanted": 0.97, "lasting": {"window": 4, "chunk": 8}, "first": {"window": 4, "chunk": 2},
        "is_trained": True,
        "one_step": {"mean": 0.8765, "max": 1.2345, "above_1": 0.2468},
        "saturation": {"saturated": 0.3, "derivative": 0.4321, "dead": None, "gates": {}},
        "spectra": {"W": {"sigma_max": 1.25, "spectral_radius": 0.75}},
        "live": 3.21, "omega": 0.123456, "exponent": Exponent(T, -0.1234, None, None),
        "curves": {cell: 3 * wave(T, 3)}, "open": abs(wave(3, T)), "open_name": f"{cell}'(z)",
    }  # fmt: skip
    return Findings(**{**settings, **changes})


def of_tanh():
    """Twelve steps, one error exactly 0."""
    f = findings_of("runs/$x<b>", "tanh", 12, 0.7)
    f.norms[7, 2] = 0
    return f


def of_lstm():
    """Two layers with gates, four steps, as it begins, its gradient whole."""
    none = {"saturated": 0.1, "derivative": None, "dead": None}
    return findings_of(
        "LSTM", "lstm", 4, 1.1, layers=2, bound=None, radius=None, truncation="full", wanted=None,
        is_trained=False, carried=np.array([0.5, 0.4])[:, None] ** np.arange(4), lasting={},
        first={},
        saturation={**none, "gates": {"f": [0.25, 0.0625], "i": [0, 1]}},
        curves={"gate f": 2 * wave(4, 6), "tanh(c)": 5 * wave(4, 6)},
        open=abs(wave(6, 4)), open_name="gate f",
    )  # fmt: skip


def of_sigmoid():
    """More steps than the page shows, a truncation that is longer, lags up to 99."""
    f = findings_of(
        "sigmoid",
        "sigmoid",
        170,
        0.5,
        truncation="chunk:200",
        wanted=None,
        is_trained=False,
        exponent=Exponent(170, -0.1234, -0.1234, 0.0456),
    )
    f.left[90:] = 0
    return dataclasses.replace(f, lags=99)


def of_relu():
    """Two steps, and dead units."""
    saturation = {"saturated": None, "derivative": 0.5, "dead": 1 / 3, "gates": {}}
    return findings_of("ReLU", "relu", 2, 8.0, saturation=saturation, truncation="window:1")


FOUND = {"tanh": of_tanh, "lstm": of_lstm, "sigmoid": of_sigmoid, "relu": of_relu}


def flow_of(
    rate=0.5, T=5, sigma=1.5, radius=1.2, saturated=0.0, derivative=0.9, dead=0.0, gates=(),
    closed=0.0, norms=None, cosine=1.0, path=0.0, overflow=None, parts=(), **network,
):  # fmt: skip
    """A flow of which each lag leaves ``rate``, and ``path`` through a gate."""
    network["cell"] = "".join(network.get("cell", "tanh"))  # no literal, as from a file
    architecture = build.architecture(Settings(hidden_size=4, **network), 9)
    cell, layers = architecture.cell, architecture.layers
    gamma = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0}.get(cell)
    t, k = np.arange(T)[:, None], np.arange(T)
    if norms is None:
        norms = np.where(t >= k, rate ** abs(t - k), 0.0)
    bound = None if gamma is None or layers > 1 else gamma * sigma
    bound = 1.0 if cell == "mingru" and layers == 1 else bound
    names = {"gru": "zrh", "lstm": "ifog", "mingru": "zh"}.get(cell)
    W = {"W": {"sigma_max": sigma, "spectral_radius": radius}}
    return SimpleNamespace(
        identity_path=lambda: (
            np.array(path, float) if np.ndim(path) else [path ** np.arange(9)] * layers
        ),
        overflow=overflow, part_norms=dict(parts), is_module=False,
        T=T, norms=np.array(norms, float), first_lag=int(cell == "lstm"), recurrent=["W"],
        architecture=architecture, bound=lambda: bound,
        spectra=lambda: W, gates={n: np.array(v, float) for n, v in dict(gates).items()},
        truncated=lambda scheme, name: (cosine, 1.0),
        saturation=lambda: {
            "saturated": saturated, "derivative": derivative, "dead": dead,
            "gates": {} if names is None else {name: [closed, 0.0] for name in names[:-1]},
        },
    )  # fmt: skip


def by_curve(curve):
    """|dE_t/ds_k| of which ``curve[n]`` is left at lag n, (T, T)."""
    T = len(curve)
    t, k = np.arange(T)[:, None], np.arange(T)
    return np.where(t >= k, np.asarray(curve, float)[abs(t - k)], 0.0)
