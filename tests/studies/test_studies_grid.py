"""A grid stands for all combinations of its settings, whatever a trial is."""

import pytest

from theano_rnn import RNNError
from theano_rnn.studies import grid


def pairs(given, needed=()):
    return grid.expand(given, lambda a, b=0: (a, b), ["a", "b"], needed)


def test_blocks_stand_for_all_combinations_once():
    assert pairs([{"a": [1, 2], "b": [3, 4]}, {"a": 1, "b": 3}, {"a": 5}]) == [
        (1, 3), (1, 4), (2, 3), (2, 4), (5, 0),
    ]  # fmt: skip
    assert pairs({"a": 1}) == [(1, 0)]


@pytest.mark.parametrize(
    "given, said",
    [
        ([], "the grid is empty; give at least one a"),
        ([{"a": 1}, {"b": 1}], "block 2 of the grid: a missing; every block needs a"),
        ([{"a": 1, "c": 1}], "block 1 of the grid: c unknown; the settings are a, b"),
        ([3], "block 1 of the grid: 3 is not an object"),
        ([{"a": list(range(400)), "b": list(range(400))}], "more than 100,000 trials"),
    ],
)
def test_a_bad_grid_is_refused(given, said):
    with pytest.raises(RNNError, match=said):
        pairs(given, needed=["a"])
