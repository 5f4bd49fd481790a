"""Recipes: settings that go together."""

import pytest

from theano_rnn.commands.train import parser
from theano_rnn.training.recipes import RATES, RECIPES, SUMMARIES, replaced
from theano_rnn.training.settings import ENDING, Settings


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_settings_and_has_a_summary_in_the_help(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "3000")  # no name is broken at its hyphen
    Settings(**RECIPES[name])
    assert f"{name}: {SUMMARIES[name]}" in " ".join(parser().format_help().split())


def test_another_optimizer_than_the_recipes_has_its_own_learning_rate():
    own = RECIPES["mikolov"]["learning_rate"]  # of sgd
    for given, rate in (
        ({}, own),
        ({"optimizer": "sgd"}, own),
        ({"optimizer": "adam"}, RATES["adam"]),
        ({"optimizer": "adam", "learning_rate": 0.5}, 0.5),
    ):
        assert replaced(RECIPES["mikolov"], given)["learning_rate"] == rate
    assert replaced(RECIPES["characters"], {"optimizer": "sgd"})["learning_rate"] == RATES["sgd"]


def test_a_recipe_that_names_its_time_has_that_budget():
    named = {"word-hour": 60, "word-tanh": 30, "word-quick": 5, "characters-hour": 60}
    for name, minutes in named.items():
        assert RECIPES[name]["minutes"] == minutes
        assert RECIPES[name]["schedule"] in ENDING and "epochs" not in RECIPES[name]
