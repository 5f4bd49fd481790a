"""What a run folder keeps, and how it refuses what is damaged."""

import json

import numpy as np
import pytest

from theano_rnn.errors import RNNError
from theano_rnn.run import Run
from theano_rnn.vocabulary import Vocabulary

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
    assert {path.name for path in run.folder.iterdir()} == {"settings.json", "last.safetensors"}


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
    (run.folder / "settings.json").unlink()
    run.folder.rmdir()
    for write in (
        lambda: run.save_result({}),
        lambda: run.append_metrics({}),
        lambda: run.save_checkpoint("last", PARAMETERS, {}),
        lambda: run.save_vocabulary(Vocabulary.train(["a cat"], "word")),
    ):
        with pytest.raises(RNNError, match=r"cannot (be written|write)"):
            write()
