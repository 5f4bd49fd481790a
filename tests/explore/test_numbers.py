"""The numbers of the page against NumpyRNN, in a real browser, by clicking."""

import numpy as np
import pytest
from browser import browser, missing
from conftest import first, named

from theano_rnn import explore
from theano_rnn.reference import NumpyRNN

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

#: All matrices and numbers with a name, each as rows of numbers in full.
READ = """
const found = {};
for (const part of document.querySelectorAll("[data-name]")) {
  const columns = Number(part.style.getPropertyValue("--columns")) || 1;
  const values = [...part.querySelectorAll("[data-value]")].map((e) => Number(e.dataset.value));
  const rows = [];
  for (let i = 0; i < values.length; i += columns) rows.push(values.slice(i, i + columns));
  found[part.dataset.name] = rows.length ? rows : part.textContent;
}
const pair = document.querySelector("td.now");
found.pair = pair ? pair.dataset.pair.split(" ").map(Number) : null;
found.cut = [...document.querySelectorAll('td[data-state="cut"]')].map((e) => e.dataset.pair);
return found;
"""
SLOPES = {
    "tanh": (1.0, lambda s: 1 - s**2),
    "sigmoid": (0.25, lambda s: s * (1 - s)),
    "relu": (1.0, lambda s: (s > 0) * 1.0),
}
#: activation, scheme, K, T, H, the kind and the scale of W, the size of the input, seed
NETWORKS = [
    ("tanh", "window", 1, 4, 3, "random", 1.3, 0.7, 4),
    ("tanh", "window", 2, 5, 3, "random", 1.4, 0.5, 4),
    ("relu", "last", 4, 8, 4, "identity", 1.0, 1.0, 10),
    ("sigmoid", "chunk", 3, 8, 2, "orthogonal", 5.0, 2.0, 10),
    ("tanh", "full", 4, 6, 2, "orthogonal", 0.7, 1.0, 10),
    ("tanh", "full", 4, 8, 4, "random", 5.0, 5.0, 9999),
    ("tanh", "last", 1, 2, 1, "orthogonal", 0.1, 0.01, 1),
    ("tanh", "chunk", 1, 7, 4, "identity", 1.8, 0.02, 8),
    ("sigmoid", "full", 1, 7, 4, "random", 3.0, 0.3, 7),
    ("sigmoid", "window", 1, 3, 1, "identity", 0.5, 1.5, 6),
    ("sigmoid", "last", 5, 6, 3, "random", 2.0, 3.0, 5),
    ("relu", "full", 3, 7, 3, "orthogonal", 1.3, 0.7, 3),
    ("relu", "window", 3, 6, 2, "random", 2.5, 2.0, 2),
    ("relu", "chunk", 2, 4, 1, "identity", 1.1, 0.1, 37),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "explore.html"
    path.write_text(explore.page(), encoding="utf-8")
    with browser() as chromium:
        yield lambda settings: (chromium.open(path, settings), chromium)[1]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def terms(parameters, activation, x, y):
    """The gradient of W and of U from output t through step j, by NumpyRNN alone.

    Output t is the one that the words up to t have and those up to t - 1 have not; step j is what
    a window that reaches back to j has and a shorter one has not.
    """

    def of_output(t, lag):
        name = f"window:{lag}" if lag else "chunk:1"  # which reaches the output's own step alone
        net = NumpyRNN(parameters, name, cell=activation)
        found = net.bptt(x[:t], y[:t])
        if t > 1:
            before = net.bptt(x[: t - 1], y[: t - 1])
            found = {name: found[name] - before[name] for name in "UW"}
        return found

    T = len(x)
    upto = {(t, j): of_output(t, t - j) for t in range(1, T + 1) for j in range(1, t + 1)}
    zero = {name: 0 for name in "UW"}
    return {
        (t, j): {name: g[name] - upto.get((t, j + 1), zero)[name] for name in "UW"}
        for (t, j), g in upto.items()
    }


@pytest.mark.parametrize("network", first(1, [(n,) for n in NETWORKS]))
def test_each_click_shows_the_terms_of_the_reference(page, network):
    activation, scheme, K, T, H, kind, scale, input, seed = network
    options = f"activation={activation}&scheme={scheme}&K={K}&T={T}&H={H}&kind={kind}"
    chromium = page(f"{options}&scale={scale:g}&input={input:g}&seed={seed}")
    start = chromium.run(READ)
    x, y = ([int(token) for token in start[name].split()] for name in "xy")
    parameters = {name: np.array(start[name], dtype=float) for name in "UVW"}
    W, V = parameters["W"], parameters["V"]
    assert len(x) == T and W.shape == (H, H)
    assert np.linalg.norm(W, 2) == pytest.approx(scale, rel=1e-12)
    full = NumpyRNN(parameters, cell=activation)
    cut = NumpyRNN(parameters, named(scheme, K), cell=activation)
    s, o = full.hidden_states(x), full.forward_propagation(x)  # s[-1] is 0
    close(np.transpose(start["states"]), s[:T])

    gamma, slope = SLOPES[activation]
    of_pair, dW, clicked = terms(parameters, activation, x, y), 0, []
    for t in range(T, 0, -1):
        steps = range(t, 0, -1)
        # Those that the reference's own gradient of this scheme contains.
        reached = [j for j in steps if f"{t} {j}" not in start["cut"]]
        product = np.eye(H)
        for j in reached or [None]:
            chromium.click("[data-go=next]")
            now = chromium.run(READ)
            if j is None:
                assert now["pair"] is None
                continue
            clicked.append((t, j))
            assert now["pair"] == [t, j]
            term = of_pair[t, j]
            dW = dW + term["W"]
            close(now["term"], term["W"])
            close(np.ravel(now["delta"]), term["U"][:, x[j - 1]])
            close(np.ravel(now["slope"]), slope(s[j - 1]))
            close(now["dW"], dW)
            close(now["s"][0], s[j - 2])
            if j == t:
                wrong = o[t - 1] - np.eye(len(V))[y[t - 1]]
                close(np.ravel(now["wrong"]), wrong)
                close(now["VT"], V.T)
            else:
                product = product @ (slope(s[j])[:, None] * W)  # J_{j+1} = diag(phi') W
                close(now["jacobian"], product)
                stretch, bound = now["stretch"][0][0], now["bound"][0][0]
                assert stretch == pytest.approx(np.linalg.norm(product, 2), rel=1e-11, abs=1e-300)
                assert bound == pytest.approx((gamma * scale) ** (t - j), rel=1e-11)
    end = chromium.run(READ)
    expected = cut.bptt(x, y)
    for name in "UVW":
        close(end[f"sum-{name}"], expected[name])
    kept = {(t, j) for t in range(1, T + 1) for j in range(1, t + 1)} - {
        tuple(map(int, pair.split())) for pair in end["cut"]
    }
    assert set(clicked) == kept and len(clicked) == len(kept)
    if scheme != "full":
        a, b = expected["W"], full.bptt(x, y)["W"]
        cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
        assert end["cosine"][0][0] == pytest.approx(cosine, rel=1e-9)
    assert not chromium.errors()
