"""The same figures as PNG (matplotlib), for where no page can be opened."""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, Optional

import numpy as np

from theano_rnn.flow.figures import COLOURS, log_norms, thinned
from theano_rnn.flow.findings import Findings, activation, by_lag_curves, derivative
from theano_rnn.flow.measures import reach
from theano_rnn.types import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: (figure, findings): draws them.
Draw = Callable[["Figure", Findings], object]

DASHES = {"solid": "-", "dash": "--", "dashdot": "-.", "dot": ":"}


def pictures(f: Findings) -> dict[str, bytes]:
    """PNGs of one model, by file name."""
    T = f.T
    size = 3 + 0.22 * min(T, 45)
    return {
        "heat.png": _drawn(_on_axes(heat), f, (size + 1.6, size)),
        "lag.png": _drawn(_on_axes(lag), f, (7, 4.5)),
        "activation.png": _drawn(operating, f, (4.2 * len(f.curves), 4)),
        "saturation.png": _drawn(_on_axes(saturation), f, (7, 4.5)),
        "contributions.png": _drawn(_on_axes(contributions), f, (7, 4.5)),
        "truncation.png": _drawn(_on_axes(truncation), f, (7, 4.5)),
    }


def demo_picture(several: Sequence[Findings], schemes: Sequence[str]) -> bytes:
    """The demonstration as one PNG: the fault above, the recurrences below."""
    from matplotlib.figure import Figure

    tanh = several[0]
    figure = Figure(figsize=(15, 8.4), layout="constrained")
    axes = figure.subplots(2, 4)
    z = log_norms(tanh.norms)
    top = max(float(np.nanmax(log_norms(f.norms))) for f in several)
    for ax, scheme in zip(axes[0], schemes):
        hears = reach(scheme, tanh.T) > 0
        heat(ax, tanh, z=np.where(hears, z, np.nan), title=scheme, vmin=top - 6, vmax=top)
    truncation(axes[0, 2], tanh)
    axes[0, 2].set_title("dE/dW, truncated against full")
    for f in several:
        n = np.arange(f.lags + 1)
        axes[0, 3].semilogy(n, f.left[n], ".-", label=_text(f.name))
    axes[0, 3].set(title="what is left of |dE_t/ds_k|", xlabel="lag, in steps")
    axes[0, 3].grid(alpha=0.3)
    axes[0, 3].legend()
    for ax, f in zip(axes[1], several):
        image = heat(ax, f, title=f"{f.name}: {f.verdict.kind}", vmin=top - 6, vmax=top)
    figure.colorbar(image, ax=list(axes[1]), label="log10 |dE_t/ds_k|", shrink=0.9)
    return _png(figure, dpi=90)


# ---- one figure on one pair of axes


def heat(
    ax: "Axes",
    f: Findings,
    z: Optional[Floats] = None,
    title: Optional[str] = None,
    vmin: Optional[float] = None,
    vmax: Optional[float] = None,
) -> "AxesImage":
    z = log_norms(f.norms) if z is None else z
    if vmax is None and np.isfinite(z).any():
        vmax = float(np.nanmax(z))
        vmin = max(float(np.nanmin(z)), vmax - 12)
    extent = (0.5, f.T + 0.5, f.T + 0.5, 0.5)
    image = ax.imshow(
        z, cmap="viridis", extent=extent, interpolation="nearest", vmin=vmin, vmax=vmax
    )
    _words(ax.xaxis, f.inputs, rotation=90)
    _words(ax.yaxis, f.targets)
    ax.set_title(_text(title or f.name))
    if title is None:
        ax.set_xlabel("step k, the word read")
        ax.set_ylabel("output t, the word to be predicted")
        _bar(ax, image, "log10 |dE_t/ds_k|")
    return image


def _bar(ax: "Axes", image: "AxesImage", label: str) -> None:
    assert ax.figure is not None
    ax.figure.colorbar(image, label=label)


def lag(ax: "Axes", f: Findings) -> None:
    n = np.arange(f.lags + 1)
    for row in f.products:
        ax.semilogy(n, np.where(row[n] > 0, row[n], np.nan), color="#cccccc", linewidth=0.8)
    for name, values, colour, dash in by_lag_curves(f):
        values = np.where((values > 0) & np.isfinite(values), values, np.nan)
        ax.semilogy(n, values, DASHES[dash], color=colour, label=name)
    seen = np.concatenate([f.left[n], f.products[:, n].ravel()])
    seen = seen[np.isfinite(seen) & (seen > 1e-300)]  # the bound may go far beyond them
    ax.set_ylim(seen.min() / 3, max(1, seen.max()) * 10)
    ax.set(xlabel="lag n = t - k, in steps", ylabel="norm, 1 at lag 0")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def operating(figure: "Figure", f: Findings) -> None:
    for ax, (name, z) in zip(np.atleast_1d(figure.subplots(1, len(f.curves))), f.curves.items()):
        far = float(min(max(4.0, abs(z[np.isfinite(z)]).max() * 1.05), 20))
        grid, here = np.linspace(-far, far, 401), thinned(z.ravel(), 400)
        for of, colour, label in (
            (activation, "#3b528b", "value"),
            (derivative, "#e08214", "derivative"),
        ):
            ax.plot(grid, of(name, grid), color=colour, label=label)
            ax.plot(here, of(name, here), ".", color=colour, alpha=0.3)
        ax.set(title=name, xlabel="z", xlim=(-far, far))
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")


def saturation(ax: "Axes", f: Findings) -> None:
    top = 0.25 if f.open_name.startswith("sigmoid'") else 1.0
    extent = (0.5, f.T + 0.5, -0.5, len(f.open) - 0.5)
    image = ax.imshow(
        f.open, cmap="viridis", vmin=0, vmax=top, aspect="auto", extent=extent, origin="lower",
        interpolation="nearest",
    )  # fmt: skip
    _words(ax.xaxis, f.inputs, rotation=90)
    ax.set_ylabel("unit, the least open below")
    _bar(ax, image, f.open_name)


def contributions(ax: "Axes", f: Findings) -> None:
    n = np.arange(f.lags + 1)
    ax.bar(n, f.contributions[n], color="#3b528b", label="of this lag")
    ax.plot(n, np.cumsum(f.contributions)[n], color="#e08214", label="up to it")
    ax.set(xlabel="lag, in steps", ylabel="share of dE/dW")
    ax.grid(alpha=0.3)
    ax.legend()


def truncation(ax: "Axes", f: Findings) -> None:
    for scheme, cosines in f.cosines.items():
        ax.plot(f.K, cosines, ".-", color=COLOURS[scheme], label=f"{scheme}:K")
    ax.set(xlabel="K", ylabel="cosine with the full dE/dW")
    ax.grid(alpha=0.3)
    ax.legend()


# ---- files


def _drawn(draw: Draw, f: Findings, size: tuple[float, float]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure, f)
    return _png(figure)


def _on_axes(draw: Callable[["Axes", Findings], object]) -> Draw:
    return lambda figure, f: draw(figure.subplots(), f)


def _png(figure: "Figure", dpi: float = 110) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font does not have
        figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def _words(axis: "Axis", words: Sequence[str], rotation: float = 0) -> None:
    every = -(-len(words) // 60)
    shown = range(0, len(words), every)
    axis.set_ticks([k + 1 for k in shown], [_text(words[k]) for k in shown])
    for label in axis.get_ticklabels():
        label.set(rotation=rotation, fontsize=7)


def _text(word: str) -> str:
    """Matplotlib takes $...$ for mathematics."""
    return word.replace("$", r"\$")
