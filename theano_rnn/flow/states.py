"""The forward pass: the states and gates of a network on a text, and how saturated they are."""

import dataclasses
import functools
from typing import Any, Optional, Union

import numpy as np

from theano_rnn.common import memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Tokens
from theano_rnn.flow.followed import Network, followed
from theano_rnn.flow.graphs import functions_of
from theano_rnn.model.architecture import named
from theano_rnn.model.cells import CELLS, Cell
from theano_rnn.rnn import RNN

#: A gate below the first number counts as closed, above the second as open.
CLOSED, OPEN = 0.1, 0.9

#: What `States.saturation` returns.
Saturation = dict[str, Any]


class States:
    """The states of a model on one sequence, and how saturated they are; see ``Flow``."""

    def __init__(
        self,
        model: Union[RNN, Network],
        x: Union[Tokens, Array],
        y: Optional[Tokens] = None,
        state: Optional[Array] = None,
        loss_gradient: Optional[Array] = None,
    ) -> None:
        (
            self.architecture, self.parameters, self.x, self.y, loss_gradient, self.reads_tokens
        ) = followed(model, x, y, loss_gradient)  # fmt: skip
        #: Whether it is a module of PyTorch, or another network that is no language model of ours.
        self.is_module = isinstance(model, Network)
        self.T, self.H = len(self.x), self.architecture.hidden_size
        self.S = self.architecture.state_size
        # No graph depends on the size of the vocabulary.
        self.functions = functions_of(dataclasses.replace(self.architecture, vocab_size=1))
        self.stored = self.functions.stored(self.parameters)
        start = np.zeros(self.S) if state is None else state
        start = validation.finite_array(start, "state", (self.S,), "float64")
        self.states = self.functions.states(self.stored, self.x, start)  # (T+1, S)
        cell = CELLS[self.architecture.cell]
        top = self.S - cell.parts * self.H
        #: The columns of a state from which the output is predicted: s of the last layer.
        self.top = slice(top, top + self.H)
        with np.errstate(all="ignore"):
            if loss_gradient is None:
                of_softmax = self.functions.own_errors(self.stored, self.states[1:], self.y)
                self.losses, self.own = of_softmax
            else:  # E_t = dE_t/ds_t s_t, the linear loss of this gradient
                self.own = loss_gradient
                self.losses = (loss_gradient * self.states[1:, self.top]).sum(axis=1)
        if not np.isfinite(self.losses).all() or not np.isfinite(self.states).all():
            raise RNNError(
                "the states of this network overflow on this text, so there is no gradient to "
                "follow; look at a shorter text, or at an earlier checkpoint"
            )

    @property
    def recurrent(self) -> list[str]:
        """The names of all W: "W", and "W2", ...; of all U for a cell without W."""
        name = CELLS[self.architecture.cell].matrix
        return [named(name, layer) for layer in range(self.architecture.layers)]

    def hidden(self) -> Floats:
        """s_t of each layer, (layers, T, H)."""
        parts = CELLS[self.architecture.cell].parts
        h = self.states[1:].reshape(self.T, self.architecture.layers, parts, self.H)
        s: Floats = h[:, :, 0].transpose(1, 0, 2)
        return s

    @functools.cached_property
    def gates(self) -> dict[str, Floats]:
        """The gates by name, each (layers, T, H); empty for a cell without gates."""
        gates: dict[str, Floats] = self.functions.gates(self.stored, self.x, self.states[:-1])
        return gates

    def saturation(self) -> Saturation:
        """The shares of states and gates where the derivatives are almost 0.

        Returns
        -------
        dict
            A measure that does not apply to the cell is None.

            - ``saturated``: share of s near the ends of the activation (|s| > 0.9 for tanh);
            - ``dead``: share of units that are 0 at every step, of a plain cell whose activation
              has no ends (relu);
            - ``derivative``: mean phi'(z) of a plain cell;
            - ``gates``: {name: [share below 0.1, share above 0.9]}.
        """
        return saturation_of(CELLS[self.architecture.cell], self.hidden(), self.gates)


def saturation_of(cell: Cell, s: Floats, gates: dict[str, Floats]) -> Saturation:
    """``States.saturation``, of the states s of each layer, (layers, T, H), and the gates."""
    ends = cell.activation.ends
    return {
        "saturated": float(((s < ends[0]) | (s > ends[1])).mean()) if ends else None,
        "derivative": float(cell.activation.slope(s).mean()) if cell.is_plain else None,
        "dead": None if ends or not cell.is_plain else float((s == 0).all(axis=1).mean()),
        "gates": {
            name: [float((gate < CLOSED).mean()), float((gate > OPEN).mean())]
            for name, gate in gates.items()
        },
    }


def check_memory(what: str, steps: int, unit: int, power: int) -> None:
    """Raise RNNError if unit * steps^power bytes are more than half of the memory."""
    needed, there = unit * steps**power, memory.total()
    if needed > there // 2:
        longest = int((there / 2 / unit) ** (1 / power))
        raise RNNError(
            f"{what} need {needed / 1e9:,.1f} GB, and this process may have {there / 1e9:,.1f}; "
            f"a text of at most {longest:,} tokens can be taken"
        )
