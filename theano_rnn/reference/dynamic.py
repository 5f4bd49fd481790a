"""Dynamic evaluation with RMS-scaled steps, one parameter after the other.

For a piece of n tokens with the gradient g = dE/dtheta / n, the trained parameters theta_0, and
rms, the root of the mean of g^2 over batches of the training text,

    theta += n lambda r (theta_0 - theta) - n eta g / (rms + epsilon)

with r = rms / (the mean over the parameters of the means of rms), so large that n lambda r is at
most 1. Krause, Kahembwe, Murray, Renals, Dynamic evaluation of neural sequence models (2018).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theano_rnn.reference.types import Parameters


def root_mean_squares(gradients: Sequence[Parameters]) -> Parameters:
    """rms by the names of the parameters, of the g of some batches."""
    return {name: np.sqrt(sum(g[name] ** 2 for g in gradients) / len(gradients))
            for name in gradients[0]}  # fmt: skip


def adapted(
    parameters: Parameters,
    first: Parameters,
    rms: Parameters,
    gradients: Parameters,
    n: int,
    eta: float,
    decay: float,
    epsilon: float,
) -> Parameters:
    """theta after a piece; ``gradients`` are of E, so n g, and ``first`` is theta_0."""
    mean = sum(float(a.mean()) for a in rms.values()) / len(rms)
    after = {}
    for name, theta in parameters.items():
        share = np.minimum(1.0, n * decay * rms[name] / mean)
        step = eta * gradients[name] / (rms[name] + epsilon)
        after[name] = theta + share * (first[name] - theta) - step
    return after
