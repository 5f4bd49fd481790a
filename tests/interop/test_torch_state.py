"""Parameters in PyTorch's layout, without PyTorch: gate by gate, there and back, bad files."""

import struct

import numpy as np
import pytest
import safetensors.numpy
from kinds import KINDS, assert_same, named, net

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.interop.torch_state import (
    from_torch,
    load,
    recurrence_from_torch,
    save,
    to_torch,
)
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cells import CELLS
from theano_rnn.reference import NumpyRNN

THEIRS = [kind for kind in KINDS if CELLS[kind["cell"]].torch]


def sigma(a):
    return 1 / (1 + np.exp(-a))


def architecture(kind):
    size = (3 if kind["tied"] else 4) if kind["embedding"] else None
    settings = {name: kind[name] for name in ("cell", "layers", "bias", "tied")}
    return Architecture(5, 3, **settings, embedding_size=size)


def one_step(cell, state, l, x, s, c):
    """The equations of PyTorch's documentation, in its names: h' and c' of a layer."""

    def both(gate):
        return tuple(
            np.split(state[f"rnn.weight_{side}_l{l}"], gates)[gate] @ vector
            + (np.split(state[f"rnn.bias_{side}_l{l}"], gates)[gate] if has_bias else 0)
            for side, vector in (("ih", x), ("hh", s))
        )

    gates = {"gru_after": 3, "lstm": 4}.get(cell, 1)
    has_bias = f"rnn.bias_ih_l{l}" in state
    if cell == "gru_after":
        r, z = sigma(sum(both(0))), sigma(sum(both(1)))
        i_n, h_n = both(2)
        n = np.tanh(i_n + r * h_n)
        return (1 - z) * n + z * s, c
    if cell == "lstm":
        i, f, g, o = (sum(both(gate)) for gate in range(4))
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        return sigma(o) * np.tanh(c), c
    return (np.tanh if cell == "tanh" else lambda z: np.maximum(z, 0))(sum(both(0))), c


@pytest.mark.parametrize("kind", THEIRS, ids=named)
def test_their_equations_on_their_tensors_give_our_outputs(kind):
    parameters, tokens, _ = net(kind, 1)
    state = to_torch(parameters, architecture(kind))
    s, c = np.zeros((2, kind["layers"], 3))
    found = []
    for token in tokens:
        x = state["embedding.weight"][token] if kind["embedding"] else np.eye(5)[token]
        for l in range(kind["layers"]):
            x, c[l] = one_step(kind["cell"], state, l, x, s[l], c[l])
            s[l] = x
        logits = state["decoder.weight"] @ x + state.get("decoder.bias", 0)
        found.append(np.exp(logits) / np.exp(logits).sum())
    expected = NumpyRNN(parameters, **kind).forward_propagation(tokens)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", THEIRS, ids=named)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back_nothing_has_changed(kind, dtype, tmp_path):
    given = {name: array.astype(dtype) for name, array in net(kind, 2)[0].items()}
    save(tmp_path / "file", given, architecture(kind))
    parameters, found = load(tmp_path / "file")
    assert found == architecture(kind)
    assert_same(parameters, given)
    assert {array.dtype for array in parameters.values()} == {np.dtype(dtype)}


def test_two_biases_are_added_but_the_one_within_the_reset():
    a = Architecture(5, 2, "gru_after", bias=True)
    state = to_torch(RNN(5, 2, cell="gru_after", bias=True).parameters(), a)
    state["rnn.bias_ih_l0"] = np.arange(6.0)  # r, z, n
    state["rnn.bias_hh_l0"] = 10 * np.arange(6.0)
    parameters, _ = from_torch(state)
    assert parameters["b"].tolist() == [22, 33, 0, 11, 4, 5]  # z, r, h
    assert parameters["a"].tolist() == [40, 50]


def test_biases_that_only_the_decoder_has_are_zeros_elsewhere():
    state = to_torch(RNN(5, 2, cell="lstm").parameters(), Architecture(5, 2, "lstm"))
    parameters, a = from_torch({**state, "decoder.bias": np.ones(5)})
    assert a.bias and not parameters["b"].any() and parameters["c"].all()


@pytest.mark.parametrize("left_out", [["ih_l0"], ["hh_l0"], ["ih_l1"], ["ih_l1", "hh_l1"]])
def test_some_biases_without_the_others_are_no_module(left_out):
    a = Architecture(5, 2, bias=True, layers=2)
    state = to_torch(RNN(5, 2, bias=True, layers=2).parameters(), a)
    for name in left_out:
        del state[f"rnn.bias_{name}"]
    with pytest.raises(RNNError, match=rf"rnn\.bias_{left_out[0]} \(2,\) is missing"):
        from_torch(state)


def test_the_decoder_of_a_projection_is_the_product_which_is_the_same_network():
    kind = {"cell": "lstm", "tied": True, "bias": True, "embedding": True, "projection": True}
    parameters, x, y = net(kind)
    a = Architecture(5, 3, cell="lstm", bias=True, tied=True, embedding_size=4)
    back, untied = from_torch(to_torch(parameters, a))
    assert not untied.tied and untied.shapes["V"] == (5, 3)
    untied = NumpyRNN(back, **{**kind, "tied": False, "projection": False})
    assert untied.ce_error(x, y) == pytest.approx(NumpyRNN(parameters, **kind).ce_error(x, y))


def test_one_name_of_a_tied_tensor_is_enough(tmp_path):
    a = Architecture(5, 2, embedding_size=2, tied=True)
    given = RNN(5, 2, embedding_size=2, tied=True).parameters()
    state = to_torch(given, a)
    assert (state["embedding.weight"] == state["decoder.weight"]).all()
    one = {name: array for name, array in state.items() if name != "decoder.weight"}
    assert from_torch(one)[1] == a
    # safetensors.torch.save_model keeps the first name by the alphabet, and notes the other.
    one = {name: array for name, array in state.items() if name != "embedding.weight"}
    metadata = {"format": "pt", "embedding.weight": "decoder.weight"}
    safetensors.numpy.save_file(one, tmp_path / "file", metadata)
    parameters, found = load(tmp_path / "file")
    assert found == a
    assert_same(parameters, given)


def test_an_nn_rnn_is_tanh_unless_the_file_or_the_caller_says_relu(tmp_path):
    a = Architecture(5, 2, "relu")
    parameters = RNN(5, 2, cell="relu").parameters()
    state = to_torch(parameters, a)
    assert from_torch(state)[1].cell == "tanh" and from_torch(state, "relu")[1].cell == "relu"
    save(tmp_path / "file", parameters, a)
    assert load(tmp_path / "file")[1].cell == "relu"
    assert load(tmp_path / "file", "tanh")[1].cell == "tanh"


def test_a_model_goes_to_a_file_and_comes_from_it(tmp_path):
    model = RNN(5, 3, cell="gru_after", layers=2, bias=True, embedding_size=2, dtype="float64")
    model.to_torch(tmp_path / "file")
    same = RNN.from_torch(tmp_path / "file", truncation="window:4", dropout=0.5)
    assert (same.truncation, same.dtype, same.architecture.dropout) == ("window:4", "float64", 0.5)
    assert_same(same.parameters(), model.parameters())
    assert RNN.from_torch(tmp_path / "file", dtype="float32").dtype == "float32"


@pytest.mark.parametrize("cell, message", [
    ("gru", r"no module for the cell gru; it has those for .* gru_after \(nn.GRU\)"),
    ("sigmoid", r"no module for the cell sigmoid; it has those for tanh \(nn.RNN\), relu"),
])  # fmt: skip
def test_a_cell_that_pytorch_has_not_is_refused_and_no_file_written(cell, message, tmp_path):
    with pytest.raises(RNNError, match=message):
        RNN(5, 2, cell=cell).to_torch(tmp_path / "file")
    assert not (tmp_path / "file").exists()


LSTM = to_torch(RNN(5, 2, cell="lstm", layers=2, bias=True, embedding_size=3).parameters(),
                Architecture(5, 2, "lstm", 2, True, embedding_size=3))  # fmt: skip


def without(name):
    return {n: array for n, array in LSTM.items() if n != name}


@pytest.mark.parametrize("state, message", [
    ([], "the state is a list; pass a dict"),
    ({}, "rnn.weight_ih_l0 is missing: it holds nothing.*such a module has embedding.weight or"),
    ({"weight_ih_l0": np.ones((8, 3))}, r"weight_hh_l0 is missing: it holds rnn.weight_ih_l0 \(8, "
     r"3\)\. If it"),
    (without("rnn.weight_hh_l1"), r"rnn.weight_hh_l1 \(8, 2\) is missing"),
    (without("decoder.weight"), r"decoder.weight \(5, 2\) is missing: it holds embedding.weight "
     r"\(5, 3\), rnn.*another name, pass names=\{'theirs': 'decoder'\}"),
    ({**LSTM, "rnn.weight_ih_l0_reverse": np.ones(1)}, "_reverse\" is unknown: it is of a bi"),
    ({**LSTM, "rnn.weight_hr_l0": np.ones(1)}, "weight_hr_l0\" is unknown: it is of an nn.LSTM"),
    ({**LSTM, "norm.weight": np.ones(1)}, "\"norm.weight\" is unknown; such a module"),
    ({**LSTM, "rnn.weight_hh_l0": np.ones(8)}, r"weight_hh_l0 has shape \(8,\); pass a matrix"),
    ({**LSTM, "rnn.weight_hh_l0": np.ones((10, 2))}, r"\(10, 2\); pass \(H, H\) for an nn.RNN"),
    ({**LSTM, "rnn.weight_ih_l1": np.ones((8, 3))}, r"weight_ih_l1 has shape \(8, 3\).*\(8, 2\)"),
    ({**LSTM, "decoder.weight": np.ones((6, 2))}, r"decoder.weight has shape \(6, 2\)"),
    ({**LSTM, "rnn.bias_hh_l1": np.full(8, np.nan)}, "rnn.bias_hh_l1 has 8 values that are NaN"),
])  # fmt: skip
def test_another_state_is_refused_by_the_name_of_the_tensor(state, message):
    with pytest.raises(RNNError, match=message):
        from_torch(state)


def by_other_names(changes):
    """The state with the beginning of each name replaced."""

    def other(name):
        old = next((old for old in changes if name.startswith(old)), None)
        return name if old is None else changes[old] + name[len(old) :]

    return {other(name): array for name, array in LSTM.items()}


@pytest.mark.parametrize("changes, names", [
    ({"": "module."}, None),  # DataParallel
    ({"": "_orig_mod."}, None),  # torch.compile
    ({"": "_orig_mod.module.model."}, None),
    ({"embedding": "encoder"}, None),  # word_language_model
    ({"rnn": "lstm", "decoder": "fc"}, None),
    ({"rnn.": ""}, None),  # of the bare module
    ({"rnn": "body.core"}, None),
    ({"": "net.lm."}, "net.lm"),
    ({"": "net.lm.", "decoder": "fc"}, "net.lm."),
    ({"embedding": "0", "rnn": "1", "decoder": "2"},
     {"0": "embedding", "1": "rnn", "2": "decoder"}),  # nn.Sequential
    ({"embedding.weight": "table", "rnn": "net.core", "decoder": "net.head"},
     {"table": "embedding.weight", "net.core": "rnn", "net": "decoder", "net.head": "decoder"}),
])  # fmt: skip
def test_other_names_are_read_as_ours(changes, names, tmp_path):
    safetensors.numpy.save_file(by_other_names(changes), tmp_path / "file")
    parameters, found = load(tmp_path / "file", names=names)
    expected, a = from_torch(LSTM)
    assert found == a
    assert_same(parameters, expected)
    model = RNN.from_torch(tmp_path / "file", names=names)
    assert_same(model.parameters(), expected)


@pytest.mark.parametrize("names, message", [
    ({"head": "decoder"}, r"names has 'head', and no tensor begins so: it holds embedding.weight"),
    ({"embedding": "decoder"}, "two tensors are decoder.weight"),
    (["fc"], r"names must be a prefix, or a dict such as \{'fc': 'decoder'\}"),
    ({"rnn": 1}, "names must be a prefix, or a dict"),
    ("net", "names is 'net', and no tensor begins so: it holds embedding.weight"),
    ("rn", "names is 'rn', and no tensor begins so"),
    ("decoder", r"weight_ih_l0 is missing: it holds weight \(5, 2\), bias"),
])  # fmt: skip
def test_names_that_do_not_fit_are_refused(names, message):
    with pytest.raises(RNNError, match=message):
        from_torch(LSTM, names=names)


def test_an_error_says_which_names_were_read_otherwise():
    state = {**by_other_names({"decoder": "fc"}), "fc.weight": np.ones((6, 2))}
    with pytest.raises(RNNError, match=r"weight has shape \(6, 2\).*\(fc is read as decoder"):
        from_torch(state)


def test_of_two_recurrences_one_has_to_be_named():
    state = {f"{part}.{n[4:]}": LSTM[n] for n in LSTM if n[:3] == "rnn" for part in ("a", "b.c")}
    with pytest.raises(RNNError, match=r"two tensors are rnn.weight_ih_l0; say .*b.c.weight_"):
        recurrence_from_torch(state)
    assert_same(*(recurrence_from_torch(state, names=name)[0] for name in ("a", "b.c")))


def test_a_recurrence_alone_has_no_output_and_any_number_of_outputs_is_read():
    bare = {name: array for name, array in LSTM.items() if name[:3] == "rnn"}
    parameters, a = recurrence_from_torch(bare)
    assert (a.vocab_size, a.layers, a.embedding_size, a.tied) == (3, 2, None, False)
    assert parameters["U"].shape == (8, 3) and parameters["V"].shape == (0, 2)
    expected, _ = from_torch(LSTM)
    for name in ("U", "W", "b", "U2", "W2", "b2"):
        np.testing.assert_array_equal(parameters[name], expected[name])
    head = {"decoder.weight": np.ones((7, 2)), "decoder.bias": np.arange(7.0)}
    parameters, a = recurrence_from_torch({**LSTM, **head})
    assert parameters["L"].shape == (3, 5) and parameters["V"].shape == (7, 2)
    assert parameters["c"].tolist() == list(range(7))
    with pytest.raises(RNNError, match=r"decoder.weight has shape \(7, 3\)"):
        recurrence_from_torch({**LSTM, **head, "decoder.weight": np.ones((7, 3))})
    with pytest.raises(RNNError, match=r"decoder.weight has shape \(\); pass a matrix"):
        recurrence_from_torch({**LSTM, "decoder.weight": np.float64(1)})


def test_numbers_that_numpy_does_not_have_are_to_be_converted(tmp_path):
    header = b'{"a.weight":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "file").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(RNNError, match=r"a.weight is bfloat16.*convert to float32.*\.float\(\)"):
        load(tmp_path / "file")


@pytest.mark.parametrize("cell, message", [
    ("tanh", "the cell tanh is an nn.RNN with G = 1; leave cell out, or give lstm"),
    ("gru", "no module for the cell gru"),
    ("elman", "cell 'elman' is unknown"),
    (["lstm"], "is unknown"),
])  # fmt: skip
def test_a_cell_that_the_state_is_not_of_is_refused(cell, message):
    with pytest.raises(RNNError, match=message):
        from_torch(LSTM, cell)


def test_a_file_that_is_missing_damaged_or_in_the_way_is_named(tmp_path):
    with pytest.raises(RNNError, match="none: No such file"):
        load(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"not safetensors")
    with pytest.raises(RNNError, match="file is not a safetensors file"):
        load(tmp_path / "file")
    safetensors.numpy.save_file(without("decoder.bias"), tmp_path / "file")
    assert load(tmp_path / "file")[1].bias
    safetensors.numpy.save_file({"x": np.ones(1)}, tmp_path / "file")
    with pytest.raises(RNNError, match=r"file: rnn.weight_ih_l0 is missing"):
        load(tmp_path / "file")
    with pytest.raises(RNNError, match="cannot be written: Is a directory"):
        RNN(5, 2).to_torch(tmp_path)


def test_parameters_of_another_architecture_are_refused():
    with pytest.raises(RNNError, match="parameter W has shape"):
        to_torch({**RNN(5, 3).parameters(), "W": np.ones((2, 2))}, Architecture(5, 3))
