"""A grid of settings stands for all combinations of them."""

import json

import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import grid
from theano_rnn.long_term.trial import Trial

GRID = [{"task": "temporal_order", "length": [10, 20], "remedy": ["sgd", "clip"], "seed": [0, 1]}]


def test_a_grid_stands_for_all_combinations_once():
    found = grid.expand([*GRID, {"task": "addition", "length": 30}, GRID[0]])
    assert len(found) == 9 and len(set(found)) == 9
    assert found[0] == Trial("temporal_order", 10) and found[-1] == Trial("addition", 30)


def test_the_default_grid_holds_what_the_page_shows():
    found = grid.expand(grid.DEFAULT)
    later = grid.expand(grid.LATER)
    first = [t for t in found if t not in later]
    ordered = {(t.length, t.cell, t.remedy) for t in first if t.task == "temporal_order"}
    assert {length for length, _, _ in ordered} == {10, 20, 50, 100} and len(ordered) == 24
    assert {t.cell for t in first if t.task == "addition"} == {"tanh", "relu", "lstm"}
    assert {t.length for t in later} >= {10, 200, 500} and {t.seed for t in later} == {0, 1, 2}
    for name in ("flossing", "uoro", "snap1", "local"):
        assert any(name in t.remedy for t in later), name
    assert len({(t.max_seconds, t.hidden_size, t.batch_size) for t in found}) == 1


@pytest.mark.parametrize(
    "blocks, said",
    [
        ([], "the grid is empty"),
        (["tanh"], "block 1 of the grid: 'tanh' is not an object"),
        ([*GRID, {"task": "addition"}], "block 2 of the grid: length missing"),
        ([{**GRID[0], "leng": 3}], "block 1 of the grid: leng unknown"),
        ([{**GRID[0], "cell": ["tanh", "elman"]}], "block 1 of the grid: cell 'elman'"),
        ([{**GRID[0], "length": []}], "the grid is empty"),
        ([{**GRID[0], "task": {"a": 1}}], "block 1 of the grid: task"),
    ],
)
def test_a_bad_grid_is_refused(tmp_path, blocks, said):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(blocks))
    with pytest.raises(RNNError) as refused:
        grid.read_grid(path)
    assert said in str(refused.value) and str(refused.value).startswith(str(path))


def test_a_grid_that_is_missing_or_no_json_is_refused(tmp_path):
    (tmp_path / "bad.json").write_text("[{")
    for name in ("bad.json", "missing.json", "."):
        with pytest.raises(RNNError, match="cannot be read"):
            grid.read_grid(tmp_path / name)
