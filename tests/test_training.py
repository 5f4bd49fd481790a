"""Epochs, the schedule of the learning rate, stopping and going on, and what is left behind."""

import dataclasses
import json
import math

import numpy as np
import pytest

from theano_rnn import baselines
from theano_rnn.corpus import build_corpus, pairs
from theano_rnn.errors import RNNError
from theano_rnn.run import Run
from theano_rnn.training import Settings, Training, Watch, perplexity

SETTINGS = Settings(hidden_size=5, learning_rate=0.1, epochs=2, seed=3)


@pytest.fixture(scope="module")
def corpus():
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    sentences = [" ".join(random.choice(words, size=random.integers(1, 8))) for _ in range(60)]
    return build_corpus(sentences[:40], sentences[40:50], sentences[50:])


def new_training(folder, corpus, settings=SETTINGS):
    run = Run.create(folder)
    run.save_settings(vars(settings))
    return Training(settings, run, corpus)


class StopAfter(Watch):
    """Stops after so many steps in all."""

    def __init__(self, steps):
        self.steps = steps

    def step(self, state, loss, norm, tokens):
        self.steps -= 1
        self.stop = self.steps == 0


class Recorder(Watch):
    def __init__(self):
        self.steps, self.epochs = [], []

    def step(self, state, loss, norm, tokens):
        self.steps.append((loss, norm, tokens))

    def epoch(self, record):
        self.epochs.append(record)


def test_training_lowers_the_loss_and_reports_what_it_did(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    before = training.model.calculate_loss(*pairs(corpus.valid))
    watch = Recorder()
    training.run_epochs(watch)
    assert len(watch.steps) == 80 and len(watch.epochs) == 2
    tokens = sum(len(sequence) - 1 for sequence in corpus.train)
    for number, record in enumerate(watch.epochs):
        steps = watch.steps[40 * number : 40 * number + 40]
        assert record["epoch"] == number + 1
        assert record["tokens"] == tokens == sum(n for _, _, n in steps)
        assert record["train_loss"] == pytest.approx(sum(loss for loss, _, _ in steps) / tokens)
        assert record["gradient_norm"] == pytest.approx(np.mean([norm for _, norm, _ in steps]))
        assert record["valid_perplexity"] == pytest.approx(math.exp(record["valid_loss"]))
    assert watch.epochs[1]["valid_loss"] < before
    assert training.run.metrics() == watch.epochs


def test_every_sentence_is_seen_once_an_epoch_in_another_order(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus)
    seen = []
    monkeypatch.setattr(
        training.model,
        "clipped_sgd_step",
        lambda x, y, learning_rate, clip: seen.append((tuple(x), tuple(y))) or (1.0, 1.0),
    )
    training.run_epochs(Watch())
    first, second = seen[:40], seen[40:]
    assert sorted(first) == sorted(second) == sorted(zip(*map(_tuples, pairs(corpus.train))))
    assert first != second


def _tuples(sequences):
    return [tuple(sequence) for sequence in sequences]


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss(tmp_path, corpus):
    settings = Settings(hidden_size=5, learning_rate=0.3, epochs=8, clip=5.0)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Watch())
    losses = [record["valid_loss"] for record in training.run.metrics()]
    assert np.argmin(losses) < 7, "the test needs a run that gets worse in the end"
    parameters, state = training.run.checkpoint("best")
    assert state["best_loss"] == min(losses) and state["epoch"] == np.argmin(losses) + 1
    training.model.set_parameters(parameters)
    assert training.model.calculate_loss(*pairs(corpus.valid)) == pytest.approx(min(losses))


@pytest.mark.parametrize(
    ("improvement", "rates"),
    [(0.01, [0.1, 0.1, 0.05, 0.025, 0.025]), (0, [0.1, 0.1, 0.1, 0.05, 0.05])],
)
def test_the_learning_rate_is_halved_when_the_validation_loss_rises_or_hardly_falls(
    tmp_path, corpus, monkeypatch, improvement, rates
):
    settings = Settings(hidden_size=5, learning_rate=0.1, epochs=5, improvement=improvement)
    training = new_training(tmp_path / "run", corpus, settings)
    losses = iter([5.0, 4.99, 4.995, 4.5, 4.0])
    monkeypatch.setattr(training.model, "calculate_loss", lambda X, Y: next(losses))
    training.run_epochs(Watch())
    assert [record["learning_rate"] for record in training.run.metrics()] == rates


@pytest.mark.parametrize("steps", [1, 25, 40, 41, 79])
def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(tmp_path, corpus, steps):
    whole = new_training(tmp_path / "whole", corpus)
    whole.run_epochs(Watch())
    halted = new_training(tmp_path / "halted", corpus)
    halted.run_epochs(StopAfter(steps))
    resumed = Training(SETTINGS, halted.run, corpus, resume=True)
    resumed.run_epochs(Watch())
    for name, value in whole.model.parameters().items():
        np.testing.assert_array_equal(resumed.model.parameters()[name], value)
    timeless = [[{**r, "seconds": 0} for r in t.run.metrics()] for t in (whole, resumed)]
    assert timeless[0] == timeless[1]


def test_a_run_stopped_in_its_first_epoch_can_be_judged(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(StopAfter(3))
    result = training.result()
    assert result["epochs"] == 0 and math.isfinite(result["test_perplexity"])


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_best(
    tmp_path, corpus, monkeypatch
):
    training = new_training(tmp_path / "run", corpus)
    step, calls = training.model.clipped_sgd_step, []

    def diverges(*arguments):
        calls.append(arguments)
        if len(calls) == 50:
            training.model.W.set_value(np.full((5, 5), np.nan, "float32"))
        return step(*arguments)

    monkeypatch.setattr(training.model, "clipped_sgd_step", diverges)
    with pytest.raises(RNNError, match=r"epoch 2, sentence 10.*--learning-rate"):
        training.run_epochs(Watch())
    for name in ("best", "last"):
        parameters, state = training.run.checkpoint(name)
        assert all(np.isfinite(value).all() for value in parameters.values())
        assert state["epoch"] == 1


def test_the_result_is_that_of_the_best_model_on_the_test_sentences(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(Watch())
    result = training.result()
    assert json.loads((training.run.folder / "result.json").read_text()) == result
    parameters, _ = training.run.checkpoint("best")
    training.model.set_parameters(parameters)
    size = corpus.vocabulary.size
    expected = {
        "valid_perplexity": math.exp(training.model.calculate_loss(*pairs(corpus.valid))),
        "test_perplexity": math.exp(training.model.calculate_loss(*pairs(corpus.test))),
        "unigram_perplexity": baselines.unigram_perplexity(corpus.train, corpus.test, size),
        "bigram_perplexity": baselines.bigram_perplexity(
            corpus.train, corpus.valid, corpus.test, size
        ),
        "oov_rate": corpus.oov_rate,
        "epochs": 2,
        "vocab_size": size,
    }
    assert {name: result[name] for name in expected} == expected
    assert result["tokens_per_second"] > 0 and result["seconds_to_first_step"] > 0
    assert len((training.run.folder / "samples.txt").read_text().splitlines()) == 20
    assert (training.run.folder / "loss.png").exists()


def test_resuming_with_a_checkpoint_of_other_sizes_is_refused(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(StopAfter(1))
    with pytest.raises(RNNError, match="does not fit"):
        Training(Settings(hidden_size=6), training.run, corpus, resume=True)


def test_a_run_that_has_its_epochs_is_not_gone_on_with(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(Watch())
    with pytest.raises(RNNError, match=r"has its 2 epochs.*--epochs"):
        Training(SETTINGS, training.run, corpus, resume=True)


def test_a_run_is_not_gone_on_with_on_another_text_of_the_same_vocabulary(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(StopAfter(1))
    other = dataclasses.replace(corpus, train=corpus.train[::-1])
    with pytest.raises(RNNError, match="text has changed"):
        Training(SETTINGS, training.run, other, resume=True)


def test_a_record_without_its_checkpoint_is_forgotten_when_resumed(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(StopAfter(41))
    training.run.append_metrics({"epoch": 2, "valid_loss": 0.0})  # killed before the checkpoint
    Training(SETTINGS, training.run, corpus, resume=True).run_epochs(Watch())
    assert [record["epoch"] for record in training.run.metrics()] == [1, 2]
    assert training.run.metrics()[1]["valid_loss"] > 0


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus)
    monkeypatch.setattr(training.model, "calculate_loss", lambda X, Y: math.nan)
    with pytest.raises(RNNError, match=r"validation loss is nan.*--learning-rate"):
        training.run_epochs(Watch())
    assert training.run.metrics() == []


def test_a_huge_loss_has_a_perplexity_that_json_can_write():
    assert perplexity(5000.0) == perplexity(709.0) == pytest.approx(3.02e307, rel=0.01)
    assert perplexity(math.log(8.0)) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0}, "learning rate"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"decay": 1.5}, "decay"),
        ({"improvement": 1}, "improvement"),
        ({"clip": -1}, "clip"),
        ({"epochs": 0}, "epochs"),
        ({"hidden_size": 2.5}, "hidden size"),
        ({"seed": -1}, "seed"),
        ({"truncation": "window"}, "window:4"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(RNNError, match=message):
        Settings(**change)


@pytest.mark.parametrize("values", [{"hiden_size": 3}, {"epochs": "many"}, [1]])
def test_settings_altered_by_hand_are_refused_with_their_file(values):
    with pytest.raises(RNNError, match=r"settings\.json"):
        Settings.from_dict(values, "settings.json")
