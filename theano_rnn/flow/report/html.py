"""report.html: one page that needs no other file and no network, its figures interactive (Plotly).

All text from files is escaped, so none of it becomes markup.
"""

import dataclasses
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from theano_rnn.common.types import Record
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.report import figures, interactive, terminal
from theano_rnn.flow.report.axes import MOST_STEPS, first_step
from theano_rnn.flow.report.interactive import marked
from theano_rnn.flow.report.marks import Figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 1100px;
       padding: 0 1em; }
h1, div.verdict, p.sentence { overflow-wrap: anywhere; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
div.verdict { background: #f3f3f7; border-left: 4px solid #3b528b; padding: .6em 1em; }
div.verdict p, div.verdict ul { margin: .3em 0; }
p.sentence { background: #fafafa; padding: .4em 1em; }
div.wide { overflow-x: auto; }
sub { color: #888; } table { border-collapse: collapse; }
td, th { padding: .15em .8em; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
"""
#: The least width of a figure for each panel of a row, in pixels; a narrow window scrolls it.
LEAST_WIDTH = 280


@dataclass(frozen=True)
class Section:
    """A heading, HTML under it, and a figure or None."""

    id: str
    title: str
    text: str
    figure: Optional[Figure] = None


def page(title: str, sections: list[Section], numbers: Record) -> str:
    """The page as HTML; the element "numbers" holds ``numbers`` as JSON."""
    from plotly.offline import get_plotlyjs  # 5 MB, for those who want a page

    data = json.dumps(numbers, allow_nan=False, ensure_ascii=False)
    data = data.replace("<", "\\u003c").replace(">", "\\u003e")  # nothing ends the element
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style>",
            f"<script>{get_plotlyjs()}</script></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            *map(section_html, sections),
            f'<script type="application/json" id="numbers">{data}</script>',
            "</body></html>\n",
        ]
    )


def section_html(s: Section) -> str:
    made = f'<h2>{marked(s.title)}</h2>\n<div class="text">{s.text}</div>'
    if s.figure is None:
        return made
    width = LEAST_WIDTH * max(map(len, s.figure.rows))
    drawn = interactive.html_of(s.figure, s.id)
    return f'{made}\n<div class="wide"><div style="min-width:{width}px">{drawn}</div></div>'


def drawn(id: str, figure: Figure, text: str = "") -> Section:
    """A section that shows a figure, under its title."""
    return Section(id, figure.title, text, figure)


# ---- a run


def sections_of(f: Findings) -> list[Section]:
    """All figures of one model."""
    first = first_step(f.T)
    predicted, read = ", with the word to predict", ", with the word that it reads"
    if not f.is_text:
        predicted = read = ""
    return [
        Section("verdict", "Verdict", verdict_html(f) + sentence_html(f)),
        drawn(
            "heat",
            figures.heat(f, first),
            marked(
                f"Row t: the error of output t{predicted}. Column k: step k{read}. The colour is "
                "log10 |dE_t/ds_k|: how much of that error arrives at that step. s is all that "
                "the network carries from step to step: the whole state of every layer. Grey: "
                "exactly 0."
            )
            + window_html(f, "heat.png"),
        ),
        drawn(
            "reach",
            figures.one_output(f),
            "The slider picks the output whose error is shown; it begins at the largest loss of "
            "the second half." + window_html(f),
        ),
        drawn("lag", figures.lag(f), lag_html(f)),
        drawn(
            "activation",
            figures.operating(f, first),
            "The activation and its derivative, as in the tutorial, and the values that this "
            f"model takes on this text. The slider picks a {'word' if f.is_text else 'step'}."
            + window_html(f),
        ),
        drawn(
            "saturation",
            figures.saturation(f, first),
            marked(" ".join(terminal.saturation_lines(f)))
            + " Each row is a unit, layer by layer, the least open at the bottom."
            + window_html(f, "saturation.png"),
        ),
        drawn(
            "contributions",
            figures.contributions(f),
            "The share of the gradient of W that comes over each lag; the shares add up to 1.",
        ),
        drawn("truncation", figures.truncation(f), truncation_html(f)),
    ]


def numbers_of(f: Findings) -> Record:
    """``Findings.numbers``, with the pairs t, k of the steps that the page shows."""
    first = first_step(f.T)
    cut = dataclasses.replace(f, norms=f.norms[first:, first:], shares=f.shares[first:, first:])
    return {**cut.numbers(), "first_step": first + 1}


def verdict_html(f: Findings) -> str:
    first, *rest = terminal.verdict_lines(f)
    said = "<br>".join(marked(line) for line in rest if not line.startswith(" "))
    text = f"<p><b>{html.escape(first)}</b><br>{said}</p>{f.verdict.lists_html(marked)}"
    return f'<div class="verdict">{text}</div>'


def lag_html(f: Findings) -> str:
    return marked(
        "Thin: |ds_t/ds_{t-n}| from several ends t; their mean is drawn as far back as all of "
        f"them reach. {f.verdict.bound_says}"
    )


def truncation_html(f: Findings) -> str:
    text = f"The cosine of the truncated dE/dW with the full one, for {len(f.K)} K from 1 to {f.T}"
    text += ", the length of the text; the ratio of their norms stands at each point."
    if f.truncation != "full":
        whose = "This model is trained with" if f.is_trained else "The star is"
        text += f" {whose} {html.escape(f.truncation)}: {f.cosine:.3f}."
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
        Section("sentence", "The sentence", sentence_html(tanh)),
        Section(
            "fault",
            "The fault of Britz's tutorial",
            f"Its NumPy code follows each word's error {K} steps back: {meant}. Its Theano code "
            f"says truncate_gradient={K}, which is {done}: the gradient of the last {K} words and "
            f"of nothing else. The cosine of dE/dW with the full one is {cosine['window']:.3f} "
            f"with {meant} and {cosine['last']:.3f} with {done}. White: left out.",
            figures.maps([figures.masked(tanh, (meant, done))]),
        ),
        Section(
            "truncation", "The cosine against K", truncation_html(tanh), figures.truncation(tanh)
        ),
        Section(
            "cells",
            "Four untrained networks",
            cells_html(several),
            figures.maps([networks[i : i + 2] for i in range(0, len(networks), 2)]),
        ),
        drawn("lags", figures.lags(several)),
        *[section for i, f in enumerate(several) for section in cell_sections(i, f)],
    ]


def cell_sections(i: int, f: Findings) -> list[Section]:
    """The sections of one network of the demonstration."""
    wanted = "verdict", "lag", "activation", "saturation", "contributions"
    return [
        dataclasses.replace(
            section,
            id=f"{section.id}{i}",
            title=f"{f.name}: {section.title[0].lower() + section.title[1:]}",
            text=verdict_html(f) if section.id == "verdict" else section.text,
        )
        for section in sections_of(f)
        if section.id in wanted
    ]


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
