"""report.html: one page that needs nothing else, its figures interactive (Plotly).

Each figure stands in the page as JSON, in a script element of its own; the last script draws them
all. Nothing is loaded from anywhere, and no text of a file becomes markup.
"""

import dataclasses
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theano_rnn.common.types import Record
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.report import figures, terminal
from theano_rnn.flow.report.axes import MOST_STEPS, first_step

#: A page has at most so many MB of its own, whatever the text and the state are; plotly.js is
#: 5 MB beside them.
LARGEST = 8

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 1100px;
       padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
div.verdict { background: #f3f3f7; border-left: 4px solid #3b528b; padding: .6em 1em; }
div.verdict p, div.verdict ul { margin: .3em 0; }
p.sentence { background: #fafafa; padding: .4em 1em; }
sub { color: #888; } table { border-collapse: collapse; }
td, th { padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
"""
SCRIPT = """
for (const place of document.querySelectorAll("div.figure")) {
  const figure = JSON.parse(document.getElementById(place.id + "-figure").textContent);
  Plotly.newPlot(place, figure.data, figure.layout,
                 {responsive: true, displaylogo: false, showSendToCloud: false});
}
document.body.dataset.drawn = document.querySelectorAll("div.figure > .plot-container").length;
"""


@dataclass(frozen=True)
class Section:
    """A heading, HTML under it, and a figure, or none."""

    id: str
    title: str
    text: str
    figure: Any = None


def page(title: str, sections: list[Section], numbers: Record) -> str:
    """The page; ``numbers`` stand in it as JSON, under the id "numbers"."""
    from plotly.offline import get_plotlyjs  # 5 MB, for those who want a page

    body = [f"<h1>{html.escape(title)}</h1>"]
    for s in sections:
        body.append(f'<h2>{html.escape(s.title)}</h2>\n<div class="text">{s.text}</div>')
        if s.figure is not None:
            body.append(f'<div class="figure" id="{s.id}"></div>')
            body.append(_json(f"{s.id}-figure", json.loads(s.figure.to_json())))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            f"<style>{STYLE}</style>",
            f"<script>{get_plotlyjs()}</script></head><body>",
            *body,
            _json("numbers", numbers),
            f"<script>{SCRIPT}</script></body></html>\n",
        ]
    )


def _json(id: str, value: object) -> str:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="{id}">{text}</script>'


# ---- a run


def sections_of(f: Findings) -> list[Section]:
    """All figures of one model."""
    return [
        Section("verdict", "Verdict", verdict_html(f) + sentence_html(f)),
        Section(
            "heat",
            "Which word reaches which",
            "Row t: the error of the word to be predicted there. Column k: the step that read "
            "the word under it. The colour is log10 |dE<sub>t</sub>/ds<sub>k</sub>|: how much of "
            "that error arrives at that step. s is all that goes from step to step: for lstm s "
            "and c, and of every layer. Grey: exactly 0." + window_html(f, "heat.png"),
            figures.heat(f),
        ),
        Section(
            "reach",
            "One word's error, step by step",
            "Move the slider to the word whose prediction is judged; it begins at the largest "
            "loss of the second half." + window_html(f),
            figures.reach(f),
        ),
        Section(
            "lag",
            "Norms against lag",
            lag_html(f),
            figures.lag(f),
        ),
        Section(
            "activation",
            "Where the model is on its curves",
            "The tutorial's figure of an activation and its derivative, with the values that "
            "this model has on this text. The slider picks a word." + window_html(f),
            figures.operating(f),
        ),
        Section(
            "saturation",
            "Saturation",
            marked(" ".join(terminal.saturation_lines(f)))
            + " Each row is a unit, layer by layer, the least open at the bottom."
            + window_html(f, "saturation.png"),
            figures.saturation(f),
        ),
        Section(
            "contributions",
            "What each lag contributes to dE/dW",
            "The share of the gradient of W that comes over each lag; all of them add up to 1.",
            figures.contributions(f),
        ),
        Section(
            "truncation",
            "Truncation",
            truncation_html(f),
            figures.truncation(f),
        ),
    ]


def numbers_of(f: Findings) -> Record:
    """``Findings.numbers``, the pairs of t and k those of the steps that the page shows."""
    first = first_step(f.T)
    cut = dataclasses.replace(f, norms=f.norms[first:, first:], shares=f.shares[first:, first:])
    return {**cut.numbers(), "first_step": first + 1}


def marked(text: str) -> str:
    """Plain text as HTML, dE_t/ds_k and the like with their indices below.

    >>> marked("|ds_t/ds_{t-1}| < 1")
    '|ds<sub>t</sub>/ds<sub>t-1</sub>| &lt; 1'
    """
    index = r"\b(dE|ds|dh)_(?:\{([^}]+)\}|([tk]\b))"
    return re.sub(index, r"\1<sub>\2\3</sub>", html.escape(text))


def verdict_html(f: Findings) -> str:
    first, *rest = terminal.verdict_lines(f)
    said = "<br>".join(marked(line) for line in rest if not line.startswith(" "))
    parts = [f"<p><b>{html.escape(first)}</b><br>{said}</p>"]
    for title, lines in ("Because", f.verdict.reasons), ("What helps", f.verdict.remedies):
        if lines:
            items = "".join(f"<li>{marked(line)}</li>" for line in lines)
            parts.append(f"<p>{title}</p><ul>{items}</ul>")
    return f'<div class="verdict">{"".join(parts)}</div>'


def lag_html(f: Findings) -> str:
    return marked(
        "Thin: |ds_t/ds_{t-n}| from several ends t; their mean is drawn as far as all of them "
        f"reach. {f.verdict.bound_says}"
    )


def truncation_html(f: Findings) -> str:
    text = f"The cosine of the truncated dE/dW with the full one, for {len(f.K)} K from 1 to {f.T}"
    text += ", the length of the text; their norms' ratio stands at each point."
    if f.truncation != "full":
        whose = "This model is trained with" if f.is_trained else "The star is"
        text += f" {whose} {html.escape(f.truncation)}: {f.cosine:.3f}."
    return " ".join([text, *map(html.escape, terminal.smallest_K_lines(f))])


def window_html(f: Findings, png: str = "") -> str:
    """What a figure leaves out of a long text, and the picture that has it."""
    if first_step(f.T) == 0:
        return ""
    whole = f", {png} has all" if png else ""
    return f" Steps: the last {MOST_STEPS} of {f.T:,}{whole}."


def sentence_html(f: Findings) -> str:
    first = first_step(f.T)
    shown = enumerate(f.inputs[first:], first + 1)
    words = "… " * (first > 0) + " ".join(f"{html.escape(w)}<sub>{k}</sub>" for k, w in shown)
    return f'<p class="sentence">{words} &rarr; {html.escape(f.targets[-1])}</p>'


# ---- the demonstration


def demo_sections(several: list[Findings], meant: str, done: str) -> list[Section]:
    """The tutorial's fault, on the first, and all of them side by side."""
    tanh = several[0]
    K = int(done.partition(":")[2])
    cosine = {scheme: tanh.cosines[scheme][tanh.K.index(K)] for scheme in ("window", "last")}
    return [
        Section("sentence", "The sentence", sentence_html(tanh)),
        Section(
            "fault",
            "The tutorial's own fault",
            f"Its NumPy code follows each word's error {K} steps back, {meant}; its Theano code "
            f"says truncate_gradient={K}, which is {done}: the gradient of the last {K} words and "
            f"of nothing else. The cosine of dE/dW with the full one: {cosine['window']:.3f} and "
            f"{cosine['last']:.3f}. White: what is left out.",
            figures.masked(tanh, (meant, done)),
        ),
        Section("truncation", "The cosine against K", truncation_html(tanh),
                figures.truncation(tanh)),
        Section(
            "cells", "Four recurrences as they begin, untrained", cells_html(several),
            figures.side_by_side(several),
        ),
        Section("lags", "What is left, by lag", "", figures.lags(several)),
        *[section for i, f in enumerate(several) for section in cell_sections(i, f)],
    ]  # fmt: skip


def cell_sections(i: int, f: Findings) -> list[Section]:
    """What the page of a run has too, of one of several."""
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
    return f"<table><tr>{head}</tr>{body}</table>"
