"""What the tensors of a PyTorch state say: which network they are of, and our parameters of it.

The names are those of ``torch_state``, which has the table of both layouts.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Ints
from theano_rnn.interop import torch_names
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS, TorchModule

Arrays = dict[str, Array]

EXPECTED = (
    "such a module has embedding.weight or no embedding, rnn.weight_ih_l0, rnn.weight_hh_l0, "
    "rnn.bias_ih_l0, rnn.bias_hh_l0 and so on for each layer, decoder.weight and decoder.bias"
)


def architecture_of(state: Arrays, cell: Optional[str]) -> Architecture:
    """The architecture of a state up to its decoder: not tied."""
    layers = _layers(state)
    for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l0"):
        if name not in state:
            raise _missing(name, state)
    _refuse_others(state, layers)
    GH, H = shape_of_matrix(state, "rnn.weight_hh_l0")
    cell = _cell(cell, GH, H)
    D: Optional[int] = None
    if "embedding.weight" in state:
        vocab_size, D = shape_of_matrix(state, "embedding.weight")
    else:
        vocab_size = shape_of_matrix(state, "rnn.weight_ih_l0")[1]
    bias = any("bias" in name for name in state)
    return Architecture(vocab_size, H, cell, layers, bias, False, D)


def _modules() -> dict[str, TorchModule]:
    """PyTorch's modules, by the names of our cells."""
    return {name: cell.torch for name, cell in CELLS.items() if cell.torch is not None}


def module_of(cell: str) -> TorchModule:
    """PyTorch's module of a cell; RNNError if it has none."""
    modules = _modules()
    if cell not in modules:
        known = ", ".join(f"{name} ({module.name})" for name, module in modules.items())
        raise RNNError(f"PyTorch has no module for the cell {cell}; it has those for {known}")
    return modules[cell]


def gate_order(cell: str) -> list[int]:
    """For each of PyTorch's gates the index of ours."""
    return [CELLS[cell].gates.index(gate) for gate in module_of(cell).gates]


def _layers(state: Arrays) -> int:
    """The number of layers, from the highest one in the names."""
    found = [re.fullmatch(r"rnn\.\w+_l([0-9]{1,4})", name) for name in state]
    return max((int(match[1]) for match in found if match), default=0) + 1


def _names(layers: int) -> list[str]:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    recurrent = [f"rnn.{kind}_l{l}" for l in range(layers) for kind in kinds]
    return ["embedding.weight", *recurrent, "decoder.weight", "decoder.bias"]


def _refuse_others(state: Arrays, layers: int) -> None:
    unknown = [name for name in state if name not in _names(layers)]
    if not unknown:
        return
    name, why = unknown[0], ""
    if "_reverse" in name:
        why = ": it is of a bidirectional module, and this network reads forwards only"
    elif "weight_hr" in name:
        why = ": it is of an nn.LSTM with proj_size, which this network does not have"
    raise RNNError(
        f"{json.dumps(name)} is unknown{why}; {EXPECTED}. If it is one of these under another "
        "name, pass names={'theirs': 'ours'}; to read a part of the file alone, names='its prefix'"
    )


def _missing(name: str, state: Arrays) -> RNNError:
    return RNNError(
        f"{name} is missing: {torch_names.holds(state)}. If it is there under another name, pass "
        f"names={{'theirs': {name.rpartition('.')[0]!r}}}; {EXPECTED}"
    )


def shape_of_matrix(state: Arrays, name: str) -> tuple[int, int]:
    shape = state[name].shape
    if len(shape) != 2 or 0 in shape:
        raise RNNError(f"{name} has shape {shape}; pass a matrix")
    return shape


def _cell(cell: Any, GH: int, H: int) -> str:
    """The cell if it has GH / H gates; for None the first cell of PyTorch's that has so many."""
    fitting = [name for name in _modules() if CELLS[name].G * H == GH]
    if not fitting:
        raise RNNError(
            f"rnn.weight_hh_l0 has shape {(GH, H)}; pass (H, H) for an nn.RNN, (3H, H) for an "
            "nn.GRU or (4H, H) for an nn.LSTM"
        )
    if cell is None:
        return fitting[0]
    name = validation.one_of(cell, "cell", CELLS)
    module = module_of(name).name
    if name not in fitting:
        raise RNNError(
            f"rnn.weight_hh_l0 has shape {(GH, H)}, but the cell {name} is an {module} with "
            f"G = {CELLS[name].G}; leave cell out, or give {' or '.join(fitting)}"
        )
    return name


def _complete(state: Arrays, a: Architecture, outputs: int, dtype: str) -> Arrays:
    """All tensors of the module, checked, with a decoder of so many outputs.

    Missing biases are 0, a missing decoder of the embedding's shape is the embedding.
    """
    GH, H = CELLS[a.cell].G * a.hidden_size, a.hidden_size
    shapes = {} if a.embedding_size is None else {"embedding.weight": a.shapes["L"][::-1]}
    for l in range(a.layers):
        shapes[f"rnn.weight_ih_l{l}"] = a.shapes[named("U", l)]
        shapes[f"rnn.weight_hh_l{l}"] = (GH, H)
        shapes.update({f"rnn.bias_{kind}_l{l}": (GH,) for kind in ("ih", "hh")})
    shapes.update({"decoder.weight": (outputs, H), "decoder.bias": (outputs,)})
    complete, has_biases = {}, any(name.startswith("rnn.bias_") for name in state)
    for name, shape in shapes.items():
        if has_biases and name.startswith("rnn.bias_") and name not in state:
            raise _missing(f"{name} {shape}", state)  # PyTorch has all or none
        if name in state:
            complete[name] = validation.finite_array(state[name], name, shape, dtype)
        elif "bias" in name or 0 in shape:
            complete[name] = np.zeros(shape, dtype)
        elif name == "decoder.weight" and a.embedding_size == H:
            complete[name] = complete["embedding.weight"]
        else:
            raise _missing(f"{name} {shape}", state)
    return complete


def parameters_of(state: Arrays, a: Architecture, outputs: int, dtype: str) -> Arrays:
    """Our parameters, V (outputs, H) included even if tied, and biases even if there are none."""
    state = _complete(state, a, outputs, dtype)
    order, H = np.argsort(gate_order(a.cell)), a.hidden_size
    values = {"V": state["decoder.weight"], "c": state["decoder.bias"]}
    if a.embedding_size is not None:
        values["L"] = np.ascontiguousarray(state["embedding.weight"].T)
    for l in range(a.layers):
        values[named("U", l)] = blocks(state[f"rnn.weight_ih_l{l}"], order)
        values[named("W", l)] = blocks(state[f"rnn.weight_hh_l{l}"], order)
        b, recurrent = state[f"rnn.bias_ih_l{l}"], state[f"rnn.bias_hh_l{l}"].copy()
        if CELLS[a.cell].has_recurrent_bias:  # the reset gate applies to the last block
            values[named("a", l)] = recurrent[2 * H :].copy()
            recurrent[2 * H :] = 0
        values[named("b", l)] = blocks(b + recurrent, order)
    return values


def blocks(array: Array, order: Union[Sequence[int], Ints]) -> Array:
    """The blocks of the gates, one below another, in another order."""
    gates = np.split(array, len(order))
    return np.concatenate([gates[gate] for gate in order])
