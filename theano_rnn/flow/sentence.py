"""The sentences to measure: from a file, or from the validation text of a run."""

from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.build import build_corpus, read_text_of
from theano_rnn.training.settings import Settings

#: By default the first sentence with a number of tokens in this range.
EASY = (16, 32)
#: The sentences of a sample, and the steps of each at most.
SAMPLE, LONGEST = 50, 100
#: What a sample may cost at most: the numbers of an array of errors, T^2 S for a state of S
#: numbers, and the products of all its texts, T^2 S^2 each. Five texts are taken in any case.
NUMBERS, PRODUCTS, LEAST = 25_000_000, 250_000_000_000, 5


def sentences(
    vocabulary: Vocabulary,
    settings: Settings,
    file: Optional[PathLike] = None,
    column: Optional[str] = None,
    encoding: Optional[str] = None,
) -> Sequence[Ints]:
    """The sentences of a file, or of the validation text of the run.

    Parameters
    ----------
    vocabulary, settings, file
        As for ``choose``.
    column, encoding : str, optional
        Of the file, as for ``training.build.read_text_of``.

    Raises
    ------
    RNNError
        If the text cannot be read.
    """
    if file is None:
        return _of_run(vocabulary, settings)
    return read_text_of(settings, vocabulary, file, column, encoding).sequences


def sample(
    found: Sequence[Ints], S: int, count: Optional[int] = None, steps: Optional[int] = None
) -> list[Ints]:
    """Sentences for a sample, from all parts of a text.

    Parameters
    ----------
    found : list of arrays of token ids
        As ``sentences`` returns them.
    S : int
        The numbers of the state: of a wide one fewer and shorter sentences are taken.
    count : int, optional
        The number of sentences. A text that has fewer gives several parts of its long ones.
    steps : int, optional
        Of each at most this many steps.

    Returns
    -------
    list of arrays of token ids
        At most ``count``, and none if no sentence has two tokens.
    """
    longest = min(LONGEST if steps is None else steps, max(2, int((NUMBERS / S) ** 0.5)))
    count = affordable(longest, S) if count is None else count
    count = validation.whole_number(count, "--sentences", at_least=1)
    if len(found) >= count:
        picked = np.linspace(0, len(found) - 1, count).round().astype(int).tolist()
        parts = [found[i][: longest + 1] for i in picked]
    else:
        parts = [ids[at : at + longest + 1] for ids in found for at in range(0, len(ids), longest)]
        picked = (
            np.linspace(0, len(parts) - 1, min(count, len(parts))).round().astype(int).tolist()
        )
        parts = [parts[i] for i in picked]
    return [part for part in parts if len(part) > 1]


def affordable(T: int, S: int) -> int:
    """The number of texts of T steps that a sample may have, for a state of S numbers."""
    return min(SAMPLE, max(LEAST, PRODUCTS // (T * S) ** 2))


def choose(
    vocabulary: Vocabulary,
    settings: Settings,
    file: Optional[PathLike] = None,
    number: Optional[int] = None,
    steps: Optional[int] = None,
    lag: Optional[int] = None,
    found: Optional[Sequence[Ints]] = None,
) -> tuple[Ints, Ints, int]:
    """x and y of a sentence.

    Parameters
    ----------
    vocabulary : Vocabulary
        The vocabulary of the run.
    settings : Settings
        The settings of the run: where its text is, and how it is cut.
    file : path, optional
        Another text.
    number : int, optional
        The number of the sentence, from 1. By default the first whose length is in ``EASY``, or
        else the longest.
    steps : int, optional
        Take only this many steps from its start.
    lag : int, optional
        A lag that the sentence must be long enough for.
    found : list of arrays of token ids, optional
        The sentences, if they are read already.

    Returns
    -------
    x, y : (T,) arrays
    number : int
        The number of the sentence.

    Raises
    ------
    RNNError
        If the text cannot be read, has no known word, has no such sentence, or is too short for
        the lag.
    """
    found = sentences(vocabulary, settings, file) if found is None else found
    where = f"{file}" if file is not None else "the validation text of this run"
    special = [vocabulary.start, vocabulary.end, vocabulary.unknown]
    tokens = [i for i, token in enumerate(vocabulary.tokens) if token.strip()]
    words = [i for i in tokens if any(map(str.isalnum, vocabulary.tokens[i]))]
    # A language of brackets, say, has no words.
    known_words = np.setdiff1d(words, special)
    known_words = known_words if len(known_words) else np.setdiff1d(tokens, special)
    known = [i for i, ids in enumerate(found) if np.isin(ids, known_words).any()]
    if not known:
        raise RNNError(
            f"{where} has no word that this run knows; give a text in the language that it was "
            "trained on"
        )
    if number is None:
        least, most = max(EASY[0], (lag or 0) + 2), max(EASY[1], (lag or 0) + 2)
        easy = [i for i in known if least <= len(found[i]) <= most]
        chosen = easy[0] if easy else max(known, key=lambda i: len(found[i]))
    else:
        chosen = validation.whole_number(number, "--sentence", at_least=1) - 1
        if chosen >= len(found):
            count = f"{len(found):,} sentence{'s' * (len(found) != 1)}"
            raise RNNError(f"{where} has {count}, and no sentence {number:,}")
        if chosen not in known:
            raise RNNError(f"sentence {number} of {where} has no word that this run knows")
    x, y = found[chosen][:-1], found[chosen][1:]
    if steps is not None:
        steps = validation.whole_number(steps, "--steps", at_least=1)
        x, y = x[:steps], y[:steps]
    if lag is not None and validation.whole_number(lag, "--lag", at_least=1) > len(x) - 1:
        raise RNNError(
            f"lag {lag} needs {lag + 1} steps, and sentence {chosen + 1} of {where} has "
            f"{len(x)}{'' if steps is None else ' with --steps'}; give a longer sentence or a "
            "shorter lag"
        )
    return x, y, chosen + 1


def _of_run(vocabulary: Vocabulary, settings: Settings) -> Sequence[Ints]:
    try:
        corpus = build_corpus(settings)
    except RNNError as error:
        raise RNNError(
            f"cannot read the text of this run: {error}; give one with --text"
        ) from None
    if corpus.vocabulary.tokens != vocabulary.tokens:
        raise RNNError(
            "the text has changed since this run was trained; give the old one with --text"
        )
    return corpus.valid


def axis_labels(vocabulary: Vocabulary, ids: Iterable[int]) -> list[str]:
    """Tokens as an axis shows them."""
    return [visible(vocabulary.tokens[i]) for i in ids]


def visible(token: str, longest: int = 20) -> str:
    """A token without white space or control characters in it, cut to a length.

    >>> visible(" "), visible(" " + chr(9)), visible("word")
    ('␣', '␣\\\\t', 'word')
    """
    if not token.isprintable():
        token = token.encode("unicode_escape").decode("ascii")
    token = token.replace(" ", "␣")
    return token if len(token) <= longest else token[: longest - 1] + "…"
