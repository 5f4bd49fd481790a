"""The interactive figures of report.html, as Plotly draws them."""

from collections.abc import Iterator, Sequence
from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import Floats, Ints
from theano_rnn.flow.curves import activation, derivative
from theano_rnn.flow.findings import Curve, Findings, by_lag_curves, plain
from theano_rnn.flow.pairs import reach as hears
from theano_rnn.flow.report.axes import (
    MOST_UNITS,
    Figure,
    Settings,
    decade_tick,
    escaped,
    every,
    figure_of,
    finite_max,
    first_step,
    lag_axis,
    powers_of_two,
    slider,
    style,
    words_axis,
)

#: The lowest power of ten a colour stands for, below the largest.
DECADES = 12
COLOURS = {"window": "#1b7837", "chunk": "#2166ac", "last": "#b2182b"}
SCALE, ZERO = "Viridis", "#bbbbbb"
#: Points of one word on all curves together.
POINTS = 240
#: The curve of `by_lag_curves` that is a mean over ends.
MEAN = "|ds_t/ds_k|, mean"


def heat(f: Findings) -> Figure:
    first = first_step(f.T)
    axis = words_axis(f.inputs, "step k, the word read", first)
    figure = figure_of(height=260 + 22 * min(f.T, 40), xaxis=axis)
    for trace in heat_traces(f, log_norms(f.norms), coloured=True):
        figure.add_heatmap(**trace)
    axis = words_axis(f.targets, "output t, the word to be predicted", first)
    figure.update_yaxes(**{**axis, "autorange": "reversed", "tickangle": 0})
    return figure


def heat_traces(
    f: Findings, z: Floats, coloured: bool, coloraxis: Optional[str] = None
) -> Iterator[Settings]:
    """The heat map, and in grey the errors that are exactly 0, if there are any."""
    read, asked = escaped(f.inputs), escaped(f.targets)
    shown = range(first_step(f.T), f.T)
    with np.errstate(invalid="ignore"):
        text = [
            [
                f"E<sub>{t + 1}</sub> = {f.losses[t]:.3g}, of “{asked[t]}”"
                f"<br>at step {k + 1}, “{read[k]}”"
                f"<br>|dE/ds| = {f.norms[t, k]:.3g}<br>share of dE/dW {f.shares[t, k]:.2%}"
                if k <= t
                else ""
                for k in shown
            ]
            for t in shown
        ]
    z = z[shown.start :, shown.start :]
    steps = [k + 1 for k in shown]
    trace = {"x": steps, "y": steps, "text": text, "hoverinfo": "text", "hoverongaps": False}
    top = finite_max(z)
    bar = {"title": {"text": "log10 |dE/ds|"}} if coloured else None
    least = max(top - DECADES, float(np.nanmin(np.where(np.isfinite(z), z, top))))
    colours: Settings = {"zmax": top, "zmin": least, "colorscale": SCALE, "colorbar": bar}
    yield {**trace, "z": plain(z), **(colours if coloraxis is None else {"coloraxis": coloraxis})}
    zero = f.norms[shown.start :, shown.start :] == 0
    if zero.any():
        grey = plain(np.where(zero, 0.0, np.nan))
        yield {**trace, "z": grey, "colorscale": [[0, ZERO], [1, ZERO]], "showscale": False}


def log_norms(norms: Floats) -> Floats:
    """log10, NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log10(norms)
    return np.where(np.isfinite(z), z, np.nan)


def reach(f: Findings) -> Figure:
    first = first_step(f.T)
    norms, labels = f.norms[first:, first:], escaped(f.targets)
    # It opens on the largest loss of the second half: an early one has no way back to show.
    losses = f.losses[first:]
    active = len(losses) // 2 + int(losses[len(losses) // 2 :].argmax())
    figure = figure_of(xaxis=words_axis(f.inputs, "step k, the word read", first))
    figure.add_bar(
        x=list(range(first + 1, f.T + 1)), y=plain(norms[active]), marker_color="#3b528b"
    )
    positive = norms[np.isfinite(norms) & (norms > 0)]
    top = np.log10(positive.max()) if len(positive) else 0.0
    least = max(np.log10(positive.min()), top - DECADES) if len(positive) else -1.0
    figure.update_yaxes(
        type="log", title="|dE<sub>t</sub>/ds<sub>k</sub>|", exponentformat="power",
        dtick=decade_tick(10 ** min(300, top - least)),
        range=[float(np.floor(least)), float(np.ceil(top + 0.1))],
    )  # fmt: skip
    steps = [
        {
            "label": f"{t + 1}: {labels[t]}",
            "method": "restyle",
            "args": [{"y": [plain(norms[t - first])]}, [0]],
        }
        for t in range(first, f.T)
    ]
    return slider(figure, steps, active, "the error of ")


def lag(f: Findings) -> Figure:
    n = np.arange(f.lags + 1)
    figure = figure_of(xaxis=lag_axis(f.lags), height=480)
    for i, row in enumerate(f.products):
        figure.add_scatter(
            x=n, y=plain(row[n]), mode="lines", line={"color": "#bbb", "width": 1},
            name="|ds_t/ds_k| from one end t", showlegend=i == 0, legendgroup="ends",
            hoverinfo="skip",
        )  # fmt: skip
    curves = lag_curves(f)
    for name, values, colour, dash in curves:
        mode = "lines+markers" if dash == "solid" else "lines"
        figure.add_scatter(
            x=plain(n), y=plain(values), name=name, mode=mode, line={"color": colour, "dash": dash}
        )
    lowest = np.concatenate([values for _, values, _, _ in curves])
    lowest = lowest[np.isfinite(lowest) & (lowest > 0)].min()
    highest = max(1.0, float(np.nanmax(np.append(f.products, f.left))))
    figure.update_yaxes(
        type="log", title=norm_title(f), exponentformat="power",
        range=[float(np.log10(max(lowest, 1e-300))) - 0.3, float(np.log10(highest)) + 1],
        dtick=decade_tick(highest / max(lowest, 1e-300)),
    )  # fmt: skip
    return figure


def norm_title(f: Findings) -> str:
    return "norm, 1 at lag 0" + (" (of dE: at lag 1)" if f.cell == "lstm" else "")


def lag_curves(f: Findings) -> list[Curve]:
    """Those by lag; the mean over ends as far as all of them reach, so that it has no jumps."""
    by_all = np.isfinite(f.products).all(axis=0)[: f.lags + 1]
    return [
        (name, np.where(by_all, values, np.nan) if name == MEAN else values, colour, dash)
        for name, values, colour, dash in by_lag_curves(f)
    ]


def operating(f: Findings) -> Figure:
    from plotly.subplots import make_subplots

    names = list(f.curves)
    figure = make_subplots(rows=1, cols=len(names), subplot_titles=names)
    words = [-1, *range(first_step(f.T), f.T)]  # -1: all of them
    updates: dict[int, dict[str, list[Any]]]
    updates = {t: {"x": [], "y": []} for t in words}
    points = []
    for column, (name, z) in enumerate(f.curves.items(), 1):
        far = farthest(z)
        grid = np.linspace(-far, far, 201)
        for label, curve, colour in (
            ("value", activation(name, grid), "#3b528b"),
            ("derivative", derivative(name, grid), "#e08214"),
        ):
            figure.add_scatter(
                x=plain(grid), y=plain(curve), line={"color": colour}, mode="lines", name=label,
                legendgroup=label, showlegend=column == 1, row=1, col=column,
            )  # fmt: skip
        for of, colour in ((activation, "#3b528b"), (derivative, "#e08214")):
            points.append(len(figure.data))
            all_z = thinned(z.ravel())
            figure.add_scatter(
                x=plain(all_z), y=plain(of(name, all_z)), mode="markers", showlegend=False,
                marker={"color": colour, "size": 6, "opacity": 0.35}, name="here",
                row=1, col=column,
            )  # fmt: skip
            for t in words:
                chosen = all_z if t < 0 else thinned(z[t], max(2, POINTS // len(names)))
                updates[t]["x"].append(plain(np.round(chosen, 4)))
                updates[t]["y"].append(plain(np.round(of(name, chosen), 4)))
        figure.update_xaxes(title=argument_of(name), row=1, col=column, range=[-far, far])
    style(figure, height=480)
    figure.update_layout(margin_t=70)  # room for the tools above the titles
    labels = escaped(f.inputs)
    steps = [
        {"label": "all words" if t < 0 else f"{t + 1}: {labels[t]}", "method": "restyle",
         "args": [update, points]}
        for t, update in updates.items()
    ]  # fmt: skip
    return slider(figure, steps, 0, "at ")


def farthest(z: Floats) -> float:
    """How far from 0 a curve is drawn."""
    return float(min(max(4.0, abs(z[np.isfinite(z)]).max() * 1.05), 20))


def argument_of(name: str) -> str:
    """What a curve is a function of.

    >>> argument_of("tanh(c)"), argument_of("gate f")
    ('c', 'z')
    """
    return "c" if name == "tanh(c)" else "z"


def thinned(values: Floats, most: int = 600) -> Floats:
    """Every n-th of the sorted values, the least and the greatest with them."""
    values = np.sort(values)
    if len(values) <= most:
        return values
    chosen: Floats = values[np.linspace(0, len(values) - 1, most).round().astype(int)]
    return chosen


def saturation(f: Findings) -> Figure:
    first, (rows, names) = first_step(f.T), units(f)
    figure = figure_of(height=460, xaxis=words_axis(f.inputs, "step, the word read", first))
    top = 0.25 if f.open_name.startswith("sigmoid'") else 1.0
    figure.add_heatmap(
        z=plain(np.round(f.open[rows, first:], 3)), x=list(range(first + 1, f.T + 1)), zmin=0.0,
        zmax=top, colorscale=SCALE, colorbar={"title": {"text": f.open_name}},
        y=names, hovertemplate=f"%{{x}}<br>%{{y}}<br>{f.open_name} %{{z:.3f}}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(title="unit, the least open below", type="category", showticklabels=False)
    return figure


def units(f: Findings) -> tuple[Ints, list[str]]:
    """Rows of ``open`` to show, layer by layer, and whose they are: "unit 3" of "layer 1"."""
    columns = [
        activation(name, z) if name.startswith("gate") else derivative(name, z)
        for name, z in f.curves.items()
        if name == f.open_name or not f.open_name.startswith("gate")
    ]
    unit = np.argsort(np.concatenate(columns, axis=1).mean(axis=0), kind="stable")
    H = len(unit) // f.layers
    rows = np.argsort(unit // H, kind="stable")[:: every(len(unit), MOST_UNITS)]
    layer = "" if f.layers == 1 else "layer {}, "
    return rows, [layer.format(unit[i] // H + 1) + f"unit {unit[i] % H + 1}" for i in rows]


def contributions(f: Findings) -> Figure:
    n = list(range(f.lags + 1))
    figure = figure_of(xaxis=lag_axis(f.lags))
    shares = plain(f.contributions[: f.lags + 1])
    figure.add_bar(x=n, y=shares, name="of this lag", marker_color="#3b528b")
    up_to = np.cumsum(f.contributions)[: f.lags + 1]
    figure.add_scatter(x=n, y=plain(up_to), name="up to it", line={"color": "#e08214"})
    figure.update_yaxes(title="share of dE/dW", tickformat=".0%")
    return figure


def truncation(f: Findings) -> Figure:
    figure = figure_of(
        xaxis={"title": "K", "type": "log", "tickvals": powers_of_two(f.T),
               "range": [-0.05, float(np.log10(f.T)) + 0.05]}
    )  # fmt: skip
    for scheme, cosines in f.cosines.items():
        figure.add_scatter(
            x=f.K, y=plain(cosines), name=f"{scheme}:K", mode="lines+markers",
            line={"color": COLOURS[scheme]}, customdata=plain(f.ratios[scheme]),
            hovertemplate=f"{scheme}:%{{x}}<br>cosine %{{y:.3f}}<br>norm %{{customdata:.3g}} of "
            "the full<extra></extra>",
        )  # fmt: skip
    if f.wanted is not None:
        figure.add_hline(
            y=f.wanted, line={"color": "#555555", "dash": "dot", "width": 1},
            annotation={"text": f"wanted: {f.wanted}"}, annotation_position="bottom left",
        )  # fmt: skip
    scheme, _, K = f.truncation.partition(":")
    if K:
        figure.add_scatter(
            x=[min(int(K), f.T)], y=[f.cosine], name=own_name(f), mode="markers",
            marker={"color": COLOURS[scheme], "size": 16, "symbol": "star"},
        )  # fmt: skip
    figure.update_yaxes(title="cosine with the full dE/dW", range=[None, 1.05])
    return figure


def own_name(f: Findings) -> str:
    """How the mark at a model's own truncation is called."""
    return f"trained with {f.truncation}" if f.is_trained else f.truncation


# ---- several beside one another


def masked(f: Findings, schemes: Sequence[str]) -> Figure:
    maps = [(s, np.where(hears(s, f.T) > 0, log_norms(f.norms), np.nan)) for s in schemes]
    return _maps([(name, f, z) for name, z in maps])


def side_by_side(several: Sequence[Findings]) -> Figure:
    return _maps([(f.name, f, log_norms(f.norms)) for f in several], columns=2)


def _maps(maps: Sequence[tuple[str, Findings, Floats]], columns: int = 2) -> Figure:
    from plotly.subplots import make_subplots

    rows = -(-len(maps) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=escaped([name for name, _, _ in maps]),
        vertical_spacing=0.18, horizontal_spacing=0.12,
    )  # fmt: skip
    top = max(finite_max(z) for _, _, z in maps)
    for i, (_, f, z) in enumerate(maps):
        row, column = i // columns + 1, i % columns + 1
        at, first = {"row": row, "col": column}, first_step(f.T)
        for trace in heat_traces(f, z, False, "coloraxis"):
            figure.add_heatmap(**trace, **at)
        x = words_axis(f.inputs, "step k, the word read" if row == rows else "", first)
        figure.update_xaxes(**{**x, "range": [first + 0.5, f.T + 0.5]}, **at)
        y = words_axis(f.targets, "output t, to be predicted" if column == 1 else "", first)
        figure.update_yaxes(**{**y, "range": [f.T + 0.5, first + 0.5], "tickangle": 0}, **at)
    style(figure, height=110 + 440 * rows)
    figure.update_layout(
        coloraxis={"colorscale": SCALE, "cmax": top, "cmin": top - 6,
                   "colorbar": {"title": {"text": "log10 |dE/ds|"}}},
    )  # fmt: skip
    figure.update_xaxes(tickfont={"size": 10})
    figure.update_yaxes(tickfont={"size": 10})
    return figure


def lags(several: Sequence[Findings]) -> Figure:
    figure = figure_of(xaxis=lag_axis(max(f.lags for f in several)))
    for f in several:
        n = list(range(f.lags + 1))
        figure.add_scatter(x=n, y=plain(f.left[: f.lags + 1]), name=f.name, mode="lines+markers")
    figure.update_yaxes(
        type="log", title="left of |dE<sub>t</sub>/ds<sub>k</sub>|", exponentformat="power"
    )
    left = np.concatenate([f.left[f.left > 0] for f in several])
    figure.update_yaxes(dtick=decade_tick(left.max() / left.min()))
    return figure
