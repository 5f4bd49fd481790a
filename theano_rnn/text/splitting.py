"""How one text becomes a training, a validation and, unless two shares are asked for, a test text.

``A/B/C``, three shares in percent, counts sentences. At the levels word and bpe they are shuffled
first; at the level char, where a line depends on the lines above it, they stay in order.

``A/B``, two shares, is the first A % of the tokens for training and the rest for validation, in
the order of the text. At the level char a token is a character, and the cut may fall within a
line; at the others it falls at the end of a sentence.
"""

import re

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints
from theano_rnn.common.validation import shown
from theano_rnn.text.cutting import LONGEST, Records

USUAL = "80/10/10"


def parse(split: object) -> tuple[int, ...]:
    """The shares that a text names, in percent.

    Parameters
    ----------
    split : str
        Two or three whole numbers of at least 1 that add up to 100, with / between them.

    Raises
    ------
    RNNError

    Examples
    --------
    >>> parse("80/10/10"), parse("90/10")
    ((80, 10, 10), (90, 10))
    """
    is_form = isinstance(split, str) and re.fullmatch("[1-9][0-9]?(/[1-9][0-9]?){1,2}", split)
    shares = tuple(map(int, str(split).split("/"))) if is_form else ()
    if sum(shares) != 100:
        raise RNNError(
            f"split {shown(split)} is no split; give two or three numbers, each at least 1, that "
            "add up to 100, as in 90/10 for training and validation, or 80/10/10 with a test too"
        )
    return shares


def parts(
    records: Records,
    shares: tuple[int, ...],
    is_char: bool,
    random: np.random.Generator,
    hint: str,
) -> list[Ints]:
    """The records of each share, by index.

    Parameters
    ----------
    records : Records
        Of the whole text. With two shares one of them may be cut in two.
    shares : tuple of int
    is_char : bool
        Whether the level is char.
    random : numpy.random.Generator
        Shuffles the sentences.
    hint : str
        What else to try where the text has too few of them.

    Raises
    ------
    RNNError
        If the text is too short.
    """
    n = len(records)
    if len(shares) == 2:
        first = records.cut_at(shares[0], within=is_char)
        if not 0 < first < len(records):
            raise RNNError(
                f"the text is too short for a split of {shares[0]}/{shares[1]}: one of the two "
                f"parts is empty; give a longer text{hint}"
            )
        return np.split(np.arange(len(records)), [first])
    if n < 3:
        kind = "line" if is_char else "sentence"
        limit = f" of at most {LONGEST} characters" if is_char else ""
        raise RNNError(
            f"the text has {n} {kind}{'s' * (n != 1)}{limit}, and each of the three splits needs "
            f"one; give a longer text{hint}"
        )
    order = np.arange(n) if is_char else random.permutation(n)
    valid, test = (max(1, n * share // 100) for share in shares[1:])
    test = min(test, n - 2)
    valid = min(valid, n - 1 - test)
    return np.split(order, [n - valid - test, n - test])
