"""Epochs, the schedule of the learning rate, stopping and going on, and what is left behind."""

import dataclasses
import json
import math

import numpy as np
import pytest

from theano_rnn import baselines
from theano_rnn.corpus import build_corpus, pairs
from theano_rnn.errors import RNNError
from theano_rnn.generation import generate, load
from theano_rnn.kneser_ney import fit_kneser_ney
from theano_rnn.run import Run
from theano_rnn.settings import RECIPES, Settings
from theano_rnn.step import Step
from theano_rnn.training import Training, Watch, next_rate, perplexity

SETTINGS = Settings(hidden_size=5, learning_rate=0.1, epochs=2, seed=3)
#: Batches, dropout, an optimizer with a state; and a stream with a state of two parts.
BATCHES = dataclasses.replace(
    SETTINGS, batch_size=4, dropout=0.5, optimizer="adam", learning_rate=0.01, clip=0.0
)
STREAM = dataclasses.replace(
    SETTINGS, cell="lstm", bias=True, stream=True, truncation="chunk:7", batch_size=3,
    optimizer="momentum", learning_rate=0.02, dropout=0.2,
)  # fmt: skip


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
    training, seen = new_training(tmp_path / "run", corpus), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Watch())
    first, second = seen[:40], seen[40:]
    assert sorted(first) == sorted(second) == sorted(zip(*map(_tuples, pairs(corpus.train))))
    assert first != second


class FakeStep:
    """Records what it is given, and changes nothing."""

    is_compiled = True

    def __init__(self, seen):
        self.seen = seen

    def __call__(self, x, y, learning_rate, clip, *, mask, state, random):
        if mask is None and np.ndim(x) == 1:
            self.seen.append((tuple(x), tuple(y)))
        else:
            self.seen.append((x, y, mask, state, random.random()))
        return 1.0, 1.0, None if np.ndim(x) == 1 else np.full((x.shape[1], 2), len(self.seen))

    def state(self):
        return {}


def test_every_sentence_is_in_one_batch_an_epoch_in_other_company(tmp_path, corpus, monkeypatch):
    training, seen = new_training(tmp_path / "run", corpus, BATCHES), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Watch())
    n = len(seen) // 2
    found = [
        [
            (tuple(x[m, b]), tuple(y[m, b]))
            for x, y, mask, *_ in epoch
            for b, m in enumerate(mask.T)
        ]
        for epoch in (seen[:n], seen[n:])
    ]
    assert sorted(found[0]) == sorted(found[1]) == sorted(zip(*map(_tuples, pairs(corpus.train))))
    assert found[0] != found[1]
    assert all(state is None for _, _, _, state, _ in seen)
    assert len({draw for *_, draw in seen}) == len(seen)  # a dropout of its own for each step


def test_a_stream_carries_its_state_through_an_epoch_and_begins_the_next_at_zero(
    tmp_path, corpus, monkeypatch
):
    training, seen = new_training(tmp_path / "run", corpus, STREAM), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Watch())
    n = len(seen) // 2
    for epoch in (seen[:n], seen[n:]):
        assert epoch[0][3] is None
        states = [state.max() for _, _, _, state, _ in epoch[1:]]
        assert states == list(range(states[0], states[0] + n - 1))
    x = np.concatenate([x for x, *_ in seen[:n]])  # (T, B)
    text = np.concatenate(pairs(corpus.train)[0])
    assert (x.T.ravel() == text[: x.size]).all() and len(text) - x.size < 3


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
    assert state["best_epoch"] == state["epoch"]
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
    monkeypatch.setattr(training, "_loss", lambda sequences: next(losses))
    training.run_epochs(Watch())
    assert [record["learning_rate"] for record in training.run.metrics()] == rates


@pytest.mark.parametrize(
    ("settings", "stops"),
    [(SETTINGS, (1, 25, 40, 41, 79)), (BATCHES, (3, 10)), (STREAM, (5, 22))],
    ids=["sentences", "batches", "stream"],
)
def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(
    tmp_path, corpus, settings, stops
):
    whole = new_training(tmp_path / "whole", corpus, settings)
    whole.run_epochs(Watch())
    assert len(whole.run.metrics()) == 2
    for steps in stops:
        halted = new_training(tmp_path / f"halted{steps}", corpus, settings)
        halted.run_epochs(StopAfter(steps))
        assert halted.state.epoch < 2
        resumed = Training(settings, halted.run, corpus, resume=True)
        resumed.run_epochs(Watch())
        for a, b in ((whole.model.parameters(), resumed.model.parameters()),
                     (whole.step.state(), resumed.step.state())):  # fmt: skip
            assert list(a) == list(b)
            for name, value in a.items():
                np.testing.assert_array_equal(b[name], value, err_msg=name)
        timeless = [[{**r, "seconds": 0} for r in t.run.metrics()] for t in (whole, resumed)]
        assert timeless[0] == timeless[1]


@pytest.mark.parametrize("cell", ["sigmoid", "relu", "gru"])
def test_each_cell_is_trained_gone_on_with_and_sampled(tmp_path, corpus, cell):
    settings = dataclasses.replace(SETTINGS, cell=cell, batch_size=4)  # tanh and lstm: above
    training = new_training(tmp_path / "run", corpus, settings)
    training.run.save_vocabulary(corpus.vocabulary)
    training.run_epochs(StopAfter(3))
    resumed = Training(settings, training.run, corpus, resume=True)
    resumed.run_epochs(Watch())
    first, second = (record["valid_loss"] for record in resumed.run.metrics())
    assert second < first
    sentences = generate(*load(training.run.folder), count=3)
    assert len(sentences) == 3 and all(isinstance(sentence, str) for sentence in sentences)


def test_the_state_of_another_optimizer_is_refused(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, BATCHES)
    training.run_epochs(StopAfter(1))
    other = dataclasses.replace(BATCHES, optimizer="rmsprop")
    with pytest.raises(RNNError, match="does not fit"):
        Training(other, training.run, corpus, resume=True)


def test_a_stream_of_sentences_is_judged_with_its_state_carried(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, STREAM)
    x, y = (np.concatenate(s) for s in pairs(corpus.valid))
    expected = training.model.ce_error(x, y) / len(y)
    assert training._loss(corpus.valid) == pytest.approx(expected, rel=1e-5)
    alone = new_training(tmp_path / "alone", corpus)
    expected = alone.model.calculate_loss(*pairs(corpus.valid))
    assert alone._loss(corpus.valid) == pytest.approx(expected, rel=1e-5)


def test_without_a_clip_nothing_is_clipped(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, BATCHES)
    training.run_epochs(Watch())
    assert [record["clipped"] for record in training.run.metrics()] == [0, 0]
    assert all(record["gradient_norm"] > 0 for record in training.run.metrics())


def test_next_rate():
    halve = Settings(learning_rate=1.0, improvement=0.01)
    assert next_rate(halve, 1, 1.0, 5.0, math.inf) == 1.0
    assert next_rate(halve, 2, 1.0, 4.94, 5.0) == 1.0
    assert next_rate(halve, 2, 1.0, 4.96, 5.0) == 0.5
    after = dataclasses.replace(halve, decay_after=3, decay=0.8)
    assert next_rate(after, 2, 1.0, 6.0, 5.0) == 1.0
    assert next_rate(after, 3, 1.0, 4.0, 5.0) == 0.8


def test_a_run_ends_when_its_patience_does(tmp_path, corpus, monkeypatch):
    settings = dataclasses.replace(SETTINGS, epochs=9, patience=2)
    training = new_training(tmp_path / "run", corpus, settings)
    monkeypatch.setattr(training, "step", FakeStep([]))
    losses = iter([5.0, 4.0, 4.5, 3.9, 4.1, 4.0, 1.0])
    monkeypatch.setattr(training, "_loss", lambda sequences: next(losses))
    training.run_epochs(Watch())
    assert training.state.epoch == 6 and training.state.best_epoch == 4 and training.is_over


def test_dynamic_evaluation_is_a_loop_of_sgd_steps_and_leaves_the_model(tmp_path, corpus):
    settings = dataclasses.replace(SETTINGS, epochs=1, dynamic=0.1)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Watch())
    result, after = training.result(), training.model.parameters()
    learner = settings.model(corpus.vocabulary.size)
    learner.set_parameters(training.run.checkpoint("best")[0])
    pair = list(zip(*pairs(corpus.test)))
    total = sum(learner.clipped_sgd_step(x, y, 0.1, settings.clip)[0] for x, y in pair)
    expected = math.exp(total / sum(len(y) for _, y in pair))
    assert result["dynamic_perplexity"] == pytest.approx(expected, rel=1e-6)
    for name, value in training.run.checkpoint("best")[0].items():
        np.testing.assert_array_equal(after[name], value)


def test_a_run_stopped_in_its_first_epoch_can_be_judged(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus)
    training.run_epochs(StopAfter(3))
    result = training.result()
    assert result["epochs"] == 0 and math.isfinite(result["test_perplexity"])


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_best(
    tmp_path, corpus, monkeypatch
):
    training = new_training(tmp_path / "run", corpus)
    step, calls = Step.__call__, []

    def diverges(self, *arguments, **others):
        calls.append(arguments)
        if len(calls) == 50:
            self.model.shared["W"].set_value(np.full((5, 5), np.nan, "float32"))
        return step(self, *arguments, **others)

    monkeypatch.setattr(Step, "__call__", diverges)
    with pytest.raises(RNNError, match=r"epoch 2, step 10.*--learning-rate"):
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
    for name, split in (("valid", corpus.valid), ("test", corpus.test)):
        loss = training.model.calculate_loss(*pairs(split))
        assert result[f"{name}_perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    kneser_ney = fit_kneser_ney(corpus.train, corpus.valid, size)
    expected = {
        "kneser_ney_perplexity": kneser_ney.perplexity(corpus.test),
        "kneser_ney_order": kneser_ney.order,
        "unigram_perplexity": baselines.unigram_perplexity(corpus.train, corpus.test, size),
        "bigram_perplexity": baselines.bigram_perplexity(
            corpus.train, corpus.valid, corpus.test, size
        ),
        "oov_rate": corpus.oov_rate,
        "epochs": 2,
        "vocab_size": size,
    }
    assert {name: result[name] for name in expected} == expected
    assert "dynamic_perplexity" not in result
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
    monkeypatch.setattr(training, "_loss", lambda sequences: math.nan)
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
        ({"hidden_size": 2.5}, "hidden_size"),
        ({"cell": "rnn"}, "the cells are tanh, sigmoid, relu, gru, lstm"),
        ({"layers": 0}, "layers must be"),
        ({"dropout": 1.0}, "dropout must be a number from 0 to below 1"),
        ({"bias": 1}, "bias must be True or False"),
        ({"tied": True, "cell": "gru"}, "tied needs V = U'.*set embedding_size=100"),
        ({"tied": True, "embedding_size": 5}, "tied needs V = L'"),
        ({"embedding_size": 0}, "embedding_size must be"),
        ({"initialization": "zeros"}, "use uniform, uniform:R, glorot"),
        ({"optimizer": "adamw"}, "use sgd, momentum, nesterov, adagrad, rmsprop or adam"),
        ({"clip_by": "size"}, "use norm or value"),
        ({"batch_size": 0}, "batch size"),
        ({"decay_after": 0}, "decay after"),
        ({"patience": 0}, "patience"),
        ({"l2": -1}, "l2"),
        ({"omega": -1}, "omega"),
        ({"omega": 1, "cell": "lstm"}, "omega is for the cells tanh, sigmoid and relu"),
        ({"omega": 1, "truncation": "window:4"}, "omega needs truncation full or chunk:K"),
        ({"dynamic": 0}, "dynamic"),
        ({"stream": True}, "give truncation chunk:K"),
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


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_settings(name):
    settings = Settings(**RECIPES[name])
    assert Settings.from_dict(json.loads(json.dumps(vars(settings))), "here") == settings


def test_settings_of_an_older_run_have_the_defaults_for_what_they_do_not_name():
    assert Settings.from_dict({"hidden_size": 3}, "here") == Settings(hidden_size=3)
