"""The settings of a network, checked, and the shapes of its parameters."""

import math
from dataclasses import dataclass, field
from typing import Optional

from theano_rnn.common import fields, memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Parameters, Shapes
from theano_rnn.model.cells import CELLS

#: The settings of dropout, at which there is none. Only training reads them.
NO_DROPOUT = {
    "dropout": 0.0, "variational": False, "dropout_input": 0.0, "dropout_output": None,
    "dropout_recurrent": 0.0, "dropout_embedding": 0.0, "weight_drop": 0.0,
}  # fmt: skip
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
        The output matrix V is the transpose of U, or of L with an embedding. U needs H rows, so a
        cell of one gate. An L of D rows, D not H, gets a projection P (D, H): V = L' P (Melis,
        Dyer, Blunsom, On the state of the art of evaluation in neural language models, 2017).
    embedding_size : int, optional
        D: tokens are looked up in L (D, vocab_size), and U multiplies that. Without it U
        (G*H, vocab_size) is looked up itself.
    dropout : float
        Share of the states that training hides from the layer above or from the output;
        ``theano_rnn.model.dropout`` has the kinds of dropout.
    variational : bool
        Hide the same states, and the same of the input, at all steps of a sequence or chunk.
    dropout_input, dropout_recurrent, dropout_embedding, weight_drop : float
        Share of the embedded input, of s_{t-1} as W reads it, of the tokens' columns in the table,
        of the elements of W.
    dropout_output : float, optional
        Of the states that the output reads; by default ``dropout``.

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
    variational: bool = field(default=False, metadata={"kind": fields.SWITCH})
    dropout_input: float = field(default=0.0, metadata={"kind": fields.SHARE})
    dropout_output: Optional[float] = field(
        default=None, metadata={"kind": fields.optional(fields.SHARE)}
    )
    dropout_recurrent: float = field(default=0.0, metadata={"kind": fields.SHARE})
    dropout_embedding: float = field(default=0.0, metadata={"kind": fields.SHARE})
    weight_drop: float = field(default=0.0, metadata={"kind": fields.SHARE})

    def __post_init__(self) -> None:
        fields.check(self)
        self._check_tied()
        self._check_dropout()

    def _check_tied(self) -> None:
        rows, H = self.shapes["U"][0], self.hidden_size
        if self.tied and self.embedding_size is None and rows != H:
            raise RNNError(
                f"tied needs V = U', but U has {rows} rows and V has {H} columns; set "
                f"embedding_size={H}, or tied=False"
            )

    def _check_dropout(self) -> None:
        if self.variational and not (self.dropout or self.dropout_output or self.dropout_input):
            raise RNNError(
                "variational has no effect without dropout of states or inputs; set dropout, "
                "dropout_output or dropout_input, or variational=False"
            )
        if self.dropout and self.dropout_output is not None and self.layers == 1:
            raise RNNError(
                "dropout_output replaces dropout before the output, and one layer has no other "
                "place for dropout; set dropout=0, or more layers"
            )
        if self.dropout_input and self.embedding_size is None:
            raise RNNError(
                "dropout_input hides parts of the embedded input, and this network has no "
                "embedding; set embedding_size, or dropout_input=0"
            )
        for name in ("dropout_recurrent", "weight_drop"):
            if getattr(self, name) and not CELLS[self.cell].has_W:
                raise RNNError(
                    f"{name} needs a matrix W, and the cell {self.cell} has none; set it to 0, or "
                    "use another cell"
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
    def has_projection(self) -> bool:
        """Whether V is L' P, as a tied L has another number of rows than V has columns."""
        return self.tied and self.embedding_size not in (None, self.hidden_size)

    @property
    def of_steps(self) -> list[str]:
        """The names of the parameters that the steps use; V, P and c only predict."""
        return [name for name in self.shapes if name not in ("V", "P", "c")]

    @property
    def of_output(self) -> list[str]:
        """The names of the parameters that predict: V and c, and of a tied V its table and P."""
        tied = [self.table] if self.tied else []
        return tied + [name for name in self.shapes if name in ("V", "P", "c")]

    @property
    def state_size(self) -> int:
        """Numbers in the state of one sequence: H for each part of each layer."""
        return self.layers * CELLS[self.cell].parts * self.hidden_size

    @property
    def shapes(self) -> Shapes:
        """Every parameter and its shape, in order; W where the cell has it.

        >>> Architecture(5, 4).shapes
        {'U': (4, 5), 'V': (5, 4), 'W': (4, 4)}
        >>> Architecture(5, 4, cell="lstm", layers=2, bias=True, embedding_size=3).shapes
        ... # doctest: +NORMALIZE_WHITESPACE
        {'L': (3, 5), 'U': (16, 3), 'V': (5, 4), 'W': (16, 4), 'b': (16,), 'c': (5,),
         'U2': (16, 4), 'W2': (16, 4), 'b2': (16,)}
        >>> Architecture(5, 4, tied=True, embedding_size=3).shapes
        {'L': (3, 5), 'U': (4, 3), 'P': (3, 4), 'W': (4, 4)}
        """
        H, vocab_size = self.hidden_size, self.vocab_size
        cell = CELLS[self.cell]
        GH = cell.G * H
        of_layer: Shapes = {"W": (GH, H)} if cell.has_W else {}
        if self.bias:
            of_layer["b"] = (GH,)
        if self.bias and cell.has_recurrent_bias:
            of_layer["a"] = (H,)
        shapes: Shapes = {}
        if self.embedding_size is not None:
            shapes["L"] = (self.embedding_size, vocab_size)
        shapes["U"] = (GH, self.embedding_size or vocab_size)
        if not self.tied:
            shapes["V"] = (vocab_size, H)
        elif self.has_projection and self.embedding_size is not None:
            shapes["P"] = (self.embedding_size, H)
        shapes.update(of_layer)
        if self.bias:
            shapes["c"] = (vocab_size,)
        for layer in range(2, self.layers + 1):
            shapes[f"U{layer}"] = (GH, H)
            shapes.update({f"{name}{layer}": shape for name, shape in of_layer.items()})
        return shapes


def named(name: str, layer: int) -> str:
    """The name of a layer's U, W, b or a: "U" for layer 0, "U2" for layer 1."""
    return name if layer == 0 else f"{name}{layer + 1}"
