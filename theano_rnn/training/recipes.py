"""Settings that were found good together, by name; they name no text."""

from collections.abc import Mapping
from typing import Any, Optional

from theano_rnn.training.settings import ENDING, MANY_EPOCHS

#: tutorial: D. Britz, part 2 and 3 of the tutorial (2015).
#: mikolov: the plain recurrent network of T. Mikolov et al. (2010, 2012), the text as one stream;
#: tanh, an embedding, parallel rows and dropout are not theirs: they make up for the steps of one
#: word that were.
#: zaremba-small: W. Zaremba, I. Sutskever, O. Vinyals, Recurrent neural network regularization
#: (2014), the small network, without dropout.
#: words, characters: ours, for a text of some megabytes at most; see ``defaults``.
#: word-hour, word-quick, word-tanh, characters-hour: ours too, for the minutes that they name. The
#: rate of adam falls to 0 in the last fifth of the time, in word-tanh along a cosine; dropout has
#: one mask in all steps of a chunk (Gal and Ghahramani 2016), W has DropConnect (Merity et al.
#: 2017), and words are tied (Press and Wolf 2017).

#: What the recipes for some minutes share.
_IN_TIME: dict[str, Any] = {
    "cell": "lstm",
    "layers": 2,
    "bias": True,
    "variational": True,
    "stream": True,
    "batch_size": 32,
    "optimizer": "adam",
    "schedule": "trapezoid",
    "warmup": 0.02,
    "threads": 0,
    "precision": "auto",
}
#: And those of words.
_TIED: dict[str, Any] = {
    "level": "word",
    "tied": True,
    "truncation": "chunk:35",
    "clip": 10.0,
}

#: The learning rate where an optimizer is given without one.
RATES = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.05, "rmsprop": 0.001,
         "adam": 0.002}  # fmt: skip

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
    "word-hour": {
        **_IN_TIME,
        **_TIED,
        "minutes": 60.0,
        "hidden_size": 512,
        "embedding_size": 512,
        "learning_rate": 0.0025,
        "dropout": 0.35,
        "dropout_input": 0.45,
        "dropout_output": 0.45,
        "dropout_embedding": 0.1,
        "weight_drop": 0.45,
        "weight_decay": 0.1,
    },
    "word-quick": {
        **_IN_TIME,
        **_TIED,
        "minutes": 5.0,
        "hidden_size": 256,
        "embedding_size": 256,
        "learning_rate": 0.004,
        "dropout": 0.2,
        "dropout_input": 0.2,
        "dropout_output": 0.3,
        "weight_drop": 0.2,
        "weight_decay": 0.1,
    },
    "word-tanh": {
        **_IN_TIME,
        **_TIED,
        "minutes": 30.0,
        "schedule": "cosine",
        "cell": "tanh",
        "layers": 1,
        "hidden_size": 512,
        "embedding_size": 512,
        "initialization": "orthogonal",
        "learning_rate": 0.0025,
        "dropout_input": 0.4,
        "dropout_output": 0.4,
        "dropout_embedding": 0.1,
        "weight_drop": 0.2,
        "weight_decay": 0.1,
    },
    "characters-hour": {
        **_IN_TIME,
        "level": "char",
        "minutes": 60.0,
        "hidden_size": 512,
        "initialization": "glorot",
        "truncation": "chunk:100",
        "learning_rate": 0.002,
        "clip": 20.0,
        "dropout": 0.5,
        "weight_drop": 0.2,
    },
}


def replaced(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe or of another run, some of them replaced.

    Parameters
    ----------
    base, given : dict
        Settings by name; those of ``given`` count where both have one.

    Returns
    -------
    dict
        Without the epochs and the patience of ``base`` where they would end the training before
        the minutes or the schedule of ``given`` do, see ``early_ends``; nor its epochs where they
        stand for no limit; nor its learning rate where ``given`` has another optimizer, whose own
        it gets, of ``RATES``.
    """
    left_out = early_ends(given.get("minutes"), given.get("schedule"))
    if "minutes" in given and base.get("minutes") and base.get("epochs") == MANY_EPOCHS:
        left_out.add("epochs")  # they stood for no limit beside the minutes
    made = {**{name: v for name, v in base.items() if name not in left_out}, **given}
    optimizer = made.get("optimizer", "sgd")
    is_other = optimizer in RATES and optimizer != base.get("optimizer", "sgd")
    if is_other and "learning_rate" not in given:
        made["learning_rate"] = RATES[optimizer]
    return made


def early_ends(minutes: Optional[float], schedule: Optional[str]) -> set[str]:
    """The settings that someone else chose for a training without these minutes or this schedule.

    >>> sorted(early_ends(5, None)), early_ends(None, "cosine"), early_ends(None, None)
    (['epochs', 'patience'], {'patience'}, set())
    """
    if minutes is not None:
        return {"epochs", "patience"}
    return {"patience"} if schedule in ENDING else set()


#: What each recipe is for, and what it reached: ``docs/results.md`` has the commands.
SUMMARIES = {
    "tutorial": "the tutorial's network, one sentence a step",
    "mikolov": "the plain network of Mikolov (2012) with rows and dropout, 15 minutes",
    "zaremba-small": "the small lstm of Zaremba et al. (2014), half an hour",
    "words": "what a short text of words gets by itself",
    "characters": "what a short text of characters gets by itself",
    "word-hour": "60 minutes; test perplexity 84 on War and Peace, with 0.05 less of each "
    "dropout, where Kneser-Ney has 121",
    "word-quick": "5 minutes; after 15 epochs, however long they take, test perplexity 55.5 on "
    "the documentation of Python, where Kneser-Ney has 64.5",
    "word-tanh": "30 minutes; a plain network: test perplexity 102.5 on War and Peace",
    "characters-hour": "60 minutes; validation loss 1.41 nats a character on Tiny Shakespeare, "
    "--split 90/10",
}
