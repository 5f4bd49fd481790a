"""Epochs, the schedule of the learning rate, stopping and going on, and what is left behind."""

import contextlib
import dataclasses
import errno
import functools
import json
import math
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import first, function_in_python
from trainings import left_behind, new_training

from theano_rnn import RNN
from theano_rnn.baselines import bigram
from theano_rnn.baselines.bigram import unigram_perplexity
from theano_rnn.baselines.kneser_ney import fit_kneser_ney
from theano_rnn.common import files
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.engine import building, theano
from theano_rnn.flow import Flow, watched
from theano_rnn.model import cuts
from theano_rnn.model.truncation import parse
from theano_rnn.optim.optimizers import OPTIMIZERS
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.dynamic import adapted, root_mean_squares
from theano_rnn.text import batches
from theano_rnn.text.corpus import build_corpus, count_tokens, pairs
from theano_rnn.training import adaptive, build, evaluation
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.evaluation import perplexity
from theano_rnn.training.load import load
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings

SETTINGS = Settings(hidden_size=5, learning_rate=0.1, epochs=2, seed=3)
#: Batches, dropout, an optimizer with a state; and a stream with a state of two parts a layer.
BATCHES = dataclasses.replace(
    SETTINGS, batch_size=4, dropout=0.5, optimizer="adam", learning_rate=0.01, clip=0.0
)
VALUES = dataclasses.replace(BATCHES, optimizer="nesterov", clip=0.5, clip_by="value")
STREAM = dataclasses.replace(
    SETTINGS, cell="lstm", layers=2, stream=True, truncation="chunk:7", batch_size=3,
    optimizer="momentum", learning_rate=0.1,
)  # fmt: skip
#: Cuts at random, of sentences and of a stream; and K chosen, likewise.
ARTBP = dataclasses.replace(BATCHES, truncation="artbp:3:4")
ARTBP_STREAM = dataclasses.replace(STREAM, truncation="artbp:7")
ADAPTIVE = dataclasses.replace(SETTINGS, truncation="adaptive:0.2")
ADAPTIVE_STREAM = dataclasses.replace(STREAM, truncation="adaptive:0.5")
#: A projection, and what is added to the gradient and to the update.
PENALIZED = dataclasses.replace(
    STREAM, tied=True, embedding_size=3, ar=2.0, tar=1.0, weight_decay=0.01
)
MODELS, STEPS = {}, {}
QUICK = {"MODELS": {}, "STEPS": {}}


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    """Trainings of one network share the compiled functions, each from its own first values.

    So two trainings cannot go on side by side; what one has reached is in its run.
    """
    make_model, make_step = build.build_model, build.build_step

    def model(settings, vocab_size, **changes):
        fresh = make_model(settings, vocab_size, **changes)
        shared = MODELS.setdefault((repr(fresh), *changes), fresh)
        shared.set_parameters(fresh.parameters())
        return shared

    def step(settings, model):
        key = model, settings.optimizer, settings.clip_by, settings.l2, settings.omega
        key += (settings.weight_decay, settings.ar, settings.tar)
        key += (settings.truncation, settings.stream)
        shared = STEPS.setdefault(key, make_step(settings, model))
        shared.set_state({name: np.zeros_like(value) for name, value in shared.state().items()})
        return shared

    monkeypatch.setattr(build, "build_model", model)
    monkeypatch.setattr(build, "build_step", step)


@pytest.fixture
def quickly_compiled(monkeypatch):
    """Compiled as ``function_in_python`` does, and not shared with those that are C."""
    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)
    for name, shared in QUICK.items():
        monkeypatch.setitem(globals(), name, shared)


@pytest.fixture(scope="module")
def corpus():
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    sentences = [" ".join(random.choice(words, size=random.integers(1, 8))) for _ in range(60)]
    return build_corpus(sentences[:40], sentences[40:50], sentences[50:])


class StopAfter(Callback):
    """Stops after so many steps in all."""

    def __init__(self, steps):
        self.steps = steps

    def step(self, state, loss, norm, tokens):
        self.steps -= 1
        self.stop = self.steps == 0


class Recorder(Callback):
    def __init__(self):
        self.steps, self.epochs = [], []

    def step(self, state, loss, norm, tokens):
        self.steps.append((loss, norm, tokens))

    def epoch(self, record):
        self.epochs.append(record)


def test_training_lowers_the_loss_and_reports_what_it_did(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
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
    training, seen = new_training(tmp_path / "run", corpus, SETTINGS), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Callback())
    first, second = seen[:40], seen[40:]
    assert sorted(first) == sorted(second) == sorted(zip(*map(_tuples, pairs(corpus.train))))
    assert first != second


def test_the_steps_that_compile_do_not_count_as_training(tmp_path, corpus, monkeypatch):
    training, seen = (
        new_training(tmp_path / "run", corpus, dataclasses.replace(SETTINGS, epochs=1)),
        [],
    )
    now = [0.0]

    class Compiling(FakeStep):
        """Each takes a second; the first one and the tenth compile a function before, for 100."""

        compiled = 0

        def __call__(self, *args, **kwargs):
            if len(seen) in (0, 9):
                self.compiled += 1
                with building():
                    now[0] += 100
            now[0] += 1
            return super().__call__(*args, **kwargs)

    monkeypatch.setattr(training, "step", Compiling(seen))
    monkeypatch.setattr("theano_rnn.training.loop.time.perf_counter", lambda: now[0])
    training.run_epochs(Callback())
    assert training.run.metrics()[0]["seconds"] == len(seen)


class FakeStep:
    """Records what it is given, and changes nothing."""

    compiled = 1
    scheme = None

    def __init__(self, seen):
        self.seen = seen

    def __call__(self, x, y, learning_rate, clip, *, mask, state, random):
        if mask is None and np.ndim(x) == 1:
            self.seen.append((tuple(x), tuple(y)))
        else:
            self.seen.append((x, y, mask, state, random and random.random()))
        return 1.0, 1.0, None if np.ndim(x) == 1 else np.full((x.shape[1], 2), len(self.seen))

    def state(self):
        return {}


def test_every_sentence_is_in_one_batch_an_epoch_in_other_company(tmp_path, corpus, monkeypatch):
    training, seen = new_training(tmp_path / "run", corpus, BATCHES), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Callback())
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
    training.run_epochs(Callback())
    n = len(seen) // 2
    for epoch in (seen[:n], seen[n:]):
        assert epoch[0][3] is None
        states = [state.max() for _, _, _, state, _ in epoch[1:]]
        assert states == list(range(states[0], states[0] + n - 1))
    x = np.concatenate([x for x, *_ in seen[:n]])  # (T, B)
    text = np.concatenate(pairs(corpus.train)[0])
    assert (x.T.ravel() == text[: x.size]).all() and len(text) - x.size < 3


def test_rows_of_a_stream_begin_at_zero_now_and_then_if_asked_for(tmp_path, corpus, monkeypatch):
    settings = dataclasses.replace(STREAM, state_reset=0.4, epochs=4)
    training, seen = new_training(tmp_path / "run", corpus, settings), []
    monkeypatch.setattr(training, "step", FakeStep(seen))
    training.run_epochs(Callback())
    carried = np.concatenate([state.max(axis=1) for *_, state, _ in seen if state is not None])
    assert 0.3 < (carried == 0).mean() < 0.5  # of some 200


def _tuples(sequences):
    return [tuple(sequence) for sequence in sequences]


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss(tmp_path, corpus):
    settings = Settings(hidden_size=5, learning_rate=0.3, epochs=8, clip=5.0)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
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
    settings = Settings(hidden_size=5, learning_rate=0.1, epochs=5, min_improvement=improvement)
    training = new_training(tmp_path / "run", corpus, settings)
    losses = iter([5.0, 4.99, 4.995, 4.5, 4.0])
    monkeypatch.setattr(evaluation, "text_loss", lambda *_: next(losses))
    training.run_epochs(Callback())
    assert [record["learning_rate"] for record in training.run.metrics()] == rates


@pytest.mark.parametrize(
    ("settings", "stops"),
    [
        (SETTINGS, (1, 40, 41)),  # within an epoch, at its end, within the next
        (BATCHES, (15,)),
        (dataclasses.replace(STREAM, state_reset=0.3), (5,)),
        (dataclasses.replace(BATCHES, schedule="cosine", warmup=0.2), (3, 15)),
        pytest.param(VALUES, (4,), marks=pytest.mark.slow),
        pytest.param(BATCHES, (3,), marks=pytest.mark.slow),
        pytest.param(STREAM, (18,), marks=pytest.mark.slow),
        (ADAPTIVE, (15,)),
        pytest.param(ADAPTIVE_STREAM, (2,), marks=pytest.mark.slow),
        pytest.param(ARTBP, (15,), marks=pytest.mark.slow),
        pytest.param(ARTBP_STREAM, (5,), marks=pytest.mark.slow),
        pytest.param(PENALIZED, (5,), marks=pytest.mark.slow),
    ],
    ids="sentences batches stream cosine clipped-values batches-early stream-late adaptive "
    "adaptive-stream artbp artbp-stream penalized".split(),
)
def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(
    tmp_path, corpus, settings, stops
):
    training, watch = new_training(tmp_path / "whole", corpus, settings), Recorder()
    training.run_epochs(watch)
    whole = left_behind(training.run)
    assert len(watch.epochs) == 2 and len(watch.steps) > max(stops)
    for steps in stops:
        halted = new_training(tmp_path / f"halted{steps}", corpus, settings)
        halted.run_epochs(StopAfter(steps))
        assert halted.state.epoch < 2 and left_behind(halted.run) != whole
        resumed = Training(settings, halted.run, corpus, resume=True)
        resumed.run_epochs(Callback())
        assert left_behind(resumed.run) == whole


def test_a_stream_under_artbp_is_cut_anew_in_each_epoch_at_steps_that_the_seed_draws(
    tmp_path, corpus
):
    training = new_training(tmp_path / "run", corpus, ARTBP_STREAM)
    examples, state = training.examples, training.state
    pieces = [(x, y) for x, y, _ in examples.of_epoch(state)]
    assert examples.count(state) == len(pieces)
    lengths = [len(x) for x, _ in pieces]
    assert sum(lengths) == examples.stream.steps and len(set(lengths)) > 1
    for whole, part in zip(*[[np.concatenate([xy[n] for xy in s]) for n in (0, 1)]
                             for s in (examples.stream, pieces)]):  # fmt: skip
        np.testing.assert_array_equal(whole, part)
    truncation = parse(ARTBP_STREAM.truncation)
    random = np.random.default_rng([3, 0, 0, 2])
    cut = cuts.draw(truncation, (examples.stream.steps, 1), random)
    assert np.cumsum(lengths)[:-1].tolist() == np.flatnonzero(cut).tolist()
    # Within a piece nothing is cut.
    assert not examples.drawn(pieces[0][0], state)["cuts"].any()
    state.epoch = 1
    assert [len(x) for x, _, _ in examples.of_epoch(state)] != lengths


@pytest.mark.parametrize(
    "settings", [ADAPTIVE, pytest.param(ADAPTIVE_STREAM, marks=pytest.mark.slow)]
)
def test_adaptive_truncation_chooses_K_before_each_epoch_and_writes_its_bias(
    tmp_path, corpus, settings
):
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
    for record in training.run.metrics():
        assert 1 <= record["K"] < adaptive.LONGEST
        assert 0 < record["relative_bias"] < float(settings.truncation.partition(":")[2])
        assert 0 < record["relative_bias_error"] < 0.1
    # Of the parameters before the epoch: those of the first are the initial ones.
    again = new_training(tmp_path / "again", corpus, settings)
    x, _, _ = next(again.examples.of_epoch(again.state))
    assert training.run.metrics()[0]["K"] == again.state.K
    if settings.stream:
        assert len(x) == again.state.K


class Interrupted(Callback):
    """A Ctrl-C where an epoch is evaluated, or after; and the speed is tried before."""

    def __init__(self, where):
        self.where = where

    def started(self, training):
        assert training.tokens_per_second(seconds=0.01) > 0

    def evaluating(self, training):
        if self.where == "evaluating" and training.state.epoch == 1:
            raise KeyboardInterrupt

    def epoch(self, record):
        if self.where == "epoch":
            raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["evaluating", "epoch"])
def test_a_run_interrupted_in_an_evaluation_resumes_there(tmp_path, corpus, where):
    whole = new_training(tmp_path / "whole", corpus, STREAM)
    whole.run_epochs(Callback())
    halted = new_training(tmp_path / "halted", corpus, STREAM)
    with pytest.raises(KeyboardInterrupt):
        halted.run_epochs(Interrupted(where))
    assert halted.state.epoch == 1
    assert halted.state.step == (
        halted.examples.count(halted.state) if where == "evaluating" else 0
    )
    resumed = Training(STREAM, halted.run, corpus, resume=True)
    resumed.run_epochs(Callback())
    assert left_behind(resumed.run) == left_behind(whole.run)


class Compiling:
    """A step of a tenth of a second, which compiles for ten now and then."""

    def __init__(self):
        self.now, self.calls, self.compiled = 0.0, 0, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        compiles = self.calls in (1, 3)
        self.compiled += compiles
        self.now += 10.0 if compiles else 0.1
        return 1.0, 1.0, None

    def state(self):
        return {}

    def set_state(self, values):
        pass


def test_steps_that_compile_say_nothing_about_the_speed(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    step = training.step = Compiling()
    clock = SimpleNamespace(perf_counter=lambda: step.now)
    monkeypatch.setattr("theano_rnn.training.loop.time", clock)
    tokens = [len(y) for _, y, _ in training.examples.of_epoch(training.state)][:5]
    assert training.tokens_per_second(seconds=0.25) == pytest.approx(
        (tokens[1] + tokens[3] + tokens[4]) / 0.3
    )
    assert step.calls == 5


def test_trying_the_speed_changes_nothing(tmp_path, corpus):
    for number, settings in enumerate((SETTINGS, BATCHES, STREAM, ADAPTIVE)):
        training = new_training(tmp_path / str(number), corpus, settings)
        before = {name: value.copy() for name, value in training._arrays().items()}
        assert training.tokens_per_second(seconds=0.01) > 0
        assert training.state.step == training.state.tokens == 0
        assert before.keys() == training._arrays().keys()
        for name, value in training._arrays().items():
            np.testing.assert_array_equal(value, before[name])


#: What is fed in a step of a training with dropout.
FED = {
    "sentences": {},
    "batches": {"batch_size": 4},
    "stream": {"stream": True, "truncation": "chunk:4", "batch_size": 3},
}


def ends_the_same_stopped(folder, corpus, settings, stops):
    """Stopped within epochs, gone on with by the folder alone as in a new process, to the end."""
    training = new_training(folder / "whole", corpus, settings)
    training.run_epochs(Callback())
    whole = left_behind(training.run)
    assert training.state.epoch == settings.epochs
    halted = new_training(folder / "halted", corpus, settings)
    for steps in stops:
        halted.run_epochs(StopAfter(steps))
        reached = vars(halted.state)
        assert reached["step"] > 0 and reached["epoch"] < settings.epochs
        halted = Training(settings, Run.open(folder / "halted"), corpus, resume=True)
        assert vars(halted.state) == reached
    halted.run_epochs(Callback())
    assert left_behind(halted.run) == whole


@pytest.mark.parametrize("optimizer", first(2, OPTIMIZERS))
@pytest.mark.parametrize("fed", ["sentences", "stream"])
def test_whatever_the_optimizer_a_stopped_run_ends_as_one_that_was_not(
    tmp_path, corpus, quickly_compiled, fed, optimizer
):
    few = dataclasses.replace(corpus, train=corpus.train[:8], valid=corpus.valid[:4])
    settings = Settings(
        hidden_size=4, epochs=2, lr_decay_after=1, dropout=0.4, optimizer=optimizer,
        learning_rate=0.01, **FED[fed],
    )  # fmt: skip
    n = 8 if fed == "sentences" else len(build.build_stream(settings, few))
    ends_the_same_stopped(tmp_path, few, settings, [2, n - 1])


#: Dropout without masks of the states; and of every kind.
WEIGHTS = {"weight_drop": 0.4, "dropout_recurrent": 0.3}
EVERY_KIND = {
    **WEIGHTS, "dropout": 0.4, "layers": 2, "variational": True, "dropout_output": 0.2,
    "dropout_input": 0.3, "dropout_embedding": 0.2, "embedding_size": 3,
}  # fmt: skip


def test_a_stopped_run_draws_the_masks_that_it_would_have_drawn(
    tmp_path, corpus, quickly_compiled
):
    few = dataclasses.replace(corpus, train=corpus.train[:4], valid=corpus.valid[:2])
    ends_the_same_stopped(tmp_path, few, Settings(hidden_size=4, epochs=2, **WEIGHTS), [2])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["tanh", "lstm"])
@pytest.mark.parametrize("fed", FED)
def test_a_stopped_run_with_every_kind_of_dropout_ends_as_one_that_was_not(
    tmp_path, corpus, fed, cell
):
    settings = Settings(cell=cell, hidden_size=4, epochs=2, **EVERY_KIND, **FED[fed])
    ends_the_same_stopped(tmp_path, corpus, settings, [3, 9])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("fed", FED)
def test_every_training_in_compiled_loops_ends_as_one_that_was_not_stopped(
    tmp_path, corpus, fed, optimizer
):
    settings = Settings(
        cell="lstm", hidden_size=4, epochs=2, dropout=0.4, optimizer=optimizer,
        learning_rate=0.01, clip=0.5, **FED[fed],
    )  # fmt: skip
    ends_the_same_stopped(tmp_path, corpus, settings, [3, 9])


@pytest.mark.parametrize(
    "cell", first(1, ["lstm", "sigmoid", "relu", "gru", "gru_after", "mingru"])
)
def test_each_cell_is_trained_gone_on_with_and_sampled(tmp_path, corpus, cell):
    # tanh: above
    settings = dataclasses.replace(SETTINGS, cell=cell, batch_size=4, learning_rate=0.5)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run.save_vocabulary(corpus.vocabulary)
    training.run_epochs(StopAfter(3))
    resumed = Training(settings, training.run, corpus, resume=True)
    resumed.run_epochs(Callback())
    first, second = (record["valid_loss"] for record in resumed.run.metrics())
    assert second < first
    sentences = generate(*load(training.run.folder), count=3)
    assert len(sentences) == 3 and len(set(sentences)) > 1


@pytest.mark.parametrize(
    ("begun", "gone_on"), [("adam", "rmsprop"), ("adam", "sgd"), ("sgd", "momentum")]
)
def test_the_state_of_another_optimizer_is_refused(tmp_path, corpus, begun, gone_on):
    training = new_training(
        tmp_path / "run", corpus, dataclasses.replace(BATCHES, optimizer=begun)
    )
    training._save_last()
    other = dataclasses.replace(BATCHES, optimizer=gone_on)
    with pytest.raises(RNNError, match=f"the state of its optimizer .* is not that of {gone_on}"):
        Training(other, training.run, corpus, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 2}, "state has shape"),
        ({"stream": False, "truncation": "full"}, "stream.state"),
        ({"layers": 1}, "U2, W2 unknown"),
    ],
)
def test_a_stream_is_not_gone_on_with_as_something_else(tmp_path, corpus, change, message):
    training = new_training(tmp_path / "run", corpus, STREAM)
    training._carried = training.model.zero_state(3)
    training._save_last()
    with pytest.raises(RNNError, match=f"does not fit.*{message}"):
        Training(dataclasses.replace(STREAM, **change), training.run, corpus, resume=True)


def test_a_checkpoint_of_another_version_is_refused_in_words(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run.save_checkpoint("last", training.model.parameters(), {"sentence": 3})
    with pytest.raises(RNNError, match="of another version of this program; start a new run"):
        Training(SETTINGS, training.run, corpus, resume=True)


def test_a_training_computes_in_as_many_threads_as_it_is_told(tmp_path, corpus, monkeypatch):
    used, timed = [], []

    class Choice:
        def __init__(self, use, most):
            use(most)

        def step(self, tokens, seconds):
            timed.append(tokens)

    monkeypatch.setattr("theano_rnn.training.loop.engine.use_threads", used.append)
    monkeypatch.setattr("theano_rnn.training.loop.engine.most_threads", lambda: 2)
    monkeypatch.setattr("theano_rnn.training.loop.ThreadChoice", Choice)
    new_training(tmp_path / "two", corpus, dataclasses.replace(SETTINGS, threads=2))
    assert used == [2]
    chooses = dataclasses.replace(SETTINGS, threads=0, epochs=1)
    training = new_training(tmp_path / "chosen", corpus, chooses)
    training.run_epochs(StopAfter(5))
    assert used[-1] == 2 and len(timed) in (4, 5)  # but the one that compiled, if one did


def test_a_stream_shorter_than_its_rows_is_refused(tmp_path, corpus):
    settings = dataclasses.replace(STREAM, batch_size=1000)
    with pytest.raises(RNNError, match="fewer than the 1000 rows of a batch"):
        Training(settings, Run.create(tmp_path / "run"), corpus)


def test_a_stream_is_judged_with_its_state_carried_and_sentences_alone(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, STREAM)
    x, y = (np.concatenate(s) for s in pairs(corpus.valid))
    expected = training.model.ce_error(x, y) / len(y)
    found = evaluation.text_loss(training.model, corpus.valid, is_stream=True)
    assert found == pytest.approx(expected, rel=1e-5)
    alone = new_training(tmp_path / "alone", corpus, SETTINGS)
    expected = alone.model.calculate_loss(*pairs(corpus.valid))
    found = evaluation.text_loss(alone.model, corpus.valid, is_stream=False)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_stream_is_validated_in_rows_after_an_epoch_and_judged_as_one_text(
    tmp_path, corpus, monkeypatch
):
    monkeypatch.setattr(evaluation, "LEAST", count_tokens(corpus.valid) // 3)
    settings = dataclasses.replace(STREAM, epochs=1)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
    in_rows, as_one = (evaluation.stream_loss(training.model, corpus.valid, n) for n in (3, 1))
    assert training.run.metrics()[0]["valid_loss"] == in_rows != as_one
    assert training.result()["valid_perplexity"] == perplexity(as_one)


@pytest.mark.parametrize("clip", [0, None])
def test_without_a_clip_nothing_is_clipped(tmp_path, corpus, clip):
    settings = dataclasses.replace(SETTINGS, epochs=1, clip=clip)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
    (free,), parameters = training.run.metrics(), training.model.parameters()
    assert free["clipped"] == 0 and free["gradient_norm"] > 0
    huge = new_training(tmp_path / "huge", corpus, dataclasses.replace(settings, clip=1e6))
    huge.run_epochs(Callback())
    for name, value in huge.model.parameters().items():
        np.testing.assert_array_equal(parameters[name], value)


def test_the_share_of_clipped_steps_is_told_with_the_norm_before(tmp_path, corpus):
    watch, settings = Recorder(), dataclasses.replace(SETTINGS, epochs=1, clip=2.0)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(watch)
    norms = np.array([norm for _, norm, _ in watch.steps])
    assert 0 < np.mean(norms > 2.0) < 1 and norms.max() > 2.5
    assert watch.epochs[0]["clipped"] == np.mean(norms > 2.0)


def test_of_clipped_values_no_share_is_told(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, dataclasses.replace(VALUES, epochs=1))
    training.run_epochs(Callback())
    assert training.run.metrics()[0]["clipped"] is None


def scheduled(folder, corpus, monkeypatch, losses, **changes):
    """A run of steps that do nothing, with these validation losses."""
    training = new_training(folder, corpus, dataclasses.replace(SETTINGS, **changes))
    monkeypatch.setattr(training, "step", FakeStep([]))
    losses = iter(losses)
    monkeypatch.setattr(evaluation, "text_loss", lambda *_: next(losses))
    training.run_epochs(Callback())
    return training


def test_the_rate_is_kept_for_n_epochs_and_then_falls_every_epoch(tmp_path, corpus, monkeypatch):
    losses = [5.0, 6.0, 4.0, 3.0]
    training = scheduled(tmp_path / "run", corpus, monkeypatch, losses, epochs=4, lr_decay_after=2)
    rates = [record["learning_rate"] for record in training.run.metrics()]
    assert rates == [0.1, 0.1, 0.05, 0.025]


def test_a_run_ends_when_its_patience_does_and_is_not_gone_on_with(tmp_path, corpus, monkeypatch):
    losses = [5.0, 4.0, 4.5, 3.9, 4.1, 3.9, 1.0]  # as low as the lowest is not lower
    training = scheduled(tmp_path / "run", corpus, monkeypatch, losses, epochs=9, patience=2)
    assert training.end == "patience"
    assert (training.state.epoch, training.state.best_epoch) == (6, 4)
    assert training.run.checkpoint("best")[1]["epoch"] == 4
    training.run.save_result({"epochs": 6})
    settings = dataclasses.replace(training.settings, epochs=20)
    with pytest.raises(RNNError, match=r"2 epochs without a new lowest.*--patience"):
        Training(settings, training.run, corpus, resume=True)


def test_dynamic_evaluation_is_a_loop_of_clipped_steps_on_a_copy(tmp_path, corpus):
    settings = dataclasses.replace(BATCHES, epochs=1, dynamic=0.1, clip=1.5)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
    # Where the training stands need not be the best.
    training.model.set_parameters({n: p / 2 for n, p in training.model.parameters().items()})
    before = training.model.parameters(), training.step.state()
    result = training.result()
    for arrays, after in zip(before, (training.model.parameters(), training.step.state())):
        for name, value in arrays.items():
            np.testing.assert_array_equal(after[name], value)
    learner = RNN(corpus.vocabulary.size, 5)  # plain sgd, without dropout
    learner.set_parameters(parameters(training.run.checkpoint("best")[0]))
    X, Y = pairs(corpus.test)
    steps = [learner.clipped_sgd_step(x, y, 0.1, 1.5) for x, y in zip(X, Y)]
    assert any(norm > 1.5 for _, norm in steps)
    expected = math.exp(sum(loss for loss, _ in steps) / sum(len(y) for y in Y))
    assert result["dynamic_perplexity"] == pytest.approx(expected, rel=1e-5)
    assert result["dynamic_perplexity"] != pytest.approx(result["test_perplexity"], rel=1e-4)


@pytest.mark.parametrize("settings", first(1, [BATCHES, STREAM]))
def test_rms_scaled_dynamic_evaluation_learns_from_the_test_text_and_is_told_apart(
    tmp_path, corpus, settings, monkeypatch
):
    monkeypatch.setattr("theano_rnn.optim.dynamic.compile_function", function_in_python)
    settings = dataclasses.replace(settings, epochs=1, dynamic_rms=1e-4)
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(Callback())
    before = training.model.parameters()
    result = training.result()
    for name, value in training.model.parameters().items():
        np.testing.assert_array_equal(value, before[name])
    assert result["dynamic_rms_perplexity"] < result["test_perplexity"]
    assert "dynamic_perplexity" not in result
    if settings.stream:
        return
    values = parameters(training.run.checkpoint("best")[0])
    values = {name: value.astype("float64") for name, value in values.items()}
    naive, start = NumpyRNN(values), values
    size = 500 * len(corpus.train) // count_tokens(corpus.train)
    observed = []
    for group in batches.buckets(corpus.train, size, settings.seed):
        x, y, mask = batches.batch([corpus.train[n] for n in group])
        observed.append({name: g / mask.sum() for name, g in naive.bptt(x, y, mask).items()})
    rms, total = root_mean_squares(observed), 0.0
    for x, y in zip(*pairs(corpus.test)):
        naive.set_parameters(values)
        total += naive.ce_error(x, y)
        gradients = naive.bptt(x, y)
        values = adapted(values, start, rms, gradients, len(y), 1e-4, 0.002 / 5, 2e-5)
    expected = math.exp(total / count_tokens(corpus.test))
    assert result["dynamic_rms_perplexity"] == pytest.approx(expected, rel=1e-5)


def test_without_a_test_text_the_result_is_of_the_validation_text_and_says_so(tmp_path, corpus):
    in_two = dataclasses.replace(
        corpus, test=corpus.valid, sizes={name: corpus.sizes["valid"] for name in corpus.sizes},
        has_test=False,
    )  # fmt: skip
    results = []
    for number, text in enumerate((corpus, in_two)):
        training = new_training(tmp_path / str(number), text, SETTINGS)
        training.run_epochs(StopAfter(3))
        results.append(training.result())
    of_three, of_two = results
    assert (of_three["judged_on"], of_two["judged_on"]) == ("test", "valid")
    assert not any(name.startswith("test") for name in of_two)
    assert of_two["valid_perplexity"] == pytest.approx(of_three["valid_perplexity"])
    assert of_two["unigram_perplexity"] == pytest.approx(
        unigram_perplexity(corpus.train, corpus.valid, corpus.vocabulary.size)
    )


def test_a_run_stopped_in_its_first_epoch_can_be_judged(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(3))
    result = training.result()
    assert result["epochs"] == 0 and math.isfinite(result["test_perplexity"])


def test_a_gradient_that_is_not_finite_stops_the_run_and_keeps_the_best(
    tmp_path, corpus, monkeypatch
):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    step, calls = Step.__call__, []

    def diverges(self, *arguments, **others):
        calls.append(arguments)
        if len(calls) == 50:
            self.model.shared["W"].set_value(np.full((5, 5), np.nan, "float32"))
        return step(self, *arguments, **others)

    monkeypatch.setattr(Step, "__call__", diverges)
    with pytest.raises(RNNError, match=r"epoch 2, step 10.*--learning-rate"):
        training.run_epochs(Callback())
    for name in ("best", "last"):
        parameters, state = training.run.checkpoint(name)
        assert all(np.isfinite(value).all() for value in parameters.values())
        assert state["epoch"] == 1


def test_a_state_that_is_not_finite_is_not_saved(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus, BATCHES)
    training.run_epochs(StopAfter(3))

    def overflows(self, *arguments, **others):
        square = self.optimizer.state["W.square"]
        square.set_value(np.full_like(square.get_value(), np.inf))
        raise NotFinite("as a step says")

    monkeypatch.setattr(Step, "__call__", overflows)
    with pytest.raises(RNNError, match=r"is not finite in epoch 1, step 4.*or a --clip, or"):
        training.run_epochs(Callback())
    assert Training(BATCHES, training.run, corpus, resume=True).state.step == 3


def test_a_finite_gradient_whose_norm_overflows_is_named_as_that(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus, BATCHES)

    def overflows(self, *arguments, **others):
        raise NotFinite("as a step says")

    huge = {"W": np.full((2, 2), 1e25, "float32")}
    monkeypatch.setattr(Step, "__call__", overflows)
    monkeypatch.setattr(type(training.model), "bptt", lambda self, x, y, mask: huge)
    said = r"the gradient is finite, but its norm, 2e\+25, overflows float32: it is not finite in "
    with pytest.raises(RNNError, match=said + "epoch 1, step 1"):
        training.run_epochs(Callback())


#: Trainings whose learning rate is too large: they explode within an epoch.
EXPLODES = {
    "tanh": {"learning_rate": 3e38, "clip": None},
    "relu": {"cell": "relu", "learning_rate": 100.0, "clip": None},
    "lstm": {"cell": "lstm", "learning_rate": 1e30, "clip": None},
}


class Arrays(Callback):
    """What a training has reached after each step that it took."""

    def __init__(self, training):
        self.training, self.reached = training, [training._arrays()]

    def step(self, state, loss, norm, tokens):
        self.reached.append(self.training._arrays())


def is_finite(arrays):
    return all(np.isfinite(value).all() for value in arrays.values())


def bits(arrays):
    return {name: value.tobytes() for name, value in arrays.items()}


@pytest.mark.parametrize("cell", first(1, EXPLODES))
def test_a_rate_that_explodes_stops_with_the_step_the_parameter_and_the_sentence(
    tmp_path, corpus, cell
):
    settings = dataclasses.replace(SETTINGS, **EXPLODES[cell], checkpoint_every="1")
    training = new_training(tmp_path / "run", corpus, settings)
    watch = Arrays(training)
    with pytest.raises(RNNError) as stopped:
        training.run_epochs(watch)
    words = str(stopped.value)
    found = re.search(
        r"not finite in epoch 1, step (\d+), and the step was not taken\. Parameter (\w+), of norm"
        r" (\S+), has (.*)\. It read: '(.+)'; the last good checkpoint is of epoch 1, step (\d+)"
        r"\. Try a smaller --learning-rate than .* a --clip, or --on-nonfinite skip or restore$",
        words,
    )
    step, name, norm, why, text, good = found.groups()
    # The step after those that were taken, and it changed nothing.
    assert int(step) == len(watch.reached) == training.state.step + 1
    assert bits(training._arrays()) == bits(watch.reached[-1])
    # A parameter whose gradient is not finite, or else the largest, with its norm.
    order = np.random.default_rng([settings.seed, 0]).permutation(len(corpus.train))
    sentence = corpus.train[order[int(step) - 1]]
    at_fault = training.model.parameters()
    norms = {n: np.linalg.norm(p.astype("float64")) for n, p in at_fault.items()}
    gradients = training.model.bptt(sentence[:-1], sentence[1:])
    bad = [n for n, g in gradients.items() if not np.isfinite(g).all()]
    assert why == ("such a gradient" if bad else "the largest norm")
    assert name in (bad or [max(norms, key=norms.get)]) and norm == f"{norms[name]:.3g}"
    assert text == " ".join(corpus.vocabulary.tokens[token] for token in sentence[:-1][:12])
    # The last checkpoint whose parameters are numbers, as it says, and no other.
    last = max(n for n, arrays in enumerate(watch.reached) if is_finite(arrays))
    kept, state, refused = training.run.last()
    assert int(good) == state["step"] == last >= 1 and refused == []
    assert bits(kept) == bits(watch.reached[last])


def test_what_explodes_before_there_is_a_checkpoint_says_so(tmp_path, corpus):
    settings = dataclasses.replace(SETTINGS, **{**EXPLODES["relu"], "clip": 1e30})
    with pytest.raises(
        RNNError, match=r"there is no checkpoint yet\. .* 100 or --clip than 1e\+30"
    ):
        new_training(tmp_path / "run", corpus, settings).run_epochs(Callback())


@pytest.mark.parametrize("cell", first(1, EXPLODES))
def test_steps_that_cannot_be_taken_are_skipped_and_counted(tmp_path, corpus, cell):
    settings = dataclasses.replace(SETTINGS, **EXPLODES[cell], on_nonfinite="skip", epochs=1)
    training = new_training(tmp_path / "run", corpus, settings)
    watch = Arrays(training)
    with contextlib.suppress(RNNError):  # the validation loss may be no number
        training.run_epochs(watch)
    (record,) = training.run.metrics() or [vars(training.state)]
    taken = len(watch.reached) - 1
    assert record["skipped"] == len(corpus.train) - taken > 0 < taken
    assert bits(training._arrays()) == bits(watch.reached[-1])


@pytest.mark.parametrize("cell", EXPLODES)
def test_what_explodes_is_restored_and_goes_on_at_a_lower_rate(tmp_path, corpus, cell):
    settings = dataclasses.replace(
        SETTINGS,
        **EXPLODES[cell],
        on_nonfinite="restore",
        lr_decay=1e-39,
        lr_decay_after=9,
        epochs=1,
    )  # no checkpoint is due within the epoch: it goes back to the first parameters
    training = new_training(tmp_path / "run", corpus, settings)
    watch = Arrays(training)
    training.run_epochs(watch)
    (record,) = training.run.metrics()
    skipped, rate = record["skipped"], record["learning_rate"]
    assert skipped == len(corpus.train) - (len(watch.reached) - 1)
    assert skipped == 1 and rate == settings.learning_rate * settings.lr_decay < 1
    assert record["valid_loss"] < 3 and is_finite(training._arrays())


def test_an_epoch_without_a_step_is_an_error(tmp_path, corpus, monkeypatch):
    settings = dataclasses.replace(SETTINGS, on_nonfinite="skip")

    def never(self, *arguments, **others):
        raise NotFinite("as a step says")

    with monkeypatch.context() as patch:
        patch.setattr(Step, "__call__", never)
        with pytest.raises(RNNError, match="no step of epoch 1 could be taken"):
            new_training(tmp_path / "run", corpus, settings).run_epochs(Callback())
    run = Run.open(tmp_path / "run")  # resumed, it takes the steps of the epoch again
    training = Training(settings, run, corpus, resume=True)
    training.run_epochs(Callback())
    assert [record["skipped"] for record in run.metrics()] == [0] * settings.epochs


def test_a_run_whose_checkpoints_are_gone_does_not_begin_again(tmp_path, corpus):
    new_training(tmp_path / "run", corpus, SETTINGS).run_epochs(Callback())
    for path in (tmp_path / "run").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(RNNError, match="are gone, though it has trained; start a new run"):
        Training(SETTINGS, Run.open(tmp_path / "run"), corpus, resume=True)


def test_the_last_checkpoint_is_restored_and_the_rate_lowered(tmp_path, corpus, monkeypatch):
    settings = dataclasses.replace(BATCHES, on_nonfinite="restore", checkpoint_every="3", clip=1.0)
    training = new_training(tmp_path / "run", corpus, settings)
    step, seen = Step.__call__, []

    def fails_once(self, *arguments, **others):
        seen.append(training._arrays())
        if len(seen) == 6:  # two steps after the checkpoint of the third
            raise NotFinite("as a step says")
        return step(self, *arguments, **others)

    monkeypatch.setattr(Step, "__call__", fails_once)
    training.run_epochs(StopAfter(7))
    for name, value in seen[3].items():  # what the fourth step began with
        np.testing.assert_array_equal(seen[6][name], value)
    assert training.state.skipped == 1
    assert training.state.learning_rate == settings.learning_rate * settings.lr_decay


def test_a_stream_that_is_restored_between_two_epochs_begins_at_the_zero_state(
    tmp_path, corpus, monkeypatch
):
    settings = dataclasses.replace(STREAM, on_nonfinite="restore")
    training = new_training(tmp_path / "run", corpus, settings)
    step, states = Step.__call__, []

    def fails_once(self, *arguments, state, **others):
        states.append(state)
        if len(states) == 3:  # no checkpoint has been written since the epoch began
            raise NotFinite("as a step says")
        return step(self, *arguments, state=state, **others)

    monkeypatch.setattr(Step, "__call__", fails_once)
    training.run_epochs(StopAfter(5))
    assert [state is None for state in states[:5]] == [True, False, False, True, False]


def test_checkpoints_within_the_epoch_come_every_so_many_steps(tmp_path, corpus, monkeypatch):
    settings = dataclasses.replace(SETTINGS, checkpoint_every="15", epochs=1)
    training = new_training(tmp_path / "run", corpus, settings)
    saved, save = [], Run.save_last
    monkeypatch.setattr(
        Run, "save_last", lambda run, a, state: (saved.append(state["step"]), save(run, a, state))
    )
    training.run_epochs(Callback())
    assert saved == [15, 30, 0, 0]  # and at the end of the epoch, and of the training


@pytest.mark.parametrize("settings", [SETTINGS, BATCHES, STREAM], ids=["one", "batch", "stream"])
def test_a_training_that_goes_on_from_within_an_epoch_ends_as_one_that_was_whole(
    tmp_path, corpus, settings, monkeypatch
):
    settings = dataclasses.replace(settings, checkpoint_every="4")
    training = new_training(tmp_path / "whole", corpus, settings)
    training.run_epochs(Callback())
    halted = new_training(tmp_path / "halted", corpus, settings)

    class Killed(Callback):
        def step(self, state, loss, norm, tokens):
            if state.step == 7:  # and there is no time to save
                monkeypatch.setattr(Run, "save_last", lambda *arguments: None)
                raise SystemExit

    save = Run.save_last
    with pytest.raises(SystemExit):
        halted.run_epochs(Killed())
    monkeypatch.setattr(Run, "save_last", save)
    assert halted.run.last()[1]["step"] == 4
    resumed = Training(settings, halted.run, corpus, resume=True)
    resumed.run_epochs(Callback())
    assert left_behind(resumed.run) == left_behind(training.run)


@pytest.mark.parametrize("kept", [True, False], ids=["a checkpoint", "no checkpoint"])
def test_ctrl_c_within_a_step_saves_no_step_that_is_not_counted_where_there_is_a_checkpoint(
    tmp_path, corpus, quickly_compiled, monkeypatch, kept
):
    """Before the first one it saves what there is, and takes that step again."""
    settings = dataclasses.replace(SETTINGS, optimizer="adam", checkpoint_every="2")
    few = dataclasses.replace(corpus, train=corpus.train[:8], valid=corpus.valid[:4])
    training = new_training(tmp_path / "whole", few, settings)
    training.run_epochs(Callback())
    halted, at = new_training(tmp_path / "halted", few, settings), 5 if kept else 1
    take, taken = Step.__call__, []

    def interrupted(*arguments, **named):
        found = take(*arguments, **named)
        taken.append(found)
        if len(taken) == at:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Step, "__call__", interrupted)
        halted.run_epochs(Callback())
    assert halted.run.has_last and (halted.run.folder / "best.safetensors").exists()
    resumed = Training(settings, halted.run, few, resume=True)
    resumed.run_epochs(Callback())
    if kept:
        assert left_behind(resumed.run) == left_behind(training.run)


@pytest.mark.parametrize(
    ("names", "step"),
    [
        (["next"], 4),  # within the epoch
        (["best", "next"], None),  # at its end
        (["best"], None),
        (["metrics"], None),
        (["next"], None),
    ],
)
def test_a_run_whose_disk_was_full_is_gone_on_with_to_the_same_end(
    tmp_path, corpus, monkeypatch, names, step
):
    settings = dataclasses.replace(BATCHES, checkpoint_every="4")
    training = new_training(tmp_path / "whole", corpus, settings)
    training.run_epochs(Callback())
    halted = new_training(tmp_path / "halted", corpus, settings)

    def on_a_full_disk(write, path, data):
        is_due = step is None or halted.state.step == step
        if path.stem in names and (halted.run.folder / "metrics.jsonl").exists() and is_due:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    with monkeypatch.context() as full:
        for act in ("replace", "append"):
            full.setattr(files, act, functools.partial(on_a_full_disk, getattr(files, act)))
        with pytest.raises(RNNError, match=r"\.\w+ cannot be written: No space left on device$"):
            halted.run_epochs(Callback())
    resumed = Training(settings, Run.open(halted.run.folder), corpus, resume=True)
    assert resumed.refused == [] and len(resumed.run.metrics()) == resumed.state.epoch
    resumed.run_epochs(Callback())
    assert left_behind(resumed.run) == left_behind(training.run)


def test_a_run_killed_while_it_was_judged_is_judged(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(Callback())
    resumed = Training(SETTINGS, training.run, corpus, resume=True)
    resumed.run_epochs(Callback())
    result = resumed.result()
    assert result["epochs"] == 2 and len(training.run.metrics()) == 2
    with pytest.raises(RNNError, match="has ended after epoch 2"):
        Training(SETTINGS, training.run, corpus, resume=True)


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    resumed = Training(SETTINGS, training.run, corpus, resume=True)
    assert resumed.state.epoch == resumed.state.step == 0


def test_a_damaged_checkpoint_is_told_and_the_one_before_used(tmp_path, corpus):
    settings = dataclasses.replace(SETTINGS, checkpoint_every="5")
    training = new_training(tmp_path / "run", corpus, settings)
    training.run_epochs(StopAfter(8))  # saved after 5 and, on stopping, after 8
    (training.run.folder / "last.safetensors").write_bytes(b"torn")
    resumed = Training(settings, training.run, corpus, resume=True)
    assert resumed.state.step == 5
    (said,) = resumed.refused
    assert "last.safetensors is damaged" in said


def test_the_result_is_that_of_the_best_model_on_the_test_sentences(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(Callback())
    result = training.result()
    assert json.loads((training.run.folder / "result.json").read_text()) == result
    parameters, _ = training.run.checkpoint("best")
    training.model.set_parameters(parameters)
    size = corpus.vocabulary.size
    for name, split in (("valid", corpus.valid), ("test", corpus.test)):
        loss = training.model.calculate_loss(*pairs(split))
        assert result[f"{name}_perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
        size_of = corpus.sizes[name]
        total = math.log(result[f"{name}_perplexity"]) * count_tokens(split)
        by_word, bits = math.exp(total / size_of.words), total / math.log(2) / size_of.bytes
        assert result[f"{name}_word_perplexity"] == pytest.approx(by_word, rel=1e-9)
        assert result[f"{name}_bits_per_byte"] == pytest.approx(bits, rel=1e-9)
    for name in ("unigram", "bigram", "kneser_ney"):
        assert {f"{name}_word_perplexity", f"{name}_bits_per_byte"} <= result.keys()
    assert training.run.metrics()[-1]["valid_bits_per_byte"] > 0
    kneser_ney = fit_kneser_ney(corpus.train, corpus.valid, size)
    # Beside the network, the baselines on the same tokens.
    expected = {
        "kneser_ney_perplexity": kneser_ney.perplexity(corpus.test),
        "kneser_ney_order": kneser_ney.order,
        "unigram_perplexity": bigram.unigram_perplexity(corpus.train, corpus.test, size),
        "bigram_perplexity": bigram.bigram_perplexity(
            corpus.train, corpus.valid, corpus.test, size
        ),
        "oov_rate": corpus.oov_rate,
        "epochs": 2,
        "ended": "epochs",
        "vocab_size": size,
    }
    assert {name: result[name] for name in expected} == expected
    assert "dynamic_perplexity" not in result
    assert result["tokens_per_second"] > 0 and result["seconds_to_first_step"] > 0
    assert len((training.run.folder / "samples.txt").read_text().splitlines()) == 20
    assert (training.run.folder / "loss.png").exists()


def test_resuming_with_a_checkpoint_of_other_sizes_is_refused(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(1))
    with pytest.raises(RNNError, match="does not fit"):
        Training(Settings(hidden_size=6), training.run, corpus, resume=True)


def test_a_run_that_has_its_epochs_is_not_gone_on_with(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(Callback())
    training.result()
    with pytest.raises(RNNError, match=r"has ended after epoch 2.*--epochs"):
        Training(SETTINGS, training.run, corpus, resume=True)


def test_a_run_is_not_gone_on_with_on_another_text_of_the_same_vocabulary(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(1))
    for split, name in (("train", "training"), ("valid", "validation"), ("test", "test")):
        other = dataclasses.replace(corpus, **{split: getattr(corpus, split)[::-1]})
        with pytest.raises(RNNError, match=f"the {name} text has changed"):
            Training(SETTINGS, training.run, other, resume=True)


def test_a_run_of_0_1_0_knows_its_training_text_alone_and_is_gone_on_with(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(1))
    arrays, state, _ = training.run.last()
    training.run.save_last(arrays, {n: v for n, v in state.items() if n not in ("valid", "test")})
    assert Training(SETTINGS, training.run, corpus, resume=True).state.step == 1


def test_a_run_is_not_gone_on_with_in_another_dtype(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(1))
    there, other = sorted(["float32", "float64"], key=lambda name: name != theano.config.floatX)
    said = pytest.raises(RNNError, match=f"of {there}.*floatX is {other}.*=floatX={there}")
    with theano.config.change_flags(floatX=other), said:
        Training(SETTINGS, training.run, corpus, resume=True)


def test_a_record_without_its_checkpoint_is_forgotten_when_resumed(tmp_path, corpus):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(StopAfter(41))
    training.run.append_metrics({"epoch": 2, "valid_loss": 0.0})  # killed before the checkpoint
    Training(SETTINGS, training.run, corpus, resume=True).run_epochs(Callback())
    assert [record["epoch"] for record in training.run.metrics()] == [1, 2]
    assert training.run.metrics()[1]["valid_loss"] > 0


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path, corpus, monkeypatch):
    training = new_training(tmp_path / "run", corpus, SETTINGS)
    monkeypatch.setattr(evaluation, "text_loss", lambda *_: math.nan)
    with pytest.raises(RNNError, match=r"validation loss is nan.*--learning-rate"):
        training.run_epochs(Callback())
    assert training.run.metrics() == []


def test_a_huge_loss_has_a_perplexity_that_json_can_write():
    assert perplexity(5000.0) == perplexity(709.0) == pytest.approx(3.02e307, rel=0.01)
    assert perplexity(math.log(8.0)) == pytest.approx(8.0)


def test_a_watched_run_says_after_each_epoch_how_far_the_error_reaches(corpus, tmp_path):
    class Watching(Callback):
        def metrics(self, training):
            return watched(training.model, training.corpus.valid)

    training = new_training(tmp_path / "run", corpus, SETTINGS)
    training.run_epochs(Watching())
    last = training.run.metrics()[-1]
    assert last.items() >= watched(training.model, corpus.valid).items()
    W = training.model.parameters()["W"]
    assert abs(last["sigma_max"] - np.linalg.svd(W, compute_uv=False)[0]) < 1e-6
    assert abs(last["spectral_radius"] - abs(np.linalg.eigvals(W)).max()) < 1e-6
    longest = sorted(corpus.valid, key=len, reverse=True)[:5]
    flows = [Flow(training.model, s[:-1], s[1:]) for s in longest]
    assert abs(last["omega"] - np.mean([flow.omega() for flow in flows])) < 1e-12
    assert abs(last["live_steps"] - np.mean([flow.live_steps() for flow in flows])) < 1e-12
    assert last["live_steps"] > 1


def test_a_watched_net_that_overflows_has_no_figures_and_goes_on():
    model = RNN(9, 3, cell="relu")
    model.set_parameters({n: np.full(p.shape, 1e38) for n, p in model.parameters().items()})
    found = watched(model, [np.arange(9)])
    assert found["omega"] is None and found["live_steps"] is None
    assert found["sigma_max"] == pytest.approx(3e38)
