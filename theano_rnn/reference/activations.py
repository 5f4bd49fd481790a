"""AR and TAR, the penalties on the states of the last layer, unit by unit and step by step.

With s_t the state of the last layer, m_t its dropout mask, N the tokens of a batch and P the pairs
of neighbours (t - 1, t) in its sequences,

    R = N ( ar/(N H) sum_t |m_t s_t|^2 + tar/(P H) sum_t |s_t - s_{t-1}|^2 )

so that R stands to E, a sum over N tokens, as the means of the paper stand to the mean of E. The
state before the first step is in no pair.

Merity, McCann, Socher, Revisiting activation regularization for language RNNs (2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theano_rnn.reference.types import Floats


def of_pair(tar: float, lengths: Sequence[int]) -> float:
    """tar N / P, the factor of each pair in sequences of these lengths; 0 if there is no pair."""
    pairs = sum(T - 1 for T in lengths)
    return tar * sum(lengths) / pairs if pairs else 0.0


def penalty(s: Floats, kept: Floats, ar: float, pair: float) -> float:
    """What one sequence adds to R.

    Parameters
    ----------
    s, kept : arrays (T, H)
        The states of the last layer, and its mask.
    ar : float
    pair : float
        As `of_pair` gives it.
    """
    (T, H), R = s.shape, 0.0
    for t in range(T):
        for i in range(H):
            R += ar * (kept[t, i] * s[t, i]) ** 2 / H
            if t > 0:
                R += pair * (s[t, i] - s[t - 1, i]) ** 2 / H
    return R


def errors(s: Floats, kept: Floats, ar: float, pair: float) -> Floats:
    """dR/ds_t of each step, (T, H), for the arguments of `penalty`."""
    T, H = s.shape
    d = np.zeros_like(s)
    for t in range(T):
        d[t] += 2 * ar * kept[t] ** 2 * s[t] / H
        if t > 0:
            difference = 2 * pair * (s[t] - s[t - 1]) / H
            d[t] += difference
            d[t - 1] -= difference
    return d
