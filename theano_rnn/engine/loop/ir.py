"""A loop as the compiler sees it: its variables, their lengths, its states, its nodes.

``analysis`` fills this in from a Scan; ``plan`` and ``emission`` read it. Every variable of a step
counts as a matrix: a scalar is 1 x 1, a vector is one row. A ``Dim`` is a length that is known
when the loop begins. If an operation needs two lengths to be equal, they become one ``Dim``, and
the loop checks them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph

from theano_rnn.common.types import Variable


class Unsupported(Exception):
    """Why a Scan cannot run as a native loop."""


class Dim:
    """A length, as a C expression. Lengths that must be equal have one ``root``."""

    def __init__(self, code: str, order: int) -> None:
        self.code, self.order = code, order
        self._joined: Optional[Dim] = None

    @property
    def root(self) -> "Dim":
        return self if self._joined is None else self._joined.root

    def join(self, other: "Dim") -> None:
        """Make two lengths one; the root is the one that is known first."""
        first, later = sorted((self.root, other.root), key=lambda dim: dim.order)
        if first is not later:
            later._joined = first

    def __repr__(self) -> str:
        return self.code


ONE = Dim("1", -1)


class Shape(NamedTuple):
    """The two lengths of a matrix; ONE along a broadcast dimension."""

    rows: Dim
    columns: Dim


@dataclass
class State:
    """A recurrent output of a Scan.

    input : number of the Scan's input that is its first buffer
    output : number of the Scan's output that it is
    reads, writes : (tap, variable); a tap is a row of the buffer, counted from the position
    start : the position in the first step
    keeps_rows : whether every row stays, as in the accumulators of a gradient (Scan's mit_mot);
        otherwise the buffer is circular, and only tap 0 is written
    """

    input: int
    output: int
    reads: list[tuple[int, Variable]]
    writes: list[tuple[int, Variable]]
    start: int
    keeps_rows: bool


@dataclass
class Loop:
    """A Scan: where its variables come from, and the facts about them."""

    graph: FunctionGraph
    sequences: list[tuple[int, Variable]]  # (input, variable)
    states: list[State]
    collected: list[tuple[int, int, Variable]]  # (input that holds the length, output, variable)
    fixed: list[tuple[int, Variable]]  # (input, variable), the same in each step
    shapes: dict[Variable, Shape] = field(default_factory=dict)
    parts: dict[Apply, Shape] = field(default_factory=dict)  # shapes of what a node slices out
    scalars: set[Variable] = field(default_factory=set)  # 0-d, known before the first step
    prologue: list[Apply] = field(default_factory=list)  # nodes that define lengths, in order
    nodes: list[Apply] = field(default_factory=list)  # nodes of a step, in order
    checks: list[tuple[Dim, Dim, str]] = field(default_factory=list)  # lengths that must be equal
