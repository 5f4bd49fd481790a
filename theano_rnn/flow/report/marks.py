"""The parts of a figure: lines, bars, levels and maps on panels, in rows.

Texts are plain: each renderer escapes them, and sets the indices of dE_t/ds_k below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from theano_rnn.common.types import Floats
from theano_rnn.flow.report.axes import Axis


@dataclass(frozen=True, eq=False)
class Line:
    """A line, points, or both.

    ``dash`` is "solid", "dash", "dashdot", "dot", "long", or "" for points alone; ``marker`` is
    "", "dot", "square" or "star". ``hover`` is the text of each point: [] for none, None for the
    renderer's own.
    """

    name: str
    x: Any
    y: Any
    colour: str
    dash: str = "solid"
    width: float = 2
    marker: str = ""
    opacity: float = 1
    hover: Optional[Sequence[str]] = None


@dataclass(frozen=True, eq=False)
class Bars:
    """A bar at each x."""

    name: str
    x: Any
    y: Any
    colour: str


@dataclass(frozen=True)
class Level:
    """A horizontal line across the figure."""

    name: str
    y: float
    colour: str
    dash: str = "dot"


@dataclass(frozen=True, eq=False)
class Map:
    """A colour for each element of z, dark to bright from ``low`` to ``high``; none for NaN.

    If ``colour`` is given, all have that one. ``rows`` are the places or names of the rows,
    ``bar`` is the title of the colour scale, "" for none. ``hover`` returns the text of each
    element.
    """

    name: str
    z: Floats
    x: Sequence[int]
    rows: Sequence[Union[int, str]]
    low: float = 0.0
    high: float = 1.0
    colour: str = ""
    bar: str = ""
    is_square: bool = False
    hover: Optional[Callable[[], list[list[str]]]] = None


Mark = Union[Line, Bars, Level, Map]


@dataclass(frozen=True, eq=False)
class Panel:
    """Marks on a pair of axes."""

    marks: list[Mark]
    x: Axis
    y: Axis
    title: str = ""


@dataclass(frozen=True, eq=False)
class Slider:
    """A slider under a figure of the page: each label sets the x and y of some marks.

    ``marks`` are the numbers of these marks, in the order of the figure. ``data`` has for each
    label a list of (x, y), one per mark; an x of None stays as it is.
    """

    prefix: str
    labels: list[str]
    marks: list[int]
    data: list[list[tuple[Any, Any]]]
    active: int = 0


@dataclass(frozen=True, eq=False)
class Figure:
    """Rows of panels; width and height in inches, a slider in the page alone."""

    title: str
    rows: list[list[Panel]]
    width: float = 7
    height: float = 4.5
    slider: Optional[Slider] = None

    @property
    def panels(self) -> list[Panel]:
        """All panels, row by row."""
        return [panel for row in self.rows for panel in row]
