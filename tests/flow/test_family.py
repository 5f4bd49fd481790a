"""The label is right wherever the truth is known in closed form."""

import itertools

import numpy as np
import pytest
from conftest import ROOT
from flow import family
from flow.family import LABELS, UNKNOWN, cases, confusion, delayed, label, linear, lstm, mixed

from theano_rnn.flow.decay import left_by_lag
from theano_rnn.flow.labels import KEPT

#: One of each kind, whose networks are compared with their closed form.
SOME = [family.orthogonal(1.1), mixed(0.7, 0.5, 0.97), delayed(3, 0.8),
        family.delayed_mixture(5, 0.9, 0.5, 0.99)]  # fmt: skip
GATED = [family.gru(0.9), lstm(0.9, 0.4), family.lstm_of_two(0.6, 0.9)]


def curve(case, T):
    return np.array([case.curve(n) for n in range(case.first, T)])


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_the_networks_have_their_closed_form(case):
    left = left_by_lag(family.errors_of(case, 12), case.first)[case.first :]
    np.testing.assert_allclose(left, curve(case, 12), rtol=1e-9)


@pytest.mark.slow
def test_all_networks_have_their_closed_form():
    for case in [*itertools.chain(*cases().values()), *GATED]:
        left = left_by_lag(family.errors_of(case, 30), case.first)[case.first :]
        np.testing.assert_allclose(left, curve(case, 30), rtol=1e-7, err_msg=case.name)


@pytest.mark.slow
def test_a_growth_of_2_over_1000_steps_is_finite():
    left = left_by_lag(family.errors_of(linear(2.0), 1000))
    np.testing.assert_allclose(left, 2.0 ** np.arange(1000), rtol=1e-9)


def test_no_label_is_wrong_on_some_of_the_family():
    chosen = list(itertools.chain(*cases().values()))[::6]
    wrong = {(c, g) for c, g in confusion(chosen, (5, 15, 50)) if g not in (c, UNKNOWN)}
    assert not wrong


def test_what_shows_its_rate_has_a_label():
    for rate in (0.5, 0.9, 0.96, 0.999, 1.0, 1.001, 1.04, 1.1, 2.0):
        case = linear(rate)
        assert [label(case, T) for T in (20, 100)] == [case.truth(20), case.truth(100)]


def test_what_cannot_be_seen_is_not_said():
    for rate in (0.9, 0.99, 0.999, 1.0, 1.001, 1.1):
        assert label(linear(rate), 5) == UNKNOWN
    assert label(mixed(0.999, 0.5, 1.0), 5) == UNKNOWN  # it falls to 4.5 % and stays there
    assert label(delayed(40, 0.97), 50) == UNKNOWN
    assert label(delayed(40, 0.5), 20) == KEPT  # nothing of its fall is in the text


@pytest.mark.slow
def test_no_label_is_wrong_and_the_table_in_the_docs_is_what_is_printed():
    counts = confusion(itertools.chain(*cases().values()))
    assert not [(c, g) for c, g in counts if g not in (c, UNKNOWN)]
    assert all(counts[truth, truth] > counts[truth, UNKNOWN] / 2 for truth in LABELS[:-1])
    made = family.table(counts)
    print(made)
    assert made in (ROOT / "docs" / "gradient-flow.md").read_text(encoding="utf-8")
