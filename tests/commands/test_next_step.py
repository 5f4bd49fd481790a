"""What a training says at its end where counting beats the network."""

from pathlib import Path

import pytest

from theano_rnn.commands.next_step import what_to_try
from theano_rnn.training.settings import Settings

BEATEN = {
    "epochs": 3,
    "ended": "epochs",
    "test_perplexity": 90.0,
    "unigram_perplexity": 380.0,
    "bigram_perplexity": 110.0,
    "kneser_ney_perplexity": 64.0,
}


def metrics(valid, train=4.4, clipped=0.1):
    return [{"valid_loss": v, "train_loss": train, "clipped": clipped} for v in valid]


@pytest.mark.parametrize(
    ("settings", "records", "words"),
    [
        ({"epochs": 8}, metrics([5.0, 4.6, 4.5]), "--resume runs/x --epochs 16"),
        ({"epochs": 1}, metrics([5.0]), "one epoch is little; train on: "),
        ({"dropout": 0.1}, metrics([4.5, 4.4, 4.6], train=3.5), "by heart: --dropout 0.3"),
        (
            {"dropout_output": 0.5},  # with it, dropout is between layers only
            metrics([4.5, 4.4, 4.6], train=3.5),
            "by heart: --dropout-output 0.6, or more text",
        ),
        ({"dropout": 0.7}, metrics([4.5, 4.4, 4.6], train=3.5), "learns by heart: more text"),
        ({}, [], "train on, as the first epoch is not done: "),
        ({"minutes": 5}, [], "--resume runs/x --minutes 10"),
        ({}, metrics([4.5, 4.499], clipped=0.8), "80% of the steps were clipped: --learning-rate"),
        ({}, metrics([9.0, 8.0], train=12.0), "the loss grew while it learned"),
        ({"learning_rate": 5}, metrics([9.0], train=12.0), "--learning-rate 0.5"),
        ({}, metrics([4.5, 4.499]), "--cell lstm"),
        ({"cell": "lstm"}, metrics([4.5, 4.499]), "--hidden-size 200"),
    ],
)
def test_there_is_one_thing_to_try(settings, records, words):
    assert words in what_to_try(Settings(**settings), BEATEN, records, Path("runs/x"))


@pytest.mark.parametrize(
    ("ended", "options"), [("epochs", " --epochs 16"), ("minutes", " --minutes 10.0"), (None, "")]
)
def test_a_training_that_was_stopped_is_only_resumed(ended, options):
    settings = Settings(epochs=8, minutes=5)
    said = what_to_try(settings, {**BEATEN, "ended": ended}, metrics([5.0, 4.6]), Path("runs/x"))
    assert said.endswith(f"train --resume runs/x{options}")


def test_a_folder_with_a_space_in_its_name_is_in_quotes():
    said = what_to_try(Settings(), BEATEN, metrics([5.0]), Path("my run"))
    assert "--resume 'my run' --epochs 16" in said


def test_there_is_nothing_to_try_for_a_network_that_beats_counting():
    result = {**BEATEN, "test_perplexity": 60.0}
    assert what_to_try(Settings(), result, metrics([4.0]), Path("runs/x")) is None
