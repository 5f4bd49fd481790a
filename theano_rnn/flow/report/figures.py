"""The figures of a report: what each shows, in which colours and dashes; two renderers draw them.

``interactive`` describes them for the script of the page, and ``png`` draws them with Matplotlib.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from theano_rnn.common.types import Floats, Ints
from theano_rnn.flow.curves import activation, derivative
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.findings import Findings, power
from theano_rnn.flow.pairs import reach
from theano_rnn.flow.report.axes import (
    MOST_UNITS,
    Axis,
    K_axis,
    every,
    first_step,
    lag_axis,
    log_range,
    words_axis,
)
from theano_rnn.flow.report.colours import BLUE, GOLD, GREY, INK, ORANGE, SKY
from theano_rnn.flow.report.marks import Bars, Figure, Level, Line, Map, Mark, Panel, Slider
from theano_rnn.model.cells import CELLS

#: The colour, dash and marker of each scheme.
SCHEMES = {
    "window": (BLUE, "solid", "dot"),
    "chunk": (ORANGE, "dash", "square"),
    "last": (INK, "dashdot", "dot"),
}
#: The lowest power of ten a colour stands for, below the largest; and where maps are compared.
DECADES, DECADES_COMPARED = 12, 6
#: Points of one word on all curves together, and of all words on one.
POINTS, ALL_POINTS = 240, 600
READ, PREDICTED = ": the word read", ": the word to predict"


# ---- errors of outputs at steps


def heat(f: Findings, first: int = 0) -> Figure:
    """log10 |dE_t/ds_k| of all pairs, from step ``first`` + 1 on."""
    z = log_norms(f.norms)
    top = finite_max(z)
    least = max(top - DECADES, float(np.nanmin(np.where(np.isfinite(z), z, top))))
    size = 3 + 0.22 * min(f.T - first, 45)
    panel = Panel(
        [*pair_maps(f, z, first, least, top, "log10 |dE_t/ds_k|")],
        words_axis(f.inputs, "step k" + READ * f.is_text, first),
        words_axis(f.targets, "output t" + PREDICTED * f.is_text, first, is_x=False),
    )
    title = f"Which {'word' if f.is_text else 'input'} reaches which"
    return Figure(title, [[panel]], size + 1.6, size)


def pair_maps(
    f: Findings, z: Floats, first: int, low: float, high: float, bar: str = ""
) -> Iterator[Map]:
    """The heat map of pairs t, k; errors that are exactly 0 are grey."""
    steps = list(range(first + 1, f.T + 1))
    whole = Map(
        "|dE_t/ds_k|", z[first:, first:], steps, steps, low, high, bar=bar, is_square=True,
        hover=lambda: pair_texts(f, first),
    )  # fmt: skip
    yield whole
    zero = np.where(f.norms[first:, first:] == 0, 0.0, np.nan)
    if np.isfinite(zero).any():
        yield replace(whole, name="exactly 0", z=zero, low=0.0, high=1.0, colour=GREY, bar="")


def pair_texts(f: Findings, first: int) -> list[list[str]]:
    """The text of each pair t, k on the page; "" above the diagonal."""
    steps = range(first, f.T)
    losses = [""] * f.T if f.losses is None else [f": {loss:.3g} nats" for loss in f.losses]
    return [
        [
            f"output {t + 1}, “{f.targets[t]}”{losses[t]}\nstep {k + 1}, "
            f"“{f.inputs[k]}”: norm {f.norms[t, k]:.3g}, {f.shares[t, k]:.2%} of {f.gradient}"
            if k <= t
            else ""
            for k in steps
        ]
        for t in steps
    ]


def log_norms(norms: Floats) -> Floats:
    """log10 of the norms, NaN for a norm of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log10(norms)
    return np.where(np.isfinite(z), z, np.nan)


def finite_max(z: Floats) -> float:
    """The largest finite element, 0 if there is none."""
    finite = z[np.isfinite(z)]
    return float(finite.max()) if len(finite) else 0.0


def one_output(f: Findings) -> Figure:
    """|dE_t/ds_k| of one output t, which the slider picks."""
    first = first_step(f.T)
    norms, steps = f.norms[first:, first:], list(range(first + 1, f.T + 1))
    # It opens on the largest loss of the second half: an early one has no way back to show.
    losses = (np.diag(f.norms) if f.losses is None else f.losses)[first:]
    active = len(losses) // 2 + int(losses[len(losses) // 2 :].argmax())
    low, high = log_range(norms, above=1.3)
    panel = Panel(
        [Bars("|dE_t/ds_k|", steps, norms[active], ORANGE)],
        words_axis(f.inputs, "step k" + READ * f.is_text, first),
        Axis("|dE_t/ds_k|", is_log=True, range=(max(low, high / 10**DECADES) / 1.3, high)),
    )
    slider = Slider(
        "the error of output ",
        [f"{t}: {f.targets[t - 1]}" for t in steps],
        [0],
        [[(None, row)] for row in norms],
        active,
    )
    return Figure("The error of one output, step by step", [[panel]], slider=slider)


# ---- by lag


def lag(f: Findings) -> Figure:
    """The norms by lag, the fitted rate and the bounds."""
    n = np.arange(f.lags + 1)
    ends = [
        Line("|ds_t/ds_k| from one end t", n, row[n], INK, width=0.8, opacity=0.35, hover=[])
        for row in f.products
    ]
    seen = np.concatenate([f.left[n], f.products[:, n].ravel(), [1.0]])
    # The bounds may go far beyond what is seen.
    y = Axis(norm_title(f), is_log=True, range=log_range(seen, 3, 10))
    panel = Panel([*ends, *by_lag_lines(f)], lag_axis(f.lags), y)
    return Figure("Norms against lag", [[panel]])


def by_lag_lines(f: Findings) -> list[Line]:
    """The lines with a value at each lag 0..lags.

    The mean over ends stops where the first of them ends, so that it has no jumps.
    """
    n = np.arange(f.lags + 1)
    by_all = np.isfinite(f.products).all(axis=0)
    mean = np.where(by_all, geometric_mean(f.products), np.nan)
    v = f.verdict
    lines = [
        Line("|dE_t/ds_k|, mean", n, f.left[n], ORANGE, marker="dot"),
        Line("|ds_t/ds_k|, mean", n, mean[n], INK, "long", marker="square"),
    ]
    for piece in v.pieces:
        # The last one goes on to the longest lag; nothing is drawn of a rate of 0.
        ends = f.lags if piece is v.pieces[-1] else min(piece.last, f.lags)
        at = np.arange(piece.first if len(v.pieces) > 1 else 0, ends + 1)
        if piece.rate > 0 and len(at):
            drawn = piece.start * power(piece.rate, at)
            of = f" ({v.texts} texts)" if v.texts > 1 else ""
            lines.append(Line(f"rate {piece.rate:.3g}{of}", at, drawn, GOLD, "dot"))
    if f.bound is not None and f.radius is not None:
        lines.append(Line("bound (gamma sigma_max)^n", n, power(f.bound, n), GREY, "dash"))
        radius = power(f.radius, n)
        lines.append(Line("(gamma spectral radius)^n", n, radius, SKY, "dashdot"))
    for layer, carried in enumerate([] if f.carried is None else f.carried, 1):
        name = "through the gates" + (f", layer {layer}" if f.layers > 1 else "")
        lines.append(Line(name, n, carried[n], BLUE, "dash"))
    return lines


def norm_title(f: Findings) -> str:
    return "norm, 1 at lag 0" + (" (of dE_t: at lag 1)" if CELLS[f.cell].parts > 1 else "")


def contributions(f: Findings) -> Figure:
    """The share of dE/dW at each lag, and their sum up to it."""
    n = np.arange(f.lags + 1)
    marks: list[Mark] = [
        Bars("at this lag", n, f.contributions[n], ORANGE),
        Line("up to this lag", n, np.cumsum(f.contributions)[n], INK),
    ]
    panel = Panel(marks, lag_axis(f.lags), Axis(f"share of {f.gradient}", is_percent=True))
    return Figure(f"What each lag contributes to {f.gradient}", [[panel]])


# ---- activations and gates


def operating(f: Findings, first: int = 0) -> Figure:
    """Each curve of the cell, its derivative, and the points of the model on it."""
    panels: list[Panel] = []
    points: list[int] = []
    words = range(first, f.T)
    data: list[list[tuple[Any, Any]]] = [[] for _ in (None, *words)]
    for name, z in f.curves.items():
        far = farthest(z)
        grid, here = np.linspace(-far, far, 201), subsample(z.ravel(), ALL_POINTS)
        curves = ("value", activation, BLUE, "solid"), ("derivative", derivative, INK, "dash")
        marks: list[Mark] = [Line(of, grid, curve(name, grid), c, d) for of, curve, c, d in curves]
        for of, curve, colour, _ in curves:
            points.append(4 * len(panels) + len(marks))
            y = curve(name, here)
            marks.append(Line(f"{of}, this text", here, y, colour, "", marker="dot", opacity=0.35))
            each = max(2, POINTS // len(f.curves))
            for at, chosen in zip(data, (here, *(subsample(z[t], each) for t in words))):
                at.append((np.round(chosen, 4), np.round(curve(name, chosen), 4)))
        panels.append(Panel(marks, Axis(argument_of(name), range=(-far, far)), Axis(), name))
    whole = "all words" if f.is_text else "all steps"
    labels = [whole, *(f"{t + 1}: {f.inputs[t]}" for t in words)]
    title, slider = "Where the model is on its curves", Slider("at ", labels, points, data)
    return Figure(title, [panels], 4.2 * len(panels), 4.4, slider)


def farthest(z: Floats) -> float:
    """The largest |z| to which a curve is drawn."""
    return float(min(max(4.0, abs(z[np.isfinite(z)]).max() * 1.05), 20))


def argument_of(name: str) -> str:
    """The name of a curve's argument.

    >>> argument_of("tanh(c)"), argument_of("gate f")
    ('c', 'z')
    """
    return name.partition("(")[2].rstrip(")") or "z"


def subsample(values: Floats, most: int) -> Floats:
    """Every n-th of the sorted values, the least and the greatest among them."""
    values = np.sort(values)
    if len(values) <= most:
        return values
    chosen: Floats = values[np.linspace(0, len(values) - 1, most).round().astype(int)]
    return chosen


def saturation(f: Findings, first: int = 0) -> Figure:
    """How open each unit is at each step."""
    rows, names = units(f)
    top = 1.0 if f.open_name.startswith("gate") else CELLS[f.cell].activation.gamma
    z, steps = np.round(f.open[rows, first:], 3), list(range(first + 1, f.T + 1))
    x = words_axis(f.inputs, "step" + READ * f.is_text, first)
    y = Axis("units, the least open at the bottom", ticks=[], labels=[])
    panel = Panel([Map("units", z, steps, names, 0.0, top, bar=f.open_name)], x, y)
    return Figure("Saturation", [[panel]])


def units(f: Findings) -> tuple[Ints, list[str]]:
    """The rows of ``open`` to show, layer by layer, and their names: "unit 3" of "layer 1"."""
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


# ---- truncation


def truncation(f: Findings) -> Figure:
    """The cosine of the truncated gradient with the full one, by scheme and K."""
    marks: list[Mark] = []
    for scheme, cosines in f.cosines.items():
        cuts = zip(f.K, cosines, f.ratios[scheme])
        hover = [f"{scheme}:{K}\ncosine {c:.3f}\nnorm {r:.3g} of the full" for K, c, r in cuts]
        colour, dash, marker = SCHEMES[scheme]
        line = Line(f"{scheme}:K", f.K, cosines, colour, dash, marker=marker, hover=hover)
        marks.append(line)
    if f.wanted is not None:
        marks.append(Level(f"wanted: {f.wanted}", f.wanted, GREY))
    scheme, _, K = f.truncation.partition(":")
    if scheme in f.cosines:  # not full, and not artbp, whose mean is
        name = f"trained with {f.truncation}" if f.is_trained else f.truncation
        at = [min(int(K), f.T)], [f.cosine]
        marks.append(Line(name, *at, SCHEMES[scheme][0], "", marker="star"))
    panel = Panel(marks, K_axis(f.T), Axis(f"cosine with the full {f.gradient}"))
    return Figure("Truncation", [[panel]])


# ---- several side by side


#: The title of a map, the findings it is from, and its numbers.
Named = tuple[str, Findings, Floats]


def maps(rows: Sequence[Sequence[Named]]) -> Figure:
    """Heat maps of pairs t, k with one scale of colours."""
    top = max(finite_max(z) for row in rows for _, _, z in row)
    made: list[list[Panel]] = [[] for _ in rows]
    for i, row in enumerate(rows):
        for j, (name, f, z) in enumerate(row):
            first, is_last = first_step(f.T), (i, j) == (len(rows) - 1, len(row) - 1)
            bar = "log10 |dE_t/ds_k|" if is_last else ""
            x = words_axis(f.inputs, "step k" + READ, first)
            y = words_axis(f.targets, "" if j else "output t" + PREDICTED, first, is_x=False)
            marks = [*pair_maps(f, z, first, top - DECADES_COMPARED, top, bar)]
            made[i].append(Panel([*marks], x, y, name))
    width = 4 * max(len(row) for row in rows)
    return Figure("Which word reaches which", made, width, 1.1 + 4.4 * len(rows))


def masked(f: Findings, schemes: Sequence[str]) -> list[Named]:
    """The pairs of one network that each scheme keeps."""
    z = log_norms(f.norms)
    return [(s, f, np.where(reach(s, f.T) > 0, z, np.nan)) for s in schemes]


def each(several: Sequence[Findings]) -> list[Named]:
    """All pairs of each network."""
    return [(f"{f.name}: {f.verdict.kind}", f, log_norms(f.norms)) for f in several]


def lags(several: Sequence[Findings]) -> Figure:
    """The share of the error left by lag, a line for each network."""
    lines: list[Mark] = []
    styles = (ORANGE, "solid"), (BLUE, "dash"), (INK, "dashdot"), (GOLD, "dot")
    for f, (colour, dash) in zip(several, styles * len(several)):
        n = np.arange(f.lags + 1)
        lines.append(Line(f.name, n, f.left[n], colour, dash, marker="dot"))
    seen = np.concatenate([f.left for f in several])
    y = Axis("left of |dE_t/ds_k|", is_log=True, range=log_range(seen, 2, 2))
    panel = Panel(lines, lag_axis(max(f.lags for f in several)), y)
    return Figure("What is left of |dE_t/ds_k|", [[panel]])


def demonstration(several: Sequence[Findings], schemes: Sequence[str]) -> Figure:
    """The figure of the demonstration: the tutorial's fault above, the networks below."""
    above, below = maps([masked(several[0], schemes), each(several)]).rows
    (cut,), (by_lag,) = truncation(several[0]).panels, lags(several).panels
    cut = replace(cut, title="dE/dW of tanh, truncated against full")
    by_lag = replace(by_lag, title="What is left of |dE_t/ds_k|")
    return Figure("", [[*above, cut, by_lag], below], 15, 8.4)
