"""The figures as PNG: a description of ``figures``, drawn by Matplotlib."""

import functools
import io
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.report import figures
from theano_rnn.flow.report.axes import CROWDED, Axis
from theano_rnn.flow.report.marks import Bars, Figure, Level, Map, Mark, Panel

if TYPE_CHECKING:
    from matplotlib import axes, figure, image
    from matplotlib.axis import Axis as DrawnAxis

#: Beyond them Matplotlib's own arithmetic over- or underflows.
DRAWN = 1e-280, 1e280
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": "--",
    "dashdot": "-.",
    "dot": ":",
    "": "",
    "long": (0, (8, 3)),
}
#: A legend of more entries has two columns.
MANY = 8
#: What Matplotlib calls the markers, and their size.
MARKERS: dict[str, dict[str, Any]] = {
    "": {},
    "dot": {"marker": ".", "markersize": 6},
    "square": {"marker": "s", "markersize": 4},
    "star": {"marker": "*", "markersize": 14},
}


#: The figures of one model by name.
FIGURES: dict[str, Callable[[Findings], Figure]] = {
    "heat": figures.heat, "lag": figures.lag, "activation": figures.operating,
    "saturation": figures.saturation, "contributions": figures.contributions,
    "truncation": figures.truncation,
}  # fmt: skip


def pictures(f: Findings) -> dict[str, bytes]:
    """PNGs of one model, by file name."""
    return {f"{name}.png": png_of(figure(f)) for name, figure in FIGURES.items()}


def demo_picture(several: Sequence[Findings], schemes: Sequence[str]) -> bytes:
    """The demonstration as one PNG."""
    return png_of(figures.demonstration(several, schemes), dpi=90)


def png_of(described: Figure, dpi: float = 110) -> bytes:
    """The figure as the bytes of a PNG."""
    return saved(drawn(described), dpi)


def saved(made: "figure.Figure", dpi: float) -> bytes:
    """A Matplotlib figure as the bytes of a PNG."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font does not have
        made.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


@functools.cache
def _shown() -> "type[figure.Figure]":
    """A class of figures that a notebook shows, though nobody told it of Matplotlib."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            return saved(self, 80)

    return Shown


def drawn(described: Figure) -> "figure.Figure":
    """The figure as a Matplotlib figure."""
    made = _shown()(figsize=(described.width, described.height), layout="constrained")
    columns = max(map(len, described.rows))
    grid = made.subplots(len(described.rows), columns, squeeze=False)
    is_one = len(described.panels) == 1
    if is_one and not described.panels[0].title:
        grid[0, 0].set_title(marked(described.title))
    elif len(described.rows) == 1:
        made.suptitle(marked(described.title))
    for row, of_row in zip(described.rows, grid):
        for panel, ax in zip(row, of_row):
            for bar, image in draw_panel(panel, ax):
                many = {} if is_one else {"ax": list(grid.ravel()), "aspect": 40}
                made.colorbar(image, label=marked(bar), **{"ax": ax, **many})
    return made


def draw_panel(panel: Panel, ax: "axes.Axes") -> list[tuple[str, Any]]:
    """Draw all marks of a panel; return those that need a colour scale, with its title."""
    bars, is_mapped = [], False
    named: set[str] = set()
    for mark in panel.marks:
        label = None if mark.name in named else marked(mark.name)
        image = draw(ax, mark, panel.y.is_log, label)
        named.add(mark.name)
        if isinstance(mark, Map):
            is_mapped = True
            if mark.bar:
                bars.append((mark.bar, image))
    if panel.title:
        ax.set_title(marked(panel.title))
    set_axis(ax, "x", panel.x)
    set_axis(ax, "y", panel.y)
    if not is_mapped:
        ax.grid(alpha=0.3)
    if len(named) > 1:
        ax.legend(fontsize="small", ncols=1 if len(named) <= MANY else 2)
    return bars


def draw(ax: "axes.Axes", mark: Mark, is_log: bool, label: Optional[str]) -> Any:
    """Draw one mark."""
    if isinstance(mark, Map):
        return draw_map(ax, mark, label)
    if isinstance(mark, Level):
        return ax.axhline(mark.y, color=mark.colour, linestyle=DASHES[mark.dash], label=label)
    if isinstance(mark, Bars):
        return ax.bar(mark.x, mark.y, color=mark.colour, label=label)
    return ax.plot(
        mark.x, drawable(mark.y) if is_log else mark.y, color=mark.colour, alpha=mark.opacity,
        linestyle=DASHES[mark.dash], linewidth=0.75 * mark.width, label=label,
        **MARKERS[mark.marker],
    )  # fmt: skip


def draw_map(ax: "axes.Axes", m: Map, label: Optional[str]) -> "image.AxesImage":
    """Draw a heat map; a map of one colour gets an entry in the legend."""
    from matplotlib.colors import ListedColormap

    if m.colour:
        ax.plot([], "s", color=m.colour, label=label)
    below = m.rows[0] if isinstance(m.rows[0], int) else 1
    return ax.imshow(
        m.z, cmap=ListedColormap([m.colour]) if m.colour else "viridis", vmin=m.low, vmax=m.high,
        extent=(m.x[0] - 0.5, m.x[-1] + 0.5, below - 0.5, below + len(m.rows) - 0.5),
        origin="lower", aspect="equal" if m.is_square else "auto", interpolation="nearest",
    )  # fmt: skip


def set_axis(ax: "axes.Axes", of: str, a: Axis) -> None:
    """Set the title, the scale, the range and the ticks of "x" or "y"."""
    from matplotlib.ticker import MultipleLocator, NullLocator, PercentFormatter

    limits = {} if a.range is None else {f"{of}lim": a.range}
    scale = {f"{of}scale": "log"} if a.is_log else {}
    ax.set(**{f"{of}label": marked(a.title), **scale, **limits})
    axis: DrawnAxis = ax.xaxis if of == "x" else ax.yaxis
    if a.ticks is not None and a.labels is not None:
        axis.set_ticks(a.ticks, [marked(label) for label in a.labels])
        axis.set_minor_locator(NullLocator())
        small = {"fontsize": 7} if len(a.labels) > CROWDED else {}
        for label in axis.get_ticklabels():
            label.set(rotation=90 if a.is_upright else 0, **small)
    elif a.every is not None:
        axis.set_major_locator(MultipleLocator(a.every))
    if a.is_percent:
        axis.set_major_formatter(PercentFormatter(1, decimals=0))


def drawable(values: Any) -> Floats:
    """Values for a logarithmic axis, NaN for those that it cannot show."""
    values = np.asarray(values, float)
    with np.errstate(invalid="ignore"):
        return np.where((values >= DRAWN[0]) & (values <= DRAWN[1]), values, np.nan)


def marked(text: str) -> str:
    """Plain text as Matplotlib takes it: no mathematics but the indices of dE_t/ds_k.

    >>> marked("$5: dE_t")
    '\\\\$5: dE$_{t}$'
    """
    index = r"\b(dE|ds|dh)_(?:\{([^}]+)\}|([tk]\b))"
    plain = text.replace("$", r"\$")
    return re.sub(index, lambda found: f"{found[1]}$_{{{found[2] or found[3]}}}$", plain)
