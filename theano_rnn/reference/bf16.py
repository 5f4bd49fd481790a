"""Products in bf16: factors rounded to 8 bits of precision, sums as precise as float64.

bf16 is a float32 without its last 16 bits. It has the same exponents, and 8 bits of precision
instead of 24.

How far is a product from that of the float32 numbers? Rounding to nearest changes a number by at
most half the distance to the next one: 2^-8 in 1 + 2^-8, a share of 1/257. So x y becomes at most
(258/257)^2 x y, which is off by 515/66049 of |x y|: less than 2^-7. The product of two numbers in
bf16 has 16 bits and is exact in float32. A sum of k of them rounds k times, and some more where it
is computed in blocks, each time by 2^-24 of at most 1 + 2^-7 times the sum of all |x y|: together
by less than (k + 2) 2^-23 of it.

Numbers below 2^-126, the smallest normal one, are taken for 0, and so are such products and sums.
"""

import numpy as np

from theano_rnn.reference.types import Array, Floats

SMALLEST_NORMAL = 2.0**-126


def rounded(a: Array) -> Floats:
    """The nearest bf16 numbers, as float32; of two that are as near the one with an even last bit.

    Parameters
    ----------
    a : float32 array

    Returns
    -------
    float32 array
        Of the same shape. Infinity and NaN stay; what is nearer to 2^128 than to the largest bf16
        becomes infinity; what is below 2^-126 becomes 0.
    """
    a = np.asarray(a, np.float32)
    bits = a.view(np.uint32)
    is_odd = (bits >> np.uint32(16)) & np.uint32(1)
    up = (bits + np.uint32(0x7FFF) + is_odd) & np.uint32(0xFFFF0000)
    to: Floats = up.view(np.float32)
    to = np.where(np.abs(a) < np.float32(SMALLEST_NORMAL), np.copysign(np.float32(0), a), to)
    return np.where(np.isnan(a), a, to)


def product(x: Array, y: Array) -> Floats:
    """x y of matrices that are rounded to bf16, summed in float64.

    Parameters
    ----------
    x : (m, k) float32 array
    y : (k, n) float32 array

    Returns
    -------
    (m, n) float64 array
    """
    out: Floats = rounded(x).astype(np.float64) @ rounded(y).astype(np.float64)
    return out


def sum_bound(x: Array, y: Array) -> Floats:
    """How far float32 sums are at most from ``product(x, y)``, for factors that are normal or 0.

    Parameters
    ----------
    x : (m, k) float32 array
    y : (k, n) float32 array

    Returns
    -------
    (m, n) float64 array
    """
    k = x.shape[1]
    return (k + 2) * (2.0**-23 * _sizes(x, y) + SMALLEST_NORMAL)


def bound(x: Array, y: Array) -> Floats:
    """How far a product in bf16 is at most from x y, for factors that are normal or 0.

    Parameters
    ----------
    x : (m, k) float32 array
    y : (k, n) float32 array

    Returns
    -------
    (m, n) float64 array
        (2^-7 + (k + 2) 2^-23) sum_l |x_il y_lj|, and what sums below 2^-126 lose.
    """
    out: Floats = 2.0**-7 * _sizes(x, y) + sum_bound(x, y)
    return out


def _sizes(x: Array, y: Array) -> Floats:
    out: Floats = np.abs(x.astype(np.float64)) @ np.abs(y.astype(np.float64))
    return out
