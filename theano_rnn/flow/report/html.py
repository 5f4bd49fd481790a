"""report.html: one page that needs no other file and no network; its own script draws the figures.

All text from files is escaped, so none of it becomes markup.
"""

import dataclasses
import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Optional

from theano_rnn.common.types import Record
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.findings import Findings, power
from theano_rnn.flow.report import colours, figures, interactive, terminal
from theano_rnn.flow.report.axes import MOST_STEPS, first_step
from theano_rnn.flow.report.headline import headline
from theano_rnn.flow.report.interactive import as_json
from theano_rnn.flow.report.marks import Figure
from theano_rnn.flow.report.symbols import meaning, typeset

#: The product of Jacobians, as MathML.
PRODUCT = (
    '<div class="formula"><math display="block"><mfrac><mrow><mo>∂</mo><msub><mi>s</mi><mi>t</mi>'
    "</msub></mrow><mrow><mo>∂</mo><msub><mi>s</mi><mi>k</mi></msub></mrow></mfrac><mo>=</mo>"
    "<msub><mi>J</mi><mi>t</mi></msub><msub><mi>J</mi><mrow><mi>t</mi><mo>−</mo><mn>1</mn></mrow>"
    "</msub><mo>⋯</mo><msub><mi>J</mi><mrow><mi>k</mi><mo>+</mo><mn>1</mn></mrow></msub>"
    '<mo separator="true">,</mo><mspace width="1em"></mspace><msub><mi>J</mi><mi>j</mi></msub>'
    "<mo>=</mo><mfrac><mrow><mo>∂</mo><msub><mi>s</mi><mi>j</mi></msub></mrow><mrow><mo>∂</mo>"
    "<msub><mi>s</mi><mrow><mi>j</mi><mo>−</mo><mn>1</mn></mrow></msub></mrow></mfrac></math></div>"
)
#: Symbols that are explained where no pointer can rest on them; M is the matrix of the gradient.
EXPLAINED = ("dE_t/ds_k", "ds_t/ds_k", "gamma", "sigma_max(W)", "dE/d{M}", "Omega")


@dataclass(frozen=True)
class Section:
    """A heading, HTML under it, a figure or None, and sections in it; folded, or open at first."""

    id: str
    title: str
    text: str
    figure: Optional[Figure] = None
    is_folded: bool = False
    inside: tuple["Section", ...] = ()


def page(title: str, said: str, sections: list[Section], numbers: Record) -> str:
    """The page as HTML; the element "numbers" holds ``numbers`` as JSON.

    Parameters
    ----------
    title : str
    said : str
        The first sentence.
    sections : list of Section
    numbers : dict
    """
    contents = "".join(
        f'<li><a href="#at-{s.id}">{typeset(s.title)}</a></li>' for s in sections[1:]
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{palette()}\n{_read('report.css')}</style></head><body>",
            f'<h1>{html.escape(said)}</h1>\n<p class="lead">{html.escape(title)}</p>',
            section_html(sections[0]),
            f'<nav aria-label="Contents"><ul>{contents}</ul></nav>',
            *map(section_html, sections[1:]),
            f'<script type="application/json" id="numbers">{as_json(numbers)}</script>',
            f"<script>{_read('panels.js')}{_read('figures.js')}</script>",
            "</body></html>\n",
        ]
    )


def _read(name: str) -> str:
    return (resources.files("theano_rnn.flow.report") / name).read_text(encoding="utf-8")


def palette() -> str:
    """The colours of the figures as variables of CSS, in the light and in the dark."""
    light = "".join(f"--c{colour[1:]}:{colour};" for colour in colours.DARK)
    dark = "".join(f"--c{colour[1:]}:{other};" for colour, other in colours.DARK.items())
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def section_html(s: Section) -> str:
    figure = "" if s.figure is None else interactive.html_of(s.figure, s.id)
    inside = f'<div class="text">{s.text}</div>\n{figure}{"".join(map(section_html, s.inside))}'
    if s.is_folded:
        return f'<details id="at-{s.id}"><summary>{typeset(s.title)}</summary>{inside}</details>'
    heading = f"<h2>{typeset(s.title)}</h2>" if s.title else ""
    return f'<section id="at-{s.id}">{heading}\n{inside}</section>'


def drawn(id: str, figure: Figure, text: str = "") -> Section:
    """A section that shows a figure, under its title."""
    return Section(id, figure.title, text, figure)


# ---- a run


def sections_of(f: Findings) -> list[Section]:
    """All figures of one model; the first section is the first screen."""
    first = first_step(f.T)
    predicted, read = ", with the word to predict", ", with the word that it reads"
    if not f.is_text:
        predicted = read = ""
    return [
        Section(
            "heat",
            "",
            to_do_html(f)
            + "<p>"
            + typeset(
                f"Look at how fast a row fades to the left. Row: an output{predicted}. Column: a "
                f"step{read}. The colour is log10 |dE_t/ds_k|, how much of that error arrives at "
                "that step. Grey: exactly 0."
            )
            + f"{window_html(f, 'heat.png')}</p>",
            figures.heat(f, first),
        ),
        drawn("lag", figures.lag(f), lag_html(f)),
        drawn(
            "activation",
            figures.operating(f, first),
            "Look at how many points lie where the derivative is small: there the error is "
            f"multiplied by little. The slider picks a {'word' if f.is_text else 'step'}."
            + window_html(f),
        ),
        drawn(
            "saturation",
            figures.saturation(f, first),
            "Look for dark rows: units that let little through at any step. "
            + typeset(" ".join(terminal.saturation_lines(f)))
            + " Each row is a unit, layer by layer, the least open at the bottom."
            + window_html(f, "saturation.png"),
        ),
        drawn(
            "contributions",
            figures.contributions(f),
            typeset(
                "Look at where the line reaches 100 %: what lies further back adds nothing to "
                f"{f.gradient}. Each bar is the share that comes over one lag; they add up to 1, "
                "or are all 0 where the gradient is."
            ),
        ),
        drawn("truncation", figures.truncation(f), truncation_html(f)),
        drawn(
            "reach",
            figures.one_output(f),
            "The slider picks the output whose error is shown; it begins at the largest "
            f"{'error' if f.losses is None else 'loss'} of the second half." + window_html(f),
        ),
        Section(
            "verdict", "The verdict in full", verdict_html(f) + sentence_html(f), is_folded=True
        ),
        symbols_section(f),
    ]


def to_do_html(f: Findings) -> str:
    """The verdict in two words, and what to do."""
    v = f.verdict
    kind = f"<p><b>{html.escape(v.kind[0].upper() + v.kind[1:])}.</b> {typeset(v.bound_says)}</p>"
    items = ""
    for remedy in v.remedies:
        options, _, effect = remedy.partition(": ")
        items += f"<li><code>{html.escape(options)}</code>: {typeset(effect)}</li>"
    what = f"<p><b>What to do</b></p><ul>{items}</ul>" if items else ""
    return kind + what


def symbols_section(f: Findings) -> Section:
    """What the symbols mean, folded."""
    shown = [symbol.format(M=f.gradient[-1]) for symbol in EXPLAINED]
    rows = "".join(f"<dt>{typeset(s)}</dt><dd>{html.escape(meaning(s))}</dd>" for s in shown)
    return Section("symbols", "The symbols", f"<dl>{rows}</dl>", is_folded=True)


def numbers_of(f: Findings) -> Record:
    """``Findings.numbers``, with the pairs t, k of the steps that the page shows."""
    first = first_step(f.T)
    cut = dataclasses.replace(f, norms=f.norms[first:, first:], shares=f.shares[first:, first:])
    return {**cut.numbers(), "first_step": first + 1}


def verdict_html(f: Findings) -> str:
    first, *rest = terminal.verdict_lines(f)
    said = "<br>".join(typeset(line) for line in rest if not line.startswith(" "))
    text = f"<p><b>{html.escape(first)}</b><br>{said}</p>{f.verdict.lists_html(typeset)}"
    return f'<div class="verdict">{text}</div>'


def lag_html(f: Findings) -> str:
    said = typeset(
        "Look at the slope: a straight line is a constant factor a step. The error of an output "
        "arrives at an earlier step through a product of Jacobians, one for each step between."
    )
    thin = typeset(
        "Thin: |ds_t/ds_{t-n}| from several ends t; their mean is drawn as far back as all of "
        f"them reach. {f.verdict.bound_says}"
    )
    return f"<p>{said}</p>{PRODUCT}{products_html(f)}<p>{thin}</p>"


def products_html(f: Findings) -> str:
    """The norm of the product of Jacobians, its bound and the error left, at some lags."""
    reached = f.products.shape[1] if f.products.size else 0
    lags = [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n <= min(f.lags, reached - 1)]
    means = geometric_mean(f.products)
    rows = [("steps back", [str(n) for n in lags])]
    rows.append(("the product's norm, mean", [f"{means[n]:.3g}" for n in lags]))
    if f.bound is not None:
        rows.append(("its bound", [f"{power(f.bound, n):.3g}" for n in lags]))
    rows.append(("left of the error", [f"{f.left[n]:.3g}" for n in lags]))
    cells = "".join(
        f"<tr><th>{name}</th>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        for name, row in rows
    )
    return f'<div class="wide"><table>{cells}</table></div>' if lags else ""


def truncation_html(f: Findings) -> str:
    text = typeset("Look at where a line leaves 1: a larger K brings nothing more. ")
    text += typeset(f"The cosine of the truncated {f.gradient} with the full one, ")
    text += f"for {len(f.K)} K from 1 to {f.T}, the length of the text."
    if f.truncation != "full":
        whose = "This model is trained with" if f.is_trained else "Under"
        text += f" {whose} {html.escape(f.truncation)}: {typeset(terminal.of_truncation(f))}."
    return " ".join([text, *map(html.escape, terminal.smallest_K_lines(f))])


def window_html(f: Findings, png: str = "") -> str:
    """The note on what a figure leaves out of a long text, and which PNG has it."""
    if first_step(f.T) == 0:
        return ""
    whole = f", {png} has all" if png else ""
    return f" Steps: the last {MOST_STEPS} of {f.T:,}{whole}."


def sentence_html(f: Findings) -> str:
    if not f.is_text:
        return ""
    first = first_step(f.T)
    shown = enumerate(f.inputs[first:], first + 1)
    words = "… " * (first > 0) + " ".join(f"{html.escape(w)}<sub>{k}</sub>" for k, w in shown)
    return f'<p class="sentence">{words} &rarr; {html.escape(f.targets[-1])}</p>'


# ---- the demonstration


def demo_sections(several: list[Findings], meant: str, done: str) -> list[Section]:
    """The sections of the demonstration: the tutorial's fault, and all networks side by side."""
    tanh = several[0]
    K = int(done.partition(":")[2])
    cosine = {scheme: tanh.cosines[scheme][tanh.K.index(K)] for scheme in ("window", "last")}
    networks = list(figures.each(several))
    return [
        Section(
            "sentence",
            "",
            "<p>Four networks of 50 units read one sentence. None is trained: you see what "
            "learning begins with. In the sentence “are” has to agree with “keys”, 20 words "
            "before: can the error of “are” reach “keys”? The page shows how much of each word's "
            "error reaches each step before it, in each network, and what Britz's tutorial (2015) "
            "cuts away by "
            f"mistake.</p>{sentence_html(tanh)}",
        ),
        Section(
            "fault",
            "The fault of Britz's tutorial",
            f"Its NumPy code follows each word's error {K} steps back: {meant}. Its Theano code "
            f"says truncate_gradient={K}, which is {done}: the gradient of the last {K} words and "
            f"of nothing else. The cosine of {typeset('dE/dW')} with the full one is "
            f"{cosine['window']:.3f} with {meant} and {cosine['last']:.3f} with {done}. The "
            "empty squares are the errors that are cut away.",
            figures.maps([figures.masked(tanh, (meant, done))]),
        ),
        Section(
            "truncation", "The cosine against K", truncation_html(tanh), figures.truncation(tanh)
        ),
        Section(
            "cells",
            "Four untrained networks",
            "<p>Look at the left of the last rows: a bright one still has the error there.</p>"
            + cells_html(several),
            figures.maps([networks[i : i + 2] for i in range(0, len(networks), 2)]),
        ),
        drawn("lags", figures.lags(several), "Look at the slopes, and where they fall below 1 %."),
        *[cell_section(i, f) for i, f in enumerate(several)],
        symbols_section(tanh),
    ]


def demo_said(several: list[Findings]) -> str:
    """The first sentence of the demonstration."""
    tanh = headline(several[0])
    return f"In an untrained {several[0].name} network {tanh[0].lower()}{tanh[1:]}"


def cell_section(i: int, f: Findings) -> Section:
    """One network of the demonstration: its verdict, and its figures, folded."""
    wanted = "lag", "activation", "saturation", "contributions"
    return Section(
        f"network{i}",
        f"{f.name}: {f.verdict.kind}",
        f"<p>{html.escape(headline(f))}</p>{verdict_html(f)}",
        is_folded=True,
        inside=tuple(
            dataclasses.replace(section, id=f"{section.id}{i}", is_folded=True)
            for section in sections_of(f)
            if section.id in wanted
        ),
    )


def cells_html(several: Sequence[Findings]) -> str:
    """``terminal.side_by_side`` as HTML."""
    table = terminal.side_by_side(several)
    rows = zip(*[column.cells for column in table.columns])
    head = "".join(f"<th>{html.escape(str(c.header))}</th>" for c in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
