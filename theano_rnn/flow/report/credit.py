"""The table and the picture of ``flow.credit``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from theano_rnn.common import extras
from theano_rnn.flow.credit import Credits, Row
from theano_rnn.flow.report import figures, png
from theano_rnn.flow.report.axes import Axis, K_axis
from theano_rnn.flow.report.colours import GOLD, GREY, SKY
from theano_rnn.flow.report.marks import Figure, Level, Line, Mark, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

#: Colours that no other figure needs, as different from those and from one another.
GREEN, VIOLET, BROWN, PLUM = "#22bb66", "#7700ee", "#662200", "#773377"
#: Colour and dash of each forward method, which has no marker,
LOOKS = {
    "rtrl": (GREY, "solid"),
    "snap1": (GREEN, "dash"),
    "uoro": (VIOLET, "dashdot"),
    "local": (SKY, "dot"),
    "immediate": (BROWN, "long"),
}
#: and colour, dash and marker of each truncation scheme.
SCHEMES = {**figures.SCHEMES, "artbp": (GOLD, "dot", "square")}
#: An error below it is drawn as this one: that of rtrl is rounding.
LEAST = 1e-4


def table(found: Credits) -> Table:
    """A line for each method."""
    made = Table(
        title=f"dE/d({found.of}) on {found.T} steps, against the full gradient",
        title_justify="left",
    )
    made.add_column("method", no_wrap=True)
    for column in ("cosine", "norm", "bias", "variance", "CPU ms", "memory"):
        made.add_column(column, justify="right")
    for row in found.rows:
        error = f" ± {row.bias_error:.1g}" if row.variance else ""
        made.add_row(
            row.name,
            f"{row.cosine:.4f}",
            f"{row.ratio:.3g}",
            f"{row.bias:.2g}{error}",
            f"{row.variance:.3g}",
            f"{1e3 * row.seconds:.3g}",
            size(row.memory),
        )
    return made


def size(count: int) -> str:
    """Bytes with a unit.

    >>> size(800), size(1_500_000)
    ('800 B', '1.5 MB')
    """
    number, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}"


def plot(found: Credits) -> "MatplotlibFigure":
    """The picture of all methods.

    Raises
    ------
    RNNError
        If Matplotlib is not installed.
    """
    extras.need("report", "a picture")
    return png.drawn(figure(found))


def figure(found: Credits) -> Figure:
    """Cosine, norm and error by K, with a level for each forward method; and what each costs.

    Of a random method the error is that of one draw, and beside it stands that of their mean.
    """
    by_K = K_axis(found.T)
    error = Axis(f"|gradient - full| / |full|, {LEAST:g} if less", is_log=True)
    cost = Axis("milliseconds of the processor", is_log=True), Axis("bytes to keep", is_log=True)
    means: list[Mark] = [
        Level(f"{row.name}, mean of {found.draws}", drawn(row, "bias"), LOOKS[row.name][0])
        for row in found.rows
        if row.is_online and row.variance
    ]
    for name, rows in of_schemes(found):
        if any(row.variance for row in rows):
            y = [drawn(row, "bias") for row in rows]
            label = f"{name}, mean of {found.draws}"
            means.append(Line(label, list(map(K_of, rows)), y, look(name)[0], "", marker="dot"))
    panels = [
        [
            Panel(marks(found, "cosine"), by_K, Axis("cosine with the full gradient")),
            Panel(marks(found, "ratio"), by_K, Axis("|gradient| / |full|", is_log=True)),
        ],
        [
            Panel([*marks(found, "error"), *means], by_K, error),
            Panel(list(costs(found)), *cost),
        ],
    ]
    return Figure(f"Credit through time: dE/d({found.of}), {found.T} steps", panels, 12, 8.4)


def marks(found: Credits, number: str) -> list[Mark]:
    """A line by K for each scheme, a level for each forward method."""
    made: list[Mark] = []
    for name, rows in of_schemes(found):
        y = [drawn(row, number) for row in rows]
        colour, dash, marker = look(name)
        made.append(Line(name, list(map(K_of, rows)), y, colour, dash, marker=marker))
    for row in found.rows:
        if row.is_online:
            made.append(Level(row.name, drawn(row, number), *LOOKS[row.name]))
    return made


def drawn(row: Row, number: str) -> float:
    """The number of a row as an axis shows it."""
    value: float = getattr(row, number)
    return max(value, LEAST) if number in ("error", "bias") else value


def of_schemes(found: Credits) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each truncation scheme, and of each alpha of artbp, by K."""
    by_name: dict[str, list[Row]] = {}
    for row in found.rows:
        scheme, *rest = row.name.split(":")
        if scheme in SCHEMES:
            by_name.setdefault(":".join([scheme, "K", *rest[1:]]), []).append(row)
    for name in sorted(by_name, key=lambda name: [*SCHEMES].index(name.partition(":")[0])):
        yield name, sorted(by_name[name], key=K_of)


def K_of(row: Row) -> int:
    """K of a truncation's row."""
    return int(row.name.split(":")[1])


def look(name: str) -> tuple[str, str, str]:
    """Colour, dash and marker of a scheme by its name, such as "artbp:K"."""
    return SCHEMES[name.partition(":")[0]]


def costs(found: Credits) -> Iterator[Mark]:
    """A point for each method."""
    for name, rows in of_schemes(found):
        x, y = [1e3 * row.seconds for row in rows], [row.memory for row in rows]
        yield Line(name, x, y, look(name)[0], "", marker=look(name)[2])
    for row in found.rows:
        if row.is_online or row.name == "full":
            colour = LOOKS[row.name][0] if row.is_online else PLUM
            yield Line(row.name, [1e3 * row.seconds], [row.memory], colour, "", marker="star")
