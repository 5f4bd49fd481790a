"""A training that averages its parameters: what is validated, what is best, what is resumed."""

import dataclasses

import numpy as np
import pytest
from conftest import function_in_python
from trainings import left_behind, new_training

from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.optim.step import Step
from theano_rnn.text.corpus import build_corpus
from theano_rnn.training import evaluation
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.settings import Settings

#: Steps so large that the parameters jump about a minimum.
SETTINGS = Settings(
    hidden_size=3, batch_size=4, learning_rate=3.0, epochs=5, schedule="constant", seed=1
)
EMA = dataclasses.replace(SETTINGS, average="ema:0.8")
#: Its validation loss rises after the third epoch.
NT_ASGD = dataclasses.replace(SETTINGS, average="nt-asgd:1", seed=3)


@pytest.fixture(autouse=True)
def quickly_compiled(monkeypatch):
    for module in ("theano_rnn.optim.step", "theano_rnn.model.functions", "theano_rnn.engine"):
        monkeypatch.setattr(f"{module}.compile_function", function_in_python)


@pytest.fixture(scope="module")
def corpus():
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    sentences = [" ".join(random.choice(words, size=random.integers(2, 8))) for _ in range(60)]
    return build_corpus(sentences[:40], sentences[40:50], sentences[50:])


class Steps(Callback):
    """The parameters after each step, by epoch; stops after so many steps."""

    def __init__(self, training, stop_after=-1):
        self.training, self.left, self.reached = training, stop_after, []

    def step(self, state, loss, norm, tokens):
        if state.step == 1 or not self.reached:
            self.reached.append([])
        self.reached[-1].append(self.training.model.parameters())
        self.left -= 1
        self.stop = self.left == 0


def averaged(steps, weights):
    weights = np.array(weights) / sum(weights)
    return {n: np.tensordot(weights, [each[n] for each in steps], 1) for n in steps[0]}


def validates(training, values):
    training.model.set_parameters(values)
    return evaluation.text_loss(training.model, training.corpus.valid, is_stream=False)


def test_after_each_epoch_the_parameters_and_their_average_are_validated(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, EMA)
    watch = Steps(training)
    training.run_epochs(watch)
    records, taken = training.run.metrics(), []
    for record, steps in zip(records, watch.reached):
        taken += steps
        average = averaged(taken, 0.8 ** np.arange(len(taken))[::-1])
        assert record["parameters_loss"] == pytest.approx(validates(training, taken[-1]), rel=1e-6)
        assert record["average_loss"] == pytest.approx(validates(training, average), rel=1e-4)
        assert record["valid_loss"] == min(record["parameters_loss"], record["average_loss"])
        assert record["averaged"] == (record["average_loss"] < record["parameters_loss"])
    assert all(record["averaged"] for record in records[1:])
    # The best model is the average, in its checkpoint and in the result.
    arrays, state = training.run.checkpoint("best")
    best = min(records, key=lambda record: record["valid_loss"])
    assert state["best_epoch"] == best["epoch"] and state["best_is_average"]
    assert validates(training, parameters(arrays)) == pytest.approx(best["average_loss"], rel=1e-6)
    result = training.result()
    assert result["averaged"] and result["valid_perplexity"] == pytest.approx(
        np.exp(best["average_loss"]), rel=1e-6
    )


def test_nt_asgd_averages_all_steps_after_the_epoch_whose_loss_was_not_the_lowest(
    tmp_path, corpus
):
    training = new_training(tmp_path / "run", corpus, NT_ASGD)
    watch = Steps(training)
    training.run_epochs(watch)
    records = training.run.metrics()
    losses = [record["parameters_loss"] for record in records]
    first = next(n for n in range(2, 5) if losses[n] > losses[n - 1]) + 1
    assert 3 <= first < 4, "the test needs epochs before and after it"
    assert [record["average_loss"] for record in records[:first]] == [None] * first
    assert not any(record["averaged"] for record in records[:first])
    taken = [step for steps in watch.reached[first:] for step in steps]
    assert training.state.averaged == len(taken)
    average = averaged(taken, np.ones(len(taken)))
    assert records[-1]["average_loss"] == pytest.approx(validates(training, average), rel=1e-4)
    assert records[-1]["averaged"]


@pytest.mark.parametrize("settings", [EMA, NT_ASGD], ids=["ema", "nt-asgd"])
def test_a_stopped_run_is_resumed_with_its_average_bit_for_bit(tmp_path, corpus, settings):
    whole = new_training(tmp_path / "whole", corpus, settings)
    whole.run_epochs(Callback())
    assert "W.average" in whole.run.checkpoint("last")[0]
    halted = new_training(tmp_path / "halted", corpus, settings)
    for stop in (3, 10, 17, 11):
        halted.run_epochs(Steps(halted, stop))
        halted = Training(settings, halted.run, corpus, resume=True)
    halted.run_epochs(Callback())
    assert left_behind(halted.run) == left_behind(whole.run)


def test_a_step_that_cannot_be_taken_is_not_averaged_and_the_average_goes_on(
    tmp_path, corpus, monkeypatch
):
    settings = dataclasses.replace(EMA, on_nonfinite="restore", checkpoint_every="3", epochs=1)
    training = new_training(tmp_path / "run", corpus, settings)
    watch, step, calls = Steps(training), Step.__call__, []

    def fails_once(self, *arguments, **others):
        calls.append(arguments)
        if len(calls) == 6:
            raise NotFinite("as a step says")
        return step(self, *arguments, **others)

    monkeypatch.setattr(Step, "__call__", fails_once)
    training.run_epochs(watch)
    (steps,) = watch.reached
    assert training.state.averaged == len(steps) == len(calls) - 1
    average = averaged(steps, 0.8 ** np.arange(len(steps))[::-1])
    np.testing.assert_allclose(training.average.state()["W.average"], average["W"], rtol=1e-5)


def test_an_average_that_the_settings_do_not_have_is_refused(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, EMA)
    training.run_epochs(Steps(training, 3))
    with pytest.raises(RNNError, match="does not fit: it averages the parameters, and the settin"):
        Training(SETTINGS, training.run, corpus, resume=True)
