"""Where a variable is in memory, as C++ says it: in an input, a buffer, a block, or a view."""

from collections.abc import Iterator
from typing import NamedTuple

from theano.graph.basic import Apply, Constant
from theano.tensor.basic import Dot, Split
from theano.tensor.elemwise import DimShuffle
from theano.tensor.subtensor import Subtensor

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.ir import Loop
from theano_rnn.engine.loop.plan import Plan, is_view, viewed
from theano_rnn.engine.loop.rules import axis_of, slices
from theano_rnn.engine.loop.text import Text, c_type, literal


class Place(NamedTuple):
    """Where a variable is: C for its first element and its two strides, in elements."""

    at: str
    row: str
    column: str


class Places:
    """The places of all variables of a loop.

    in_block : whether what is being written runs for a block of steps, or for one step
    constants : {constant: its declaration}, of those that have been asked for
    """

    def __init__(self, loop: Loop, plan: Plan, text: Text) -> None:
        self.loop, self.plan, self.text = loop, plan, text
        self.of_block = plan.of_block
        self.sequences = {variable: k for k, variable in loop.sequences}
        self.fixed = {variable: k for k, variable in loop.fixed}
        self.taps = {v: (s, tap) for s in loop.states for tap, v in s.reads}
        self.constants: dict[Variable, str] = {}
        self.in_block = False

    def place(self, v: Variable) -> Place:
        """Where a variable is in the stage that is being written."""
        node = v.owner
        name, columns = self.text.name, self.columns(v)
        if isinstance(v, Constant):
            self.constants[v] = f"const {c_type(v)} x{name(v)} = {literal(v)};"
        if isinstance(v, Constant) or v in self.loop.scalars:
            return Place(f"&x{name(v)}", "0", "0")
        if v in self.sequences:
            return Place(f"{'s' if self.in_block else 'r'}{self.sequences[v]}", columns, "1")
        if v in self.fixed:
            k = self.fixed[v]
            strides = [f"stride{k}_{axis}" for axis in range(v.ndim)]
            if not self.is_for_blas(v):
                strides = ["0"] * (2 - v.ndim) + [columns, "1"][2 - v.ndim :]
            return Place(f"data{k}", *["0"] * (2 - len(strides)), *strides)
        if v in self.taps:
            return Place(f"tap{name(v)}", columns, "1")
        if isinstance(node.op, DimShuffle):
            return self._shuffled(v)
        if isinstance(node.op, Subtensor):
            return self._sliced(node)
        if isinstance(node.op, Split):
            at, *strides = self.place(node.inputs[0])
            along = axis_of(node)
            begin = f"{self.loop.shapes[v][along].code}_begin"
            return Place(f"({at} + {begin} * {strides[along]})", *strides)
        while node in self.plan.over:
            node = self.plan.over[node]
        (owner,) = node.outputs
        if owner in self.of_block and not self.in_block:
            return Place(f"b{name(owner)}", columns, "1")
        return Place(f"t{name(owner)}", columns, "1")

    def _sliced(self, node: Apply) -> Place:
        at, row, column = self.place(node.inputs[0])
        part = self.loop.parts[node]
        for axis, (start, stop) in enumerate(slices(node)):
            if start is not None or stop is not None:
                at += f" + {part[axis].code}_begin * {(row, column)[axis]}"
        return Place(f"({at})", row, column)

    def _shuffled(self, v: Variable) -> Place:
        x, order = v.owner.inputs[0], v.owner.op.new_order
        if self.varies_by_row(x):  # steps one below the other; the plan transposes none of these
            return self.place(x)
        at, *strides = self.place(x)
        own = strides[2 - x.ndim :]
        new = ["0" if axis == "x" else own[axis] for axis in order]
        return Place(at, *["0"] * (2 - len(new)), *new)

    def matrix(self, v: Variable) -> str:
        """A variable as a Matrix of loop.h."""
        return f"Matrix<const {c_type(v)}>{{{', '.join(self.place(v))}}}"

    def rows(self, v: Variable) -> str:
        """How many rows a variable has: in a block, those of all its steps."""
        rows = self.loop.shapes[v].rows.root.code
        return f"count * {rows}" if self.in_block else rows

    def columns(self, v: Variable) -> str:
        """How many columns a variable has."""
        return self.loop.shapes[v].columns.root.code

    def varies_by_row(self, v: Variable) -> bool:
        """Whether a variable has a row of its own for each step of a block."""
        if not self.in_block:
            return False
        v = viewed(v)
        return v in self.sequences or v in self.of_block

    def is_for_blas(self, v: Variable) -> bool:
        """Whether a variable is a matrix that only products read."""
        return v.ndim == 2 and all(isinstance(node.op, Dot) for node in self._readers(v))

    def _readers(self, variable: Variable) -> Iterator[Apply]:
        """Nodes that compute with a variable, or with a view of it."""
        for client, _ in self.loop.graph.clients[variable]:
            if client == "output":
                continue
            if is_view(client):
                for view in client.outputs:
                    yield from self._readers(view)
            else:
                yield client

    def packed(self) -> Iterator[tuple[int, Variable]]:
        """(input, variable) of the sequences that are read for a whole block."""
        read = {v for kernel in self.plan.block for node in kernel for v in node.inputs}
        for k, v in self.loop.sequences:
            if v in read or any(view in read for view in self._views(v)):
                yield k, v

    def fixed_products(self) -> Iterator[Apply]:
        """Products of each step whose right side is the same in all of them."""
        for kernel in self.plan.step:
            (node, *_) = kernel
            if isinstance(node.op, Dot) and viewed(node.inputs[1]) in self.fixed:
                yield node

    def panels(self, node: Apply) -> tuple[str, str]:
        """The right side of such a product as Panels of loop.h: their name and declaration."""
        (x, y), (v,) = node.inputs, node.outputs
        name, sizes = (
            f"panels{self.text.name(v)}",
            (self.rows(v), self.columns(v), self.columns(x)),
        )
        return name, f"Panels<{c_type(v)}> {name}(steps, {', '.join(sizes)}, {self.matrix(y)});"

    def _views(self, variable: Variable) -> Iterator[Variable]:
        for client, _ in self.loop.graph.clients[variable]:
            if client != "output" and is_view(client):
                for view in client.outputs:
                    yield view
                    yield from self._views(view)
