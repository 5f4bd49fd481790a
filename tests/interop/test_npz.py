"""Models of .npz files: what is read, and what is refused."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import net

from theano_rnn import RNN, RNNError

H, VOCAB = 4, 7


def bits(parameters):
    return {name: (p.shape, p.dtype, p.tobytes()) for name, p in parameters.items()}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "parameters.npz"
    parameters, _, _ = net(11, H, VOCAB)
    np.savez(path, **parameters)
    return path


def test_from_npz_makes_the_model_of_the_file(saved):
    model = RNN.from_npz(saved, truncation="last:3", dtype="float64")
    assert (model.vocab_size, model.hidden_size, model.truncation) == (VOCAB, H, "last:3")
    assert bits(model.parameters()) == bits(net(11, H, VOCAB)[0])
    assert RNN.from_npz(str(saved), dtype="float32").parameters()["U"].dtype == np.float32
    assert RNN.from_npz(saved).dtype == "float64"  # that of the file
    with pytest.raises(RNNError, match="RNN has no setting depth"):
        RNN.from_npz(saved, depth=2)


def test_from_npz_refuses_files_that_are_not_three_arrays_of_numbers(tmp_path):
    good, _, _ = net(12, H, VOCAB)
    one, text, empty = tmp_path / "one.npy", tmp_path / "text.npz", tmp_path / "empty.npz"
    np.save(one, np.zeros(3))
    text.write_text("U V W")
    empty.touch()
    cases = [
        (one, "is not an .npz file of arrays"),
        (text, "is not an .npz file of arrays"),
        (empty, "is not an .npz file of arrays"),
        (tmp_path, "it is not a file but a folder"),
        (tmp_path / "none.npz", "No such file"),
    ]
    contents = [
        ({"U": np.array([[None]])}, "Object arrays cannot be loaded when allow_pickle=False"),
        ({"U": np.zeros(3)}, "has no matrix U"),
        ({"U": np.zeros((0, 3))}, "has no matrix U"),
        ({"U": np.array([["a"]])}, "parameter U has dtype <U1"),
        ({"V": np.zeros((VOCAB, H + 1))}, "parameter U has shape"),
        ({"W": good["W"] * np.nan}, "parameter W has 16 values that are NaN"),
        ({"b": np.zeros(H)}, "b unknown"),
    ]
    for n, (change, message) in enumerate(contents):
        path = tmp_path / f"{n}.npz"
        np.savez(path, **{**good, **change})
        cases.append((path, message))
    np.savez(tmp_path / "less.npz", U=good["U"], V=good["V"])
    cases.append((tmp_path / "less.npz", "W missing"))
    for path, message in cases:
        with pytest.raises(RNNError, match=message) as error:
            RNN.from_npz(path)
        assert str(path) in str(error.value)


def test_from_npz_finds_the_size_of_the_state_beside_a_projection(tmp_path):
    settings = {"tied": True, "embedding_size": 2, "dtype": "float64"}
    model = RNN(VOCAB, H, **settings)
    np.savez(tmp_path / "parameters.npz", **model.parameters())
    same = RNN.from_npz(tmp_path / "parameters.npz", **settings)
    assert same.architecture == model.architecture
    assert bits(same.parameters()) == bits(model.parameters())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_from_npz_refuses_a_file_damaged_anywhere_or_cut_short(save, tmp_path):
    path = tmp_path / "damaged.npz"
    save(path, **net(13, H, VOCAB)[0])
    whole = path.read_bytes()
    good = RNN.from_npz(path, dtype="float64").parameters()
    rng = np.random.default_rng(0)
    refused = 0
    for n in range(300):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        path.write_bytes(data if n % 3 else whole[: rng.integers(len(whole))])
        try:
            found = RNN.from_npz(path, dtype="float64").parameters()
        except RNNError:
            refused += 1
        else:  # a byte that says nothing of the arrays, such as a date
            assert n % 3
            assert bits(found) == bits(good)
    assert refused > 200


def test_from_npz_runs_no_pickle(tmp_path):
    class Touch:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    np.savez(tmp_path / "pickle.npz", U=np.array([[Touch()]]))
    with pytest.raises(RNNError, match="allow_pickle=False"):
        RNN.from_npz(tmp_path / "pickle.npz")
    assert not (tmp_path / "touched").exists()
    np.load(tmp_path / "pickle.npz", allow_pickle=True)["U"]
    assert (tmp_path / "touched").exists()  # it would have been run


def test_from_npz_refuses_members_that_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as file:
        file.writestr("U.npy", "text")
    with pytest.raises(RNNError, match=r"is not an \.npz file of arrays"):
        RNN.from_npz(tmp_path / "text.npz")


@pytest.mark.parametrize(
    "version, header, message",
    [
        (
            3,
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 7)}",
            "'U.npy' has another format",
        ),
        (1, " " * 10_001, "header of 'U.npy' is too long"),
        (1, "{'descr': '<f8', 'fortran_order': False, 'shape': (-4, -7)}", r"shape \(-4, -7\)"),
    ],
)
def test_from_npz_refuses_headers_that_numpy_does_not_write(version, header, message, tmp_path):
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        head = b"\x93NUMPY" + bytes([version, 0]) + size + header.encode()
        file.writestr("U.npy", head + bytes(8 * 4 * 7))
    with pytest.raises(RNNError, match=message):
        RNN.from_npz(tmp_path / "a.npz")


def test_from_npz_reads_arrays_that_are_stored_by_columns(tmp_path):
    parameters, _, _ = net(14, H, VOCAB)
    np.savez(tmp_path / "a.npz", **{name: np.asfortranarray(p) for name, p in parameters.items()})
    assert bits(RNN.from_npz(tmp_path / "a.npz", dtype="float64").parameters()) == bits(parameters)


def test_from_npz_reads_the_longer_header_of_numpys_second_format(tmp_path):
    parameters, _, _ = net(15, H, VOCAB)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name, p in parameters.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, p, version=(2, 0))
    assert bits(RNN.from_npz(tmp_path / "a.npz", dtype="float64").parameters()) == bits(parameters)
