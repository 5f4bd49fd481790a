"""The report in one plain sentence: how fast the error falls, and where it is gone."""

import math

from theano_rnn.flow.findings import Findings
from theano_rnn.flow.words import share_of


def headline(f: Findings) -> str:
    """One sentence that says how far back the error reaches.

    Returns
    -------
    str
        Such as "The error halves every 2.1 words; after 14 words less than 1 % is left."
    """
    v, one, many = f.verdict, *units(f)
    if v.rate is None or v.half_life is None:
        return (
            f"This text of {count(f.T, one, many)} is too short to say how far the error reaches."
        )
    if v.rate == 0:
        return f"Nothing of the error is left one {one} back."
    longest = count(f.T - 1 if v.longest is None else v.longest, one, many)
    gone = f"after {longest}, the most here, 1 % or more"
    if v.horizon is not None:
        gone = f"after {count(v.horizon, one, many)} less than 1 %"
    if len(v.pieces) > 1:  # no one rate fits
        if v.horizon is not None:
            return f"A{gone[1:]} of the error is left."
        if v.grown is not None:
            after = count(v.grown, one, many)
            return f"After {after} there is more than 100 times as much of the error."
        left = 1.0 if v.left is None else v.left
        there = f"{share_of(left)} of the error is left"
        if left > 1:
            there = f"there is {share_of(left)} of the error"
        return f"After {longest}, the most here, {there}."
    if math.isinf(v.half_life) or v.half_life > 20 * f.T:
        where = "this text" if v.texts == 1 else f"these {v.texts} texts"
        return f"The error keeps its size over all {longest} of {where}."
    every = f"{v.half_life:.2g}" if v.half_life < 10 else f"{v.half_life:,.0f}"
    steps = f"every {every} {one if every == '1' else many}"
    if v.rate > 1:
        return f"The error doubles {steps}, going back over {longest}."
    return f"The error halves {steps}; {gone} is left."


def units(f: Findings) -> tuple[str, str]:
    """What a step reads, one and many of it.

    Words, if not all are characters or some begin inside a word, as pieces of words do.
    """
    if not f.is_text:
        return "step", "steps"
    if all(len(word) == 1 for word in f.inputs):
        return "character", "characters"
    return ("token", "tokens") if any("␣" in word for word in f.inputs) else ("word", "words")


def count(n: int, one: str, many: str) -> str:
    """A number of things.

    >>> count(1, "word", "words"), count(1200, "word", "words")
    ('1 word', '1,200 words')
    """
    return f"{n:,} {one if n == 1 else many}"
