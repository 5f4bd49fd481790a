"""Checks of what users pass in: each returns the value in its working form or raises RNNError.

A message says what was wrong, where, and what to do.
"""

import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints, Parameters, Shapes


def whole_number(value: object, name: str, at_least: int) -> int:
    """An integer that is not a bool, at_least or more, of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise RNNError(f"{name} must be a whole number of at least {at_least}, not {shown(value)}")
    if int(value) >= 2**63:
        raise RNNError(f"{name} must be below 2^63, not {shown(value)}")
    return int(value)


def positive(value: Any, name: str, dtype: str = "float64") -> float:
    """A positive number, finite in the dtype."""
    if not _is_number(value) or not 0 < value <= float(np.finfo(dtype).max):
        raise RNNError(f"{name} must be a positive, finite number, not {shown(value)}")
    return float(value)


def at_least_zero(value: Any, name: str, dtype: str = "float64") -> float:
    """A number of 0 or more, finite in the dtype."""
    if not _is_number(value) or not 0 <= value <= float(np.finfo(dtype).max):
        raise RNNError(f"{name} must be a finite number, 0 or more, not {shown(value)}")
    return float(value)


def shown(value: object) -> str:
    """A value in a message, however long it is and whatever it does when it is asked.

    >>> shown("four"), shown(10**9999), shown([0] * 9999)[-6:]
    ("'four'", 'an int that cannot be shown', ' 0 ...')
    """
    try:
        text = repr(value)
    except Exception:  # of a number of more digits than Python writes, ValueError
        return f"an {type(value).__name__} that cannot be shown"
    return text if len(text) <= 60 else text[:56] + " ..."


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def token_ids(tokens: object, name: str, vocab_size: int) -> Ints:
    """A sequence of token ids as (T,) int64, each in [0, vocab_size)."""
    if isinstance(tokens, Sequence):
        _integers(tokens, name)
    try:
        tokens = np.asarray(tokens)
    except (TypeError, ValueError, RecursionError):
        raise RNNError(f"{name} is a {type(tokens).__name__}; pass the ids of tokens") from None
    if tokens.ndim != 1:
        raise RNNError(
            f"{name} has shape {tokens.shape}; pass one sequence of token ids, shape (T,)"
        )
    if tokens.size == 0:
        raise RNNError(f"{name} is empty; pass at least one token")
    _integer_dtype(tokens, name)
    return _in_vocabulary(tokens, name, vocab_size)


def _integers(tokens: Iterable[Any], name: str) -> None:
    # np.asarray would turn [True, 2] into [1, 2], and warn of lists within the list.
    for t, token in enumerate(tokens):
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            kind = type(token).__name__
            raise RNNError(f"{name}[{t}] is a {kind}; pass integers, the ids of tokens")


def _integer_dtype(tokens: Array, name: str) -> None:
    if tokens.dtype.kind not in "iu":  # integers beyond 64 bits are objects
        raise RNNError(f"{name} has dtype {tokens.dtype}; pass integers, the ids of tokens")


def _in_vocabulary(tokens: Array, name: str, vocab_size: int) -> Ints:
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        index = tuple(np.argwhere((tokens < 0) | (tokens >= vocab_size))[0])
        place = ", ".join(map(str, index))
        raise RNNError(
            f"{name}[{place}] is {tokens[index]}; "
            f"token ids of this model go from 0 to {vocab_size - 1}"
        )
    return np.ascontiguousarray(tokens, dtype=np.int64)


def check_positions(count: int, vocab_size: int) -> None:
    """RNNError where the logits of so many positions, float32, do not fit in the memory."""
    if 4 * count * vocab_size > memory.total() // 2:
        raise RNNError(
            f"{count:,} tokens at once, each with {vocab_size:,} probabilities, are more than "
            "the memory of this machine holds; pass shorter sequences or a smaller batch"
        )


def token_pair(
    x: object, y: object, vocab_size: int, names: tuple[str, str] = ("x", "y")
) -> tuple[Ints, Ints]:
    """Inputs and targets of one sequence, of equal length."""
    x = token_ids(x, names[0], vocab_size)
    y = token_ids(y, names[1], vocab_size)
    if len(x) != len(y):
        raise RNNError(
            f"{names[0]} has {len(x)} tokens and {names[1]} has {len(y)}; "
            "each input needs its target"
        )
    return x, y


def token_pairs(X: Any, Y: Any, vocab_size: int) -> list[tuple[Ints, Ints]]:
    """Inputs and targets of many sequences."""
    for name, sequences in (("X", X), ("Y", Y)):
        is_one = isinstance(sequences, (str, bytes)) or getattr(sequences, "ndim", 1) == 0
        if not isinstance(sequences, (Sequence, np.ndarray)) or is_one:
            raise RNNError(f"{name} is a {type(sequences).__name__}; pass a list of sequences")
    if len(X) != len(Y):
        raise RNNError(f"X has {len(X)} sequences and Y has {len(Y)}; each needs its other half")
    if len(X) == 0:
        raise RNNError("X is empty; pass at least one sequence")
    return [
        token_pair(x, y, vocab_size, (f"X[{n}]", f"Y[{n}]")) for n, (x, y) in enumerate(zip(X, Y))
    ]


def token_batch(
    x: object, y: object, mask: object, vocab_size: int
) -> tuple[Ints, Optional[Ints], Optional[Bools]]:
    """A minibatch, time first: its inputs, targets and mask, in their working form.

    Parameters
    ----------
    x, y : integers (T, B)
        Arrays, or lists of T lists of B ids. ``y`` may be None, and is then returned so.
    mask : booleans, or numbers that are 0 or 1, (T, B), optional
        Each column ones, then zeros: the sequence, then its padding. What ``x`` and ``y`` hold
        in the padding is not looked at. Left out: there is no padding.
    vocab_size : int
        Ids are from 0 to ``vocab_size - 1``.

    Returns
    -------
    x, y : int64 arrays (T, B), in C order
        With 0 in the padding.
    mask : bool array (T, B), in C order, or None
        None also when it is all ones.

    Raises
    ------
    RNNError
        For other shapes, dtypes, values or ids; for a batch without a step or without a
        sequence; for a mask with ones after zeros, or with a column that has no one.

    Examples
    --------
    >>> x, y, mask = token_batch([[3, 4], [5, -1]], None, [[1, 1], [1, 0]], vocab_size=6)
    >>> x
    array([[3, 4],
           [5, 0]])
    >>> mask
    array([[ True,  True],
           [ True, False]])
    """
    x = _id_matrix(x, "x")  # (T, B)
    y = None if y is None else _id_matrix(y, "y")  # (T, B)
    if y is not None and y.shape != x.shape:
        raise RNNError(
            f"x has shape {x.shape} and y has shape {y.shape}; each input needs its target"
        )
    mask = None if mask is None else _batch_mask(mask, x.shape)  # (T, B)
    if mask is not None:
        x = np.where(mask, x, 0)
        y = None if y is None else np.where(mask, y, 0)
    x = _in_vocabulary(x, "x", vocab_size)
    return x, None if y is None else _in_vocabulary(y, "y", vocab_size), mask


def _id_matrix(tokens: object, name: str) -> Array:
    """Integers of shape (T, B), neither of them 0."""
    if isinstance(tokens, Sequence):
        for t, row in enumerate(tokens):
            if not isinstance(row, (Sequence, np.ndarray)) or not np.iterable(row):
                kind = type(row).__name__
                raise RNNError(f"{name}[{t}] is a {kind}; pass a row of ids for each time step")
            _integers(row, f"{name}[{t}]")
    tokens = _rectangular(tokens, name, "(T, B), sequences padded to one length, time first")
    if tokens.ndim != 2:
        raise RNNError(
            f"{name} has shape {tokens.shape}; pass a batch of token ids, time first, shape (T, B)"
        )
    if tokens.size == 0:
        raise RNNError(
            f"{name} has shape {tokens.shape}; pass at least one step of at least one sequence"
        )
    _integer_dtype(tokens, name)
    return tokens


def _batch_mask(mask: object, shape: tuple[int, ...]) -> Optional[Bools]:
    """Booleans of the given shape (T, B), in each column ones, then zeros; None if all ones."""
    mask = _rectangular(mask, "mask", f"that of x, {shape}")
    if mask.dtype.kind not in "biuf":
        raise RNNError(f"mask has dtype {mask.dtype}; pass booleans, or numbers that are 0 or 1")
    if mask.shape != shape:
        raise RNNError(f"mask has shape {mask.shape} and x has {shape}; pass one value a token")
    other = (mask != 0) & (mask != 1)
    if other.any():
        t, b = np.argwhere(other)[0]
        raise RNNError(f"mask[{t}, {b}] is {mask[t, b]}; pass 1 for a token and 0 for padding")
    mask = np.ascontiguousarray(mask, dtype=bool)
    if mask.all():
        return None
    if not mask.any():
        raise RNNError("mask has no 1: the batch has no token; leave it out")
    holes = mask[1:] & ~mask[:-1]  # (T - 1, B), a one after a zero
    if holes.any():
        t, b = np.argwhere(holes)[0]
        raise RNNError(
            f"column {b} of mask has a 0 at step {t} and a 1 at step {t + 1}; "
            "pad on the right: each column ones, then zeros"
        )
    if not mask[0].all():
        b = int(np.argmin(mask[0]))
        raise RNNError(f"column {b} of mask has no 1: a sequence without tokens; leave it out")
    return mask


def parameters(values: object, shapes: Shapes, dtype: str) -> Parameters:
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


def finite_array(value: object, name: str, shape: tuple[int, ...], dtype: str) -> Floats:
    """Finite real numbers of the given shape, as a copy in C order."""
    value = _rectangular(value, name, str(shape))
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


def _rectangular(value: object, name: str, shape: str) -> Array:
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # changing the filters of warnings costs more than the rest
    try:
        with warnings.catch_warnings():  # of lists of different lengths
            warnings.simplefilter("error", UserWarning)
            return np.asarray(value)
    except (ValueError, TypeError, UserWarning, RecursionError):
        raise RNNError(f"{name} has rows of different lengths; its shape is {shape}") from None


def _list(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
