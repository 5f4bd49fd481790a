"""Ranges of settings: what is written, and what it stands for; bad ones are one line."""

import math

import pytest

from theano_rnn import RNNError
from theano_rnn.search.ranges import SEARCHED, Choices, Interval, combinations, parse, parse_all


@pytest.mark.parametrize(
    "name, word, expected",
    [
        ("hidden_size", "200,300", Choices((200, 300))),
        ("hidden_size", "100..400", Interval(100, 400, 1)),
        ("hidden_size", "100..420:50", Interval(100, 400, 50)),
        ("hidden_size", "8..64:log", Interval(8, 64, 1, log=True)),
        ("dropout", ".2...6", Interval(0.2, 0.6)),
        ("dropout", "0..0.5:0.1", Interval(0.0, 0.5, 0.1)),
        ("learning_rate", "1e-3..0.01:log", Interval(0.001, 0.01, log=True)),
        ("cell", "lstm,gru", Choices(("lstm", "gru"))),
        ("truncation", "chunk:20,chunk:35", Choices(("chunk:20", "chunk:35"))),
        ("bias", "yes,no", Choices((True, False))),
        ("patience", "0,3", Choices((None, 3))),
        ("patience", "0", None),
        ("bias", "no", False),
        ("dropout", "0.5", 0.5),
        ("hidden_size", [200, 300], Choices((200, 300))),
        ("learning_rate", [1, 0.5], Choices((1.0, 0.5))),
        ("embedding_size", [None, 5], Choices((None, 5))),
        ("hidden_size", 200, 200),
    ],
)
def test_a_word_or_a_list_is_a_range_or_a_value(name, word, expected):
    found = parse(name, word)
    assert found == expected and type(found) is type(expected)
    if isinstance(found, Choices):
        assert list(map(type, found.values)) == list(map(type, expected.values))


@pytest.mark.parametrize(
    "name, word, said",
    [
        ("dropout", "0.6..0.2", "0.6..0.2 is empty; the first number must be below the second"),
        ("dropout", "0.2..0.2", "is empty"),
        ("dropout", "0.2..1.5", "dropout must be a number from 0 to below 1, not 1.5"),
        ("dropout", "0.2..", "'0.2..' is no range; write LOW..HIGH"),
        ("dropout", "0.2..0.6:linear", "is no range; write LOW..HIGH"),
        ("dropout", "0.2..0.6:0.7", "has a step of 0.7; it must be above 0 and fit the range"),
        ("dropout", "0.2..0.6:nan", "has a step of nan"),
        ("dropout", "0.1..0.5:1e-30", "has more than 1,000,000,000 steps; leave the step out"),
        ("dropout", "0.2,,0.6", "has an empty value"),
        ("dropout", "0.2,0.20", "has 0.2 twice"),
        ("dropout", [], "has an empty list"),
        ("dropout", ["much"], "dropout must be a number from 0 to below 1, not 'much'"),
        ("dropout", "much", "dropout must be a number, not 'much'"),
        ("l2", "0..1:log", "has no logarithm at 0.0; begin above 0"),
        ("layers", "1..2.5", "layers must be a whole number, not '2.5'"),
        ("layers", "0..2", "layers must be a whole number of at least 1, not 0"),
        ("patience", "0..3", "the first number must be 1 or more, and 0 (off) only in a list"),
        ("cell", "gru..lstm", "cell takes no range of numbers; give values with commas"),
        ("cell", "lstm,gur", "cell 'gur' is unknown; use "),
        ("bias", "maybe", "bias must be yes or no, or yes,no, not 'maybe'"),
        ("bias", [1, 0], "bias must be True or False, not 1"),
        ("truncation", "chunk:20,chunk", "chunk"),
    ],
)
def test_a_bad_range_is_refused(name, word, said):
    with pytest.raises(RNNError) as refused:
        parse(name, word)
    assert said in str(refused.value) and str(refused.value).startswith(name[:5])


@pytest.mark.parametrize(
    "given, said",
    [
        ({"hiden_size": 3}, "setting 'hiden_size' is unknown; did you mean hidden_size?"),
        ({"level": ["word", "char"]}, "level is the same in all trials"),
        ({"seed": [0, 1]}, "seed is the same in all trials"),
        ({"minutes": "5..10"}, "minutes is the same in all trials"),
        ({"minutes": "soon"}, "minutes must be a number, not 'soon'"),
        ({"dropout_output": [None, 0.5]}, "dropout_output is null, which is no value; leave it"),
    ],
)
def test_what_is_no_setting_or_the_same_in_all_trials_is_refused(given, said):
    with pytest.raises(RNNError) as refused:
        parse_all(given)
    assert said in str(refused.value)


def test_settings_are_split_into_values_and_ranges():
    given = {"text": ["a.txt", "b.txt"], "seed": "3", "dropout": "0.2..0.6", "cell": "lstm"}
    assert parse_all(given) == (
        {"text": ["a.txt", "b.txt"], "seed": 3, "cell": "lstm"},
        {"dropout": Interval(0.2, 0.6)},
    )


def test_all_that_changes_the_network_or_its_training_can_be_searched():
    assert {"hidden_size", "dropout", "optimizer", "lr_decay", "epochs", "tied"} <= set(SEARCHED)
    assert not {"text", "level", "vocab_size", "seed", "threads", "watch"} & set(SEARCHED)


@pytest.mark.parametrize("word", ["1,5,3", "1..7", "1..7:2", "2..9:log"])
def test_a_range_of_whole_numbers_has_a_count_and_is_written_as_it_is_read(word):
    found = parse("hidden_size", word)
    assert found.count == len(list(found)) and set(found.ends) <= set(found)
    assert all(isinstance(value, int) for value in found)
    assert parse("hidden_size", str(found)) == found


def test_steps_of_a_number_have_no_rounding_errors():
    found = parse("dropout", "0.1..0.7:0.1")
    assert list(found) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] and found.count == 7
    assert found.near(0.30000000000000004) == 0.3


def test_a_number_that_is_drawn_has_few_digits_and_stays_in_its_range():
    found = parse("learning_rate", "0.0012341..0.01:log")
    assert found.count == math.inf
    assert found.near(0.0031415926) == 0.003142 and found.near(0.00123412) == 0.0012341


def test_values_are_combined():
    found = {"layers": Choices((1, 2)), "hidden_size": Interval(4, 5, 1)}
    assert [tuple(c.values()) for c in combinations(found)] == [(1, 4), (1, 5), (2, 4), (2, 5)]


@pytest.mark.parametrize("word", ["8,16", "8..64:8", "8..64:log", "8..64"])
def test_optuna_draws_what_the_range_holds(word):
    import optuna

    found = parse("hidden_size", word)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [study.ask({"n": found.distribution()}).params["n"] for _ in range(20)]
    assert set(map(found.near, drawn)) <= set(found) and len(set(drawn)) > 1


def test_a_range_of_whole_numbers_may_be_long():
    most = 2**63 - 1
    assert parse("hidden_size", f"1..{most}").count == most
