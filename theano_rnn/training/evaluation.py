"""The loss of a model on a text, in nats per token: sentence by sentence, or as one stream."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from theano_rnn.common.errors import NotFinite
from theano_rnn.common.types import Floats, Ints, Record
from theano_rnn.text import batches
from theano_rnn.text.corpus import Reading, Size, count_tokens

if TYPE_CHECKING:
    from theano_rnn.optim.dynamic import DynamicStep
    from theano_rnn.optim.step import Step
    from theano_rnn.rnn import RNN

BATCH_SIZE = 32  # sentences evaluated at once
PIECE = 100  # steps of a stream evaluated at once
#: The validation text of a training is read in so many rows, or fewer of LEAST tokens each. A row
#: begins with the zero state, which costs it one or two nats.
ROWS, LEAST = 32, 2000

#: Most of a text is unknown where more of its tokens are than this share.
MOSTLY = 0.5


def text_loss(
    model: "RNN", sequences: Sequence[Ints], is_stream: bool, in_rows: bool = False
) -> float:
    """The loss of a text, judged the way the model is trained.

    Parameters
    ----------
    model : RNN
    sequences : list of (T + 1,) arrays
    is_stream : bool
        Carry the state from sentence to sentence.
    in_rows : bool
        Read a stream in ``ROWS`` rows, or fewer of ``LEAST`` tokens each, which takes less time.

    Returns
    -------
    float
        In nats per token.
    """
    if not is_stream:
        return sentence_loss(model, sequences)
    rows = min(ROWS, count_tokens(sequences) // LEAST) if in_rows else 1
    return stream_loss(model, sequences, max(1, rows))


def losses(model: "RNN", sequences: Iterable[Ints], is_stream: bool) -> Iterator[float]:
    """The loss of each sentence, in nats, summed over its tokens.

    Parameters
    ----------
    model : RNN
    sequences : iterable of (T + 1,) arrays
    is_stream : bool
        Carry the state from sentence to sentence.

    Yields
    ------
    float
        Infinite if the state overflows; the next sentence then begins with the zero state.
    """
    state: Optional[Floats] = None
    for s in sequences:
        loss, after = model.loss_and_state(s[:-1], s[1:], state)
        is_finite = _is_finite(loss, after)
        state = after if is_stream and is_finite else None
        yield loss if is_finite else math.inf


def sentence_losses(
    model: "RNN", text: Reading, is_stream: bool
) -> Iterator[tuple[str, int, float]]:
    """Each sentence of a text, the tokens in it and its loss, in nats, summed over them."""
    found = zip(text.sequences, losses(model, text.sequences, is_stream))
    for sentence, count in zip(text.sentences, text.counts.tolist()):
        parts = [(len(s) - 1, loss) for s, loss in islice(found, count)]
        yield sentence, sum(n for n, _ in parts), sum(loss for _, loss in parts)


def sentence_loss(model: "RNN", sequences: Sequence[Ints]) -> float:
    """The loss of sentences, each from the zero state.

    Parameters
    ----------
    model : RNN
    sequences : list of (T + 1,) arrays
        As ``corpus.Corpus`` has them.

    Returns
    -------
    float
        In nats per token.
    """
    total = 0.0
    for group in batches.buckets(sequences, BATCH_SIZE, seed=0):
        x, y, mask = batches.batch([sequences[i] for i in group])
        total += model.ce_error(x, y, mask)
    return total / count_tokens(sequences)


def stream_loss(model: "RNN", sequences: Sequence[Ints], rows: int = 1) -> float:
    """The loss of one long text, the state carried from sentence to sentence.

    With several rows the text is cut into as many parts. Each part begins with the zero state,
    and at most rows - 1 tokens at the end of the text are left out.

    If the state overflows, which can happen to relu on a new text, the loss is infinite.

    Parameters
    ----------
    model : RNN
    sequences : list of (T + 1,) arrays
    rows : int
        Parts that are evaluated side by side.

    Returns
    -------
    float
        In nats per token.
    """
    stream = batches.Stream(sequences, rows, PIECE)
    total, tokens, state = 0.0, 0, None
    for i in range(len(stream)):
        x, y = stream[i]
        loss, state = model.loss_and_state(x, y, state)
        if not _is_finite(loss, state):
            return math.inf
        total += loss
        tokens += y.size
    return total / tokens


def dynamic_loss(
    step: Union["Step", "DynamicStep"],
    sequences: Sequence[Ints],
    learning_rate: float,
    clip: Optional[float],
    steps: Optional[int] = None,
) -> float:
    """The loss of a model that learns from each sentence after it was evaluated on it.

    Parameters
    ----------
    step : Step or DynamicStep
        The step of a model without dropout; the model's parameters change.
    sequences : list of (T + 1,) arrays
    learning_rate, clip : float
    steps : int, optional
        Read the text as one stream, in pieces of this many steps; by default, by sentences.

    Returns
    -------
    float
        In nats per token; infinite if a loss or a state on the way is not finite.

    References
    ----------
    T. Mikolov et al., Recurrent neural network based language model (2010).
    """
    pieces: Iterable[batches.Piece]
    if steps is None:
        pieces = ((s[:-1], s[1:]) for s in sequences)
    else:
        pieces = batches.Stream(sequences, 1, steps)
    total, tokens, state = 0.0, 0, None
    for x, y in pieces:
        try:
            loss, _, after = step(x, y, learning_rate, clip, state=state)
        except NotFinite:
            return math.inf
        if not _is_finite(loss, after):
            return math.inf
        state = after if steps is not None else None
        total += loss
        tokens += np.size(y)
    return total / tokens


def perplexity(loss: float) -> float:
    """exp(loss), the perplexity of a cross-entropy; at most exp(708), which JSON can write.

    Parameters
    ----------
    loss : float
        In nats per token.

    Examples
    --------
    >>> perplexity(0.0)
    1.0
    """
    return math.exp(min(loss, 708.0))


def figures(name: str, perplexity: float, tokens: int, size: Size) -> dict[str, float]:
    """A perplexity per token, and two figures that compare models whose tokens differ.

    Lower is better.

    Parameters
    ----------
    name : str
    perplexity : float
    tokens : int
        Of the text that are predicted.
    size : Size
        Of the same text, from ``Corpus.sizes``.

    Returns
    -------
    dict
        ``name_perplexity`` per token, ``name_word_perplexity`` and ``name_bits_per_byte``.

    Examples
    --------
    >>> figures("test", 2.0, tokens=12, size=Size(words=6, bytes=24))
    {'test_perplexity': 2.0, 'test_word_perplexity': 4.0, 'test_bits_per_byte': 0.5}
    """
    loss = math.log(perplexity) * tokens  # in nats
    return {
        f"{name}_perplexity": perplexity,
        f"{name}_word_perplexity": math.exp(min(loss / size.words, 708.0)),
        f"{name}_bits_per_byte": loss / math.log(2) / size.bytes,
    }


def judged_on(result: Record) -> str:
    """The text that a result is of: "test", or "valid" where there is no test text.

    Parameters
    ----------
    result : dict
        The content of result.json, of any version.
    """
    return str(result.get("judged_on", "test"))


def _is_finite(loss: float, state: Floats) -> bool:
    return math.isfinite(loss) and bool(np.isfinite(state).all())


def format_perplexity(perplexity: float, digits: int) -> str:
    """A perplexity for a table; from a million on in scientific notation.

    Parameters
    ----------
    perplexity : float
    digits : int
        Digits after the point.

    Examples
    --------
    >>> format_perplexity(96.46, 1), format_perplexity(math.exp(708), 1)
    ('96.5', '3.0e+307')
    """
    return f"{perplexity:.{digits}f}" if perplexity < 1e6 else f"{perplexity:.1e}"


def on_unknown(share: float) -> str:
    """What to say of a text by its share of unknown tokens, from 0 to 1; "" if it is small.

    >>> on_unknown(0.02), on_unknown(1.0)
    ('', 'Most of the text is unknown to the network, so the perplexity says little of it.')
    """
    if share <= MOSTLY:
        return ""
    return "Most of the text is unknown to the network, so the perplexity says little of it."
