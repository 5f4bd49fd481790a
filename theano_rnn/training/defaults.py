"""Settings that fit a text, for what the user left open.

They were chosen by the validation perplexity on War and Peace and on Shakespeare, cut to 50 kB,
200 kB and 1 MB, so that a training takes five minutes at most: docs/results.md has the figures.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

from theano_rnn.common.errors import RNNError
from theano_rnn.training.recipes import RATES, RECIPES, early_ends
from theano_rnn.training.settings import Settings

#: By level; the epochs are those of a short text.
FITTING: dict[str, dict[str, Any]] = {
    "word": RECIPES["words"],
    "bpe": {**RECIPES["words"], "level": "bpe"},
    "char": RECIPES["characters"],
}
#: For more than LARGE characters: one layer and more rows take less time, and more text needs less
#: dropout.
LARGE, MANY_ROWS = 500_000, {
    "layers": 1, "hidden_size": 256, "batch_size": 32, "dropout": 0.1, "learning_rate": 0.004,
}  # fmt: skip
#: How many tokens all epochs together may read, by level, before there are fewer of them.
TOKENS = {"word": 2_200_000, "bpe": 2_200_000, "char": 5_000_000}

#: Settings whose effect is known only after others are chosen: there may be a stream then.
LATE = {"state_reset"}


def fitting(settings: Settings, given: Collection[str], tokens: int) -> dict[str, Any]:
    """What to change in the settings so that they fit a text.

    Parameters
    ----------
    settings : Settings
        Those that were given, beside the defaults of the class.
    given : collection of str
        The names of those that were given: they stay, and others that would not go with them too.
    tokens : int
        Of the training text.

    Returns
    -------
    dict
        Values by name.
    """
    wanted: dict[str, Any] = {}
    # Python's documentation is read as the tutorial reads its text.
    if settings.text is not None or settings.train is not None:
        wanted = _wanted(settings, given, tokens)
    if "optimizer" in given:
        wanted["learning_rate"] = RATES[settings.optimizer]
    chosen = {
        name: value
        for name, value in wanted.items()
        if name not in given and value != getattr(settings, name)
    }
    try:
        dataclasses.replace(settings, **chosen)
    except RNNError:
        return {}
    return chosen


def _wanted(settings: Settings, given: Collection[str], tokens: int) -> dict[str, Any]:
    """What fits a text of so many tokens and goes with the settings that were given."""
    wanted = dict(FITTING[settings.level])
    if settings.level == "char" and tokens > LARGE:
        wanted.update(MANY_ROWS)
    wanted["epochs"] = max(2, min(wanted["epochs"], TOKENS[settings.level] // tokens))
    for name in early_ends(settings.minutes, settings.schedule):
        del wanted[name]
    if "stream" in given or (
        "truncation" in given and not settings.truncation.startswith("chunk")
    ):
        for name in ("stream", "state_reset", "truncation", "batch_size"):
            wanted.pop(name, None)
    if "dropout_output" in given:  # of one layer it is all the dropout of the states
        wanted.pop("dropout", None)
    if settings.omega:
        wanted.pop("cell", None)
    if settings.tied:  # V is the table then, and its columns are the units
        units = settings.hidden_size if "hidden_size" in given else wanted["hidden_size"]
        wanted["embedding_size"] = units
    return wanted
