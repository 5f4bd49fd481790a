"""Interpolated modified Kneser-Ney n-grams, the strongest of the n-gram models.

The model predicts the same tokens as ``theano_rnn.baselines.bigram``. The history of a token can
begin in one of two places:

- at the start token of its sentence, like that of a network whose state is zero at each start;
- with ``across``, at the start of the split: the split is one long text, the inputs of a network
  that keeps its state from sentence to sentence (each sequence without its last token).

No loop goes over tokens. A history of k tokens has an id, computed from the id of its last k - 1
tokens and the token before them. A history and a word together are one integer, the key
``id * vocab_size + word``. There are fewer ids than tokens, so a key fits in 64 bits; five words
out of ten thousand would not. Counting sorts the keys, and looking up searches them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from theano_rnn.baselines.bigram import Sequences, bigrams
from theano_rnn.common import validation
from theano_rnn.common.types import Floats, Ints

#: Histories, keys and counts of an order, as in ``NGrams``.
Counted = tuple[Ints, Ints, Ints]

FALLBACK_DISCOUNTS = np.array([0.5, 1.0, 1.5])


@dataclass(frozen=True, eq=False)
class NGrams:
    """The n-grams of one order n: a history of n - 1 tokens and a word.

    Attributes
    ----------
    histories : array (histories,)
        ``id of the last n - 2 tokens * vocab_size + the token before them``, ascending. The index
        of a history is its id; the empty history, of order 1, has the id 0.
    keys : array (n-grams,)
        ``id of the history * vocab_size + word``, ascending.
    counts : array (n-grams,)
        Occurrences for the highest order of a model, continuation counts for a lower one.
    discounts : array (3,)
        The discount of a count of 1, of 2, and of 3 or more.
    shares : array (n-grams,)
        ``(count - discount) / sum of the history's counts``.
    backoffs : array (histories,)
        ``sum of the history's discounts / sum of its counts``.
    """

    histories: Ints
    keys: Ints
    counts: Ints
    discounts: Floats
    shares: Floats
    backoffs: Floats


@dataclass(frozen=True, eq=False)
class KneserNey:
    """An interpolated modified Kneser-Ney model; ``fit_kneser_ney`` makes one.

    ``p(w | h) = (c(h w) - D(c(h w))) / c(h) + gamma(h) * p(w | h')``

    h' is h without its first token. ``c(h)`` is the sum of ``c(h w)`` over w, and ``gamma(h)`` the
    sum of the discounts divided by ``c(h)``, so that the probabilities sum to one. For the empty
    history ``1 / vocab_size`` takes the place of ``p(w | h')``. If the training split does not
    have h, ``p(w | h) = p(w | h')``.

    Attributes
    ----------
    vocab_size : int
        Ids are from 0 to ``vocab_size - 1``; each has a probability above zero.
    across : bool
        Whether histories cross the ends of sentences.
    ngrams : tuple of NGrams
        One for each order 1, 2, ..., ``order``.
    """

    vocab_size: int
    across: bool
    ngrams: tuple[NGrams, ...]

    @property
    def order(self) -> int:
        """The longest n-gram: a word after a history of ``order - 1`` tokens."""
        return len(self.ngrams)

    def probabilities(self, history: Sequence[int]) -> Floats:
        """``p(w | history)`` for every token w.

        Parameters
        ----------
        history : sequence of int
            The tokens before w; the last ``order - 1`` of them count. It may be shorter or empty.

        Returns
        -------
        (vocab_size,) array

        Raises
        ------
        RNNError
            If the history is not one sequence of token ids of the vocabulary.
        """
        past = np.full((self.order - 1, self.vocab_size), -1)
        if np.size(history):
            known = validation.token_ids(history, "history", self.vocab_size)
            latest = known[::-1][: self.order - 1]
            past[: len(latest)] = latest[:, None]
        return self._probabilities(past, np.arange(self.vocab_size))

    def log_probabilities(self, sequences: Sequences) -> Floats:
        """The log-probability of every predicted token, one sequence after another.

        Parameters
        ----------
        sequences : sequences of 1-D int arrays

        Returns
        -------
        (tokens,) array
            In nats.

        Raises
        ------
        RNNError
            If no token is predicted, or an id is not in the vocabulary.
        """
        windows = _windows(sequences, self.vocab_size, self.order, self.across, "test")
        return np.log(self._probabilities(*windows))

    def perplexity(self, sequences: Sequences) -> float:
        """``exp`` of the mean negative log-probability of a predicted token; lower is better.

        Parameters
        ----------
        sequences : sequences of 1-D int arrays
        """
        return float(np.exp(-self.log_probabilities(sequences).mean()))

    def _probabilities(self, past: Ints, words: Ints) -> Floats:
        """``p(word | past)`` for each column, (tokens,)."""
        p = np.full(len(words), 1 / self.vocab_size)
        ids = np.zeros(len(words), np.int64)
        at = np.arange(len(words))  # the columns whose history the training split has
        for k, ngrams in enumerate(self.ngrams):
            if k > 0:
                at = at[past[k - 1, at] >= 0]
                found = _indices(ngrams.histories, ids[at] * self.vocab_size + past[k - 1, at])
                at, found = at[found >= 0], found[found >= 0]
                ids[at] = found
            place = _indices(ngrams.keys, ids[at] * self.vocab_size + words[at])
            p[at] = (
                np.where(place >= 0, ngrams.shares[place], 0) + ngrams.backoffs[ids[at]] * p[at]
            )
        return p


def fit_kneser_ney(
    train: Sequences,
    valid: Optional[Sequences],
    vocab_size: int,
    order: int = 5,
    across: bool = False,
) -> KneserNey:
    """A Kneser-Ney model: counts from one split, the order from another.

    For the highest order ``c(h w)`` is how often w follows h. For a lower order it is the
    continuation count: the number of distinct tokens before ``h w``, plus how often ``h w`` begins
    a sentence (with ``across`` the split), where no token is before it.

    Parameters
    ----------
    train : sequences of 1-D int arrays
        Token ids, each sequence with its start and end token.
    valid : sequences of 1-D int arrays, or None
        The model takes the order that has the lowest perplexity on these: the highest order is
        not always the best on a small text. None takes the highest order.
    vocab_size : int
        Ids are from 0 to ``vocab_size - 1``.
    order : int
        The highest order, 1 or more; 5 is usual.
    across : bool
        Whether histories cross the ends of sentences (see the module).

    Raises
    ------
    RNNError
        If a split predicts no token, an id is not in the vocabulary, or the order is not a whole
        number of at least 1.

    Notes
    -----
    Let n1 to n4 be the numbers of n-grams of an order with the counts 1 to 4, and
    ``Y = n1 / (n1 + 2 n2)``. The discounts of the order are ``D1 = 1 - 2 Y n2 / n1``,
    ``D2 = 2 - 3 Y n3 / n2`` and ``D3 = 3 - 4 Y n4 / n3``. If one of n1 to n4 is zero, or a
    discount is not above zero, they are 0.5, 1 and 1.5 instead. So a count is never below its
    discount, and some probability is always left for other words.

    References
    ----------
    Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling.

    Examples
    --------
    >>> train = [np.array([0, 2, 3, 1]), np.array([0, 2, 2, 1])]
    >>> model = fit_kneser_ney(train, None, vocab_size=4, order=2)

    The tokens 1 and 2 follow two distinct tokens, 3 one; after 2, each of the three came once.

    >>> model.probabilities([])  # 1/5, 1/5 and 0.5/5, and half of 1/4 for each
    array([0.125, 0.325, 0.325, 0.225])
    >>> model.probabilities([2])  # 0.5/3 for each of the three, and half of the above
    array([0.0625    , 0.32916667, 0.32916667, 0.27916667])
    """
    order = validation.whole_number(order, "the order", 1)
    past, words = _windows(train, vocab_size, order, across, "train")
    if valid is not None:
        bigrams(valid, vocab_size, "valid")  # refused before anything is counted
    counted = list(_counts(past, words, vocab_size))
    highest = [_discounted(*ngrams, vocab_size) for ngrams, _ in counted]
    lower = [
        _discounted(shorter[0], *_continuations(longer, first, vocab_size), vocab_size)
        for (shorter, first), (longer, _) in zip(counted, counted[1:])
    ]
    models = [KneserNey(vocab_size, bool(across), (*lower[:k], highest[k])) for k in range(order)]
    return models[-1] if valid is None else min(models, key=lambda m: m.perplexity(valid))


def _counts(past: Ints, words: Ints, vocab_size: int) -> Iterator[tuple[Counted, Ints]]:
    """For each order from 1: its histories, keys and occurrences, as in ``NGrams``; and the keys
    of those occurrences that have no token before them.
    """
    ids = np.zeros(len(words), np.int64)
    at = np.arange(len(words))  # the columns with a history of k tokens
    histories = np.zeros(1, np.int64)
    for k in range(len(past) + 1):
        if k > 0:
            at = at[past[k - 1, at] >= 0]
            extended = ids[at] * vocab_size + past[k - 1, at]
            histories, ids[at] = np.unique(extended, return_inverse=True)
        keys = ids[at] * vocab_size + words[at]
        first = keys[past[k, at] < 0] if k < len(past) else keys[:0]  # the highest needs none
        yield (histories, *np.unique(keys, return_counts=True)), first


def _continuations(longer: Counted, first: Ints, vocab_size: int) -> tuple[Ints, Ints]:
    """The keys of an order and their continuation counts, from the order above it."""
    histories, keys, _ = longer
    ids, words = np.divmod(keys, vocab_size)
    # Each distinct n-gram adds 1 to the count of the n-gram without its first token.
    shorter = histories[ids] // vocab_size * vocab_size + words
    return np.unique(np.concatenate([shorter, first]), return_counts=True)


def _discounted(histories: Ints, keys: Ints, counts: Ints, vocab_size: int) -> NGrams:
    discounts = _discounts(counts)
    ids = keys // vocab_size
    taken = discounts[np.minimum(counts, 3) - 1]  # (n-grams,)
    totals = np.bincount(ids, counts)  # (histories,)
    shares = (counts - taken) / totals[ids]
    return NGrams(histories, keys, counts, discounts, shares, np.bincount(ids, taken) / totals)


def _discounts(counts: Ints) -> Floats:
    """D1, D2 and D3 of an order, (3,)."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)  # n[i] n-grams have the count i
    if n[1:5].all():
        i = np.arange(1, 4)
        # D_i = i - (i + 1) Y n_{i+1} / n_i, at most i
        discounts: Floats = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[2:5] / n[1:4]
        if discounts.min() > 0:
            return discounts
    return FALLBACK_DISCOUNTS.copy()


def _indices(keys: Ints, wanted: Ints) -> Ints:
    """The index of each wanted key among ascending keys, -1 for a key that is not there."""
    if not len(keys):  # the order is longer than any history
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _windows(
    sequences: Sequences, vocab_size: int, order: int, across: bool, name: str
) -> tuple[Ints, Ints]:
    """The tokens before each predicted token, (order - 1, n), and the predicted tokens, (n,).

    The latest token comes first; -1 stands for a token before the start.
    """
    inputs, words = bigrams(sequences, vocab_size, name)
    n = len(words)
    available = np.arange(1, n + 1)  # tokens before each
    if not across:
        lengths = np.array([max(len(s) - 1, 0) for s in sequences])
        available -= np.repeat(np.cumsum(lengths) - lengths, lengths)
    past = np.full((order - 1, n), -1)
    for k in range(min(order - 1, n)):
        past[k, k:] = np.where(available[k:] > k, inputs[: n - k], -1)
    return past, words
