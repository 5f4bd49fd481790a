"""The flow of a PyTorch module: which network, on which inputs, for which loss."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, PathLike, Tokens
from theano_rnn.flow.followed import Network, is_real
from theano_rnn.interop import torch_state

#: The number of steps where no inputs are given, and the seed of what is drawn.
STEPS, SEED = 24, 0


class OfTorch(NamedTuple):
    """What ``Flow`` takes, and in words what the user did not give."""

    network: Network
    x: Any
    y: Any
    loss_gradient: Optional[Array]
    assumed: list[str]


def network_of(
    source: Union[PathLike, Mapping[str, Array]],
    cell: Optional[str] = None,
    names: torch_state.Names = None,
) -> Network:
    """The network of a file or of a state, as ``Flow.from_torch`` describes them."""
    read = torch_state.recurrence_from_torch
    if isinstance(source, Mapping):
        parameters, a = read(source, cell, names)
    else:
        parameters, a = torch_state.load(source, cell, names, read)
    return Network(a, parameters)


def of_torch(
    network: Network,
    inputs: Union[Tokens, Array, None] = None,
    targets: Optional[Tokens] = None,
    loss_gradient: Optional[Array] = None,
) -> OfTorch:
    """The network with one sequence of inputs and the loss, as ``Flow.from_torch`` has them."""
    a, outputs = network.architecture, len(network.arrays["V"])
    n = network.arrays["U"].shape[1]
    rng = np.random.default_rng(SEED)
    assumed: list[str] = []
    is_language_model = outputs == a.vocab_size
    if inputs is None:
        given = targets if loss_gradient is None else loss_gradient
        drawn = None if given is None else len(np.atleast_1d(given))
        T = STEPS if drawn is None else drawn
        if a.embedding_size is not None or is_language_model:
            inputs = rng.integers(a.vocab_size, size=T + (is_language_model and drawn is None))
            assumed.append(f"no inputs were given: they are {len(inputs)} random tokens")
        else:
            inputs = rng.normal(size=(T, n))
            assumed.append(f"no inputs were given: they are {T} random normal vectors of {n}")
    elif is_real(inputs):
        inputs = validation.real_sequence(inputs, "inputs", n)
    else:
        inputs = validation.token_ids(inputs, "inputs", a.vocab_size)
    if targets is None and loss_gradient is None:
        if is_language_model and not is_real(inputs):
            if len(inputs) < 2:
                raise RNNError(
                    "inputs has one token; pass two or more, of which each predicts the next"
                )
            assumed.append("no targets were given: each token predicts the next")
            return OfTorch(network, inputs[:-1], inputs[1:], None, assumed)
        loss_gradient = _directions(len(inputs), a.hidden_size, rng)
        assumed.append(
            "no loss was given: each dE_t/ds_t is a random direction of length 1, so that "
            "|dE_t/ds_k| is how much a typical direction of s_t depends on s_k"
        )
    return OfTorch(network, inputs, targets, loss_gradient, assumed)


def _directions(T: int, H: int, rng: np.random.Generator) -> Floats:
    """Random directions of length 1, (T, H)."""
    e = rng.normal(size=(T, H))
    unit: Floats = e / np.linalg.norm(e, axis=1, keepdims=True)
    return unit


def several_of_torch(
    network: Network, inputs: Any, targets: Any = None, loss_gradient: Any = None
) -> list[OfTorch]:
    """As ``of_torch``, of several sequences: ``Sample.from_torch`` describes them."""
    given = {"inputs": inputs, "targets": targets, "loss_gradient": loss_gradient}
    for name, sequences in given.items():
        if sequences is None and name != "inputs":
            continue
        if not hasattr(sequences, "__len__") or np.ndim(sequences[0] if len(sequences) else 0) < 1:
            raise RNNError(f"{name} must be a list or an array of sequences, one or more")
        if len(sequences) != len(inputs):
            raise RNNError(
                f"there are {len(inputs)} sequences of inputs and {len(sequences)} of {name}; "
                "pass one for each"
            )
    rows = zip(*([None] * len(inputs) if rows is None else rows for rows in given.values()))
    return [of_torch(network, *row) for row in rows]


def is_batch(inputs: Any, network: Network) -> bool:
    """Whether an array has several sequences: (N, T, n), or (N, T) ids for an embedding."""
    reads_ids = network.architecture.embedding_size is not None
    return inputs is not None and (
        inputs.ndim == 3 or (inputs.ndim == 2 and inputs.dtype.kind in "iu" and reads_ids)
    )
