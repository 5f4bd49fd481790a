"""The settings of a network, checked, and the shapes of its parameters."""

import math
from dataclasses import dataclass, field
from typing import Optional

from theano_rnn.common import fields, memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Parameters, Shapes
from theano_rnn.model.cells import CELLS

#: Theano does not manage to compile a graph of more layers.
MOST_LAYERS = 100


@dataclass(frozen=True)
class Architecture:
    """The settings of a network, except its truncation.

    Parameters
    ----------
    vocab_size : int
        Number of token ids.
    hidden_size : int
        H, the units of each layer.
    cell : str
        The recurrence: a name in ``theano_rnn.model.cells.CELLS``.
    layers : int
        The number of recurrences, each reading the states of the one below; at most 100.
    bias : bool
        Add b to the input of each layer, and c to the logits; if the cell has a recurrent bias,
        add a to the product with W too.
    tied : bool
        The output matrix V is the transpose of U, or of L with an embedding. That needs H rows: a
        cell of one gate, or an embedding of size H.
    embedding_size : int, optional
        D: tokens are looked up in L (D, vocab_size), and U multiplies that. Without it U
        (G*H, vocab_size) is looked up itself.
    dropout : float
        Share of the states that training hides from the layer above or from the output. The
        recurrence always sees all of them.

    Raises
    ------
    RNNError
        If a setting has a value that it cannot have, or two do not fit together.
    """

    vocab_size: int = field(metadata={"kind": fields.whole_number(1)})
    hidden_size: int = field(default=100, metadata={"kind": fields.whole_number(1)})
    cell: str = field(
        default="tanh",
        metadata={
            "kind": fields.one_of(CELLS, lambda name: fields.first_line(CELLS[name].equations))
        },
    )
    layers: int = field(default=1, metadata={"kind": fields.whole_number(1, MOST_LAYERS)})
    bias: bool = field(default=False, metadata={"kind": fields.SWITCH})
    tied: bool = field(default=False, metadata={"kind": fields.SWITCH})
    embedding_size: Optional[int] = field(
        default=None, metadata={"kind": fields.optional(fields.whole_number(1))}
    )
    dropout: float = field(default=0.0, metadata={"kind": fields.SHARE})

    def __post_init__(self) -> None:
        fields.check(self)
        self._check_tied()

    def _check_tied(self) -> None:
        rows, H = self.shapes[self.table][0], self.hidden_size
        if self.tied and rows != H:
            raise RNNError(
                f"tied needs V = {self.table}', but {self.table} has {rows} rows and V has {H} "
                f"columns; set embedding_size={H}, or tied=False"
            )

    def check_memory(self) -> None:
        """Raise if this machine's memory cannot hold the parameters in float64.

        Raises
        ------
        RNNError
            The message says how many parameters it holds.
        """
        numbers = sum(math.prod(shape) for shape in self.shapes.values())
        most = memory.total() // 16  # and once more, for the gradient
        if numbers > most:
            raise RNNError(
                f"this network has {numbers:,} parameters, and the memory of this machine holds "
                f"{most:,} at most; make hidden_size or another of its sizes smaller"
            )

    def check_parameters(self, values: object, dtype: str = "float64") -> Parameters:
        """Copies of parameters read from a file, in the order of ``shapes``.

        Check them before a network is made: the settings may ask for one larger than the file's.

        Parameters
        ----------
        values : dict of arrays
        dtype : str
            Of the copies.

        Returns
        -------
        dict of arrays

        Raises
        ------
        RNNError
            If one is missing, unknown, of another shape, or not finite in the dtype.
        """
        return validation.parameters(values, self.shapes, dtype)

    @property
    def table(self) -> str:
        """The matrix whose columns are looked up by tokens: "L", or "U" without an embedding."""
        return "U" if self.embedding_size is None else "L"

    @property
    def state_size(self) -> int:
        """Numbers in the state of one sequence: H for each part of each layer.

        Returns
        -------
        int
        """
        return self.layers * CELLS[self.cell].parts * self.hidden_size

    @property
    def shapes(self) -> Shapes:
        """Every parameter and its shape, in order.

        >>> Architecture(5, 4).shapes
        {'U': (4, 5), 'V': (5, 4), 'W': (4, 4)}
        >>> Architecture(5, 4, cell="lstm", layers=2, bias=True, embedding_size=3).shapes
        ... # doctest: +NORMALIZE_WHITESPACE
        {'L': (3, 5), 'U': (16, 3), 'V': (5, 4), 'W': (16, 4), 'b': (16,), 'c': (5,),
         'U2': (16, 4), 'W2': (16, 4), 'b2': (16,)}
        """
        H, vocab_size = self.hidden_size, self.vocab_size
        cell = CELLS[self.cell]
        GH = cell.G * H
        biases: Shapes = {"b": (GH,)} if self.bias else {}
        if self.bias and cell.has_recurrent_bias:
            biases["a"] = (H,)
        shapes: Shapes = {}
        if self.embedding_size is not None:
            shapes["L"] = (self.embedding_size, vocab_size)
        shapes["U"] = (GH, self.embedding_size or vocab_size)
        if not self.tied:
            shapes["V"] = (vocab_size, H)
        shapes["W"] = (GH, H)
        shapes.update(biases)
        if self.bias:
            shapes["c"] = (vocab_size,)
        for layer in range(2, self.layers + 1):
            shapes.update({f"U{layer}": (GH, H), f"W{layer}": (GH, H)})
            shapes.update({f"{name}{layer}": shape for name, shape in biases.items()})
        return shapes


def named(name: str, layer: int) -> str:
    """The name of a layer's U, W, b or a: "U" for layer 0, "U2" for layer 1."""
    return name if layer == 0 else f"{name}{layer + 1}"
