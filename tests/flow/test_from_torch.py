"""The flow of a PyTorch module: which network, inputs and loss it has, and what is refused."""

import re

import numpy as np
import pytest
import safetensors.numpy
from kinds import assert_same

from theano_rnn import RNN, Flow, RNNError
from theano_rnn.flow import Sample
from theano_rnn.flow.findings import measure
from theano_rnn.flow.followed import Network
from theano_rnn.flow.of_torch import STEPS, network_of
from theano_rnn.flow.of_torch import of_torch as of_network
from theano_rnn.flow.report import figures, html, terminal
from theano_rnn.interop.torch_state import to_torch

T, H, N, VOCAB = 6, 3, 4, 7
RANDOM = np.random.default_rng(0)
X, E = RANDOM.normal(size=(T, N)), RANDOM.normal(size=(T, H))
TOKENS = RANDOM.integers(VOCAB, size=T + 1)


def language_model(cell="tanh", **settings):
    return RNN(VOCAB, H, cell=cell, embedding_size=N, dtype="float64", seed=2, **settings)


def of_torch(source, *given, names=None, **more):
    return of_network(network_of(source, None, names), *given, **more)


def state_of(model, prefix="rnn."):
    """The recurrence of a model alone, under another name."""
    state = to_torch(model.parameters(), model.architecture)
    return {prefix + n[4:]: array for n, array in state.items() if n.startswith("rnn.")}


@pytest.mark.parametrize("cell", ["tanh", "gru_after", "lstm"])
@pytest.mark.parametrize("prefix, names", [
    ("", None), ("lstm.", None), ("body.core.", None), ("body.core.", "body.core"),
    ("0.", {"0": "rnn"}),
])  # fmt: skip
def test_a_recurrence_is_found_under_any_name(cell, prefix, names, tmp_path):
    model = language_model(cell, layers=2, bias=True)
    state, expected = state_of(model, prefix), model.parameters()
    if isinstance(names, str):
        state["body.norm.weight"] = np.ones(1)
    safetensors.numpy.save_file(state, tmp_path / "file")
    for source in (state, tmp_path / "file", str(tmp_path / "file")):
        found = of_torch(source, X, loss_gradient=E, names=names).network
        a = found.architecture
        assert (a.cell, a.layers, a.bias, a.embedding_size) == (cell, 2, True, None)
        recurrent = {n: p for n, p in expected.items() if n not in "LVc"}
        assert_same({n: found.arrays[n] for n in recurrent}, recurrent)
        assert found.arrays["V"].shape == (0, H)


def test_of_a_language_model_it_is_the_flow_of_the_model(tmp_path):
    model = language_model()
    model.to_torch(tmp_path / "file")
    expected = Flow(model, TOKENS[:-1], TOKENS[1:])
    found = Flow.from_torch(tmp_path / "file", TOKENS)
    assert found.architecture == expected.architecture
    np.testing.assert_array_equal(found.norms, expected.norms)
    assert found.labels() == ([str(n) for n in TOKENS[:-1]], [str(n) for n in TOKENS[1:]])
    vectors = model.parameters()["L"].T[TOKENS[:-1]]
    real = Flow.from_torch(tmp_path / "file", vectors, targets=TOKENS[1:])
    np.testing.assert_array_equal(real.norms, expected.norms)
    np.testing.assert_array_equal(real.losses, expected.losses)
    assert real.labels()[0] == ["x1", "x2", "x3", "x4", "x5", "x6"]


def test_a_decoder_of_any_number_of_outputs_has_the_error_of_its_softmax(random):
    V, c, y = random.normal(size=(5, H)), random.normal(size=5), random.integers(5, size=T)
    state = {**state_of(language_model()), "fc.weight": V, "fc.bias": c}
    flow = Flow.from_torch(state, X, y)
    o = np.exp(flow.states[1:] @ V.T + c)
    o /= o.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(flow.own, (o - np.eye(5)[y]) @ V, rtol=0, atol=1e-14)
    np.testing.assert_allclose(flow.losses, -np.log(o[np.arange(T), y]), rtol=1e-13)
    assert flow.architecture.bias and flow.labels()[1] == [str(n) for n in y]


@pytest.mark.slow
@pytest.mark.parametrize("D", [H, H + 1])
def test_real_inputs_of_a_tied_network_leave_its_output(D):
    model = RNN(VOCAB, H, embedding_size=D, tied=True, dtype="float64")
    x, y, L = TOKENS[:-1], TOKENS[1:], model.parameters()["L"]
    flow = Flow(model, L.T[x], y)
    np.testing.assert_allclose(flow.own, Flow(model, x, y).own, rtol=0, atol=1e-15)


def test_what_is_not_given_is_drawn_the_same_each_time_and_said():
    bare, words = state_of(language_model()), language_model()
    words = to_torch(words.parameters(), words.architecture)
    found = of_torch(bare)
    assert found.x.shape == (STEPS, N) and found.loss_gradient.shape == (STEPS, H)
    np.testing.assert_allclose(np.linalg.norm(found.loss_gradient, axis=1), 1)
    np.testing.assert_array_equal(of_torch(bare).x, found.x)
    assert [line[:12] for line in found.assumed] == ["no inputs we", "no loss was "]
    found = of_torch(words)
    assert len(found.x) == len(found.y) == STEPS and found.loss_gradient is None
    np.testing.assert_array_equal(found.x[1:], found.y[:-1])
    assert [line[:12] for line in found.assumed] == ["no inputs we", "no targets w"]
    assert of_torch(words, TOKENS).assumed == [
        "no targets were given: each token predicts the next"
    ]
    tags = {**words, "decoder.weight": np.ones((5, H))}
    assert of_torch(tags, TOKENS).loss_gradient.shape == (T + 1, H)  # 5 outputs are no tokens
    assert of_torch(words, X).loss_gradient.shape == (T, H)
    assert of_torch(bare, TOKENS % N).loss_gradient.shape == (T + 1, H)  # one-hot
    assert of_torch(bare, loss_gradient=E).x.shape == (T, N)
    assert of_torch(words, targets=TOKENS).x.shape == TOKENS.shape
    assert of_torch(bare, X, loss_gradient=E).assumed == []


def test_a_sample_of_sequences_pools_their_flows(random):
    inputs, errors = random.normal(size=(3, T, N)), random.normal(size=(3, T, H))
    sample = Sample.from_torch(BARE, inputs, loss_gradient=errors)
    for norms, x, e in zip(sample.norms, inputs, errors):
        np.testing.assert_array_equal(norms, Flow.from_torch(BARE, x, loss_gradient=e).norms)
    words, tokens = language_model(), random.integers(VOCAB, size=(4, T + 1))
    state = to_torch(words.parameters(), words.architecture)
    found, expected = Sample.from_torch(state, tokens), Sample(words, tokens)
    np.testing.assert_array_equal(found.norms, expected.norms)
    no_list = "^inputs must be a list or an array of sequences, one or more$"
    for given, message in [
        ({"inputs": inputs, "loss_gradient": errors[:2]}, "3 sequences of inputs and 2 of loss"),
        ({"inputs": inputs[:0]}, no_list),
        ({"inputs": 3}, no_list),
        ({"inputs": inputs[0, 0]}, no_list),
        ({"inputs": [X, X[:, :2]]}, r"^inputs has shape \(6, 2\), not \(T, 4\)$"),
    ]:
        with pytest.raises(RNNError, match=message):
            Sample.from_torch(BARE, **given)


@pytest.mark.parametrize("cell", ["tanh", "relu", "gru_after", "lstm"])
@pytest.mark.parametrize("initialization", ["uniform", "spectral:3"])
def test_what_helps_a_module_is_said_in_terms_of_pytorch(cell, initialization, random):
    model = language_model(cell, initialization=initialization)
    given = {"cell": "relu"} if cell == "relu" else {}
    x = random.normal(size=(40, N))
    said = Flow.from_torch(state_of(model), x, **given).verdict().remedies
    assert not [line for line in said if "--" in line]
    for function in re.findall(r"torch\.(nn\.[\w.]+)", " ".join(said)):
        assert function in FUNCTIONS
    if cell == "tanh":
        assert len(said) >= 3


#: What PyTorch has.
FUNCTIONS = {
    "nn.utils.clip_grad_norm_",
    "nn.init.orthogonal_",
    "nn.init.eye_",
    "nn.RNN",
    "nn.LSTM",
}


@pytest.fixture(scope="module")
def of_last():
    """Findings of a module whose loss is at the last step, as in a classification."""
    last = np.zeros((T, H))
    last[-1] = 1
    flow = Flow.from_torch(state_of(language_model()), X, loss_gradient=last)
    return flow, measure(flow, *flow.labels(), "module")


def test_of_a_loss_at_the_last_step_that_step_alone_counts(of_last):
    flow, found = of_last
    norms = flow.norms[-1]
    assert not flow.norms[:-1].any()
    assert found.live == flow.live_steps() == (norms >= 0.01 * norms[-1]).sum()
    assert terminal.possible(found) == T
    assert found.verdict.zeros == 0 and "of the pairs" not in found.verdict.words
    rows = [line for line in terminal.heat_map(found).splitlines() if re.match(r" +E\d", line)]
    assert len(rows) == 1 and rows[0].split()[0] == f"E{T}"
    np.testing.assert_allclose(found.left, norms[::-1] / norms[-1], rtol=1e-12)
    W = flow.gradient()["W"]
    one = np.zeros((T, T))
    one[-1] = 1
    np.testing.assert_array_equal(flow.gradient(one)["W"], W)


def test_the_page_of_real_inputs_speaks_of_steps_and_not_of_words(of_last):
    _, found = of_last
    assert found.losses is None and not found.is_text
    assert figures.one_output(found).slider.active == T - 1  # which has the largest error
    text = figures.heat(found).panels[0].marks[0].hover()[T - 1][0]
    assert text.startswith(f"output {T}, “E{T}”\nstep 1, “x1”: norm ")
    said = " ".join(section.text for section in html.sections_of(found))
    said += terminal.heat_map(found)
    said += figures.heat(found).title
    assert "Row: an output. Column: a step. The colour" in said
    assert "word" not in said, said[said.index("word") - 80 :][:160]


class Unreadable:
    def __array__(self, *arguments, **settings):
        raise RuntimeError("its numbers are elsewhere")


BARE = state_of(language_model())
NAN = X.copy()
NAN[4, 1] = np.nan


@pytest.mark.parametrize("given, message", [
    ({"inputs": NAN}, r"^inputs\[4, 1\] is nan, and 1 of its values are NaN or infinite; pass"),
    ({"inputs": X[:, :2]}, r"^inputs has shape \(6, 2\), not \(T, 4\)$"),
    ({"inputs": X[None]}, r"^inputs has shape \(1, 6, 4\), not \(T, 4\); of a batch pass one seq"),
    ({"inputs": X[:, 0]}, r"^inputs has shape \(6,\), not \(T, 4\)$"),
    ({"inputs": np.ones((5, 2), int)}, r"^inputs has shape .*; token ids have the shape \(T,\)$"),
    ({"inputs": X[:0]}, r"^inputs has shape \(0, 4\), not \(T, 4\)$"),
    ({"inputs": X.astype(complex)}, r"^inputs has dtype complex128; pass real numbers \(T, 4\)$"),
    ({"inputs": [[1.0], [1.0, 2.0]]}, r"^inputs has rows of different lengths"),
    ({"inputs": [0, 4]}, r"^inputs\[1\] is 4; pass token ids from 0 to 3$"),
    ({"inputs": X, "loss_gradient": E[:3]}, r"^loss_gradient has shape \(3, 3\), not \(6, 3\)$"),
    ({"inputs": X, "loss_gradient": E[:, :2]}, r"^loss_gradient has shape \(6, 2\), not \(6, 3"),
    ({"inputs": X, "loss_gradient": NAN[:, :H]}, r"^loss_gradient\[4, 1\] is nan"),
    ({"inputs": X, "targets": TOKENS[1:]}, "^this network has no decoder for the targets y; pass"),
    ({"inputs": X, "targets": TOKENS[1:], "loss_gradient": E}, "^pass y, .*, not both$"),
    ({"names": "lstm"}, r"^names is 'lstm', and no tensor begins so: it holds rnn.weight_ih_l0"),
    ({"cell": "lstm"}, "the cell lstm is an nn.LSTM with G = 4; leave cell out, or give tanh"),
])  # fmt: skip
def test_bad_input_is_refused(given, message):
    with pytest.raises(RNNError, match=message):
        Flow.from_torch(BARE, **given)


@pytest.mark.parametrize("state, message", [
    ({**BARE, "rnn.weight_ih_l0_reverse": np.ones((3, 4))}, "of a bidirectional module"),
    ({**BARE, "rnn.weight_hr_l0": np.ones((2, 3))}, "of an nn.LSTM with proj_size"),
    ({**BARE, "conv.weight": np.ones(2)}, "\"conv.weight\" is unknown; .*alone, names='its p"),
    ({"conv.weight": np.ones((2, 3))}, r"weight_ih_l0 is missing: it holds conv.weight \(2, 3\)"),
    ({**BARE, "rnn.weight_hh_l0": NAN[:, :3][3:]}, "weight_hh_l0 has 1 values that are NaN"),
    ({**BARE, "rnn.weight_hh_l0": Unreadable()}, "weight_hh_l0 cannot be read as an array: its"),
    (b"pickled", "is not a safetensors file"),
])  # fmt: skip
def test_another_module_is_refused(state, message):
    with pytest.raises(RNNError, match=message):
        Flow.from_torch(state, X, loss_gradient=E)


@pytest.mark.parametrize("arguments, message", [
    ((TOKENS[:-1],), r"^pass y, the targets of a softmax, or loss_gradient, dE_t/ds_t \(T, H\)$"),
    ((TOKENS[:-1], TOKENS), "^x has 6 steps and y has 7; pass one target for each step$"),
    ((TOKENS[:-1], TOKENS[1:] + VOCAB), "^y.* pass token ids from 0 to 6$"),
])  # fmt: skip
def test_a_flow_wants_one_loss(arguments, message):
    with pytest.raises(RNNError, match=message):
        Flow(language_model(), *arguments)


def test_a_file_that_is_no_safetensors_file_is_named(tmp_path):
    (tmp_path / "file.pt").write_bytes(b"PK\x03\x04 a pickle")
    with pytest.raises(
        RNNError, match=r"file\.pt is not a safetensors file of float32 or float64"
    ):
        Flow.from_torch(tmp_path / "file.pt", X)


def test_a_network_of_the_user_is_left_as_it_was():
    arrays = {"U": np.ones((H, N)), "W": np.eye(H), "V": np.zeros((0, H))}
    network = Network(of_torch(BARE, X).network.architecture, arrays)
    Flow(network, X, loss_gradient=E)
    assert list(network.arrays) == ["U", "W", "V"]
