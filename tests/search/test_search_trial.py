"""A trial is a training like any other, which others may end; its folder is a run folder."""

import dataclasses
import threading
import time

import pytest

import theano_rnn
from theano_rnn import RNNError
from theano_rnn.search import trial
from theano_rnn.search.study import Job
from theano_rnn.search.trial import Pruning, train_with, wait_until_free
from theano_rnn.training.run_folder import Run

VALUES = {"cell": "tanh", "hidden_size": 4, "epochs": 3, "patience": None, "batch_size": 8}


@pytest.fixture
def job(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The cat sat. A dog ran home. The dog saw a cat.\n" * 20)
    values = {**VALUES, "text": str(text), "threads": 1}
    return Job(3, str(tmp_path / "s"), values, list(values), {"hidden_size": 4})


def never():
    return False


@pytest.mark.slow
def test_a_trial_is_pruned_and_its_run_can_go_on(job):
    shares = []

    def is_worse(share, loss):
        shares.append(share)
        return share > 0.5

    pruned = train_with(job, Pruning(is_worse, never))
    assert shares == pytest.approx([1 / 3, 2 / 3])
    metrics = Run.open(job.run).metrics()
    losses = [record["valid_loss"] for record in metrics]
    assert pruned == {
        "ended": "pruned", "loss": min(losses), "epochs": 2,
        "seconds": sum(record["seconds"] for record in metrics),
    }  # fmt: skip
    assert not (job.run / "result.json").exists()  # the test text is left alone
    assert {path.stem for path in job.run.glob("*.safetensors")} == {"best", "last"}
    whole = train_with(job, Pruning(lambda *_: False, never))
    assert (whole["ended"], whole["epochs"]) == ("complete", 3)
    # One that has ended, and whose end nobody learned, is not trained again.
    assert train_with(job, Pruning(lambda *_: False, never)) == whole


@pytest.mark.slow
def test_a_trial_may_have_a_setting_that_has_no_effect_beside_the_others(job):
    values = {**job.values, "schedule": "cosine", "lr_decay": 0.3, "epochs": 1}
    idle = dataclasses.replace(job, values=values, given=list(values))
    assert train_with(idle, Pruning(lambda *_: False, never))["ended"] == "complete"


@pytest.mark.slow
def test_a_trial_that_nobody_waits_for_stops_and_goes_on_to_the_same_end(job, monkeypatch):
    monkeypatch.setattr(trial, "LOOK_EVERY", 0)
    asked = iter([False] * 5 + [True])
    stopped = train_with(job, Pruning(lambda *_: False, lambda: next(asked)))
    assert stopped["ended"] == "stopped"
    whole = train_with(job, Pruning(lambda *_: False, never))
    assert whole["ended"] == "complete"
    theano_rnn.train(run=job.run.parent / "alone", **job.values)
    alone = Run.open(job.run.parent / "alone").metrics()
    losses = [[record["valid_loss"] for record in metrics] for metrics in (
        alone, Run.open(job.run).metrics())]  # fmt: skip
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_compiling_does_not_use_up_the_minutes_of_a_trial(job):
    """``test_budget`` shows what that means."""
    budgets = []

    class Looking(Pruning):
        def epoch(self, record):
            budgets.append(self._training.budget)
            super().epoch(record)

    limited = Job(4, job.folder, {**job.values, "minutes": 30, "epochs": 1}, job.given, {})
    train_with(limited, Looking(lambda *_: False, never))
    assert [(budget.minutes, budget.compiling) for budget in budgets] == [(30, False)]


def test_settings_that_do_not_go_together_end_the_trial(job):
    bad = Job(0, job.folder, {**job.values, "omega": 1.0, "cell": "lstm"}, None, {})
    with pytest.raises(RNNError, match="omega"):
        train_with(bad, Pruning(lambda *_: False, never))
    assert not bad.run.exists()


def test_a_process_that_still_trains_there_is_waited_for(tmp_path, monkeypatch):
    wait_until_free(tmp_path / "none")
    run = Run.create(tmp_path / "run")
    begun, ended = threading.Event(), []

    def train():
        with run.locked():
            begun.set()
            time.sleep(0.3)
            ended.append(time.monotonic())

    threading.Thread(target=train).start()
    begun.wait()
    wait_until_free(run.folder)
    assert ended and time.monotonic() >= ended[0]
    with run.locked():
        monkeypatch.setattr(trial, "STOPPING", 0.2)
        wait_until_free(run.folder)  # not for ever
