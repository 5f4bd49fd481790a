"""Today's figures beside kept ones: what is told, and what is no such file."""

import copy

import pytest

from theano_rnn.benchmark import kept
from theano_rnn.commands import benchmark
from theano_rnn.common.errors import RNNError

THEN = {
    "machine": {"operations_a_second": 1e11},
    "settings": {"rounds": 3},
    "steps": [{"workload": "char", "threads": 1, "ours": {"ms": {"median": 2.0}}, "stock": {}}],
    "peers": [{"workload": "char", "cell": "gru", "programs": {"ours": {"ms": {"median": 4.0}}}}],
    "options": [{"option": "adam", "ms": {"median": 8.0}}],
    "padding": [{"batch_size": 16, "padding": 0.1}],
}


def test_of_each_step_of_ours_the_median_is_compared():
    assert dict(kept.figures(THEN)) == {
        "steps char 1": 2.0, "peers char gru": 4.0, "options adam": 8.0,
    }  # fmt: skip
    now = copy.deepcopy(THEN)
    assert kept.changes(THEN, now) == []
    now["options"][0]["ms"]["median"] = 10.0
    now["steps"][0]["ours"]["ms"]["median"] = 1.0
    assert kept.changes(THEN, now) == [("options adam", 8, 10, 1.25), ("steps char 1", 2, 1, 0.5)]


@pytest.mark.parametrize(("times", "is_told"), [(1.09, False), (1.11, True)])
def test_a_loss_of_a_tenth_is_told(times, is_told):
    now = copy.deepcopy(THEN)
    now["options"][0]["ms"]["median"] = 8 * times
    assert bool(kept.changes(THEN, now)) == is_told


def test_on_a_processor_twice_as_fast_the_same_time_is_a_loss():
    now = copy.deepcopy(THEN)
    now["machine"]["operations_a_second"] = 2e11
    assert {change.times for change in kept.changes(THEN, now)} == {2.0}


@pytest.mark.parametrize("then", [{}, {"machine": {}}, {"machine": {"operations_a_second": 1}}])
def test_what_is_no_result_is_refused(then):
    with pytest.raises(RNNError, match=r"make it again|no step of these sections"):
        kept.changes(then, THEN)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3"])
def test_a_file_that_is_no_result_is_refused_before_anything_is_measured(tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(RNNError, match="is no result of benchmark --json"):
        benchmark.kept_result(str(path))
    with pytest.raises(RNNError, match="No such file"):
        benchmark.kept_result(str(tmp_path / "none"))


@pytest.mark.parametrize("median", [0, -1, "x", None, float("nan"), float("inf")])
def test_a_result_has_times_above_zero(median):
    bad = copy.deepcopy(THEN)
    bad["options"][0]["ms"]["median"] = median
    assert kept.is_result(THEN) and not kept.is_result(bad)
    bad = {**THEN, "machine": {"operations_a_second": median}}
    assert not kept.is_result(bad)
