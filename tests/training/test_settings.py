"""Settings: what they refuse and by what name, what files of them mean, and the recipes."""

import argparse
import json
import re
import shlex
from dataclasses import dataclass, fields

import pytest

from theano_rnn.commands import train
from theano_rnn.common.errors import RNNError
from theano_rnn.common.fields import one_of, setting, whole_number
from theano_rnn.common.options import add_options, command_line, given, markdown, option
from theano_rnn.model.architecture import NO_DROPOUT
from theano_rnn.training.build import build_model, build_step
from theano_rnn.training.recipes import RECIPES, replaced
from theano_rnn.training.settings import MANY_EPOCHS, Settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # the network
        (
            {"cell": "rnn"},
            "cell 'rnn' is unknown; use tanh, sigmoid, relu, gru, gru_after, lstm",
        ),
        ({"hidden_size": 2.5}, "hidden_size must be a whole number of at least 1, not 2.5"),
        ({"layers": 0}, "layers must be a whole number of at least 1, not 0"),
        ({"bias": 1}, "bias must be True or False, not 1"),
        (
            {"tied": True, "cell": "gru"},
            "has 300 rows and V has 100 columns; set embedding_size=1",
        ),
        ({"embedding_size": 0}, "embedding_size must be a whole number of at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1, not 1.0"),
        ({"dropout": -0.1}, "dropout must be a number from 0 to below 1, not -0.1"),
        ({"dropout": float("nan")}, "dropout must be a number from 0 to below 1, not nan"),
        (
            {"initialization": "zeros"},
            "uniform, uniform:R, glorot, orthogonal, identity or spectr",
        ),
        ({"initialization": "spectral:0"}, "R must be a positive number"),
        ({"variational": True}, "variational has no effect without"),
        ({"dropout_input": 0.2}, "dropout_input hides parts of the embedded input"),
        ({"dropout_output": 1.5}, "dropout_output must be a number from 0 to below 1, not 1.5"),
        ({"weight_drop": 0.2, "cell": "mingru"}, "weight_drop needs a matrix W"),
        ({"weight_drop": 0.2, "omega": 1}, "omega is of the whole W, of which weight_drop hides"),
        ({"dropout_recurrent": 0.2, "omega": 1}, "of which dropout_recurrent hides a part"),
        ({"initialization": "identity", "cell": "mingru"}, "the cell mingru has no W"),
        ({"tied": True, "cell": "mingru"}, "has 200 rows and V has 100 columns"),
        ({"omega": 1, "cell": "mingru"}, "omega is for the cells tanh, sigmoid, relu, not mingru"),
        ({"truncation": "window"}, "use 'full', 'window:K', 'chunk:K', 'last:K' or 'artbp:K'"),
        ({"truncation": "chunk:0"}, "at least 1, not 0"),
        # the step
        ({"optimizer": "adamw"}, "use sgd, momentum, nesterov, adagrad, rmsprop, adam"),
        ({"clip_by": "size"}, "clip_by 'size' is unknown; use norm, value"),
        ({"clip_by": None}, "clip_by None is unknown; use norm, value"),
        ({"clip": -1}, "clip must be"),
        ({"clip": float("nan")}, "clip must be"),
        ({"l2": -0.1}, "l2 must be"),
        ({"omega": -1}, "omega must be"),
        ({"weight_decay": -1}, "weight_decay must be"),
        ({"split": "90"}, "is no split"),
        ({"split": "90/10", "train": "a", "valid": "a", "test": "a"}, "leave --split out"),
        ({"weight_decay": 0.1, "l2": 0.1}, "set one of them to 0"),
        ({"ar": -1}, "ar must be"),
        ({"tar": float("nan")}, "tar must be"),
        ({"omega": 1, "cell": "lstm"}, "omega is for the cells tanh, sigmoid, relu, not lstm"),
        ({"omega": 1, "truncation": "window:4"}, "omega needs truncation full or chunk:K"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"stream": True}, "adaptive:TOLERANCE, not full"),
        (
            {"stream": True, "truncation": "window:4"},
            "adaptive:TOLERANCE, not window:4",
        ),
        ({"stream": "no"}, "stream must be True or False, not 'no'"),
        # the schedule
        ({"learning_rate": 0}, "learning_rate must be a positive, finite number, not 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be"),
        ({"lr_decay": 1.5}, "lr_decay must be above 0 and at most 1, not 1.5"),
        ({"lr_decay": 0}, "lr_decay must be"),
        ({"min_improvement": 1}, "min_improvement must be a number from 0 to below 1, not 1"),
        ({"lr_decay_after": 0}, "lr_decay_after must be a whole number of at least 1, not 0"),
        ({"average": "swa"}, "average 'swa' is unknown; use none, nt-asgd"),
        ({"schedule": "step"}, "schedule 'step' is unknown; use plateau, epochs, cosine, trap"),
        ({"schedule": "epochs"}, "schedule epochs needs an epoch; give --lr-decay-after"),
        (
            {"schedule": "cosine", "lr_decay_after": 2},
            "lr_decay_after 2 has no effect under schedule cosine; leave one of them out",
        ),
        ({"lr_end": 0.1}, "no effect under schedule plateau without minutes; leave it out"),
        ({"lr_end": 0.1, "schedule": "constant"}, "no effect under schedule constant; leave it"),
        ({"warmup": 1}, "warmup must be a number from 0 to below 1, not 1"),
        ({"patience": 0}, "patience must be a whole number of at least 1, not 0"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"minutes": 0}, "minutes must be a positive, finite number, not 0"),
        ({"dynamic": 0}, "dynamic must be a positive, finite number, not 0"),
        ({"dynamic_rms": -1}, "dynamic_rms must be a positive, finite number, not -1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
    ],
)
def test_a_bad_setting_is_refused_by_name_with_what_is_allowed(change, message):
    with pytest.raises(RNNError, match=re.escape(message)):
        Settings(**change)


@dataclass(frozen=True)
class More(Settings):
    """The settings with two more, as whoever adds one writes it."""

    naps: int = setting(
        3, whole_number(2, 9), "how often the network rests", group="rest", zero="no"
    )
    bed: str = setting("soft", one_of(("soft", "hard"), summary=str.upper), "where", old=["cot"])


def test_a_field_is_an_option_of_train_a_row_of_the_docs_and_checked(capsys):
    with pytest.raises(SystemExit, match="0"):
        train.parser(More).parse_args(["--help"])
    help = " ".join(capsys.readouterr().out.split())
    assert "rest: --naps N how often the network rests. 0: no (default: 3)" in help
    assert "--bed {soft,hard} where. soft: SOFT. hard: HARD (default: soft)" in help
    chosen = given(train.parser(More).parse_args(["--naps", "4", "--bed", "hard"]), More)
    assert More(**chosen) == More(naps=4, bed="hard")
    *_, naps, bed = markdown(More).splitlines()
    assert naps == (
        "| `--naps` | whole number ≥ 2, ≤ 9 | `3` | how often the network rests<br>0: no |"
    )
    assert bed.startswith("| `--bed` | `soft`, `hard` | `soft` | where<br>soft: SOFT<br>hard")
    for change, message in (
        ({"naps": 1}, "naps must be a whole number of at least 2, not 1"),
        ({"naps": 10}, "naps must be at most 9, not 10"),
        ({"bed": "none"}, "bed 'none' is unknown; use soft, hard"),
    ):
        with pytest.raises(RNNError, match=re.escape(message)):
            More(**change)
    assert More.from_dict({"cot": "hard"}, "settings.json").bed == "hard"


def test_every_setting_is_an_option_with_its_default_and_a_row_of_the_docs():
    parser = argparse.ArgumentParser()
    add_options(parser, Settings)
    help, page = " ".join(parser.format_help().split()), markdown(Settings)
    for field in fields(Settings):
        if field.name == "rules":  # of a new run always today's
            continue
        assert f" {option(field.name)}" in help and f"| `{option(field.name)}` |" in page
        assert field.metadata["help"]
        assert field.metadata["kind"].check(field.default, field.name) == field.default
    assert Settings(**given(parser.parse_args([]), Settings)) == Settings()


def test_a_text_may_be_several_files_and_keep_its_case():
    parser = train.parser()
    found = Settings(**given(parser.parse_args(["--text", "a", "b", "--keep-case"]), Settings))
    assert (found.text, found.lower) == (("a", "b"), False)
    assert given(parser.parse_args(["--no-lower"]), Settings) == {"lower": False}
    found = Settings(**given(parser.parse_args(["--text", "a", "--lower"]), Settings))
    assert (found.text, found.lower) == ("a", True)
    assert Settings.from_dict(json.loads(json.dumps(vars(found))), "here") == found
    with pytest.raises(RNNError, match="text has no file; give at least one"):
        Settings(text=[])


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"min_improvement": 0.1, "lr_decay": 0.7}, []),
        ({"min_improvement": 0.1, "lr_decay": 0.7, "schedule": "cosine"}, ["both"]),
        ({"min_improvement": 0.1, "lr_decay": 0.7, "schedule": "constant"}, ["both"]),
        ({"lr_decay": 0.7, "schedule": "cosine", "on_nonfinite": "restore"}, []),
        ({"min_improvement": 0.1, "lr_decay": 0.7, "lr_decay_after": 3}, ["min_improvement"]),
        ({"clip_by": "value"}, []),
        ({"clip_by": "value", "clip": 0}, ["clip_by"]),
        ({"clip": 0}, []),
        ({"sentences": "lines"}, []),
        ({"sentences": "lines", "level": "bpe"}, []),
        ({"sentences": "lines", "level": "char"}, ["sentences"]),
        ({"sentences": "auto", "level": "char", "state_reset": 0.0}, []),
        ({"sentences": "punctuation", "tokenized": True}, ["sentences"]),
        ({"state_reset": 0.1, "stream": True, "truncation": "chunk:5"}, []),
        ({"state_reset": 0.1}, ["state_reset"]),
    ],
)
def test_a_setting_that_was_given_and_has_no_effect_is_refused(values, names):
    settings = Settings(**values)
    names = ["min_improvement", "lr_decay"] if names == ["both"] else names
    assert settings.without_effect(values).keys() == set(names)
    settings.check_given(())  # a default, or one of a recipe
    if names:
        with pytest.raises(RNNError, match=f"{names[0]} has no effect.*; leave it out"):
            settings.check_given(values)


def test_train_refuses_an_option_without_effect_before_it_reads_the_text(capsys):
    line = ["--text", "no_such_file", "--schedule", "cosine", "--lr-decay", "0.7"]
    assert train.main(line) == 2
    said = "--lr-decay has no effect under schedule cosine; leave it out"
    assert said in " ".join(capsys.readouterr().err.split())


def test_all_defaults_as_options_are_the_defaults():
    """dropout_output is None by default, and 0 is another value: no option says None."""
    values = {**vars(Settings(text="a")), "clip": None}
    del values["rules"]  # no option
    line = command_line(values, Settings)
    found = Settings(**given(train.parser().parse_args(shlex.split(line)), Settings))
    assert found == Settings(text="a", clip=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"clip": 0},
        {"clip": None},
        {"dropout": 0},
        {"min_improvement": 0},
        {"lr_decay": 1},
        {"tied": True},
        {"tied": True, "cell": "gru", "hidden_size": 5, "embedding_size": 5},
        {"tied": True, "cell": "gru", "hidden_size": 5, "embedding_size": 3},
        {"omega": 2.0, "cell": "relu", "truncation": "chunk:5"},
        {"stream": True, "truncation": "chunk:5", "cell": "lstm", "layers": 2},
    ],
)
def test_what_is_at_the_edge_is_allowed(change):
    Settings(**change)


def test_settings_go_through_a_file():
    settings = Settings(text="a.txt", cell="gru", stream=True, truncation="chunk:5", clip=None)
    assert Settings.from_dict(json.loads(json.dumps(vars(settings))), "here") == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hiden_size": 3}, "unknown settings 'hiden_size'"),
        ({"epochs": "many"}, "epochs must be"),
        ({"learning_rate": "0.1"}, "learning_rate must be"),
        ({"cell": ["gru"]}, "is unknown; use tanh"),
        ({"optimizer": None}, "use sgd"),
        ([1], "does not hold settings"),
    ],
)
def test_settings_altered_by_hand_are_refused_with_their_file(values, message):
    with pytest.raises(RNNError, match=rf"settings\.json.*{message}"):
        Settings.from_dict(values, "settings.json")


def test_an_older_run_without_the_newer_names_is_one_of_the_plain_network_by_sgd():
    older = {
        "text": None, "train": None, "valid": None, "test": None, "column": None,
        "level": "char", "vocab_size": 50, "tokenized": False, "hidden_size": 7,
        "truncation": "window:4", "learning_rate": 0.2, "decay": 0.25, "improvement": 0.0,
        "clip": 3.0, "epochs": 4, "seed": 5,
    }  # fmt: skip
    settings = Settings.from_dict(older, "settings.json")
    renamed = {"decay": "lr_decay", "improvement": "min_improvement"}
    assert {name: getattr(settings, renamed.get(name, name)) for name in older} == older
    older = {renamed.get(name, name) for name in older}
    newer = {name: value for name, value in vars(settings).items() if name not in older}
    assert newer == {
        "cell": "tanh", "layers": 1, "bias": False, "tied": False, "embedding_size": None,
        **NO_DROPOUT, "initialization": "uniform", "batch_size": 1, "stream": False,
        "state_reset": 0.0,
        "optimizer": "sgd", "clip_by": "norm", "l2": 0.0, "omega": 0.0, "lr_decay_after": None,
        "split": "80/10/10", "weight_decay": 0.0, "ar": 0.0, "tar": 0.0,
        "average": "none",
        "minutes": None, "schedule": None, "lr_end": 0.0, "warmup": 0.0, "patience": None,
        "dynamic": None, "dynamic_rms": None, "watch": False, "tensorboard": False,
        "checkpoint_every": "10min", "on_nonfinite": "stop", "threads": 1, "precision": "float32",
        "encoding": "utf-8", "lower": None, "sentences": "auto", "rules": 2,
    }  # fmt: skip
    assert str(build_model(settings, 9)).startswith("RNN(9, 7, truncation='window:4')")


#: Settings that the first version called otherwise, by the names they have now.
FIRST_NAMES = {
    "lr_decay": "decay", "lr_decay_after": "decay_after", "min_improvement": "improvement",
    "checkpoint_every": "every",
}  # fmt: skip


def test_a_run_folder_of_the_first_version_has_the_same_settings():
    settings = Settings(
        lr_decay=0.25, lr_decay_after=3, min_improvement=0.0, checkpoint_every="7", clip=None
    )
    first = {FIRST_NAMES.get(name, name): value for name, value in vars(settings).items()}
    assert {"decay", "decay_after", "improvement", "every"} <= first.keys()
    assert Settings.from_dict(first, "settings.json") == settings


def test_a_setting_by_its_old_name_and_its_new_one_is_refused():
    with pytest.raises(RNNError, match=r"settings\.json: decay is the old name of lr_decay"):
        Settings.from_dict({"decay": 0.5, "lr_decay": 0.5}, "settings.json")


def test_the_model_of_a_stream_has_the_whole_gradient_of_a_piece():
    settings = Settings(hidden_size=3, stream=True, truncation="chunk:6", dropout=0.5)
    assert settings.steps == 6 and build_model(settings, 9).truncation == "full"
    assert build_model(settings, 9, dropout=0.0).architecture.dropout == 0
    assert Settings(truncation="chunk:6").steps is None


def test_minutes_replace_the_epochs_and_the_patience_of_a_recipe_but_none_that_are_given():
    recipe = RECIPES["words"]
    assert (recipe["epochs"], recipe["patience"]) == (14, 2)

    def ends(**given):
        settings = Settings(**replaced(recipe, given))
        assert settings.dropout == recipe["dropout"]
        return settings.epochs, settings.patience

    assert ends(lr_decay=0.7) == (14, 2)
    assert ends(minutes=60) == (MANY_EPOCHS, None)
    assert ends(minutes=60, epochs=20, patience=3) == (20, 3)
    assert ends(schedule="cosine") == ends(schedule="trapezoid") == (14, None)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_settings_and_names_no_text(name):
    settings = Settings(**RECIPES[name])
    assert Settings.from_dict(json.loads(json.dumps(vars(settings))), name) == settings
    assert not {"text", "train", "valid", "test", "column"} & set(RECIPES[name])
    small = {**RECIPES[name], "hidden_size": 4}
    if "embedding_size" in small:
        small["embedding_size"] = 4
    settings = Settings(**small)
    # Optimizer, clipping and regularizers fit the network.
    build_step(settings, build_model(settings, 9))


def test_the_tutorials_recipe_is_the_published_one():
    settings = Settings(**RECIPES["tutorial"])
    assert (settings.cell, settings.hidden_size) == ("tanh", 100)
    assert settings.vocab_size is None  # at most 8000: a short text has fewer
    assert (settings.truncation, settings.learning_rate) == ("window:4", 0.005)
    assert (settings.batch_size, settings.optimizer, settings.clip) == (1, "sgd", 0)
    assert (settings.lr_decay, settings.min_improvement, settings.lr_decay_after) == (0.5, 0, None)


def test_the_plain_network_of_mikolov_is_the_one_whose_figures_are_shown():
    settings = Settings(**RECIPES["mikolov"])
    found = (settings.cell, settings.layers, settings.hidden_size, settings.embedding_size)
    assert found == ("tanh", 1, 200, 200)
    found = (settings.stream, settings.batch_size, settings.steps, settings.dropout)
    assert found == (True, 10, 20, 0.35)
    found = (settings.optimizer, settings.learning_rate, settings.clip, settings.clip_by)
    assert found == ("sgd", 0.7, 1, "norm")
    assert (settings.lr_decay_after, settings.lr_decay, settings.epochs) == (4, 0.7, 12)


def test_the_small_network_of_zaremba_is_the_published_one():
    settings = Settings(**RECIPES["zaremba-small"])
    found = (settings.cell, settings.layers, settings.hidden_size, settings.embedding_size)
    assert found == ("lstm", 2, 200, 200)
    found = (settings.stream, settings.batch_size, settings.steps, settings.initialization)
    assert found == (True, 20, 20, "uniform:0.1")
    found = (settings.optimizer, settings.learning_rate, settings.clip, settings.clip_by)
    assert found == ("sgd", 1.0, 5.0, "norm")
    assert (settings.lr_decay_after, settings.lr_decay, settings.epochs) == (4, 0.5, 13)
    assert settings.dropout == 0
