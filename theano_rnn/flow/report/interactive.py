"""The figures of report.html: a description of ``figures`` as JSON, drawn by ``figures.js``."""

import json
from typing import Any

import numpy as np

from theano_rnn.common.types import Record
from theano_rnn.flow.findings import plain
from theano_rnn.flow.report.axes import Axis
from theano_rnn.flow.report.marks import Bars, Figure, Level, Map, Mark
from theano_rnn.flow.report.symbols import typeset


def html_of(figure: Figure, id: str) -> str:
    """The place of a figure, and its description, which the script of the page draws there."""
    described = as_json(spec(figure))
    return (
        f'<div class="figure" id="{id}"></div>'
        f'<script type="application/json" id="{id}-data">{described}</script>'
    )


def as_json(value: Any) -> str:
    """JSON that may stand in a page: nothing in it ends the element or begins another."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def spec(figure: Figure) -> Record:
    """The figure as lists and dicts: rows of panels, their axes and marks, and the slider.

    Texts are plain; names of the legend are HTML too, with their symbols typeset.
    """
    rows = [
        [
            {
                "title": panel.title,
                "x": axis(panel.x),
                "y": axis(panel.y),
                "marks": [mark_of(mark) for mark in panel.marks],
            }
            for panel in row
        ]
        for row in figure.rows
    ]
    made: Record = {"title": figure.title, "rows": rows}
    s = figure.slider
    if s is not None:
        made["slider"] = {
            "prefix": s.prefix, "labels": s.labels, "marks": s.marks, "active": s.active,
            "data": [[[numbers(x), numbers(y)] for x, y in data] for data in s.data],
        }  # fmt: skip
    return made


def axis(a: Axis) -> Record:
    """What is set of an axis."""
    made = {
        "title": a.title, "log": a.is_log, "percent": a.is_percent, "range": a.range,
        "ticks": a.ticks, "labels": a.labels, "every": a.every, "upright": a.is_upright,
    }  # fmt: skip
    return {name: plain(value) for name, value in made.items() if value not in (None, False, "")}


def mark_of(mark: Mark) -> Record:
    """A mark with its numbers."""
    made: Record = {"kind": type(mark).__name__.lower(), "name": mark.name}
    made.update(html=typeset(mark.name), colour=mark.colour)
    if isinstance(mark, Level):
        return {**made, "y": mark.y, "dash": mark.dash}
    if isinstance(mark, Map):
        made.update(z=numbers(mark.z), x=list(mark.x), rows=list(mark.rows), low=mark.low)
        made.update(high=mark.high, bar=mark.bar, barHtml=typeset(mark.bar), square=mark.is_square)
        return made if mark.hover is None else {**made, "hover": mark.hover()}
    made.update(x=numbers(mark.x), y=numbers(mark.y))
    if isinstance(mark, Bars):
        return made
    made.update(dash=mark.dash, width=mark.width, marker=mark.marker, opacity=mark.opacity)
    return made if mark.hover is None else {**made, "hover": list(mark.hover)}


def numbers(values: Any) -> Any:
    """An array as lists of numbers, None for those that are not finite; None stays None."""
    return None if values is None else plain(np.asarray(values))
