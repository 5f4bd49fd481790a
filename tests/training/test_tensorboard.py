"""The metrics of a run as TensorBoard events, read back as TensorBoard reads them."""

import importlib.util
import json
import struct
import sys

import pytest

from theano_rnn.commands import train
from theano_rnn.common.errors import RNNError
from theano_rnn.training import tensorboard
from theano_rnn.training.run_folder import Run

needs_tensorboardX = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None,
    reason="tensorboardX is not installed: the extra tensorboard",
)
RECORD = {
    "epoch": 1, "train_loss": 2.5, "valid_loss": 2.25, "valid_perplexity": 9.5,
    "learning_rate": 0.1, "gradient_norm": 3.0, "clipped": 0.25, "skipped": 0, "tokens": 100,
    "seconds": 0.5,
}  # fmt: skip


def read(path):
    """The events of a file: each between its length and its checksum."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
        content, data = data[12 : 12 + length], data[12 + length :]
        assert struct.unpack("<I", data[:4])[0] == masked_crc32c(content)
        found.append(Event.FromString(content))
        data = data[4:]
    return found


def shown(folder):
    """What TensorBoard shows of a folder: {tag: {step: value}}, restarts heeded.

    A session that starts at a step forgets the steps from there on. No step comes twice.
    """
    tags = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        first, *others = read(path)
        assert first.file_version == "brain.Event:2"
        for event in others:
            if event.HasField("session_log"):
                tags = {t: {s: x for s, x in v.items() if s < event.step} for t, v in tags.items()}
            for value in event.summary.value:
                assert event.step not in tags.setdefault(value.tag, {})
                tags[value.tag][event.step] = value.simple_value
    return tags


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["The cat sat.", "A dog ran home.", "The dog saw a cat.", "A cat ran.", "The dog sat."]
    (tmp_path / "text.txt").write_text("\n\n".join(words * 8))
    return tmp_path


SMALL = "--text text.txt --cell tanh --hidden-size 3 --epochs 2 --run run".split()


@needs_tensorboardX
def test_a_training_writes_its_metrics_and_a_resumed_one_goes_on_with_them(folder, capsys):
    assert train.main([*SMALL, "--tensorboard", "--watch"]) == 0, capsys.readouterr().err
    assert train.main(["--resume", "run", "--epochs", "3"]) == 0, capsys.readouterr().err
    metrics = [json.loads(x) for x in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    found = shown(folder / "run" / "tensorboard")
    assert {
        "loss/training", "loss/validation", "training/learning_rate", "training/gradient_norm",
        "training/clip_rate", "training/tokens_per_second", "watch/sigma_max", "watch/live_steps",
    } <= set(found)  # fmt: skip
    of_records = [tensorboard.scalars(record) for record in metrics]
    assert found == {
        tag: pytest.approx({n: x[tag] for n, x in enumerate(of_records, 1)}, rel=1e-6)
        for tag in of_records[0]
    }
    assert list(found["loss/training"]) == [1, 2, 3]


@needs_tensorboardX
def test_an_epoch_that_is_trained_again_comes_once(tmp_path):
    run = Run.create(tmp_path / "run")
    run.write_events()
    for epoch in (1, 2, 3):
        run.append_metrics({**RECORD, "epoch": epoch})
    # Killed before the checkpoint of epoch 3, or gone back to that of epoch 1.
    for last in (2, 1):
        run = Run(tmp_path / "run")
        run.write_events()
        run.drop_metrics_after(last)
        for epoch in range(last + 1, 5):
            run.append_metrics({**RECORD, "epoch": epoch, "train_loss": 10.0 * last})
    found = shown(run.folder / "tensorboard")
    assert found["loss/training"] == {1: 2.5, 2: 10.0, 3: 10.0, 4: 10.0}
    assert found["training/tokens_per_second"] == dict.fromkeys((1, 2, 3, 4), 200.0)


@needs_tensorboardX
def test_the_epochs_before_are_written_where_events_begin_later(tmp_path):
    run = Run.create(tmp_path / "run")
    run.append_metrics(RECORD)
    run.append_metrics({**RECORD, "epoch": 2, "valid_loss": float("inf"), "clipped": None})
    run.write_events()
    run.append_metrics({**RECORD, "epoch": 3, "valid_perplexity": 1e300})
    found = shown(run.folder / "tensorboard")
    assert found["loss/validation"] == {1: 2.25, 2: float("inf"), 3: 2.25}
    assert found["loss/validation_perplexity"] == {1: 9.5, 2: 9.5, 3: float("inf")}
    assert found["training/clip_rate"] == {1: 0.25, 3: 0.25}


@needs_tensorboardX
def test_events_that_cannot_be_written_are_an_error_that_names_the_folder(tmp_path):
    run = Run.create(tmp_path / "run")
    (run.folder / "tensorboard").write_text("")
    run.write_events()
    with pytest.raises(RNNError, match="tensorboard cannot be written: File exists"):
        run.append_metrics(RECORD)


@pytest.mark.slow
@needs_tensorboardX
def test_a_resumed_run_can_begin_and_stop_to_write_events(folder, capsys):
    assert train.main([*SMALL, "--epochs", "1"]) == 0
    assert not (folder / "run" / "tensorboard").exists()
    assert train.main(["--resume", "run", "--epochs", "2", "--tensorboard"]) == 0
    assert list(shown(folder / "run" / "tensorboard")["loss/training"]) == [1, 2]
    assert Run(folder / "run").settings()["tensorboard"] is True
    assert train.main(["--resume", "run", "--epochs", "3", "--no-tensorboard"]) == 0
    assert list(shown(folder / "run" / "tensorboard")["loss/training"]) == [1, 2]


def test_without_tensorboardX_it_is_one_line_that_says_what_to_install(
    folder, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train.main([*SMALL, "--tensorboard"]) == 2
    err = capsys.readouterr().err
    assert "pip install 'theano-rnn[tensorboard]'" in err and len(err.splitlines()) == 1
    assert not (folder / "run").exists()


def test_the_figures_of_an_epoch_and_no_others_are_scalars():
    assert tensorboard.scalars({**RECORD, "omega": 0.5, "live_steps": None}) == {
        "loss/training": 2.5,
        "loss/validation": 2.25,
        "loss/validation_perplexity": 9.5,
        "training/learning_rate": 0.1,
        "training/gradient_norm": 3.0,
        "training/clip_rate": 0.25,
        "training/skipped_steps": 0.0,
        "training/tokens_per_second": 200.0,
        "watch/omega": 0.5,
    }
    assert "training/tokens_per_second" not in tensorboard.scalars({**RECORD, "seconds": 0.0})
