"""The oracle against what it does not contain: finite differences, the table, exact values."""

import ast
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from kinds import (
    PLAIN,
    assert_projection_agrees,
    assert_same,
    hears,
    surrogate,
    truncations,
)

import theano_rnn.reference as reference
from theano_rnn.reference import (
    NumpyRNN,
    directional_difference,
    finite_differences,
    frozen_state_loss,
)


def net(seed=0, hidden_size=3, vocab_size=5, T=6, scale=1.0):
    """Parameters uniform in +-scale, and a random sentence with its targets."""
    rng = np.random.default_rng(seed)
    shapes = {
        "U": (hidden_size, vocab_size),
        "V": (vocab_size, hidden_size),
        "W": (hidden_size, hidden_size),
    }
    parameters = {name: rng.uniform(-scale, scale, shape) for name, shape in shapes.items()}
    return parameters, rng.integers(vocab_size, size=T), rng.integers(vocab_size, size=T)


# Gradients


@pytest.mark.parametrize("T", [1, 2, 6])
def test_full_gradient_is_the_central_difference_of_the_loss_element_by_element(T):
    parameters, x, y = net(1, T=T)
    expected = finite_differences(lambda p: NumpyRNN(p).ce_error(x, y), parameters)
    gradients = NumpyRNN(parameters).bptt(x, y)
    assert_same(gradients, expected, 1e-8)
    assert [g.shape for g in gradients.values()] == [(3, 5), (5, 3), (3, 3)]


def test_full_gradient_projects_as_the_loss_does_on_a_larger_net():
    parameters, x, y = net(2, hidden_size=20, vocab_size=40, T=15, scale=0.5)
    gradients = NumpyRNN(parameters).bptt(x, y)
    for seed in range(10):
        assert_projection_agrees(lambda p: NumpyRNN(p).ce_error(x, y), parameters, gradients, seed)


@pytest.mark.parametrize("truncation", truncations(T=5))
def test_truncated_gradient_is_the_central_difference_of_its_surrogate(truncation):
    parameters, x, y = net(3, T=5, scale=1.5)
    expected = finite_differences(surrogate(parameters, x, y, truncation), parameters)
    assert_same(NumpyRNN(parameters, truncation).bptt(x, y), expected, 1e-8)


def test_surrogate_holds_the_states_before_the_cut():
    # last:2 with the frozen states of other parameters: the four early losses are read from them.
    parameters, x, y = net(5)
    zeros = np.zeros((7, 3))
    expected = 4 * np.log(5) + NumpyRNN(parameters).ce_error(x[4:], y[4:])
    value = frozen_state_loss(parameters, zeros, x, y, "last:2")
    assert value == pytest.approx(expected, rel=1e-14)
    pieces = sum(NumpyRNN(parameters).ce_error(x[c : c + 2], y[c : c + 2]) for c in (0, 2, 4))
    value = frozen_state_loss(parameters, zeros, x, y, "chunk:2")
    assert value == pytest.approx(pieces, rel=1e-14)


# Which step hears which output


@pytest.mark.parametrize("k", range(1, 10))
def test_each_step_hears_exactly_the_outputs_of_the_formula(k):
    T = 7
    t, j = np.ogrid[1 : T + 1, 1 : T + 1]  # counted from 1, as the sums are written
    expected = {
        "window": (np.maximum(1, t - k) <= j) & (j <= t),
        "chunk": (k * ((t - 1) // k) + 1 <= j) & (j <= t),
        "last": (T - k + 1 <= t) & (T - k + 1 <= j) & (j <= t),
    }
    for scheme, matrix in expected.items():
        assert (hears(f"{scheme}:{k}", PLAIN, T) == matrix).all(), scheme


def test_W_alone_misses_a_cut_of_the_first_step_as_its_state_before_is_zero():
    # So a check of truncation by dW only, or by its norm, is blind one k earlier than by dU.
    parameters, x, y = net(7)
    full = NumpyRNN(parameters).bptt(x, y)["W"]
    for scheme, k, blind in (("window", 4, True), ("last", 5, True), ("chunk", 5, False)):
        assert (NumpyRNN(parameters, f"{scheme}:{k}").bptt(x, y)["W"] == full).all() == blind
        cut = NumpyRNN(parameters, f"{scheme}:{k - 1}").bptt(x, y)["W"]
        assert abs(cut - full).max() > 1e-3


def test_last_truncation_learns_from_the_last_four_words_only():
    # What the tutorial's bptt_truncate=4 does when handed to theano.scan.
    parameters, _, y = net(8, vocab_size=12, T=12)
    x = np.arange(12)
    other = y.copy()
    other[:8] = (y[:8] + 1) % 12
    for model, differs in (
        (NumpyRNN(parameters, "last:4"), False),
        (NumpyRNN(parameters, "window:4"), True),
    ):
        before, after = model.bptt(x, y), model.bptt(x, other)
        for name in ("U", "W"):
            assert (before[name] != after[name]).any() == differs
        assert before["U"][:, :8].any() == differs  # the columns of the first eight words
        assert before["U"][:, 8:].all()


@pytest.mark.parametrize(
    "truncation, cosine", [("window:2", 0.965), ("chunk:2", 0.743), ("last:2", 0.860)]
)
def test_norm_can_grow_under_truncation_while_the_direction_is_wrong(truncation, cosine):
    parameters, x, y = net(9)
    full = NumpyRNN(parameters).bptt(x, y)["W"]
    cut = NumpyRNN(parameters, truncation).bptt(x, y)["W"]
    norms = np.linalg.norm(cut), np.linalg.norm(full)
    assert norms[0] > 1.05 * norms[1]
    assert (cut * full).sum() / np.prod(norms) == pytest.approx(cosine, abs=1e-3)


def test_old_words_mean_window_and_last():
    parameters, x, y = net(10)
    for word, scheme in (("bptt_truncate", "window"), ("truncate_gradient", "last")):
        model = NumpyRNN(parameters, **{word: 3})
        assert model.truncation == f"{scheme}:3"
        assert_same(model.bptt(x, y), NumpyRNN(parameters, f"{scheme}:3").bptt(x, y))
    assert NumpyRNN(parameters).truncation == "full"


# Losses, probabilities, updates


def test_probabilities_states_and_losses_are_those_of_the_equations():
    parameters, x, y = net(12)
    U, V, W = parameters.values()
    model = NumpyRNN(parameters)
    s, expected = np.zeros(3), 0.0
    for t, o_t in enumerate(model.forward_propagation(x)):
        s = np.tanh(U @ np.eye(5)[x[t]] + W @ s)
        o = np.exp(V @ s) / np.exp(V @ s).sum()
        np.testing.assert_allclose(model.hidden_states(x)[t], s, rtol=1e-14)
        np.testing.assert_allclose(o_t, o, rtol=1e-13)
        assert model.predict(x)[t] == o.argmax()
        expected -= np.log(o[y[t]])
    assert model.ce_error(x, y) == pytest.approx(expected, rel=1e-14)
    assert model.hidden_states(x).shape == (7, 3) and not model.hidden_states(x)[-1].any()
    assert model.predict(x).shape == (6,)
    assert (model.hidden_size, model.vocab_size) == (3, 5)


def test_total_loss_is_a_sum_over_sentences_and_loss_is_a_token():
    parameters, x, y = net(13)
    model = NumpyRNN(parameters)
    X, Y = [x, x[:1], list(x[2:])], [y, y[:1], tuple(y[2:])]
    total = sum(model.ce_error(a, b) for a, b in zip(X, Y))
    assert model.calculate_total_loss(X, Y) == pytest.approx(total, rel=1e-15)
    assert model.calculate_loss(X, Y) == pytest.approx(total / 11, rel=1e-15)


def test_loss_of_small_parameters_is_the_log_of_the_vocabulary():
    parameters, x, y = net(14, hidden_size=10, vocab_size=1000, T=20, scale=0.01)
    assert NumpyRNN(parameters).calculate_loss([x], [y]) == pytest.approx(np.log(1000), abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_huge_logits_neither_overflow_nor_lose_the_loss(dtype):
    # tanh(1000) = 1, so the logits are exactly (1000, 0).
    parameters = {
        "U": np.full((1, 2), 1e3, dtype),
        "V": np.array([[1e3], [0]], dtype),
        "W": np.full((1, 1), 1e3, dtype),
    }
    model = NumpyRNN(parameters)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert model.ce_error([0, 1], [1, 1]) == 2000
        assert model.ce_error([0, 1], [0, 0]) == 0
        assert model.forward_propagation([0, 1]).tolist() == [[1, 0], [1, 0]]
        gradients = model.bptt([0, 1], [1, 1])
    assert gradients["V"].tolist() == [[2], [-2]]
    assert not gradients["U"].any() and not gradients["W"].any()  # saturated


@pytest.mark.parametrize("truncation", truncations(T=3))
def test_everything_is_computed_in_the_dtype_of_the_parameters(truncation):
    parameters, x, y = net(15)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    model = NumpyRNN(single, truncation)
    gradients = model.bptt(x, y)
    expected = NumpyRNN(parameters, truncation).bptt(x, y)
    assert_same(gradients, expected, 1e-5)
    model.sgd_step(x, y, np.float64(0.1))
    arrays = list(gradients.values()) + list(model.parameters().values())
    assert {a.dtype for a in arrays + [model.forward_propagation(x)]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("truncation", truncations(T=2))
def test_sgd_step_subtracts_the_gradient_and_returns_the_loss_before(truncation):
    parameters, x, y = net(16)
    model = NumpyRNN(parameters, truncation)
    loss, gradients = model.ce_error(x, y), model.bptt(x, y)
    assert model.sgd_step(x, y, 0.01) == loss
    expected = {name: parameters[name] - 0.01 * gradients[name] for name in parameters}
    assert_same(model.parameters(), expected)
    assert model.ce_error(x, y) < loss


def test_repeated_sgd_steps_learn_a_sentence_by_heart():
    parameters, _, _ = net(17, hidden_size=8)
    model, x, y = NumpyRNN(parameters), [0, 1, 2, 1, 3], [1, 2, 1, 3, 4]
    for _ in range(300):
        model.sgd_step(x, y, 0.1)
    assert model.predict(x).tolist() == y
    assert model.calculate_loss([x], [y]) < 0.1


def test_parameters_are_copied_in_and_out_in_order():
    parameters, x, y = net(18)
    model = NumpyRNN({name: parameters[name] for name in ("W", "V", "U")})
    loss = model.ce_error(x, y)
    copies = model.parameters()
    assert_same(copies, parameters)
    for array in list(copies.values()) + list(parameters.values()):
        array += 1
    assert model.ce_error(x, y) == loss
    model.set_parameters(parameters)
    parameters["U"] += 1
    assert_same(model.parameters(), {**parameters, "U": parameters["U"] - 1}, 1e-12)


def test_nothing_given_is_changed():
    parameters, x, y = net(19)
    given = {name: value.copy() for name, value in parameters.items()}
    frozen = NumpyRNN(parameters).hidden_states(x)
    arrays = (frozen.copy(), x.copy(), y.copy())
    for truncation in truncations(T=3):
        NumpyRNN(parameters, truncation).bptt(x, y)
        finite_differences(
            lambda p, scheme=truncation: frozen_state_loss(p, frozen, x, y, scheme), parameters
        )
    assert_same(parameters, given)
    assert all((a == b).all() for a, b in zip(arrays, (frozen, x, y)))


# Finite differences


def test_finite_differences_of_a_cubic_are_its_gradient_for_any_names_and_shapes():
    parameters = {"b": np.array(2.0), "A": np.arange(6.0).reshape(1, 2, 3)}

    def function(p):
        return p["b"] ** 3 + (p["A"] ** 2).sum() * p["b"]

    gradients = finite_differences(function, parameters)
    assert list(gradients) == ["b", "A"]
    assert gradients["b"] == pytest.approx(12 + 55, abs=1e-8)
    np.testing.assert_allclose(gradients["A"], 4 * parameters["A"], atol=1e-8)
    direction = {"b": np.array(-1.0), "A": np.ones((1, 2, 3))}
    found = directional_difference(function, parameters, direction, epsilon=1e-4)
    assert found == pytest.approx(-67 + 60, abs=1e-6)


def test_finite_differences_take_single_precision_to_double():
    seen = finite_differences(
        lambda p: float(p["a"][0]), {"a": np.full(1, 1000, dtype=np.float32)}
    )
    assert seen["a"] == pytest.approx(1, abs=1e-6)  # in float32, 1000 + 1e-5 is 1000


def test_finite_differences_name_the_element_where_the_function_is_not_finite():
    with pytest.raises(ValueError, match=r"nan at a\[1\] - epsilon"):
        finite_differences(lambda p: np.nan if p["a"][1] < 0 else 0.0, {"a": np.array([1.0, 0.0])})


# The package itself


def modules():
    names = [module.name for module in pkgutil.iter_modules(reference.__path__)]
    return [importlib.import_module(f"{reference.__name__}.{name}") for name in names]


def test_reference_imports_numpy_the_standard_library_and_itself_only():
    standard = {"__future__", "collections", "math", "numbers", "re", "typing"}
    for module in [reference] + modules():
        with open(module.__file__, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("theano_rnn.reference")
                assert own or name.split(".")[0] in standard | {"numpy"}, module.__file__
    code = "import sys, theano_rnn.reference; sys.exit('theano' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
