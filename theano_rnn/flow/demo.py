"""The demonstration: the fault of Britz's tutorial, and four untrained networks side by side."""

from typing import Any

import numpy as np

from theano_rnn.common.types import Ints
from theano_rnn.flow.findings import Findings, measure
from theano_rnn.flow.measures import Measures
from theano_rnn.rnn import RNN
from theano_rnn.text.tokens import END, START

#: "are" has to agree with "keys", 20 words before it.
SENTENCE = (
    "the keys to the old cabinet that stood in the hall beside the two tall windows of the house "
    "on the hill are here"
)
#: The settings of each network. None is trained.
NETWORKS: dict[str, dict[str, Any]] = {
    "tanh": {"cell": "tanh"},
    "ReLU, W = I": {"cell": "relu", "initialization": "identity"},
    "GRU": {"cell": "gru"},
    "LSTM": {"cell": "lstm", "bias": True},
}
HIDDEN_SIZE, SEED = 50, 0
#: What the tutorial's NumPy code means by "four steps", and what its Theano code does.
MEANT, DONE = "window:4", "last:4"


def sentence() -> tuple[Ints, Ints, list[str]]:
    """x, y and the vocabulary of ``SENTENCE``."""
    words = [START, *SENTENCE.split(), END]
    vocabulary = list(dict.fromkeys(words))
    ids = np.array([vocabulary.index(word) for word in words])
    return ids[:-1], ids[1:], vocabulary


def flows() -> dict[str, Measures]:
    """The flow of each network on the sentence."""
    x, y, vocabulary = sentence()
    return {
        name: Measures(RNN(len(vocabulary), HIDDEN_SIZE, seed=SEED, **settings), x, y)
        for name, settings in NETWORKS.items()
    }


def findings() -> list[Findings]:
    """The findings of each network; the first has the tutorial's truncation."""
    x, y, vocabulary = sentence()
    words, targets = [vocabulary[i] for i in x], [vocabulary[i] for i in y]
    found: list[Findings] = []
    for name, flow in flows().items():
        truncation = "full" if found else DONE
        found.append(measure(flow, words, targets, name, truncation=truncation))
    return found
