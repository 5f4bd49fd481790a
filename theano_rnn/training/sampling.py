"""Text drawn from a trained model, a compiled step per token: sentences, or text that goes on."""

import contextlib
import inspect
import itertools
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.common.names import did_you_mean
from theano_rnn.common.types import Floats
from theano_rnn.model.draw import Draw
from theano_rnn.rnn import RNN
from theano_rnn.text.sentences import split_text
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.settings import Settings

#: Most texts in a call, and most tokens in one.
MOST = 1_000_000


def generate(model: RNN, vocabulary: Vocabulary, **how: Any) -> list[str]:
    """Texts drawn from a model.

    Parameters
    ----------
    model : RNN
    vocabulary : Vocabulary
        The vocabulary that the model was trained with.
    **how
        The arguments of ``texts``.

    Raises
    ------
    RNNError
        For a bad argument, or unknown tokens in the prime; the message names them.
    """
    known = list(inspect.signature(texts).parameters)[2:]
    for name in how.keys() - set(known):
        meant = did_you_mean(name, known) or f"use {', '.join(known)}"
        raise RNNError(f"generate has no argument {name}; {meant}")
    return ["".join(pieces) for pieces in texts(model, vocabulary, **how)]


def texts(
    model: RNN,
    vocabulary: Vocabulary,
    *,
    prime: str = "",
    skip_unknown: bool = False,
    temperature: float = 1.0,
    top_k: Optional[int] = None,
    top_p: Optional[float] = None,
    count: int = 1,
    seed: int = 0,
    longest: int = 200,
    length: Optional[int] = None,
    carry: bool = False,
    sentences: str = "auto",
) -> Iterator[Iterator[str]]:
    """Texts while they are drawn from a model: sentences, or with ``length`` texts of many.

    Parameters
    ----------
    model : RNN
    vocabulary : Vocabulary
        The vocabulary that the model was trained with.
    prime : str
        The beginning of each text; its tokens must be in the vocabulary. It may have several
        sentences, or lines of characters: the last one goes on.
    skip_unknown : bool
        Leave out the tokens of the prime that are not in the vocabulary.
    temperature, top_k, top_p
        As for ``theano_rnn.model.draw.Draw``.
    count : int
        Number of texts.
    seed : int
    longest : int
        Most tokens of a sentence that are drawn after the prime.
    length : int, optional
        Draw so many tokens after the prime. The end of a sentence is one of them; it is written as
        a newline, and the text goes on.
    carry : bool
        Carry the state past the end of a sentence, as training on a stream does. Without it each
        sentence begins with the zero state.
    sentences : str
        Where a sentence of the prime ends, as ``text.sentences.ENDS`` has it; "auto" is
        "punctuation", as a prime is short.

    Returns
    -------
    iterator of iterators of str
        The pieces of each text, the prime first, without the unknown and the start token, which
        are never drawn. Read one text before the next.

    Raises
    ------
    RNNError
        For a bad argument, or unknown tokens in the prime; the message names them.
    """
    draw = Draw(temperature, top_k, top_p)
    count = validation.whole_number(count, "count", at_least=1)
    longest = validation.whole_number(longest, "longest", at_least=1)
    goes_on = length is not None
    most = longest if length is None else validation.whole_number(length, "length", at_least=1)
    for name, value in {"count": count, "length" if goes_on else "longest": most}.items():
        if value > MOST:
            raise RNNError(f"{name} must be at most {MOST:,}, not {value:,}; call several times")
    random = np.random.default_rng(validation.whole_number(seed, "seed", at_least=0))
    begin = _prime_tokens(vocabulary, prime, sentences, skip_unknown)
    if model.vocab_size != vocabulary.size:
        raise RNNError(
            f"the model has {model.vocab_size} tokens and the vocabulary {vocabulary.size}; "
            "pass the vocabulary that it was trained with"
        )

    def tokens() -> Iterator[int]:
        drawn = itertools.islice(_drawn(model, vocabulary, begin, draw, random, carry), most)
        end = vocabulary.end
        yield from begin
        yield from drawn if goes_on else itertools.takewhile(lambda token: token != end, drawn)

    return (vocabulary.pieces(tokens()) for _ in range(count))


def is_running_text(settings: Settings) -> bool:
    """Whether a run's samples are texts of many lines: it reads characters, as a stream."""
    return settings.stream and settings.level == "char"


def unknown_tokens(vocabulary: Vocabulary, prime: str, sentences: str = "auto") -> list[str]:
    """The tokens of a prime that are not in the vocabulary, each once; see ``texts``."""
    unknown = map(vocabulary.unknown_tokens, _parts(vocabulary, prime, sentences))
    return list(dict.fromkeys(itertools.chain.from_iterable(unknown)))


def _parts(vocabulary: Vocabulary, prime: str, ends: str) -> list[str]:
    """The sentences or lines of a prime, with an end token between them."""
    if not isinstance(prime, str):
        raise RNNError(f"the prime must be a text, not {validation.shown(prime)}")
    form = vocabulary.form
    if form.level == "char":
        return prime.split("\n")
    if form.tokenized or ends == "lines":
        *lines, last = prime.split("\n")
        return [*filter(str.strip, lines), last]
    ends = "punctuation" if ends == "auto" else ends
    return split_text(prime, form.level, form.tokenized, ends, form.rules) or [""]


def _prime_tokens(
    vocabulary: Vocabulary, prime: str, sentences: str, skip_unknown: bool
) -> list[int]:
    """The tokens of the prime, without the start token of its first sentence."""
    unknown = [] if skip_unknown else unknown_tokens(vocabulary, prime, sentences)
    if unknown:
        names = ", ".join(map(validation.shown, unknown[:5]))
        raise RNNError(
            f"the prime has tokens that are not in the vocabulary: {names}; use tokens of the "
            "text that the model was trained on, or leave them out with skip_unknown=True"
        )
    parts = _parts(vocabulary, prime, sentences)
    ids = [int(token) for part in parts for token in vocabulary.encode(part)[1:]]
    return [token for token in ids[:-1] if token != vocabulary.unknown]


def _drawn(
    model: RNN,
    vocabulary: Vocabulary,
    prime: list[int],
    draw: Draw,
    random: np.random.Generator,
    carry: bool,
) -> Iterator[int]:
    """The tokens that a model draws after the prime, without end but for an overflow."""
    start, end = vocabulary.start, vocabulary.end

    def read(token: int, state: Optional[Floats]) -> tuple[Floats, Floats]:
        if token != end:
            return model.next_token(token, state)
        return model.next_token(start, state if carry else None)  # what follows an end

    never = {start, vocabulary.unknown} - {end}
    with contextlib.suppress(NotFinite):  # the state of relu can overflow
        probabilities, state = read(end, None)
        for token in prime:
            probabilities, state = read(token, state)
        while True:
            token = draw(probabilities, random, never)
            yield token
            probabilities, state = read(token, state)
