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
decoder.weight          (vocab_size, H)     V; if tied L', or U', or L' P
decoder.bias            (vocab_size,)       c
======================  ==================  =====================================================

PyTorch adds two biases and we have one: reading adds both, and writing fills one. Its gates have
another order: r, z, n in nn.GRU and i, f, g, o in nn.LSTM, where ours are z, r, h and i, f, o, g.
nn.GRU is the cell "gru_after". The module has no projection P: its decoder gets the product L' P,
the same network, but no longer tied. PyTorch has no module for "gru", which resets before the
product, nor for "sigmoid" and "mingru".
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional, Union

import numpy as np
import safetensors.numpy

from theano_rnn.common import files, tensors, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array
from theano_rnn.interop import torch_names, torch_tensors
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS

Arrays = dict[str, Array]
State = Mapping[str, Array]
#: As ``torch_names.renamed`` takes them.
Names = Union[str, Mapping[str, str], None]
#: (state, cell, names) -> parameters and architecture
Read = Callable[[State, Optional[str], Names], tuple[Arrays, Architecture]]


#: The settings of an architecture, other than the sizes, that a state determines.
READ = ("cell", "layers", "bias", "tied", "embedding_size")


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
    order = torch_tensors.gate_order(a.cell)
    values = validation.parameters(parameters, a.shapes, "float64")
    dtype = dtype_of(parameters)
    state = {} if a.embedding_size is None else {"embedding.weight": values["L"].T}
    for l in range(a.layers):
        state[f"rnn.weight_ih_l{l}"] = torch_tensors.blocks(values[named("U", l)], order)
        state[f"rnn.weight_hh_l{l}"] = torch_tensors.blocks(values[named("W", l)], order)
        if a.bias:
            b = torch_tensors.blocks(values[named("b", l)], order)
            state[f"rnn.bias_ih_l{l}"], state[f"rnn.bias_hh_l{l}"] = b, np.zeros_like(b)
        if a.bias and CELLS[a.cell].has_recurrent_bias:
            state[f"rnn.bias_hh_l{l}"][2 * a.hidden_size :] = values[named("a", l)]
    V = values[a.table].T if a.tied else values["V"]
    state["decoder.weight"] = V @ values["P"] if a.has_projection else V
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
        a = torch_tensors.architecture_of(ours, cell)
        values = torch_tensors.parameters_of(ours, a, a.vocab_size, dtype_of(ours))
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
        a = torch_tensors.architecture_of(ours, cell)
        head = "decoder.weight"
        outputs = torch_tensors.shape_of_matrix(ours, head)[0] if head in ours else 0
        values = torch_tensors.parameters_of(ours, a, outputs, dtype_of(ours))
        return {name: values[name] for name in a.shapes}, a


def _array(value: object, name: str) -> Array:
    """A tensor as an array; PyTorch refuses those that have a gradient or are on a GPU."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise RNNError(f"{name} cannot be read as an array: {error}") from None


@contextlib.contextmanager
def _renamed(state: State, names: Names) -> Iterator[Arrays]:
    """The state by the usual names; an error within tells what was renamed."""
    if not isinstance(state, Mapping):
        raise RNNError(f"the state is a {type(state).__name__}; pass a dict of arrays by name")
    theirs = {str(name): _array(array, str(name)) for name, array in state.items()}
    ours, said = torch_names.renamed(theirs, names)
    try:
        yield ours
    except RNNError as error:
        raise RNNError(f"{error}{said and f' ({said})'}") from None


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
    metadata = {
        "cell": architecture.cell,
        "module": torch_tensors.module_of(architecture.cell).name,
    }
    data = safetensors.numpy.save(to_torch(parameters, architecture), metadata=metadata)
    with files.writing(path):
        files.replace(Path(path), data)


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
