"""What a flow follows: a network, what it reads, and the loss."""

import dataclasses
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Ints, Parameters
from theano_rnn.model.architecture import Architecture
from theano_rnn.rnn import RNN


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that need not be a language model.

    Attributes
    ----------
    architecture : Architecture
    arrays : dict
        The parameters by name. V (outputs, H) may have any number of outputs, also none; U is
        (G*H, inputs).
    """

    architecture: Architecture
    arrays: Parameters

    def parameters(self) -> Parameters:
        """The arrays."""
        return dict(self.arrays)


class Followed(NamedTuple):
    """A network on one sequence, checked.

    Real inputs are a table: its columns are x_1, ..., x_T, and step t looks up column t.
    """

    architecture: Architecture
    parameters: Parameters  # in float64
    x: Ints  # (T,) columns of the table
    y: Optional[Ints]  # (T,) targets; None with a loss gradient
    loss_gradient: Optional[Floats]  # (T, H) dE_t/ds_t
    reads_tokens: bool


def followed(
    model: Union[RNN, Network], x: Any, y: Any = None, loss_gradient: Optional[Array] = None
) -> Followed:
    """The network with its inputs and its loss.

    Parameters
    ----------
    model : RNN or Network
    x : (T,) token ids, or (T, n) real numbers
        A network with an embedding reads real numbers instead of its columns.
    y : (T,) integers, optional
        Which output is the target of each step: E_t = -log softmax(V s_t + c)[y_t].
    loss_gradient : (T, H) array, optional
        dE_t/ds_t of another loss, instead of ``y``.

    Raises
    ------
    RNNError
        For inputs of another shape or that are not finite, and unless exactly one of ``y`` and
        ``loss_gradient`` is given.
    """
    a = model.architecture
    parameters = {n: np.asarray(p, "float64") for n, p in model.parameters().items()}
    outputs = parameters[a.table].shape[1] if a.tied else len(parameters["V"])
    reads_tokens = not is_real(x)
    if reads_tokens:
        x = validation.token_ids(x, "x", a.vocab_size)
    else:
        inputs = validation.real_sequence(x, "x", parameters["U"].shape[1])
        if a.has_projection:
            parameters["V"] = parameters["L"].T @ parameters.pop("P")
        elif a.tied:
            parameters["V"] = parameters[a.table].T
        parameters["L"], x = inputs.T, np.arange(len(inputs))
        a = dataclasses.replace(
            a, vocab_size=len(inputs), embedding_size=inputs.shape[1], tied=False
        )
    if (y is None) == (loss_gradient is None):
        raise RNNError(
            "pass y, the targets of a softmax, or loss_gradient, dE_t/ds_t (T, H)"
            + ("" if y is None else ", not both")
        )
    if y is None:
        error = validation.real_sequence(loss_gradient, "loss_gradient", a.hidden_size, len(x))
        return Followed(a, parameters, x, None, error, reads_tokens)
    if outputs == 0:
        raise RNNError("this network has no decoder for the targets y; pass loss_gradient instead")
    y = validation.token_ids(y, "y", outputs)
    if len(x) != len(y):
        raise RNNError(f"x has {len(x)} steps and y has {len(y)}; pass one target for each step")
    return Followed(a, parameters, x, y, None, reads_tokens)


def is_real(x: Any) -> bool:
    """Whether inputs are real numbers, and not token ids.

    >>> is_real([1, 2]), is_real(np.ones((3, 2), int)), is_real([[0.5], [1]]), is_real([[1], []])
    (False, True, True, True)
    """
    try:
        array = np.asarray(x)
    except ValueError:  # rows of different lengths
        return True
    return array.ndim > 1 or array.dtype.kind == "f"
