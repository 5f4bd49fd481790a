"""The report in the terminal: the verdict, a heat map, a table by lag."""

import math
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np
from rich.table import Table

from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.exponents import STARTS, Exponent
from theano_rnn.flow.findings import Findings, power
from theano_rnn.flow.words import is_at_most_one, is_below_one
from theano_rnn.model.cells import CELLS

#: From the largest down, a character a decade; below them a space.
RAMP, ASCII_RAMP = "█▓▒░·", "@#+-."
#: Room for the words beside the map, and the words under it.
BESIDE, UNDER = 14, 12
LAGS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)


def verdict_lines(f: Findings) -> list[str]:
    """The verdict, the reasons and what helps; then the numbers of the text that is shown."""
    v = f.verdict
    lines = [f"{f.name}: {v.kind}", v.words, v.bound_says]
    lines += [f"  because: {reason}" for reason in v.reasons]
    lines += [f"  helps:   {remedy}" for remedy in v.remedies]
    parts = "s and c" if CELLS[f.cell].parts > 1 else "s"
    if f.layers > 1:
        lines.append(f"s_k stands for the whole state: {parts} of all {f.layers} layers.")
    elif parts != "s":
        lines.append(f"s_k stands for the whole state, {parts}.")
    if v.texts > 1:
        lines.append("The numbers below are of the text shown, not of all of them:")
    lines.append(
        f"On average, at least 1 % of an output's error reaches {f.live:.1f} of the "
        f"{possible(f):.1f} steps up to it."
    )
    lines.append(f"Omega is {f.omega:.3g}; it is 0 where every step keeps the norm of the error.")
    one = f.one_step
    lines.append(
        f"One-step |ds_t/ds_{{t-1}}|: mean {one['mean']:.3g}, max {one['max']:.3g}, above 1 at "
        f"{percent(one['above_1'])} of the steps."
    )
    lines.append(exponent_line(f.exponent))
    if f.truncation != "full":
        by = "Trained with" if f.is_trained else "Not trained; under"
        lines.append(f"{by} {f.truncation}: {of_truncation(f)}.")
    if f.layers > 1:
        lines.append(
            f"{f.gradient} is taken over the {f.gradient[-1]} of all {f.layers} layers together."
        )
    return lines


def of_truncation(f: Findings) -> str:
    """How near the gradient under the truncation is to the full one."""
    if f.truncation.startswith("artbp"):
        return (
            "the mean over its cuts is the full gradient; theano-rnn credit shows the gradients "
            "of single draws"
        )
    return (
        f"the cosine of this {f.gradient} with the full one is {f.cosine:.3f}, the ratio of "
        f"their norms {f.ratio:.3g}"
    )


def possible(f: Findings) -> float:
    """The number of steps up to an output, the mean over the outputs that have an error."""
    own = np.flatnonzero(np.diag(f.norms))
    return float((own + 1).mean()) if len(own) else (f.T + 1) / 2


def exponent_line(e: Exponent) -> str:
    """The norm of the product, and of a long text the exponent, in the digits it has.

    >>> exponent_line(Exponent(20, 0.0, None, None))
    'The product of the 20 Jacobians has the norm 1, a factor of 1 a step.'
    >>> exponent_line(Exponent(400, -0.1, -0.1234, 0.0456)).rpartition(". ")[2]
    'The largest Lyapunov exponent on this text is -0.12 +- 0.05 nats a step (8 starts).'
    """
    norm = e.product * e.steps
    size = f"{math.exp(norm):.3g}" if abs(norm) < 700 else f"10^{norm / math.log(10):.0f}"
    size = "0" if math.isinf(norm) else size
    said = f"The product of the {e.steps} Jacobians" if e.steps > 1 else "The only Jacobian"
    said += f" has the norm {size}, a factor of {math.exp(e.product):.3g} a step."
    if e.mean is None or e.spread is None:
        return said
    n = e.decimals
    mean, spread = round(e.mean, n) + 0.0, max(e.spread, 10.0**-n)  # no minus before a zero
    return (
        f"{said} The largest Lyapunov exponent on this text is {mean:.{n}f} +- {spread:.{n}f} "
        f"nats a step ({STARTS} starts)."
    )


def percent(share: float) -> str:
    """A share in percent with one digit, and no minus before a zero.

    >>> percent(0.1234), percent(-0.0001)
    ('12.3%', '0.0%')
    """
    return f"{round(100 * share, 1) + 0.0:.1f}%"


def smallest_K_lines(f: Findings) -> list[str]:
    """Lines that say which K have the wanted cosine; none if no cosine is wanted."""
    if f.wanted is None:
        return []
    if not any(map(any, f.ratios.values())):
        return [f"{f.gradient} is 0 on this text, or too large a number: no K can be compared."]
    return [smallest_K_line(s, f.wanted, f.lasting[s], f.first[s]) for s in f.lasting]


def smallest_K_line(scheme: str, wanted: float, lasting: int, first: int) -> str:
    """The K from which on the cosine is ``wanted``, and the first such K if it is smaller.

    >>> smallest_K_line("chunk", 0.99, 16, 8)
    'From chunk:16 on the cosine is 0.99 or more; chunk:8 is the first that reaches it.'
    """
    said = f"From {scheme}:{lasting} on the cosine is {wanted} or more"
    return (
        f"{said}; {scheme}:{first} is the first that reaches it."
        if first < lasting
        else f"{said}."
    )


def heat_map(f: Findings, width: int = 80, ramp: str = RAMP) -> str:
    """log10 |dE_t/ds_k| in characters, the words beside and under it.

    If the text is wider than the terminal, the map shows its end.
    """
    T = f.T
    cell = 2 if BESIDE + 2 * T <= width else 1
    first = max(0, T - max(1, (width - BESIDE) // cell))
    norms = f.norms[first:, first:]
    largest = np.nanmax(norms)
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(largest / norms)
    read = ("row t", "column k")
    if f.is_text:
        read = ("row t with the word to predict", "column k with the word read")
    lines = ["log10 |dE_t/ds_k|: " + ", ".join(read)]
    if first:
        lines.append(f"(the last {T - first} of {T} steps)")
    for row, word, own in zip(decades, f.targets[first:], np.diag(norms)):
        if own == 0 and largest > 0:  # this output has no error, and others have
            continue
        cells = "".join(_shade(d, ramp) * cell for d in row)
        lines.append(f"{_fit(word, BESIDE - 1):>{BESIDE - 1}} {cells}".rstrip())
    lines.extend(_upright(f.inputs[first:], cell))
    steps = "  ".join(f"{c} {i}" for i, c in enumerate(ramp))
    lines.append(f"powers of ten below the largest, {largest:.2g}:  {steps}")
    return "\n".join(lines)


def _shade(decade: float, ramp: str) -> str:
    if not math.isfinite(decade):
        return " "
    return ramp[int(decade)] if decade < len(ramp) else " "


def _fit(word: str, length: int) -> str:
    return word if len(word) <= length else word[: length - 1] + "~"


def _upright(words: Sequence[str], cell: int) -> Iterator[str]:
    """The words as columns."""
    words = [_fit(word, UNDER) for word in words]
    for i in range(max(map(len, words))):
        letters = "".join((word[i] if i < len(word) else " ").ljust(cell) for word in words)
        yield (" " * BESIDE + letters).rstrip()


def table_by_lag(f: Findings) -> Table:
    """Norms, bound and contributions by lag."""
    table = Table(title="By lag, in steps back", title_justify="left")
    columns = ["lag", "left of |dE_t/ds_k|", "|ds_t/ds_k|"]
    columns += ["bound"] * (f.bound is not None) + [f"share of {f.gradient}", "up to here"]
    for column in columns:
        table.add_column(column, justify="right")
    up_to = np.cumsum(f.contributions)
    products = geometric_mean(f.products)
    for lag in [n for n in LAGS if n < f.lags] + [f.lags]:
        row = [
            f"{lag}",
            f"{f.left[lag]:.2g}",
            "-" if np.isnan(products[lag]) else f"{products[lag]:.2g}",
        ]
        row += [] if f.bound is None else [f"{power(f.bound, lag):.2g}"]
        table.add_row(*row, percent(f.contributions[lag]), percent(up_to[lag]))
    return table


def table_of_truncation(f: Findings) -> Table:
    """Cosine with the full gradient, and the ratio of their norms, by scheme and K."""
    title = f"Truncated {f.gradient}: cosine with full, ratio of norms"
    table = Table(title=title, title_justify="left")
    table.add_column("K", justify="right")
    for scheme in f.cosines:
        table.add_column(f"{scheme}:K", justify="right")
    shown = [i for i, K in enumerate(f.K) if K in LAGS or K == f.K[-1]]
    for i in shown:
        cells = [f"{f.cosines[s][i]:.3f}, {f.ratios[s][i]:.3g}" for s in f.cosines]
        table.add_row(f"{f.K[i]}", *cells)
    return table


def saturation_lines(f: Findings) -> list[str]:
    """Saturation and the matrices, in a few lines."""
    s = f.saturation
    lines: list[str] = []
    if s["saturated"] is not None:
        lines.append(f"Saturated states: {percent(s['saturated'])}.")
    if s["derivative"] is not None:
        lines.append(f"Mean {f.cell}'(z): {s['derivative']:.3f}.")
    if s["dead"] is not None:
        lines.append(f"Units that are 0 at every step: {percent(s['dead'])}.")
    for name, (closed, opened) in s["gates"].items():
        shares = percent(closed), percent(opened)
        lines.append("Gate {}: {} of its values below 0.1, {} above 0.9.".format(name, *shares))
    for name, found in f.spectra.items():
        lines.append(
            f"{name}: sigma_max {found['sigma_max']:.3g}, spectral radius "
            f"{found['spectral_radius']:.3g}."
        )
    return lines


def bounded(bound: Optional[float]) -> str:
    """A bound and what it proves, for a column.

    >>> bounded(0.5), bounded(1.0), bounded(1.5), bounded(None)
    ('0.50', '1.00, no explosion', '1.50, no proof', 'unknown')
    """
    if bound is None:
        return "unknown"
    if is_below_one(bound):
        return f"{bound:.2f}"
    return f"{bound:.2f}, {'no explosion' if is_at_most_one(bound) else 'no proof'}"


def side_by_side(several: Sequence[Findings]) -> Table:
    """Several models on the same text, a line each."""
    table = Table(title="Side by side, on the same text; lags in steps", title_justify="left")
    table.add_column("model", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for column in ("rate a step", "half-life", "1 % at lag", "bound"):
        table.add_column(column, justify="right")
    for f in several:
        v = f.verdict
        table.add_row(
            f.name,
            v.kind,
            "-" if v.rate is None else f"{v.rate:.3f}",
            "-" if v.half_life is None else f"{v.half_life:,.1f}",
            f"> {f.T - 1}" if v.horizon is None else f"{v.horizon}",
            bounded(v.bound),
        )
    return table
