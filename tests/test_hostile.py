"""Hostile files and arguments: what fuzzing and a review of the readers found."""

import io
import json
import os
import struct
import tracemalloc
import zipfile
from dataclasses import asdict

import numpy as np
import pytest
from fuzz.hostile import Rude

from theano_rnn import RNN, RNNError
from theano_rnn.common import memory
from theano_rnn.common.validation import token_pairs
from theano_rnn.long_term import grid
from theano_rnn.long_term.results import Results
from theano_rnn.long_term.tasks import TASKS
from theano_rnn.long_term.trial import Trial
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.batch_inputs import batch_inputs
from theano_rnn.model.truncation import parse
from theano_rnn.reference import NumpyRNN
from theano_rnn.text.batches import buckets
from theano_rnn.text.corpus import read_text
from theano_rnn.text.python_docs import python_sentences
from theano_rnn.text.reading import read_whole
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.build import build_model
from theano_rnn.training.load import load
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State, state_of

#: More digits than Python writes.
HUGE = 10**5000


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run")
    vocabulary = Vocabulary.train(["a cat sat"])
    settings = Settings(hidden_size=3)
    run.save_vocabulary(vocabulary)
    run.save_settings(asdict(settings))
    run.save_checkpoint("best", build_model(settings, vocabulary.size).parameters(), {"epoch": 1})
    with run.locked():  # which ends what creating it began
        pass
    return run


@pytest.fixture
def outside(tmp_path):
    file = tmp_path / "outside"
    file.write_text("mine")
    return file


def refused(call, message):
    """RNNError with the message, before a hundred megabytes are allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(RNNError, match=message) as error:
            call()
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 1000


# ---- npz


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(header, numbers=b""):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + numbers


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("U.npy", "w") as file:
            file.write(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 8000000)}"))
            for _ in range(32):
                file.write(bytes(4_000_000))
    assert (tmp_path / "bomb.npz").stat().st_size < 1_000_000
    refused(lambda: RNN.from_npz(tmp_path / "bomb.npz"), "it would grow to 128,000,")


def test_an_array_that_says_it_is_large_gets_no_room(tmp_path):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 10000)}"
    (tmp_path / "a.npz").write_bytes(zipped(U=npy(header)))
    refused(lambda: RNN.from_npz(tmp_path / "a.npz"), "fewer numbers than it says")


def test_no_network_is_made_that_is_larger_than_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", U=np.zeros((1, 3)), V=np.zeros((3, 9)), W=np.zeros((1, 15_000)))
    refused(lambda: RNN.from_npz(tmp_path / "a.npz"), "parameter U has shape")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_only_numpys_own_compression_is_read(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("U.npy", b"x" * 99)
    refused(lambda: RNN.from_npz(tmp_path / "a.npz"), "a way that NumPy does not use")


# ---- safetensors


def checkpoint(header, numbers=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "F4"])
def test_numbers_that_numpy_does_not_know_are_damage(run, dtype):
    size = 2 if dtype == "BF16" else 1
    shape = [2] if dtype == "F4" else [1]
    array = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    (run.folder / "last.safetensors").write_bytes(checkpoint({"W": array}, b"\1" * size))
    refused(run.last, "is damaged")


def test_a_header_as_large_as_the_file_is_refused_unread(run):
    with open(run.folder / "last.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 90_000_000) + b'{"a":')
        file.truncate(90_000_100)
    refused(run.last, "its header is not that of a safetensors file")


def test_a_checkpoint_beyond_the_memory_is_refused(run, monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 1000)
    refused(lambda: run.checkpoint("best"), "are more than the memory")


@pytest.mark.parametrize("state", ["[]", "1", "null", '"x"'])
def test_a_state_that_is_no_object_is_damage(run, state):
    header = {"__metadata__": {"state": state, "sha256": ""}}
    (run.folder / "last.safetensors").write_bytes(checkpoint(header))
    refused(run.last, "has no state of a training")


@pytest.mark.parametrize(
    "change",
    [{"epoch": "1"}, {"epoch": -1}, {"step": 1.5}, {"learning_rate": float("nan")}, {"loss": None},
     {"best_loss": float("nan")}, {"seconds_to_first_step": "x"}, {"colour": 1}],
)  # fmt: skip
def test_a_state_with_other_than_its_numbers_does_not_fit(change):
    values = asdict(State(learning_rate=0.1))
    assert state_of(values) == State(learning_rate=0.1)
    refused(lambda: state_of({**values, **change}), "of its state|another version")


# ---- JSON


DEEP = "[" * 100_000


def test_json_too_deep_for_python_is_refused_everywhere(run):
    for name in ("settings.json", "tokenizer.json", "metrics.jsonl", "result.json"):
        (run.folder / name).write_text(DEEP)
    for read in (run.settings, run.vocabulary, run.metrics, lambda: run.epochs_judged):
        refused(read, "damaged")
    refused(lambda: grid.read_grid(run.folder / "settings.json"), "cannot be read")
    (run.folder / "results.jsonl").write_text(DEEP + "\n")
    refused(lambda: Results(run.folder), "is not a record of a trial")


@pytest.mark.parametrize("name", ["settings.json", "metrics.jsonl", "tokenizer.json"])
def test_files_without_end_are_not_read(run, name):
    path = run.folder / name
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    read = {"settings.json": run.settings, "metrics.jsonl": run.metrics}.get(name, run.vocabulary)
    refused(read, "not a file but")
    path.unlink()
    os.mkfifo(path)  # nobody writes: to open it would wait for ever
    refused(read, "not a file but")
    path.unlink()
    path.touch()
    os.truncate(path, 10**12)
    refused(read, "it is longer than")


@pytest.mark.parametrize(
    "line",
    ["1", "null", "{}", '{"epoch": "1"}', '{"epoch": NaN}', '{"epoch": 1e999}', '{"epoch": true}'],
)
def test_a_line_of_metrics_that_is_no_record_is_refused(run, line):
    (run.folder / "metrics.jsonl").write_text(line + "\n")
    refused(lambda: run.drop_metrics_after(1), "is damaged")


def test_a_picture_is_not_made_of_records_without_losses(run):
    run.append_metrics({"epoch": 1})
    refused(run.save_loss_picture, "numbers for epoch, train_loss, valid_loss")


def test_a_record_of_a_sweep_without_its_outcome_is_refused(tmp_path):
    whole = {**asdict(Trial("addition", 10)), "solved": True, "updates": 1, "seconds": 1.0,
             "error_rate": None, "ended": "solved"}  # fmt: skip
    for change in ({}, {"solved": 1}, {"updates": "1"}, {"length": 1}, {"seconds": float("nan")}):
        record = {**whole, **change}
        (tmp_path / "results.jsonl").write_text(json.dumps(record) + "\n")
        if not change:
            with Results(tmp_path) as results:
                assert len(results.records) == 1
        else:
            refused(lambda: Results(tmp_path), "is not a record of a trial")


# ---- settings, and numbers that ask for too much


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layers": 10**9}, "layers must be at most 100"),
        ({"hidden_size": 10**30}, "hidden_size must be below 2"),
        ({"seed": HUGE}, "seed must be below 2.63, not an int that cannot be shown"),
        ({"seed": -HUGE}, "seed must be a whole number"),
        ({"checkpoint_every": HUGE}, "is no interval"),
        ({"text": 5}, "text must be a name"),
        ({"column": ["a"]}, "column must be a name"),
        ({"level": ["word"]}, "level .* is unknown"),
        ({"vocab_size": "9"}, "vocab_size must be a whole number"),
        ({"clip_by": {}}, "clip_by {} is unknown"),
        ({"on_nonfinite": []}, "on_nonfinite .* is unknown"),
        ({"cell": "x" * 10**6}, "cell 'xxxx.* is unknown"),
        ({"x" * 10**6: 1}, "unknown settings 'xxxx"),
    ],
)
def test_hostile_settings_are_refused_at_once(change, message):
    refused(lambda: Settings.from_dict(change, "settings.json"), message)


def test_a_run_whose_settings_are_larger_than_its_checkpoint_makes_no_network(run):
    settings = run.settings()
    (run.folder / "settings.json").write_text(json.dumps({**settings, "hidden_size": 12_000}))
    refused(lambda: load(run.folder), "do not belong together: parameter U has shape")


def test_layers_without_end_are_refused_by_both_networks():
    refused(lambda: Architecture(5, 3, layers=10**9), "layers must be at most 100")
    with pytest.raises(ValueError, match="layers is more than 100"):
        NumpyRNN({}, layers=10**9)


def test_sizes_do_not_wrap_around():
    small = Architecture(5, np.int8(100), cell="lstm")
    assert small.shapes["W"] == (400, 100) and type(small.hidden_size) is int
    trial = Trial("addition", np.int64(10), hidden_size=np.int8(100))
    assert json.loads(json.dumps(asdict(trial)))["hidden_size"] == 100


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Trial("addition", 10**12).check_memory(), "this trial needs"),
        (lambda: Trial("addition", 10, hidden_size=10**6).check_memory(), "this trial needs"),
        (lambda: Trial("addition", 10, batch_size=10**12).check_memory(), "this trial needs"),
        (lambda: TASKS["permutation"].generate(np.random.default_rng(0), 10**9, 99), "memory"),
        (lambda: TASKS["addition"].generate(5, 10, 1), "rng must be"),
        (lambda: batch_inputs(np.zeros(9, int), np.zeros(9, int), None, 2**40, False), "at once"),
        (lambda: generate(None, None, count=2**62), "at most 1,000,000"),
    ],
)
def test_what_would_fill_the_memory_is_refused(call, message):
    refused(call, message)


def test_a_grid_of_more_trials_than_can_be_run_is_refused(tmp_path):
    block = {"task": "addition", "length": list(range(10, 110)), "seed": list(range(100)),
             "hidden_size": list(range(1, 101)), "batch_size": list(range(1, 101))}  # fmt: skip
    (tmp_path / "grid.json").write_text(json.dumps([block]))
    refused(lambda: grid.read_grid(tmp_path / "grid.json"), "more than 100,000 trials")


# ---- texts


def test_a_table_of_many_columns_and_rows_takes_no_time(tmp_path):
    columns = ",".join(f"c{i}" for i in range(50_000))
    (tmp_path / "a.csv").write_text(columns + "\n" + "x\n" * 50_000)
    # Columns times rows is 2.5 billion: a reader that visits them all would not end here.
    assert read_whole(tmp_path / "a.csv", "c0").startswith("x\n\nx")


def test_rows_are_read_as_before(tmp_path):
    (tmp_path / "a.csv").write_text("\na,b,a\n1,2,3\n4\n\n5,6,\n,,7\n")
    assert read_whole(tmp_path / "a.csv", "a") == "3\n\n7"  # the last column of a name
    assert read_whole(tmp_path / "a.csv", "b") == "2\n\n6"


def test_a_text_beyond_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 16 * 2**20)
    (tmp_path / "a.txt").write_bytes(b"a " * 2**20)
    vocabulary = Vocabulary.train(["a b"])
    refused(lambda: read_text(vocabulary, tmp_path / "a.txt"), "it is longer than 1,048,576 bytes")
    refused(lambda: read_text(vocabulary, "/dev/zero"), "it is longer than")


def test_a_library_of_pipes_and_devices_has_no_documentation(tmp_path):
    os.mkfifo(tmp_path / "a.py")
    (tmp_path / "b.py").symlink_to("/dev/zero")
    refused(lambda: python_sentences(tmp_path), "no documentation")


# ---- links


@pytest.mark.parametrize("make", ["symlink", "hard link"])
@pytest.mark.parametrize("name", ["lock", "metrics.jsonl"])
def test_what_a_link_leads_to_is_neither_changed_nor_made(run, outside, name, make):
    path = run.folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(outside) if make == "symlink" else os.link(outside, path)

    def lock():
        with run.locked():
            pass

    use = lock if name == "lock" else lambda: run.append_metrics({"epoch": 1})
    if make == "symlink":
        refused(use, "remove it")
    else:  # as in a snapshot by cp -al: the run changes a copy
        use()
        assert path.stat().st_nlink == 1
    assert outside.read_text() == "mine"
    path.unlink()
    path.symlink_to(outside.with_name("new"))
    refused(use, "remove it")
    assert not outside.with_name("new").exists()


@pytest.mark.parametrize(
    "name",
    ["settings.json", "settings.json.new", "tokenizer.json", "tokenizer.json.new", "loss.png",
     "samples.txt.new", "next.safetensors.new", "last.safetensors"],
)  # fmt: skip
def test_what_is_written_takes_the_place_of_a_link(run, outside, name):
    path = run.folder / name
    path.unlink(missing_ok=True)
    path.symlink_to(outside)
    run.append_metrics({"epoch": 1, "train_loss": 1.0, "valid_loss": 1.0})
    run.save_settings({})
    run.save_vocabulary(Vocabulary.train(["a cat"]))
    run.save_loss_picture()
    run.save_samples(["a"])
    run.save_last({"W": np.zeros(2)}, {"epoch": 1})
    assert outside.read_text() == "mine"
    assert not path.is_symlink()


def test_a_vocabulary_saved_anywhere_takes_the_place_of_a_link(tmp_path, outside):
    (tmp_path / "tokenizer.json").symlink_to(outside)
    Vocabulary.train(["a cat"]).save(tmp_path / "tokenizer.json")
    assert outside.read_text() == "mine"


def test_results_of_a_sweep_are_not_written_through_a_link(tmp_path, outside):
    (tmp_path / "results.jsonl").symlink_to(outside)
    refused(lambda: Results(tmp_path), "remove it")
    assert outside.read_text() == "mine"  # its line without an end was cut off


# ---- arguments


@pytest.mark.parametrize(
    "call",
    [
        lambda: parse(np.array(["full", "full"])),
        lambda: parse("full", HUGE),
        lambda: parse("full", None, -HUGE),
        lambda: token_pairs(np.array(3), np.array(3), 5),
        lambda: batch_inputs(Rude(), [1], None, 5, False),
        lambda: batch_inputs([[0, 1]], None, None, 5, False),
        lambda: Vocabulary(5),
        lambda: Vocabulary(["<s>", "</s>", "<unk>", 1]),
        lambda: Vocabulary(["<s>", "</s>", "<unk>", "\ud800"]),
        lambda: Vocabulary.train(5),
        lambda: Vocabulary.train(["a"], tokenized=np.zeros(2)),
        lambda: Vocabulary.train(["a"]).decode(["a"]),
        lambda: Vocabulary.train(["a"]).decode(np.array(0)),
        lambda: Vocabulary.train(["a"]).encode(HUGE),
        lambda: Vocabulary.load(HUGE),
        lambda: Run.open(5),
        lambda: Run.open("x" * 5000),
        lambda: Run.create("a\0b"),
        lambda: read_whole(5),
        lambda: buckets(5, 1, 0),
        lambda: buckets([3.5], 1, 0),
        lambda: buckets([np.zeros((3, 3), int)], 1, 0),
        lambda: RNN(5, 3, dtype=np.zeros(2)),
        lambda: RNN(5, 3, initialization=HUGE),
        lambda: python_sentences(5),
        lambda: Trial("addition", 10, remedy=HUGE),
    ],
)
def test_values_of_another_kind_end_in_the_projects_own_error(call):
    refused(call, ".")


def test_a_model_and_a_vocabulary_of_different_sizes_are_refused():
    model = RNN(2, 3)
    model.next_token = lambda token, state=None: (np.full(2, 0.5), np.zeros(3))
    refused(lambda: generate(model, Vocabulary.train(["a cat"])), "the model has 2 tokens")
    refused(lambda: generate(model, Vocabulary.train(["a cat"]), prime=5), "prime must be a text")
