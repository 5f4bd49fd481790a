"""What mkdocs does to the pages of docs/ when it builds them.

Formulas become MathML, which browsers draw themselves: ``$...$`` in a line and a fence named
``math`` hold LaTeX, as GitHub reads them too. Nothing is loaded when a page is read, neither a
script nor a font. Tables of settings and of rewrites are made from the code.
"""

import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

#: A dollar, no space, up to the next dollar on which no digit follows.
INLINE = r"(?<![\\$\w])\$(?=[^\s$])([^$]*?[^\s$\\])\$(?![\d$])"


def mathml(latex: str, display: str = "inline") -> str:
    """A formula as MathML; ValueError if it has a command that is not known."""
    latex = latex.strip().replace("{aligned}", "{align*}")  # the converter's word for it
    text = convert(latex, display=display)
    unknown = re.findall(r"<m[io]>(\\[A-Za-z]+|&)</m[io]>", text)
    if unknown:
        raise ValueError(f"the formula {latex!r} has unknown commands: {', '.join(unknown)}")
    # TeX leaves a thin space after log where no parenthesis follows; the converter does not.
    return re.sub(
        r"(<mi>(?:log|exp|max)</mi>)(?!<mo stretchy)", r'\1<mspace width="0.17em"/>', text
    )


class InlineMath(InlineProcessor):
    """``$...$`` in a paragraph, a list or a table."""

    def handleMatch(self, m: re.Match, data: str) -> tuple[str, int, int]:
        return self.md.htmlStash.store(mathml(m[1])), m.start(0), m.end(0)


class Formulas(Extension):
    """Inline formulas; of higher priority than backslash escapes and emphasis, lower than code."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.inlinePatterns.register(InlineMath(INLINE, md), "math", 185)


def fence(source: str, *_: Any, **__: Any) -> str:
    """A fence named ``math``, as superfences calls for it: one formula a paragraph."""
    formulas = re.split(r"\n\s*\n", source.strip())
    return "".join(f'<div class="formula">{mathml(f, "block")}</div>' for f in formulas)


def on_config(config: Any) -> Any:
    """Add the formulas to the Markdown of all pages and docstrings."""
    config.markdown_extensions.append(Formulas())
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "formula", "format": fence}]
    return config


def settings() -> str:
    """The tables of all settings, from their fields."""
    from theano_rnn.common import options
    from theano_rnn.training.settings import Settings  # it imports Theano, as that below does

    return options.markdown(Settings).replace("## ", "### ")


def trial() -> str:
    """The table of the settings of a trial, from their fields."""
    from theano_rnn.common import options
    from theano_rnn.long_term.trial import Trial

    return options.markdown(Trial).partition("\n\n")[2]


def rewrites() -> str:
    """The table of the engine's rewrites: name, position, reason."""
    from theano_rnn.engine.rewrites import REWRITES

    rows = [f"| `{r.name}` | {r.position} | {r.reason} |" for r in REWRITES]
    return "\n".join(["| name | position | why there |", "|---|---|---|", *rows])


#: What a page asks for by a comment, as ``<!-- settings -->``.
MADE = {"settings": settings, "trial": trial, "rewrites": rewrites}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is made from the code where a page asks for it."""
    return re.sub(r"<!-- (\w+) -->", lambda asked: MADE[asked[1]](), markdown)
