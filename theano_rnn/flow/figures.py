"""The interactive figures of report.html, as Plotly draws them."""

import html
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from theano_rnn.flow.findings import Findings, activation, by_lag_curves, derivative, plain
from theano_rnn.flow.measures import reach as hears
from theano_rnn.types import Floats

#: The lowest power of ten a colour stands for, below the largest.
DECADES = 12
COLOURS = {"window": "#1b7837", "chunk": "#2166ac", "last": "#b2182b"}
SCALE = "Viridis"

#: Plotly has no types; it takes the settings of a trace or an axis by name.
Figure = Any
Settings = dict[str, Any]


def heat(f: Findings) -> Figure:
    figure = _figure(height=260 + 22 * min(f.T, 40), xaxis=words_axis(f.inputs, "step k"))
    figure.add_heatmap(**heat_trace(f, log_norms(f.norms), coloured=True))
    axis = words_axis(f.targets, "output t: the word to be predicted")
    figure.update_yaxes(**{**axis, "autorange": "reversed", "tickangle": 0})
    return figure


def heat_trace(
    f: Findings, z: Floats, coloured: bool, coloraxis: Optional[str] = None
) -> Settings:
    read, asked = _escaped(f.inputs), _escaped(f.targets)
    steps = list(range(1, f.T + 1))
    with np.errstate(invalid="ignore"):
        text = [
            [
                f"E<sub>{t + 1}</sub>, of “{asked[t]}”<br>at step {k + 1}, “{read[k]}”"
                f"<br>|dE/ds| = {f.norms[t, k]:.3g}<br>share of dE/dW {f.shares[t, k]:.2%}"
                if k <= t
                else ""
                for k in range(f.T)
            ]
            for t in range(f.T)
        ]
    trace = {"z": plain(z), "x": steps, "y": steps, "text": text, "hoverinfo": "text"}
    if coloraxis is not None:
        return {**trace, "coloraxis": coloraxis, "hoverongaps": False}
    top = _finite_max(z)
    bar = {"title": {"text": "log10 |dE/ds|"}} if coloured else None
    least = max(top - DECADES, float(np.nanmin(np.where(np.isfinite(z), z, top))))
    return {**trace, "zmax": top, "zmin": least, "colorscale": SCALE, "colorbar": bar,
            "hoverongaps": False}  # fmt: skip


def log_norms(norms: Floats) -> Floats:
    """log10, NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log10(norms)
    return np.where(np.isfinite(z), z, np.nan)


def reach(f: Findings) -> Figure:
    figure = _figure(xaxis=words_axis(f.inputs, "step k"))
    figure.add_bar(x=list(range(1, f.T + 1)), y=plain(f.norms[-1]), marker_color="#3b528b")
    positive = f.norms[np.isfinite(f.norms) & (f.norms > 0)]
    top = np.log10(positive.max()) if len(positive) else 0.0
    least = max(np.log10(positive.min()), top - DECADES) if len(positive) else -1.0
    figure.update_yaxes(
        type="log", title="|dE<sub>t</sub>/ds<sub>k</sub>|", exponentformat="power",
        dtick=decade_tick(10 ** min(300, top - least)),
        range=[float(np.floor(least)), float(np.ceil(top + 0.1))],
    )  # fmt: skip
    labels = _escaped(f.targets)
    steps = [
        {
            "label": f"{t + 1}: {labels[t]}",
            "method": "restyle",
            "args": [{"y": [plain(f.norms[t])]}, [0]],
        }
        for t in range(f.T)
    ]
    return _slider(figure, steps, f.T - 1, "the error of ")


def lag(f: Findings) -> Figure:
    n = np.arange(f.lags + 1)
    figure = _figure(xaxis={"title": "lag n = t - k, in steps"}, height=480)
    for row in f.products:
        figure.add_scatter(
            x=n, y=plain(row[n]), mode="lines", line={"color": "#bbb", "width": 1},
            showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    curves = by_lag_curves(f)
    for name, values, colour, dash in curves:
        mode = "lines+markers" if dash == "solid" else "lines"
        figure.add_scatter(
            x=plain(n), y=plain(values), name=name, mode=mode, line={"color": colour, "dash": dash}
        )
    lowest = np.concatenate([values for _, values, _, _ in curves])
    lowest = lowest[np.isfinite(lowest) & (lowest > 0)].min()
    highest = max(1.0, float(np.nanmax(np.append(f.products, f.left))))
    figure.update_yaxes(
        type="log", title="norm, 1 at lag 0", exponentformat="power",
        range=[float(np.log10(max(lowest, 1e-300))) - 0.3, float(np.log10(highest)) + 1],
        dtick=decade_tick(highest / max(lowest, 1e-300)),
    )  # fmt: skip
    return figure


def operating(f: Findings) -> Figure:
    from plotly.subplots import make_subplots

    names = list(f.curves)
    figure = make_subplots(rows=1, cols=len(names), subplot_titles=names)
    updates: dict[int, dict[str, list[Any]]]
    updates = {t: {"x": [], "y": []} for t in range(-1, f.T)}
    points = []
    for column, (name, z) in enumerate(f.curves.items(), 1):
        reach_ = float(min(max(4.0, abs(z[np.isfinite(z)]).max() * 1.05), 20))
        grid = np.linspace(-reach_, reach_, 201)
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
            for t in range(-1, f.T):
                chosen = all_z if t < 0 else thinned(z[t], 200)
                updates[t]["x"].append(plain(np.round(chosen, 6)))
                updates[t]["y"].append(plain(np.round(of(name, chosen), 6)))
        figure.update_xaxes(title="z", row=1, col=column, range=[-reach_, reach_])
    _style(figure, height=480)
    figure.update_layout(margin_t=70)  # room for the tools above the titles
    words = _escaped(f.inputs)
    steps = [
        {"label": "all words" if t < 0 else f"{t + 1}: {words[t]}", "method": "restyle",
         "args": [update, points]}
        for t, update in updates.items()
    ]  # fmt: skip
    return _slider(figure, steps, 0, "at ")


def thinned(values: Floats, most: int = 600) -> Floats:
    """Every n-th of the sorted values, the least and the greatest with them."""
    values = np.sort(values)
    if len(values) <= most:
        return values
    chosen: Floats = values[np.linspace(0, len(values) - 1, most).round().astype(int)]
    return chosen


def saturation(f: Findings) -> Figure:
    figure = _figure(height=460, xaxis=words_axis(f.inputs, "step"))
    top = 0.25 if f.open_name.startswith("sigmoid'") else 1.0
    figure.add_heatmap(
        z=plain(np.round(f.open, 4)), x=list(range(1, f.T + 1)), zmin=0.0, zmax=top,
        colorscale=SCALE, colorbar={"title": {"text": f.open_name}},
    )  # fmt: skip
    figure.update_yaxes(title="unit")
    return figure


def contributions(f: Findings) -> Figure:
    n = list(range(f.lags + 1))
    figure = _figure(xaxis={"title": "lag, in steps"})
    shares = plain(f.contributions[: f.lags + 1])
    figure.add_bar(x=n, y=shares, name="of this lag", marker_color="#3b528b")
    up_to = np.cumsum(f.contributions)[: f.lags + 1]
    figure.add_scatter(x=n, y=plain(up_to), name="up to it", line={"color": "#e08214"})
    figure.update_yaxes(title="share of dE/dW", tickformat=".0%")
    return figure


def truncation(f: Findings) -> Figure:
    figure = _figure(xaxis={"title": "K"})
    for scheme, cosines in f.cosines.items():
        figure.add_scatter(
            x=f.K, y=plain(cosines), name=f"{scheme}:K", mode="lines+markers",
            line={"color": COLOURS[scheme]},
        )  # fmt: skip
    figure.update_yaxes(title="cosine with the full dE/dW", range=[None, 1.05])
    return figure


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
        rows=rows, cols=columns, subplot_titles=[_escaped([name])[0] for name, _, _ in maps],
        vertical_spacing=0.18, horizontal_spacing=0.12,
    )  # fmt: skip
    top = max(_finite_max(z) for _, _, z in maps)
    for i, (_, f, z) in enumerate(maps):
        at = {"row": i // columns + 1, "col": i % columns + 1}
        figure.add_heatmap(**heat_trace(f, z, False, "coloraxis"), **at)
        figure.update_xaxes(**{**words_axis(f.inputs, ""), "range": [0.5, f.T + 0.5]}, **at)
        y = {**words_axis(f.targets, ""), "range": [f.T + 0.5, 0.5], "tickangle": 0}
        figure.update_yaxes(**y, **at)
    _style(figure, height=110 + 440 * rows)
    figure.update_layout(
        coloraxis={"colorscale": SCALE, "cmax": top, "cmin": top - 6,
                   "colorbar": {"title": {"text": "log10 |dE/ds|"}}},
    )  # fmt: skip
    figure.update_xaxes(tickfont={"size": 10})
    figure.update_yaxes(tickfont={"size": 10})
    return figure


def lags(several: Sequence[Findings]) -> Figure:
    figure = _figure(xaxis={"title": "lag, in steps"})
    for f in several:
        n = list(range(f.lags + 1))
        figure.add_scatter(x=n, y=plain(f.left[: f.lags + 1]), name=f.name, mode="lines+markers")
    figure.update_yaxes(type="log", title="left of |dE_t/ds_k|", exponentformat="power")
    left = np.concatenate([f.left[f.left > 0] for f in several])
    figure.update_yaxes(dtick=decade_tick(left.max() / left.min()))
    return figure


# ---- axes


def decade_tick(ratio: float) -> Optional[int]:
    """How far apart the ticks of a logarithmic axis are, in decades; None: as Plotly likes."""
    decades = np.log10(ratio)
    return None if decades < 1.5 else int(np.ceil(decades / 12))


def words_axis(words: Sequence[str], title: str) -> Settings:
    """An axis of steps 1..T that shows the words, or every n-th of many."""
    T = len(words)
    every = -(-T // 60)
    shown = list(range(0, T, every))
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": [k + 1 for k in shown],
        "ticktext": [_escaped(words)[k] for k in shown],
        "tickangle": -90 if T > 10 else 0,
        "automargin": True,
    }


def _escaped(words: Sequence[str]) -> list[str]:
    """Plotly takes some HTML in its texts."""
    return [html.escape(word) for word in words]


def _figure(height: float = 400, xaxis: Optional[Settings] = None) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    _style(figure, height)
    return figure.update_xaxes(**(xaxis or {}))


def _style(figure: Figure, height: float) -> None:
    figure.update_layout(
        template="plotly_white", height=height, margin={"l": 70, "r": 30, "t": 40, "b": 70}
    )


def _slider(figure: Figure, steps: list[Settings], active: int, prefix: str) -> Figure:
    figure.update_layout(
        sliders=[
            {"steps": steps, "active": active, "currentvalue": {"prefix": prefix},
             "pad": {"t": 80}, "ticklen": 0, "minorticklen": 0, "font": {"size": 9}}
        ],
        height=figure.layout.height + 110,
    )  # fmt: skip
    return figure


def _finite_max(z: Floats) -> float:
    finite = z[np.isfinite(z)]
    return float(finite.max()) if len(finite) else 0.0
