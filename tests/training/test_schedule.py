"""The learning rate of each epoch and of each step, under each schedule."""

import dataclasses
import math

import numpy as np
import pytest

from theano_rnn.text.corpus import build_corpus, count_tokens
from theano_rnn.training import evaluation, schedule
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.schedule import next_rate
from theano_rnn.training.settings import ENDING, SCHEDULES, Settings

SETTINGS = Settings(hidden_size=2, learning_rate=0.4, epochs=5)


@pytest.mark.parametrize(
    ("changes", "epoch", "loss", "best", "rate"),
    [
        ({}, 1, 9.0, math.inf, 0.8),
        ({}, 2, 4.94, 5.0, 0.8),
        ({}, 2, 4.96, 5.0, 0.4),  # hardly a fall
        ({}, 2, 5.01, 5.0, 0.4),
        ({"min_improvement": 0.0}, 2, 4.999, 5.0, 0.8),
        ({"min_improvement": 0.0}, 2, 5.0, 5.0, 0.8),
        ({"min_improvement": 0.0}, 2, 5.001, 5.0, 0.4),
        ({"lr_decay": 0.25}, 2, 5.001, 5.0, 0.2),
        ({"lr_decay": 1.0}, 2, 5.001, 5.0, 0.8),
        ({"lr_decay_after": 3}, 2, 6.0, 5.0, 0.8),  # whatever the loss
        ({"lr_decay_after": 3}, 3, 4.0, 5.0, 0.4),
        ({"lr_decay_after": 3}, 7, 4.0, 5.0, 0.4),
        ({"lr_decay_after": 3, "schedule": "epochs"}, 3, 4.0, 5.0, 0.4),
        ({"schedule": "plateau"}, 2, 4.96, 5.0, 0.4),
        ({"schedule": "cosine"}, 2, 5.01, 5.0, 0.8),
        ({"schedule": "trapezoid"}, 2, 5.01, 5.0, 0.8),
        ({"schedule": "constant"}, 2, 5.01, 5.0, 0.8),
    ],
)
def test_the_next_learning_rate(changes, epoch, loss, best, rate):
    settings = Settings(learning_rate=1.0, **changes)
    assert next_rate(settings, epoch, 0.8, loss, best) == pytest.approx(rate)


@pytest.fixture
def rates(monkeypatch, tmp_path):
    """What the steps of a training are given, that learns nothing."""
    sentences = ["the cat sat", "a dog ran home", "a cat"] * 8
    corpus = build_corpus(sentences[:12], sentences[12:18], sentences[18:])

    def of(**changes):
        training = Training(
            dataclasses.replace(SETTINGS, **changes), Run.create(tmp_path / "run"), corpus
        )
        given = []

        def step(x, y, learning_rate, clip, *, mask, state, random):
            given.append((learning_rate, len(y)))
            return 1.0, 1.0, None

        step.compiled, step.scheme, step.state = 1, None, dict
        monkeypatch.setattr(training, "step", step)
        monkeypatch.setattr(evaluation, "text_loss", lambda *_: 1.0)
        training.run_epochs(Callback())
        rates, tokens = map(np.array, zip(*given))
        records = [record["learning_rate"] for record in training.run.metrics()]
        assert records == rates[11::12].tolist()  # of the last step
        share = (np.cumsum(tokens) - tokens) / (5 * count_tokens(corpus.train))
        return rates, share

    return of


def test_a_constant_rate_stays(rates):
    assert set(rates(schedule="constant")[0]) == {0.4}


def test_a_cosine_begins_at_the_rate_and_ends_near_0(rates):
    found, share = rates(schedule="cosine")
    np.testing.assert_allclose(found, 0.2 * (1 + np.cos(np.pi * share)), rtol=1e-12)
    assert found[0] == 0.4 and 0 < found[-1] < 1e-3


def test_after_a_warm_up_the_cosine_falls_in_the_rest_to_what_is_left(rates):
    found, share = rates(schedule="cosine", warmup=0.25, lr_end=0.1)
    up = share < 0.25
    np.testing.assert_allclose(found[up][1:], 0.4 * share[up][1:] / 0.25, rtol=1e-12)
    assert 0 < found[0] < 1e-6  # a step needs a rate
    t = (share[~up] - 0.25) / 0.75
    np.testing.assert_allclose(
        found[~up], 0.4 * (0.1 + 0.45 * (1 + np.cos(np.pi * t))), rtol=1e-12
    )
    assert found.max() == found[~up][0] and found[-1] == pytest.approx(0.04, rel=0.1)


def test_a_trapezoid_stays_and_falls_in_a_line_in_the_last_fifth(rates):
    found, share = rates(schedule="trapezoid", warmup=0.1, lr_end=0.1)
    np.testing.assert_allclose(found[share < 0.1][1:], 4 * share[share < 0.1][1:], rtol=1e-12)
    np.testing.assert_allclose(found[(share >= 0.1) & (share <= 0.8)], 0.4, rtol=1e-12)
    last = share > 0.8
    expected = 0.4 * (0.1 + 0.9 * (1 - share[last]) / 0.2)
    np.testing.assert_allclose(found[last], expected, rtol=1e-12)


def test_plateau_with_a_warm_up_halves_the_rate_from_then_on(rates):
    found, share = rates(warmup=0.1)
    assert set(found[share >= 0.2]) == {0.4, 0.2, 0.1, 0.05}  # the loss never falls


@pytest.mark.parametrize(
    ("changes", "share", "factor"),
    [
        ({}, 0.99, 1),
        ({"minutes": 1}, 0.8, 1),
        ({"minutes": 1}, 0.9, 0.5),
        ({"minutes": 1, "lr_end": 0.2}, 0.9, 0.6),
        ({"minutes": 1}, 1.0, schedule.LEAST),
        ({"minutes": 1, "schedule": "constant"}, 0.99, 1),
        ({"minutes": 1, "lr_decay_after": 3}, 0.99, 1),
        ({"schedule": "cosine"}, 1 / 3, 0.75),
        ({"schedule": "cosine"}, 1.0, schedule.LEAST),
        ({"schedule": "trapezoid"}, 0.8, 1),
        ({"schedule": "trapezoid", "lr_end": 0.2}, 0.9, 0.6),
        ({"schedule": "trapezoid"}, 1.0, schedule.LEAST),
        ({"minutes": 1, "warmup": 0.1}, 0.05, 0.5),
    ],
)
def test_the_factor_of_a_step(changes, share, factor):
    assert schedule.factor(Settings(**changes), share) == pytest.approx(factor)


def test_where_the_warm_up_leaves_less_than_a_fifth_the_rate_falls_in_all_of_it():
    settings = Settings(schedule="trapezoid", warmup=0.9, epochs=3)
    factors = [schedule.factor(settings, share) for share in (0.45, 0.9, 0.95, 1.0)]
    assert factors == pytest.approx([0.5, 1.0, 0.5, 0.0], abs=2e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_leaves_a_rate_above_0_and_none_above_the_given_one(name):
    after = {"lr_decay_after": 2} if name == "epochs" else {}
    settings = Settings(schedule=name, minutes=1, warmup=0.1, **after)
    found = [schedule.factor(settings, share) for share in np.linspace(0, 1, 101)]
    assert all(0 < each <= 1 for each in found) and max(found) == 1
    assert math.isclose(found[-1], schedule.LEAST) == (name in ("plateau", *ENDING))
