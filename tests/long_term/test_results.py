"""The file of results: resumed, never torn, one writer; its table and picture."""

import dataclasses
import json

import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import grid
from theano_rnn.long_term.results import Results, by_row_and_length
from theano_rnn.long_term.trial import Trial

GRID = [{"task": "temporal_order", "length": [10, 20], "remedy": ["sgd", "clip"], "seed": [0, 1]}]


def record_of(trial, solved=True):
    return {
        **dataclasses.asdict(trial), "solved": solved, "updates": 500, "seconds": 1.5,
        "error_rate": 0.0 if solved else 0.7, "ended": "solved" if solved else "updates",
    }  # fmt: skip


def test_results_are_kept_and_a_torn_last_line_is_run_again(tmp_path):
    first, second, third, *rest = grid.expand(GRID)
    with Results(tmp_path / "a" / "b") as results:
        for trial in (first, second, third):
            results.add(record_of(trial))
    path = tmp_path / "a" / "b" / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with Results(path.parent) as results:
        assert results.missing([first, second, third, *rest]) == [third, *rest]
        results.add(record_of(third))
        assert results.records_of([third, first, rest[0]]) == [record_of(third), record_of(first)]
    assert path.read_bytes() == whole


def test_another_setting_is_another_trial(tmp_path):
    trial = Trial("addition", 10)
    with Results(tmp_path) as results:
        results.add(record_of(trial))
        assert results.missing([dataclasses.replace(trial, clip=2.0)])
        assert not results.missing([trial])


def test_a_damaged_line_before_the_last_is_named(tmp_path):
    line = json.dumps(record_of(Trial("addition", 10)))
    (tmp_path / "results.jsonl").write_text(f"{line}\n{{}}\n{line}\n")
    with pytest.raises(RNNError, match=r"line 2 of .*results.jsonl is not a record"):
        Results(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RNNError, match="cannot be written"):
            Results(folder)


def test_success_is_by_row_and_length_and_drawn(tmp_path):
    found = grid.expand([*GRID, {"task": "addition", "length": 30}])
    records = [record_of(trial, solved=trial.length == 10) for trial in found]
    table = by_row_and_length(records)
    assert list(table) == [
        ("temporal_order", "tanh", "sgd"), ("temporal_order", "tanh", "clip"),
        ("addition", "tanh", "sgd"),
    ]  # fmt: skip
    row = table["temporal_order", "tanh", "clip"]
    assert {length: [r["solved"] for r in cell] for length, cell in row.items()} == {
        10: [True, True],
        20: [False, False],
    }
    with Results(tmp_path) as results:
        picture = results.save_picture(records)
    assert picture == tmp_path / "success.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_two_sweeps_cannot_write_to_one_folder(tmp_path):
    with Results(tmp_path):
        with pytest.raises(RNNError, match="another sweep writes to "):
            Results(tmp_path)
    Results(tmp_path).__exit__()
