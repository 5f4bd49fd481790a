"""The figures of report.html: a description of ``figures``, drawn by Plotly."""

import html
from typing import Any, Optional

import numpy as np

from theano_rnn.flow.findings import plain
from theano_rnn.flow.report.axes import CROWDED, Axis, with_indices
from theano_rnn.flow.report.marks import Bars, Figure, Level, Line, Map, Mark

#: What Plotly calls the markers, and their size.
MARKERS = {"dot": {"symbol": "circle", "size": 6}, "star": {"symbol": "star", "size": 16}}
#: Pixels of an inch, of the row of tools above a figure, and of the slider under it.
SCALE, TOOLS, SLIDER = 100, 30, 110
CONFIG = {"responsive": True, "displaylogo": False, "showSendToCloud": False}


def html_of(figure: Figure, id: str) -> str:
    """The figure as HTML: an element of this id and the script that draws it."""
    made: str = drawn(figure).to_html(CONFIG, include_plotlyjs=False, full_html=False, div_id=id)
    return made


def drawn(figure: Figure) -> Any:
    """The figure as a Plotly figure.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    plotly.graph_objects.Figure
    """
    from plotly.subplots import make_subplots

    rows, columns = len(figure.rows), max(map(len, figure.rows))
    titles = [marked(panel.title) for panel in figure.panels]
    room = {"t": 0.06 if any(titles) else 0}  # between the legend and a title
    made = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, specs=[[room] * columns] * rows,
        vertical_spacing=0.15 if rows > 1 else None,
    )  # fmt: skip
    named: set[str] = set()
    for i, row in enumerate(figure.rows, 1):
        for j, panel in enumerate(row, 1):
            at = {"row": i, "col": j}
            for mark in panel.marks:
                draw(made, mark, at, mark.name not in named)
                named.add(mark.name)
            made.update_xaxes(axis(panel.x), **at)
            made.update_yaxes(axis(panel.y), **at)
    height = SCALE * figure.height + SLIDER * (figure.slider is not None)
    made.update_layout(
        template="plotly_white", height=height, margin={"l": 70, "r": 20, "t": 60, "b": 70},
        showlegend=len(named) > 1,
        # Under the row of tools; what it needs is taken from the top of the figure.
        legend_orientation="h", legend_yref="container", legend_yanchor="top",
        legend_y=1 - TOOLS / height,
    )  # fmt: skip
    if figure.slider is not None:
        slide(made, figure)
    return made


def draw(made: Any, mark: Mark, at: dict[str, int], is_new: bool) -> None:
    """Add a mark; its name stands in the legend once."""
    if isinstance(mark, Level):
        line = {"color": mark.colour, "dash": mark.dash, "width": 1}
        made.add_hline(y=mark.y, line=line, name=marked(mark.name), showlegend=True, **at)
        return
    name = marked(mark.name)
    if isinstance(mark, Map):
        made.add_heatmap(**heatmap(mark), name=name, showlegend=bool(mark.colour and is_new), **at)
        return
    common = {"x": plain(np.asarray(mark.x)), "y": plain(np.asarray(mark.y)), "name": name}
    common.update(at, showlegend=is_new, legendgroup=name)
    if isinstance(mark, Bars):
        made.add_bar(**common, marker_color=mark.colour)
        return
    mode = "+".join(["lines"] * bool(mark.dash) + ["markers"] * bool(mark.marker))
    made.add_scatter(
        **common, mode=mode, opacity=mark.opacity, **hover(mark),
        line={"color": mark.colour, "dash": mark.dash or None, "width": mark.width},
        marker={"color": mark.colour, **MARKERS.get(mark.marker, {})},
    )  # fmt: skip


def hover(line: Line) -> dict[str, Any]:
    """The text of a point."""
    if line.hover is None:
        return {}
    if not line.hover:
        return {"hoverinfo": "skip"}
    return {"hovertext": [marked(text) for text in line.hover], "hoverinfo": "text"}


def heatmap(m: Map) -> dict[str, Any]:
    """The settings of a heat map."""
    trace = {"z": plain(m.z), "x": list(m.x), "y": list(m.rows), "hoverongaps": False}
    if m.hover is not None:
        trace["text"] = [[marked(text) for text in row] for row in m.hover()]
        trace["hoverinfo"] = "text"
    else:
        trace["hovertemplate"] = f"%{{x}}<br>%{{y}}<br>{marked(m.bar)} %{{z:.3f}}<extra></extra>"
    if m.colour:
        return {**trace, "colorscale": [[0, m.colour], [1, m.colour]], "showscale": False}
    bar = {"title": {"text": marked(m.bar), "side": "right"}} if m.bar else None
    scale = {"zmin": m.low, "zmax": m.high, "colorscale": "Viridis", "showscale": bool(m.bar)}
    return {**trace, **scale, "colorbar": bar}


def axis(a: Axis) -> dict[str, Any]:
    """The settings of an axis."""
    settings: dict[str, Any] = {"title": {"text": marked(a.title)}}
    if a.ticks is not None and a.labels is not None:
        labels = [marked(label) for label in a.labels]
        settings.update(tickmode="array", tickvals=list(a.ticks), ticktext=labels, automargin=True)
        settings["tickangle"] = -90 if a.is_upright else 0
        if len(labels) > CROWDED:
            settings["tickfont"] = {"size": 10}
    elif a.every is not None:
        settings["dtick"] = a.every
    if a.range is not None:
        settings["range"] = [float(end) for end in (np.log10(a.range) if a.is_log else a.range)]
    if a.is_log:
        settings.update(type="log", exponentformat="power")
        if a.ticks is None and a.range is not None:
            settings["dtick"] = decade_tick(a.range[1] / a.range[0])
    if a.is_percent:
        settings["tickformat"] = ".0%"
    return settings


def decade_tick(ratio: float) -> Optional[int]:
    """The decades between the ticks of a logarithmic axis; None leaves them to Plotly."""
    decades = np.log10(ratio)
    return None if decades < 1.5 else int(np.ceil(decades / 12))


def slide(made: Any, figure: Figure) -> None:
    """Put the slider under the figure; Plotly leaves out labels that would overlap."""
    slider = figure.slider
    assert slider is not None
    steps = []
    for label, data in zip(slider.labels, slider.data):
        change = {"y": [plain(np.asarray(y)) for _, y in data]}
        if data[0][0] is not None:
            change["x"] = [plain(np.asarray(x)) for x, _ in data]
        steps.append({"label": marked(label), "method": "restyle", "args": [change, slider.marks]})
    made.update_layout(
        sliders=[
            {"steps": steps, "active": slider.active, "currentvalue": {"prefix": slider.prefix},
             "pad": {"t": 80}, "ticklen": 0, "minorticklen": 0, "font": {"size": 13}}
        ]
    )  # fmt: skip


def marked(text: str) -> str:
    """Plain text as HTML, dE_t/ds_k and the like with their indices below.

    >>> marked("|ds_t/ds_{t-1}| < 1")
    '|ds<sub>t</sub>/ds<sub>t-1</sub>| &lt; 1'
    """
    return with_indices(html.escape(text), "<sub>", "</sub>").replace("\n", "<br>")
