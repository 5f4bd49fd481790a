"""The report in one plain sentence: how fast the error falls, and where it is gone."""

import math

from theano_rnn.flow.findings import Findings


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
    longest = count(f.T - 1, one, many)
    if math.isinf(v.half_life) or v.half_life > 20 * f.T:
        return f"The error keeps its size over all {longest} of this text."
    every = f"{v.half_life:.2g}" if v.half_life < 10 else f"{v.half_life:,.0f}"
    steps = f"every {every} {one if every == '1' else many}"
    if v.rate > 1:
        return f"The error doubles {steps}, going back over {longest}."
    if v.horizon is None:
        return f"The error halves {steps}; after {longest}, the most here, 1 % or more is left."
    return f"The error halves {steps}; after {count(v.horizon, one, many)} less than 1 % is left."


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
