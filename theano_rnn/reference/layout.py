"""Which parameters a network has: their names, their order and their shapes."""

from __future__ import annotations

from typing import NamedTuple

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.types import Floats, Parameters


class Net(NamedTuple):
    """The settings that fix the parameters of a network."""

    cell: str  # the recurrence, by name
    layers: int
    bias: bool
    tied: bool  # V is the transpose of L or U
    embedding: bool  # the first layer reads columns of a table L instead of one-hot vectors
    projection: bool = False  # V is L' P, so that a tied L may have any number of rows


def named(name: str, l: int) -> str:
    """U, W, b or a of layer l, counted from 0: ``"U"`` of the first, ``"U2"`` of the second."""
    return name if l == 0 else f"{name}{l + 1}"


def shapes(net: Net) -> dict[str, tuple[str, ...]]:
    """Every parameter in order, with its shape in words: the tutorial's three come first.

    >>> shapes(Net("tanh", layers=1, bias=False, tied=False, embedding=False))
    {'U': ('H', 'vocab_size'), 'V': ('vocab_size', 'H'), 'W': ('H', 'H')}
    >>> list(shapes(Net("relu", layers=3, bias=True, tied=True, embedding=False)))
    ['U', 'W', 'b', 'c', 'U2', 'W2', 'b2', 'U3', 'W3', 'b3']
    >>> shapes(Net("lstm", layers=2, bias=False, tied=False, embedding=False))["U2"]
    ('4H', 'H')

    An embedding comes before them all. If it is tied, V is its transpose and D is H.

    >>> shapes(Net("gru", layers=1, bias=False, tied=False, embedding=True))
    {'L': ('D', 'vocab_size'), 'U': ('3H', 'D'), 'V': ('vocab_size', 'H'), 'W': ('3H', 'H')}
    >>> shapes(Net("gru", layers=1, bias=False, tied=True, embedding=True))
    {'L': ('H', 'vocab_size'), 'U': ('3H', 'H'), 'W': ('3H', 'H')}

    With a projection V is L' P, and D is any number.

    >>> shapes(Net("gru", layers=1, bias=False, tied=True, embedding=True, projection=True))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'L': ('D', 'vocab_size'), 'U': ('3H', 'D'), 'P': ('D', 'H'), 'W': ('3H', 'H')}

    A cell whose gates read the input alone has no W.

    >>> shapes(Net("mingru", layers=1, bias=False, tied=False, embedding=False))
    {'U': ('2H', 'vocab_size'), 'V': ('vocab_size', 'H')}
    """
    G = times(CELLS[net.cell].gates)
    D = "H" if net.tied and not net.projection else "D"
    words: dict[str, tuple[str, ...]]
    words = {"L": (D, "vocab_size"), "U": (G, D)} if net.embedding else {"U": (G, "vocab_size")}
    if not net.tied:
        words["V"] = ("vocab_size", "H")
    elif net.projection:
        words["P"] = (D, "H")
    recurrent = CELLS[net.cell].recurrent
    of_layer: dict[str, tuple[str, ...]] = {"W": (G, "H")} if "W" in recurrent else {}
    if net.bias:
        of_layer["b"] = (G,)
    if net.bias and "a" in recurrent:
        of_layer["a"] = ("H",)
    words.update(of_layer)
    if net.bias:
        words["c"] = ("vocab_size",)
    for l in range(1, net.layers):
        words[named("U", l)] = (G, "H")
        words.update({named(name, l): shape for name, shape in of_layer.items()})
    return words


def table(arrays: Parameters) -> Floats:
    """The parameter with a column for each token: L, or U where there is no L."""
    return arrays["L"] if "L" in arrays else arrays["U"]


def hidden_size(arrays: Parameters) -> int:
    """H, the columns of V or P; without both, the rows of the table."""
    for name in ("V", "P"):
        if name in arrays:
            return arrays[name].shape[1]
    return table(arrays).shape[0]


def times(n: int) -> str:
    """n times H in words: ``"H"`` or ``"3H"``."""
    return "H" if n == 1 else f"{n}H"


def described(net: Net) -> str:
    """The names and shapes of all parameters, and the settings from which they follow."""
    listed = ", ".join(f"{name} ({', '.join(shape)})" for name, shape in shapes(net).items())
    return f"{listed} for " + ", ".join(f"{k}={v!r}" for k, v in net._asdict().items())
