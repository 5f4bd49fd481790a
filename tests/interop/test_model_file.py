"""A network in one file: it comes back whole, and what is no such file is refused by its path."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy
from kinds import assert_same

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.interop.model_file import KEY

KINDS = [
    {},
    {"cell": "gru", "layers": 2, "bias": True, "embedding_size": 4, "dtype": "float64"},
    {"dropout": 0.5, "variational": True, "dropout_recurrent": 0.2, "weight_drop": 0.3},
    {"cell": "lstm", "tied": True, "embedding_size": 3, "dropout": 0.5, "truncation": "last:2"},
    {"cell": "gru_after", "tied": True, "bias": True, "embedding_size": 2},
    {"cell": "relu", "initialization": "identity", "dtype": "float32"},
]


@pytest.mark.parametrize("settings", KINDS, ids=lambda kind: kind.get("cell", "tanh"))
def test_a_saved_model_comes_back_bit_by_bit(tmp_path, settings):
    model = RNN(7, 3, seed=2, **settings)
    model.save(tmp_path / "model.safetensors")
    same = RNN.load(tmp_path / "model.safetensors")
    assert same.architecture == model.architecture and same.dtype == model.dtype
    assert str(same.truncation) == str(model.truncation)
    assert_same(same.parameters(), model.parameters())


def test_settings_that_are_given_take_the_place_of_the_saved_ones(tmp_path):
    RNN(7, 3, truncation="window:4", dropout=0.5, dtype="float32").save(tmp_path / "file")
    model = RNN.load(tmp_path / "file", truncation="full", dropout=0.0, dtype="float64")
    assert (model.truncation, model.architecture.dropout, model.dtype) == ("full", 0.0, "float64")
    with pytest.raises(RNNError, match="hidden_size cannot be given beside a file"):
        RNN.load(tmp_path / "file", hidden_size=4)


def test_dropout_of_a_saved_model_is_switched_off_by_its_rate(tmp_path):
    RNN(7, 3, dropout=0.5, variational=True).save(tmp_path / "file")
    assert not RNN.load(tmp_path / "file", dropout=0.0).architecture.variational
    assert RNN.load(tmp_path / "file").architecture.variational
    with pytest.raises(RNNError, match="variational"):
        RNN.load(tmp_path / "file", dropout=0.0, variational=True)


def saved(path, about):
    arrays = {"U": np.ones((3, 7)), "V": np.ones((7, 3)), "W": np.ones((3, 3))}
    metadata = {KEY: about if isinstance(about, str) else json.dumps(about)}
    safetensors.numpy.save_file(arrays, path, metadata)


@pytest.mark.parametrize("about, message", [
    ("{", "is not a file of RNN.save, or is damaged"),
    ([], "is not a file of RNN.save, or is damaged"),
    ({"architecture": {"vocab_size": 7, "hidden_size": 3}}, "is not a file of RNN.save"),
    ({"architecture": {"vocab_size": 7, "hidden_size": 4}, "truncation": "full"}, "U has shape"),
    ({"architecture": {"vocab_size": 7, "depth": 4}, "truncation": "full"}, "is not a file of RN"),
    ({"architecture": {"vocab_size": 2**60, "hidden_size": 2**60}, "truncation": "full"},
     "U has shape"),
])  # fmt: skip
def test_metadata_that_do_not_fit_are_refused(tmp_path, about, message):
    saved(tmp_path / "file", about)
    with pytest.raises(RNNError, match=rf"{tmp_path}/file.*{message}"):
        RNN.load(tmp_path / "file")


def test_other_files_are_refused_and_what_reads_them_is_named(tmp_path):
    with pytest.raises(RNNError, match="none: No such file"):
        RNN.load(tmp_path / "none")
    with pytest.raises(RNNError, match="it is not a file but a folder"):
        RNN.load(tmp_path)
    (tmp_path / "file").write_bytes(b"no tensors at all")
    with pytest.raises(RNNError, match="file is not a file of RNN"):
        RNN.load(tmp_path / "file")
    RNN(7, 3).to_torch(tmp_path / "file")
    with pytest.raises(RNNError, match=r"no architecture.*RNN\.from_torch.*theano_rnn\.load"):
        RNN.load(tmp_path / "file")
    with pytest.raises(RNNError, match="cannot be written: Is a directory"):
        RNN(7, 3).save(tmp_path)


@pytest.mark.parametrize("read", [RNN.load, RNN.from_npz, RNN.from_torch])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RNNError, match="not a file but a folder, a pipe or a device"):
        read(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("read", "settings", "message"),
    [
        (RNN.load, {"cell": "sigmoid"}, "cell cannot be given beside a file; these can: dropout"),
        (RNN.load, {"hiden_size": 3}, "hiden_size cannot be given"),
        (RNN.from_torch, {"bias": False}, "bias cannot be given beside a file"),
        (RNN.from_npz, {"vocab_size": 5}, "vocab_size is that of the file; leave it out"),
    ],
)
def test_what_the_file_says_is_no_setting(tmp_path, read, settings, message):
    with pytest.raises(RNNError, match=message):
        read(tmp_path / "file", **settings)


def test_an_export_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "file"
    RNN(7, 3, seed=1).to_torch(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("theano_rnn.common.files.os.replace", full)
        with pytest.raises(RNNError, match="cannot be written: No space left"):
            RNN(7, 3, seed=2).to_torch(path)
    assert path.read_bytes() == before
