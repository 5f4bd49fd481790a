"""A training that is killed, at any moment, and gone on with ends as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import trainings
from conftest import ROOT, first
from interpreters import Forked
from trainings import without_times

from theano_rnn.training.run_folder import Run

SCRIPT = ROOT / "scripts" / "train.py"
#: Dropout, an optimizer with a state, a stream: all that a checkpoint has to hold.
TRAINING = (
    "--text text.txt --cell lstm --hidden-size 6 --optimizer adam --stream "
    "--dropout 0.3 --variational --dropout-recurrent 0.2 --weight-drop 0.2 "
    "--patience 0 --learning-rate 0.01 --truncation chunk:5 --batch-size 2 --epochs 2 "
    "--checkpoint-every 3"
).split()


#: Seconds of a training; the first one compiles, on a machine that may do other work too.
LONGEST = 1800


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    words, rng = "the cat dog sat ran home to a and saw".split(), random.Random(0)
    lines = [" ".join(rng.choices(words, k=rng.randint(2, 8))) + "." for _ in range(60)]
    (folder / "text.txt").write_text("\n\n".join(line.capitalize() for line in lines))
    return folder


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # or it would train on when the tests have ended
        raise
    assert process.returncode == 0, err
    return out


def left_behind(run):
    """What a finished run has reached, its result and its samples too, but for its times."""
    result = without_times(json.loads((run / "result.json").read_text()))
    return [*trainings.left_behind(Run(run)), result, (run / "samples.txt").read_text()]


@pytest.fixture(scope="module")
def whole(folder):
    """What a training leaves that is left alone, and the seconds it takes once compiled."""
    finish(start(folder, *TRAINING, "--run", "first"))
    begin = time.monotonic()
    finish(start(folder, *TRAINING, "--run", "whole"))
    seconds = time.monotonic() - begin
    assert left_behind(folder / "whole") == left_behind(folder / "first")
    return left_behind(folder / "whole"), seconds


def killed_and_gone_on_with(folder, name, seconds, moments):
    """Kill a training after each of some times, go on with it each time, and to its end."""
    run = folder / name

    def begin():
        is_begun = (run / "settings.json").exists()
        return start(folder, *(["--resume", name] if is_begun else [*TRAINING, "--run", name]))

    for moment in moments:
        process = begin()
        time.sleep(moment * seconds)
        os.killpg(process.pid, signal.SIGKILL)
        _, err = process.communicate(timeout=LONGEST)
        assert "Traceback" not in err
    if not (run / "result.json").exists():
        finish(begin())
    return left_behind(run)


@pytest.mark.slow
def test_killed_twice_it_ends_the_same(folder, whole):
    expected, seconds = whole
    assert killed_and_gone_on_with(folder, "twice", seconds, [0.6, 0.75]) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", first(5, range(50), pytest.mark.exhaustive))
def test_killed_at_any_moment_it_ends_the_same(folder, whole, number):
    expected, seconds = whole
    moment = random.Random(number).random()
    assert killed_and_gone_on_with(folder, f"run{number}", seconds, [moment]) == expected


def whole_run(folder):
    """Whether all that a stopped run leaves is there and can be read, and where it stands."""
    run = Run(folder)
    _, state, refused = run.last()
    names = "best.safetensors settings.json tokenizer.json".split()
    return (
        not refused
        and all((folder / name).stat().st_size for name in names)
        and state["epoch"] == len(run.metrics())
        and run.checkpoint("best")[1]["epoch"] == state["best_epoch"]
        and run.vocabulary().size > 0
    )


def test_sigterm_ends_at_the_next_step_with_everything_written(folder):
    arguments = "--text text.txt --hidden-size 4 --epochs 100000 --run terminated".split()
    process = Forked(SCRIPT, *arguments, cwd=folder)
    while not (folder / "terminated" / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    done = process.wait()
    assert done.returncode == 0, done.stderr
    assert "as SIGTERM asks" in done.stdout and "--resume terminated" in done.stdout
    assert whole_run(folder / "terminated")


@pytest.mark.slow
def test_two_processes_cannot_train_in_one_folder(folder):
    process = start(folder, *TRAINING[:-2], "--epochs", "100000", "--run", "shared")
    while not (folder / "shared" / "last.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.05)
    second = start(folder, "--resume", "shared")
    _, err = second.communicate(timeout=300)
    assert second.returncode == 2
    assert f"process {process.pid} is training in shared" in err and len(err.splitlines()) == 1
    third = start(folder, *TRAINING, "--run", "shared")
    _, err = third.communicate(timeout=300)
    assert third.returncode == 2 and "the run folder shared exists" in err
    assert len(err.splitlines()) == 1 and process.poll() is None
    process.send_signal(signal.SIGTERM)
    finish(process)
    assert whole_run(folder / "shared")
