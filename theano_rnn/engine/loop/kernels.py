"""C++ of the kernels of a loop: products, fills, joins, additions to slices, fused loops."""

from theano.graph.basic import Apply, Constant
from theano.graph.op import Op
from theano.graph.utils import MethodNotDefined
from theano.scalar import get_scalar_type
from theano.tensor.basic import Alloc, Dot, Join
from theano.tensor.elemwise import Elemwise

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.ir import ONE, Loop, Unsupported
from theano_rnn.engine.loop.places import Places
from theano_rnn.engine.loop.plan import Kernel, Plan, can_raise
from theano_rnn.engine.loop.rules import axis_of, slices
from theano_rnn.engine.loop.text import Text, c_type


class Kernels:
    """Writes kernels, one after the other.

    support : C++ that has to stand before the function, of the scalar operations so far
    """

    def __init__(self, loop: Loop, plan: Plan, text: Text, places: Places) -> None:
        self.loop, self.plan, self.text, self.places = loop, plan, text, places
        self.support: list[str] = []

    def write(self, kernel: Kernel) -> None:
        """Write one kernel.

        Raises
        ------
        Unsupported
            If one of its operations has no C.
        """
        node = kernel[0]
        if isinstance(node.op, Elemwise):
            self._elementwise(kernel)
        elif isinstance(node.op, Dot):
            self._product(node)
        elif isinstance(node.op, Join):
            self._join(node)
        elif isinstance(node.op, Alloc):
            self._fill(node)
        else:
            self._increment(node)

    def _product(self, node: Apply) -> None:
        (x, y), (v,), of = node.inputs, node.outputs, self.places
        right = of.panels(node)[0] if node in of.fixed_products() else of.matrix(y)
        self.text.put(f"product<{c_type(v)}>({of.rows(v)}, {of.columns(v)}, {of.columns(x)},"
                      f" {of.matrix(x)}, {right}, {of.place(v).at});")  # fmt: skip

    def _fill(self, node: Apply) -> None:
        (v,), value = node.outputs, node.inputs[0]
        from_, at = self.places.place(value), self.places.place(v).at
        rows, columns, T = self.places.rows(v), self.places.columns(v), c_type(v)
        if all(dim is ONE for dim in self.loop.shapes[value]):
            self.text.put(f"std::fill({at}, {at} + {rows} * {columns}, {T}(*({from_.at})));")
            return
        self.text.put(f"copy<{T}>({rows}, {columns}, {self._repeated(value)}, {at}, {columns});")

    def _repeated(self, v: Variable) -> str:
        """A variable as a Matrix whose rows or columns of length one are repeated."""
        place = self.places.place(v)
        strides = ["0" if dim is ONE else s for dim, s in zip(self.loop.shapes[v], place[1:])]
        return f"Matrix<const {c_type(v)}>{{{place.at}, {', '.join(strides)}}}"

    def _join(self, node: Apply) -> None:
        (v,), along, of = node.outputs, axis_of(node), self.places
        at, columns = of.place(v).at, of.columns(v)
        for part in node.inputs[1:]:
            rows, own = of.rows(part), of.columns(part)
            self.text.put(f"copy<{c_type(v)}>({rows}, {own}, {of.matrix(part)}, {at}, {columns});")
            at += f" + {own}" if along == 1 else f" + {rows} * {columns}"

    def _increment(self, node: Apply) -> None:
        (x, y), (v,), of = node.inputs[:2], node.outputs, self.places
        if node.op.set_instead_of_inc:
            raise Unsupported("it sets a slice")
        T, at, columns = c_type(v), of.place(v).at, of.columns(v)
        if node not in self.plan.over:
            self.text.put(f"copy<{T}>({of.rows(v)}, {columns}, {of.matrix(x)}, {at}, {columns});")
        part = self.loop.parts[node]
        begin = [
            f"{dim.code}_begin" if ends != (None, None) else "0"
            for dim, ends in zip(part, slices(node))
        ]
        self.text.put(f"add<{T}>({part.rows.root.code}, {part.columns.root.code},"
                      f" {self._repeated(y)},"
                      f" {at} + {begin[0]} * {columns} + {begin[1]}, {columns});")  # fmt: skip

    def _elementwise(self, kernel: Kernel) -> None:
        """All nodes of a kernel in one loop over rows and columns."""
        text, places = self.text, self.places
        first = kernel[0].outputs[0]
        text.open(f"for (npy_intp row = 0; row < {places.rows(first)}; ++row)")
        per_element = self._read(kernel)
        stored = [node.outputs[0] for node in kernel if node.outputs[0] in self.plan.stored]
        for v in stored:
            at, row, _ = places.place(v)
            text.put(f"{c_type(v)}* __restrict p{text.name(v)} = {at} + row * {row};")
        codes = {node: self.scalar_code(node, node.op.scalar_op) for node in kernel}
        if not can_raise(kernel):  # no statement may leave a loop in vector lanes
            text.put("#pragma omp simd")
        text.open(f"for (npy_intp column = 0; column < {places.columns(first)}; ++column)")
        text.put(*per_element)
        for node in kernel:
            text.put(*codes[node])
            if node.outputs[0] in stored:
                name = text.name(node.outputs[0])
                text.put(f"p{name}[column] = x{name};")
        text.close()
        text.close()

    def _read(self, kernel: Kernel) -> list[str]:
        """Write what a kernel reads once for each row; return what it reads for each element."""
        inside = {output for node in kernel for output in node.outputs}
        read = [v for node in kernel for v in node.inputs if v not in inside]
        read = [v for v in dict.fromkeys(read) if not isinstance(v, Constant)]
        per_element = []
        for v in read:
            name, T = self.text.name(v), c_type(v)
            if v in self.loop.scalars:
                continue
            at, row, column = self.places.place(v)
            shape = self.loop.shapes[v]
            is_single = shape.rows is ONE and not self.places.varies_by_row(v)
            base = at if is_single else f"{at} + row * {row}"
            if shape.columns is ONE:
                self.text.put(f"const {T} x{name} = *({base});")
            else:
                self.text.put(f"const {T}* __restrict p{name} = {base};")
                step = "column" if column == "1" else f"column * {column}"
                per_element.append(f"const {T} x{name} = p{name}[{step}];")
        return per_element

    def scalar_code(self, node: Apply, op: Op) -> list[str]:
        """C of one scalar operation, from Theano's own."""
        inputs = [get_scalar_type(v.type.dtype)() for v in node.inputs]
        scalar_node, (v,) = op.make_node(*inputs), node.outputs
        name = f"x{self.text.name(v)}"
        try:
            code = op.c_code(
                scalar_node, name, [self.text.scalar(u) for u in node.inputs], [name],
                {"fail": "return false;"},
            )  # fmt: skip
            support = [op.c_support_code(), op.c_support_code_apply(scalar_node, name)]
        except (MethodNotDefined, NotImplementedError):
            raise Unsupported(f"{op} has no C code") from None
        self.support += [text for text in support if text and text not in self.support]
        return [f"{c_type(v)} {name};", *code.strip().splitlines()]
