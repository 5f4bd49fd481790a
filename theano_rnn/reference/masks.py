"""The masks of dropout: factors, usually 0 or 1/(1-p), of what a network reads.

They are given by kind, in a dict; a kind that is left out is ones:

    "states"     (T, layers, H)       s_t of layer l as the layer above, or the output, reads it
    "input"      (T, D)               x_t = L[:, token], where there is an embedding
    "embedding"  (vocab_size,)        each column of L (of U without L), where a token is looked up
    "recurrent"  (layers, H)          s_{t-1} as W reads it, in all steps the same
    "weights"    (layers, G*H, H)     each element of W, in all steps the same

For a batch "states", "input" and "recurrent" have an axis B before the layers, or before D; the
other two are those of all its sentences. An array alone is a dict of "states". What a gate carries
over, as z * s_{t-1} of gru, is not multiplied; nor is a tied table in its use as V.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.layout import Net, hidden_size, named, table, times
from theano_rnn.reference.types import Array, Bools, Floats, Ints, Parameters

#: Masks of all kinds by name, or those of the states alone.
Kept = Union[Array, Mapping[str, Array]]
#: Kinds that a network may have none of.
EMPTY = {"input": ("T", "B", "D"), "recurrent": ("B", "none", "H"), "weights": ("none", "GH", "H")}


class Masks(NamedTuple):
    """The masks of one sentence.

    As m of a sentence is the same in all steps, W (m * s) = (W * m') s: the masks of s_{t-1} are
    columns of a mask of W.
    """

    input: Floats  # (T, D), or (T, 1) of a one-hot x_t: the mask of its column is in it
    states: Floats  # (T, layers, H)
    W: Floats  # (layers, G*H, H)

    def below(self, t: int, l: int) -> Floats:
        """Factors of what layer l reads at step t: x_t, or s_t of the layer below."""
        factors: Floats = self.input[t] if l == 0 else self.states[t, l - 1]
        return factors

    def of_W(self, arrays: Parameters) -> Parameters:
        """The arrays, parameters or gradients, with each W multiplied by its mask."""
        names = {named("W", l): mask for l, mask in enumerate(self.W)}
        return {n: a * names[n] if n in names else a for n, a in arrays.items()}


def kinds(net: Net) -> dict[str, tuple[str, ...]]:
    """The masks that a network may have, with their axes; a single sentence has no B."""
    found: dict[str, tuple[str, ...]] = {"states": ("T", "B", "layers", "H")}
    if net.embedding:
        found["input"] = ("T", "B", "D")
    found["embedding"] = ("vocab_size",)
    if "W" in CELLS[net.cell].recurrent:
        found["recurrent"] = ("B", "layers", "H")
        found["weights"] = ("layers", times(CELLS[net.cell].gates), "H")
    return found


def checked_masks(
    kept: Kept | None, columns: Sequence[Ints], mask: Bools, net: Net, parameters: Parameters
) -> list[Masks]:
    """The masks of each sentence, or ``ValueError`` if a factor of a token is not finite.

    ``columns`` are the sentences, cut to their own lengths. ``mask`` is true at their tokens:
    (T, B) of a batch, or (T,) of a single sentence.
    """
    given = kept if isinstance(kept, Mapping) else {} if kept is None else {"states": kept}
    words = kinds(net)
    for name in given:
        if name not in words:
            raise ValueError(f"kept has {name!r}: this network has masks {', '.join(words)}")
    H, gates = hidden_size(parameters), CELLS[net.cell].gates
    sizes = {"T": len(mask), "layers": net.layers, "H": H, times(gates): gates * H}
    sizes["B"], sizes["vocab_size"] = len(columns), table(parameters).shape[1]
    sizes["D"] = parameters["L"].shape[0] if net.embedding else 1
    full = {}
    for name, axes in {**EMPTY, **words}.items():
        where = f"kept[{name!r}]" if isinstance(kept, Mapping) else "kept"
        its = [axis for axis in axes if mask.ndim == 2 or axis != "B"]
        shape = tuple(sizes.get(axis, 0) for axis in its)
        array = _checked(given.get(name), where, its, shape, mask, table(parameters).dtype)
        full[name] = array.reshape([sizes.get(axis, 0) for axis in axes])
    return [
        Masks(
            full["input"][: len(x), b] * full["embedding"][x, None],
            full["states"][: len(x), b],
            full["weights"] * full["recurrent"][b, :, None],
        )
        for b, x in enumerate(columns)
    ]


def no_masks(net: Net, parameters: Parameters, x: Ints) -> Masks:
    """The masks of a sentence x (T,) without dropout, ones."""
    return checked_masks(None, [x], np.ones(len(x), dtype=bool), net, parameters)[0]


def _checked(
    kept: Any, where: str, axes: list[str], shape: tuple[int, ...], mask: Bools, dtype: Any
) -> Floats:
    """The factors in the dtype; ones for None."""
    if kept is None:
        return np.ones(shape, dtype=dtype)
    kept = np.asarray(kept)
    if kept.shape != shape:
        words = f"({', '.join(axes)}{',' * (len(axes) == 1)})"
        raise ValueError(f"{where} has shape {kept.shape}: pass {words} = {shape}")
    if kept.dtype.kind not in "biuf":
        raise ValueError(f"{where} is {kept.dtype}: pass numbers, factors of what is read")
    factors: Floats = kept.astype(dtype)
    bad = ~np.isfinite(factors)
    if axes[0] == "T":  # in the padding anything may stand
        bad &= mask.reshape(mask.shape + (1,) * (factors.ndim - mask.ndim))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{where}{list(index)} is {factors[index]}: pass finite factors")
    return factors
