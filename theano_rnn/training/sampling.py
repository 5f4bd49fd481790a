"""Sampling sentences from a trained model, one compiled step per token."""

from collections.abc import Iterable

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats
from theano_rnn.rnn import RNN
from theano_rnn.text.vocabulary import Vocabulary

#: Most sentences in a call, and most tokens in a sentence.
MOST = 1_000_000


def generate(
    model: RNN,
    vocabulary: Vocabulary,
    *,
    prime: str = "",
    temperature: float = 1.0,
    count: int = 1,
    seed: int = 0,
    longest: int = 200,
) -> list[str]:
    """Sentences sampled from a model; the state is carried from token to token.

    Parameters
    ----------
    model : RNN
    vocabulary : Vocabulary
        The vocabulary that the model was trained with.
    prime : str
        The beginning of each sentence; its words must be in the vocabulary.
    temperature : float
        The probabilities are raised to the power 1/temperature: below 1 safer, above 1 wilder.
    count : int
        Number of sentences.
    seed : int
    longest : int
        Most tokens of a sentence.

    Returns
    -------
    list of str
        Without the unknown and the start token, which are never drawn.

    Raises
    ------
    RNNError
        For a bad argument, or unknown words in the prime; the message names them.
    """
    temperature = validation.positive(temperature, "temperature")
    count = validation.whole_number(count, "count", at_least=1)
    longest = validation.whole_number(longest, "longest", at_least=1)
    if max(count, longest) > MOST:
        raise RNNError(f"count and longest must be at most {MOST:,}; draw more in several calls")
    random = np.random.default_rng(validation.whole_number(seed, "seed", at_least=0))
    begin = _prime_tokens(vocabulary, prime)
    return [
        vocabulary.decode(_sample(model, vocabulary, begin, temperature, random, longest))
        for _ in range(count)
    ]


def _prime_tokens(vocabulary: Vocabulary, prime: str) -> list[int]:
    """The start token and the tokens of the prime."""
    if not isinstance(prime, str):
        raise RNNError(f"the prime must be a text, not {validation.shown(prime)}")
    if not prime.strip():
        return [vocabulary.start]
    tokens = [int(token) for token in vocabulary.encode(prime)[:-1]]
    if vocabulary.unknown in tokens:
        words = [word for word in prime.split() if vocabulary.unknown in vocabulary.encode(word)]
        unknown = ", ".join(map(validation.shown, words[:5])) or validation.shown(prime)
        raise RNNError(
            f"the prime has tokens that are not in the vocabulary: {unknown}; use words from the "
            "text that the model was trained on"
        )
    return tokens


def _sample(
    model: RNN,
    vocabulary: Vocabulary,
    begin: list[int],
    temperature: float,
    random: np.random.Generator,
    longest: int,
) -> list[int]:
    state = None
    for token in begin:
        probabilities, state = model.next_token(token, state)
    if len(probabilities) != vocabulary.size:
        raise RNNError(
            f"the model has {len(probabilities)} tokens and the vocabulary {vocabulary.size}; "
            "pass the vocabulary that it was trained with"
        )
    drawn = list(begin[1:])
    never = {vocabulary.start, vocabulary.unknown} - {vocabulary.end}
    while len(drawn) < longest:
        token = draw(probabilities, temperature, random, never)
        if token == vocabulary.end:
            break
        drawn.append(token)
        probabilities, state = model.next_token(token, state)
        if not np.isfinite(state).all():  # the state of relu can overflow
            break
    return drawn


def draw(
    probabilities: Floats,
    temperature: float,
    random: np.random.Generator,
    never: Iterable[int] = (),
) -> int:
    """A token, drawn with a probability proportional to p^(1/temperature).

    Parameters
    ----------
    probabilities : (vocab_size,) array
    temperature : float
    random : numpy.random.Generator
    never : collection of int
        Tokens with probability 0.

    Returns
    -------
    int
    """
    with np.errstate(divide="ignore", over="ignore"):
        logits = np.log(probabilities.astype(np.float64))
        logits[list(never)] = -np.inf
        logits = (logits - logits.max()) / temperature  # the largest is 0 at any temperature
    # The largest of logit + Gumbel noise is a draw from the softmax.
    return int(np.argmax(logits + random.gumbel(size=logits.shape)))
