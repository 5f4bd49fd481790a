"""The naive forward methods: exact where they should be, and unbiased over all signs."""

import itertools

import numpy as np
import pytest
from conftest import first
from kinds import GATES, PLAIN, SOME_KINDS, assert_same, net

from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.online import METHODS, Online, online_gradients

ONE_PART = [cell for cell in GATES if CELLS[cell].parts == 1]


def of(cell, **given):
    return {**PLAIN, "cell": cell, "bias": True, **given}


@pytest.mark.parametrize("kind", first(12, SOME_KINDS[::5] + SOME_KINDS[1::5]), ids=str)
def test_rtrl_is_the_full_gradient(kind):
    parameters, x, y = net(kind, hidden_size=2, vocab_size=3, T=5)
    full = NumpyRNN(parameters, **kind).bptt(x, y)
    assert_same(online_gradients(parameters, x, y, "rtrl", **kind), full, 1e-12)


@pytest.mark.parametrize("cell", first(1, ONE_PART))
def test_the_mean_of_uoro_over_all_signs_is_the_full_gradient_and_its_variance_is_not_0(cell):
    kind = of(cell)
    parameters, x, y = net(kind, hidden_size=2, vocab_size=3, T=3)
    signs = itertools.product((-1.0, 1.0), repeat=6)  # 64 patterns
    all_ = [
        online_gradients(parameters, x, y, "uoro", np.reshape(s, (3, 2)), **kind) for s in signs
    ]
    mean = {name: sum(g[name] for g in all_) / len(all_) for name in parameters}
    assert_same(mean, NumpyRNN(parameters, **kind).bptt(x, y), 1e-12)
    assert max(np.var([g["W" if "W" in g else "U"] for g in all_], axis=0).ravel()) > 1e-4
    assert np.ptp([g["V"] for g in all_], axis=0).max() == 0  # V and c are exact in each


@pytest.mark.slow
def test_the_mean_of_uoro_is_exact_for_two_layers_and_for_a_state_of_two_parts():
    for kind in (of("tanh", layers=2), of("lstm")):
        parameters, x, y = net(kind, hidden_size=1, vocab_size=3, T=4)
        signs = itertools.product((-1.0, 1.0), repeat=8)
        all_ = [
            online_gradients(parameters, x, y, "uoro", np.reshape(s, (4, 2)), **kind)
            for s in signs
        ]
        mean = {name: sum(g[name] for g in all_) / len(all_) for name in parameters}
        assert_same(mean, NumpyRNN(parameters, **kind).bptt(x, y), 1e-12)


@pytest.mark.parametrize("cell", GATES)
def test_the_way_past_W_is_the_difference_of_a_step_whose_product_with_W_is_held(cell):
    """With W s' moved into p, and W = 0, the state before has no other way."""
    if CELLS[cell].identity is None or "W" not in CELLS[cell].recurrent:
        return
    kind, H, cell_ = of(cell, bias=False), 3, CELLS[cell]
    parameters, _, _ = net(kind, hidden_size=H)
    W, random = parameters["W"], np.random.default_rng(0)
    before = random.uniform(-1, 1, (cell_.parts, H))
    p = random.uniform(-1, 1, cell_.gates * H)
    a = [np.zeros(H)] * (cell_.recurrent == "Wa")
    product = W @ before[0]
    if cell_.gates == 3:  # the candidate multiplies r * s', or W s' by r
        r = 1 / (1 + np.exp(-(p + product)[H : 2 * H]))
        inside = W[2 * H :] @ (r * before[0]) if cell == "gru" else r * product[2 * H :]
        product = np.concatenate([product[: 2 * H], inside])

    def held(state):
        return np.array(cell_.forward(p + product, 0 * W, *a, state))

    expected = np.zeros((cell_.parts, cell_.parts, H))
    for j, n in np.ndindex(cell_.parts, H):
        step = np.zeros_like(before)
        step[j, n] = 1e-5
        change = (held(before + step) - held(before - step)) / 2e-5
        assert abs(np.delete(change, n, axis=1)).max() < 1e-9  # each unit is alone
        expected[:, j, n] = change[:, n]
    found = cell_.identity(p, W, *a, before)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", ["snap1", "local"])
def test_snap1_and_local_are_the_full_gradient_where_each_unit_is_alone(method):
    kind = of("mingru")
    parameters, x, y = net(kind, hidden_size=4, T=6)
    full = NumpyRNN(parameters, **kind).bptt(x, y)
    assert_same(online_gradients(parameters, x, y, method, **kind), full, 1e-15)
    immediate = online_gradients(parameters, x, y, "immediate", **kind)
    assert abs(immediate["U"] - full["U"]).max() > 1e-2


def test_the_step_of_mingru_has_the_diagonal_jacobian_z():
    p, before = np.array([0.0, 2.0, 3.0, -1.0]), [np.array([0.5, -0.5])]
    z = 1 / (1 + np.exp(-p[:2]))
    (after,) = CELLS["mingru"].forward(p, before)
    np.testing.assert_allclose(after, z * before[0] + (1 - z) * p[2:], rtol=1e-15)
    for n, d in enumerate(np.eye(2)):
        _, (d_before,) = CELLS["mingru"].backward(p, before, [d])
        np.testing.assert_allclose(d_before, d * z[n], rtol=1e-15)
    np.testing.assert_allclose(CELLS["mingru"].identity(p, before), z[None, None], rtol=1e-15)


@pytest.mark.parametrize("method", ["snap1", "local"])
def test_a_net_of_one_unit_has_only_its_own(method):
    """Then snap1 is rtrl; local is not, for it leaves out W."""
    kind = of("lstm")
    parameters, x, y = net(kind, hidden_size=1, vocab_size=3, T=5)
    full = online_gradients(parameters, x, y, "rtrl", **kind)
    found = online_gradients(parameters, x, y, method, **kind)
    error = max(abs(found[name] - full[name]).max() for name in full)
    assert error < 1e-15 if method == "snap1" else error > 1e-4


def test_local_is_immediate_without_gates_and_all_are_exact_on_one_step():
    for cell in ("tanh", "gru_after"):
        kind = of(cell)
        parameters, x, y = net(kind, T=4)
        immediate = online_gradients(parameters, x, y, "immediate", **kind)
        local = online_gradients(parameters, x, y, "local", **kind)
        assert (abs(local["W"] - immediate["W"]).max() == 0) == (cell == "tanh")
        full = NumpyRNN(parameters, **kind).bptt(x[:1], y[:1])
        for method in METHODS:
            signs = np.ones((1, 3))
            one = online_gradients(parameters, x[:1], y[:1], method, signs, **kind)
            if method != "uoro":
                assert_same(one, full, 1e-15)


def test_other_methods_and_other_nets_are_refused():
    parameters, _, _ = net(of("tanh", layers=2))
    with pytest.raises(ValueError, match="method is 'bptt': pass one of rtrl"):
        Online(parameters, "bptt", **of("tanh", layers=2))
    with pytest.raises(ValueError, match="method is 'local': pass one layer"):
        Online(parameters, "local", **of("tanh", layers=2))
