"""The symbols of a report as MathML, each with what it means, which shows on hover."""

import html
import re
from typing import Callable


def _leaf(index: str) -> str:
    """An index, such as t-1, letter by letter."""
    kinds = {"-": "<mo>−</mo>"}
    return "".join(
        kinds.get(c, f"<mn>{c}</mn>" if c.isdigit() else f"<mi>{c}</mi>") for c in index
    )


def _d(letter: str, index: str) -> str:
    """∂, a letter, and its index: of dE_t, ds_{t-1}."""
    if not index:
        return f"<mo>∂</mo><mi>{letter}</mi>"
    return f"<mo>∂</mo><msub><mi>{letter}</mi><mrow>{_leaf(index)}</mrow></msub>"


def _ratio(found: "re.Match[str]") -> str:
    above, i, below, j = found["a"], found["i"], found["b"], found["j"]
    i, j = (index.strip("{}") if index else "" for index in (i, j))
    return f"{_d(above, i)}<mo>/</mo>{_d(below, j)}"


def _meaning(found: "re.Match[str]") -> str:
    i, j = ((found[name] or "").strip("{}") for name in "ij")
    a, b = found["a"], found["b"]
    if a == "E" and not i:
        return f"the gradient of the loss E by {b}"
    if a == "E":
        return f"how much of the error of output {i} arrives at step {j}"
    if j == f"{i}-1":
        return f"the Jacobian of one step: how the state of step {i} answers to the one before"
    return (
        f"the product of the Jacobians from step {j} to step {i}: how the state of step {i} "
        f"answers to that of step {j}"
    )


_INDEX = r"(?:_(?P<{0}>\{{[^}}]+\}}|[tkn]\b))?"
_DIFFERENTIALS = (
    r"\bd(?P<a>[Esh])" + _INDEX.format("i") + r"/d(?P<b>[shWUVz])" + _INDEX.format("j") + r"(?!\w)"
)

Meaning = Callable[["re.Match[str]"], str]
#: A pattern in plain text -> its MathML, and what it means.
SYMBOLS: list[tuple[str, Callable[["re.Match[str]"], str], Meaning]] = [
    (
        rf"\|{_DIFFERENTIALS}\|",
        lambda m: f"<mrow><mo>‖</mo>{_ratio(m)}<mo>‖</mo></mrow>",
        lambda m: "the norm of " + _meaning(m),
    ),
    (_DIFFERENTIALS, _ratio, _meaning),
    (
        r"\bgamma sigma_max\(W\)",
        lambda m: (
            "<mi>γ</mi><msub><mi>σ</mi><mi>max</mi></msub>"
            '<mo stretchy="false">(</mo><mi>W</mi><mo stretchy="false">)</mo>'
        ),
        lambda m: (
            "the bound on the norm of one Jacobian: the largest slope of the activation "
            "times the largest singular value of W"
        ),
    ),
    (
        r"\bsigma_max(?:\(W\))?",
        lambda m: (
            "<msub><mi>σ</mi><mi>max</mi></msub>"
            + "<mo>(</mo><mi>W</mi><mo>)</mo>" * ("(" in m[0])
        ),
        lambda m: "the largest singular value of W, by which it can stretch a vector at most",
    ),
    (
        r"\bgamma\b",
        lambda m: "<mi>γ</mi>",
        lambda m: "the largest slope of the activation: 1 for tanh and relu, 1/4 for sigmoid",
    ),
    (
        r"\bOmega\b",
        lambda m: "<mi>Ω</mi>",
        lambda m: "how far the steps are from keeping the norm of the error; 0 is best",
    ),
]


def meaning(symbol: str) -> str:
    """What a symbol means.

    >>> meaning("dE_t/ds_k")
    'how much of the error of output t arrives at step k'
    """
    found = ((re.fullmatch(pattern, symbol), said) for pattern, _, said in SYMBOLS)
    return next(said(match) for match, said in found if match)


def typeset(text: str) -> str:
    """Plain text as HTML: escaped, its lines broken, its symbols as MathML with their meaning.

    >>> typeset("a < gamma")[:8]
    'a &lt; <'
    >>> typeset("|dE_t/ds_k|").count("<msub>")
    2
    """
    for pattern, mathml, said in SYMBOLS:
        found = re.search(pattern, text)
        if found:
            before, after = text[: found.start()], text[found.end() :]
            symbol = (
                f'<span class="symbol" title="{html.escape(said(found))}">'
                f"<math>{mathml(found)}</math></span>"
            )
            return typeset(before) + symbol + typeset(after)
    plain = html.escape(text).replace("\n", "<br>")
    return re.sub(r"\)\^(\w)\b", r")<sup><i>\1</i></sup>", plain)
