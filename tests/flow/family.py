"""Networks whose gradient flow is known in closed form, and the labels that are right of it.

No token reaches a state here (U = 0), so that each state is 0, each derivative is that at 0, and
the Jacobian of every step is the same matrix. The error of an output is a row e; what is left of
it at lag n is |e J^n| / |e|, the curve c(n) of each network below.

    PYTHONPATH=.:tests python -m flow.family

prints how often each label was given, by what is true.
"""

import functools
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Callable

import numpy as np

from theano_rnn import RNN
from theano_rnn.flow.evidence import evidence
from theano_rnn.flow.labels import DECAYS, EXPLODES, GROWS, KEPT, UNKNOWN, VANISHES, label_of
from theano_rnn.flow.measures import Measures

LENGTHS = (5, 7, 10, 15, 20, 30, 50, 100, 200, 300, 500, 1000)
DECAY = (0.5, 0.6, 0.7, 0.8, 0.9, 0.94, 0.96, 0.98, 0.99, 0.995, 0.999)
GROWTH = (1.001, 1.005, 1.01, 1.02, 1.04, 1.07, 1.1, 1.2, 1.5, 2.0)
LABELS = [VANISHES, DECAYS, KEPT, GROWS, EXPLODES, UNKNOWN]
#: What is true is decided at this lag, or at the end of a longer text: 0.95^90 is 1 %.
WITHIN = 90
VOCAB = 3


@dataclass(frozen=True)
class Case:
    """A network and its curve; ``first`` is the lag at which the curve begins."""

    name: str
    model: Callable[[], RNN]
    curve: Callable[[int], float]
    end: float  # the rate at lags without end
    first: int = 0

    def truth(self, T: int) -> str:
        """The right label: what happens within 90 lags, or within the text if it is longer.

        What outlasts the text (a delay, and nothing else before it) is kept.
        """
        seen = {round(self.curve(n), 9) for n in range(self.first, T)}
        if seen == {1.0}:
            return KEPT
        far = self.curve(max(WITHIN, T - 1))
        if far < 0.01 or far > 100:
            return VANISHES if far < 0.01 else EXPLODES
        return KEPT if self.end == 1 else DECAYS if self.end < 1 else GROWS


def plain(W, e, cell="tanh"):
    """A network of one plain layer whose output's error is a multiple of e."""
    W, e = np.array(W, float), np.array(e, float)
    model = RNN(VOCAB, len(W), cell=cell, dtype="float64")
    V = np.outer([1.0, -1.0, 0.5], e)
    model.set_parameters({"U": np.zeros((len(W), VOCAB)), "V": V, "W": W})
    return model


def with_gates(cell, H, biases, W=0.0):
    """A network whose gates have these values, (H,) each; W (H, H) is that of the candidate."""
    model = RNN(VOCAB, H, cell=cell, bias=True, dtype="float64")
    p = {name: np.zeros_like(value) for name, value in model.parameters().items()}
    gates = {"lstm": "ifog", "gru": "zrh"}[cell]
    for name, value in biases.items():
        at = slice(gates.index(name) * H, (gates.index(name) + 1) * H)
        p["b"][at] = np.log(np.array(value)) - np.log(1 - np.array(value))
    p["W"][-H:] = np.eye(H) * W
    p["V"] = np.outer([1.0, -1.0, 0.5], np.ones(H))
    model.set_parameters(p)
    return model


def linear(rate):
    return Case(f"linear {rate}", lambda: plain(rate * np.eye(4), [1, 2, 3, 4]),
                lambda n: rate**n, rate)  # fmt: skip


def orthogonal(rate):
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    return Case(f"orthogonal {rate}", lambda: plain(rate * Q, [1, 0, 0, 2, 0, 0]),
                lambda n: rate**n, rate)  # fmt: skip


def mixed(share, fast, slow):
    """The part ``share`` of |e| decays with another rate than the rest."""
    e = share, (1 - share**2) ** 0.5
    return Case(
        f"mixture {share} {fast} {slow}", lambda: plain(np.diag([fast, slow]), e),
        lambda n: ((e[0] * fast**n) ** 2 + (e[1] * slow**n) ** 2) ** 0.5, max(fast, slow),
    )  # fmt: skip


def delayed(delay, rate):
    """The error passes a chain of units, and then stays in one: 1 up to the delay, then rate^n."""
    W = np.diag(np.ones(delay), 1)
    W[-1, -1] = rate
    return Case(f"delayed {delay} {rate}", lambda: plain(W, np.eye(delay + 1)[0]),
                lambda n: rate ** max(0, n - delay), rate)  # fmt: skip


def delayed_mixture(delay, share, fast, slow):
    """A delay, and then a mixture."""
    H, e = delay + 2, (share, (1 - share**2) ** 0.5)
    W = np.diag([*np.ones(delay - 1), 0.0, 0.0], 1)
    W[delay - 1, delay:] = e
    W[delay, delay], W[delay + 1, delay + 1] = fast, slow

    def curve(n):
        m = max(0, n - delay)
        return ((e[0] * fast**m) ** 2 + (e[1] * slow**m) ** 2) ** 0.5

    return Case(f"delayed {delay}, mixture {share} {fast} {slow}",
                lambda: plain(W, np.eye(H)[0]), curve, max(fast, slow))  # fmt: skip


def lstm(f, w=0.0):
    """f, i and o as set, and W of the candidate g: c and s carry f + i o w together."""
    i = o = 0.5
    rate = f + i * o * w
    return Case(f"lstm f {f} w {w}", lambda: with_gates("lstm", 4, dict(
        f=[f] * 4, i=[i] * 4, o=[o] * 4), w), lambda n: rate ** (n - 1), rate, 1)  # fmt: skip


def lstm_of_two(one, other):
    """Half of the units forget with f = one, the other half with f = other."""
    return Case(
        f"lstm f {one}, {other}", lambda: with_gates("lstm", 2, dict(f=[one, other])),
        lambda n: ((one ** (2 * n) + other ** (2 * n)) / (one**2 + other**2)) ** 0.5,
        max(one, other), 1,
    )  # fmt: skip


def gru(z):
    return Case(f"gru z {z}", lambda: with_gates("gru", 4, {"z": [z] * 4}), lambda n: z**n, z)


def cases():
    """All networks, by the name of their kind."""
    mixtures = [
        *itertools.product((0.3, 0.7, 0.95, 0.999), (0.5, 0.8), (0.9, 0.97, 0.99, 0.999, 1.0)),
        (0.999, 0.5, 1.1), (0.9999, 0.7, 1.02), (0.7, 0.9, 1.3), (0.9, 1.0, 1.05),
    ]  # fmt: skip
    delays = list(itertools.product((3, 8, 17, 40), (0.5, 0.8, 0.97, 0.999, 1.02, 1.5)))
    both = [(5, 0.9, 0.5, 0.99), (12, 0.7, 0.6, 1.0), (20, 0.95, 0.8, 0.97), (8, 0.99, 0.5, 1.1)]
    return {
        "linear": [linear(r) for r in (*DECAY, 1.0, *GROWTH)],
        "orthogonal": [orthogonal(r) for r in (*DECAY, 1.0, *GROWTH)],
        "mixtures": [mixed(*given) for given in mixtures],
        "delayed": [delayed(*given) for given in delays],
        "delayed mixtures": [delayed_mixture(*given) for given in both],
        "lstm": [
            *(lstm(f) for f in (0.5, 0.73, 0.9, 0.97, 0.99, 0.999)),
            *(
                lstm(f, w)
                for f, w in ((0.5, 1.6), (0.9, 0.4), (0.9, 0.44), (0.8, 2.0), (0.5, 6.0))
            ),
            *(lstm_of_two(*f) for f in ((0.5, 0.99), (0.6, 0.9), (0.73, 0.999))),
        ],
        "gru": [gru(z) for z in (0.5, 0.9, 0.97, 0.999)],
    }


@functools.cache
def text(T):
    return np.random.default_rng(T).integers(VOCAB, size=(2, T))


def errors_of(case, T):
    """|dE_t/dh_k| of the network, computed, (T, T)."""
    return Measures(case.model(), *text(T)).norms


def errors_in_closed_form(case, T):
    """The same from the curve, but for a factor of each row."""
    curve = np.array([case.curve(n) for n in range(T)])
    t, k = np.arange(T)[:, None], np.arange(T)
    return np.where(t >= k, curve[abs(t - k)], 0.0)


def label(case, T):
    """The label of the curve at this length."""
    return label_of(evidence([errors_in_closed_form(case, T)], case.first))


def confusion(chosen, lengths=LENGTHS):
    """How often each label was given by what is true."""
    return Counter((case.truth(T), label(case, T)) for case in chosen for T in lengths)


def table(counts):
    """The counts as a table of Markdown."""
    lines = ["| what is true | " + " | ".join(LABELS) + " |", "|---" * (len(LABELS) + 1) + "|"]
    for truth in LABELS[:-1]:
        row = [str(counts[truth, given]) for given in LABELS]
        lines.append(f"| {truth.replace('observed to ', '')} | " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(confusion(itertools.chain(*cases().values()))))
