"""A training with minutes: when it ends, what it validates, and what a resumed run has left."""

import contextlib
import dataclasses
import math

import pytest

from theano_rnn import engine
from theano_rnn.common.errors import RNNError
from theano_rnn.text.corpus import build_corpus
from theano_rnn.training import defaults, evaluation
from theano_rnn.training.budget import Budget
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import EPOCHS, MANY_EPOCHS, Settings
from theano_rnn.training.state import State

#: Seconds of the first step, which compiles, of the others, and of a validation.
COMPILING, STEP, VALIDATION = 7.0, 1.0, 5.0
#: An epoch has 20 steps.
SETTINGS = Settings(hidden_size=2, minutes=1, checkpoint_every="3")


@pytest.fixture(scope="module")
def corpus():
    sentences = ["the cat sat", "a dog ran home"] * 20
    return build_corpus(sentences[:20], sentences[20:30], sentences[30:])


class TimedStep:
    """A step that changes nothing, and takes the time on a clock of its own."""

    scheme = None

    def __init__(self, now):
        self.now, self.compiled, self.taken = now, 0, 0
        self.first = 0.0  # seconds of the first step beside its compiling

    def __call__(self, x, y, learning_rate, clip, *, mask, state, random):
        with contextlib.nullcontext() if self.compiled else engine.building():
            self.now[0] += STEP if self.compiled else COMPILING
        self.now[0] += 0 if self.compiled else self.first
        self.compiled = 1
        self.taken += 1
        return 1.0, 1.0, None

    def state(self):
        return {}

    def set_state(self, values):
        assert not values


@pytest.fixture
def timed(monkeypatch, corpus):
    """Make trainings whose time passes in steps and validations alone."""
    now, losses = [0.0], iter(range(100, 0, -1))

    def validated(*_):
        now[0] += VALIDATION
        return float(next(losses))

    monkeypatch.setattr(evaluation, "text_loss", validated)
    monkeypatch.setattr("theano_rnn.training.loop.time.perf_counter", lambda: now[0])

    def training(folder, settings=SETTINGS, resume=False):
        made = Training(settings, Run(folder) if resume else Run.create(folder), corpus, resume)
        monkeypatch.setattr(made, "step", TimedStep(now))
        return made

    training.now = now
    return training


def test_no_epoch_begins_without_the_time_for_a_step_and_its_validation(timed, tmp_path):
    training = timed(tmp_path / "run")
    training.run_epochs(Callback())
    assert training.end == "minutes" and training.state.epoch == 2
    assert training.state.elapsed == timed.now[0] == (7 + 19 + 5) + (20 + 5)


def test_the_seconds_of_an_epoch_are_those_of_its_steps_the_first_one_without_compiling(
    timed, tmp_path
):
    training = timed(tmp_path / "run")
    training.step.first = STEP
    training.run_epochs(Callback())
    assert training.run.metrics()[0]["seconds"] == 20 * STEP


def test_an_epoch_is_cut_short_where_the_time_for_its_validation_begins(timed, tmp_path):
    training = timed(tmp_path / "run", dataclasses.replace(SETTINGS, minutes=1.25))
    training.run_epochs(Callback())
    assert training.step.taken == 20 + 20 + 14 and timed.now[0] == 75
    assert [r["epoch"] for r in training.run.metrics()] == [1, 2, 3]
    assert training.run.metrics()[2]["tokens"] < training.run.metrics()[1]["tokens"]
    state = training.run.checkpoint("best")[1]
    assert state["best_epoch"] == state["epoch"] == 3  # the losses fall


def test_a_search_does_not_count_compiling_as_others_find_what_the_first_compiled(timed, tmp_path):
    class NotCompiling(Killed):
        def started(self, training):
            training.budget = dataclasses.replace(training.budget, compiling=False)

    settings = dataclasses.replace(SETTINGS, minutes=(19 + 5 + 20 + 5) / 60)
    with pytest.raises(SystemExit):
        timed(tmp_path / "run", settings).run_epochs(NotCompiling(30))
    assert timed.now[0] == 7 + 19 + 5 + 10
    resumed = timed(tmp_path / "run", settings, resume=True)
    resumed.run_epochs(NotCompiling(1000))  # it compiles again
    assert resumed.end == "minutes" and timed.now[0] == (7 + 19 + 5 + 10) + (7 + 9 + 5)
    assert resumed.state.epoch == 2 and resumed.state.elapsed == pytest.approx(19 + 5 + 19 + 5)


def test_an_epoch_that_was_cut_short_is_the_last_though_its_validation_was_quick(
    timed, tmp_path, monkeypatch
):
    class Quick(Callback):
        def epoch(self, record):
            if record["epoch"] == 2:
                training.state.validation = 3 * VALIDATION  # as if a compiler had run

    training = timed(tmp_path / "run", dataclasses.replace(SETTINGS, minutes=1.25))
    training.run_epochs(Quick())
    assert training.state.epoch == 3 and timed.now[0] == 75 - 2 * VALIDATION
    assert training.end == "minutes"
    longer = timed(tmp_path / "run", dataclasses.replace(SETTINGS, minutes=1.5), resume=True)
    assert longer.end is None


def test_the_next_validation_is_expected_to_compile_nothing(timed, tmp_path, monkeypatch):
    validated, calls = evaluation.text_loss, []

    def compiles(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            with engine.building():
                timed.now[0] += COMPILING
        return validated(*arguments)

    monkeypatch.setattr(evaluation, "text_loss", compiles)
    training = timed(tmp_path / "run")
    training.run_epochs(Callback())
    assert training.state.validation == VALIDATION
    # Steps fill what the minutes leave beside a validation, and no compiling.
    assert training.state.epoch == 2 and timed.now[0] == 60


def test_minutes_that_are_over_between_two_epochs_end_the_training(timed, tmp_path):
    class Slow(Callback):
        def epoch(self, record):
            timed.now[0] += 1000  # a long sample

    training = timed(tmp_path / "run")
    training.run_epochs(Slow())
    assert training.end == "minutes" and training.state.epoch == 1
    assert [r["epoch"] for r in training.run.metrics()] == [1]


class Killed(Callback):
    def __init__(self, steps):
        self.steps = steps

    def step(self, state, loss, norm, tokens):
        self.steps -= 1
        if not self.steps:
            raise SystemExit


def test_a_resumed_run_has_the_minutes_that_are_left_and_ends_with_them(timed, tmp_path):
    with pytest.raises(SystemExit):
        timed(tmp_path / "run").run_epochs(Killed(30))
    used = Run(tmp_path / "run").last()[1]["elapsed"]
    assert used == timed.now[0] == 7 + 19 + 5 + 10
    timed.now[0] = 1000.0  # another day
    resumed = timed(tmp_path / "run", resume=True)
    resumed.run_epochs(Callback())
    assert timed.now[0] - 1000 == 60 - used and resumed.end == "minutes"
    resumed.run.save_result({"epochs": resumed.state.epoch})
    with pytest.raises(RNNError, match=r"its 1 minutes are over; pass more --minutes"):
        timed(tmp_path / "run", resume=True)
    longer = timed(tmp_path / "run", dataclasses.replace(SETTINGS, minutes=2), resume=True)
    longer.run_epochs(Callback())
    assert longer.state.elapsed == 60 + (7 + 19 + 5) + (20 + 5)


def test_a_run_stopped_in_its_last_validation_validates_when_resumed(timed, tmp_path):
    class Interrupted(Callback):
        def evaluating(self, training):
            if training.state.epoch == 2:
                raise KeyboardInterrupt

    settings = dataclasses.replace(SETTINGS, minutes=1.25)
    with pytest.raises(KeyboardInterrupt):
        timed(tmp_path / "run", settings).run_epochs(Interrupted())
    resumed = timed(tmp_path / "run", settings, resume=True)
    resumed.run_epochs(Callback())
    assert resumed.step.taken == 0 and resumed.state.epoch == 3


@pytest.mark.parametrize("minutes", [1e-9, 0.1])
def test_minutes_that_allow_no_step_are_an_error_that_says_so(timed, tmp_path, minutes):
    class Compiles(Callback):
        """Compiles before the first step."""

        def started(self, training):
            timed.now[0] += COMPILING

    settings = dataclasses.replace(SETTINGS, minutes=minutes)
    for number, callback in enumerate((Callback(), Compiles())):
        training = timed(tmp_path / str(number), settings)
        with pytest.raises(RNNError, match=r"minutes are over before.* 7\.0 seconds; give more"):
            training.run_epochs(callback)
        assert training.step.taken == 1 - number


def test_epochs_and_minutes_end_a_training_whichever_come_first(timed, tmp_path):
    training = timed(tmp_path / "run", dataclasses.replace(SETTINGS, epochs=1))
    training.run_epochs(Callback())
    assert training.end == "epochs" and training.state.epoch == 1


def test_minutes_bring_as_many_epochs_as_they_allow_unless_epochs_are_given():
    assert (Settings().epochs, Settings(minutes=1).epochs) == (EPOCHS, MANY_EPOCHS)
    assert Settings(minutes=1, epochs=3).epochs == 3
    settings = Settings(text="a.txt", minutes=1)
    chosen = defaults.fitting(settings, {"text", "minutes"}, tokens=10_000)
    assert chosen["cell"] == "lstm" and not {"epochs", "patience"} & chosen.keys()


def test_the_share_that_is_done_is_of_the_epochs_or_of_the_minutes_since_the_first_step():
    budget, state = Budget(4, None, train=1000, valid=300), State(epoch=1, tokens=500)
    assert budget.share(state) == 1.5 / 4 and budget.seconds_left(state) == math.inf
    budget = Budget(4, 10.0, train=1000, valid=300)
    assert budget.share(state) == 1.5 / 4  # no step has been taken
    state = State(epoch=1, tokens=500, begun=100.0, elapsed=400.0, validation=50.0)
    assert budget.share(state) == 300 / 450 and budget.seconds_left(state) == 150
    state.elapsed = 700.0
    assert budget.share(state) == 1 and budget.is_used(state)
    # A first validation is expected to take a third of the steps' time for a token.
    state = State(tokens=500, seconds=10.0, elapsed=20.0, begun=5.0)
    assert budget.seconds_left(state) == pytest.approx(600 - 20 - 300 * 10 / 500 / 3)
