"""Axes, sliders and the window of a long text that the figures of the page share."""

import html
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import Floats

#: Of a longer text the page shows the last so many steps, and the PNGs all of it.
MOST_STEPS = 150
#: Of more units every n-th is shown.
MOST_UNITS = 200

#: Plotly has no types; it takes the settings of a trace or an axis by name.
Figure = Any
Settings = dict[str, Any]


def first_step(T: int) -> int:
    """The first step that the page shows, from 0."""
    return max(0, T - MOST_STEPS)


def every(n: int, most: int) -> int:
    """Every how many-th of n is shown, where most are.

    >>> every(60, 60), every(61, 60)
    (1, 2)
    """
    return -(-n // most)


def words_axis(words: Sequence[str], title: str, first: int = 0) -> Settings:
    """An axis of steps first+1..T that shows the words, or every n-th of many."""
    shown = range(first, len(words), every(len(words) - first, 60))
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": [k + 1 for k in shown],
        "ticktext": [escaped(words)[k] for k in shown],
        "tickangle": -90 if len(words) > 10 else 0,
        "automargin": True,
    }


def lag_axis(longest: int) -> Settings:
    """An axis of lags 0..longest, ticks at whole numbers."""
    return {"title": "lag n = t - k, in steps", "dtick": whole_tick(longest)}


def whole_tick(largest: int) -> int:
    """How far apart about a dozen whole ticks are.

    >>> [whole_tick(n) for n in (3, 24, 60, 1000)]
    [1, 2, 5, 100]
    """
    steps = [m * 10**e for e in range(9) for m in (1, 2, 5)]
    return next((step for step in steps if step * 12 >= largest), largest)


def powers_of_two(largest: int) -> list[int]:
    """Ticks of a logarithmic axis of K.

    >>> powers_of_two(9)
    [1, 2, 4, 8]
    """
    return [2**e for e in range(largest.bit_length())]


def decade_tick(ratio: float) -> Optional[int]:
    """How far apart the ticks of a logarithmic axis are, in decades; None: as Plotly likes."""
    decades = np.log10(ratio)
    return None if decades < 1.5 else int(np.ceil(decades / 12))


def escaped(words: Sequence[str]) -> list[str]:
    """Plotly takes some HTML in its texts."""
    return [html.escape(word) for word in words]


def figure_of(height: float = 400, xaxis: Optional[Settings] = None) -> Figure:
    """An empty figure."""
    import plotly.graph_objects as go

    figure = go.Figure()
    style(figure, height)
    return figure.update_xaxes(**(xaxis or {}))


def style(figure: Figure, height: float) -> None:
    figure.update_layout(
        template="plotly_white", height=height, margin={"l": 70, "r": 30, "t": 40, "b": 70}
    )


def slider(figure: Figure, steps: list[Settings], active: int, prefix: str) -> Figure:
    """Under a figure; Plotly leaves out labels that would overlap."""
    figure.update_layout(
        sliders=[
            {"steps": steps, "active": active, "currentvalue": {"prefix": prefix},
             "pad": {"t": 80}, "ticklen": 0, "minorticklen": 0, "font": {"size": 13}}
        ],
        height=figure.layout.height + 110,
    )  # fmt: skip
    return figure


def finite_max(z: Floats) -> float:
    finite = z[np.isfinite(z)]
    return float(finite.max()) if len(finite) else 0.0
