"""The gradient flow: every number against NumPy's BPTT, finite differences, or a closed form."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import first
from kinds import GATES

from theano_rnn import RNN, RNNError
from theano_rnn.common import memory
from theano_rnn.engine import compile_function
from theano_rnn.flow import Flow, by_lag, graphs, reach, watched
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.model.cells import CELLS
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.omega import omega

T, H, VOCAB = 6, 3, 5
KINDS = {
    "tanh": {},
    "sigmoid": {"cell": "sigmoid"},
    "relu": {"cell": "relu"},
    "gru": {"cell": "gru", "bias": True},
    "gru_after": {"cell": "gru_after", "bias": True},
    "lstm": {"cell": "lstm", "bias": True, "embedding_size": 2},
    "mingru": {"cell": "mingru", "bias": True},
    "two layers of tanh, tied": {"layers": 2, "tied": True},
    "two layers of lstm": {"cell": "lstm", "layers": 2},
    "tanh, projected": {"bias": True, "tied": True, "embedding_size": 2},
}
STEP = 1e-6


def flow(kind="tanh", seed=0, T=T, scale=1.0, state=True):
    """A random net's flow on a random text, and its oracle."""
    rng = np.random.default_rng(seed)
    settings = KINDS[kind]
    model = RNN(VOCAB, H, dtype="float64", **settings)
    low, high = (-0.4, 1.0) if model.architecture.cell == "relu" else (-1.0, 1.0)
    shapes = model.architecture.shapes
    parameters = {n: scale * rng.uniform(low, high, shape) for n, shape in shapes.items()}
    model.set_parameters(parameters)
    x, y = rng.integers(VOCAB, size=(2, T))
    start = 0.5 * rng.uniform(size=model.architecture.state_size) if state else None
    return Flow(model, x, y, start), oracle(parameters, kind)


def oracle(parameters, kind, truncation="full"):
    settings = {n: value for n, value in KINDS[kind].items() if n != "embedding_size"}
    embedding = "embedding_size" in KINDS[kind]
    return NumpyRNN(
        parameters, truncation, embedding=embedding, projection="P" in parameters, **settings
    )


def after(model_flow, h, t):
    """h_t from h_{t-1} by the compiled network itself: one step of the whole."""
    f = model_flow.functions
    return f.states(model_flow.stored, model_flow.x[t - 1 : t], h)[1]


def run_from(model_flow, h, k, t):
    """h_t and E_t where h_k is h."""
    f, stored = model_flow.functions, model_flow.stored
    h = f.states(stored, model_flow.x[k:t], h)[-1] if t > k else h
    (loss,), _ = f.own_errors(stored, h[None], model_flow.y[t - 1 : t])
    return h, loss


def differences(function, at):
    """Central differences, one row for each element of ``at``."""
    steps = STEP * np.eye(len(at))
    return np.array([(function(at + d) - function(at - d)) / (2 * STEP) for d in steps])


# ---- errors


@pytest.mark.parametrize("kind", first(2, KINDS))
def test_the_error_at_each_state_is_the_difference_that_the_state_makes_to_each_loss(kind):
    model_flow, _ = flow(kind)
    for k, t in itertools.product((1, 2, 4), range(1, T + 1)):
        found = model_flow.errors[t - 1, k - 1]
        if t < k:
            np.testing.assert_array_equal(found, 0)
            continue
        state = model_flow.states[k]
        expected = differences(lambda h, k=k, t=t: run_from(model_flow, h, k, t)[1], state)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(model_flow.norms, np.linalg.norm(model_flow.errors, axis=2))
    np.testing.assert_allclose(model_flow.total, model_flow.errors.sum(axis=0))


def test_states_and_losses_are_those_of_numpy():
    model_flow, by_hand = flow(state=False)
    x, y = model_flow.x, model_flow.y
    np.testing.assert_allclose(model_flow.states[1:], by_hand.hidden_states(x)[:-1], atol=1e-15)
    assert abs(model_flow.losses.sum() - by_hand.ce_error(x, y)) < 1e-12


def test_errors_by_hand_of_the_tutorials_net():
    """delta = W' (delta * (1 - s^2)), the tutorial's own loop."""
    model_flow, by_hand = flow(state=False)
    W, V, s = by_hand.parameters()["W"], by_hand.parameters()["V"], model_flow.states[1:]
    o = by_hand.forward_propagation(model_flow.x)
    for t in range(T):
        wrong = o[t] - np.eye(VOCAB)[model_flow.y[t]]
        delta = V.T @ wrong  # dE_t/ds_t
        for k in range(t, -1, -1):
            np.testing.assert_allclose(model_flow.errors[t, k], delta, rtol=1e-10, atol=1e-14)
            delta = W.T @ (delta * (1 - s[k] ** 2))


@pytest.mark.parametrize("kind", ["tanh", "sigmoid", "relu"])
def test_omega_is_that_of_the_reference(kind):
    model_flow, by_hand = flow(kind, state=False)
    s = model_flow.states[1:]
    slope = {"tanh": 1 - s**2, "sigmoid": s * (1 - s), "relu": 1.0 * (s > 0)}[kind]
    W, ds = by_hand.parameters()["W"], model_flow.total
    expected, _ = omega(W, (slope * ds)[:, None], ds[:, None])
    assert abs(model_flow.omega() - expected) < 1e-12


def test_omega_of_a_net_that_keeps_the_error_is_zero_and_of_one_without_W_is_one():
    model = RNN(VOCAB, H, cell="relu", dtype="float64")
    parameters = {**model.parameters(), "U": np.ones((H, VOCAB)), "W": np.eye(H)}
    model.set_parameters({**parameters, "V": np.ones((VOCAB, H)) * np.arange(VOCAB)[:, None]})
    keeps = Flow(model, [0, 1, 2], [1, 2, 3])
    assert abs(keeps.omega()) < 1e-12
    model.set_parameters({**parameters, "W": np.zeros((H, H))})
    assert Flow(model, [0, 1, 2], [1, 2, 3]).omega() == 1


def test_live_steps_count_how_far_a_hundredth_of_the_error_reaches():
    model_flow, _ = flow(T=12)
    n = model_flow.norms
    expected = np.mean([(n[t, : t + 1] >= 0.01 * n[t, t]).sum() for t in range(12)])
    assert model_flow.live_steps() == expected > 1


# ---- contributions


@pytest.mark.parametrize("scheme", ["full", "window:1", "window:3", "chunk:2", "last:2"])
@pytest.mark.parametrize("kind", first(3, KINDS))
def test_the_contributions_a_scheme_keeps_are_its_gradient_in_numpy(kind, scheme):
    model_flow, by_hand = flow(kind, state=False)
    expected = oracle(by_hand.parameters(), kind, scheme).bptt(model_flow.x, model_flow.y)
    found = model_flow.gradient(reach(scheme, T))
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12, err_msg=name)


def test_one_contribution_is_an_outer_product():
    model_flow, _ = flow(state=False)
    one = np.zeros((T, T))
    one[4, 2] = 1
    s = model_flow.states
    dz = model_flow.errors[4, 2] * (1 - s[3] ** 2)
    found = model_flow.gradient(one)
    np.testing.assert_allclose(found["W"], np.outer(dz, s[2]), atol=1e-14)
    expected = np.zeros((H, VOCAB))
    expected[:, model_flow.x[2]] = dz
    np.testing.assert_allclose(found["U"], expected, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_each_contribution_along_the_gradient_and_add_up_to_one(kind):
    model_flow, _ = flow(kind)
    name = model_flow.recurrent[-1]
    shares, G = model_flow.shares(name), model_flow.gradient()[name]
    assert abs(shares.sum() - 1) < 1e-12
    for t, k in [(0, 0), (5, 1), (3, 3), (2, 4)]:
        one = np.zeros((T, T))
        one[t, k] = 1
        expected = (model_flow.gradient(one)[name] * G).sum() / (G**2).sum()
        assert abs(shares[t, k] - expected) < 1e-12
    lags = by_lag(shares)
    assert abs(lags[2] - sum(shares[t, t - 2] for t in range(2, T))) < 1e-15


def test_of_a_gradient_that_is_zero_nothing_has_a_share():
    model = RNN(VOCAB, H, dtype="float64")
    model.set_parameters({n: 0 * p for n, p in model.parameters().items()})
    assert not Flow(model, [0, 1, 2], [1, 2, 3]).shares("W").any()


@pytest.mark.parametrize("scheme", ["window:2", "chunk:4", "last:1", "full"])
def test_cosine_and_ratio_are_those_of_the_schemes_own_gradient(scheme):
    model_flow, by_hand = flow(state=False)
    full = by_hand.bptt(model_flow.x, model_flow.y)["U"]
    cut = NumpyRNN(by_hand.parameters(), scheme).bptt(model_flow.x, model_flow.y)["U"]
    cosine, ratio = model_flow.truncated(scheme, "U")
    norms = np.linalg.norm(cut), np.linalg.norm(full)
    assert abs(cosine - (cut * full).sum() / norms[0] / norms[1]) < 1e-12
    assert abs(ratio - norms[0] / norms[1]) < 1e-12


@pytest.mark.parametrize("scheme", ["window", "chunk"])
def test_the_smallest_K_reaches_the_cosine_and_the_one_below_does_not(scheme):
    model_flow, _ = flow(T=12)
    for wanted in (0.9, 0.999, 1.0):
        K = model_flow.smallest_K(scheme, wanted)
        assert all(model_flow.truncated(f"{scheme}:{more}")[0] >= wanted for more in range(K, 12))
        assert K == 1 or model_flow.truncated(f"{scheme}:{K - 1}")[0] < wanted


def test_from_the_smallest_K_on_all_have_the_cosine_and_the_first_is_the_first_that_has_it():
    differ = 0
    for seed, wanted in itertools.product(range(4), (0.9, 0.99)):
        model_flow, _ = flow(T=12, seed=seed, scale=1.5)
        cosines = np.array([model_flow.truncated(f"chunk:{K}")[0] for K in range(1, 13)])
        has = cosines >= wanted
        first, lasting = (
            model_flow.first_K("chunk", wanted),
            model_flow.smallest_K("chunk", wanted),
        )
        assert first == 1 + has.argmax() and has[lasting - 1 :].all()
        assert lasting == 1 or not has[lasting - 2]
        differ += first < lasting
    assert differ  # chunks are not alike in order


def test_of_more_layers_all_W_are_taken_as_one():
    model_flow, by_hand = flow("two layers of lstm", state=False)
    assert model_flow.recurrent == ["W", "W2"]
    full = by_hand.bptt(model_flow.x, model_flow.y)
    cut = oracle(by_hand.parameters(), "two layers of lstm", "window:1")
    cut = cut.bptt(model_flow.x, model_flow.y)
    full, cut = (np.concatenate([of[n].ravel() for n in ("W", "W2")]) for of in (full, cut))
    cosine, ratio = model_flow.truncated("window:1", model_flow.recurrent)
    norms = np.linalg.norm(cut), np.linalg.norm(full)
    assert abs(cosine - cut @ full / norms[0] / norms[1]) < 1e-12
    assert abs(ratio - norms[0] / norms[1]) < 1e-12
    squares = {n: (model_flow.full[n] ** 2).sum() for n in ("W", "W2")}
    expected = sum(model_flow.shares(n) * squares[n] for n in squares) / sum(squares.values())
    np.testing.assert_allclose(model_flow.shares(["W", "W2"]), expected, atol=1e-14)


def test_reach_is_the_picture_of_each_scheme():
    for scheme, rows in {
        "full": ("x..", "xx.", "xxx"),
        "window:1": ("x..", "xx.", ".xx"),
        "chunk:2": ("x..", "xx.", "..x"),
        "last:2": ("...", ".x.", ".xx"),
    }.items():
        drawn = ["".join(".x"[int(hears)] for hears in row) for row in reach(scheme, 3)]
        assert tuple(drawn) == rows, scheme


# ---- Jacobians


@pytest.mark.parametrize("kind", KINDS)
def test_jacobians_are_differences_of_the_states(kind):
    model_flow, _ = flow(kind)
    for t, k in [(1, 0), (3, 2), (5, 2), (4, 4)]:
        state = model_flow.states[k]
        expected = differences(lambda h, k=k, t=t: run_from(model_flow, h, k, t)[0], state).T
        np.testing.assert_allclose(model_flow.jacobian(t, k), expected, rtol=0, atol=1e-8)


def test_the_jacobian_of_tanh_is_the_derivative_times_W():
    model_flow, by_hand = flow()
    s = model_flow.states
    expected = (1 - s[3] ** 2)[:, None] * by_hand.parameters()["W"]
    np.testing.assert_allclose(model_flow.jacobian(3, 2), expected, atol=1e-14)
    norms, values = model_flow.one_step_norms(), model_flow.singular_values()
    assert abs(norms[2] - np.linalg.svd(expected)[1][0]) < 1e-12
    np.testing.assert_allclose(values[2], np.linalg.svd(expected)[1], atol=1e-12)


def test_errors_are_carried_by_the_products_of_jacobians():
    model_flow, _ = flow("gru")
    own = model_flow.errors[4, 4]
    for k in range(1, 5):
        carried = own @ model_flow.jacobian(5, k)
        np.testing.assert_allclose(model_flow.errors[4, k - 1], carried, atol=1e-14)


def test_norms_by_lag_are_those_of_the_products_and_below_the_bound():
    model_flow, _ = flow(T=10)
    norms = model_flow.norms_by_lag(ends=3)
    assert norms.shape == (3, 10)
    for row, t in zip(norms, (5, 8, 10)):  # numpy rounds 7.5 to even
        expected = [np.linalg.norm(model_flow.jacobian(t, t - n), 2) for n in range(min(t, 9) + 1)]
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=1e-10)
        assert np.isnan(row[t + 1 :]).all()
    bounds = model_flow.bound() ** np.arange(10)
    assert (np.nan_to_num(norms) <= bounds * (1 + 1e-12)).all()
    assert (model_flow.one_step_norms() <= model_flow.bound()).all()


def test_the_bound_is_known_for_one_layer_without_gates():
    for kind, gamma in {"tanh": 1, "sigmoid": 0.25, "relu": 1}.items():
        model_flow, by_hand = flow(kind)
        sigma_max = np.linalg.svd(by_hand.parameters()["W"])[1][0]
        assert abs(model_flow.bound() - gamma * sigma_max) < 1e-12
    for kind in ("gru", "lstm", "two layers of tanh, tied"):
        assert flow(kind)[0].bound() is None


def test_spectra_are_those_of_each_gates_matrix():
    model_flow, by_hand = flow("gru")
    W = by_hand.parameters()["W"]
    found = model_flow.spectra()
    assert list(found) == ["W[z]", "W[r]", "W[h]"]
    block = W[H : 2 * H]
    assert abs(found["W[r]"]["sigma_max"] - np.linalg.svd(block)[1][0]) < 1e-12
    assert abs(found["W[r]"]["spectral_radius"] - abs(np.linalg.eigvals(block)).max()) < 1e-12


@pytest.mark.parametrize("kind, gate", [("gru", "z"), ("lstm", "f")])
def test_the_identity_path_is_the_product_of_the_gate_that_keeps(kind, gate):
    model_flow, _ = flow(kind)
    kept = model_flow.gates[gate][0]  # (T, H)
    path = model_flow.identity_path()
    assert path.shape == (1, T)
    for n in range(T):
        products = [kept[t - n : t].prod(axis=0) for t in (3, 4, 5, 6) if t >= n]
        for of, numbers in (("largest", np.max(products, 1)), ("mean", np.mean(products, 1))):
            expected = np.exp(np.mean(np.log(numbers)))
            assert abs(model_flow.identity_path(of_units=of)[0, n] - expected) < 1e-14
    # lstm: dc_t/dc_{t-1} is nothing else.
    if kind == "lstm":
        block = model_flow.jacobian(3, 2)[H:, H:]
        np.testing.assert_allclose(block, np.diag(kept[2]), atol=1e-14)
    assert flow()[0].identity_path() is None


@pytest.mark.parametrize("kind", ["gru", "gru_after"])
def test_of_a_gru_without_W_the_gates_carry_all_that_is_carried(kind):
    model_flow, _ = flow(kind)
    parameters = {**model_flow.parameters, "W": 0 * model_flow.parameters["W"]}
    model = RNN(VOCAB, H, dtype="float64", **KINDS[kind])
    model.set_parameters(parameters)
    bare = Flow(model, model_flow.x, model_flow.y)
    np.testing.assert_allclose(bare.jacobian(4, 3), np.diag(bare.gates["z"][0, 3]), atol=1e-14)
    np.testing.assert_allclose(bare.identity_path()[0], geometric_mean(bare.norms_by_lag()))


def test_a_cell_without_W_has_no_spectra_and_its_products_are_those_of_its_gate():
    model_flow, _ = flow("mingru")
    assert model_flow.spectra() == {} and model_flow.recurrent == ["U"]
    z = model_flow.gates["z"][0]
    np.testing.assert_allclose(model_flow.jacobian(4, 2), np.diag(z[2] * z[3]), atol=1e-15)
    norms = model_flow.norms_by_lag()
    np.testing.assert_allclose(model_flow.identity_path()[0], geometric_mean(norms), rtol=1e-13)
    assert model_flow.bound() == 1 and np.nanmax(norms) <= 1
    two = RNN(VOCAB, H, cell="mingru", layers=2)
    assert Flow(two, model_flow.x, model_flow.y).bound() is None


def test_of_a_cell_without_W_training_watches_what_there_is():
    found = watched(RNN(VOCAB, H, cell="mingru"), [[0, 3, 1, 2], [1, 4]])
    assert found["sigma_max"] is None and found["spectral_radius"] is None
    assert found["omega"] > 0 and 1 < found["live_steps"] < 2


# ---- saturation, exponents


def test_gates_are_those_of_the_equations():
    model_flow, by_hand = flow("gru")
    p, x = by_hand.parameters(), model_flow.x
    before = model_flow.states[:-1]
    a = p["U"].T[x] + p["b"]
    z = 1 / (1 + np.exp(-(a[:, :H] + before @ p["W"][:H].T)))
    r = 1 / (1 + np.exp(-(a[:, H : 2 * H] + before @ p["W"][H : 2 * H].T)))
    assert list(model_flow.gates) == ["z", "r"]
    np.testing.assert_allclose(model_flow.gates["z"][0], z, atol=1e-14)
    np.testing.assert_allclose(model_flow.gates["r"][0], r, atol=1e-14)


def test_saturation_counts_what_is_beyond():
    model_flow, _ = flow(scale=3)
    s, found = model_flow.states[1:], model_flow.saturation()
    assert found["saturated"] == (abs(s) > 0.9).mean() > 0
    assert abs(found["derivative"] - (1 - s**2).mean()) < 1e-15
    assert found["dead"] is None and found["gates"] == {}

    model_flow, _ = flow("sigmoid", scale=5)
    s, found = model_flow.states[1:], model_flow.saturation()
    assert found["saturated"] == ((s < 0.1) | (s > 0.9)).mean() > 0
    assert abs(found["derivative"] - (s * (1 - s)).mean()) < 1e-15

    model_flow, _ = flow("lstm", scale=4)
    gates, found = model_flow.gates, model_flow.saturation()
    assert found["gates"]["f"] == [(gates["f"] < 0.1).mean(), (gates["f"] > 0.9).mean()]
    assert found["derivative"] is None and max(found["gates"]["f"]) > 0


def test_units_that_are_never_on_are_dead():
    model = RNN(VOCAB, H, cell="relu", dtype="float64")
    U = np.array([[1.0] * VOCAB, [-1.0] * VOCAB, [0.5] * VOCAB])
    model.set_parameters({**model.parameters(), "U": U, "W": np.zeros((H, H))})
    found = Flow(model, [0, 1, 2, 3], [1, 2, 3, 4]).saturation()
    assert found["dead"] == 1 / 3 and found["derivative"] == 2 / 3 and found["saturated"] is None


def test_lyapunov_exponents_of_a_linear_net_are_the_logarithms_of_its_eigenvalues():
    model = RNN(VOCAB, H, cell="relu", dtype="float64")
    rng = np.random.default_rng(1)
    Q = rng.uniform(0.1, 1, (H, H))
    W = Q @ np.diag([0.9, 0.5, 0.2]) @ np.linalg.inv(Q)
    # Inputs so large that no unit is ever off: s_t = U x_t + W s_{t-1}.
    model.set_parameters({**model.parameters(), "U": np.full((H, VOCAB), 1e3), "W": W})
    x = rng.integers(VOCAB, size=400)
    model_flow = Flow(model, x, np.roll(x, -1))
    assert (model_flow.states[1:] > 0).all()
    np.testing.assert_allclose(model_flow.lyapunov(), np.log([0.9, 0.5, 0.2]), atol=0.02)
    np.testing.assert_allclose(model_flow.lyapunov(1), np.log([0.9]), atol=0.02)
    volume = np.log(abs(np.linalg.det(W)))
    assert abs(model_flow.lyapunov().sum() - volume) < 1e-9  # exactly, whatever the length


def test_a_transient_of_the_exponents_is_not_counted():
    model_flow, _ = flow(T=9)
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(H, 1)))
    carried = [np.linalg.norm(model_flow.jacobian(t, 0) @ Q) for t in (3, 9)]
    expected = np.log(carried[1] / carried[0]) / 6
    assert abs(model_flow.lyapunov(1, transient=3)[0] - expected) < 1e-12


# ---- what the notes say of the tutorial


def test_the_tutorials_initialization_has_sigma_max_about_1_15_and_spectral_radius_about_0_58():
    spectra = [Flow(RNN(8000, 100, seed=i), [0], [1]).spectra()["W"] for i in range(5)]
    sigma_max = np.mean([of["sigma_max"] for of in spectra])
    radius = np.mean([of["spectral_radius"] for of in spectra])
    # As H grows they go to 2 / sqrt(3) and 1 / sqrt(3).
    assert 1.10 < sigma_max < 2 / 3**0.5 and 0.55 < radius < 0.63


def test_the_tutorials_norm_is_at_most_1_holds_of_no_net_whose_W_is_larger():
    """ "The 2-norm of the Jacobian has an upper bound of 1" needs sigma_max(W) <= 1."""
    model_flow, _ = flow(scale=0.2)
    assert model_flow.bound() < 1 and (model_flow.one_step_norms() < 1).all()
    model = RNN(VOCAB, H, dtype="float64")
    model.set_parameters({**model.parameters(), "W": 3 * np.eye(H), "U": np.zeros((H, VOCAB))})
    beyond = Flow(model, [0] * 3, [1] * 3)
    assert beyond.bound() == 3
    np.testing.assert_allclose(beyond.one_step_norms(), 3)


# ---- whose they are, and bad input


def test_a_flow_stays_that_of_its_model_as_it_was():
    model = RNN(VOCAB, H, seed=1, dtype="float64")
    first = Flow(model, [0, 1, 2], [1, 2, 3])
    model.set_parameters({n: 2 * p for n, p in model.parameters().items()})
    second = Flow(model, [0, 1, 2], [1, 2, 3])
    alone = Flow(RNN(VOCAB, H, seed=1, dtype="float64"), [0, 1, 2], [1, 2, 3])
    np.testing.assert_array_equal(first.norms, alone.norms)
    assert (second.norms[0, 0] != first.norms[0, 0]).all()


def test_flows_of_one_architecture_share_their_functions_also_in_threads(monkeypatch):
    compiled = []

    def counted(*arguments):
        compiled.append(arguments)
        return compile_function(*arguments)

    monkeypatch.setattr(graphs, "compile_function", counted)
    graphs.functions_of.cache_clear()
    models = [RNN(VOCAB, H, seed=seed, dtype="float64") for seed in range(4)]
    x = [0, 1, 2, 3] * 20
    alone = [Flow(model, x, x).norms for model in models]
    assert len(compiled) == 3  # states, own_errors, backpropagated
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(lambda model: Flow(model, x, x).norms, models))
            for one, other in zip(alone, together):
                np.testing.assert_array_equal(one, other)
    assert len(compiled) == 3


def test_a_model_in_float32_has_its_flow_in_float64():
    """Far below the smallest number of float32 there is still a gradient to be seen."""
    model = RNN(VOCAB, H, dtype="float32")
    model.set_parameters({**model.parameters(), "W": 1e-3 * np.eye(H, dtype="float32")})
    norms = Flow(model, [0] * 30, [1] * 30).norms
    assert 0 < norms[29, 0] < 1e-80


def test_a_net_whose_states_overflow_is_an_error():
    model = RNN(VOCAB, H, cell="relu", dtype="float64")
    model.set_parameters({**model.parameters(), "W": 1e200 * np.ones((H, H))})
    model.set_parameters({**model.parameters(), "U": np.ones((H, VOCAB))})
    with pytest.raises(RNNError, match="the states of this network overflow"):
        Flow(model, [0, 1, 2, 3], [1, 2, 3, 4])


def test_a_text_too_long_for_the_memory_is_an_error_with_sizes(monkeypatch):
    model = RNN(VOCAB, 100)
    long = Flow(model, [0] * 100_000, [1] * 100_000)  # the states fit
    with pytest.raises(RNNError, match=r"need 24,000\.0 GB.*a text of at most [\d,]+ tokens"):
        _ = long.norms
    monkeypatch.setattr(memory, "total", lambda: 10**9)
    with pytest.raises(RNNError, match=r"Jacobians of 3,000 steps.*need 0\.7 GB.*most 2,083 tok"):
        long.jacobians_from(3000)
    assert long.jacobian(3000, 2999).shape == (100, 100)


def test_of_the_array_that_the_errors_are_made_from_nothing_is_kept():
    assert flow()[0]._backpropagated[1].base is None


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f: f.shares("V"), "'V' is no parameter of the steps; they are U, W"),
        (lambda f: f.gradient(np.ones((2, 2))), "weights"),
        (lambda f: f.gradient(np.full((T, T), np.nan)), "weights"),
        (lambda f: f.truncated("sideways:3"), "sideways:3"),
        (lambda f: f.smallest_K("last", 0.9), "use 'window' or 'chunk'"),
        (lambda f: f.smallest_K("window", 1.5), "above 0 and at most 1, not 1.5"),
        (lambda f: f.smallest_K("window", float("nan")), "above 0 and at most 1"),
        (lambda f: f.jacobian(2, 3), "needs 0 <= k <= t <= 6"),
        (lambda f: f.jacobian(7, 3), "needs 0 <= k <= t <= 6"),
        (lambda f: f.shares(["W", "V"]), "'V' is no parameter of the steps"),
        (lambda f: f.first_K("last", 0.9), "use 'window' or 'chunk'"),
        (lambda f: f.identity_path(of_units="least"), "'largest' or 'mean', not 'least'"),
        (lambda f: f.lyapunov(1, transient=T), "transient is 6, and the text has 6 steps"),
        (lambda f: f.lyapunov(0), "count"),
        (lambda f: f.lyapunov(H + 1), "count is 4, and the state has 3 numbers"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    model_flow, _ = flow()
    with pytest.raises(RNNError, match=message):
        call(model_flow)


def test_bad_tokens_are_refused():
    with pytest.raises(RNNError, match="x"):
        Flow(RNN(VOCAB, H), [0, VOCAB], [1, 2])
    with pytest.raises(RNNError, match="state"):
        Flow(RNN(VOCAB, H), [0, 1], [1, 2], state=np.zeros(H + 1))


def test_every_cell_with_gates_names_the_one_that_keeps():
    for name in GATES:
        assert (CELLS[name].carry_gate is None) == (GATES[name] == 1)
