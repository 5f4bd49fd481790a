"""Settings that were found good together, by name; they name no text."""

from typing import Any

#: tutorial: D. Britz, part 2 and 3 of the tutorial (2015).
#: mikolov: the plain recurrent network of T. Mikolov et al. (2010, 2012), the text as one stream;
#: tanh, an embedding, parallel rows and dropout are not theirs: they make up for the steps of one
#: word that were.
#: zaremba-small: W. Zaremba, I. Sutskever, O. Vinyals, Recurrent neural network regularization
#: (2014), the small network, without dropout.
#: words, characters: ours, for a text of some megabytes at most; see ``defaults``.
RECIPES: dict[str, dict[str, Any]] = {
    "tutorial": {
        "hidden_size": 100,
        "truncation": "window:4",
        "learning_rate": 0.005,
        "clip": 0.0,
        "min_improvement": 0.0,
    },
    "mikolov": {
        "cell": "tanh",
        "hidden_size": 200,
        "bias": True,
        "embedding_size": 200,
        "dropout": 0.35,
        "initialization": "uniform:0.1",
        "truncation": "chunk:20",
        "batch_size": 10,
        "stream": True,
        "learning_rate": 0.7,
        "clip": 1.0,
        "lr_decay": 0.7,
        "lr_decay_after": 4,
        "epochs": 12,
        "threads": 0,
    },
    "zaremba-small": {
        "cell": "lstm",
        "hidden_size": 200,
        "layers": 2,
        "bias": True,
        "embedding_size": 200,
        "initialization": "uniform:0.1",
        "truncation": "chunk:20",
        "batch_size": 20,
        "stream": True,
        "learning_rate": 1.0,
        "lr_decay_after": 4,
        "epochs": 13,
        "threads": 0,
    },
    "words": {
        "level": "word",
        "cell": "lstm",
        "hidden_size": 100,
        "bias": True,
        "embedding_size": 100,
        "dropout": 0.3,
        "epochs": 14,
        "patience": 2,
    },
    "characters": {
        "level": "char",
        "cell": "lstm",
        "layers": 2,
        "hidden_size": 200,
        "bias": True,
        "dropout": 0.3,
        "initialization": "glorot",
        "truncation": "chunk:50",
        "batch_size": 8,
        "stream": True,
        "state_reset": 0.05,
        "optimizer": "adam",
        "learning_rate": 0.003,
        "epochs": 25,
        "patience": 3,
    },
}
