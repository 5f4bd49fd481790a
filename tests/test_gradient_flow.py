"""scripts/gradient_flow.py as a user runs it, on a tiny run; and how it refuses bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theano_rnn.commands import flow

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run and texts."""
    folder = tmp_path_factory.mktemp("flow")
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    lines = [" ".join(random.choice(words, size=random.integers(2, 25))) for _ in range(60)]
    (folder / "text.txt").write_text("\n\n".join(f"{line.capitalize()}." for line in lines))
    (folder / "other.txt").write_text("The cat saw $5 and <b>a</b> dog.\n\nCafé zzz qqq.\n")
    (folder / "unknown.txt").write_text("Zzz qqq xxx.\n")
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes("naïve text".encode("latin-1"))
    given = "--text text.txt --hidden-size 5 --epochs 1 --truncation last:4 --run run".split()
    done = subprocess.run(
        [sys.executable, SCRIPTS / "train.py", *given],
        capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def called(folder, monkeypatch, capsys):
    """Exit code, output and errors of the script in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments):
        try:
            code = flow.main([str(a) for a in arguments])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


def test_a_run_is_answered_in_the_terminal(called):
    code, out, err = called("run", "--cosine", 0.99)
    assert code == 0 and not err
    assert "log10 |dE_t/ds_k|" in out and "By lag" in out and "The bound is silent" in out
    assert "vanish" in out or "kept" in out or "explode" in out
    assert "Trained with last:4: the cosine" in out
    assert re.search(r"window:\d+ is the smallest", out) and re.search(r"chunk:\d+ is the", out)
    steps = int(re.search(r", (\d+) steps:", out)[1])
    assert 16 <= steps + 1 <= 32


def test_a_report_is_left_with_the_words_of_the_text(called, folder):
    code, out, err = called("run", "--text", "other.txt", "--sentence", 1, "--report", "report")
    assert code == 0, err
    assert "report/report.html" in out and (folder / "report" / "heat.png").is_file()
    page = (folder / "report" / "report.html").read_text()
    (numbers,) = re.findall(r'id="numbers">(.*?)</script>', page)
    numbers = json.loads(numbers)
    assert numbers["inputs"][:4] == ["<s>", "the", "cat", "saw"] and "<unk>" in numbers["inputs"]
    assert numbers["truncation"] == "last:4"


def test_steps_and_lag_limit_what_is_shown(called):
    code, out, _ = called("run", "--steps", 9, "--lag", 3)
    assert code == 0 and ", 9 steps:" in out
    rows = [line for line in out.splitlines() if re.match(r"│\s+\d", line)]
    assert [int(row.split("│")[1]) for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["nowhere"], "not a run folder"),
        (["run", "--text", "unknown.txt"], "no word that this run knows"),
        (["run", "--text", "other.txt", "--sentence", 2], "no word that this run knows"),
        (["run", "--text", "other.txt", "--sentence", 9], "has 2 sentences"),
        (["run", "--text", "empty.txt"], "empty"),
        (["run", "--text", "latin.txt"], "UTF-8"),
        (["run", "--text", "nowhere.txt"], "cannot read"),
        (["run", "--text", "other.txt", "--lag", 200], "lag 200 needs 201 steps"),
        (["run", "--steps", 3, "--lag", 3], "needs 4 steps"),
        (["run", "--steps", 0], "--steps"),
        (["run", "--lag", 0], "--lag"),
        (["run", "--cosine", 2], "--cosine"),
        (["run", "--report", "text.txt"], "cannot be written"),
        (["run", "--report", "text.txt/in"], "cannot be written"),
        ([], "--demo"),
        (["run", "--demo"], "--demo"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_input_is_an_error_that_says_what(called, folder, arguments, complaint):
    before = sorted(folder.rglob("*"))
    code, _, err = called(*arguments)
    assert code == 2 and complaint in err and "Traceback" not in err
    assert sorted(folder.rglob("*")) == before


def test_a_run_without_checkpoint_is_refused_and_leaves_no_empty_report(called, folder):
    shutil.copytree(folder / "run", folder / "bare")
    (folder / "bare" / "best.safetensors").unlink()
    code, _, err = called("bare", "--report", "never")
    assert code == 2 and "no checkpoint best.safetensors" in err
    assert not (folder / "never").exists()


def test_the_text_of_a_run_that_has_changed_or_gone_is_told_so(called, folder):
    shutil.copytree(folder / "run", folder / "moved")
    settings = json.loads((folder / "moved" / "settings.json").read_text())
    for text, complaint in (("gone.txt", "cannot be had"), ("other3.txt", "has changed")):
        (folder / "other3.txt").write_text("A b c.\n\nD e f.\n\nG h i.\n\nJ k l.\n")
        settings["text"] = str(folder / text)
        (folder / "moved" / "settings.json").write_text(json.dumps(settings))
        code, _, err = called("moved")
        assert code == 2 and complaint in err and "--text" in err


def test_a_folder_is_refused_before_anything_is_computed(called, monkeypatch):
    from theano_rnn import generation

    monkeypatch.setattr(generation, "load", lambda *_: pytest.fail("computed"))
    code, _, err = called("run", "--report", "text.txt")
    assert code == 2 and "cannot be written" in err
