"""The file of results: resumed, never torn, one writer; its table and picture."""

import dataclasses
import json

import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import grid
from theano_rnn.long_term.results import Results, by_row_and_length, picture
from theano_rnn.long_term.trial import Trial

GRID = [{"task": "temporal_order", "length": [10, 20], "remedy": ["sgd", "clip"], "seed": [0, 1]}]


def record_of(trial, solved=True):
    return {
        **dataclasses.asdict(trial), "solved": solved, "updates": 500, "seconds": 1.5,
        "error_rate": 0.0 if solved else 0.7, "ended": "solved" if solved else "updates",
    }  # fmt: skip


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
        saved = results.save_picture("success.png", picture(table))
    assert saved == tmp_path / "success.png"
    assert saved.read_bytes().startswith(b"\x89PNG") and saved.stat().st_size > 5000


def test_a_record_without_a_later_setting_is_read(tmp_path):
    trial = Trial("addition", 10)
    record = record_of(trial)
    del record["flossing"]
    (tmp_path / "results.jsonl").write_text(json.dumps(record) + "\n")
    with Results(tmp_path) as results:
        assert not results.missing([trial])


def test_trials_that_differ_in_more_than_their_seed_are_rows_of_their_own():
    (block,) = GRID
    found = grid.expand([{**block, "learning_rate": [0.01, 0.1]}])
    table = by_row_and_length([record_of(trial) for trial in found])
    assert [remedy for _, _, remedy in table] == [
        "sgd, learning_rate 0.01", "sgd, learning_rate 0.1",
        "clip, learning_rate 0.01", "clip, learning_rate 0.1",
    ]  # fmt: skip
    assert all(len(seeds) == 2 for row in table.values() for seeds in row.values())
