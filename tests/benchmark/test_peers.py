"""PyTorch as a second oracle: its autograd against ours, its modules against our parameters.

It wants another NumPy than Theano, so it runs in an environment of its own: `make test-peers`
makes it and runs these tests, all of them. Without it they are skipped.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT, compiled
from kinds import GATES, KINDS, named, net

from theano_rnn import RNN, Flow
from theano_rnn.interop.torch_state import recurrence_from_torch
from theano_rnn.online import OnlineGradient
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.online import online_gradients

PEERS = os.environ.get("PEERS_PYTHON") or str(ROOT / ".venv-peers" / "bin" / "python")
PROGRAM = Path(__file__).with_name("torch_oracle.py")
#: Of E and of each gradient, relative to its largest element.
TOLERANCE = 1e-12

SLOW = [pytest.mark.slow]
OF_TWO_LAYERS = [kind for kind in KINDS if kind["layers"] <= 2]
LENGTHS = (4, 6, 1)  # of the sequences of a batch
MODULES = ("tanh", "relu", "gru_after", "lstm")


def has_torch():
    check = [PEERS, "-c", "import torch"]
    return Path(PEERS).exists() and subprocess.run(check, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    not has_torch(), reason="no PyTorch beside: make test-peers, or PEERS_PYTHON=its interpreter"
)


def ask(what, source, target):
    """The program, once for all files of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [PEERS, str(PROGRAM), what, str(source), str(target)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def write(path, arrays, settings):
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.numpy.save_file(arrays, path, metadata={"json": json.dumps(settings)})


def sequences(kind, seed):
    """Parameters, x, y (T, B) and mask of a batch; of one sequence they are its first column."""
    parameters, _, _ = net(kind, seed)
    x, y = np.random.default_rng(seed).integers(5, size=(2, max(LENGTHS), len(LENGTHS)))
    return parameters, x, y, np.arange(len(x))[:, None] < np.array(LENGTHS)


def relative(found, expected):
    """The largest difference by the largest element expected."""
    assert np.shape(found) == expected.shape
    return abs(found - expected).max() / (abs(expected).max() or 1)  # of relu all may be 0


@pytest.fixture(scope="module")
def autograd(tmp_path_factory):
    """E and gradients of PyTorch by the kind, and "one" or "batch"."""
    folder = tmp_path_factory.mktemp("autograd")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for n, kind in enumerate(OF_TWO_LAYERS):
        parameters, x, y, mask = sequences(kind, n)
        one = {"x": x[:, :1], "y": y[:, :1], "mask": np.ones_like(x[:, :1])}
        for what, given in (("one", one), ("batch", {"x": x, "y": y, "mask": mask.astype(int)})):
            path = folder / "in" / f"{named(kind)} {what}.safetensors"
            write(path, {**parameters, **given}, kind)
    ask("gradients", folder / "in", folder / "out")
    return {path.stem: safetensors.numpy.load_file(path) for path in (folder / "out").iterdir()}


def assert_equal_autograd(expected, E, gradients):
    assert relative(E, expected["E"]) < TOLERANCE
    assert gradients.keys() == expected.keys() - {"E"}
    for name, gradient in gradients.items():
        assert relative(gradient, expected[name]) < TOLERANCE, name


@pytest.mark.parametrize("kind", OF_TWO_LAYERS, ids=named)
def test_numpy_has_the_gradients_of_autograd(autograd, kind):
    parameters, x, y, mask = sequences(kind, OF_TWO_LAYERS.index(kind))
    model = NumpyRNN(parameters, **kind)
    one = x[:, 0], y[:, 0]
    assert_equal_autograd(autograd[f"{named(kind)} one"], model.ce_error(*one), model.bptt(*one))
    batch = x, y, mask
    E, gradients = model.ce_error(*batch), model.bptt(*batch)
    assert_equal_autograd(autograd[f"{named(kind)} batch"], E, gradients)


def is_in_the_default_run(kind):
    return kind["layers"] == 2 and kind["bias"] and kind["embedding"] and not kind["tied"]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=named(kind), marks=SLOW * (not is_in_the_default_run(kind)))
        for kind in OF_TWO_LAYERS
    ],
)
def test_the_compiled_graph_has_the_gradients_of_autograd(autograd, kind):
    parameters, x, y, mask = sequences(kind, OF_TWO_LAYERS.index(kind))
    one = compiled.__wrapped__("full", in_python=True, **kind)
    _, *found = one(parameters, x[:, 0], y[:, 0])
    assert_equal_autograd(autograd[f"{named(kind)} one"], *found)
    batch = compiled.__wrapped__("full", in_python=True, **kind, is_masked=True)
    _, *found = batch(parameters, x, y, mask=mask)
    assert_equal_autograd(autograd[f"{named(kind)} batch"], *found)


@pytest.mark.slow
@pytest.mark.parametrize("cell", GATES)
def test_the_functions_of_a_model_as_they_are_used_have_the_gradients_of_autograd(autograd, cell):
    kind = {"cell": cell, "layers": 2, "bias": True, "tied": True, "embedding": True}
    parameters, x, y, mask = sequences(kind, OF_TWO_LAYERS.index(kind))
    settings = {"cell": cell, "layers": 2, "bias": True, "tied": True, "embedding_size": 3}
    model = RNN(5, 3, **settings, dtype="float64")
    model.set_parameters(parameters)
    E, gradients = model.ce_error(x, y, mask), model.bptt(x, y, mask)
    assert_equal_autograd(autograd[f"{named(kind)} batch"], E, gradients)


# ---- credit assigned in other ways


#: K of artbp, and the steps whose error does not reach the step before.
K, CUT = 3, np.array([False, False, True, False, True, False])


def ways(kind):
    """The ways to assign credit that autograd can express, beside the full gradient."""
    # A gru's way past W is within PyTorch's cell, where nothing can be detached.
    has_local = kind["layers"] == 1 and not kind["embedding"] and "gru" not in kind["cell"]
    return ["immediate", "artbp"] + ["local"] * has_local


@pytest.fixture(scope="module")
def credited(tmp_path_factory):
    """E and gradients of PyTorch by the kind and the way."""
    folder = tmp_path_factory.mktemp("credited")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for n, kind in enumerate(OF_TWO_LAYERS):
        parameters, x, y, _ = sequences(kind, n)
        one = {"x": x[:, :1], "y": y[:, :1], "mask": np.ones_like(x[:, :1])}
        factors = np.where(CUT, 0, K / (K - 1))[:, None]
        for method in ways(kind):
            given = {**parameters, **one, "factors": factors}
            path = folder / "in" / f"{named(kind)} {method}.safetensors"
            write(path, given, {**kind, "method": method})
    ask("gradients", folder / "in", folder / "out")
    return {path.stem: safetensors.numpy.load_file(path) for path in (folder / "out").iterdir()}


def of_sequence(kind):
    """Parameters, and one sequence."""
    parameters, x, y, _ = sequences(kind, OF_TWO_LAYERS.index(kind))
    return parameters, x[:, 0], y[:, 0]


@pytest.mark.parametrize("kind", OF_TWO_LAYERS, ids=named)
def test_numpy_assigns_credit_as_autograd_does_with_states_detached_or_scaled(
    autograd, credited, kind
):
    parameters, x, y = of_sequence(kind)
    E = NumpyRNN(parameters, **kind).ce_error(x, y)
    rtrl = online_gradients(parameters, x, y, "rtrl", **kind)
    assert_equal_autograd(autograd[f"{named(kind)} one"], E, rtrl)
    for method in ways(kind):
        if method == "artbp":
            found = NumpyRNN(parameters, f"artbp:{K}", **kind).bptt(x, y, cuts=CUT)
        else:
            found = online_gradients(parameters, x, y, method, **kind)
        assert_equal_autograd(credited[f"{named(kind)} {method}"], E, found)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=named(kind), marks=SLOW * (kind["cell"] != "lstm"))
        for kind in OF_TWO_LAYERS
        if kind["layers"] == 1 and kind["bias"] and not kind["embedding"] and not kind["tied"]
    ],
)
def test_the_compiled_methods_assign_credit_as_autograd_does(autograd, credited, kind, uncompiled):
    parameters, x, y = of_sequence(kind)
    E, model = NumpyRNN(parameters, **kind).ce_error(x, y), of_a_kind(kind, 0)
    model.set_parameters(parameters)
    rtrl = OnlineGradient(model, "rtrl")(x, y)
    assert_equal_autograd(autograd[f"{named(kind)} one"], E, rtrl)
    for method in ways(kind):
        if method == "artbp":
            model = RNN(
                5, 3, cell=kind["cell"], bias=True, truncation=f"artbp:{K}", dtype="float64"
            )
            model.set_parameters(parameters)
            found = model.bptt(x, y, cuts=CUT)
        else:
            found = OnlineGradient(model, method)(x, y)
        assert_equal_autograd(credited[f"{named(kind)} {method}"], E, found)


# ---- parameters, there and back


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def log_outputs(model, x):
    """log o of a batch, by NumPy."""
    a = model.architecture
    kind = {name: getattr(a, name) for name in ("cell", "layers", "bias", "tied")}
    oracle = NumpyRNN(model.parameters(), **kind, embedding=a.embedding_size is not None)
    return np.log(np.stack([oracle.forward_propagation(column) for column in x.T], axis=1))


def of_a_kind(kind, seed):
    size = (3 if kind["tied"] else 4) if kind["embedding"] else None
    settings = {name: kind[name] for name in ("cell", "layers", "bias", "tied")}
    model = RNN(5, 3, **settings, embedding_size=size, dtype="float64")
    model.set_parameters(net(kind, seed)[0])
    return model


def test_pytorch_loads_what_we_write_and_has_equal_outputs(tmp_path):
    kinds = [kind for kind in OF_TWO_LAYERS if kind["cell"] in MODULES]
    models = {named(kind): of_a_kind(kind, n) for n, kind in enumerate(kinds)}
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name, model in models.items():
        model.to_torch(tmp_path / "in" / f"{name}.safetensors")
    ask("load", tmp_path / "in", tmp_path / "out")
    for name, model in models.items():
        theirs = safetensors.numpy.load_file(tmp_path / "out" / f"{name}.safetensors")
        found, expected = log_softmax(theirs["logits"]), log_outputs(model, theirs["x"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=name)
    assert len(models) == 2 * 16 + 2 * 12


def test_we_load_what_pytorch_writes_and_have_equal_outputs(tmp_path):
    settings = [
        {"cell": cell, "layers": layers, "bias": bias, "embedding_size": size, "tied": tied}
        for cell in MODULES
        for layers, bias, size, tied in (
            (1, False, None, False), (2, True, None, False), (2, True, 2, False),
            (2, True, 3, True),
        )
    ]  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for n, given in enumerate(settings):
        made = {"vocab_size": 5, "hidden_size": 3, "seed": n, **given}
        write(tmp_path / "in" / f"{n:02}.safetensors", {"none": np.zeros(1)}, made)
    ask("make", tmp_path / "in", tmp_path / "out")
    for n, given in enumerate(settings):
        cell = given["cell"] if given["cell"] == "relu" else None
        model = RNN.from_torch(tmp_path / "out" / f"{n:02}.state", cell)
        assert {name: getattr(model.architecture, name) for name in given} == given
        theirs = safetensors.numpy.load_file(tmp_path / "out" / f"{n:02}.safetensors")
        found, expected = log_outputs(model, theirs["x"]), log_softmax(theirs["logits"])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=str(given))
        compiled_outputs = np.log(model.forward_propagation(theirs["x"])) if n % 4 == 1 else found
        np.testing.assert_allclose(compiled_outputs, expected, rtol=0, atol=1e-12)


# ---- the gradient flow of any module


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    """Settings, the file of the module, and what autograd finds, by the number of the module."""
    folder = tmp_path_factory.mktemp("flows")
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    settings = [
        {"cell": cell, "layers": layers, "bias": bias, "decoder": decoder, "seed": 7}
        for cell in MODULES
        for layers, bias, decoder in ((1, False, False), (2, True, False), (2, True, True))
    ]
    for n, given in enumerate(settings):
        write(folder / "in" / f"{n:02}.safetensors", {"none": np.zeros(1)}, given)
    ask("flow", folder / "in", folder / "out")
    return [
        (given, folder / "out" / f"{n:02}.state", folder / "out" / f"{n:02}.safetensors")
        for n, given in enumerate(settings)
    ]


def in_our_names(found, cell):
    """The gradients of a module by our names. Both biases have the same one, of which b is one."""
    state = {name[2:]: array.copy() for name, array in found.items() if name[:2] == "d "}
    inputs = {"L": state.pop("inputs").T} if "inputs" in state else {}
    for name in state:
        if "bias_hh" in name:  # but within the reset gate
            state[name][: 6 if cell == "gru_after" else None] = 0
    ours, _ = recurrence_from_torch(state, cell)
    return {**{name: array for name, array in ours.items() if array.size}, **inputs}


@pytest.mark.parametrize("number", range(12))
def test_a_flow_is_that_of_autograd(flows, number):
    given, module, target = flows[number]
    expected = safetensors.numpy.load_file(target)
    names = {"body.core": "rnn", "body.emb": "embedding", "body.head": "decoder"}
    if given["decoder"]:
        flow = Flow.from_torch(module, expected["tokens"], cell=given["cell"], names=names)
    else:
        loss = {"loss_gradient": expected["e"], "names": "body.core"}
        flow = Flow.from_torch(module, expected["inputs"], cell=given["cell"], **loss)
    assert relative(flow.errors, expected["errors"]) < TOLERANCE
    assert relative(flow.jacobian(7, 2), expected["jacobian"]) < TOLERANCE
    gradients, theirs = flow.gradient(), in_our_names(expected, given["cell"])
    assert gradients.keys() - {"L", "V", "c"} == theirs.keys() - {"L"}
    for name, gradient in theirs.items():
        assert relative(gradients[name], gradient) < TOLERANCE, name
