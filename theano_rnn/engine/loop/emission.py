"""C++ of a lowered loop: one function that runs all steps, from the arrays of the Scan.

What is the same in every loop is in ``loop.h``. Names in the C++: ``n3_0`` is a length of the
Scan's input 3, ``length2_1`` one that the prologue says, ``t5`` the memory of a variable, ``x7``
one of its elements.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from theano.graph.basic import Apply, Constant
from theano.graph.op import Op
from theano.graph.utils import MethodNotDefined
from theano.scalar import get_scalar_type
from theano.tensor.basic import Alloc, Dot, Join, Split
from theano.tensor.elemwise import DimShuffle, Elemwise
from theano.tensor.opt import Shape_i
from theano.tensor.subtensor import Subtensor

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.analysis import ONE, Loop, Refused, State, axis_of, slices
from theano_rnn.engine.loop.plan import Kernel, Plan, is_view

#: Stands for the function's name, which its user puts in.
NAME = "NATIVE_LOOP"

#: Rows that are done at once, where steps are done in blocks.
BLOCK_ROWS = 128


class Place(NamedTuple):
    """Where a variable is: C for its first element and its two strides, in elements."""

    at: str
    row: str
    column: str


def emit(loop: Loop, plan: Plan, dtypes: list[str]) -> tuple[str, tuple[str, ...]]:
    """The function, and the support code of the element-wise operations in it.

    Parameters
    ----------
    loop, plan
    dtypes : list of str
        Of the Scan's inputs.

    Returns
    -------
    function : str
        ``static bool NAME(PyArrayObject** in, PyArrayObject*** out, const bool* inplace)``:
        from the Scan's inputs to its outputs, ``inplace`` telling which states may be written
        over their first buffers. False with a Python exception set if it fails.
    support : tuple of str
        C++ that has to stand before it.

    Raises
    ------
    Refused
        If an operation has no C.
    """
    return _Emitter(loop, plan, dtypes).function()


def c_type(variable: Variable) -> str:
    return f"npy_{variable.type.dtype}"


class _Emitter:
    def __init__(self, loop: Loop, plan: Plan, dtypes: list[str]) -> None:
        self.loop, self.plan = loop, plan
        self.dtypes = dtypes
        self.lines: list[str] = []
        self.depth = 1
        self.support: list[str] = []
        self.numbers: dict[Variable, int] = {}
        self.constants: dict[Variable, str] = {}
        self.of_block = plan.of_block
        self.sequences = {variable: k for k, variable in loop.sequences}
        self.fixed = {variable: k for k, variable in loop.fixed}
        self.taps = {v: (s, tap) for s in loop.states for tap, v in s.reads}
        self.outputs: dict[Variable, tuple[int, str]] = {}  # the buffer row it is computed in
        self.in_block = False

    # ---- text

    def put(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def open(self, line: str) -> None:
        self.put(line + " {")
        self.depth += 1

    def close(self) -> None:
        self.depth -= 1
        self.put("}")

    def name(self, variable: Variable) -> str:
        return f"{self.numbers.setdefault(variable, len(self.numbers))}"

    def fail(self, condition: str, kind: str, text: str) -> None:
        self.open(f"if ({condition})")
        self.put(f'PyErr_SetString(PyExc_{kind}, "native loop: {text}");', "return false;")
        self.close()

    # ---- the whole

    def function(self) -> tuple[str, tuple[str, ...]]:
        self.put("using namespace native_loop;", "References references;", "Workspace workspace;")
        self.put(f"const npy_intp steps = {self.number(0)};")
        self.fail("steps < 0", "IndexError", "the number of steps is negative")
        self._lengths()
        self._prologue()
        self._inputs()
        self._buffers()
        self._workspace()
        self._steps()
        self._end()
        self.put("return true;")
        head = (
            f"static bool {NAME}(PyArrayObject** in, PyArrayObject*** out, const bool* inplace) {{"
        )
        constants = ["    " + line for line in self.constants.values()]
        return "\n".join([head, *constants, *self.lines, "}"]) + "\n", tuple(self.support)

    def number(self, k: int) -> str:
        """The Scan's input k, which is one."""
        return f"*(const npy_{self.dtypes[k]}*)PyArray_DATA(in[{k}])"

    def _lengths(self) -> None:
        loop = self.loop
        axes = [(k, v, 1) for k, v in loop.sequences]
        axes += [(s.input, s.reads[0][1], 1) for s in loop.states if s.reads]
        axes += [(k, v, 0) for k, v in loop.fixed]
        for k, variable, offset in axes:
            for axis in range(variable.ndim):
                self.put(f"const npy_intp n{k}_{axis} = PyArray_DIM(in[{k}], {axis + offset});")
        for k, _ in loop.sequences:
            self.fail(f"PyArray_DIM(in[{k}], 0) < steps", "ValueError",
                      f"sequence {k} is shorter than the number of steps")  # fmt: skip
        for s in loop.states:
            self.put(f"const npy_intp L{s.output} = PyArray_DIM(in[{s.input}], 0);")
            taps = [tap for tap, _ in [*s.reads, *s.writes]]
            least = f"steps + {s.start + max(taps)}" if s.is_kept else max(s.start, 1)
            self.fail(f"steps > 0 && L{s.output} < {least}", "IndexError",
                      f"the buffer of output {s.output} is too short")  # fmt: skip
        for k, output, _ in loop.collected:
            self.put(f"const npy_intp L{output} = {self.number(k)};")
            self.fail(f"L{output} < 0 || (steps > 0 && L{output} < 1)", "IndexError",
                      f"output {output} has no room")  # fmt: skip

    def _prologue(self) -> None:
        for node in self.loop.prologue:
            if node.outputs[0] not in self.loop.scalars:
                self._say_lengths(node)
            elif isinstance(node.op, Shape_i):
                shape = self.loop.shapes[node.inputs[0]]
                dim = shape[2 - node.inputs[0].ndim + node.op.i]
                self.put(f"const npy_int64 x{self.name(node.outputs[0])} = {dim.root.code};")
            elif isinstance(node.op, Elemwise):
                self.put(*self._scalar_code(node, node.op.scalar_op))
            else:
                (x,), (y,) = node.inputs, node.outputs
                self.put(f"const {c_type(y)} x{self.name(y)} = {self.element(x)};")
        for a, b, what in self.loop.checks:
            self.fail(f"{a.code} != {b.code}", "ValueError",
                      f"{what}: two lengths differ that have to be equal")  # fmt: skip

    def _say_lengths(self, node: Apply) -> None:
        if isinstance(node.op, Alloc):
            shape = self.loop.shapes[node.outputs[0]]
            own = shape[2 - node.outputs[0].ndim :]
            for length, dim, wide in zip(node.inputs[1:], own, node.outputs[0].broadcastable):
                if not wide:
                    self.put(f"const npy_intp {dim.code} = {self.element(length)};")
                    self.fail(f"{dim.code} < 0", "ValueError", "a size is negative")
            return
        if isinstance(node.op, Join):
            along = axis_of(node)
            parts = [self.loop.shapes[v][along].root.code for v in node.inputs[1:]]
            code = self.loop.shapes[node.outputs[0]][along].code
            self.put(f"const npy_intp {code} = {' + '.join(parts)};")
            return
        if isinstance(node.op, Split):
            self._say_places(node)
            return
        part, whole = self.loop.parts[node], self.loop.shapes[node.inputs[0]]
        for axis, (start, stop) in enumerate(slices(node)):
            if start is None and stop is None:
                continue
            code, length = part[axis].code, whole[axis].root.code
            begin = "0" if start is None else f"slice_end({self.element(start)}, {length})"
            end = length if stop is None else f"slice_end({self.element(stop)}, {length})"
            self.put(f"const npy_intp {code}_begin = {begin};")
            self.put(f"const npy_intp {code} = std::max({end} - {code}_begin, npy_intp(0));")

    def _say_places(self, node: Apply) -> None:
        """Where the parts of a Split begin, and how long they are."""
        along, begin = axis_of(node), "npy_intp(0)"
        for v, size in zip(node.outputs, node.inputs[2].owner.inputs):
            code = self.loop.shapes[v][along].code
            self.put(f"const npy_intp {code} = {self.element(size)}, {code}_begin = {begin};")
            self.fail(f"{code} < 0", "ValueError", "a size is negative")
            begin = f"{code}_begin + {code}"
        whole = self.loop.shapes[node.inputs[0]][along].root.code
        self.fail(f"{begin} != {whole}", "ValueError", "the parts of a split are not the whole")

    # ---- arrays

    def _inputs(self) -> None:
        for k, v in self.loop.sequences:
            self._prepare(k, v, f"with_dense_rows(in[{k}], 1)")
            self.put(f"const npy_intp stride{k} = stride(q{k}, 0);")
        for k, v in self.loop.fixed:
            is_for_blas = self._is_for_blas(v)
            self._prepare(
                k, v, f"for_blas(in[{k}])" if is_for_blas else f"with_dense_rows(in[{k}], 0)"
            )
            for axis in range(v.ndim):
                self.put(f"const npy_intp stride{k}_{axis} = stride(q{k}, {axis});")

    def _prepare(self, k: int, v: Variable, how: str) -> None:
        T = c_type(v)
        self.put(f"PyArrayObject* const q{k} = references.keep({how});")
        self.put(f"if (q{k} == NULL) return false;")
        self.put(f"const {T}* const data{k} = (const {T}*)PyArray_DATA(q{k});")

    def _uses(self, variable: Variable) -> Iterator[Apply]:
        """Nodes that compute with a variable, or with a view on it."""
        for client, _ in self.loop.graph.clients[variable]:
            if client == "output":
                yield from ()
            elif is_view(client):
                for view in client.outputs:
                    yield from self._uses(view)
            else:
                yield client

    def _buffers(self) -> None:
        for s in self.loop.states:
            variable = s.writes[0][1] if s.writes else s.reads[0][1]
            k, o = s.input, s.output
            rows = f"L{o}" if s.is_kept else str(s.start)
            self.put(f"if (!state_buffer(in[{k}], out[{o}], {rows}, inplace[{o}])) return false;")
            self._buffer(o, variable, [f"n{k}_{axis}" for axis in range(variable.ndim)], s.start)
        for _, o, variable in self.loop.collected:
            shape = self.loop.shapes[variable][2 - variable.ndim :]
            dims = [dim.root.code for dim in shape]
            sizes = ", ".join([f"L{o}", *dims])
            self.put(f"npy_intp shape{o}[] = {{{sizes}}};")
            number = f"NPY_{variable.type.dtype.upper()}"
            self.put(
                f"if (!allocate(out[{o}], {len(dims) + 1}, shape{o}, {number})) return false;"
            )
            self._buffer(o, variable, dims, 0)

    def _buffer(self, o: int, variable: Variable, dims: list[str], start: int) -> None:
        T = c_type(variable)
        self.put(f"{T}* const buffer{o} = ({T}*)PyArray_DATA(*out[{o}]);",
                 f"const npy_intp size{o} = {' * '.join(dims) or '1'};",
                 f"npy_intp position{o} = L{o} > 0 ? {start} % L{o} : 0;")  # fmt: skip

    def _workspace(self) -> None:
        self._assign_outputs()
        sizes = []
        for kernel in self.plan.kernels:
            for node in kernel:
                (v,) = node.outputs
                if v in self.plan.stored and node not in self.plan.over:
                    sizes.append((f"t{self.name(v)}", v, self._size(v, v in self.of_block)))
        for k, v in self._packed():
            sizes.append((f"packed{k}", v, self._size(v, True)))
        if self.plan.block:
            rows = {dim.root.code for v in self.of_block for dim in [self.loop.shapes[v].rows]}
            most = f"std::max({{{', '.join(f'npy_intp({code})' for code in sorted(rows))}}})"
            self.put(f"const npy_intp block_rows = std::max({most}, npy_intp(1));")
            self.put(f"const npy_intp block = std::max(npy_intp(1), std::min(steps, {BLOCK_ROWS}"
                     " / block_rows));")  # fmt: skip
        for name, v, size in sizes:
            self.put(
                f"const npy_intp {name}_at = workspace.reserve({size} * sizeof({c_type(v)}));"
            )
        self.put("if (!workspace.allocate()) { PyErr_NoMemory(); return false; }")
        for name, v, _ in sizes:
            T = c_type(v)
            own = name if v in self.of_block or name.startswith("packed") else f"{name}_own"
            self.put(f"{T}* const {own} = ({T}*)(workspace.memory + {name}_at);")

    def _size(self, v: Variable, is_block: bool) -> str:
        rows, columns = (dim.root.code for dim in self.loop.shapes[v])
        return f"block * {rows} * {columns}" if is_block else f"{rows} * {columns}"

    def _assign_outputs(self) -> None:
        """Which variables are computed where the Scan keeps them, and which are copied there."""
        self.copies: list[tuple[int, int, Variable, Optional[str]]] = []
        slots: list[tuple[int, int, Variable, Optional[State]]]
        slots = [(s.output, tap, v, s) for s in self.loop.states for tap, v in s.writes]
        slots += [(o, 0, v, None) for _, o, v in self.loop.collected]
        over = set(self.plan.over.values())
        for o, tap, v, state in slots:  # states first: what is both is computed in the state
            is_own = v in self.plan.stored and v not in self.of_block and v not in self.outputs
            is_own = is_own and v.owner not in self.plan.over and v.owner not in over
            if state is not None and self._is_tap(v):
                raise Refused("a state becomes what another one was")
            if is_own and not (state and state.is_kept):
                # A buffer no longer than what is read of it is written when all has been read.
                self.outputs[v] = o, f"L{o} > {state.start if state else 0}"
                self.copies.append((o, tap, v, f"!is_apart{o}"))
            else:
                self.copies.append((o, tap, v, None))
        # Outputs may be copies of what a state was: they are made before it is written over.
        states = {s.output for s in self.loop.states}
        self.copies.sort(key=lambda copy: copy[0] in states)
        for o, is_apart in self.outputs.values():
            self.put(f"const bool is_apart{o} = {is_apart};")

    def _is_tap(self, v: Variable) -> bool:
        while v.owner is not None and is_view(v.owner):
            v = v.owner.inputs[0]
        return v in self.taps

    def _packed(self) -> Iterator[tuple[int, Variable]]:
        """Sequences that are read for a whole block."""
        taken = {v for kernel in self.plan.block for node in kernel for v in node.inputs}
        for k, v in self.loop.sequences:
            if v in taken or any(n in taken for n in self._views(v)):
                yield k, v

    def _views(self, variable: Variable) -> Iterator[Variable]:
        for client, _ in self.loop.graph.clients[variable]:
            if client != "output" and is_view(client):
                for view in client.outputs:
                    yield view
                    yield from self._views(view)

    # ---- places

    def place(self, v: Variable) -> Place:
        """Where a variable is in the stage that is being emitted."""
        node = v.owner
        columns = self.loop.shapes[v].columns.root.code
        if isinstance(v, Constant):
            self.constants[v] = f"const {c_type(v)} x{self.name(v)} = {_literal(v)};"
        if isinstance(v, Constant) or v in self.loop.scalars:
            return Place(f"&x{self.name(v)}", "0", "0")
        if v in self.sequences:
            return Place(f"{'s' if self.in_block else 'r'}{self.sequences[v]}", columns, "1")
        if v in self.fixed:
            k = self.fixed[v]
            strides = [f"stride{k}_{axis}" for axis in range(v.ndim)]
            if not self._is_for_blas(v):
                strides = ["0"] * (2 - v.ndim) + [columns, "1"][2 - v.ndim :]
            return Place(f"data{k}", *["0"] * (2 - len(strides)), *strides)
        if v in self.taps:
            return Place(f"tap{self.name(v)}", columns, "1")
        if isinstance(node.op, DimShuffle):
            return self._turned(v)
        if isinstance(node.op, Subtensor):
            at, row, column = self.place(node.inputs[0])
            part = self.loop.parts[node]
            for axis, (start, stop) in enumerate(slices(node)):
                if start is not None or stop is not None:
                    at += f" + {part[axis].code}_begin * {(row, column)[axis]}"
            return Place(f"({at})", row, column)
        if isinstance(node.op, Split):
            at, *strides = self.place(node.inputs[0])
            along = axis_of(node)
            begin = f"{self.loop.shapes[v][along].code}_begin"
            return Place(f"({at} + {begin} * {strides[along]})", *strides)
        while node in self.plan.over:
            node = self.plan.over[node]
        (owner,) = node.outputs
        if owner in self.of_block and not self.in_block:
            return Place(f"b{self.name(owner)}", columns, "1")
        return Place(f"t{self.name(owner)}", columns, "1")

    def _is_for_blas(self, v: Variable) -> bool:
        return v.ndim == 2 and all(isinstance(node.op, Dot) for node in self._uses(v))

    def _turned(self, v: Variable) -> Place:
        x, order = v.owner.inputs[0], v.owner.op.new_order
        if self._varies_by_row(x):  # one step under the other, and not turned: see the plan
            return self.place(x)
        at, *strides = self.place(x)
        own = strides[2 - x.ndim :]
        new = ["0" if axis == "x" else own[axis] for axis in order]
        return Place(at, *["0"] * (2 - len(new)), *new)

    def matrix(self, v: Variable) -> str:
        return f"Matrix<const {c_type(v)}>{{{', '.join(self.place(v))}}}"

    def rows(self, v: Variable) -> str:
        rows = self.loop.shapes[v].rows.root.code
        return f"count * {rows}" if self.in_block else rows

    def columns(self, v: Variable) -> str:
        return self.loop.shapes[v].columns.root.code

    def element(self, v: Variable) -> str:
        """A scalar that is known before the steps."""
        if isinstance(v, Constant):
            return _literal(v)
        return f"x{self.name(v)}"

    # ---- the loop

    def _steps(self) -> None:
        self.open("for (npy_intp i = 0; i < steps; ++i)")
        if self.plan.block:
            self._block()
        self.put("// the step")
        for k, v in self.loop.sequences:
            self.put(f"const {c_type(v)}* const r{k} = data{k} + i * stride{k};")
        for v in sorted(self.of_block & self.plan.stored, key=self.name):
            if not is_view(v.owner):
                size = self._size(v, False)
                self.put(f"const {c_type(v)}* const b{self.name(v)} = t{self.name(v)}"
                         f" + i % block * {size};")  # fmt: skip
        for v, (s, tap) in self.taps.items():
            at, o = f"at{self.name(v)}", s.output
            self.put(f"npy_intp {at} = position{o} + {tap};")
            self.put(f"if ({at} < 0) {at} += L{o};")
            self.put(f"if ({at} >= L{o}) {at} -= L{o};")
            self.put(f"const {c_type(v)}* const tap{self.name(v)} = buffer{o} + {at} * size{o};")
        self._memory()
        for kernel in self.plan.step:
            self._kernel(kernel)
        self._outputs()
        self.close()

    def _block(self) -> None:
        """What is done for all steps of a block, before its first."""
        self.in_block = True
        self.open("if (i % block == 0)")
        self.put("const npy_intp count = std::min(block, steps - i);")
        for k, v in self._packed():
            T, size = c_type(v), self._size(v, False)
            self.put(f"const {T}* s{k} = data{k} + i * stride{k};")
            self.open(f"if (stride{k} != {size})")
            self.put(f"for (npy_intp j = 0; j < count; ++j) std::memcpy(packed{k} + j * {size},"
                     f" data{k} + (i + j) * stride{k}, {size} * sizeof({T}));",
                     f"s{k} = packed{k};")  # fmt: skip
            self.close()
        for kernel in self.plan.block:
            self._kernel(kernel)
        self.close()
        self.in_block = False

    def _memory(self) -> None:
        """Where this step's variables are computed."""
        for kernel in self.plan.step:
            for node in kernel:
                (v,) = node.outputs
                if v not in self.plan.stored or node in self.plan.over:
                    continue
                name = f"t{self.name(v)}"
                at = f"{name}_own"
                if v in self.outputs:
                    o, _ = self.outputs[v]
                    at = f"is_apart{o} ? buffer{o} + position{o} * size{o} : {name}_own"
                self.put(f"{c_type(v)}* const {name} = {at};")

    def _kernel(self, kernel: Kernel) -> None:
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
        (x, y), (v,) = node.inputs, node.outputs
        T = c_type(v)
        self.put(f"product<{T}>({self.rows(v)}, {self.columns(v)}, {self.columns(x)},"
                 f" {self.matrix(x)}, {self.matrix(y)}, {self.place(v).at});")  # fmt: skip

    def _fill(self, node: Apply) -> None:
        (v,), value = node.outputs, node.inputs[0]
        from_, at = self.place(value), self.place(v).at
        rows, columns, T = self.rows(v), self.columns(v), c_type(v)
        if all(dim is ONE for dim in self.loop.shapes[value]):
            self.put(f"std::fill({at}, {at} + {rows} * {columns}, {T}(*({from_.at})));")
            return
        strides = ["0" if dim is ONE else s for dim, s in zip(self.loop.shapes[value], from_[1:])]
        repeated = f"Matrix<const {T}>{{{from_.at}, {', '.join(strides)}}}"
        self.put(f"copy<{T}>({rows}, {columns}, {repeated}, {at}, {columns});")

    def _join(self, node: Apply) -> None:
        (v,), along = node.outputs, axis_of(node)
        at, columns = self.place(v).at, self.columns(v)
        for part in node.inputs[1:]:
            rows, own = self.rows(part), self.columns(part)
            self.put(f"copy<{c_type(v)}>({rows}, {own}, {self.matrix(part)}, {at}, {columns});")
            at += f" + {own}" if along == 1 else f" + {rows} * {columns}"

    def _increment(self, node: Apply) -> None:
        (x, y), (v,) = node.inputs[:2], node.outputs
        if node.op.set_instead_of_inc:
            raise Refused("it sets a slice")
        T, at, columns = c_type(v), self.place(v).at, self.columns(v)
        if node not in self.plan.over:
            self.put(f"copy<{T}>({self.rows(v)}, {columns}, {self.matrix(x)}, {at}, {columns});")
        part = self.loop.parts[node]
        begin = [
            f"{dim.code}_begin" if ends != (None, None) else "0"
            for dim, ends in zip(part, slices(node))
        ]
        from_ = self.place(y)
        strides = ["0" if dim is ONE else s for dim, s in zip(self.loop.shapes[y], from_[1:])]
        self.put(f"add<{T}>({part.rows.root.code}, {part.columns.root.code},"
                 f" Matrix<const {T}>{{{from_.at}, {', '.join(strides)}}},"
                 f" {at} + {begin[0]} * {columns} + {begin[1]}, {columns});")  # fmt: skip

    def _elementwise(self, kernel: Kernel) -> None:
        """All nodes of a kernel in one loop over rows and columns."""
        inside = {output for node in kernel for output in node.outputs}
        taken = [v for node in kernel for v in node.inputs if v not in inside]
        taken = [v for v in dict.fromkeys(taken) if not isinstance(v, Constant)]
        left = [node.outputs[0] for node in kernel if node.outputs[0] in self.plan.stored]
        first = kernel[0].outputs[0]
        self.open(f"for (npy_intp row = 0; row < {self.rows(first)}; ++row)")
        per_element = []
        for v in taken:
            name, T = self.name(v), c_type(v)
            if v in self.loop.scalars:
                continue
            at, row, column = self.place(v)
            shape = self.loop.shapes[v]
            is_single = shape.rows is ONE and not self._varies_by_row(v)
            base = at if is_single else f"{at} + row * {row}"
            if shape.columns is ONE:
                self.put(f"const {T} x{name} = *({base});")
            else:
                self.put(f"const {T}* __restrict p{name} = {base};")
                step = "column" if column == "1" else f"column * {column}"
                per_element.append(f"const {T} x{name} = p{name}[{step}];")
        for v in left:
            at, row, _ = self.place(v)
            self.put(f"{c_type(v)}* __restrict p{self.name(v)} = {at} + row * {row};")
        codes = {node: self._scalar_code(node, node.op.scalar_op) for node in kernel}
        if not any("return" in line for code in codes.values() for line in code):
            self.put("#pragma omp simd")  # which no error can leave
        self.open(f"for (npy_intp column = 0; column < {self.columns(first)}; ++column)")
        self.put(*per_element)
        for node in kernel:
            self.put(*codes[node])
            if node.outputs[0] in left:
                name = self.name(node.outputs[0])
                self.put(f"p{name}[column] = x{name};")
        self.close()
        self.close()

    def _varies_by_row(self, v: Variable) -> bool:
        """In a block, what has one row in a step has one for each."""
        if not self.in_block:
            return False
        while v.owner is not None and is_view(v.owner):
            v = v.owner.inputs[0]
        return v in self.sequences or v in self.of_block

    def _scalar_code(self, node: Apply, op: Op) -> list[str]:
        """C of one scalar operation, from Theano's own."""
        inputs = [get_scalar_type(v.type.dtype)() for v in node.inputs]
        scalar_node, (v,) = op.make_node(*inputs), node.outputs
        name = f"x{self.name(v)}"
        try:
            code = op.c_code(
                scalar_node, name, [self.element(u) for u in node.inputs], [name],
                {"fail": "return false;"},
            )  # fmt: skip
            support = [op.c_support_code(), op.c_support_code_apply(scalar_node, name)]
        except (MethodNotDefined, NotImplementedError):
            raise Refused(f"{op} has no C code") from None
        self.support += [text for text in support if text and text not in self.support]
        return [f"{c_type(v)} {name};", *code.strip().splitlines()]

    def _outputs(self) -> None:
        """Copy what was computed elsewhere to the Scan's buffers, and go on to the next row."""
        for o, tap, v, condition in self.copies:
            if condition is not None:
                self.put(f"if ({condition})")
            rows, columns = self.rows(v), self.columns(v)
            self.put(f"copy<{c_type(v)}>({rows}, {columns}, {self.matrix(v)},"
                     f" buffer{o} + (position{o} + {tap}) * size{o}, {columns});")  # fmt: skip
        numbers = [s.output for s in self.loop.states] + [o for _, o, _ in self.loop.collected]
        for o in numbers:
            self.put(f"if (++position{o} == L{o}) position{o} = 0;")

    def _end(self) -> None:
        """Circular buffers in the order of the steps; zero where no step has been."""
        ends = [(s.output, s.start) for s in self.loop.states if not s.is_kept]
        ends += [(o, 0) for _, o, _ in self.loop.collected]
        for o, start in ends:
            bytes_ = f"size{o} * sizeof(*buffer{o})"
            self.put(f"if (L{o} < steps + {start})",
                     f"    turn((char*)buffer{o}, L{o}, position{o}, {bytes_});",
                     f"else std::fill(buffer{o} + (steps + {start}) * size{o},"
                     f" buffer{o} + L{o} * size{o}, 0);")  # fmt: skip


def _literal(constant: Constant) -> str:
    value = constant.data.item() if hasattr(constant.data, "item") else constant.data
    if isinstance(value, bool):
        return str(int(value))
    T = f"npy_{constant.type.dtype}"
    if isinstance(value, float) and value != value:
        return f"{T}(NAN)"
    if value in (float("inf"), float("-inf")):
        return f"{T}({'-' if value < 0 else ''}INFINITY)"
    return f"{T}({value!r})"
