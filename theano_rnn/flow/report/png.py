"""The same figures as PNG (matplotlib), for where no page can be opened."""

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.curves import activation, derivative
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.pairs import reach
from theano_rnn.flow.report.axes import powers_of_two
from theano_rnn.flow.report.figures import (
    COLOURS,
    ZERO,
    argument_of,
    farthest,
    lag_curves,
    log_norms,
    norm_title,
    own_name,
    thinned,
    units,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: (figure, findings): draws them.
Draw = Callable[["Figure", Findings], object]

#: Beyond them Matplotlib's own arithmetic over- or underflows.
DRAWN = 1e-280, 1e280
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
    axes[0, 2].set_title("dE/dW of tanh, truncated against full")
    for f in several:
        n = np.arange(f.lags + 1)
        axes[0, 3].semilogy(n, _drawable(f.left[n]), ".-", label=_text(f.name))
    axes[0, 3].set(title="what is left of |dE_t/ds_k|", xlabel="lag n = t - k, in steps")
    _whole(axes[0, 3].xaxis)
    axes[0, 3].grid(alpha=0.3)
    axes[0, 3].legend()
    for ax, f in zip(axes[1], several):
        image = heat(ax, f, title=f"{f.name}: {f.verdict.kind}", vmin=top - 6, vmax=top)
    for ax in (*axes[0, :2], *axes[1]):
        ax.set_xlabel("step k, the word read")
    for ax in axes[:, 0]:
        ax.set_ylabel("output t, the word to be predicted")
    figure.colorbar(image, ax=list(axes.ravel()), label="log10 |dE_t/ds_k|", aspect=40)
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
    zero = np.where(f.norms == 0, 0.0, np.nan)
    if np.isfinite(zero).any():
        ax.imshow(zero, cmap=_grey(), extent=extent, interpolation="nearest")
        ax.plot([], "s", color=ZERO, label="exactly 0")
        ax.legend(loc="upper right", fontsize="small")
    _words(ax.xaxis, f.inputs, rotation=90)
    _words(ax.yaxis, f.targets)
    ax.set_title(_text(title or "Which word reaches which"))
    if title is None:
        ax.set_xlabel("step k, the word read")
        ax.set_ylabel("output t, the word to be predicted")
        _bar(ax, image, "log10 |dE_t/ds_k|")
    return image


def _bar(ax: "Axes", image: "AxesImage", label: str) -> None:
    assert ax.figure is not None
    ax.figure.colorbar(image, label=label)


def _grey() -> "Colormap":
    from matplotlib.colors import ListedColormap

    return ListedColormap([ZERO])


def lag(ax: "Axes", f: Findings) -> None:
    n = np.arange(f.lags + 1)
    for i, row in enumerate(f.products):
        label = None if i else "|ds_t/ds_k| from one end t"
        ax.semilogy(n, _drawable(row[n]), color="#cccccc", linewidth=0.8, label=label)
    for name, values, colour, dash in lag_curves(f):
        ax.semilogy(n, _drawable(values), DASHES[dash], color=colour, label=name)
    seen = _drawable(np.concatenate([f.left[n], f.products[:, n].ravel()]))
    seen = np.append(seen[np.isfinite(seen)], 1.0)  # the bound may go far beyond them
    ax.set_ylim(seen.min() / 3, seen.max() * 10)
    ax.set(title="Norms against lag", xlabel="lag n = t - k, in steps", ylabel=norm_title(f))
    _whole(ax.xaxis)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def operating(figure: "Figure", f: Findings) -> None:
    figure.suptitle("Where the model is on its curves")
    for ax, (name, z) in zip(np.atleast_1d(figure.subplots(1, len(f.curves))), f.curves.items()):
        far = farthest(z)
        grid, here = np.linspace(-far, far, 401), thinned(z.ravel(), 400)
        for of, colour, label in (
            (activation, "#3b528b", "value"),
            (derivative, "#e08214", "derivative"),
        ):
            ax.plot(grid, of(name, grid), color=colour, label=label)
            ax.plot(here, of(name, here), ".", color=colour, alpha=0.3)
        ax.set(title=name, xlabel=argument_of(name), xlim=(-far, far))
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")


def saturation(ax: "Axes", f: Findings) -> None:
    top = 0.25 if f.open_name.startswith("sigmoid'") else 1.0
    rows, _ = units(f)
    extent = (0.5, f.T + 0.5, 0.5, len(rows) + 0.5)
    image = ax.imshow(
        f.open[rows], cmap="viridis", vmin=0, vmax=top, aspect="auto", extent=extent,
        origin="lower", interpolation="nearest",
    )  # fmt: skip
    _words(ax.xaxis, f.inputs, rotation=90)
    ax.set(title="Saturation", xlabel="step, the word read")
    ax.set_ylabel("units, the least open below")
    ax.set_yticks([])
    _bar(ax, image, f.open_name)


def contributions(ax: "Axes", f: Findings) -> None:
    n = np.arange(f.lags + 1)
    ax.bar(n, f.contributions[n], color="#3b528b", label="of this lag")
    ax.plot(n, np.cumsum(f.contributions)[n], color="#e08214", label="up to it")
    ax.set_title("What each lag contributes to dE/dW")
    ax.set(xlabel="lag n = t - k, in steps", ylabel="share of dE/dW")
    _whole(ax.xaxis)
    ax.grid(alpha=0.3)
    ax.legend()


def truncation(ax: "Axes", f: Findings) -> None:
    for scheme, cosines in f.cosines.items():
        ax.semilogx(f.K, cosines, ".-", color=COLOURS[scheme], label=f"{scheme}:K")
    if f.wanted is not None:
        ax.axhline(f.wanted, color="#555555", linestyle=":", label=f"wanted: {f.wanted}")
    scheme, _, K = f.truncation.partition(":")
    if K:
        at = [min(int(K), f.T)], [f.cosine]
        ax.plot(*at, "*", color=COLOURS[scheme], markersize=14, label=own_name(f))
    ax.set(title="Truncation", xlabel="K", ylabel="cosine with the full dE/dW")
    ax.set_xticks(powers_of_two(f.T), [str(K) for K in powers_of_two(f.T)])
    ax.minorticks_off()
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


def _drawable(values: Floats) -> Floats:
    """On a logarithmic axis: NaN where there is no point, or one too far out to be drawn."""
    with np.errstate(invalid="ignore"):
        return np.where((values >= DRAWN[0]) & (values <= DRAWN[1]), values, np.nan)


def _whole(axis: "Axis") -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True))


def _words(axis: "Axis", words: Sequence[str], rotation: float = 0) -> None:
    every = -(-len(words) // 60)
    shown = range(0, len(words), every)
    axis.set_ticks([k + 1 for k in shown], [_text(words[k]) for k in shown])
    for label in axis.get_ticklabels():
        label.set(rotation=rotation, fontsize=7)


def _text(word: str) -> str:
    """Matplotlib takes $...$ for mathematics."""
    return word.replace("$", r"\$")
