"""One step of the vanilla recurrence, its states over a sentence, and its output layer.

Throughout the reference t and j count from 0, and states carry one extra row: the initial state
s_{-1} = 0 is stored at index -1, so ``s[t - 1]`` is right for t = 0 too.
"""

from __future__ import annotations

import numpy as np


def next_state(U: np.ndarray, W: np.ndarray, token: int, s: np.ndarray) -> np.ndarray:
    """tanh(U x_t + W s_{t-1}); x_t is one-hot, so U x_t is the column of U at the token."""
    return np.tanh(U[:, token] + W @ s)  # (H,)


def hidden_states(U: np.ndarray, W: np.ndarray, x: np.ndarray) -> np.ndarray:
    """All states of a sentence, (T + 1, H), the initial one in the last row."""
    T = len(x)
    s = np.zeros((T + 1, len(W)), dtype=W.dtype)  # (T + 1, H)
    for t in range(T):
        s[t] = next_state(U, W, x[t], s[t - 1])
    return s


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log(exp(a) / sum exp(a)), shifted by the largest so that no exp overflows."""
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def output(V: np.ndarray, s_t: np.ndarray) -> np.ndarray:
    """o_t = softmax(V s_t), (vocab_size,)."""
    return np.exp(log_softmax(V @ s_t))


def output_loss(V: np.ndarray, s_t: np.ndarray, target: int) -> float:
    """E_t = -log o_t[y_t], finite even where o_t[y_t] underflows to 0."""
    return -float(log_softmax(V @ s_t)[target])


def output_error(V: np.ndarray, s_t: np.ndarray, target: int) -> np.ndarray:
    """dE_t/d(V s_t) = o_t - y_t, (vocab_size,)."""
    error = output(V, s_t)
    error[target] -= 1
    return error
