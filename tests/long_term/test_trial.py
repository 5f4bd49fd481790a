"""A trial: its settings, how it learns, and how it ends."""

import json

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import tasks
from theano_rnn.long_term import trial as trials
from theano_rnn.long_term.trial import Trial


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"task": "adition"}, "task 'adition' is unknown"),
        ({"cell": "elman"}, "cell 'elman' is unknown; use tanh"),
        ({"cell": "gru", "remedy": "omega"}, "not gru"),
        (
            {"remedy": "clip+chrono"},
            "chrono is for the cells gru, gru_after, lstm, mingru, not tanh",
        ),
        ({"cell": "mingru", "remedy": "orthogonal"}, "the cell mingru has no W"),
        ({"length": 5}, "length must be a whole number of at least 10, not 5"),
        ({"seed": -1}, "seed"),
        ({"flossing": 0}, "flossing must be a whole number of at least 1, not 0"),
        ({"flossing": 51}, "flossing is 51, and the state of this tanh has 50 numbers"),
        ({"max_updates": 0}, "max_updates"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"max_seconds": "9"}, "max_seconds must be a positive, finite number, not '9'"),
    ],
)
def test_a_bad_setting_of_a_trial_is_refused(settings, said):
    with pytest.raises(RNNError) as refused:
        Trial(**{"task": "addition", "length": 10, **settings})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "settings, remedy, total",
    [
        ({"length": 100}, {"flossing": 50}, 160e6),
        ({"length": 10, "hidden_size": 1000}, {"remedy": "uoro"}, 500e6),
    ],
)
def test_what_a_remedy_keeps_counts_as_memory(monkeypatch, settings, remedy, total):
    monkeypatch.setattr("theano_rnn.common.memory.total", lambda: total)
    Trial("addition", **settings).check_memory()
    with pytest.raises(RNNError, match="this trial needs"):
        Trial("addition", **settings, **remedy).check_memory()


QUICK = {"task": "temporal_order", "length": 10, "hidden_size": 20, "max_updates": 4000}


@pytest.fixture(scope="module")
def solved():
    told = []
    record = trials.learn(Trial(**QUICK), lambda *figures: told.append(figures))
    return record, told


def test_plain_sgd_solves_temporal_order_at_length_10(solved):
    record, told = solved
    assert record["solved"] and record["ended"] == "solved" and record["error_rate"] < 0.01
    assert record["updates"] == told[-1][0] <= 4000 and record["updates"] % 500 == 0
    (_, _, first_loss, first_error, _), (_, _, last_loss, last_error, norm) = told[0], told[-1]
    assert last_loss < first_loss < 1.5 and last_error < 0.01 <= first_error and norm > 0
    assert {name: record[name] for name in QUICK} == QUICK


def test_flossing_comes_before_training_and_now_and_then_in_it(monkeypatch):
    monkeypatch.setattr(trials, "FLOSSES", 5)
    monkeypatch.setattr(trials, "FLOSS_EVERY", 3)
    trial, told = Trial("addition", 10, "lstm", hidden_size=4, flossing=2), []

    def floss(x, Q):
        assert x.shape[1:] == (20, 2) and abs(Q.T @ Q - np.eye(2)).max() < 1e-6
        told.append((Q.shape, Q.dtype))

    update = trials.flossed(
        lambda x, y: told.append("update"), floss, tasks.TASKS[trial.task], trial
    )
    for _ in range(5):
        update(None, None)
    flossing = ((8, 2), "float32")
    assert told == [flossing] * 5 + ["update"] * 3 + [flossing] + ["update"] * 2


@pytest.mark.slow
def test_rtrl_learns_as_backpropagation_does_and_uoro_does_not():
    losses = {}
    for remedy in ("clip", "clip+rtrl", "clip+uoro"):
        trial = Trial(**{**QUICK, "max_updates": 20}, remedy=remedy)
        trials.learn(trial, lambda *figures, remedy=remedy: losses.update({remedy: figures[2]}))
    assert losses["clip"] == losses["clip+rtrl"] != losses["clip+uoro"] < 2


@pytest.mark.slow
def test_a_seed_learns_the_same_again_however_often_it_is_tested(solved, monkeypatch):
    end = solved[0]["updates"]
    monkeypatch.setattr(trials, "SOLVED", 0)  # never
    losses = []
    for test_every in (end, end // 2):
        told = []
        trial = Trial(**{**QUICK, "max_updates": end, "test_every": test_every})
        record = trials.learn(trial, lambda *figures, told=told: told.append(figures))
        assert record["ended"] == "updates" and record["updates"] == end
        losses.append(np.mean([loss for _, _, loss, _, _ in told]))
    assert abs(losses[0] - losses[1]) < 1e-6


def test_a_loss_that_is_not_finite_ends_a_trial_unsolved():
    trial = Trial("addition", 10, "relu", "sgd", learning_rate=1e6, max_updates=2000)
    record = trials.learn(trial)
    assert record["ended"] == "not finite" and not record["solved"]
    assert record["updates"] < trial.test_every  # as many as there were
    assert record["error_rate"] is None
    json.dumps(record, allow_nan=False)


def test_seconds_and_the_watch_end_a_trial():
    long = {**QUICK, "max_updates": 10**9, "test_every": 1}
    assert trials.learn(Trial(**long, max_seconds=1e-9))["ended"] == "seconds"
    record = trials.learn(Trial(**long), lambda *_: True)
    assert record["ended"] == "stopped" and record["updates"] == 1


def test_a_test_looks_at_all_fresh_sequences_only_if_few_are_wrong():
    task, seen = tasks.TASKS["permutation"], []

    def answers(share):
        def answer(x):
            seen.append(x.shape[1])
            right = x[:1].copy()  # the first symbol, one-hot
            wrong = np.arange(right.shape[1]) < round(share * right.shape[1])
            right[:, wrong] = -right[:, wrong]
            return right

        return answer

    for share, count in ((0.0, 10_000), (0.01, 10_000), (0.02, 1000), (1.0, 1000)):
        seen.clear()
        assert trials.test(answers(share), task, np.random.default_rng(0), 10) == share
        assert sum(seen) == count


@pytest.mark.slow
@pytest.mark.parametrize("cell, remedy", [("tanh", "clip+omega"), ("tanh", "clip+orthogonal")])
def test_remedies_learn_where_plain_sgd_does_not(cell, remedy):
    at_50 = {"task": "temporal_order", "length": 50, "max_updates": 40_000}
    assert not trials.learn(Trial(**at_50))["solved"]
    assert trials.learn(Trial(**at_50, cell=cell, remedy=remedy))["solved"]
