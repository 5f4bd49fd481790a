"""scripts/long_term.py, as a user runs it: one task, a sweep on Dask, and bad input."""

import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from theano_rnn.commands import tasks
from theano_rnn.long_term.grid import DEFAULT, expand, read_grid
from theano_rnn.long_term.results import Results, trial_of
from theano_rnn.long_term.trial import Trial, learn
from theano_rnn.studies import cluster

SCRIPT = ROOT / "scripts" / "long_term.py"
QUICK = ["--task", "temporal_order", "--length", "10", "--hidden-size", "20"]
GRID = [
    {
        "task": "temporal_order",
        "length": [10, 20],
        "remedy": ["sgd", "clip"],
        "seed": [0, 1],
        "hidden_size": 20,
        "max_updates": 500,
    }
]


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    """Exit code, output and errors of the script, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])

    def call(*arguments):
        try:
            code = tasks.main(list(map(str, arguments)))
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.json"
    path.write_text(json.dumps(GRID))
    return path


def lines(folder):
    return (folder / "results.jsonl").read_text().splitlines()


@pytest.mark.slow
def test_a_remedy_is_tried_with_several_seeds_and_nothing_is_written(called, tmp_path):
    options = "--remedy", "clip,omega", "--seeds", 2, "--learning-rate", 0.05
    code, out, errors = called(*QUICK, *options)
    assert (code, errors) == (0, "")
    assert "temporal_order 10, tanh, clip+omega, seed 1: solved, " in out and "2/2 " in out
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_solved_says_why_and_is_written_with_run(called, tmp_path):
    code, out, _ = called(*QUICK, "--max-updates", 3, "--run", "kept")
    assert code == 0 and "not solved within the updates allowed, 3 updates" in out
    (record,) = map(json.loads, lines(tmp_path / "kept"))
    assert not record["solved"] and record["updates"] == 3 and record["max_updates"] == 3
    assert (tmp_path / "kept" / "success.png").is_file()


def test_a_sweep_without_dask_is_one_line(called, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    code, _, err = called("--sweep")
    assert code == 2 and "pip install 'theano-rnn[sweep]'" in err
    assert len(err.splitlines()) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--task is missing"),
        (["--task", "addition"], "--length is missing"),
        (
            ["--task", "adition", "--length", 10],
            "--task 'adition' is unknown; did you mean addition?",
        ),
        (["--task", "addition", "--length", 9], "length must be a whole number of at least 10"),
        ([*QUICK, "--remedy", "magic"], "remedy 'magic' is unknown; use clip"),
        ([*QUICK, "--remedy", "omega", "--cell", "lstm"], "not lstm; leave the remedy out"),
        ([*QUICK, "--remedy", "orthogonal", "--cell", "mingru"], "; leave the remedy out"),
        (
            [*QUICK, "--clip", 0.5],
            "clip is for the remedy clip, and no trial has it; leave it out",
        ),
        ([*QUICK, "--alpha", 4], "alpha is for the remedy omega, and no trial has it; leave it"),
        ([*QUICK, "--flossing", 0], "flossing must be a whole number of at least 1, not 0"),
        ([*QUICK, "--seeds", 0], "--seeds must be at least 1"),
        ([*QUICK, "--scheduler", "tcp://localhost:1"], "--scheduler is for a sweep"),
        (["--sweep", "--length", 10, "--seeds", 2], "leave out --length, --seeds"),
        (["--sweep", "none.json"], "none.json cannot be read: No such file"),
        (["--sweep", "--workers", 0], "--workers must be at least 1"),
        (["--sweep", "--run", "grid.json"], "grid.json/results.jsonl cannot be written"),
        ([*QUICK, "--run", "grid.json/below"], "cannot be written"),
        (["--sweep", "--scheduler", "host:port"], "there is no Dask scheduler at host:port"),
    ],
)
def test_bad_input_is_one_line(called, grid, arguments, said):
    code, _, errors = called(*arguments)
    assert code == 2 and said in errors and len(errors.splitlines()) == 1
    assert errors.startswith("long_term.py: ")


def test_a_scheduler_that_does_not_answer_is_one_line_and_loses_nothing(
    called, grid, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "TIMEOUT", 0.2)
    with Results(tmp_path / "kept") as results:
        results.add(record_of(read_grid(grid)[0]))
    before = lines(tmp_path / "kept")
    options = "--run", "kept", "--scheduler", "tcp://127.0.0.1:1"
    code, _, errors = called("--sweep", grid, *options)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "there is no Dask scheduler at tcp://127.0.0.1:1" in errors
    assert lines(tmp_path / "kept") == before


def record_of(trial):
    return {
        **vars(trial), "solved": trial.remedy == "clip", "updates": 500, "seconds": 1.0,
        "error_rate": 0.5, "ended": "solved" if trial.remedy == "clip" else "updates",
    }  # fmt: skip


def test_on_a_full_disk_a_sweep_keeps_its_records_whole_and_says_so(grid, tmp_path):
    records = [record_of(trial) for trial in read_grid(grid)[:2]]
    most = len(json.dumps(records[0])) + 50
    program = (
        "import json, resource, signal, sys\n"
        "from theano_rnn import RNNError\nfrom theano_rnn.long_term.results import Results\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, hard))\n"
        "try:\n"
        "    with Results('kept') as results:\n"
        "        for record in json.loads(sys.argv[1]): results.add(record)\n"
        "except RNNError as error: print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
    )
    command = [sys.executable, "-c", program, json.dumps(records)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout == "kept/results.jsonl cannot be written: File too large\n"
    assert [json.loads(line) for line in lines(tmp_path / "kept")] == records[:1]


def fake_learn(trial):
    if (trial.length, trial.seed) == (20, 1):
        raise RuntimeError("no memory")
    return record_of(trial)


def test_any_dask_cluster_runs_a_sweep_and_only_what_is_missing(
    called, grid, tmp_path, monkeypatch
):
    from distributed import LocalCluster

    monkeypatch.setattr(tasks, "learn", fake_learn)  # its worker is a thread of this process
    trials = read_grid(grid)
    with Results(tmp_path / "kept") as results:
        results.add(record_of(trials[0]))
    settings = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, protocol="tcp", **settings) as local:
        options = "--run", "kept", "--scheduler", local.scheduler_address
        code, out, _ = called("--sweep", grid, *options)
        assert code == 1 and "8 trials, 1 of them in kept/results.jsonl" in out
        assert out.count("failed, RuntimeError in test_tasks_command.py:") == 2
        assert out.count(": no memory") == 2
        assert "2 trials failed and have no record" in out
        assert "2/2 500" in out and "0/2" in out  # clip and sgd at length 10
        assert len(lines(tmp_path / "kept")) == 6
        monkeypatch.setattr(tasks, "learn", record_of)
        code, out, _ = called("--sweep", grid, *options)
    assert code == 0 and "8 trials, 6 of them in kept/results.jsonl" in out
    records = [json.loads(line) for line in lines(tmp_path / "kept")]
    assert {trial_of(r) for r in records} == set(trials)
    assert len(records) == 8 and (tmp_path / "kept" / "success.png").is_file()


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(called, tmp_path):
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps([{**GRID[0], "remedy": "sgd"}]))
    command = [sys.executable, SCRIPT, "--sweep", grid, "--run", "kept", "--workers", "1"]
    killed = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    for line in killed.stdout:
        if "temporal_order" in line:  # the first record
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    before = lines(tmp_path / "kept")
    assert 1 <= len(before) < 4
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"4 trials, {len(before)} of them in kept/results.jsonl" in done.stdout
    after = lines(tmp_path / "kept")
    assert after[: len(before)] == before and len(after) == len({*after}) == 4
    # A sweep whose trials all have their records only shows them, and starts nothing.
    code, out, _ = called("--sweep", grid, "--run", "kept")
    assert code == 0 and "4 trials, 4 of them" in out and "workers" not in out
    assert lines(tmp_path / "kept") == after


@pytest.mark.parametrize("times, said", [(1, "Stopping after"), (2, "Stopped.")])
def test_ctrl_c_ends_a_trial_cleanly(called, tmp_path, monkeypatch, times, said):
    def learn_until_ctrl_c(trial, on_test):
        def press_ctrl_c(*figures):
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return on_test(*figures)

        return learn(trial, press_ctrl_c)

    monkeypatch.setattr(tasks, "learn", learn_until_ctrl_c)
    options = "--max-updates", 10**8, "--test-every", 10, "--run", "kept"
    code, out, errors = called(*QUICK, *options)
    assert code == 130 and errors == "" and said in out
    assert lines(tmp_path / "kept") == []


def test_the_default_sweep_is_there():
    assert all(isinstance(trial, Trial) for trial in expand(DEFAULT))
