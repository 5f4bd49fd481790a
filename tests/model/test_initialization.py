"""Parameters before the first step: what each scheme promises of every matrix and bias."""

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.model.initialization import Scheme, check, initial

GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}
ALL = ("uniform", "uniform:0.1", "glorot", "orthogonal", "identity", "spectral:1.1")


def shapes(cell, H=40, vocab_size=50, D=None):
    """A net of two layers with biases; with a table of tokens where D is given."""
    G = GATES[cell] * H
    table = {} if D is None else {"L": (D, vocab_size)}
    first = {"U": (G, D or vocab_size), "V": (vocab_size, H), "W": (G, H)}
    return {
        **table,
        **first,
        "b": (G,),
        "c": (vocab_size,),
        "U2": (G, H),
        "W2": (G, H),
        "b2": (G,),
    }


def made(cell, scheme, seed=0, dtype="float64", **sizes):
    return initial(shapes(cell, **sizes), cell, scheme, seed, dtype)


def blocks(W, cell):
    return np.split(W, GATES[cell])


def fills(matrix, bound):
    """Uniform in +-bound: nothing beyond it, the edges reached, and the variance bound^2 / 3."""
    n = matrix.size
    assert abs(matrix).max() <= bound
    # The largest of n draws misses the bound by a part of 20 / n once in e^10.
    assert matrix.max() > bound * (1 - 20 / n) and matrix.min() < -bound * (1 - 20 / n)
    # The variance of n draws has the relative deviation sqrt(.8 / n).
    assert matrix.var() == pytest.approx(bound**2 / 3, rel=5 * (0.8 / n) ** 0.5)
    return True


def test_a_tied_table_begins_between_a_table_and_a_V():
    net = {"L": (60, 2000), "U": (60, 60), "W": (60, 60)}
    untied = {**net, "V": (2000, 60)}
    for shapes_of, scheme, bound in [
        (net, "uniform", 60**-0.25),
        (untied, "uniform", 1),
        (net, "uniform:0.3", 0.3),
        (net, "glorot", (6 / 61) ** 0.5),
    ]:
        assert fills(initial(shapes_of, "tanh", scheme, 0, "float64")["L"], bound)


# Names


@pytest.mark.parametrize("scheme", ["orthogonal", "identity", "spectral:1.1"])
def test_a_scheme_that_sets_W_is_refused_for_a_cell_without_W(scheme):
    net = {"U": (4, 3), "V": (3, 2)}
    said = f"initialization '{scheme}' sets W, and the cell mingru has no W; use uniform"
    with pytest.raises(RNNError, match=f"{said}, uniform:R or glorot$"):
        initial(net, "mingru", scheme, 0, "float64")
    bounds = {
        name: abs(a).max() for name, a in initial(net, "mingru", "glorot", 0, "float64").items()
    }
    assert bounds["U"] <= (6 / (3 + 2)) ** 0.5 and list(bounds) == ["U", "V"]


def test_every_scheme_is_understood():
    assert check("uniform") == Scheme("uniform", None)
    assert check("uniform:0.1") == Scheme("uniform", 0.1)
    assert check("glorot") == Scheme("glorot", None)
    assert check("orthogonal") == Scheme("orthogonal", None)
    assert check("identity") == Scheme("identity", None)
    assert check("spectral:1.1") == Scheme("spectral", 1.1)
    assert check("spectral:1e-3") == check("spectral:.001") == Scheme("spectral", 0.001)


@pytest.mark.parametrize(
    "scheme, message",
    [
        *((word, "is unknown; use uniform, uniform:R, glorot, orthogonal, identity or spectral:R")
          for word in ("", "Uniform", " uniform", "zeros", "spectral", "glorot:1", "orthogonal:",
                       ":1", "uniform0.1", None, 1, "x" * 1000)),
        *((word, "R must be a positive number from 1e-30 to 1e30, as in '(uniform|spectral):0.1'")
          for word in ("uniform:", "uniform:0", "uniform:-1", "spectral:nan", "spectral:inf",
                       "spectral:R", "spectral:1e31", "uniform:1e-31", "uniform: 1", "uniform:1_0",
                       "uniform:1\n", "uniform:0x1", "uniform:1:2", "uniform:1e", "spectral:+-1",
                       "uniform:²", "spectral:" + "9" * 5000)),
    ],
)  # fmt: skip
def test_bad_schemes_are_refused_with_what_to_do(scheme, message):
    for refused in (check, lambda scheme: made("tanh", scheme)):
        with pytest.raises(RNNError, match=message) as error:
            refused(scheme)
        assert len(str(error.value)) < 250


def test_a_bad_R_is_shown():
    with pytest.raises(RNNError, match=r"initialization 'spectral:-1': R must be .*, not '-1'$"):
        check("spectral:-1")


# All schemes


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("cell", GATES)
def test_names_order_shapes_and_biases(cell, scheme):
    for sizes in ({"H": 1, "vocab_size": 1}, {"H": 1, "vocab_size": 3, "D": 2}, {"H": 6}):
        values = made(cell, scheme, **sizes)
        assert {name: value.shape for name, value in values.items()} == shapes(cell, **sizes)
        assert list(values) == list(shapes(cell, **sizes))
        H = sizes["H"]
        for name, value in values.items():
            assert value.dtype == np.float64 and value.flags.c_contiguous
            assert np.isfinite(value).all()
            if value.ndim == 1:
                expected = np.zeros(value.shape)
                if cell == "lstm" and name != "c":
                    expected[H : 2 * H] = 1  # the forget gate, second of i, f, o, g
                assert (value == expected).all()


@pytest.mark.parametrize("scheme", ALL)
def test_the_seed_decides_and_float32_is_float64_rounded(scheme):
    values, same = made("gru", scheme, seed=3), made("gru", scheme, seed=3)
    other, rounded = made("gru", scheme, seed=4), made("gru", scheme, seed=3, dtype="float32")
    for name, value in values.items():
        assert (value == same[name]).all()
        assert rounded[name].dtype == np.float32
        assert (rounded[name] == value.astype("float32")).all()
        if value.ndim == 2 and not (scheme == "identity" and name[0] == "W"):
            assert (value != other[name]).any()


@pytest.mark.parametrize("scheme", ["orthogonal", "identity", "spectral:1.1"])
def test_schemes_of_W_leave_the_rest_as_uniform_has_it(scheme):
    values, uniform = made("lstm", scheme, D=30), made("lstm", "uniform", D=30)
    for name in values:
        assert (values[name] == uniform[name]).all() == (name[0] != "W")


def test_a_net_without_biases_and_without_V_is_initialised():
    values = initial({"U": (8, 3), "W": (8, 2)}, "lstm", "orthogonal", 0, "float64")
    assert list(values) == ["U", "W"]


# One by one


@pytest.mark.parametrize("hidden_size, vocab_size, seed", [(1, 1, 0), (3, 5, 1), (100, 800, 2)])
def test_uniform_draws_the_numbers_it_always_drew(hidden_size, vocab_size, seed):
    shapes = {
        "U": (hidden_size, vocab_size),
        "V": (vocab_size, hidden_size),
        "W": (hidden_size, hidden_size),
    }
    random = np.random.default_rng(seed)
    values = initial(shapes, "tanh", "uniform", seed, "float64")
    for name, (m, n) in shapes.items():
        expected = random.uniform(-(n**-0.5), n**-0.5, (m, n))
        np.testing.assert_array_equal(values[name], expected)


def test_uniform_draws_a_published_number():
    net = {"U": (1, 1), "V": (1, 1), "W": (1, 1)}
    values = initial(net, "tanh", "uniform", 0, "float64")
    # default_rng(0).random() is 0.6369616873214543 (NumPy's manual)
    assert values["U"] == pytest.approx(2 * 0.6369616873214543 - 1, rel=1e-15)


@pytest.mark.parametrize("cell", GATES)
def test_uniform_fills_the_bounds_of_the_inputs_of_a_unit(cell):
    values = made(cell, "uniform", H=40, vocab_size=50)
    assert fills(values["U"], 50**-0.5)
    assert all(fills(values[name], 40**-0.5) for name in ("V", "W", "U2", "W2"))


def test_a_column_of_the_table_has_one_input():
    values = made("tanh", "uniform", D=30)
    assert fills(values["L"], 1)
    assert fills(values["U"], 30**-0.5)
    assert fills(made("tanh", "glorot", D=30)["L"], (6 / 31) ** 0.5)


@pytest.mark.parametrize("cell", GATES)
def test_uniform_R_fills_R_in_every_matrix(cell):
    for value in made(cell, "uniform:0.1", D=30).values():
        assert value.ndim == 1 or fills(value, 0.1)


@pytest.mark.parametrize("cell", GATES)
def test_glorot_counts_inputs_and_outputs_of_one_gate(cell):
    values = made(cell, "glorot", H=40, vocab_size=50)
    assert all(fills(values[name], (6 / (50 + 40)) ** 0.5) for name in "UV")
    for name in ("W", "U2", "W2"):
        assert all(fills(block, (6 / (40 + 40)) ** 0.5) for block in blocks(values[name], cell))


@pytest.mark.parametrize("H", [1, 2, 40])
@pytest.mark.parametrize("cell", GATES)
def test_orthogonal_is_orthogonal_gate_by_gate(cell, H):
    values = made(cell, "orthogonal", H=H)
    gates = [block for name in ("W", "W2") for block in blocks(values[name], cell)]
    for W in gates:
        np.testing.assert_allclose(W.T @ W, np.eye(H), rtol=0, atol=1e-12)
    if H > 1:
        assert len({W.tobytes() for W in gates}) == len(gates)  # each gate its own


def test_orthogonal_matrices_are_uniform_over_the_group():
    # Of Haar's measure the trace has mean 0 and variance 1, and half are reflections; as QR leaves
    # the signs, the trace of a (2, 2) is 0 in nearly all reflections and negative otherwise.
    net = {"U": (8000, 1), "W": (8000, 2)}
    W = initial(net, "tanh", "orthogonal", 0, "float64")["W"].reshape(4000, 2, 2)
    traces = np.trace(W, axis1=1, axis2=2)
    assert abs(traces.mean()) < 5 / 4000**0.5
    assert traces.var() == pytest.approx(1, abs=5 * (1.5 / 4000) ** 0.5)
    assert abs((np.linalg.det(W) > 0).mean() - 0.5) < 5 * 0.5 / 4000**0.5
    assert abs(W.mean(axis=0)).max() < 5 * 0.5**0.5 / 4000**0.5
    ones = initial({"U": (400, 1), "W": (400, 1)}, "tanh", "orthogonal", 0, "float64")["W"]
    assert 150 < (ones == 1).sum() < 250 and (abs(ones) == 1).all()


@pytest.mark.parametrize("cell", GATES)
def test_identity_is_exact_gate_by_gate(cell):
    values = made(cell, "identity", H=7, dtype="float32")
    for name in ("W", "W2"):
        assert all((block == np.eye(7)).all() for block in blocks(values[name], cell))


@pytest.mark.parametrize("R", ["0.5", "1", "1.1", "20", "1e-30", "1e30"])
@pytest.mark.parametrize("H", [1, 2, 40])
def test_the_spectral_radius_is_R_gate_by_gate(H, R):
    values, uniform = made("lstm", f"spectral:{R}", H=H), made("lstm", "uniform", H=H)
    for name in ("W", "W2"):
        for W, drawn in zip(blocks(values[name], "lstm"), blocks(uniform[name], "lstm")):
            assert abs(np.linalg.eigvals(W)).max() == pytest.approx(float(R), rel=1e-10)
            np.testing.assert_allclose(W / W[0, 0], drawn / drawn[0, 0], rtol=1e-12)
            assert W[0, 0] * drawn[0, 0] > 0
    rounded = made("lstm", f"spectral:{R}", H=H, dtype="float32")
    assert np.isfinite(rounded["W"]).all() and rounded["W"].all()
