"""Backpropagation through time, cut in four ways: one plain double loop each.

All compute, with the sums restricted to the pairs (t, j) of the scheme,

    dW          = sum_t sum_j (dE_t/dz_j) s_{j-1}^T
    dU          = sum_t sum_j (dE_t/dz_j) x_j^T
    dV          = sum_t (o_t - y_t) s_t^T                    over every output, in every scheme

where z_j = U x_j + W s_{j-1}. Here t and j count from 0. The pictures show which step j (column)
receives the error of which output t (row) for T = 6 and k = 2.

Each function takes the matrices, the states (T + 1, H) with the initial state at index -1, the
tokens x and targets y (T,), and k where there is one; it returns dU (H, vocab_size),
dV (vocab_size, H) and dW (H, H).
"""

from __future__ import annotations

import numpy as np

from theano_rnn.reference.steps import output_error


def full(U, V, W, s, x, y):
    """Every output reaches back to the first step: j = 0..t.

    ::

        x.....
        xx....
        xxx...
        xxxx..
        xxxxx.
        xxxxxx   21 terms
    """
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    T = len(x)
    for t in reversed(range(T)):
        error = output_error(V, s[t], y[t])
        dV += np.outer(error, s[t])  # dV += (o_t - y_t) s_t'
        delta = V.T @ error * (1 - s[t] ** 2)  # dE_t/dz_t = V' (o_t - y_t) * (1 - s_t^2)
        for j in range(t, -1, -1):
            dW += np.outer(delta, s[j - 1])  # dW += (dE_t/dz_j) s_{j-1}'
            dU[:, x[j]] += delta  # dU += (dE_t/dz_j) x_j'
            # dE_t/dz_{j-1} = W' dE_t/dz_j * (1 - s_{j-1}^2)
            delta = W.T @ delta * (1 - s[j - 1] ** 2)
    return dU, dV, dW


def window(U, V, W, s, x, y, k):
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
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    T = len(x)
    for t in reversed(range(T)):
        error = output_error(V, s[t], y[t])
        dV += np.outer(error, s[t])  # dV += (o_t - y_t) s_t'
        delta = V.T @ error * (1 - s[t] ** 2)  # dE_t/dz_t = V' (o_t - y_t) * (1 - s_t^2)
        for j in range(t, max(0, t - k) - 1, -1):
            dW += np.outer(delta, s[j - 1])  # dW += (dE_t/dz_j) s_{j-1}'
            dU[:, x[j]] += delta  # dU += (dE_t/dz_j) x_j'
            # dE_t/dz_{j-1} = W' dE_t/dz_j * (1 - s_{j-1}^2)
            delta = W.T @ delta * (1 - s[j - 1] ** 2)
    return dU, dV, dW


def chunk(U, V, W, s, x, y, k):
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
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    T = len(x)
    for t in reversed(range(T)):
        error = output_error(V, s[t], y[t])
        dV += np.outer(error, s[t])  # dV += (o_t - y_t) s_t'
        delta = V.T @ error * (1 - s[t] ** 2)  # dE_t/dz_t = V' (o_t - y_t) * (1 - s_t^2)
        chunk_start = k * (t // k)
        for j in range(t, chunk_start - 1, -1):
            dW += np.outer(delta, s[j - 1])  # dW += (dE_t/dz_j) s_{j-1}'
            dU[:, x[j]] += delta  # dU += (dE_t/dz_j) x_j'
            # dE_t/dz_{j-1} = W' dE_t/dz_j * (1 - s_{j-1}^2)
            delta = W.T @ delta * (1 - s[j - 1] ** 2)
    return dU, dV, dW


def last(U, V, W, s, x, y, k):
    """Only the last k steps exist: t = T-k..T-1, j = T-k..t; earlier outputs teach V alone.

    What ``theano.scan(truncate_gradient=k)`` computes with V applied outside the scan.

    ::

        ......
        ......
        ......
        ......
        ....x.
        ....xx   3 terms
    """
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    T = len(x)
    first = max(0, T - k)
    for t in reversed(range(T)):
        error = output_error(V, s[t], y[t])
        dV += np.outer(error, s[t])  # dV += (o_t - y_t) s_t'
        delta = V.T @ error * (1 - s[t] ** 2)  # dE_t/dz_t = V' (o_t - y_t) * (1 - s_t^2)
        for j in range(t, first - 1, -1):  # no step at all when t < first
            dW += np.outer(delta, s[j - 1])  # dW += (dE_t/dz_j) s_{j-1}'
            dU[:, x[j]] += delta  # dU += (dE_t/dz_j) x_j'
            # dE_t/dz_{j-1} = W' dE_t/dz_j * (1 - s_{j-1}^2)
            delta = W.T @ delta * (1 - s[j - 1] ** 2)
    return dU, dV, dW
