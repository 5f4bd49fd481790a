"""Dropout: which masks a network has, their shapes, and how they are drawn.

A mask holds factors, 0 with probability p and 1 / (1 - p) elsewhere: on average nothing changes,
so a network that is used after training has none. The kinds, by the setting with their p:

    states      dropout            s_t of a layer, as the layer above reads it
                dropout_output     s_t of the uppermost layer, as the output reads it
    input       dropout_input      x_t = L[:, token], as the first layer reads it
    embedding   dropout_embedding  all of a token's column of the table, where it is looked up
    recurrent   dropout_recurrent  s_{t-1}, as W reads it; what a gate carries over stays whole
    weights     weight_drop        each element of W (DropConnect)

The masks of the states and of the input are drawn anew at each step or, if ``variational``, once
for each sequence or chunk. Those of the recurrence always are: with a new one at each step little
would be left of a state after a few (Gal and Ghahramani 2016). Those of the table and of W are the
same for all sequences of a batch.

References
----------
Zaremba, Sutskever, Vinyals, Recurrent neural network regularization (2014): the states. Gal,
Ghahramani, A theoretically grounded application of dropout in recurrent neural networks (2016):
one mask in all steps, and the embedding. Merity, Keskar, Socher, Regularizing and optimizing LSTM
language models (2017): the weights. Their W too is scaled in training, not afterwards.
"""

import functools
import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.batch_inputs import BatchInputs
from theano_rnn.model.cells import CELLS
from theano_rnn.model.later import tensor

#: Masks as a caller gives them: by kind, or those of the states alone.
Kept = Union[Array, Mapping[str, Array]]


class Masks(NamedTuple):
    """The masks of B sequences, as expressions or as arrays; None where nothing is dropped.

    T is 1 where a mask is the same at every step.
    """

    states: Any = None  # (layers, T, B, H)
    input: Any = None  # (1, T, B, D)
    embedding: Any = None  # (vocab_size,)
    recurrent: Any = None  # (layers, 1, B, H)
    weights: Any = None  # (layers, G*H, H)

    def given(self) -> list[Any]:
        """Those that are not None, in order."""
        return [mask for mask in self if mask is not None]

    def kinds(self) -> tuple[str, ...]:
        """The names of those that are not None."""
        return tuple(name for name, mask in zip(self._fields, self) if mask is not None)

    def of_steps(self, steps: slice) -> "Masks":
        """The masks of some of the steps, of arrays."""
        each = {n: m for n, m in self._asdict().items() if n in ("states", "input")}
        own = {n: m[:, steps] for n, m in each.items() if m is not None and m.shape[1] > 1}
        return self._replace(**own)


#: Nothing is dropped.
NO_MASKS = Masks()


@functools.lru_cache(maxsize=64)  # each step asks
def kinds(architecture: Architecture) -> tuple[str, ...]:
    """The masks that a training step of a network draws, in the order of ``Masks``."""
    return tuple(name for name, rate in _rates(architecture).items() if np.any(rate))


def symbols(names: Collection[str], dtype: str, variational: bool = False) -> Masks:
    """Symbolic masks.

    Parameters
    ----------
    names : collection of str
        Fields of ``Masks``.
    dtype : str
    variational : bool
        Whether those of the states and of the input are the same at every step.
    """
    same_at_each_step = {
        "states": [False, variational, False, False],
        "input": [False, variational, False, False],
        "embedding": [False],
        "recurrent": [False, True, False, False],
        "weights": [False] * 3,
    }
    return Masks(
        **{n: tensor.TensorType(dtype, same_at_each_step[n])(f"mask_of_{n}") for n in names}
    )


def draw(
    architecture: Architecture, shape: tuple[int, ...], random: np.random.Generator, dtype: str
) -> Masks:
    """The masks of one training step.

    Parameters
    ----------
    architecture : Architecture
    shape : tuple
        (T, B), that of the tokens.
    random : numpy.random.Generator
    dtype : str
    """
    names = kinds(architecture)
    if not names:
        return NO_MASKS
    T, B = shape
    a, rates = architecture, _rates(architecture)
    shapes = _shapes(a, 1 if a.variational else T, B)
    masks: dict[str, Floats] = {}
    for name in names:
        if name == "states":  # drawn as ever, so that old runs go on with the same bits
            p = np.minimum(rates[name], 1 - 2**-16).reshape(-1, 1, 1, 1)  # below 1 in float32
            is_kept = random.random(shapes[name], np.float32) >= p.astype(np.float32)
            masks[name] = np.multiply(is_kept, (1 / (1 - p)).astype(dtype), dtype=dtype)
        else:
            masks[name] = _factors(rates[name], shapes[name], random, dtype)
    return Masks(**masks)


def _factors(p: float, shape: tuple[int, ...], random: np.random.Generator, dtype: str) -> Floats:
    """0 with probability p, to 1 in 2^16, and elsewhere what keeps the mean: 16 bits a draw."""
    size, below = math.prod(shape), min(round(p * 2**16), 2**16 - 1)
    bits = random.integers(2**64, size=-(-size // 4), dtype=np.uint64).view(np.uint16)[:size]
    factor = np.asarray(2**16 / (2**16 - below), dtype)
    factors: Floats = np.multiply(bits >= below, factor, dtype=dtype).reshape(shape)
    return factors


def checked(
    architecture: Architecture, kept: Kept, batch: BatchInputs, is_single: bool, dtype: str
) -> Masks:
    """The masks that a caller gives, arranged as the graph takes them.

    Parameters
    ----------
    architecture : Architecture
    kept : array or dict
        As ``RNN.bptt`` takes it.
    batch : BatchInputs
        The tokens they belong to.
    is_single : bool
        Whether it is one sequence, whose masks have no B.
    dtype : str

    Raises
    ------
    RNNError
        If a mask is unknown, of another shape, or not finite.
    """
    given = kept if isinstance(kept, Mapping) else {"states": kept}
    T, B = batch.x.shape
    shapes, masks = _shapes(architecture, T, B), {}
    for name, mask in given.items():
        if name not in shapes:
            raise RNNError(
                f"kept has {validation.shown(name)}; this network has masks {', '.join(shapes)}"
            )
        where = f"kept[{name!r}]" if isinstance(kept, Mapping) else "kept"
        shape = shapes[name]
        if len(shape) < 4:
            masks[name] = validation.finite_array(mask, where, shape, dtype)
            continue
        layers, steps, _, n = shape  # given with the layers before n; without those of size 1
        outer = [*[T] * (name != "recurrent"), *[B] * (not is_single)]
        inner = [n] if name == "input" else [layers, n]
        array = validation.finite_array(mask, where, (*outer, *inner), dtype)
        array = array.reshape(steps, B, layers, n).transpose(2, 0, 1, 3)
        array = array if name == "recurrent" else batch.arranged(array)
        masks[name] = np.ascontiguousarray(array)
    return Masks(**masks)


def _rates(a: Architecture) -> dict[str, Any]:
    """p of each kind; of the states that of each layer."""
    output = a.dropout if a.dropout_output is None else a.dropout_output
    return {
        "states": np.array([a.dropout] * (a.layers - 1) + [output]),
        "input": a.dropout_input,
        "embedding": a.dropout_embedding,
        "recurrent": a.dropout_recurrent,
        "weights": a.weight_drop,
    }


def _shapes(a: Architecture, T: int, B: int) -> dict[str, tuple[int, ...]]:
    """The shape of each mask that a network can have."""
    H, cell = a.hidden_size, CELLS[a.cell]
    shapes: dict[str, tuple[int, ...]] = {"states": (a.layers, T, B, H)}
    if a.embedding_size is not None:
        shapes["input"] = (1, T, B, a.embedding_size)
    shapes["embedding"] = (a.vocab_size,)
    if cell.has_W:
        shapes["recurrent"] = (a.layers, 1, B, H)
        shapes["weights"] = (a.layers, cell.G * H, H)
    return shapes
