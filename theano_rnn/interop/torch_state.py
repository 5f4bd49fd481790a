"""Parameters with PyTorch's names and layout, the state of a module; and from it our parameters.

The module is that of ``theano_rnn.interop.torch_module``: an ``nn.Embedding`` if the network has
an embedding, one ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM`` with all layers, and an ``nn.Linear``.

======================  ==================  =====================================================
PyTorch                 shape               ours, of layer l = 0, 1, ...
======================  ==================  =====================================================
embedding.weight        (vocab_size, D)     L'
rnn.weight_ih_l{l}      (G*H, inputs)       U, U2, ...
rnn.weight_hh_l{l}      (G*H, H)            W, W2, ...
rnn.bias_ih_l{l}        (G*H,)              b, b2, ...
rnn.bias_hh_l{l}        (G*H,)              0; of nn.GRU in its last block a, a2, ...
decoder.weight          (vocab_size, H)     V; if tied L', or U'
decoder.bias            (vocab_size,)       c
======================  ==================  =====================================================

PyTorch adds two biases and we have one: reading adds both, and writing fills one. Its gates have
another order: r, z, n in nn.GRU and i, f, g, o in nn.LSTM, where ours are z, r, h and i, f, o, g.
nn.GRU is the cell "gru_after". PyTorch has no module for "gru", which resets before the product,
nor for "sigmoid".
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import safetensors.numpy

from theano_rnn.common import files, tensors, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Ints
from theano_rnn.interop import torch_names
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS, TorchModule

Arrays = dict[str, Array]
State = Mapping[str, Array]
#: As ``torch_names.renamed`` takes them.
Names = Union[str, Mapping[str, str], None]
#: (state, cell, names) -> parameters and architecture
Read = Callable[[State, Optional[str], Names], tuple[Arrays, Architecture]]


#: The settings of an architecture, other than the sizes, that a state determines.
READ = ("cell", "layers", "bias", "tied", "embedding_size")
EXPECTED = (
    "such a module has embedding.weight or no embedding, rnn.weight_ih_l0, rnn.weight_hh_l0, "
    "rnn.bias_ih_l0, rnn.bias_hh_l0 and so on for each layer, decoder.weight and decoder.bias"
)


def to_torch(parameters: State, architecture: Architecture) -> Arrays:
    """The state of the PyTorch module of a network.

    Parameters
    ----------
    parameters : dict
        As ``RNN.parameters`` returns them.
    architecture : Architecture

    Returns
    -------
    dict
        Arrays by PyTorch's names, in the dtype of the parameters, for ``load_state_dict``.

    Raises
    ------
    RNNError
        If PyTorch has no such cell, or the parameters are not those of the architecture.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> model = RNN(5, 2, cell="lstm", bias=True)
    >>> state = to_torch(model.parameters(), model.architecture)
    >>> [f"{name} {array.shape}" for name, array in state.items()]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['rnn.weight_ih_l0 (8, 5)', 'rnn.weight_hh_l0 (8, 2)', 'rnn.bias_ih_l0 (8,)',
     'rnn.bias_hh_l0 (8,)', 'decoder.weight (5, 2)', 'decoder.bias (5,)']
    >>> U, theirs = model.parameters()["U"], state["rnn.weight_ih_l0"]
    >>> bool((U[4:6] == theirs[6:]).all())  # o, our third gate and their last
    True
    """
    a = architecture
    order = _order(a.cell)
    values = validation.parameters(parameters, a.shapes, "float64")
    dtype = dtype_of(parameters)
    state = {} if a.embedding_size is None else {"embedding.weight": values["L"].T}
    for l in range(a.layers):
        state[f"rnn.weight_ih_l{l}"] = _blocks(values[named("U", l)], order)
        state[f"rnn.weight_hh_l{l}"] = _blocks(values[named("W", l)], order)
        if a.bias:
            b = _blocks(values[named("b", l)], order)
            state[f"rnn.bias_ih_l{l}"], state[f"rnn.bias_hh_l{l}"] = b, np.zeros_like(b)
        if a.bias and CELLS[a.cell].has_recurrent_bias:
            state[f"rnn.bias_hh_l{l}"][2 * a.hidden_size :] = values[named("a", l)]
    state["decoder.weight"] = values[a.table].T if a.tied else values["V"]
    if a.bias:
        state["decoder.bias"] = values["c"]
    return {name: array.astype(dtype, order="C") for name, array in state.items()}


def from_torch(
    state: State, cell: Optional[str] = None, names: Names = None
) -> tuple[Arrays, Architecture]:
    """The parameters and the architecture of the network with the state of a PyTorch module.

    Parameters
    ----------
    state : dict
        Arrays by PyTorch's names.
    cell : str, optional
        Needed only for an nn.RNN with the nonlinearity "relu", which the shapes do not tell from
        the default "tanh". An nn.GRU is "gru_after", an nn.LSTM "lstm".
    names : dict or str, optional
        Other names in the state, whole or up to a dot, with those above, as in
        ``{"fc": "decoder"}``; or the prefix of the names to read, as in ``"net.lm"``.
        ``torch_names`` has those that are known without it.

    Returns
    -------
    parameters : dict
        In the order of ``architecture.shapes``, in the dtype of the state.
    architecture : Architecture
        Tied if the decoder has no weight of its own, or if its weight equals the embedding's or,
        without an embedding, the transpose of the first layer's. With biases if the state has
        any; missing ones are 0.

    Raises
    ------
    RNNError
        If it is the state of another module; the message names the tensor.
    """
    with _renamed(state, names) as ours:
        a = _recurrence(ours, cell)
        values = _ours(_complete(ours, a, a.vocab_size), a)
    architecture = replace(a, tied=np.array_equal(values["V"], values[a.table].T))
    return {name: values[name] for name in architecture.shapes}, architecture


def recurrence_from_torch(
    state: State, cell: Optional[str] = None, names: Names = None
) -> tuple[Arrays, Architecture]:
    """The parameters of any nn.RNN, nn.GRU or nn.LSTM, with what is there before and after it.

    Parameters
    ----------
    state, cell, names
        As for ``from_torch``.

    Returns
    -------
    parameters : dict
        By our names. V has as many rows as the decoder has outputs, and none without a decoder.
        Without an embedding U takes what the module takes: (G*H, inputs).
    architecture : Architecture
        Not tied; its ``vocab_size`` is the size of the embedding, or the number of inputs.

    Raises
    ------
    RNNError
        If it is the state of another module; the message names the tensor.
    """
    with _renamed(state, names) as ours:
        a = _recurrence(ours, cell)
        outputs = len(ours["decoder.weight"]) if "decoder.weight" in ours else 0
        values = _ours(_complete(ours, a, outputs), a)
        return {name: values[name] for name in a.shapes}, a


@contextlib.contextmanager
def _renamed(state: State, names: Names) -> Iterator[Arrays]:
    """The state by the usual names; an error within tells what was renamed."""
    if not isinstance(state, Mapping):
        raise RNNError(f"the state is a {type(state).__name__}; pass a dict of arrays by name")
    theirs = {str(name): np.asarray(array) for name, array in state.items()}
    ours, said = torch_names.renamed(theirs, names)
    try:
        yield ours
    except RNNError as error:
        raise RNNError(f"{error}{said and f' ({said})'}") from None


def _recurrence(state: Arrays, cell: Optional[str]) -> Architecture:
    """The architecture of a state up to its decoder: not tied."""
    layers = _layers(state)
    for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l0"):
        if name not in state:
            raise _missing(name, state)
    _refuse_others(state, layers)
    GH, H = _shape_of_matrix(state, "rnn.weight_hh_l0")
    cell = _cell(cell, GH, H)
    D: Optional[int] = None
    if "embedding.weight" in state:
        vocab_size, D = _shape_of_matrix(state, "embedding.weight")
    else:
        vocab_size = _shape_of_matrix(state, "rnn.weight_ih_l0")[1]
    bias = any("bias" in name for name in state)
    return Architecture(vocab_size, H, cell, layers, bias, False, D)


def save(path: Union[str, Path], parameters: State, architecture: Architecture) -> None:
    """Write the state of the PyTorch module as a safetensors file, with the cell in its metadata.

    Parameters
    ----------
    path : str or Path
    parameters : dict
        As ``RNN.parameters`` returns them.
    architecture : Architecture

    Raises
    ------
    RNNError
        If PyTorch has no such cell, the parameters are not those of the architecture, or the file
        cannot be written.
    """
    metadata = {"cell": architecture.cell, "module": _module(architecture.cell).name}
    data = safetensors.numpy.save(to_torch(parameters, architecture), metadata=metadata)
    with files.writing(path):
        Path(path).write_bytes(data)


def load(
    path: Union[str, Path],
    cell: Optional[str] = None,
    names: Names = None,
    read: Read = from_torch,
) -> tuple[Arrays, Architecture]:
    """The parameters and the architecture of a safetensors file with the state of a module.

    Parameters
    ----------
    path : str or Path
    cell : str, optional
        As for ``from_torch``; by default the one that ``save`` wrote into the file.
    names : dict or str, optional
        As for ``from_torch``.
    read : function
        ``from_torch``, for a language model, or ``recurrence_from_torch``.

    Returns
    -------
    parameters : dict
    architecture : Architecture

    Raises
    ------
    RNNError
        If the file is missing, damaged, or of another module.
    """
    try:
        state, metadata = tensors.read(path)
    except OSError as error:
        raise RNNError(f"{path}: {files.reason(error)}") from None
    except tensors.DAMAGED as error:
        raise RNNError(
            f"{path} is not a safetensors file of float32 or float64 arrays: {error}; write it "
            "with safetensors.torch.save_model"
        ) from None
    # If two names share a tensor, safetensors.torch.save_model writes it under one of them, and
    # notes the other name in the metadata.
    state.update({n: state[kept] for n, kept in metadata.items() if kept in state})
    try:
        return read(state, metadata.get("cell") if cell is None else cell, names)
    except RNNError as error:
        raise RNNError(f"{path}: {error}") from None


def dtype_of(arrays: State) -> str:
    """The dtype for the arrays: "float64" if float32 would lose digits, else "float32"."""
    dtypes = [np.asarray(value).dtype for value in arrays.values()]
    return "float32" if all(np.can_cast(dtype, "float32") for dtype in dtypes) else "float64"


# ---- what the state says


def _modules() -> dict[str, TorchModule]:
    """PyTorch's modules, by the names of our cells."""
    return {name: cell.torch for name, cell in CELLS.items() if cell.torch is not None}


def _module(cell: str) -> TorchModule:
    modules = _modules()
    if cell not in modules:
        known = ", ".join(f"{name} ({module.name})" for name, module in modules.items())
        raise RNNError(f"PyTorch has no module for the cell {cell}; it has those for {known}")
    return modules[cell]


def _order(cell: str) -> list[int]:
    """For each of PyTorch's gates the index of ours."""
    return [CELLS[cell].gates.index(gate) for gate in _module(cell).gates]


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


def _shape_of_matrix(state: Arrays, name: str) -> tuple[int, int]:
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
    module = _module(name).name
    if name not in fitting:
        raise RNNError(
            f"rnn.weight_hh_l0 has shape {(GH, H)}, but the cell {name} is an {module} with "
            f"G = {CELLS[name].G}; leave cell out, or give {' or '.join(fitting)}"
        )
    return name


def _complete(state: Arrays, a: Architecture, outputs: int) -> Arrays:
    """All tensors of the module, checked, with a decoder of so many outputs.

    Missing biases are 0, a missing decoder of the embedding's shape is the embedding.
    """
    GH, H, dtype = CELLS[a.cell].G * a.hidden_size, a.hidden_size, dtype_of(state)
    shapes = {} if a.embedding_size is None else {"embedding.weight": a.shapes["L"][::-1]}
    for l in range(a.layers):
        shapes[f"rnn.weight_ih_l{l}"] = a.shapes[named("U", l)]
        shapes[f"rnn.weight_hh_l{l}"] = (GH, H)
        shapes.update({f"rnn.bias_{kind}_l{l}": (GH,) for kind in ("ih", "hh")})
    shapes.update({"decoder.weight": (outputs, H), "decoder.bias": (outputs,)})
    complete = {}
    for name, shape in shapes.items():
        if name in state:
            complete[name] = validation.finite_array(state[name], name, shape, dtype)
        elif "bias" in name or 0 in shape:
            complete[name] = np.zeros(shape, dtype)
        elif name == "decoder.weight" and a.embedding_size == H:
            complete[name] = complete["embedding.weight"]
        else:
            raise _missing(f"{name} {shape}", state)
    return complete


def _ours(state: Arrays, a: Architecture) -> Arrays:
    """Our parameters, V included even if tied."""
    order, H = np.argsort(_order(a.cell)), a.hidden_size
    values = {"V": state["decoder.weight"], "c": state["decoder.bias"]}
    if a.embedding_size is not None:
        values["L"] = np.ascontiguousarray(state["embedding.weight"].T)
    for l in range(a.layers):
        values[named("U", l)] = _blocks(state[f"rnn.weight_ih_l{l}"], order)
        values[named("W", l)] = _blocks(state[f"rnn.weight_hh_l{l}"], order)
        b, recurrent = state[f"rnn.bias_ih_l{l}"], state[f"rnn.bias_hh_l{l}"].copy()
        if CELLS[a.cell].has_recurrent_bias:  # the reset gate applies to the last block
            values[named("a", l)] = recurrent[2 * H :].copy()
            recurrent[2 * H :] = 0
        values[named("b", l)] = _blocks(b + recurrent, order)
    return values


def _blocks(array: Array, order: Union[Sequence[int], Ints]) -> Array:
    """The blocks of the gates, one below another, in another order."""
    gates = np.split(array, len(order))
    return np.concatenate([gates[gate] for gate in order])
