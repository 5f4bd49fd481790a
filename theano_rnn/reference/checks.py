"""Checks of the input. A ValueError says what was wrong, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.layout import Net, described, hidden_size, shapes, table, times
from theano_rnn.reference.masks import Kept, Masks, checked_masks
from theano_rnn.reference.types import Array, Bools, Floats, Ints, Mask, Parameters

#: x, y and the masks of one sequence of its own length.
Sentence = tuple[Ints, Ints, Masks]

#: With many more, the names of the parameters alone would fill the memory.
MOST_LAYERS = 100

SCHEMES = (
    "full, window:K, chunk:K, last:K with an integer K >= 1, or artbp:K, artbp:K:alpha with K >= 2"
    " and alpha > 2"
)


def checked_net(
    cell: object, layers: object, bias: bool, tied: bool, embedding: bool, projection: bool
) -> Net:
    """The network of the six settings, or ``ValueError``."""
    if not isinstance(cell, str) or cell not in CELLS:
        raise ValueError(f"cell is {cell!r}: pass one of {', '.join(CELLS)}")
    if not isinstance(layers, Integral) or isinstance(layers, bool) or layers < 1:
        raise ValueError(f"layers is {layers!r}: pass an integer >= 1")
    if int(layers) > MOST_LAYERS:
        raise ValueError(f"layers is more than {MOST_LAYERS}: pass fewer")
    switches = {"bias": bias, "tied": tied, "embedding": embedding, "projection": projection}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}: pass True or False")
    if tied and not embedding and CELLS[cell].gates > 1:
        single = ", ".join(name for name in CELLS if CELLS[name].gates == 1)
        raise ValueError(
            f"tied is True and cell is {cell!r}, whose U has {CELLS[cell].gates}H rows where V'"
            f" has H: pass tied=False or one of {single}, or embedding=True, which ties V to L"
        )
    if projection and not (tied and embedding):
        raise ValueError("projection is True: pass tied=True and embedding=True too, as V is L' P")
    return Net(cell, int(layers), bias, tied, embedding, projection)


def checked_parameters(parameters: Mapping[str, Array], net: Net) -> Parameters:
    """Copies of the network's parameters, in their order, or ``ValueError``."""
    if not isinstance(parameters, Mapping):
        kind = type(parameters).__name__
        raise ValueError(f"parameters is a {kind}: pass a dict of {described(net)}")
    words = shapes(net)
    missing = [name for name in words if name not in parameters]
    unknown = [name for name in parameters if name not in words]
    if missing or unknown:
        raise ValueError(
            f"parameters: missing {missing}, unknown {unknown}: pass {described(net)}"
        )
    checked = {name: _checked_array(name, parameters[name], words[name]) for name in words}
    vocab_size, H, gates = table(checked).shape[1], hidden_size(checked), CELLS[net.cell].gates
    sizes = {"vocab_size": vocab_size, "H": H, times(gates): gates * H}
    if net.embedding:
        sizes["D"] = checked["L"].shape[0]
    if any(p.shape != tuple(sizes[word] for word in words[name]) for name, p in checked.items()):
        found = ", ".join(f"{name} {p.shape}" for name, p in checked.items())
        raise ValueError(f"parameters disagree: {found}: pass {described(net)}")
    if len({p.dtype for p in checked.values()}) > 1:
        found = ", ".join(f"{name} {p.dtype}" for name, p in checked.items())
        raise ValueError(f"parameters mix dtypes: {found}: convert them to one")
    return checked


def _checked_array(name: str, value: Array, words: tuple[str, ...]) -> Floats:
    if not isinstance(value, np.ndarray) or value.dtype not in (np.float64, np.float32):
        found = getattr(value, "dtype", type(value).__name__)
        raise ValueError(f"parameter {name} is {found}: pass a float64 or float32 NumPy array")
    if value.ndim != len(words) or value.size == 0:
        raise ValueError(
            f"parameter {name} has shape {value.shape}: pass ({', '.join(words)}), none of them 0"
        )
    if not np.isfinite(value).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(
            f"parameter {name}{list(where)} is {value[where]}: pass finite parameters"
        )
    return np.array(value)


def checked_tokens(where: str, tokens: object, vocab_size: int) -> Ints:
    """`tokens` as a vector of integers in [0, vocab_size), or ``ValueError``."""
    # In an array of objects every element keeps its type: [True, 2] does not turn into [1, 2].
    array = _of_objects(where, tokens)
    if array.ndim != 1:
        raise ValueError(f"{where} has {array.ndim} dimensions: pass one list of token ids")
    if array.size == 0:
        raise ValueError(f"{where} is empty: pass at least one token id")
    for t, token in enumerate(array):
        if not isinstance(token, Integral) or isinstance(token, bool):
            raise ValueError(f"{where}[{t}] is {token!r}, not an integer: pass token ids")
        if not 0 <= int(token) < vocab_size:
            raise ValueError(
                f"{where}[{t}] is {token}: pass token ids from 0 to {vocab_size - 1},"
                f" the vocabulary has {vocab_size}"
            )
    return array.astype(np.intp)


def _of_objects(where: str, values: object) -> Array:
    """Any values as an array of objects, or ``ValueError``."""
    try:
        return np.array(values, dtype=object)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"{where} cannot be an array ({error}): pass token ids") from None


def checked_pair(
    x: object, y: object, vocab_size: int, where: tuple[str, str] = ("x", "y")
) -> tuple[Ints, Ints]:
    """A sequence and its targets, of equal length, or ``ValueError``."""
    x = checked_tokens(where[0], x, vocab_size)
    y = checked_tokens(where[1], y, vocab_size)
    if len(x) != len(y):
        raise ValueError(
            f"{where[0]} has {len(x)} token ids and {where[1]} has {len(y)}: pass one target each"
        )
    return x, y


def checked_pairs(X: Any, Y: Any, vocab_size: int) -> list[tuple[Ints, Ints]]:
    """As many sentences as targets, or ``ValueError``."""
    for name, sentences in (("X", X), ("Y", Y)):
        if not hasattr(sentences, "__len__") or isinstance(sentences, (str, Mapping, set)):
            raise ValueError(f"{name} is a {type(sentences).__name__}: pass a list of sentences")
    if len(X) != len(Y):
        raise ValueError(f"X has {len(X)} sentences and Y has {len(Y)}: pass as many of each")
    if len(X) == 0:
        raise ValueError("X is empty: pass at least one sentence")
    return [
        checked_pair(x, y, vocab_size, where=(f"X[{n}]", f"Y[{n}]"))
        for n, (x, y) in enumerate(zip(X, Y))
    ]


def checked_sentences(
    x: Any, y: Any, mask: Mask | None, kept: Kept | None, net: Net, parameters: Parameters
) -> list[Sentence]:
    """(x, y, masks) of one sentence, or of each column of a batch, cut to its own length."""
    vocab_size = table(parameters).shape[1]
    x, y = _of_objects("x", x), _of_objects("y", y)
    if 2 not in (x.ndim, y.ndim):
        if mask is not None:
            raise ValueError("mask is for batches: pass x and y (T, B) with it, or no mask")
        x, y = checked_pair(x, y, vocab_size)
        masks = checked_masks(kept, [x], np.ones(len(x), dtype=bool), net, parameters)
        return [(x, y, masks[0])]
    if x.ndim != y.ndim:
        raise ValueError(
            f"x has {x.ndim} dimensions and y has {y.ndim} dimensions: pass one list of token"
            " ids each, or two arrays (T, B)"
        )
    if x.shape != y.shape or x.size == 0:
        raise ValueError(
            f"x has shape {x.shape} and y has shape {y.shape}: pass (T, B) both, neither of them 0"
        )
    mask = _checked_mask(mask, x.shape)
    pairs = []
    for b, T in enumerate(mask.sum(axis=0)):
        where = f"x[:, {b}]", f"y[:, {b}]"
        pairs.append(checked_pair(x[:T, b], y[:T, b], vocab_size, where))
    all_masks = checked_masks(kept, [x for x, _ in pairs], mask, net, parameters)
    return [(*pair, masks) for pair, masks in zip(pairs, all_masks)]


def _checked_mask(mask: Mask | None, shape: tuple[int, int]) -> Bools:
    """The mask as booleans (T, B), all of them true for None, or ``ValueError``."""
    if mask is None:
        return np.ones(shape, dtype=bool)
    mask = _of_objects("mask", mask)  # a ragged list becomes one of lists, which are not 0 or 1
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape} and x has shape {shape}: pass the same")
    for (t, b), value in np.ndenumerate(mask):
        if not isinstance(value, (Real, np.bool_)) or value not in (0, 1):
            raise ValueError(f"mask[{t}, {b}] is {value!r}: pass booleans, or 0 and 1")
        if t == 0 and not value:
            raise ValueError(
                f"mask[0, {b}] is {value!r}: every column needs a token, and padding goes after it"
            )
        if t > 0 and value and not mask[t - 1, b]:
            raise ValueError(
                f"mask[{t}, {b}] is {value!r} after a 0: pass ones then zeros in every column"
            )
    return mask.astype(bool)


def checked_positive(name: str, value: Any) -> float:
    """`value` as a positive finite float, or ``ValueError``."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        number = number and 0 < float(value) < float("inf")
    except OverflowError:  # of a whole number with 400 digits
        number = False
    if not number:
        raise ValueError(f"{name} is {value!r}: pass a positive, finite number")
    return float(value)


def checked_cuts(cuts: Any, shape: tuple[int, ...], scheme: str) -> Bools:
    """Where the error is cut under artbp, booleans (T,) or (T, B); no cut for other schemes."""
    if scheme != "artbp":
        if cuts is not None:
            raise ValueError(f"cuts are for truncation artbp:K, not for {scheme}: leave them out")
        return np.zeros(shape, dtype=bool)
    if cuts is None:
        raise ValueError("cuts is None: artbp needs booleans, true where the error is cut")
    cuts = _of_objects("cuts", cuts)
    if cuts.shape != shape:
        raise ValueError(f"cuts has shape {cuts.shape}: pass {shape}, that of x")
    for place, value in np.ndenumerate(cuts):
        if not isinstance(value, (Real, np.bool_)) or value not in (0, 1):
            raise ValueError(f"cuts{list(place)} is {value!r}: pass booleans, or 0 and 1")
    checked: Bools = cuts.astype(bool)
    return checked


def parse_truncation(truncation: str) -> tuple[str, int | None, float | None]:
    """Scheme, K and alpha: ``"window:4"`` -> ``("window", 4, None)``, or ``ValueError``."""
    if isinstance(truncation, str):
        if truncation == "full":
            return "full", None, None
        match = re.fullmatch(r"(window|chunk|last):([0-9]{1,9})", truncation)
        if match and int(match[2]) >= 1:
            return match[1], int(match[2]), None
        match = re.fullmatch(r"artbp:([0-9]{1,9})(?::([0-9]+(?:\.[0-9]+)?))?", truncation)
        if match and int(match[1]) >= 2 and (match[2] is None or 2 < float(match[2]) < inf):
            return "artbp", int(match[1]), None if match[2] is None else float(match[2])
    raise ValueError(f"truncation is {truncation!r}: pass one of {SCHEMES}")


def chosen_truncation(truncation: str, bptt_truncate: object, truncate_gradient: object) -> str:
    """The scheme that one of three constructor arguments chooses, or ``ValueError``."""
    words = {
        "bptt_truncate": ("window", bptt_truncate),
        "truncate_gradient": ("last", truncate_gradient),
    }
    given = {word: pair for word, pair in words.items() if pair[1] is not None}
    if len(given) + (truncation != "full") > 1:
        raise ValueError(
            f"truncation={truncation!r}, bptt_truncate={bptt_truncate!r} and"
            f" truncate_gradient={truncate_gradient!r} contradict one another: pass one of them"
        )
    for word, (scheme, k) in given.items():
        if word == "truncate_gradient" and isinstance(k, Integral) and k == -1:
            continue  # Theano's word for full
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(
                f"{word} is {k!r}: pass an integer K >= 1 (it means {scheme}:K),"
                " or truncation='full' alone"
            )
        truncation = f"{scheme}:{int(k)}"
    scheme, k, alpha = parse_truncation(truncation)
    parts = [scheme] + ([] if k is None else [str(k)])
    if alpha is not None:
        parts.append(np.format_float_positional(alpha, trim="-"))
    return ":".join(parts)
