"""Settings that fit a text, where the user chose nothing."""

import dataclasses

import pytest

from theano_rnn.training.defaults import FITTING, fitting
from theano_rnn.training.recipes import RATES, RECIPES
from theano_rnn.training.settings import Settings


def chosen(tokens=100_000, **given):
    """What fits a text of the user's, beside these options."""
    settings = Settings(text="text.txt", **given)
    changes = fitting(settings, given.keys(), tokens)
    assert not changes.keys() & given.keys()
    return dataclasses.replace(settings, **changes)


def test_a_text_is_read_as_the_recipe_for_its_level_has_it():
    assert chosen() == Settings(text="text.txt", **RECIPES["words"])
    assert chosen(level="char") == Settings(text="text.txt", **RECIPES["characters"])


def test_many_characters_are_read_in_more_rows():
    few, many = (chosen(tokens, level="char") for tokens in (100_000, 10**6))
    assert few.batch_size < many.batch_size and few.dropout > many.dropout


def test_the_default_corpus_is_read_as_in_the_tutorial():
    assert fitting(Settings(), (), 100_000) == {}


@pytest.mark.parametrize("level", FITTING)
def test_a_longer_text_is_read_fewer_times(level):
    epochs = [chosen(tokens, level=level).epochs for tokens in (10_000, 10**6, 10**9)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[0] > epochs[2] >= 1


@pytest.mark.parametrize("level", FITTING)
@pytest.mark.parametrize(
    "given",
    [{"truncation": "window:4"}, {"omega": 0.1}, {"stream": False}, {"batch_size": 3},
     {"truncation": "chunk:7"}, {"tied": True}, {"layers": 2}, {"cell": "relu"},
     {"embedding_size": 100, "tied": True}, {"optimizer": "rmsprop"}],
    ids=str,
)  # fmt: skip
def test_what_was_given_stays(level, given):
    settings = chosen(level=level, **given)
    assert {name: getattr(settings, name) for name in given} == given


@pytest.mark.parametrize("level", FITTING)
def test_tied_words_have_an_embedding_as_large_as_the_state(level):
    for tokens in (100_000, 10**6):
        settings = chosen(tokens, level=level, tied=True)
        assert settings.embedding_size == settings.hidden_size
        assert settings.cell == "lstm" and settings.epochs > 1
    assert chosen(level=level, tied=True, hidden_size=60).embedding_size == 60


def test_the_share_for_the_output_that_was_given_is_all_of_the_dropout():
    for level in FITTING:
        settings = chosen(level=level, dropout_output=0.2)
        assert (settings.dropout, settings.dropout_output) == (0, 0.2)
        assert settings.cell == FITTING[level]["cell"]


def test_rows_of_a_stream_go_with_a_truncation_by_chunks_alone():
    assert chosen(level="char", truncation="chunk:7").stream
    for truncation in ("window:7", "full"):
        settings = chosen(level="char", truncation=truncation)
        assert not settings.stream and settings.cell == RECIPES["characters"]["cell"]
    assert chosen(level="char", stream=False).truncation == "full"


@pytest.mark.parametrize("level", FITTING)
@pytest.mark.parametrize("optimizer", RATES)
def test_an_optimizer_without_a_rate_gets_one_of_its_own(level, optimizer):
    assert chosen(level=level, optimizer=optimizer).learning_rate == RATES[optimizer]
    assert chosen(level=level, optimizer=optimizer, learning_rate=0.7).learning_rate == 0.7


def test_so_does_one_on_the_default_corpus():
    assert fitting(Settings(optimizer="adam"), ["optimizer"], 10**5) == {
        "learning_rate": RATES["adam"]
    }
    assert (
        fitting(Settings(optimizer="adam", tied=True, embedding_size=100), ["tied"], 10**5) == {}
    )
