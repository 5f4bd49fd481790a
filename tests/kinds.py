"""Every kind of network the oracle knows, random ones of a kind, and whether one is smooth."""

import itertools

import numpy as np
import pytest

from theano_rnn.reference import NumpyRNN, directional_difference, frozen_state_loss

GATES = {"tanh": 1, "sigmoid": 1, "relu": 1, "gru": 3, "gru_after": 3, "lstm": 4, "mingru": 2}
#: What a kind is where it does not say.
PLAIN = {"cell": "tanh", "layers": 1, "bias": False, "tied": False, "embedding": False}
#: Every kind of network up to three layers: 42, 18 tied, and 84 with an embedding.
KINDS = [
    dict(zip(PLAIN, (cell, layers, bias, tied, embedding)))
    for embedding, cell, layers, bias, tied in itertools.product(
        (False, True), GATES, (1, 2, 3), (False, True), (False, True)
    )
    if not tied or embedding or GATES[cell] == 1
]
#: The first 60 of them, and 28 of those with an embedding: one layer, and two with biases.
SOME_KINDS = [
    kind
    for kind in KINDS
    if not kind["embedding"] or (kind["layers"], kind["bias"]) in ((1, False), (2, True))
]

#: Tied to an embedding of another size than the state, so that V = L' P.
PROJECTED = [{**kind, "projection": True} for kind in KINDS if kind["tied"] and kind["embedding"]]


def named(kind):
    return "-".join(f"{name}={value}" for name, value in kind.items())


def is_defined(method, kind):
    """Whether a forward method is defined for a kind of network."""
    if method in ("snap1", "local") and (kind["layers"] > 1 or kind["embedding"]):
        return False
    return (method, kind["cell"]) != ("snap1", "gru")


def net(kind, seed=0, hidden_size=3, vocab_size=5, T=6):
    """Parameters uniform in +-1.5/sqrt(H), and a random sentence with its targets.

    An embedding has D = H where V is tied to it, H + 1 elsewhere and with a projection. For relu
    they lean to the positive side, L wholly, or half of its nets are off at the first word.
    """
    cell, layers, bias, tied, embedding, *projection = {**PLAIN, **kind}.values()
    G, H = GATES[cell], hidden_size
    D = H if tied and not projection else H + 1
    shapes = {"L": (D, vocab_size), "U": (G * H, D)} if embedding else {"U": (G * H, vocab_size)}
    if not tied:
        shapes["V"] = (vocab_size, H)
    if projection:
        shapes["P"] = (D, H)
    W = {} if cell == "mingru" else {"W": (G * H, H)}
    shapes.update(W)
    biases = {"b": (G * H,), **({"a": (H,)} if cell == "gru_after" else {})} if bias else {}
    shapes.update(biases)
    if bias:
        shapes["c"] = (vocab_size,)
    for l in range(2, layers + 1):
        shapes[f"U{l}"] = (G * H, H)
        shapes.update({f"{name}{l}": shape for name, shape in {**W, **biases}.items()})
    rng = np.random.default_rng(seed)
    low, high = (-0.75, 1.25) if cell == "relu" else (-1.5, 1.5)
    parameters = {name: rng.uniform(low, high, n) / np.sqrt(H) for name, n in shapes.items()}
    if cell == "relu" and embedding:
        parameters["L"] = abs(parameters["L"])
    return parameters, rng.integers(vocab_size, size=T), rng.integers(vocab_size, size=T)


def factors(kind, seed=0, hidden_size=3, T=6):
    """Factors of dropout (T, layers, H), of which a third are 0."""
    rng = np.random.default_rng(seed)
    shape = (T, kind["layers"], hidden_size)
    return rng.uniform(0.5, 2, shape) * (rng.uniform(size=shape) > 1 / 3)


def masks(kind, seed=0, hidden_size=3, vocab_size=5, T=6, B=()):
    """Masks of dropout of every kind that a network has, of a sentence or of a batch, B=(3,)."""
    rng = np.random.default_rng([seed, 1])
    kind, H, G = {**PLAIN, **kind}, hidden_size, GATES[kind["cell"]]
    shapes = {"states": (T, *B, kind["layers"], H), "embedding": (vocab_size,)}
    if kind["embedding"]:
        shapes["input"] = (T, *B, H if kind["tied"] and not kind.get("projection") else H + 1)
    if kind["cell"] != "mingru":
        shapes["recurrent"] = (*B, kind["layers"], H)
        shapes["weights"] = (kind["layers"], G * H, H)
    return {
        name: rng.uniform(0.5, 2, shape) * (rng.uniform(size=shape) > 1 / 4)
        for name, shape in shapes.items()
    }


def embedded(parameters, x):
    """x_t of the first layer, (T, D): columns of L, or one-hot, (T, vocab_size)."""
    return (parameters["L"] if "L" in parameters else np.eye(parameters["U"].shape[1])).T[x]


def is_smooth(parameters, x, kind, margin=3e-5, kept=None):
    """Whether no unit of a relu net is so near its kink that a difference may step over it.

    At exactly 0 it may be: with no bias, above a layer whose units are all off, z is 0 all around.
    """
    if kind["cell"] != "relu":
        return True
    H, layers = parameters["W"].shape[1], kind["layers"]
    s = NumpyRNN(parameters, **kind).hidden_states(x, kept).reshape(len(x) + 1, layers, H)
    kept = kept if isinstance(kept, dict) else {} if kept is None else {"states": kept}
    states, of_x = kept.get("states", np.ones((len(x), layers, H))), kept.get("input", 1)
    if "embedding" in kept:
        of_x = of_x * kept["embedding"][x, None]
    for l, suffix in enumerate(("", "2", "3")[:layers]):
        below = of_x * embedded(parameters, x) if l == 0 else states[:, l - 1] * s[:-1, l - 1]
        W = parameters["W" + suffix] * kept.get("weights", np.ones((layers, 1, 1)))[l]
        before = np.roll(s[:, l], 1, axis=0)[:-1] * kept.get("recurrent", np.ones((layers, 1)))[l]
        z = below @ parameters["U" + suffix].T + before @ W.T
        z = z + parameters.get("b" + suffix, 0)  # (T, H)
        if (abs(z[z != 0]) < margin).any():
            return False
    return True


def assert_same(a, b, tolerance=0.0):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance, err_msg=name)


def truncations(T):
    """Every scheme with every K up to one that cuts nothing."""
    cutting = itertools.product(("window", "chunk", "last"), range(1, T + 2))
    return ["full", *(f"{scheme}:{k}" for scheme, k in cutting)]


def surrogate(parameters, x, y, truncation, kind=PLAIN):
    """The function of parameters whose gradient the truncated one is: earlier states frozen."""
    frozen = NumpyRNN(parameters, **kind).hidden_states(x)
    return lambda perturbed: frozen_state_loss(perturbed, frozen, x, y, truncation, **kind)


def assert_projection_agrees(function, parameters, gradients, seed):
    """The gradients along a random direction are the function's central difference."""
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
    norm = np.sqrt(sum((d**2).sum() for d in direction.values()))
    direction = {name: d / norm for name, d in direction.items()}
    expected = directional_difference(function, parameters, direction, epsilon=1e-6)
    found = sum((gradients[name] * direction[name]).sum() for name in direction)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)


def hears(truncation, kind, T=6):
    """(T, T) booleans: does changing the target of t change the gradient of the token of step j?

    That is its column of dU, or of dL where there is an embedding.
    """
    parameters, _, y = net(kind, 7, hidden_size=4, vocab_size=T + 1, T=T)
    # Positive parameters leave every relu on; small ones leave every other cell unsaturated.
    parameters = {name: abs(value) / 2 for name, value in parameters.items()}
    parameters["V"] *= np.random.default_rng(7).choice([-1, 1], size=parameters["V"].shape)
    x = np.random.default_rng(7).permutation(T)  # distinct: a column is a step
    model = NumpyRNN(parameters, truncation, **kind)
    before = model.bptt(x, y)
    matrix = np.zeros((T, T), dtype=bool)
    for t in range(T):
        other = y.copy()
        other[t] = (y[t] + 1) % (T + 1)
        after = model.bptt(x, other)
        changed = {name: after[name] != before[name] for name in before}
        table = "L" if kind["embedding"] else "U"
        matrix[t] = changed[table].any(axis=0)[x]
        for name in set(changed) - {table}:
            # V and c hear every output; s_0 = 0 teaches no W; the rest hear what any step does.
            steps = {"V": True, "c": True}.get(name, matrix[t, name[0] == "W" :].any())
            assert changed[name].any() == steps, name
    return matrix
