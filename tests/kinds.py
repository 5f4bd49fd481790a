"""Every kind of network the oracle knows: cell, layers, biases, tied; random ones of a kind."""

import itertools

import numpy as np

from theano_rnn.reference import NumpyRNN

GATES = {"tanh": 1, "sigmoid": 1, "relu": 1, "gru": 3, "lstm": 4}
#: Every kind of network up to three layers: 30, and 18 tied.
KINDS = [
    {"cell": cell, "layers": layers, "bias": bias, "tied": tied}
    for cell, layers, bias, tied in itertools.product(
        GATES, (1, 2, 3), (False, True), (False, True)
    )
    if not tied or GATES[cell] == 1
]


def named(kind):
    return "-".join(f"{name}={value}" for name, value in kind.items())


def net(kind, seed=0, hidden_size=3, vocab_size=5, T=6):
    """Parameters uniform in +-1.5/sqrt(H), and a random sentence with its targets.

    For relu they lean to the positive side, or half of its nets are off at the first word.
    """
    cell, layers, bias, tied = kind.values()
    G, H = GATES[cell], hidden_size
    shapes = {"U": (G * H, vocab_size), "V": (vocab_size, H), "W": (G * H, H)}
    if tied:
        del shapes["V"]
    if bias:
        shapes.update({"b": (G * H,), "c": (vocab_size,)})
    for l in range(2, layers + 1):
        shapes.update({f"U{l}": (G * H, H), f"W{l}": (G * H, H)})
        if bias:
            shapes[f"b{l}"] = (G * H,)
    rng = np.random.default_rng(seed)
    low, high = (-0.75, 1.25) if cell == "relu" else (-1.5, 1.5)
    parameters = {name: rng.uniform(low, high, n) / np.sqrt(H) for name, n in shapes.items()}
    return parameters, rng.integers(vocab_size, size=T), rng.integers(vocab_size, size=T)


def is_smooth(parameters, x, kind, margin=3e-5):
    """Whether no unit of a relu net is so near its kink that a difference may step over it.

    At exactly 0 it may be: with no bias, above a layer whose units are all off, z is 0 all around.
    """
    if kind["cell"] != "relu":
        return True
    H, layers = parameters["W"].shape[1], kind["layers"]
    s = NumpyRNN(parameters, **kind).hidden_states(x).reshape(len(x) + 1, layers, H)
    for l, suffix in enumerate(("", "2", "3")[:layers]):
        below = parameters["U"][:, x].T if l == 0 else s[:-1, l - 1] @ parameters["U" + suffix].T
        z = below + np.roll(s[:, l], 1, axis=0)[:-1] @ parameters["W" + suffix].T
        z = z + parameters.get("b" + suffix, 0)  # (T, H)
        if (abs(z[z != 0]) < margin).any():
            return False
    return True


def assert_same(a, b, tolerance=0.0):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance, err_msg=name)
