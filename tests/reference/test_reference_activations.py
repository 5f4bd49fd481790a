"""The oracle's penalties on the states of the last layer: by hand, and by differences."""

import numpy as np
import pytest
from kinds import GATES, PLAIN, assert_same, factors, is_smooth, named, net

from theano_rnn.reference import NumpyRNN, activations, finite_differences, frozen_state_loss

S = np.array([[1.0, 2.0], [3.0, -1.0], [3.0, 1.0]])
#: Each cell alone, and two layers with biases.
SOME_KINDS = [
    {**PLAIN, "cell": cell, **more} for cell in GATES for more in ({}, {"layers": 2, "bias": True})
]
TRUNCATIONS = ("full", "window:1", "chunk:2", "last:2", "artbp:2")


def test_means_by_hand_in_the_weight_of_a_sum_over_the_tokens():
    kept, ones = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]), np.ones((3, 2))
    # 3 tokens of 2 units: (4 + 9 + 1 + 4) / 6; 2 pairs: (4 + 9 + 4) / 4
    assert activations.penalty(S, kept, 0.5, 0.0) == pytest.approx(3 * 0.5 * 18 / 6)
    pair = activations.of_pair(0.5, [3])
    assert activations.penalty(S, ones, 0.0, pair) == pytest.approx(3 * 0.5 * 17 / 4)
    # Of two sequences there are the pairs of both: 5 tokens and 3 pairs.
    assert activations.of_pair(0.5, [3, 2]) == pytest.approx(0.5 * 5 / 3)
    assert activations.of_pair(0.5, [1, 1]) == 0
    assert activations.penalty(S[:1], ones[:1], 0.0, 0.0) == 0


def test_their_errors_are_the_central_differences():
    kept = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    expected = finite_differences(lambda p: activations.penalty(p["s"], kept, 0.7, 0.3), {"s": S})
    assert_same({"s": activations.errors(S, kept, 0.7, 0.3)}, expected, 1e-9)


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_gradients_are_the_central_differences_of_their_surrogates_under_every_truncation(kind):
    parameters, x, y = net(kind, 1, hidden_size=2, vocab_size=3, T=4)
    kept = factors(kind, 1, hidden_size=2, T=4)
    assert is_smooth(parameters, x, kind, kept=kept)
    frozen = NumpyRNN(parameters, **kind).hidden_states(x, kept)
    for truncation in TRUNCATIONS:
        given = {"kept": kept}
        if truncation.startswith("artbp"):
            given["cuts"] = [0, 0, 1, 0]
        weights = {"ar": 0.7, "tar": 0.3}

        def surrogate(p, cut=truncation, given=given, weights=weights):
            return frozen_state_loss(p, frozen, x, y, cut, **kind, **given, **weights)

        model = NumpyRNN(parameters, truncation, **kind)
        gradients, plain = model.bptt(x, y, **given, **weights), model.bptt(x, y, **given)
        assert_same(gradients, finite_differences(surrogate, parameters), 1e-8)
        assert (gradients["U"] != plain["U"]).any()
        assert (gradients["V"] == plain["V"]).all()  # only the states are drawn
