"""Unigram and bigram models, which a network must beat on the same tokens.

A model predicts every token of a sequence but the first: the words and the end. The start token is
only a history. Both models give each of the ``vocab_size`` tokens a probability above zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Ints

Sequences = Sequence[Ints]


def unigram_perplexity(train: Sequences, test: Sequences, vocab_size: int) -> float:
    """The perplexity of word frequencies, with one added to every count; lower is better.

    ``p(w) = (count(w) + 1) / (N + vocab_size)``

    Parameters
    ----------
    train, test : sequences of 1-D int arrays
        Token ids, each sequence with its start and end token.
    vocab_size : int
        Ids are from 0 to ``vocab_size - 1``.

    Returns
    -------
    float
        ``exp`` of the mean negative log-probability of a predicted token of ``test``.

    Raises
    ------
    RNNError
        If a split predicts no token, or an id is not in the vocabulary.

    Examples
    --------
    >>> sequence = [np.array([0, 1, 2])]
    >>> round(unigram_perplexity(sequence, sequence, vocab_size=3), 12)  # 2/5 each
    2.5
    """
    _, words = bigrams(train, vocab_size, "train")
    counts = np.bincount(words, minlength=vocab_size)  # (vocab_size,)
    log_p = np.log((counts + 1) / (len(words) + vocab_size))
    return float(np.exp(-log_p[bigrams(test, vocab_size, "test")[1]].mean()))


@dataclass(frozen=True, eq=False)
class Bigram:
    """An interpolated bigram model; ``fit_bigram`` makes one.

    ``p(w | h) = l2 * count(h, w) / count(h) + l1 * count(w) / N + l0 / vocab_size``

    After a history that the training split does not have, the frequency ``count(w) / N`` replaces
    the first fraction too, so that the probabilities still sum to one.

    Attributes
    ----------
    vocab_size : int
    keys, key_counts : (pairs,) arrays
        ``h * vocab_size + w`` of each pair in the training split, ascending, and its count.
    history_counts, word_counts : (vocab_size,) arrays
        ``count(h)`` and ``count(w)``.
    weights : array (3,)
        ``l0, l1, l2``; they sum to one.
    log_likelihoods : list of float
        Of the validation split in nats, before each step of EM and after the last.
    """

    vocab_size: int
    keys: Ints
    key_counts: Ints
    history_counts: Ints
    word_counts: Ints
    weights: Floats
    log_likelihoods: list[float]

    def components(self, histories: Ints, words: Ints) -> Floats:
        """The three fractions of ``p(w | h)``, the uniform one first, with a column per pair.

        Parameters
        ----------
        histories, words : (n,) int arrays
            Each word, and the token before it.

        Returns
        -------
        (3, n) array
        """
        keys = histories * self.vocab_size + words
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        pair_counts = np.where(self.keys[found] == keys, self.key_counts[found], 0)
        seen = self.history_counts[histories]
        unigram = self.word_counts[words] / self.word_counts.sum()
        bigram = np.where(seen > 0, pair_counts / np.maximum(seen, 1), unigram)
        return np.stack([np.full(len(words), 1 / self.vocab_size), unigram, bigram])

    def probabilities(self, history: int) -> Floats:
        """``p(w | history)`` for every token w.

        Parameters
        ----------
        history : int
            The token before w.

        Returns
        -------
        (vocab_size,) array
        """
        words = np.arange(self.vocab_size)
        return self.weights @ self.components(np.full(self.vocab_size, history), words)

    def perplexity(self, sequences: Sequences) -> float:
        """``exp`` of the mean negative log-probability of a predicted token; lower is better.

        Parameters
        ----------
        sequences : sequences of 1-D int arrays
        """
        pairs = bigrams(sequences, self.vocab_size, "test")
        return float(np.exp(-np.log(self.weights @ self.components(*pairs)).mean()))


def fit_bigram(
    train: Sequences, valid: Sequences, vocab_size: int, steps: int = 100, tolerance: float = 1e-7
) -> Bigram:
    """A bigram model: counts from one split, the three weights from another.

    Expectation-maximisation finds the weights.

    Parameters
    ----------
    train, valid, vocab_size
        As for ``unigram_perplexity``.
    steps : int
        The largest number of steps of EM.
    tolerance : float
        EM ends when a step gains less log-likelihood per token than this, in nats.

    Notes
    -----
    After the last step each weight w becomes ``(n w + 1/3) / (n + 1)``, n the tokens of ``valid``.
    With a weight of zero a token that neither split has would get no probability.

    References
    ----------
    F. Jelinek, R. Mercer, Interpolated estimation of Markov source parameters from sparse data
    (1980).
    """
    histories, words = bigrams(train, vocab_size, "train")
    keys, key_counts = np.unique(histories * vocab_size + words, return_counts=True)
    history_counts = np.bincount(histories, minlength=vocab_size)
    word_counts = np.bincount(words, minlength=vocab_size)
    counts = (vocab_size, keys, key_counts, history_counts, word_counts)

    weights = np.full(3, 1 / 3)
    log_likelihoods: list[float] = []
    components = Bigram(*counts, weights, log_likelihoods).components(
        *bigrams(valid, vocab_size, "valid")
    )  # (3, n)
    n = components.shape[1]
    for _ in range(steps + 1):
        p = weights @ components
        log_likelihoods.append(float(np.log(p).sum()))
        gain = np.diff(log_likelihoods[-2:])
        if len(log_likelihoods) > steps or (gain.size and gain[0] < tolerance * n):
            break
        # l_i = mean over the pairs of P(component i | pair) = l_i p_i / p
        weights = weights * (components / p).mean(axis=1)
    weights = (n * weights / weights.sum() + 1 / 3) / (n + 1)
    return Bigram(*counts, weights, log_likelihoods)


def bigram_perplexity(
    train: Sequences, valid: Sequences, test: Sequences, vocab_size: int
) -> float:
    """The perplexity of ``test`` under the ``fit_bigram`` of the other splits; lower is better.

    Parameters
    ----------
    train, valid, test : sequences of 1-D int arrays
    vocab_size : int
    """
    return fit_bigram(train, valid, vocab_size).perplexity(test)


def bigrams(sequences: Sequences, vocab_size: int, name: str) -> tuple[Ints, Ints]:
    """Each predicted token of all sequences, and the token before it.

    Parameters
    ----------
    sequences : sequences of 1-D int arrays
    vocab_size : int
    name : str
        The name of the split in messages.

    Returns
    -------
    histories, words : (n,) int64 arrays

    Raises
    ------
    RNNError
        If the split predicts no token, or an id is not in the vocabulary.
    """
    vocab_size = validation.whole_number(vocab_size, "the vocabulary size", at_least=1)
    sequences = [np.asarray(s) for s in sequences]
    for s in sequences:
        if s.ndim != 1:
            raise RNNError(f"the {name} split must be 1-D sequences, but one has shape {s.shape}")
    if not any(s.size > 1 for s in sequences):
        raise RNNError(f"the {name} split has no token to predict; pass longer sequences")
    histories = np.concatenate([s[:-1] for s in sequences])
    words = np.concatenate([s[1:] for s in sequences])
    for ids in (histories, words):
        if ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= vocab_size:
            raise RNNError(
                f"the {name} split must be token ids from 0 to {vocab_size - 1}; it has "
                f"{ids.min()} to {ids.max()} of type {ids.dtype}"
            )
    return histories.astype(np.int64), words.astype(np.int64)
