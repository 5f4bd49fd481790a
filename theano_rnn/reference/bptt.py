"""Backpropagation through time, cut in five ways: one plain loop, four places to stop, one chance.

With the sums restricted to the pairs (t, j) of the scheme, in each layer

    dW          = sum_t sum_j (dE_t/dz_j) s_{j-1}^T          for gru and lstm, see ``cells``
    dU          = sum_t sum_j (dE_t/dz_j) x_j^T
    db          = sum_t sum_j  dE_t/dz_j
    dV          = sum_t (o_t - y_t) s_t^T                    over every output, in every scheme
    dc          = sum_t (o_t - y_t)                          likewise

where z_j = U x_j + W s_{j-1} + b. For each output all layers are unrolled over its steps j; the
states before the first of these steps are constants. With an embedding x_j = L[:, token] and

    dL[:, token] = sum_t sum_j U^T dE_t/dz_j                 over the steps j with that token

The gradient of a tied L (of U without an embedding) is the sum over its two uses; the use as V
counts for every output, and so does P where V = L' P. Under dropout a layer, the output or the
recurrence reads m * a in place of a, so the error that comes back from it is multiplied by the
mask m too. Here t and j count from 0.

Under ``artbp`` every output reaches the first step, but its error is multiplied by a_j on the way
from step j to step j - 1: see `artbp_factors`.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.layout import Net, named
from theano_rnn.reference.masks import Masks
from theano_rnn.reference.steps import (
    add_to_output_matrix,
    embedded,
    layer_input,
    output_error,
    output_matrix,
    recurrent,
    top,
)
from theano_rnn.reference.types import Bools, Floats, Ints, Parameters


def bptt(
    net: Net,
    parameters: Parameters,
    states: Floats,
    x: Ints,
    y: Ints,
    masks: Masks,
    scheme: str,
    k: int | None,
    factors: Floats,
    penalty: Floats,
) -> Parameters:
    """Gradients by the names of the parameters; each output t goes back to its first step.

    ``states`` is (T + 1, layers, parts, H) with the initial state at index -1, x and y are (T,).
    The scheme is the name of one of the four functions below, or "artbp", and k is None for full.
    factors is (T,), of `artbp_factors`; ones for the other schemes.
    penalty (T, H) is dR/ds_t of the last layer, an error that goes back as that of output t does.
    """
    parameters = masks.of_W(parameters)
    gradients = {name: np.zeros_like(value) for name, value in parameters.items()}
    schemes: dict[str, Callable[[int, int, Any], int]]  # k is None for full
    schemes = {"full": full, "window": window, "chunk": chunk, "last": last, "artbp": full}
    first_step = schemes[scheme]
    V, backward, T = output_matrix(parameters), CELLS[net.cell].backward, len(x)
    for t in reversed(range(T)):
        s = top(states[t], masks, t)
        error = output_error(parameters, s, y[t])
        add_to_output_matrix(gradients, parameters, np.outer(error, s))  # dV = (o_t - y_t) s_t'
        if net.bias:
            gradients["c"] += error  # dc = o_t - y_t
        d = np.zeros_like(states[t])  # (layers, parts, H) dE_t by the state of step j
        # dE_t/ds_t = m * V' (o_t - y_t)
        d[-1, 0] = masks.below(t, net.layers) * (V.T @ error)
        d[-1, 0] += penalty[t]
        for j in range(t, first_step(t, T, k) - 1, -1):
            for l in reversed(range(net.layers)):
                U, weights = parameters[named("U", l)], recurrent(net, parameters, l)
                below = embedded(parameters, x[j]) if l == 0 else states[j, l - 1, 0]
                m = masks.below(j, l)
                p = layer_input(parameters, l, below, m)
                before = states[j - 1, l]
                dp, *d_weights, d[l] = backward(p, *weights.values(), before, d[l])
                # d[l] is now of j - 1
                for name, dW in zip(weights, d_weights):
                    if name in gradients:  # a is not, without biases
                        gradients[name] += dW
                if net.bias:
                    gradients[named("b", l)] += dp  # db += dE_t/dz_j
                if l == 0 and not net.embedding:
                    gradients["U"][:, below] += m * dp  # dU += (dE_t/dz_j) x_j', x_j one-hot
                    continue
                gradients[named("U", l)] += np.outer(dp, m * below)  # dU += (dE_t/dz_j) x_j'
                d_below = m * (U.T @ dp)  # dE_t/dx_j = m * U' dE_t/dz_j
                if l == 0:
                    gradients["L"][:, x[j]] += d_below  # dL += U' (dE_t/dz_j), at the token
                else:
                    d[l - 1, 0] += d_below  # dE_t/ds_j of the layer below
            d = factors[j] * d  # all layers: the error that crosses from step j to j - 1
    return masks.of_W(gradients)  # dW = M * d(M * W)


def artbp_factors(cuts: Bools, k: int, alpha: float | None) -> Floats:
    """a_j of anticipated reweighted truncated BPTT, (T,), for given cuts (T,).

    ::

        delta_{j-1} = e_{j-1} + a_j delta_j J_j        a_j = 0 where step j is cut from step j - 1
                                                       a_j = 1 / (1 - c) elsewhere

    c is the probability of that cut: 1/k or, after l steps without a cut and with alpha,
    (alpha - 1) / ((alpha - 2) k + l). A cut so takes with probability c what the factor adds
    otherwise, and the mean of a_j is 1: the gradient is unbiased. Before step 0 is no step to cut.

    Tallec and Ollivier, Unbiasing truncated backpropagation through time (2017).
    """
    factors = np.ones(len(cuts))
    l = 1  # steps since the last cut, or since the beginning
    for j in range(1, len(cuts)):
        c = 1 / k if alpha is None else (alpha - 1) / ((alpha - 2) * k + l)
        factors[j] = 0 if cuts[j] else 1 / (1 - c)
        l = 1 if cuts[j] else l + 1
    return factors


# The pictures show which step j (column) receives the error of which output t (row), for T = 6
# and k = 2.


def full(t: int, T: int, k: int) -> int:
    """Every output reaches back to the first step: j = 0..t.

    ::

        x.....
        xx....
        xxx...
        xxxx..
        xxxxx.
        xxxxxx   21 terms
    """
    return 0


def window(t: int, T: int, k: int) -> int:
    """Every output reaches k + 1 steps, itself included: j = max(0, t-k)..t.

    The tutorial's loop with ``bptt_truncate = k``; BPTT(k+1; 1) of Williams and Peng (1990).

    ::

        x.....
        xx....
        xxx...
        .xxx..
        ..xxx.
        ...xxx   15 terms
    """
    return max(0, t - k)


def chunk(t: int, T: int, k: int) -> int:
    """The sentence is cut into pieces of k steps, the state carried over: j = k*floor(t/k)..t.

    BPTT(k; k) of Williams and Peng (1990).

    ::

        x.....
        xx....
        ..x...
        ..xx..
        ....x.
        ....xx   9 terms
    """
    return k * (t // k)


def last(t: int, T: int, k: int) -> int:
    """Only the last k steps exist: t = T-k..T-1, j = T-k..t; earlier outputs have no step at all.

    They teach V and c alone. This is what ``theano.scan(truncate_gradient=k)`` computes if V is
    applied outside the scan. With stacked layers, the upper scan passes no gradient to its input
    before step T-k, and there the lower scan stops too: all layers are cut at one step.

    ::

        ......
        ......
        ......
        ......
        ....x.
        ....xx   3 terms
    """
    return max(0, T - k)
