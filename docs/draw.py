"""Draws unrolled, truncations, artbp, influence, diagonal and flossing (.svg) beside itself.

By ``python docs/draw.py``.

Plain Python and SVG, on white cards, so that they can be read on white and on dark pages.
"""

import math
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
    side, across, down, left, top = 26, 232, 266, 62, 48
    pairs = [(t, j) for t in range(1, T + 1) for j in range(1, t + 1)]
    parts = []
    for number, (name, receives) in enumerate(SCHEMES.items()):
        x0, y0 = left + number % 2 * across, top + number // 2 * down
        middle, below = x0 + T * side / 2, y0 + T * side
        for t, j in pairs:
            x, y = x0 + (j - 1) * side, y0 + (t - 1) * side
            fill = BLUE if receives(t, j, T, K) else PALE
            parts.append(f'<rect x="{x}" y="{y}" width="23" height="23" rx="3" fill="{fill}"/>')
        terms = sum(receives(t, j, T, K) for t, j in pairs)
        parts += [
            text(middle, y0 - 14, name, weight="bold"),
            text(middle, below + 37, "reaches step j", size=15),
            text(middle, below + 58, f"{terms} of {len(pairs)} terms", size=15, fill=GREY),
            f'<g transform="translate({x0 - 32} {y0 + T * side / 2}) rotate(-90)">'
            f"{text(0, 0, 'error of output t', size=15)}</g>",
        ]
        for n in range(1, T + 1):
            centre = (n - 1) * side + 12
            parts += [
                text(x0 + centre, below + 15, str(n), size=14, fill=GREY),
                text(x0 - 13, y0 + centre + 5, str(n), size=14, fill=GREY),
            ]
    title = f"Which step receives the error of which output, in {T} steps and K = {K}"
    return picture(left + across + T * side + 26, top + 2 * down - 26, title, parts)


def artbp(T: int = 6, K: int = 2, cuts: tuple[int, ...] = (3, 4)) -> str:
    """Two triangles of factors: those of one draw, cut before these steps, and their mean."""
    side, across, left, top = 34, 290, 62, 48
    grown = K / (K - 1)  # 1 / (1 - c), where c = 1 / K
    parts = []
    for number, name in enumerate(("one draw of artbp:2", "the mean of all draws")):
        x0, y0 = left + number * across, top
        for t in range(1, T + 1):
            for j in range(1, t + 1):
                x, y = x0 + (j - 1) * side, y0 + (t - 1) * side
                is_cut = number == 0 and any(j < cut <= t for cut in cuts)
                factor = 0 if is_cut else grown ** (t - j) if number == 0 else 1
                parts.append(
                    f'<rect x="{x}" y="{y}" width="{side - 3}" height="{side - 3}" rx="3" '
                    f'fill="{BLUE if factor else PALE}"/>'
                )
                if factor:
                    parts.append(text(x + 15.5, y + 21, f"{factor:g}", size=15, fill="#ffffff"))
        for n in range(1, T + 1):
            centre = (n - 1) * side + 16
            parts += [
                text(x0 + centre, y0 + T * side + 15, str(n), size=14, fill=GREY),
                text(x0 - 13, y0 + centre + 5, str(n), size=14, fill=GREY),
            ]
        parts += [
            text(x0 + T * side / 2, y0 - 14, name, weight="bold"),
            text(x0 + T * side / 2, y0 + T * side + 37, "reaches step j, times", size=15),
            f'<g transform="translate({x0 - 32} {y0 + T * side / 2}) rotate(-90)">'
            f"{text(0, 0, 'error of output t', size=15)}</g>",
        ]
    title = "Factors of the error of each output at each step under artbp:2"
    return picture(left + across + T * side + 26, top + T * side + 56, title, parts)


def unrolled(words: tuple[str, ...] = ("the", "keys", "to", "it"), ahead: str = "are") -> str:
    """The network step by step; in red, the way of the last output's error back to the first."""
    pitch, left, radius = 158, 132, 28
    y_error, y_output, y_state, y_input = 76, 158, 266, 382
    T = len(words)
    parts = [text(left - 102, y_state + 6, "s_0", italic=True)]
    for t, (word, target) in enumerate(zip(words, [*words[1:], ahead]), 1):
        x = left + (t - 1) * pitch
        parts += [
            arrow(x, y_input - 19, x, y_state + radius, INK),
            text(x - 16, y_input - 24, "U", italic=True),
            text(x, y_input + 6, f"x_{t}", italic=True),
            text(x, y_input + 36, f"“{word}”", size=18, fill=GREY),
            arrow(x, y_state - radius, x, y_output + 21, INK),
            text(x - 16, (y_state + y_output) / 2 + 2, "V", italic=True),
            text(x, y_output + 6, f"o_{t}", italic=True),
            arrow(x, y_output - 17, x, y_error + 18, INK),
            text(x, y_error + 6, f"E_{t}", italic=True),
            text(x, y_error - 24, f"“{target}”?", size=18, fill=GREY),
            arrow(x - (pitch - radius if t > 1 else 84), y_state, x - radius, y_state, INK),
            text(x - (pitch / 2 if t > 1 else 60), y_state - 11, "W", italic=True),
            f'<circle cx="{x}" cy="{y_state}" r="{radius}" fill="#eef3fa" stroke="{BLUE}" '
            f'stroke-width="2"/>',
            text(x, y_state + 6, f"s_{t}", italic=True),
        ]
    # The error: down from E_T, and back through W, a factor J_t at each step.
    x = left + (T - 1) * pitch
    below, right, middle = y_state + radius + 16, x + 20, (y_error + y_state) / 2
    parts.append(arrow(right, y_error + 16, right, y_state - radius - 2, RED, 5))
    parts.append(text(right + 14, middle + 4, "∂E_4 / ∂s_4", size=20, fill=RED, anchor="start"))
    for t in range(T, 1, -1):
        x = left + (t - 1) * pitch
        parts.append(arrow(x - 10, below, x - pitch + 12, below, RED, 5 * 0.62 ** (T - t)))
        parts.append(text(x - pitch / 2, below + 27, f"times J_{t}", size=18, fill=RED))
    width = left + (T - 1) * pitch + 140
    caption = "In red: the error of the last output on its way back"
    parts.append(text(width / 2, y_input + 76, caption, size=20, fill=RED))
    return picture(width, y_input + 98, "The network, unrolled over four words", parts)


#: (unit of the state, unit of the parameter) -> what a method keeps of the influence after a step
#: and of the Jacobian: 1 all of it, 0 nothing, between them a part.
KEPT: dict[str, tuple[Callable[[int, int], float], Callable[[int, int], float]]] = {
    "rtrl": (lambda i, n: 1, lambda i, n: 1),
    "snap1": (lambda i, n: i == n, lambda i, n: i == n),
    "local": (lambda i, n: i == n, lambda i, n: 0.45 * (i == n)),
    "immediate": (lambda i, n: i == n, lambda i, n: 0),
}


def influence(units: int = 3, each: int = 4) -> str:
    """What each method keeps of G_t (units x parameters) and of J_t, and uoro's u v'."""
    side, pitch, left, top, gap = 22, 108, 150, 66, 2.9
    columns = units * each

    def row(y: float, name: str, words: str) -> list[str]:
        return [
            text(left - 22, y + units * side / 2 + 6, name, weight="bold", anchor="end", size=18),
            text(left + (columns + gap + units + 1.5) * side, y + units * side / 2 + 6, words,
                 anchor="start", size=16, fill=GREY),
        ]  # fmt: skip

    words = {
        "rtrl": "all, exact",
        "snap1": "a parameter's own unit",
        "local": "own unit, past W",
        "immediate": "nothing goes on",
        "uoro": "one product, random",
    }
    parts = [
        text(left + columns * side / 2, top - 24, "G_t: units by parameters", size=18),
        text(left + (columns + gap + units / 2) * side, top - 24, "J_t", size=18),
    ]
    for number, (name, (of_G, of_J)) in enumerate(KEPT.items()):
        y0 = top + number * pitch
        parts += row(y0, name, words[name])
        for i in range(units):
            for j in range(columns):
                parts.append(square(left + j * side, y0 + i * side, of_G(i, j // each)))
            for n in range(units):
                x = left + (columns + gap + n) * side
                parts.append(square(x, y0 + i * side, of_J(i, n)))
    y0 = top + len(KEPT) * pitch
    parts += row(y0, "uoro", words["uoro"])
    for i in range(units):
        parts.append(square(left, y0 + i * side, 1))
        for n in range(units):
            parts.append(square(left + (columns + gap + n) * side, y0 + i * side, 1))
    parts += [square(left + (1.4 + j) * side, y0 + side, 1) for j in range(columns)]
    width, height = left + (columns + units + gap + 11) * side, y0 + units * side + 24
    return picture(width, height, "What each method carries from step to step", parts)


def diagonal(units: int = 3) -> str:
    """The Jacobians of three steps and their product, of tanh and of mingru."""
    side, left, top, pitch = 22, 130, 60, 112
    kept: dict[str, Callable[[int, int], float]] = {
        "tanh": lambda i, n: 1,
        "mingru": lambda i, n: i == n,
    }
    parts = []
    for number, (name, of_J) in enumerate(kept.items()):
        y0 = top + number * pitch
        middle = y0 + units * side / 2
        parts.append(text(left - 24, middle + 6, name, weight="bold", anchor="end", size=18))
        for at, label in enumerate(("J_3", "J_2", "J_1", "ds_3/ds_0")):
            x0 = left + at * (units + 1.7) * side
            parts.append(text(x0 + units * side / 2, y0 - 14, label, size=17))
            if at:
                sign = "=" if label[0] == "d" else "·"
                parts.append(text(x0 - 0.9 * side, middle + 7, sign))
            for i in range(units):
                for n in range(units):
                    parts.append(square(x0 + n * side, y0 + i * side, of_J(i, n)))
    width = left + 3 * (units + 1.7) * side + units * side + 24
    title = "The Jacobians of three steps and their product"
    return picture(width, top + pitch + units * side + 24, title, parts)


#: The mean of the four exponents that credit.md prints, by the number of updates.
FLOSSED = {0: -0.62, 50: -0.047, 100: -0.034, 300: -0.002}


def flossing(steps: int = 100, least: int = -27) -> str:
    """What is left of an error after some steps, at the exponents before and after flossing."""
    left, top, width, height = 84, 40, 420, 240

    def at(n: float, log: float) -> tuple[float, float]:
        return left + n / steps * width, top + log / least * height

    parts = [text(left + width / 2, top + height + 46, "steps back", size=16)]
    for n in range(0, steps + 1, 25):
        x, y = at(n, least)
        parts += [text(x, y + 22, str(n), size=14, fill=GREY)]
    for power in range(0, least - 1, -9):
        x, y = at(0, power)
        label = "1" if power == 0 else f"1e{power}"
        parts += [
            f'<path d="M{x:g} {y:g} H{x + width:g}" stroke="{PALE}"/>',
            text(x - 10, y + 5, label, size=14, fill=GREY, anchor="end"),
        ]
    for number, (updates, exponent) in enumerate(FLOSSED.items()):
        x, y = at(steps, exponent * steps / math.log(10))
        colour = BLUE if updates else RED
        parts += [
            f'<path d="M{left} {top} L{x:g} {y:g}" stroke="{colour}" stroke-width="2.4" '
            f'stroke-dasharray="{("none", "9 4", "3 3", "none")[number]}"/>',
            text(x + 10, y + (5, 14, 3, -6)[number], f"{updates} updates" if updates else "before",
                 size=15, fill=colour, anchor="start"),
        ]  # fmt: skip
    title = "What is left of an error, before flossing and after some updates of it"
    return picture(left + width + 112, top + height + 62, title, parts)


def square(x: float, y: float, share: float) -> str:
    """A square of a matrix, blue where there is something."""
    fill = PALE if share == 0 else BLUE
    opacity = f' fill-opacity="{share:g}"' if 0 < share < 1 else ""
    return f'<rect x="{x:g}" y="{y:g}" width="19" height="19" rx="3" fill="{fill}"{opacity}/>'


def text(
    x: float,
    y: float,
    label: str,
    size: float = 21,
    fill: str = INK,
    anchor: str = "middle",
    weight: str = "normal",
    italic: bool = False,
) -> str:
    """A label; after an underscore a digit is an index."""
    index = rf'<tspan font-size="{0.7 * size:.0f}" font-style="normal" dy="5">\1</tspan>'
    inside = re.sub(r"_(\d)(?=.)", index + '<tspan dy="-5">&#8203;</tspan>', label)
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


DRAWINGS = (truncations, artbp, unrolled, influence, diagonal, flossing)

if __name__ == "__main__":
    for draw in DRAWINGS:
        (HERE / f"{draw.__name__}.svg").write_text(draw(), encoding="utf-8")
