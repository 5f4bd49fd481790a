"""The comparison of cells: a training for each that has none, and a table of their results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from theano_rnn.commands import compare

RESULT = {
    "valid_perplexity": 100.0, "test_perplexity": 123.456, "training_seconds": 1234.4,
    "tokens_per_second": 5678.9, "bigram_perplexity": 222.2, "kneser_ney_perplexity": 111.11,
}  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """The command lines of the trainings, each of which leaves a result."""
    called = []

    def ended(command):
        called.append(command)
        option = "--run" if "--run" in command else "--resume"
        folder = Path(command[command.index(option) + 1])
        code = 3 if folder.name == "gru" else 0
        if code == 0:  # where the options are wrong there is no folder
            folder.mkdir(parents=True, exist_ok=True)
        is_stopped = folder.name == "relu" and option == "--run"  # as by SIGTERM
        if is_stopped:
            (folder / "settings.json").write_text("{}")
        elif code == 0:
            (folder / "result.json").write_text(json.dumps(RESULT))
        return code

    monkeypatch.setattr(compare, "ended", ended)
    return called


def test_each_cell_is_trained_once_with_the_options_that_are_not_its_own(
    trained, tmp_path, capsys
):
    options = "--runs", str(tmp_path), "--cells", "tanh,lstm", "--epochs", "3"
    assert compare.main(options) == 0
    ends = [command[-6:] for command in trained]
    assert ends == [
        ["--cell", cell, "--run", str(tmp_path / cell), "--epochs", "3"]
        for cell in ("tanh", "lstm")
    ]
    assert compare.main(options) == 0 and len(trained) == 2
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    tanh = ["tanh", "4.605", "100.00", "123.46", "1,234", "5,679"]
    assert [cell.strip() for cell in rows[0]] == tanh
    assert [[cell.strip() for cell in row] for row in rows[2:4]] == [
        ["bigram", "", "", "222.20", "", ""],
        ["Kneser-Ney", "", "", "111.11", "", ""],
    ]


def test_a_training_that_fails_ends_the_comparison_with_its_code(trained, tmp_path):
    assert compare.main(["--runs", str(tmp_path), "--cells", "tanh,gru,lstm"]) == 3
    assert len(trained) == 2 and not (tmp_path / "lstm").exists()


def test_a_training_that_was_stopped_is_told_and_resumed(trained, tmp_path, capsys):
    options = ["--runs", str(tmp_path), "--cells", "relu", "--epochs", "3"]
    assert compare.main(options) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "relu was stopped; the same command goes on" in said[0]
    assert compare.main(options) == 0
    assert trained[1][-2:] == ["--resume", str(tmp_path / "relu")]


def test_a_training_that_was_stopped_and_judged_is_resumed(trained, tmp_path):
    options = ["--runs", str(tmp_path), "--cells", "tanh"]
    (tmp_path / "tanh").mkdir()
    (tmp_path / "tanh" / "settings.json").write_text("{}")
    (tmp_path / "tanh" / "result.json").write_text(json.dumps({**RESULT, "ended": None}))
    assert compare.main(options) == 0
    assert trained[0][-2:] == ["--resume", str(tmp_path / "tanh")]


@pytest.mark.parametrize("option", ["--cell=gru", "--run", "--resume", "--from"])
def test_options_that_differ_from_cell_to_cell_are_refused(trained, tmp_path, capsys, option):
    assert compare.main(["--runs", str(tmp_path / "all"), option, "gru"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"{option.split('=')[0]} is set for each training" in said[0]
    assert trained == [] and not (tmp_path / "all").exists()


@pytest.mark.parametrize("options", [["--text", "-"], ["--text=-"], ["--train", "a.txt", "-"]])
def test_standard_input_is_refused_before_a_cell_has_read_it(trained, tmp_path, capsys, options):
    assert compare.main(["--runs", str(tmp_path / "all"), *options]) == 2
    assert "write standard input to a file first" in capsys.readouterr().err and trained == []


def test_cells_may_have_spaces_between_them(trained, tmp_path):
    assert compare.main(["--runs", str(tmp_path / "all"), "--cells", "tanh, sigmoid"]) == 0
    assert len(trained) == 2


@pytest.mark.parametrize("content", ["{bad", "5", "[1]", ""])
def test_damaged_options_are_refused_in_a_line(trained, tmp_path, capsys, content):
    (tmp_path / "options.json").write_text(content)
    assert compare.main(["--runs", str(tmp_path), "--cells", "tanh"]) == 2
    said = capsys.readouterr().err
    assert "options.json" in said and said.count("\n") == 1 and trained == []


def test_a_comparison_with_other_options_is_refused(trained, tmp_path, capsys):
    folder = ["--runs", str(tmp_path / "all"), "--cells", "tanh"]
    assert compare.main([*folder, "--text", "my text.txt"]) == 0
    assert compare.main([*folder, "--text", "another.txt"]) == 2
    said = capsys.readouterr().err
    assert "with other options: --text 'my text.txt'; give these" in said and len(trained) == 1


def test_options_that_were_wrong_can_be_corrected(trained, tmp_path):
    folder = ["--runs", str(tmp_path / "all")]
    assert compare.main([*folder, "--cells", "gru", "--text", "none.txt"]) == 3
    assert compare.main([*folder, "--cells", "tanh", "--epochs", "3"]) == 0


def test_ctrl_c_waits_for_the_training_that_saves(monkeypatch):
    class Interrupted(subprocess.Popen):
        interrupts = 2

        def wait(self, timeout=None):
            if timeout is None and self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    program = "import time; time.sleep(1); raise SystemExit(130)"
    assert compare.ended([sys.executable, "-c", program]) == 130


def test_an_unknown_cell_is_refused_before_anything_is_trained(trained, tmp_path, capsys):
    assert compare.main(["--runs", str(tmp_path), "--cells", "tanh,gruu"]) == 2
    assert "cell 'gruu' is unknown; use tanh" in capsys.readouterr().err
    assert not trained


@pytest.mark.parametrize("options", [["--omega", "1"], ["--weight-drop", "0.3"]])
def test_options_that_do_not_go_with_a_later_cell_are_told_before_the_first(
    trained, tmp_path, capsys, options
):
    assert compare.main(["--runs", str(tmp_path), "--cells", "tanh,mingru", *options]) == 2
    assert not trained
    error = capsys.readouterr().err
    assert options[0] in error and "mingru" in error


def test_trainings_on_different_texts_are_not_compared(trained, tmp_path, capsys):
    (tmp_path / "tanh").mkdir()
    other = {**RESULT, "train_tokens": 2897}
    (tmp_path / "tanh" / "result.json").write_text(json.dumps(other))
    assert compare.main(["--runs", str(tmp_path), "--cells", "tanh,lstm"]) == 2
    error = capsys.readouterr().err
    assert "tanh and lstm were trained on different texts" in error and "--runs" in error
