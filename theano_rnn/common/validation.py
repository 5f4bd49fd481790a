"""Checks of arguments: each returns the value in the form that the package works with.

A bad value raises RNNError. Its message says what was wrong, where, and what to do.
"""

import functools
import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints, Parameters, Shapes


def shown(value: object) -> str:
    """A value as a message shows it: at most 60 characters, even if ``repr`` fails.

    >>> shown("four"), shown(10**9999), shown([0] * 9999)[-6:]
    ("'four'", 'an int that cannot be shown', ' 0 ...')
    """
    try:
        text = repr(value)
    except Exception:  # such as the ValueError of an int with more digits than Python prints
        return f"an {type(value).__name__} that cannot be shown"
    return text if len(text) <= 60 else text[:56] + " ..."


# ---- numbers and words


def is_finite(value: object, dtype: str = "float64") -> bool:
    """Whether a value is a real number, not a bool, and finite in the dtype.

    >>> is_finite(3), is_finite(float("nan")), is_finite(10**400), is_finite(1e39, "float32")
    (True, False, False, False)
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:  # NumPy would compare a float32 with a bound that is infinite in float32
        return abs(float(value)) <= _largest(dtype)
    except OverflowError:
        return False


@functools.cache
def _largest(dtype: str) -> float:
    return float(np.finfo(dtype).max)


def positive(value: Any, name: str, dtype: str = "float64") -> float:
    """The value as a float, above 0 and finite in the dtype."""
    if not is_finite(value, dtype) or not value > 0:
        raise RNNError(f"{name} must be a positive, finite number, not {shown(value)}")
    return float(value)


def at_least_zero(value: Any, name: str, dtype: str = "float64") -> float:
    """The value as a float, 0 or more and finite in the dtype."""
    if not is_finite(value, dtype) or not value >= 0:
        raise RNNError(f"{name} must be a finite number, 0 or more, not {shown(value)}")
    return float(value)


def whole_number(value: Any, name: str, at_least: int) -> int:
    """The value as an int, ``at_least`` or more and below 2^63; a bool is refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < at_least:
        raise RNNError(f"{name} must be a whole number of at least {at_least}, not {shown(value)}")
    if int(value) >= 2**63:
        raise RNNError(f"{name} must be below 2^63, not {shown(value)}")
    return int(value)


def one_of(value: object, name: str, choices: Iterable[str]) -> str:
    """The value, which must be one of the choices.

    >>> one_of("gur", "cell", ["tanh", "gru"])
    Traceback (most recent call last):
    theano_rnn.common.errors.RNNError: cell 'gur' is unknown; use tanh, gru
    """
    if not isinstance(value, str) or value not in choices:
        raise RNNError(f"{name} {shown(value)} is unknown; use {', '.join(choices)}")
    return value


# ---- token ids


def token_ids(tokens: object, name: str, vocab_size: int) -> Ints:
    """One sequence of token ids, (T,) int64, each from 0 to ``vocab_size - 1``."""
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
    # np.asarray would turn [True, 2] into [1, 2], and warn about lists within the list.
    for t, token in enumerate(tokens):
        if isinstance(token, bool) or not isinstance(token, numbers.Integral):
            kind = type(token).__name__
            raise RNNError(f"{name}[{t}] is a {kind}; pass integers, the ids of tokens")


def _integer_dtype(tokens: Array, name: str) -> None:
    if tokens.dtype.kind not in "iu":  # integers beyond 64 bits are objects
        raise RNNError(f"{name} has dtype {tokens.dtype}; pass integers, the ids of tokens")


def _in_vocabulary(tokens: Array, name: str, vocab_size: int) -> Ints:
    ids: Ints = np.ascontiguousarray(tokens, dtype=np.int64)
    if np.maximum.reduce(ids.view(np.uint64), axis=None) >= vocab_size:  # below 0 is 2^63 or more
        index = tuple(np.argwhere((tokens < 0) | (tokens >= vocab_size))[0])
        place = ", ".join(map(str, index))
        raise RNNError(
            f"{name}[{place}] is {tokens[index]}; pass token ids from 0 to {vocab_size - 1}"
        )
    return ids


def check_positions(count: int, vocab_size: int) -> None:
    """Raise RNNError if the float32 logits of ``count`` positions need half the memory or more."""
    if 4 * count * vocab_size > memory.total() // 2:
        raise RNNError(
            f"{count:,} tokens at once, each with {vocab_size:,} probabilities, do not fit in the "
            "memory of this machine; pass shorter sequences or a smaller batch"
        )


def token_pair(
    x: object, y: object, vocab_size: int, names: tuple[str, str] = ("x", "y")
) -> tuple[Ints, Ints]:
    """Inputs and targets of one sequence, two int64 arrays (T,)."""
    x = token_ids(x, names[0], vocab_size)
    y = token_ids(y, names[1], vocab_size)
    if len(x) != len(y):
        raise RNNError(
            f"{names[0]} has {len(x)} tokens and {names[1]} has {len(y)}; "
            "pass one target for each input"
        )
    return x, y


def token_pairs(X: Any, Y: Any, vocab_size: int) -> list[tuple[Ints, Ints]]:
    """Inputs and targets of each sequence, a list of pairs of int64 arrays (T,)."""
    for name, sequences in (("X", X), ("Y", Y)):
        is_one = isinstance(sequences, (str, bytes)) or getattr(sequences, "ndim", 1) == 0
        if not isinstance(sequences, (Sequence, np.ndarray)) or is_one:
            raise RNNError(f"{name} is a {type(sequences).__name__}; pass a list of sequences")
    if len(X) != len(Y):
        raise RNNError(f"X has {len(X)} sequences and Y has {len(Y)}; pass one y for each x")
    if len(X) == 0:
        raise RNNError("X is empty; pass at least one sequence")
    return [
        token_pair(x, y, vocab_size, (f"X[{n}]", f"Y[{n}]")) for n, (x, y) in enumerate(zip(X, Y))
    ]


def token_batch(
    x: object, y: object, mask: object, vocab_size: int
) -> tuple[Ints, Optional[Ints], Optional[Bools]]:
    """Inputs, targets and mask of a minibatch, time first.

    Parameters
    ----------
    x, y : integers (T, B)
        Arrays, or lists of T lists of B ids. ``y`` may be None; then None is returned for it.
    mask : booleans, or numbers that are 0 or 1, (T, B), optional
        Each column has ones for its sequence, then zeros for the padding. The values of ``x``
        and ``y`` in the padding are ignored. None: there is no padding.
    vocab_size : int
        Ids are from 0 to ``vocab_size - 1``.

    Returns
    -------
    x, y : int64 arrays (T, B), in C order
        0 in the padding.
    mask : bool array (T, B), in C order, or None
        None also for a mask of ones only.

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
            f"x has shape {x.shape} and y has shape {y.shape}; pass one target for each input"
        )
    mask = None if mask is None else _batch_mask(mask, x.shape)  # (T, B)
    if mask is not None:
        x = np.where(mask, x, 0)
        y = None if y is None else np.where(mask, y, 0)
    x = _in_vocabulary(x, "x", vocab_size)
    return x, None if y is None else _in_vocabulary(y, "y", vocab_size), mask


def _id_matrix(tokens: object, name: str) -> Array:
    """Integers of shape (T, B), with T and B at least 1."""
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
    """The mask as booleans of the given shape (T, B), or None if it has no padding."""
    mask = _rectangular(mask, "mask", f"{shape}, the shape of x")
    if mask.dtype.kind not in "biuf":
        raise RNNError(f"mask has dtype {mask.dtype}; pass booleans, or numbers that are 0 or 1")
    if mask.shape != shape:
        raise RNNError(f"mask has shape {mask.shape} and x has {shape}; pass one value per token")
    other = (mask != 0) & (mask != 1)
    if other.any():
        t, b = np.argwhere(other)[0]
        raise RNNError(f"mask[{t}, {b}] is {mask[t, b]}; pass 1 for a token and 0 for padding")
    mask = np.ascontiguousarray(mask, dtype=bool)
    if mask.all():
        return None
    if not mask.any():
        raise RNNError("mask has no 1, so the batch has no token; leave the batch out")
    holes = mask[1:] & ~mask[:-1]  # (T - 1, B), a 1 right after a 0
    if holes.any():
        t, b = np.argwhere(holes)[0]
        raise RNNError(
            f"column {b} of mask has a 0 at step {t} and a 1 at step {t + 1}; "
            "pad on the right: in each column ones, then zeros"
        )
    if not mask[0].all():
        b = int(np.argmin(mask[0]))
        raise RNNError(f"column {b} of mask has no 1, so its sequence is empty; leave it out")
    return mask


# ---- arrays


def parameters(values: object, shapes: Shapes, dtype: str) -> Parameters:
    """Copies of the arrays, checked: the names and shapes given, and finite numbers only."""
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
    """A copy of the array, in C order: finite real numbers of the given shape."""
    value = _rectangular(value, name, str(shape))
    if value.dtype.kind not in "fiu":
        raise RNNError(f"{name} has dtype {value.dtype}; pass real numbers")
    if value.shape != shape:
        raise RNNError(f"{name} has shape {value.shape}; this model needs {shape}")
    with np.errstate(over="ignore"):
        value = value.astype(dtype, order="C")
    if not np.isfinite(value).all():
        count = int((~np.isfinite(value)).sum())
        what = "pass finite numbers"
        if name.startswith("parameter"):
            what = "use a checkpoint from before the training diverged"
        raise RNNError(f"{name} has {count} values that are NaN or infinite in {dtype}; {what}")
    return value


def real_sequence(value: object, name: str, columns: int, rows: Optional[int] = None) -> Floats:
    """One sequence of vectors, (T, columns) float64, T at least 1 or as given by ``rows``."""
    T = "T" if rows is None else str(rows)
    value = _rectangular(value, name, f"({T}, {columns})")
    if value.dtype.kind not in "fiu":
        raise RNNError(f"{name} has dtype {value.dtype}; pass real numbers ({T}, {columns})")
    is_long_enough = value.ndim == 2 and (len(value) == rows if rows is not None else len(value))
    if not is_long_enough or value.shape[1] != columns:
        hint = "; of a batch pass one sequence" if value.ndim == 3 else ""
        hint = hint or "; token ids have the shape (T,)" * (value.dtype.kind in "iu")
        raise RNNError(f"{name} has shape {value.shape}, not ({T}, {columns}){hint}")
    value = value.astype("float64", order="C")
    bad = np.argwhere(~np.isfinite(value))
    if len(bad):
        t, i = bad[0]
        raise RNNError(
            f"{name}[{t}, {i}] is {value[t, i]}, and {len(bad):,} of its values are NaN or "
            "infinite; pass finite numbers"
        )
    return value


def _rectangular(value: object, name: str, shape: str) -> Array:
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # without catch_warnings, which takes longer than all the rest
    try:
        with warnings.catch_warnings():  # NumPy warns about lists of different lengths
            warnings.simplefilter("error", UserWarning)
            return np.asarray(value)
    except (ValueError, TypeError, UserWarning, RecursionError):
        raise RNNError(f"{name} has rows of different lengths; pass an array {shape}") from None


def _list(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
