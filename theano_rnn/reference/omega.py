"""The regularizer of Pascanu, Mikolov and Bengio (2013), step by step and sequence by sequence."""

from __future__ import annotations

import numpy as np

from theano_rnn.reference.types import Array, Floats


def omega(
    W: Floats,
    dz: Floats,
    ds: Floats,
    mask: Array | None = None,
    is_first: Array | None = None,
    bound: float = 1e-20,
) -> tuple[float, Floats]:
    """Omega and dOmega/dW, dz and ds held constant.

    With q_t = |W' dz_t|^2 / |ds_t|^2, they are the means, over the steps that count, of

        Omega     : (q_t - 1)^2
        dOmega/dW : 2 (q_t - 1) * 2 dz_t (W' dz_t)' / |ds_t|^2

    Parameters
    ----------
    W : array (H, H)
    dz, ds : arrays (T, B, H)
        dE/dz_t and dE/ds_t, where s_t = phi(z_t) and z_t = p_t + W s_{t-1}.
    mask : array (T, B) of booleans, optional
        False in padding; these steps do not count.
    is_first : array (T,) of booleans, optional
        True where the gradient is cut between t-1 and t; these steps do not count.
    bound : float
        Steps with a smaller |ds_t|^2 do not count.

    Returns
    -------
    value : float
    gradient : array (H, H)
        Both are 0 if no step counts.

    Raises
    ------
    ValueError
        If the shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.array([[[1.0, 0.0]]])  # phi' = 1: dz = ds
    >>> value, gradient = omega(0.5 * np.eye(2), d, d)  # (1/4 - 1)^2
    >>> value
    0.5625
    >>> gradient  # a larger W keeps more of the norm
    array([[-1.5,  0. ],
           [ 0. ,  0. ]])
    """
    T, B, H = _checked_shape(W, dz, ds, mask, is_first)
    value, gradient, count = 0.0, np.zeros((H, H)), 0
    for t in range(T):
        for b in range(B):
            squared = ds[t, b] @ ds[t, b]
            is_padding = mask is not None and not mask[t][b]
            is_cut = is_first is not None and is_first[t]
            if is_padding or is_cut or not squared >= bound:
                continue
            back = W.T @ dz[t, b]  # dE/ds_t ds_t/ds_{t-1} = W' dE/dz_t
            q = back @ back / squared
            value += (q - 1) ** 2
            # d|W' dz|^2 / dW = 2 dz (W' dz)'
            gradient += 2 * (q - 1) * 2 * np.outer(dz[t, b], back) / squared
            count += 1
    if count == 0:
        return 0.0, gradient
    return float(value / count), gradient / count


def _checked_shape(
    W: Floats, dz: Floats, ds: Floats, mask: Array | None, is_first: Array | None
) -> tuple[int, ...]:
    if np.ndim(dz) != 3:
        raise ValueError(f"dz has shape {np.shape(dz)}: pass (T, B, H)")
    T, B, H = np.shape(dz)
    expected: dict[str, tuple[Array | None, tuple[int, ...]]]
    expected = {"W": (W, (H, H)), "ds": (ds, (T, B, H))}
    expected |= {"mask": (mask, (T, B)), "is_first": (is_first, (T,))}
    for name, (value, shape) in expected.items():
        if value is not None and np.shape(value) != shape:
            raise ValueError(
                f"{name} has shape {np.shape(value)} and dz {(T, B, H)}: pass {shape}"
            )
    return T, B, H
