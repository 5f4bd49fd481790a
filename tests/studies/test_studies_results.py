"""The file of results: resumed, never torn, written by one process."""

import pytest

from theano_rnn import RNNError
from theano_rnn.studies.results import Results


def results_in(folder):
    return Results(folder, lambda record: record["trial"])


def record_of(trial):
    return {"trial": trial, "loss": 1.5}


def test_results_are_kept_and_a_torn_last_line_is_run_again(tmp_path):
    folder = tmp_path / "a" / "b"
    with results_in(folder) as results:
        for trial in (1, 2, 3):
            results.add(record_of(trial))
    path = folder / "results.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with results_in(folder) as results:
        assert results.missing([1, 2, 3, 4]) == [3, 4]
        results.add(record_of(3))
        assert results.records_of([3, 1, 4]) == [record_of(3), record_of(1)]
        assert results.save_picture("a.png", b"PNG").read_bytes() == b"PNG"
    assert path.read_bytes() == whole


def test_a_line_that_is_no_record_is_named(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"trial": 1}\n{}\n{"trial": 2}\n')
    with pytest.raises(RNNError, match=r"line 2 of .*results.jsonl is not a record"):
        results_in(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        said = "cannot be written: .*/file is a file; name another folder"
        with pytest.raises(RNNError, match=said):
            results_in(folder)


def test_two_processes_cannot_write_to_one_folder(tmp_path):
    with results_in(tmp_path):
        with pytest.raises(RNNError, match="another process writes to "):
            results_in(tmp_path)
    results_in(tmp_path).__exit__()
