"""RNN against NumpyRNN, what a step touches in memory, and everything RNN refuses."""

import functools
import subprocess
import sys

import numpy as np
import pytest
from conftest import first, net

import theano_rnn
from theano_rnn import RNN, RNNError
from theano_rnn.engine import theano
from theano_rnn.gradcheck import relative_error
from theano_rnn.model.initialization import initial
from theano_rnn.optim import step as step_module
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN

TRUNCATIONS = ["full", "window:2", "chunk:3", "last:2"]
H, VOCAB = 4, 7
SHAPES = {"U": (H, VOCAB), "V": (VOCAB, H), "W": (H, H)}


@functools.cache
def the_model(truncation, dtype):
    return RNN(VOCAB, H, truncation=truncation, dtype=dtype)


def model_and_oracle(seed=0, truncation="full", T=6, dtype="float64", scale=1.0):
    """The one model of a truncation, compiled once, with the parameters of the oracle."""
    parameters, x, y = net(seed, H, VOCAB, T, scale, dtype)
    model = the_model(truncation, dtype)
    model.set_parameters(parameters)
    return model, NumpyRNN(parameters, truncation), x, y


def assert_same(a, b, tolerance=0.0):
    assert list(a) == list(b) == ["U", "V", "W"]
    for name in a:
        assert a[name].shape == b[name].shape
        assert a[name].dtype == b[name].dtype
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance, err_msg=name)


# The package's public names


def test_the_public_names_need_no_rooms_and_import_theano_only_when_used():
    code = (
        "import sys, theano_rnn; assert 'theano' not in sys.modules\n"
        "print([getattr(theano_rnn, name).__name__ for name in theano_rnn.__all__])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (
        printed.stdout.decode().strip() == "['RNN', 'Flow', 'RNNError', 'Step', 'load', 'train']"
    )
    with pytest.raises(AttributeError, match="module 'theano_rnn' has no attribute 'LSTM'"):
        theano_rnn.LSTM  # noqa: B018


# Equal to NumPy


def test_probabilities_predictions_and_losses_equal_numpy():
    for T in (1, 2, 6, 11):
        model, oracle, x, y = model_and_oracle(T, T=T)
        o = model.forward_propagation(x)
        assert o.shape == (T, VOCAB) and o.dtype == np.float64
        assert relative_error(o, oracle.forward_propagation(x)) < 1e-13
        assert (model.predict(x) == oracle.predict(x)).all()
        assert isinstance(model.ce_error(x, y), float)
        assert model.ce_error(x, y) == pytest.approx(oracle.ce_error(x, y), rel=1e-13)
        X, Y = [x, x[:1], tuple(x)], [y, list(y[:1]), y]
        total = model.calculate_total_loss(X, Y)
        assert total == pytest.approx(oracle.calculate_total_loss(X, Y), rel=1e-13)
        assert model.calculate_loss(X, Y) == pytest.approx(total / (2 * T + 1), rel=1e-14)


@pytest.mark.parametrize("truncation", first(2, TRUNCATIONS))
def test_bptt_equals_numpy_in_value_order_and_shape(truncation):
    for T in (1, 2, 3, 4, 7):
        model, oracle, x, y = model_and_oracle(T, truncation, T)
        assert_same(model.bptt(x, y), oracle.bptt(x, y), 1e-12)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_sgd_steps_in_a_row_with_repeated_tokens_leave_the_parameters_of_numpy(truncation):
    model, oracle, _, _ = model_and_oracle(1, truncation)
    x, y = [3, 1, 3, 3, 0, 1], [1, 3, 3, 0, 1, 1]
    for _ in range(5):
        assert model.sgd_step(x, y, 0.1) == pytest.approx(oracle.sgd_step(x, y, 0.1), rel=1e-12)
    assert_same(model.parameters(), oracle.parameters(), 1e-12)


@pytest.mark.parametrize("T", [3, 4, 9])  # |dV| has one way for T <= H = 4 and one for T > H
@pytest.mark.parametrize("truncation", ["full", "last:2"])
def test_clipped_sgd_step_rescales_the_gradient_to_the_clip_where_its_norm_is_larger(
    truncation, T
):
    for clip, is_clipped in ((0.3, True), (300, False)):
        model, oracle, x, y = model_and_oracle(T, truncation, T)
        x[-1] = x[0]
        before, gradients = oracle.parameters(), oracle.bptt(x, y)
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        assert (norm > clip) == is_clipped
        loss, found = model.clipped_sgd_step(x, y, 0.1, clip)
        assert loss == pytest.approx(oracle.ce_error(x, y), rel=1e-13)
        assert found == pytest.approx(norm, rel=1e-12)
        scale = min(1, clip / norm)
        expected = {name: before[name] - 0.1 * scale * gradients[name] for name in before}
        assert_same(model.parameters(), expected, 1e-13)


def test_clipping_a_gradient_of_zero_changes_nothing():
    # |dV|^2 from products of T x T matrices can be rounded below 0, and its root would be NaN.
    model = the_model("full", "float64")
    zeros = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    for seed in range(20):
        s = np.random.default_rng(seed).uniform(-0.4, 0.4, (H, 3))
        s[:, 2] = -s[:, 0] - s[:, 1]  # with V = 0 all errors are equal, and those in dV cancel
        U = np.hstack([np.arctanh(s), np.zeros((H, VOCAB - 3))])
        model.set_parameters({**zeros, "U": U})
        _, norm = model.clipped_sgd_step([0, 1, 2], [3, 3, 3], 0.1, 1.0)
        assert norm == pytest.approx(0, abs=1e-7)
        assert_same(model.parameters(), {**zeros, "U": U}, 1e-7)


def test_next_token_chained_over_a_sentence_gives_the_rows_of_forward_propagation():
    model, oracle, x, _ = model_and_oracle(2, T=9)
    state = None
    for t, expected in enumerate(model.forward_propagation(x)):
        o, state = model.next_token(x[t], state)
        assert o.shape == (VOCAB,) and state.shape == (H,)
        np.testing.assert_allclose(o, expected, rtol=1e-13)
        np.testing.assert_allclose(state, oracle.hidden_states(x)[t], rtol=1e-13)
    again, _ = model.next_token(int(x[0]), list(np.zeros(H)))
    assert (again == model.next_token(x[0])[0]).all()


@pytest.mark.parametrize("kind", [{"cell": "gru"}, {"cell": "lstm", "layers": 2, "bias": True}])
def test_next_token_hands_on_all_that_the_state_of_gates_and_layers_holds(kind):
    model = RNN(VOCAB, 3, **kind, dtype="float64", seed=4)
    x, state = np.random.default_rng(0).integers(VOCAB, size=8), None
    for token, expected in zip(x, model.forward_propagation(x)):
        o, state = model.next_token(token, state)
        np.testing.assert_allclose(o, expected, rtol=1e-13)


@pytest.mark.parametrize("truncation", ["window:2"])
def test_float32_models_compute_in_float32_and_equal_numpy(truncation):
    model, oracle, x, y = model_and_oracle(3, truncation, T=8, dtype="float32")
    exact = NumpyRNN(
        {name: p.astype("float64") for name, p in oracle.parameters().items()}, truncation
    )
    gradients, expected = model.bptt(x, y), exact.bptt(x, y)
    for name in "UVW":
        assert gradients[name].dtype == np.float32
        assert relative_error(gradients[name], expected[name]) < 1e-5
    assert model.ce_error(x, y) == pytest.approx(exact.ce_error(x, y), rel=1e-6)
    for _ in range(3):
        model.sgd_step(x, y, 0.1)
        exact.sgd_step(x, y, 0.1)
    for name, p in model.parameters().items():
        assert p.dtype == np.float32
        assert relative_error(p, exact.parameters()[name]) < 1e-5


def test_the_learning_rate_fits_a_model_whose_dtype_is_not_floatX():
    # Theano takes a Python float for a float32 only where floatX is float32.
    for dtype, other in (("float32", "float64"), ("float64", "float32")):
        truncation = "window:2" if dtype == "float32" else "full"
        model, oracle, x, y = model_and_oracle(4, truncation, dtype=dtype)
        with theano.config.change_flags(floatX=other):
            loss = model.sgd_step(x, y, 0.1)
        assert loss == pytest.approx(oracle.ce_error(x, y), rel=1e-5)


def test_tokens_may_be_any_sequence_of_integers():
    model, _, x, y = model_and_oracle(5)
    expected = model.ce_error(x, y)
    for kind in (list, tuple, np.int32, np.uint8, lambda a: np.repeat(a, 2)[::2]):
        assert model.ce_error(kind(x), kind(y)) == expected
    assert model.forward_propagation(range(3)).shape == (3, VOCAB)


# Parameters


def test_parameters_come_back_as_they_were_set():
    model, _, _, _ = model_and_oracle(6)
    values, _, _ = net(7, H, VOCAB)
    model.set_parameters(dict(reversed(values.items())))
    assert_same(model.parameters(), values)
    lists = {name: np.asfortranarray(value) for name, value in values.items()}
    model.set_parameters({**lists, "W": values["W"].tolist()})
    assert_same(model.parameters(), values)
    assert all(p.get_value(borrow=True).flags.c_contiguous for p in model.shared.values())


@pytest.mark.parametrize("vocab_size, hidden_size", [(5, 3), (5, 1), (1, 3), (1, 1)])
def test_parameters_are_copies_on_the_way_in_and_out(vocab_size, hidden_size):
    model = RNN(vocab_size, hidden_size)
    before = model.parameters()
    for value in model.parameters().values():
        value += 1
    assert_same(model.parameters(), before)
    values = model.parameters()
    model.set_parameters(values)
    for value in values.values():
        value += 1
    assert_same(model.parameters(), before)
    for name, value in before.items():
        assert value.flags.c_contiguous and value.flags.writeable, name


def test_results_are_not_overwritten_by_the_next_call():
    model, _, x, y = model_and_oracle(8)
    gradients, o = model.bptt(x, y), model.forward_propagation(x)
    kept = {name: g.copy() for name, g in gradients.items()}, o.copy()
    model.bptt(y, x)
    model.forward_propagation(y)
    assert_same(gradients, kept[0])
    assert (o == kept[1]).all()


def test_a_seed_makes_the_same_parameters_and_another_makes_others():
    assert_same(RNN(9, 5, seed=3).parameters(), RNN(9, 5, seed=3).parameters())
    for name, value in RNN(9, 5, seed=4).parameters().items():
        assert (value != RNN(9, 5, seed=3).parameters()[name]).all()
    expected = initial({"U": (5, 9), "V": (9, 5), "W": (5, 5)}, "tanh", "uniform", 0, "float64")
    assert_same(RNN(9, 5, dtype="float64").parameters(), expected)


def test_initial_parameters_fill_plus_minus_one_over_the_root_of_the_inputs():
    parameters = RNN(2000, 50).parameters()
    assert [p.shape for p in parameters.values()] == [(50, 2000), (2000, 50), (50, 50)]
    for name, inputs in (("U", 2000), ("V", 50), ("W", 50)):
        largest = abs(parameters[name]).max() * inputs**0.5
        assert 0.99 < largest <= 1 + 1e-6
        assert abs(parameters[name].mean() * inputs**0.5) < 0.05


def test_the_dtype_is_floatX_unless_given():
    assert RNN(5, 3).dtype == theano.config.floatX
    for dtype in ("float32", "float64"):
        assert {p.dtype for p in RNN(5, 3, dtype=dtype).parameters().values()} == {np.dtype(dtype)}


# What a step touches


def test_an_sgd_step_changes_the_rows_of_U_in_x_and_no_bit_of_the_others():
    model, _, _, _ = model_and_oracle(9)
    before = model.parameters()["U"]
    model.sgd_step([2, 5, 2], [0, 1, 3], 0.1)
    changed = (model.parameters()["U"] != before).any(axis=0)
    assert np.flatnonzero(changed).tolist() == [2, 5]


def updates(function):
    """The node that makes the new value of each shared variable, by its name."""
    fgraph = function.maker.fgraph
    return {
        fgraph.inputs[i].name: fgraph.outputs[o].owner for o, i in fgraph.update_mapping.items()
    }


@pytest.mark.slow
@pytest.mark.in_c
@pytest.mark.parametrize("clip_by", [None, "norm"])
def test_a_step_updates_U_by_rows_and_a_large_V_by_one_product_both_in_place(clip_by, monkeypatch):
    monkeypatch.setattr(step_module, "SMALL", 0)
    model, _, x, y = model_and_oracle(10, T=3)
    step = Step(model, clip_by=clip_by)
    step(x, y, 0.1)
    ((_, function),) = step._functions.items()
    made_by = updates(function)
    U = made_by["U"]
    assert type(U.op).__name__ == "RowIncrement" and U.op.inplace
    assert U.inputs[0].name == "U" and U.inputs[0].owner is None  # the shared variable itself
    V = made_by["V"]
    assert type(V.op).__name__ == "SkinnyGemm"  # which writes over its first input
    assert V.inputs[0].name == "V" and V.inputs[0].owner is None
    # Every value of a run stays in its storage: none but U and V themselves is that large.
    for variable, cell in function.fn.storage_map.items():
        if variable.owner is not None:
            cell[0] = None  # of earlier runs
    big = model.shared["U"], model.shared["V"]
    storage = {p: p.get_value(borrow=True).ctypes.data for p in big}
    step(x, y, 0.1)
    addresses = {
        cell[0].ctypes.data
        for cell in function.fn.storage_map.values()
        if isinstance(cell[0], np.ndarray) and cell[0].size >= VOCAB * H
    }
    assert addresses == set(storage.values())
    for p, address in storage.items():
        assert p.get_value(borrow=True).ctypes.data == address


# Refused, by the oracle too


def refuses(model, call, message=""):
    """`call` raises RNNError, or for the oracle ValueError, and no bit of the model changes."""
    before = {name: value.tobytes() for name, value in model.parameters().items()}
    with pytest.raises(RNNError if isinstance(model, RNN) else ValueError) as error:
        call()
    if isinstance(model, RNN):
        assert message in str(error.value)
        assert len(str(error.value)) < 500 and "\n" not in str(error.value)
    assert {name: value.tobytes() for name, value in model.parameters().items()} == before


BAD_TOKENS = [
    ([0, 7], "x[1] is 7; pass token ids from 0 to 6"),
    (np.array([3, -1]), "x[1] is -1"),
    ([2**70], "x has dtype object"),
    ([2**63], "x[0] is 9223372036854775808"),
    ([1.0], "x[0] is a float; pass integers"),
    (np.array([1.0]), "x has dtype float64; pass integers"),
    ([1, np.nan], "x[1] is a float"),
    ([1, True], "x[1] is a bool"),
    ([1, np.bool_(True)], "x[1] is a bool"),
    (np.array([True]), "x has dtype bool"),
    (["1"], "x[0] is a str"),
    (np.array(["1"]), "x has dtype <U1"),
    ([None], "x[0] is a NoneType"),
    (np.zeros((2, 2, 2), int), "x has shape (2, 2, 2); pass one sequence of token ids"),
    ([], "x is empty"),
    (np.zeros(0, int), "x is empty"),
    (3, "x has shape ()"),
    (None, "x has shape ()"),
    ("word", "x[0] is a str"),
    (b"ab", "x has shape ()"),
    ({1, 2}, "x has shape ()"),
    (iter([1]), "x has shape ()"),
]


@pytest.mark.filterwarnings("error")  # of NumPy, about lists of different lengths
@pytest.mark.parametrize("tokens, message", BAD_TOKENS)
def test_bad_token_ids_are_refused_and_nothing_changes(tokens, message):
    good = [0, 1]
    for model in model_and_oracle(14, T=2)[:2]:
        for one in (model.forward_propagation, model.predict):
            refuses(model, lambda one=one: one(tokens), message)
        in_y = message.replace("x", "y", 1)
        for two in (model.ce_error, model.bptt, lambda x, y, m=model: m.sgd_step(x, y, 0.1)):
            refuses(model, lambda two=two: two(tokens, good), message)
            refuses(model, lambda two=two: two(good, tokens), in_y)
        for many in (model.calculate_total_loss, model.calculate_loss):
            place = message.replace("x", "Y[1]", 1)
            refuses(model, lambda many=many: many([good, good], [good, tokens]), place)
        if isinstance(model, RNN):
            refuses(model, lambda m=model: m.clipped_sgd_step(tokens, good, 0.1, 1), message)


BAD_BATCHES = [
    ([[1], [2, 3]], "x has rows of different lengths"),
    ([[1, 2], 3], "x[1] is a int; pass a row of ids for each time step"),
    ([[1, True]], "x[0][1] is a bool"),
    ([[1, 1.0]], "x[0][1] is a float"),
    (np.ones((1, 2)), "x has dtype float64"),
    (np.array([[1, 7]]), "x[0, 1] is 7; pass token ids from 0 to 6"),
    ([[1, -1]], "x[0, 1] is -1"),
    ([[], []], "x has shape (2, 0); pass at least one step of at least one sequence"),
    (np.zeros((0, 2), int), "x has shape (0, 2)"),
    ([[[1]], [[2]]], "x[0][0] is a list"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tokens, message", BAD_BATCHES)
def test_batches_of_bad_token_ids_are_refused_and_nothing_changes(tokens, message):
    good = np.zeros((1, 2), int)
    for model in model_and_oracle(14, T=2)[:2]:
        for one in (model.forward_propagation, model.predict):
            refuses(model, lambda one=one: one(tokens), message)
        for two in (model.ce_error, model.bptt):
            refuses(model, lambda two=two: two(tokens, good), message)
            refuses(model, lambda two=two: two(good, tokens), message.replace("x", "y", 1))
        refuses(model, lambda m=model: m.sgd_step(tokens, good, 0.1), message)
        if isinstance(model, RNN):
            refuses(model, lambda m=model: m.clipped_sgd_step(tokens, good, 0.1, 1), message)


def test_a_batch_with_the_targets_of_a_sequence_or_of_another_shape_is_refused():
    x = np.ones((3, 2), int)
    for model in model_and_oracle(14)[:2]:
        for two in (model.ce_error, model.bptt, lambda x, y, m=model: m.sgd_step(x, y, 0.1)):
            refuses(model, lambda two=two: two(x, x[:, 0]), "y has shape (3,); pass a batch")
            refuses(model, lambda two=two: two(x[:, 0], x), "y has shape (3, 2); pass one seq")
            message = "x has shape (3, 2) and y has shape (2, 2)"
            refuses(model, lambda two=two: two(x, x[:2]), message)


BAD_MASKS = [  # of a batch of 3 steps of 2 sequences
    ([[1, 1], [0, 1], [1, 1]], "column 0 of mask has a 0 at step 1 and a 1 at step 2"),
    ([[1, 0], [1, 1], [1, 1]], "column 1 of mask has a 0 at step 0 and a 1 at step 1"),
    ([[1, 0], [1, 0], [0, 0]], "column 1 of mask has no 1"),
    (np.zeros((3, 2)), "mask has no 1"),
    (np.ones((2, 2)), "mask has shape (2, 2) and x has (3, 2)"),
    (np.ones((2, 3)), "mask has shape (2, 3)"),
    (np.ones(3), "mask has shape (3,)"),
    (True, "mask has shape ()"),
    ([[1, 1], [1], [1, 1]], "mask has rows of different lengths"),
    ([[1, 1], [2, 1], [1, 1]], "mask[1, 0] is 2; pass 1 for a token and 0 for padding"),
    ([[1, 1], [1, 1], [1, 0.5]], "mask[2, 1] is 0.5"),
    ([[1, 1], [1, 1], [1, -1]], "mask[2, 1] is -1"),
    ([[1, 1], [1, 1], [1, np.nan]], "mask[2, 1] is nan"),
    ([["1", "1"]] * 3, "mask has dtype <U1; pass booleans, or numbers that are 0 or 1"),
    ([[1, None]] * 3, "mask has dtype object"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mask, message", BAD_MASKS)
def test_bad_masks_are_refused_and_nothing_changes(mask, message):
    x, y = np.arange(6).reshape((3, 2)), np.arange(6)[::-1].reshape((3, 2))
    model, oracle, _, _ = model_and_oracle(14)
    for each in (model, oracle):
        for two in (each.ce_error, each.bptt):
            refuses(each, lambda two=two: two(x, y, mask=mask), message)
    refuses(model, lambda: model.sgd_step(x, y, 0.1, mask=mask), message)
    refuses(model, lambda: model.clipped_sgd_step(x, y, 0.1, 1.0, mask=mask), message)


def test_a_mask_for_one_sequence_is_refused():
    for model in model_and_oracle(14)[:2]:
        for tokens in ([1, 2], np.array([1, 2])):
            refuses(model, lambda m=model, x=tokens: m.ce_error(x, x, mask=[1, 0]), "for batches")


def test_lengths_that_differ_are_refused_and_nothing_changes():
    for model in model_and_oracle(15)[:2]:
        for two in (model.ce_error, model.bptt, lambda x, y, m=model: m.sgd_step(x, y, 0.1)):
            message = "x has 2 tokens and y has 1"
            refuses(model, lambda two=two: two([0, 1], [1]), message)
        for X, Y, message in (
            ([[0, 1]], [[1]], "X[0] has 2 tokens and Y[0] has 1"),
            ([[0], [1]], [[1]], "X has 2 sequences and Y has 1"),
            ([], [], "X is empty"),
            (iter([[1]]), [[1]], "X is a list_iterator"),
            ([[1]], None, "Y is a NoneType"),
            ("ab", "ab", "X is a str"),
            ([0, 1], [1, 0], "X[0] has shape ()"),
        ):
            refuses(model, lambda m=model, X=X, Y=Y: m.calculate_loss(X, Y), message)


BAD_RATES = [0, -0.1, np.nan, np.inf, -np.inf, 10**400, True, "0.1", None, [0.1], 1j]


@pytest.mark.parametrize("rate", BAD_RATES)
def test_learning_rates_and_clips_other_than_positive_numbers_are_refused(rate):
    for model in model_and_oracle(16)[:2]:
        message = "learning_rate must be a positive, finite number"
        refuses(model, lambda m=model: m.sgd_step([0], [1], rate), message)
        if isinstance(model, RNN):
            refuses(model, lambda m=model: m.clipped_sgd_step([0], [1], rate, 1), message)
            message = "clip must be a positive, finite number"
            refuses(model, lambda m=model: m.clipped_sgd_step([0], [1], 0.1, rate), message)


def test_a_learning_rate_too_large_for_float32_is_refused_by_a_model_of_it():
    model, _, x, y = model_and_oracle(17, "window:2", dtype="float32")
    refuses(model, lambda: model.sgd_step(x, y, 1e39), "learning_rate must be a positive, finite")


BAD_PARAMETERS = [
    ({"W": None}, "W missing; pass U (4, 7), V (7, 4), W (4, 4)"),
    ({"b": np.zeros(4)}, "b unknown"),
    ({"U": np.zeros((7, 4))}, "parameter U has shape (7, 4); this model needs (4, 7)"),
    ({"V": np.zeros((8, 4))}, "parameter V has shape (8, 4)"),
    ({"W": np.zeros(4)}, "parameter W has shape (4,)"),
    ({"W": np.zeros((4, 4, 1))}, "parameter W has shape (4, 4, 1)"),
    ({"W": 0.0}, "parameter W has shape ()"),
    ({"W": np.zeros((4, 4), complex)}, "parameter W has dtype complex128"),
    ({"W": np.zeros((4, 4), bool)}, "parameter W has dtype bool"),
    ({"W": np.full((4, 4), "a")}, "parameter W has dtype <U1"),
    ({"W": [[0.0], [0.0, 1.0]]}, "parameter W has rows of different lengths"),
    ({"W": np.diag([0, 0, 0, np.nan])}, "parameter W has 1 values that are NaN or infinite"),
    ({"U": np.full((4, 7), -np.inf)}, "parameter U has 28 values that are NaN or infinite"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("change, message", BAD_PARAMETERS)
def test_bad_parameters_are_refused_and_nothing_changes(change, message):
    model, oracle, _, _ = model_and_oracle(18)
    changed = {**oracle.parameters(), **change}
    bad = {name: p for name, p in changed.items() if p is not None}
    for each in (model, oracle):
        refuses(each, lambda each=each: each.set_parameters(bad), message)


def test_parameters_that_are_no_dict_or_overflow_float32_are_refused():
    model, oracle, _, _ = model_and_oracle(19)
    for each in (model, oracle):
        refuses(each, lambda each=each: each.set_parameters([1, 2, 3]), "parameters is a list")
    single, _, _, _ = model_and_oracle(19, "window:2", dtype="float32")
    large = {**oracle.parameters(), "V": np.full((VOCAB, H), 1e39)}
    message = "parameter V has 28 values that are NaN or infinite in float32"
    refuses(single, lambda: single.set_parameters(large), message)


@pytest.mark.parametrize("size", [0, -1, 1.5, 4.0, True, "4", None, np.nan])
def test_bad_sizes_and_seeds_are_refused(size):
    with pytest.raises(RNNError, match="vocab_size must be a whole number of at least 1, not"):
        RNN(size, 3)
    with pytest.raises(RNNError, match="hidden_size must be a whole number of at least 1, not"):
        RNN(5, size)
    if size != 0:
        with pytest.raises(RNNError, match="seed must be a whole number of at least 0, not"):
            RNN(5, 3, seed=size)


BAD_SETTINGS = [
    ({"cell": "elman"}, "cell 'elman' is unknown; use tanh, sigmoid, relu, gru,"),
    ({"cell": "LSTM"}, "cell 'LSTM' is unknown"),
    ({"cell": None}, "cell None is unknown"),
    ({"cell": ["gru"]}, "cell ['gru'] is unknown"),
    ({"layers": 0}, "layers must be a whole number of at least 1, not 0"),
    ({"layers": 1.0}, "layers must be a whole number of at least 1, not 1.0"),
    ({"layers": True}, "layers must be a whole number"),
    ({"bias": 1}, "bias must be True or False, not 1"),
    ({"bias": None}, "bias must be True or False, not None"),
    ({"tied": "yes"}, "tied must be True or False, not 'yes'"),
    ({"embedding_size": 0}, "embedding_size must be a whole number of at least 1, not 0"),
    ({"embedding_size": True}, "embedding_size must be a whole number"),
    ({"dropout": 1}, "dropout must be a number from 0 to below 1, not 1"),
    ({"dropout": -0.1}, "dropout must be a number from 0 to below 1, not -0.1"),
    ({"dropout": np.nan}, "dropout must be a number from 0 to below 1, not nan"),
    ({"dropout": False}, "dropout must be a number from 0 to below 1, not False"),
    ({"dropout": "0.5"}, "dropout must be a number from 0 to below 1, not '0.5'"),
    ({"tied": True, "cell": "gru"}, "tied needs V = U', but U has 9 rows and V has 3 columns"),
    ({"tied": True, "cell": "lstm"}, "set embedding_size=3, or tied=False"),
    ({"initialization": "xavier"}, "initialization 'xavier' is unknown; use uniform, uniform:R"),
    ({"initialization": "spectral:0"}, "R must be a positive number"),
    ({"initialization": None}, "initialization 'None' is unknown"),
]


@pytest.mark.parametrize("bad, message", BAD_SETTINGS)
def test_bad_settings_are_refused_with_what_to_do(bad, message):
    with pytest.raises(RNNError) as error:
        RNN(5, 3, **bad)
    assert message in str(error.value)
    assert len(str(error.value)) < 300 and "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", ["float16", "int32", "float", np.float32, 32])
def test_bad_dtypes_are_refused(dtype):
    with pytest.raises(RNNError, match=r"dtype .* is unknown; use 'float32' or 'float64'"):
        RNN(5, 3, dtype=dtype)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "state, message",
    [
        (np.zeros(H + 1), r"state has shape \(5,\); this model needs \(4,\)"),
        (np.zeros((1, H)), "state has shape"),
        (0.0, "state has shape"),
        ([0.0, 0.0, 0.0, np.nan], "state has 1 values that are NaN"),
        (["a"] * H, "state has dtype <U1"),
        ([None] * H, "state has dtype object"),
        ([[0.0], [0.0, 1.0]], "state has rows of different lengths"),
    ],
)
def test_bad_states_and_tokens_of_next_token_are_refused(state, message):
    model, _, _, _ = model_and_oracle(20)
    with pytest.raises(RNNError, match=message):
        model.next_token(0, state)
    for token in (VOCAB, -1, 1.0, True, "1", None, [1]):
        with pytest.raises(RNNError, match="token"):
            model.next_token(token)
