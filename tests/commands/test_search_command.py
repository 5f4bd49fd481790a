"""theano-rnn search, as a user runs it: a stub for a training, and once two workers and a kill."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from theano_rnn import RNNError
from theano_rnn.commands import search, searching
from theano_rnn.commands.console import CONSOLE
from theano_rnn.search.study import Progress
from theano_rnn.studies import cluster
from theano_rnn.training.run_folder import Run

SCRIPT = ROOT / "scripts" / "search.py"
RANGES = ("--dropout", "0.2..0.6", "--layers", "1,2")


@pytest.fixture
def called(tmp_path, monkeypatch, caller):
    """The command, in this process and a folder with a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    text = "The cat sat. A dog ran home. The dog saw a cat.\n" * 20
    (tmp_path / "text.txt").write_text(text)
    begin = "--run", "s", "--text", "text.txt"
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: caller(search.main, *begin, *arguments)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster whose two workers are threads of this process."""
    from distributed import LocalCluster

    options = {"dashboard_address": "127.0.0.1:0", "protocol": "tcp", "threads_per_worker": 1}
    with LocalCluster(n_workers=2, processes=False, **options) as local:
        yield local.scheduler_address


def stub(job):
    """Best at the least dropout; one trial diverges, and the seventh is pruned."""
    if job.number == 2:
        raise RNNError("training diverged")
    loss = 4 + job.values["dropout"]
    Progress(job).is_worse(0.5, loss)
    ended = "pruned" if job.number == 7 else "complete"
    return {"ended": ended, "loss": loss, "epochs": 3, "seconds": 61.0}


def records(folder):
    return [json.loads(line) for line in (folder / "s" / "results.jsonl").open()]


def test_a_search_shows_the_best_first_and_goes_on(called, scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "train", stub)
    fixed = "--epochs", 5, "--scheduler", scheduler
    code, out, errors = called(*RANGES, *fixed, "--trials", 6)
    assert (code, errors) == (0, "") and "6 trials, 0 of them" in out and "2 workers" in out
    assert "trial 2: failed, training diverged; --layers " in out
    best = min((r for r in records(tmp_path) if r["loss"]), key=lambda record: record["loss"])
    dropout, layers = best["settings"]["dropout"], best["settings"]["layers"]
    assert f"│ {4 + dropout:.3f} │" in out
    line = next(line for line in out.splitlines() if "train.py" in line)
    assert f"--text {tmp_path}/text.txt --epochs 5 --layers {layers} --dropout {dropout}" in line
    with monkeypatch.context() as patch:  # a line to be copied is not wrapped
        patch.setattr(CONSOLE, "_force_terminal", True)
        patch.setattr(CONSOLE, "_width", 60)
        assert line in called(*RANGES, *fixed, "--trials", 6)[1].splitlines()
    code, out, _ = called(*RANGES, *fixed, "--trials", 9)
    assert code == 0 and "9 trials, 6 of them" in out and "trial 7: pruned, valid" in out
    assert sorted(r["trial"] for r in records(tmp_path)) == list(range(9))
    assert (tmp_path / "s" / "importance.png").is_file()
    code, out, _ = called(*RANGES, "--epochs", 5, "--trials", 9)  # it only shows them
    assert code == 0 and "9 trials, 9 of them" in out and "workers" not in out


def test_trials_are_lines_where_the_table_is_too_wide(monkeypatch, capsys):
    record = {"trial": 3, "ended": "complete", "loss": 4.5, "epochs": 2, "seconds": 61.0}
    settings = {"hidden_size": 300, "learning_rate": 0.001, "dropout": 0.25}
    shown = {}
    for width in (60, 120):
        monkeypatch.setattr(CONSOLE, "_width", width)
        searching.show([{**record, "settings": settings}] * 21, list(settings))
        shown[width] = capsys.readouterr().out.splitlines()
        assert max(map(len, shown[width])) <= width and "and 1 more in" in shown[width][-1]
        assert "…" not in "".join(shown[width])
    assert "trial 3: validation loss 4.500 after 2 epochs, 1 minute" in shown[60]
    assert "    --hidden-size 300 --learning-rate 0.001 --dropout 0.25" in shown[60]
    assert "│ 4.500 │       90.0 │      2 │     3 │  │         300 │" in shown[120][4]


def test_a_search_in_which_all_fail_says_so(called, scheduler, monkeypatch):
    def fail(job):
        raise MemoryError("none left")

    monkeypatch.setattr(searching, "train", fail)
    code, out, _ = called(*RANGES, "--trials", 2, "--scheduler", scheduler)
    assert code == 1 and "failed, MemoryError in " in out and ": none left" in out
    assert "No trial was trained to its end" in out


def test_ranges_stand_in_a_file_and_options_replace_them(called, scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "train", stub)
    ranges = {"layers": [1, 2], "dropout": "0.2..0.6", "cell": "gru"}
    (tmp_path / "ranges.json").write_text(json.dumps(ranges))
    options = "--ranges", "ranges.json", "--layers", "2", "--scheduler", scheduler
    code, out, _ = called(*options, "--trials", 1)
    assert code == 0 and "s/results.jsonl; --dropout 0.2..0.6\n" in out
    assert "--layers 2 --cell gru --dropout" in out


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "no setting has a range"),
        (["--dropout", "0.6..0.2"], "--dropout 0.6..0.2 is empty"),
        (["--cell", "lstm,gur"], "--cell 'gur' is unknown"),
        (["--minutes", "1,2", *RANGES], "--minutes is the same in all trials"),
        (["--seed", "1..3", *RANGES], "--seed is the same in all trials"),
        (["--minutes", "soon", *RANGES], "--minutes must be a number, not 'soon'"),
        (["--level", "word,char", *RANGES], "--level 'word,char' is unknown"),
        ([*RANGES, "--trials", 0], "--trials must be at least 1, not 0"),
        ([*RANGES, "--workers", 0], "--workers must be at least 1, not 0"),
        ([*RANGES, "--workers", 1, "--scheduler", "host:1"], "leave it or --scheduler out"),
        ([*RANGES, "--threads", 2], "--threads is 1 in a search"),
        ([*RANGES, "--ranges", "none.json"], "file of ranges none.json cannot be read: No such"),
        ([*RANGES, "--ranges", "text.txt"], "file of ranges text.txt cannot be read"),
        (
            [*RANGES, "--ranges", "bad.json"],
            "setting 'hidden_siz' is unknown; did you mean hidden_size?",
        ),
        ([*RANGES, "--ranges", "list.json"], "list.json holds no object"),
        ([*RANGES, "--text", "none.txt"], "No such file"),
        ([*RANGES, "--scheduler", "host:port"], "there is no Dask scheduler at host:port"),
    ],
)
def test_bad_input_is_one_line(called, tmp_path, arguments, said):
    (tmp_path / "bad.json").write_text('{"hidden_siz": 5}')
    (tmp_path / "list.json").write_text("[1]")
    code, _, errors = called(*arguments)
    assert code == 2 and said in errors and len(errors.splitlines()) == 1
    assert errors.startswith("search.py: ")


def test_a_scheduler_that_does_not_answer_loses_nothing(called, scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "train", stub)
    assert called(*RANGES, "--trials", 1, "--scheduler", scheduler)[0] == 0
    before = records(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "TIMEOUT", 0.2)
        code, _, errors = called(*RANGES, "--trials", 2, "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2 and "there is no Dask scheduler at tcp://127.0.0.1:1" in errors
    assert records(tmp_path) == before
    assert called(*RANGES, "--trials", 2, "--scheduler", scheduler)[0] == 0
    assert len(records(tmp_path)) == 2


def test_another_search_in_the_folder_is_one_line(called, scheduler, monkeypatch):
    monkeypatch.setattr(searching, "train", stub)
    assert called(*RANGES, "--trials", 1, "--scheduler", scheduler)[0] == 0
    code, _, errors = called(*RANGES, "--epochs", 3, "--scheduler", scheduler)
    assert code == 2 and "it has its default, not --epochs 3; give those" in errors


@pytest.mark.parametrize("missing", ["optuna", "dask"])
def test_without_its_extra_it_is_one_line(called, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, errors = called(*RANGES)
    assert code == 2 and "pip install 'theano-rnn[" in errors and len(errors.splitlines()) == 1


@pytest.mark.slow
def test_a_search_is_killed_and_interrupted_and_goes_on_to_its_end(called, tmp_path):
    sentences = "The cat sat. A dog ran home. The dog saw a cat.\n" * 400
    (tmp_path / "text.txt").write_text(sentences)  # so that some seconds are left after an epoch
    options = (
        "--run s --text text.txt --hidden-size 4,8 --learning-rate 0.01..0.1:log --epochs 30 "
        "--patience 0 --batch-size 4 --trials 3 --workers 2"
    )
    command = [sys.executable, str(SCRIPT), *options.split()]

    def lines():
        """Those of metrics.jsonl of each trial that has one, by its folder."""
        paths = (tmp_path / "s" / "trials").glob("*/metrics.jsonl")
        return {path.parent: path.read_text() for path in paths}

    def epochs():
        return sum(text.count("\n") for text in lines().values())

    def stopped_by(how):
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        begun = process.stdout.readline()  # before, Python would not catch Ctrl-C
        least = epochs() + 2
        while epochs() < least and process.poll() is None:
            time.sleep(0.05)
        # Ctrl-C in a terminal reaches the workers too; a kill ends one process.
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
        out, err = process.communicate(timeout=120)
        return process.returncode, begun + out, err

    assert stopped_by(signal.SIGKILL)[0] == -signal.SIGKILL
    code, out, err = stopped_by(signal.SIGINT)
    assert (code, err) == (130, ""), err
    assert "To go on: the same command" in out
    before, ended = lines(), records(tmp_path)
    assert before and all((trial / "last.safetensors").exists() for trial in before)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert [record["error"] for record in records(tmp_path)] == [None] * 3
    after = lines()
    assert len(after) == 3 and all(after[trial].startswith(text) for trial, text in before.items())
    for trial in after:
        assert [record["epoch"] for record in Run.open(trial).metrics()] == list(range(1, 31))
    assert records(tmp_path)[: len(ended)] == ended
    assert sorted(record["trial"] for record in records(tmp_path)) == [0, 1, 2]
    # The command of the best run trains it again.
    best = min(records(tmp_path), key=lambda record: record["loss"])
    line = next(line for line in done.stdout.splitlines() if "train.py" in line)
    _, script, *given = shlex.split(line)
    again = [sys.executable, script, *given, "--run", "again"]
    subprocess.run(again, cwd=tmp_path, check=True, capture_output=True)
    losses = [record["valid_loss"] for record in Run.open(tmp_path / "again").metrics()]
    assert min(losses) == pytest.approx(best["loss"], rel=1e-5)
