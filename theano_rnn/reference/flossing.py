"""Gradient flossing (Engelken 2023): the loss that draws Lyapunov exponents to 0, step by step.

With Q_0 (S, k) orthonormal and J_t = dh_t/dh_{t-1},

    Q_t R_t = J_t Q_{t-1}                      by Gram-Schmidt
    lambda_i = 1/T sum_t log |(R_t)_ii|
    loss = 1/k sum_i lambda_i^2

Its gradient is left to finite differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.types import Floats

#: Added to |(R_t)_ii|^2, so that a direction which a step maps to 0 has a logarithm.
BOUND = 1e-20


def exponents(cell: str, p: Floats, weights: tuple[Any, ...], Q: Floats) -> Floats:
    """lambda_i of one layer on one sequence, (k,), from the zero state.

    Parameters
    ----------
    cell : str
    p : array (T, G*H)
        U x_t + b.
    weights : tuple
        W, or for gru_after W and a.
    Q : array (S, k)
        Orthonormal columns; S is parts * H.

    Returns
    -------
    array (k,)
    """
    T, k = len(p), Q.shape[1]
    H = Q.shape[0] // CELLS[cell].parts
    before, total = np.zeros((CELLS[cell].parts, H)), np.zeros(k)
    for t in range(T):
        A = jacobian(cell, p[t], weights, before) @ Q
        Q = np.zeros_like(Q)
        for i in range(k):
            a = A[:, i]
            for j in range(i):
                a = a - (Q[:, j] @ a) * Q[:, j]
            R_ii = np.sqrt(a @ a + BOUND)
            Q[:, i] = a / R_ii
            total[i] += np.log(R_ii)
        before = np.array(CELLS[cell].forward(p[t], *weights, before))
    return total / T


def jacobian(cell: str, p: Floats, weights: tuple[Any, ...], before: Floats) -> Floats:
    """dh_t/dh_{t-1}, (S, S), row by row: each number of h_t goes back one step."""
    rows = []
    for i in range(before.size):
        d = np.zeros(before.size)
        d[i] = 1
        *_, d_before = CELLS[cell].backward(p, *weights, before, d.reshape(before.shape))
        rows.append(np.ravel(d_before))
    return np.array(rows)


def loss(exponents: Floats) -> float:
    """1/k sum lambda_i^2."""
    return float((exponents**2).mean())
