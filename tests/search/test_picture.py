"""The importance of settings, where it is known; the picture of it."""

import numpy as np
import pytest
from conftest import first

from theano_rnn.search.picture import FEWEST, draw, importances, picture
from theano_rnn.search.ranges import parse

RANGES = {
    "dropout": parse("dropout", "0..0.8"),
    "learning_rate": parse("learning_rate", "0.001..0.1:log"),
    "embedding_size": parse("embedding_size", "0,8"),
}


def records(count):
    random = np.random.default_rng(0)
    for i in range(count):
        dropout, rate = float(random.uniform(0, 0.8)), float(10 ** random.uniform(-3, -1))
        settings = {"dropout": dropout, "learning_rate": rate, "embedding_size": [None, 8][i % 2]}
        ended = "pruned" if dropout > 0.6 else "complete"
        yield {"trial": i, "ended": ended, "loss": 4 + (dropout - 0.2) ** 2, "settings": settings}


def test_the_setting_that_the_loss_depends_on_matters_most():
    found = importances([*records(60), {**next(records(1)), "loss": None}], RANGES)
    assert next(iter(found)) == "dropout" and found["dropout"] > 0.8
    assert sum(found.values()) == pytest.approx(1)


def test_of_few_trials_nothing_is_known():
    assert importances(list(records(FEWEST - 1)), RANGES) == {}
    assert set(importances(list(records(FEWEST)), RANGES)) == set(RANGES)


@pytest.mark.parametrize("count", first(1, [20, 0, 1]))
def test_it_is_drawn(count):
    assert picture(list(records(count)), RANGES).startswith(b"\x89PNG")


def test_values_are_labelled_as_options_have_them_and_no_label_is_over_another():
    from matplotlib.figure import Figure

    given = {"bias": "yes,no", "learning_rate": "0.001..0.01:log"}
    found = {name: parse(name, word) for name, word in given.items()}
    labels = {}
    for name, values in found.items():
        axes = Figure().subplots()
        draw(axes, name, values, [])
        labels[name] = [label.get_text() for label in axes.get_xticklabels(which="both")]
    assert labels == {"bias": ["yes", "no"], "learning_rate": ["0.001", "0.0032", "0.01"]}
