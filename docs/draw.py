"""Draws unrolled.svg and truncations.svg beside itself: ``python docs/draw.py``.

Plain Python and SVG, on white cards, so that they can be read on white and on dark pages.
"""

import re
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
INK, GREY, PALE = "#24292f", "#6e7781", "#e4e8ee"
BLUE, RED = "#2f6db5", "#c8372d"

#: (t, j, T, K) -> whether step j receives the error of output t, both counted from 1.
SCHEMES: dict[str, Callable[[int, int, int, int], bool]] = {
    "full": lambda t, j, T, K: j <= t,
    "window:2": lambda t, j, T, K: t - K <= j <= t,
    "chunk:2": lambda t, j, T, K: (t - 1) // K * K < j <= t,
    "last:2": lambda t, j, T, K: T - K < j <= t,
}


def truncations(T: int = 6, K: int = 2) -> str:
    """Four triangles of squares: which step (column) receives the error of which output (row)."""
    side, gap, left, top = 22, 52, 58, 50
    parts = []
    for number, (name, receives) in enumerate(SCHEMES.items()):
        x0 = left + number * (T * side + gap)
        pairs = [(t, j) for t in range(1, T + 1) for j in range(1, t + 1)]
        for t, j in pairs:
            fill = BLUE if receives(t, j, T, K) else PALE
            x, y = x0 + (j - 1) * side, top + (t - 1) * side
            parts.append(
                f'<rect x="{x}" y="{y}" width="{side - 3}" height="{side - 3}" rx="3" '
                f'fill="{fill}"/>'
            )
        terms = sum(receives(t, j, T, K) for t, j in pairs)
        middle = x0 + T * side / 2
        parts += [
            text(middle, 28, name, size=16, weight="bold"),
            text(middle, top + T * side + 42, f"{terms} of {len(pairs)} terms", size=13),
        ]
        for n in range(1, T + 1):
            centre = (n - 1) * side + side / 2 - 1
            parts.append(text(x0 + centre, top + T * side + 14, str(n), size=11, fill=GREY))
            if number == 0:
                parts.append(text(x0 - 12, top + centre + 4, str(n), size=11, fill=GREY))
    middle = top + T * side / 2
    parts.append(
        f'<g transform="translate(22 {middle}) rotate(-90)">'
        f"{text(0, 0, 'error of output t', size=13)}</g>"
    )
    width = left + 4 * (T * side + gap) - gap + 26
    height = top + T * side + 84
    parts.append(text(width / 2, height - 16, "reaches step j", size=13))
    title = f"Which step receives the error of which output, in {T} steps and K = {K}"
    return picture(width, height, title, parts)


def unrolled(words: tuple[str, ...] = ("the", "keys", "to", "it"), ahead: str = "are") -> str:
    """The network step by step; in red, the way of the last output's error back to the first."""
    pitch, left, radius = 168, 134, 25
    y_error, y_output, y_state, y_input = 66, 140, 240, 340
    T = len(words)
    parts = []
    for t, word in enumerate(words, 1):
        x = left + (t - 1) * pitch
        target = [*words[1:], ahead][t - 1]
        parts += [
            arrow(x, y_input - 16, x, y_state + radius, INK),
            text(x - 14, y_input - 24, "U", italic=True),
            text(x, y_input + 5, f"x_{t}", italic=True),
            text(x, y_input + 28, f"“{word}”", size=14, fill=GREY),
            arrow(x, y_state - radius, x, y_output + 17, INK),
            text(x - 14, (y_state + y_output) / 2, "V", italic=True),
            text(x, y_output + 5, f"o_{t}", italic=True),
            arrow(x, y_output - 15, x, y_error + 15, INK),
            text(x, y_error + 5, f"E_{t}", italic=True),
            text(x, y_error - 19, f"“{target}”?", size=14, fill=GREY),
            arrow(x - (pitch - radius if t > 1 else 84), y_state, x - radius, y_state, INK),
            text(x - (pitch / 2 if t > 1 else 58), y_state - 10, "W", italic=True),
            f'<circle cx="{x}" cy="{y_state}" r="{radius}" fill="#eef3fa" stroke="{BLUE}" '
            f'stroke-width="2"/>',
            text(x, y_state + 5, f"s_{t}", italic=True),
        ]
    parts.append(text(left - 100, y_state + 5, "s_0", italic=True))
    # The error: down from E_T, and back through W, a factor J_t at each step.
    x = left + (T - 1) * pitch
    below, right = y_state + radius + 16, x + 16
    parts.append(arrow(right, y_error + 16, right, y_state - radius - 2, RED, 4.5))
    parts.append(
        text(right + 12, (y_error + y_state) / 2, "∂E_4 / ∂s_4", fill=RED, anchor="start")
    )
    for t in range(T, 1, -1):
        x = left + (t - 1) * pitch
        thickness = 4.5 * 0.62 ** (T - t)
        start, end = (x - 10, below), (x - pitch + 12, below)
        parts.append(arrow(*start, *end, RED, thickness))
        parts.append(text(x - pitch / 2, below + 22, f"times J_{t}", fill=RED))
    width = left + (T - 1) * pitch + 130
    parts.append(
        text(
            width / 2,
            y_input + 62,
            "In red: the error of the last output on its way back",
            fill=RED,
        )
    )
    return picture(width, y_input + 82, "The network, unrolled over four words", parts)


def text(
    x: float,
    y: float,
    label: str,
    size: float = 17,
    fill: str = INK,
    anchor: str = "middle",
    weight: str = "normal",
    italic: bool = False,
) -> str:
    """A label; after an underscore a digit is an index."""
    index = rf'<tspan font-size="{0.7 * size:.0f}" font-style="normal" dy="4">\1</tspan>'
    inside = re.sub(r"_(\d)(?=.)", index + '<tspan dy="-4">&#8203;</tspan>', label)
    inside = re.sub(r"_(\d)", index, inside)
    style = ' font-style="italic"' if italic else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}"{style}>{inside}</text>'
    )


def arrow(x: float, y: float, to_x: float, to_y: float, colour: str, width: float = 1.6) -> str:
    """A straight arrow, along one axis."""
    length = 7 + width
    across, along = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
    back_x, back_y = to_x - length * across, to_y - length * along
    half = 3.2 + 0.7 * width
    return (
        f'<path d="M{x:g} {y:g} L{back_x:g} {back_y:g}" stroke="{colour}" '
        f'stroke-width="{width:.3g}" fill="none"/>'
        f'<path d="M{to_x:g} {to_y:g} L{back_x + half * along:g} {back_y + half * across:g} '
        f'L{back_x - half * along:g} {back_y - half * across:g} Z" fill="{colour}"/>'
    )


def picture(width: float, height: float, title: str, parts: list[str]) -> str:
    """An SVG document on a white card."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img" '
            'font-family="Helvetica, Arial, sans-serif">',
            f"<title>{title}</title>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    (HERE / "truncations.svg").write_text(truncations(), encoding="utf-8")
    (HERE / "unrolled.svg").write_text(unrolled(), encoding="utf-8")
