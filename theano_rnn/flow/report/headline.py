"""The report in one plain sentence: how fast the error falls, and where it is gone."""

import math

from theano_rnn.flow.findings import Findings
from theano_rnn.flow.labels import UNKNOWN, VANISHES
from theano_rnn.flow.words import NO_ERROR, share_of


def headline(f: Findings) -> str:
    """One sentence that says how far back the error reaches.

    Returns
    -------
    str
        Such as "The error halves every 2.1 words; after 14 words less than 1 % is left."
    """
    v, one, many = f.verdict, *units(f)
    here = f"This text of {count(f.T, one, many)} is"
    if v.texts > 1:
        here = f"These {v.texts} texts are"
    if not f.left.any():
        return NO_ERROR
    if v.rate is None or v.half_life is None:
        return f"{here} too short to say how far the error reaches."
    if v.rate == 0:
        return f"Nothing of the error is left one {one} back."
    if v.observed == UNKNOWN:
        return f"{here} too short to say how the error goes on; {_end(f, ' of the error')}."
    is_slow = math.isinf(v.half_life) or v.half_life > 20 * f.T
    if v.observed == VANISHES and v.horizon is None and v.zeros > 0.5:
        return f"{v.zeros:.0%} of the errors are exactly 0 before their own {one}."
    # No one rate fits, or it is that of the errors that are not lost.
    if len(v.pieces) > 1 or ((is_slow or v.rate > 1) and v.horizon is not None):
        return f"A{_end(f, ' of the error')[1:]}."
    longest = count(f.T - 1 if v.longest is None else v.longest, one, many)
    if is_slow and v.grown is None:
        where = "this text" if v.texts == 1 else f"these {v.texts} texts"
        return f"The error keeps its size over all {longest} of {where}."
    every = f"{v.half_life:.2g}" if v.half_life < 10 else f"{v.half_life:,.0f}"
    steps = f"every {every} {one if every == '1' else many}"
    if v.rate > 1:
        return f"The error doubles {steps}, going back over {longest}."
    return f"The error halves {steps}; {_end(f)}."


def _end(f: Findings, of: str = "") -> str:
    """What there is of the error at the horizon, where it has grown 100-fold, or at the end."""
    v, one, many = f.verdict, *units(f)
    if v.horizon is not None:
        return f"after {count(v.horizon, one, many)} less than 1 %{of} is left"
    if v.grown is not None:
        return f"after {count(v.grown, one, many)} there is more than 100 times as much{of}"
    longest = count(f.T - 1 if v.longest is None else v.longest, one, many)
    left = 1.0 if v.left is None else v.left
    if left > 1:
        return f"after {longest}, the most here, there is {share_of(left)}{of}"
    return f"after {longest}, the most here, {share_of(left)}{of} is left"


def units(f: Findings) -> tuple[str, str]:
    """What a step reads, one and many of it.

    Words, if not all are characters or some begin inside a word, as pieces of words do; tokens
    without a vocabulary are numbers.
    """
    if not f.is_text:
        return "step", "steps"
    if all(word.isdigit() for word in f.inputs):
        return "token", "tokens"
    if all(len(word) == 1 for word in f.inputs):
        return "character", "characters"
    return ("token", "tokens") if any("␣" in word for word in f.inputs) else ("word", "words")


def count(n: int, one: str, many: str) -> str:
    """A number of things.

    >>> count(1, "word", "words"), count(1200, "word", "words")
    ('1 word', '1,200 words')
    """
    return f"{n:,} {one if n == 1 else many}"
