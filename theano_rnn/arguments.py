"""Checks of what users pass in: each returns the value in its working form or raises RNNError.

A message says what was wrong, where, and what to do.
"""

import numbers
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from theano_rnn.errors import RNNError


def whole_number(value, name: str, at_least: int) -> int:
    """An integer that is not a bool, at_least or more."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise RNNError(f"{name} must be a whole number of at least {at_least}, not {value!r}")
    return int(value)


def positive(value, name: str, dtype: str = "float64") -> float:
    """A positive number, finite in the dtype."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < value <= float(np.finfo(dtype).max):
        raise RNNError(f"{name} must be a positive, finite number, not {value!r}")
    return float(value)


def token_ids(tokens, name: str, vocab_size: int) -> np.ndarray:
    """A sequence of token ids as (T,) int64, each in [0, vocab_size)."""
    if not isinstance(tokens, np.ndarray):
        if isinstance(tokens, Sequence):
            # np.asarray would turn [True, 2] into [1, 2], and warn of lists within the list.
            for t, token in enumerate(tokens):
                if isinstance(token, bool) or not isinstance(token, numbers.Integral):
                    kind = type(token).__name__
                    raise RNNError(f"{name}[{t}] is a {kind}; pass integers, the ids of tokens")
        tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise RNNError(
            f"{name} has shape {tokens.shape}; pass one sequence of token ids, shape (T,)"
        )
    if tokens.size == 0:
        raise RNNError(f"{name} is empty; pass at least one token")
    if tokens.dtype.kind not in "iu":  # integers beyond 64 bits are objects
        raise RNNError(f"{name} has dtype {tokens.dtype}; pass integers, the ids of tokens")
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        t = int(np.argmax((tokens < 0) | (tokens >= vocab_size)))
        raise RNNError(
            f"{name}[{t}] is {tokens[t]}; token ids of this model go from 0 to {vocab_size - 1}"
        )
    return np.ascontiguousarray(tokens, dtype=np.int64)


def token_pair(x, y, vocab_size: int, names=("x", "y")):
    """Inputs and targets of one sequence, of equal length."""
    x = token_ids(x, names[0], vocab_size)
    y = token_ids(y, names[1], vocab_size)
    if len(x) != len(y):
        raise RNNError(
            f"{names[0]} has {len(x)} tokens and {names[1]} has {len(y)}; "
            "each input needs its target"
        )
    return x, y


def token_pairs(X, Y, vocab_size: int) -> list:
    """Inputs and targets of many sequences."""
    for name, sequences in (("X", X), ("Y", Y)):
        if not isinstance(sequences, (Sequence, np.ndarray)) or isinstance(
            sequences, (str, bytes)
        ):
            raise RNNError(f"{name} is a {type(sequences).__name__}; pass a list of sequences")
    if len(X) != len(Y):
        raise RNNError(f"X has {len(X)} sequences and Y has {len(Y)}; each needs its other half")
    if len(X) == 0:
        raise RNNError("X is empty; pass at least one sequence")
    return [
        token_pair(x, y, vocab_size, (f"X[{n}]", f"Y[{n}]")) for n, (x, y) in enumerate(zip(X, Y))
    ]


def parameters(values, shapes: dict, dtype: str) -> dict:
    """Finite arrays of the given names and shapes, in the order of the names, as copies."""
    if not isinstance(values, Mapping):
        raise RNNError(f"parameters is a {type(values).__name__}; pass a dict of {_list(shapes)}")
    missing = [name for name in shapes if name not in values]
    unknown = [str(name) for name in values if name not in shapes]
    if missing or unknown:
        wrong = [f"{', '.join(missing)} missing"] if missing else []
        wrong += [f"{', '.join(unknown)} unknown"] if unknown else []
        raise RNNError(f"parameters: {' and '.join(wrong)}; pass {_list(shapes)}")
    checked = {}
    for name, shape in shapes.items():
        checked[name] = finite_array(values[name], f"parameter {name}", shape, dtype)
    return checked


def finite_array(value, name: str, shape: tuple, dtype: str) -> np.ndarray:
    """Finite real numbers of the given shape, as a copy in C order."""
    try:
        with warnings.catch_warnings():  # of lists of different lengths
            warnings.simplefilter("error", UserWarning)
            value = np.asarray(value)
    except (ValueError, UserWarning):
        raise RNNError(f"{name} has rows of different lengths; its shape is {shape}") from None
    if value.dtype.kind not in "fiu":
        raise RNNError(f"{name} has dtype {value.dtype}; pass real numbers")
    if value.shape != shape:
        raise RNNError(f"{name} has shape {value.shape}; this model's is {shape}")
    with np.errstate(over="ignore"):
        value = value.astype(dtype, order="C")
    if not np.isfinite(value).all():
        count = int((~np.isfinite(value)).sum())
        raise RNNError(
            f"{name} has {count} values that are NaN or infinite in {dtype}; take it from a "
            "checkpoint made before the training diverged"
        )
    return value


def _list(shapes: dict) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
