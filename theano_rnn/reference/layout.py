"""Which parameters a network has: their names, their order and their shapes."""

from __future__ import annotations

from collections import namedtuple

from theano_rnn.reference.cells import CELLS

#: The recurrence by name, the number of layers, with biases or without, V tied to U or not.
Net = namedtuple("Net", ("cell", "layers", "bias", "tied"))


def named(name: str, l: int) -> str:
    """U, W or b of layer l, counted from 0: ``"U"`` of the first, ``"U2"`` of the second."""
    return name if l == 0 else f"{name}{l + 1}"


def shapes(net: Net) -> dict[str, tuple[str, ...]]:
    """Every parameter in order, with its shape in words: the tutorial's three come first.

    >>> shapes(Net("tanh", layers=1, bias=False, tied=False))
    {'U': ('H', 'vocab_size'), 'V': ('vocab_size', 'H'), 'W': ('H', 'H')}
    >>> list(shapes(Net("relu", layers=3, bias=True, tied=True)))
    ['U', 'W', 'b', 'c', 'U2', 'W2', 'b2', 'U3', 'W3', 'b3']
    >>> shapes(Net("lstm", layers=2, bias=False, tied=False))["U2"]
    ('4H', 'H')
    """
    G = times(CELLS[net.cell].gates)
    words = {"U": (G, "vocab_size"), "V": ("vocab_size", "H"), "W": (G, "H")}
    if net.tied:
        del words["V"]  # V is U'
    if net.bias:
        words.update(b=(G,), c=("vocab_size",))
    for l in range(1, net.layers):
        words.update({named("U", l): (G, "H"), named("W", l): (G, "H")})
        if net.bias:
            words[named("b", l)] = (G,)
    return words


def times(n: int) -> str:
    """n H in words, ``"H"`` or ``"3H"``."""
    return "H" if n == 1 else f"{n}H"


def described(net: Net) -> str:
    """All names and shapes, and the settings they follow from."""
    listed = ", ".join(f"{name} ({', '.join(shape)})" for name, shape in shapes(net).items())
    return f"{listed} for " + ", ".join(f"{k}={v!r}" for k, v in net._asdict().items())
