"""What a search is over: settings that fit, and the options that train a trial again."""

import math

import pytest

from theano_rnn import RNNError
from theano_rnn.commands.train import parse_arguments
from theano_rnn.common import options
from theano_rnn.search.plan import Plan
from theano_rnn.search.ranges import parse_all
from theano_rnn.training.recipes import RECIPES
from theano_rnn.training.settings import Settings


def plan(recipe=None, **given):
    return Plan(*parse_all(given), recipe)


def test_a_trial_has_the_recipe_what_was_given_and_what_was_chosen():
    found = plan("mikolov", text="a.txt", epochs="3", dropout="0.2..0.6", hidden_size="200,300")
    values = found.values({"dropout": 0.3, "hidden_size": 300})
    expected = {**RECIPES["mikolov"], "text": "a.txt", "epochs": 3, "dropout": 0.3}
    assert values == {**expected, "hidden_size": 300, "threads": 1}
    assert found.given is None and found.count == math.inf
    assert not {"epochs", "patience"} & plan("words", minutes=5, layers="1,2").values({}).keys()
    other = plan(text="a.txt", dropout="0.2,0.6", layers="1..3")
    assert set(other.given) == {"text", "dropout", "layers"} and other.count == 6


def test_ends_that_do_not_go_together_are_passed_over():
    found = plan(stream="yes", truncation="full,chunk:20")  # full does not go with a stream
    assert found.example().truncation == "chunk:20"


@pytest.mark.parametrize(
    "given, said",
    [
        ({"dropout": "0.5"}, "no setting has a range"),
        ({"dropout": "0.2..0.6", "threads": 2}, "threads is 1 in a search"),
        ({"dropout": "0.2..0.6", "text": "-"}, "write standard input to a file first"),
        ({"dropout": "0.2..0.6", "text": ["-"]}, "write standard input to a file first"),
        ({"dropout": "0.2..0.6", "omega": 1, "cell": "lstm"}, "omega"),
        ({"dropout": "0.2..0.6", "minutes": -1}, "minutes must be a positive"),
        ({"lr_decay": "0.3..0.7", "schedule": "cosine"}, "lr_decay has no effect under"),
        ({"dropout": "0.2..0.6", "level": "char", "sentences": "lines"}, "sentences has no eff"),
    ],
)
def test_what_no_trial_could_have_is_refused(given, said):
    with pytest.raises(RNNError, match=said):
        plan(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"lr_decay": "0.3..0.7", "schedule": "cosine,plateau"},
        {"clip": "0,5", "clip_by": "value"},
        {"text": "a.txt", "level": "char", "state_reset": "0.1..0.2"},  # a stream fits it
    ],
)
def test_a_setting_needs_an_effect_in_some_trials_only(given):
    assert plan(**given).example()


def test_the_options_of_a_trial_train_it_again():
    found = plan(
        text=("a b.txt", "c.txt"), lower=False, bias="yes,no", patience="0,3", dropout="0.2..0.6"
    )
    line = found.options({"bias": False, "patience": None, "dropout": 0.25})
    assert line == ("--text 'a b.txt' c.txt --keep-case --no-bias --patience 0 --dropout 0.25")
    import shlex

    given = options.given(parse_arguments(shlex.split(line)), Settings)
    assert given == {
        "text": ["a b.txt", "c.txt"], "lower": False, "bias": False, "patience": None,
        "dropout": 0.25,
    }  # fmt: skip
    assert plan("words", layers="1,2").options({"layers": 2}) == "--recipe words --layers 2"


def test_what_has_no_effect_in_a_trial_is_no_option_of_its_line():
    found = plan(schedule="plateau,cosine", lr_decay="0.5..0.9")
    for schedule, line in (("plateau", " --lr-decay 0.7"), ("cosine", "")):
        options = found.options({"schedule": schedule, "lr_decay": 0.7})
        assert options == f"--schedule {schedule}{line}"
