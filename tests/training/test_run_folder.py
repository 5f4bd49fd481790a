"""What a run folder keeps, and how it refuses what is damaged."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from theano_rnn.common.errors import RNNError, RNNWarning
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import run_folder
from theano_rnn.training.run_folder import Run

PARAMETERS = {"U": np.arange(6, dtype=np.float32).reshape(2, 3), "W": np.eye(2, dtype=np.float32)}


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "a" / "run")
    run.save_settings({"seed": 3, "text": None})
    return run


def test_a_folder_that_exists_is_refused_and_unharmed(run):
    with pytest.raises(RNNError, match="exists"):
        Run.create(run.folder)
    assert run.settings() == {"seed": 3, "text": None}


def test_a_folder_is_made_once_though_nothing_is_written_yet(tmp_path):
    Run.create(tmp_path / "run")
    with pytest.raises(RNNError, match="exists"):
        Run.create(tmp_path / "run")
    with Run.open(saved(tmp_path / "run")).locked():  # the lock is still this process's
        pass


def saved(folder):
    """The folder, with settings in it."""
    Run(folder).save_settings({})
    return folder


def test_two_runs_of_one_second_have_two_folders(tmp_path):
    made = {Run.create_dated(tmp_path / "runs").folder for _ in range(3)}
    assert made == set((tmp_path / "runs").iterdir()) and len(made) == 3


def test_another_process_cannot_make_the_folder_that_is_being_made(tmp_path, monkeypatch):
    Run.create(tmp_path / "run")
    monkeypatch.setattr(run_folder, "_made", {})  # as it is there
    with pytest.raises(RNNError, match="exists"):
        Run.create(tmp_path / "run")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RNNError, match="cannot be made"):
        Run.create(tmp_path / "file" / "run")


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_settings_is_not_a_run(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RNNError, match="not a run folder"):
        Run.open(tmp_path / name)


def test_a_checkpoint_comes_back_bit_by_bit_with_its_state(run):
    state = {"epoch": 2, "best_loss": 4.7000000000000001, "learning_rate": 0.1}
    run.save_checkpoint("best", PARAMETERS, state)
    parameters, found = Run.open(run.folder).checkpoint("best")
    assert found == state
    assert parameters.keys() == PARAMETERS.keys()
    for name, value in PARAMETERS.items():
        np.testing.assert_array_equal(parameters[name], value)
        assert parameters[name].dtype == value.dtype


def test_an_infinite_best_loss_survives_the_checkpoint(run):
    run.save_checkpoint("last", PARAMETERS, {"best_loss": float("inf")})
    assert run.checkpoint("last")[1] == {"best_loss": float("inf")}


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_nothing_beside_it(run):
    run.save_checkpoint("last", PARAMETERS, {"epoch": 1})
    run.save_checkpoint("last", PARAMETERS, {"epoch": 2})
    assert run.checkpoint("last")[1] == {"epoch": 2}
    assert {path.name for path in run.folder.iterdir()} == {
        "lock", "settings.json", "last.safetensors",
    }  # fmt: skip


def damage_cut(data):
    return data[: len(data) // 2]


def damage_header(data):
    return b"\xff" * 8 + data[8:]


def damage_state(data):
    return data.replace(b"epoch", b"ep\\ch")


@pytest.mark.parametrize("damage", [damage_cut, damage_header, damage_state, lambda data: b""])
def test_a_damaged_checkpoint_is_refused_by_name(run, damage):
    run.save_checkpoint("last", PARAMETERS, {"epoch": 1})
    path = run.folder / "last.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RNNError, match=r"last\.safetensors is damaged"):
        run.checkpoint("last")


def test_one_altered_number_is_found_by_the_checksum(run):
    run.save_checkpoint("last", PARAMETERS, {"epoch": 1})
    path = run.folder / "last.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1  # in the middle of a float
    path.write_bytes(bytes(data))
    with pytest.raises(RNNError, match=r"last\.safetensors is damaged.*checksum"):
        run.checkpoint("last")


def test_the_last_three_are_kept_the_newest_first(run):
    for epoch in range(1, 6):
        run.save_last(PARAMETERS, {"epoch": epoch})
    assert run.last()[1:] == ({"epoch": 5}, [])
    kept = [run.checkpoint(name)[1]["epoch"] for name in ("last", "last-1", "last-2")]
    assert kept == [5, 4, 3]
    assert {path.name for path in run.folder.iterdir()} == {
        "lock", "settings.json", "last.safetensors", "last-1.safetensors", "last-2.safetensors",
    }  # fmt: skip


def test_a_damaged_last_one_is_named_and_the_one_before_is_used(run):
    for epoch in (1, 2, 3):
        run.save_last(PARAMETERS, {"epoch": epoch})
    (run.folder / "last.safetensors").write_bytes(b"torn")
    _, state, refused = run.last()
    assert state == {"epoch": 2}
    (said,) = refused
    assert "last.safetensors is damaged" in said
    for name in ("last-1", "last-2"):
        (run.folder / f"{name}.safetensors").write_bytes(b"torn")
    with pytest.raises(RNNError, match=r"last\.safetensors is .*last-1\.s.*last-2\.safetensors"):
        run.last()


@pytest.mark.parametrize("stops_at", range(4))
def test_a_crash_between_the_renames_leaves_a_checkpoint(run, monkeypatch, stops_at):
    for epoch in (1, 2, 3):
        run.save_last(PARAMETERS, {"epoch": epoch})
    replace, calls = os.replace, []

    def crashing(source, target):
        calls.append(source)
        if len(calls) > stops_at:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        run.save_last(PARAMETERS, {"epoch": 4})
    monkeypatch.undo()
    assert run.last()[1]["epoch"] >= 3
    run.save_last(PARAMETERS, {"epoch": 5})
    assert run.last()[1] == {"epoch": 5}


def on_a_full_disk(run, use, most):
    """What is said where no file can grow beyond so many bytes: a part is written, then no more.

    ``use`` is Python, of an open run and NumPy.
    """
    program = (
        "import resource, signal, sys, numpy as np\n"
        "from theano_rnn.training.run_folder import Run\n"
        "from theano_rnn.common.errors import RNNError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, hard))\n"
        "run = Run.open(sys.argv[1])\n"
        f"try: {use}\n"
        "except RNNError as error: print(error)\n"
        # What measures coverage writes when the process ends.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
    )
    command = [sys.executable, "-c", program, str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("run.save_last({'W': np.ones(10_000)}, {'epoch': 2})", "next.safetensors"),
        ("run.save_checkpoint('best', {'W': np.ones(10_000)}, {})", "best.safetensors"),
        ("run.append_metrics({'epoch': 2, 'valid_loss': 'long ' * 200})", "metrics.jsonl"),
        ("run.save_result({'epochs': 'long ' * 200})", "result.json"),
        ("run.save_settings({'epochs': 'long ' * 200})", "settings.json"),
    ],
)
def test_on_a_full_disk_a_run_is_as_it_was_and_the_file_is_named(run, use, name):
    run.save_last(PARAMETERS, {"epoch": 1})
    run.append_metrics({"epoch": 1})
    before = content(run.folder)
    said = on_a_full_disk(run, use, most=1000)
    assert said == f"{run.folder / name} cannot be written: File too large\n"
    assert content(run.folder) == before


@contextlib.contextmanager
def without_privileges():
    """As a user who may write nothing of root's: permissions do not hold root back."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65534)
    except OSError:
        pytest.skip("root alone, whom no permission holds back")
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_can_only_be_read_is_said_so_and_is_read():
    with tempfile.TemporaryDirectory() as above:  # tmp_path is closed to other users
        run = Run.create(Path(above) / "run")
        run.save_settings({"seed": 3})
        run.save_last(PARAMETERS, {"epoch": 1})
        run.append_metrics({"epoch": 1})
        with run.locked():
            before = content(run.folder)
        for path in run.folder.iterdir():
            path.chmod(0o444)
        run.folder.chmod(0o555)
        os.chmod(above, 0o555)
        try:
            with without_privileges():
                with pytest.raises(RNNError, match=r"other cannot be made: Permission denied$"):
                    Run.create(Path(above) / "other")
                for name, write in {
                    "lock": lambda: run.locked().__enter__(),
                    "next.safetensors": lambda: run.save_last(PARAMETERS, {"epoch": 2}),
                    "metrics.jsonl": lambda: run.append_metrics({"epoch": 2}),
                    "result.json": lambda: run.save_result({}),
                }.items():
                    with pytest.raises(RNNError, match=f"{name} cannot be written: Permission"):
                        write()
                assert Run.open(run.folder).last()[1] == {"epoch": 1}
                assert run.metrics() == [{"epoch": 1}]
                assert content(run.folder) == before
        finally:
            os.chmod(above, 0o755)
            run.folder.chmod(0o755)


@pytest.mark.parametrize("name", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_without_locks_a_run_trains_with_one_warning(tmp_path, monkeypatch, name):
    def flock(*_):
        raise OSError(getattr(errno, name), "not here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = Run.create(tmp_path / "run")
        for _ in range(3):
            with run.locked():
                run.save_settings({})
    assert [str(w.message) for w in said] == [
        f"the file system of {run.folder} has no locks (not here); let only one process at a "
        "time write there"
    ]


def test_a_lock_that_fails_otherwise_is_an_error(run, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RNNError, match="lock cannot be written: broken disk"):
        Run(run.folder)._lock()


def test_where_a_folder_cannot_be_synced_a_run_writes_with_one_warning(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    run = Run.create(tmp_path / "run")
    with pytest.warns(RNNWarning, match="does not sync it") as said:
        run.save_settings({})
        for epoch in range(4):
            run.save_last(PARAMETERS, {"epoch": epoch})
    assert len(said) == 1 and run.last()[1] == {"epoch": 3}


def test_a_snapshot_of_hard_links_is_gone_on_with_and_the_original_stays(run):
    with run.locked():
        for epoch in (1, 2):
            run.save_last(PARAMETERS, {"epoch": epoch})
            run.append_metrics({"epoch": epoch})
    before = content(run.folder)
    snapshot = Run(run.folder.with_name("snapshot"))
    shutil.copytree(run.folder, snapshot.folder, copy_function=os.link)  # cp -al
    with snapshot.locked(), run.locked():  # each has a lock of its own
        snapshot.append_metrics({"epoch": 3})
        snapshot.save_last(PARAMETERS, {"epoch": 3})
        snapshot.save_settings({"seed": 4})
        assert content(run.folder) == before
    assert [record["epoch"] for record in snapshot.metrics()] == [1, 2, 3]


def test_the_lock_of_a_run_that_trains_holds_for_its_snapshot_too(run):
    snapshot = Run(run.folder.with_name("snapshot"))
    with run.locked():
        shutil.copytree(run.folder, snapshot.folder, copy_function=os.link)
        for folder in (run.folder, snapshot.folder):  # nor is a second lock made in its own folder
            with pytest.raises(RNNError, match=f"process {os.getpid()} is training"):
                Run(folder).locked().__enter__()
    with snapshot.locked():
        pass


def test_a_second_process_is_refused_and_told_of_the_first(run):
    with run.locked():  # which ends what creating it began
        pass
    program = (
        "import sys\n"
        "from theano_rnn.training.run_folder import Run\n"
        "with Run.open(sys.argv[1]).locked(): print('in', flush=True); input()\n"
    )
    command = [sys.executable, "-c", program, str(run.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "in\n"
        with pytest.raises(RNNError, match=f"process {p.pid} is training in .*wait for its end"):
            with run.locked():
                pass
        p.kill()
        p.wait()
    with run.locked():  # it went with its process
        pass


def test_what_was_killed_before_it_had_settings_is_made_again(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tokenizer.json").write_text("half")
    with pytest.raises(RNNError, match="exists"):  # it may be somebody's own
        Run.create(tmp_path / "run")
    (tmp_path / "run" / "lock").write_text("123")
    Run.create(tmp_path / "run").discard()
    assert not (tmp_path / "run").exists()
    Run.create(tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(RNNError, match="exists"):
        Run.create(tmp_path / "run")


def test_an_empty_folder_of_the_user_stays_where_nothing_was_learned(tmp_path):
    run = Run.create(tmp_path)
    run.save_samples(["a cat"])
    run.discard()
    assert tmp_path.is_dir() and not [*tmp_path.iterdir()]


def test_a_damaged_record_is_named_by_its_line(run):
    (run.folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo\n')
    with pytest.raises(RNNError, match=r"line 3 of .*metrics\.jsonl is damaged .*; remove it"):
        run.metrics()
    (run.folder / "metrics.jsonl").unlink()
    (run.folder / "metrics.jsonl").mkdir()
    with pytest.raises(RNNError, match=r"metrics\.jsonl cannot be read"):
        run.metrics()


def test_a_checkpoint_of_another_program_is_refused(run):
    import safetensors.numpy

    safetensors.numpy.save_file(PARAMETERS, str(run.folder / "last.safetensors"))
    with pytest.raises(RNNError, match="damaged"):
        run.checkpoint("last")


def test_a_missing_checkpoint_is_an_error(run):
    with pytest.raises(RNNError, match=r"no checkpoint best\.safetensors"):
        run.checkpoint("best")


def test_damaged_settings_are_refused(run):
    (run.folder / "settings.json").write_text("{")
    with pytest.raises(RNNError, match=r"settings\.json is damaged"):
        run.settings()


def test_metrics_are_kept_line_by_line(run):
    assert run.metrics() == []
    run.append_metrics({"epoch": 1, "valid_loss": 5.5})
    run.append_metrics({"epoch": 2, "valid_loss": 5.25})
    assert [record["valid_loss"] for record in run.metrics()] == [5.5, 5.25]
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"epoch": 2, "valid_loss": 5.25}


def test_a_damaged_line_of_metrics_is_refused(run):
    (run.folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(RNNError, match=r"metrics\.jsonl is damaged"):
        run.metrics()


def test_the_vocabulary_comes_back(run):
    vocabulary = Vocabulary.train(["a cat sat", "a dog"], "word")
    run.save_vocabulary(vocabulary)
    assert run.vocabulary().tokens == vocabulary.tokens


def test_the_picture_of_the_loss_is_a_png(run):
    for epoch in (1, 2):
        run.append_metrics({"epoch": epoch, "train_loss": 5.0 / epoch, "valid_loss": 4.0})
    run.save_loss_picture()
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_samples_and_result_are_readable(run):
    run.save_samples(["one two.", "“three”"])
    assert (run.folder / "samples.txt").read_text(encoding="utf-8") == "one two.\n“three”\n"
    run.save_result({"test_perplexity": 90.5})
    assert json.loads((run.folder / "result.json").read_text()) == {"test_perplexity": 90.5}


def test_a_folder_that_is_gone_is_an_error_not_a_traceback(run):
    shutil.rmtree(run.folder)
    for write in (
        lambda: run.save_result({}),
        lambda: run.append_metrics({}),
        lambda: run.save_checkpoint("last", PARAMETERS, {}),
        lambda: run.save_vocabulary(Vocabulary.train(["a cat"], "word")),
    ):
        with pytest.raises(RNNError, match=r"cannot (be written|write)"):
            write()
