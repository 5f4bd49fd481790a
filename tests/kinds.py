"""Every kind of network the oracle knows, random ones of a kind, and whether one is smooth."""

import itertools

import numpy as np

from theano_rnn.reference import NumpyRNN

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
