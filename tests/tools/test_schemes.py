"""python -m schemes: the curves of loss against seconds, and their table."""

import numpy as np
import pytest
from schemes import speed
from schemes.__main__ import at, main, parse_arguments, spread

CURVE = [(0.5, 3.0), (1.0, 2.0), (1.5, 2.5)]


def test_a_column_has_the_last_loss_that_was_reached_in_time():
    assert [at(CURVE, seconds) for seconds in (0.5, 1.2, 9)] == [3.0, 2.0, 2.5]
    assert np.isnan(at(CURVE, 0.4))


def test_a_mean_has_its_standard_deviation_and_one_before_the_first_point_is_missing():
    assert spread([1.0, 3.0]) == "2.000 ± 1.414" and spread([2.0], 1) == "2.0 ± 0.0"
    assert spread([1.0, np.nan]) == "-"


@pytest.mark.parametrize("arguments", [["text"], ["task", "book.txt"], ["speed", "book.txt"]])
def test_only_a_text_has_a_file(arguments, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert "text needs a file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_text_is_trained_on_and_answered_with_a_row_for_each_scheme(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("The cat sat. A dog ran home. The dog sat too. A cat ran.\n" * 10, "utf-8")
    given = ["--schemes", "chunk:2", "adaptive:0.5", "--seeds", "2", "--epochs", "2"]
    given += ["--vocab-size", "9"]
    assert main(["text", str(text), *given]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["chunk:2", "adaptive:0.5"]
    assert all(row.count("±") == 3 and "-" not in row for row in rows)


@pytest.mark.slow
def test_a_step_is_timed_under_each_scheme(uncompiled):
    found = speed.seconds(5, 6, rounds=2)
    assert found.shape == (2, len(speed.SCHEMES)) and (found > 0).all()
