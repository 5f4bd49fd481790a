"""How a training begins: resumed with safe changes, or from the parameters of another run."""

import dataclasses

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import start
from theano_rnn.training.loop import Callback
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import EPOCHS, MANY_EPOCHS, Settings

LINES = ["the cat sat", "a dog ran", "the dog sat", "a cat ran home"] * 5


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"{line.capitalize()}." for line in LINES))
    return str(path)


@pytest.fixture
def settings(text):
    return Settings(text=text, hidden_size=3, embedding_size=2, bias=True, epochs=1)


@pytest.mark.parametrize("network", [{}, {"embedding_size": 2, "bias": True, "cell": "lstm"}])
def test_parameters_are_matched_by_the_names_of_the_tokens(network):
    before, after = Vocabulary.train(["a b c d"]), Vocabulary.train(["d d d x y b b"])
    source, model = RNN(before.size, 3, seed=1, **network), RNN(after.size, 3, seed=2, **network)
    values, old, new = (
        start.mapped(source, before, model, after),
        source.parameters(),
        model.parameters(),
    )
    shared = {"<s>", "</s>", "<unk>", "b", "d"}
    of_tokens = {"L": 1, "V": 0, "c": 0} if network else {"U": 1, "V": 0}
    for name, value in values.items():
        if name not in of_tokens:
            np.testing.assert_array_equal(value, old[name])
            continue
        for token, index in zip(after.tokens, range(after.size)):
            theirs, at = (old, before.tokens.index(token)) if token in shared else (new, index)
            expected = theirs[name].take(at, of_tokens[name])
            np.testing.assert_array_equal(value.take(index, of_tokens[name]), expected)
    model.set_parameters(values)


def test_a_run_begins_with_the_parameters_of_another_even_if_it_is_killed_at_once(
    tmp_path, settings
):
    with start.new(settings, tmp_path / "first") as first:
        first.run.save_checkpoint("best", first.model.parameters(), {})
        expected = first.model.parameters()
    given = {"text": settings.text, "learning_rate": 0.5, "seed": 9}
    tuned = start.settings_from(tmp_path / "first", given)
    assert (tuned.hidden_size, tuned.learning_rate, tuned.text) == (3, 0.5, settings.text)
    assert start.settings_from(tmp_path / "first", {**given, "minutes": 5}).epochs == MANY_EPOCHS
    timed = start.settings_from(tmp_path / "first", {**given, "minutes": 5})
    with start.new(timed, tmp_path / "timed") as made:
        made.run.save_checkpoint("best", made.model.parameters(), {})
    assert start.settings_from(tmp_path / "timed", {**given, "minutes": None}).epochs == EPOCHS
    with pytest.raises(RNNError, match="nothing ends this training; give --epochs too"):
        start.resumed(tmp_path / "timed", {"minutes": None}).__enter__()
    with start.resumed(tmp_path / "timed", {"minutes": None, "epochs": 10**5}):
        pass
    with start.resumed(tmp_path / "timed", {}):  # 100,000 epochs that were asked for
        pass
    with pytest.raises(RNNError, match=r"^clip must be"):  # settings.json is fine
        start.resumed(tmp_path / "timed", {"clip": -1.0}).__enter__()
    with pytest.raises(RNNError, match="clip_by has no effect without --clip"):
        start.settings_from(tmp_path / "first", {**given, "clip": 0, "clip_by": "value"})
    with start.new(tuned, tmp_path / "second", tmp_path / "first"):
        pass  # killed
    with start.resumed(tmp_path / "second", {}) as second:
        values = second.model.parameters()
        assert values.keys() == expected.keys()
        # Another seed splits the text otherwise, but the tokens are the same.
        order = [first.corpus.vocabulary.tokens.index(t) for t in second.corpus.vocabulary.tokens]
        np.testing.assert_array_equal(values["c"], expected["c"][order])
        np.testing.assert_array_equal(values["L"], expected["L"][:, order])
        np.testing.assert_array_equal(values["W"], expected["W"])


def test_a_resumed_run_changes_what_is_safe_and_nothing_else(tmp_path, settings):
    with start.new(settings, tmp_path / "run") as training:
        training.begin_with(training.model.parameters())  # a first checkpoint
    moved = tmp_path / "moved.txt"
    moved.write_bytes(open(settings.text, "rb").read())
    changes = {"learning_rate": 0.03, "patience": 2, "epochs": 5, "text": str(moved)}
    with start.resumed(tmp_path / "run", changes) as training:
        assert training.state.learning_rate == 0.03 and training.settings.patience == 2
    stored = Run.open(tmp_path / "run").settings()
    assert {name: stored[name] for name in changes} == changes
    with start.resumed(tmp_path / "run", {}) as training:  # it was killed before a step
        assert training.settings.epochs == 5 and training.state.learning_rate == 0.03
    moved.write_text(moved.read_text().replace("Dog", "Cow").replace("dog", "cow"))
    for bad, message in (
        ({}, "text has changed"),
        ({"seed": 1}, "--seed"),
        ({"cell": "gru"}, "--c"),
        ({"schedule": "cosine", "lr_decay": 0.3}, "lr_decay has no effect"),
    ):
        with pytest.raises(RNNError, match=message), start.resumed(tmp_path / "run", bad):
            pass
    moved.unlink()
    with pytest.raises(RNNError, match=r"moved\.txt, .* is not there; if it has moved, .* --text"):
        with start.resumed(tmp_path / "run", {}):
            pass
    assert Run.open(tmp_path / "run").settings() == stored


def test_a_run_whose_best_checkpoint_is_gone_is_refused_before_it_is_trained(tmp_path, settings):
    with start.new(settings, tmp_path / "run") as training:
        training.state.best_loss, training.state.best_epoch = 2.0, 1
        training.begin_with(training.model.parameters())
    with pytest.raises(RNNError, match=r"no checkpoint best\.safetensors; restore it from a copy"):
        start.resumed(tmp_path / "run", {}).__enter__()
    copied = (tmp_path / "run" / "last.safetensors").read_bytes()
    (tmp_path / "run" / "best.safetensors").write_bytes(copied)
    with start.resumed(tmp_path / "run", {}) as training:
        assert training.state.best_loss == 2.0


def test_a_run_that_lost_its_patience_goes_on_with_more_of_it(tmp_path, settings):
    with start.new(settings, tmp_path / "run") as training:
        training.settings = settings.__class__(**{**vars(settings), "patience": 1, "epochs": 9})
        training.state.epoch, training.state.best_epoch = 2, 1
        training.run_epochs(Callback())  # it is over
        training.run.save_result({"epochs": 2})
        training.run.save_settings(vars(training.settings))
    with pytest.raises(RNNError, match="larger --patience"), start.resumed(tmp_path / "run", {}):
        pass
    with start.resumed(tmp_path / "run", {"patience": 3}) as training:
        assert training.end is None


def test_what_was_not_chosen_fits_the_text_and_stays_so_when_the_run_is_resumed(tmp_path, text):
    settings = Settings(text=text, hidden_size=3, epochs=1)
    with start.new(settings, tmp_path / "run", given={"text", "hidden_size", "epochs"}) as new:
        assert new.chosen and new.settings.bias and new.settings.epochs == 1
        assert new.model.architecture.cell == new.settings.cell == "lstm"
    with start.resumed(tmp_path / "run", {}) as resumed:
        assert resumed.settings == new.settings and resumed.chosen == {}
    with start.new(settings, tmp_path / "plain") as plain:
        assert plain.settings == dataclasses.replace(settings, sentences="capitals")
        assert plain.chosen == {}
