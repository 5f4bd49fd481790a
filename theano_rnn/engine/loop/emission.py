"""The C++ function of a loop: from the arrays of a Scan, through all steps, to its outputs.

``loop.h`` has what all loops call; ``kernels`` writes the work of a step. Names in the C++:
``n3_0`` is a length of the Scan's input 3, ``length2_1`` one that is computed before the first
step, ``t5`` the memory of a variable, ``x7`` one of its elements.
"""

from theano.graph.basic import Apply
from theano.tensor.basic import Alloc, Join, Split
from theano.tensor.elemwise import Elemwise
from theano.tensor.opt import Shape_i

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.ir import Loop
from theano_rnn.engine.loop.kernels import Kernels
from theano_rnn.engine.loop.places import Places
from theano_rnn.engine.loop.plan import Plan, is_view
from theano_rnn.engine.loop.rules import axis_of, slices
from theano_rnn.engine.loop.text import Text, c_type

#: Stands for the function's name, which the Op puts in.
NAME = "NATIVE_LOOP"

#: Rows that are computed at once, where steps are computed in blocks.
BLOCK_ROWS = 128


def emit(loop: Loop, plan: Plan, dtypes: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return the function, and the support code of the element-wise operations in it.

    Parameters
    ----------
    loop, plan
    dtypes : list of str
        Of the Scan's inputs.

    Returns
    -------
    function : str
        ``static bool NAME(PyArrayObject** in, PyArrayObject*** out, const bool* inplace)``: from
        the Scan's inputs to its outputs. ``inplace`` says which states may be written over their
        first buffers. It returns false, with a Python exception set, if it fails.
    support : tuple of str
        C++ that has to stand before it.

    Raises
    ------
    Unsupported
        If an operation has no C.
    """
    return _Emitter(loop, plan, dtypes).function()


class _Emitter:
    """Writes one function."""

    def __init__(self, loop: Loop, plan: Plan, dtypes: list[str]) -> None:
        self.loop, self.plan, self.dtypes = loop, plan, dtypes
        self.of_block = plan.of_block
        self.text = Text()
        self.places = Places(loop, plan, self.text)
        self.kernels = Kernels(loop, plan, self.text, self.places)
        self.put, self.fail, self.name = self.text.put, self.text.fail, self.text.name

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
        before = len(self.text.lines)
        self._steps()
        self._end()
        self._without_gil(before)
        self.put("return true;")
        head = (
            f"static bool {NAME}(PyArrayObject** in, PyArrayObject*** out, const bool* inplace) {{"
        )
        constants = ["    " + line for line in self.places.constants.values()]
        function = "\n".join([head, *constants, *self.text.lines, "}"]) + "\n"
        return function, tuple(self.kernels.support)

    def number(self, k: int) -> str:
        """The value of the Scan's input k, a number."""
        return f"*(const npy_{self.dtypes[k]}*)PyArray_DATA(in[{k}])"

    def _lengths(self) -> None:
        """Lengths of all inputs, and whether the buffers are long enough."""
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
            least = f"steps + {s.start + max(taps)}" if s.keeps_rows else max(s.start, 1)
            self.fail(f"steps > 0 && L{s.output} < {least}", "IndexError",
                      f"the buffer of output {s.output} is too short")  # fmt: skip
        for k, output, _ in loop.collected:
            self.put(f"const npy_intp L{output} = {self.number(k)};")
            self.fail(f"L{output} < 0 || (steps > 0 && L{output} < 1)", "IndexError",
                      f"output {output} has no room")  # fmt: skip

    def _prologue(self) -> None:
        """Scalars and lengths that are computed before the first step, and checks of lengths."""
        for node in self.loop.prologue:
            if node.outputs[0] not in self.loop.scalars:
                self._define_lengths(node)
            elif isinstance(node.op, Shape_i):
                shape = self.loop.shapes[node.inputs[0]]
                dim = shape[2 - node.inputs[0].ndim + node.op.i]
                self.put(f"const npy_int64 x{self.name(node.outputs[0])} = {dim.root.code};")
            elif isinstance(node.op, Elemwise):
                self.put(*self.kernels.scalar_code(node, node.op.scalar_op))
            else:
                (x,), (y,) = node.inputs, node.outputs
                self.put(f"const {c_type(y)} x{self.name(y)} = {self.text.scalar(x)};")
        for a, b, what in self.loop.checks:
            self.fail(f"{a.code} != {b.code}", "ValueError",
                      f"{what}: two lengths differ that have to be equal")  # fmt: skip

    def _define_lengths(self, node: Apply) -> None:
        if isinstance(node.op, Alloc):
            shape = self.loop.shapes[node.outputs[0]]
            own = shape[2 - node.outputs[0].ndim :]
            for length, dim, wide in zip(node.inputs[1:], own, node.outputs[0].broadcastable):
                if not wide:
                    self.put(f"const npy_intp {dim.code} = {self.text.scalar(length)};")
                    self.fail(f"{dim.code} < 0", "ValueError", "a size is negative")
            return
        if isinstance(node.op, Join):
            along = axis_of(node)
            parts = [self.loop.shapes[v][along].root.code for v in node.inputs[1:]]
            code = self.loop.shapes[node.outputs[0]][along].code
            self.put(f"const npy_intp {code} = {' + '.join(parts)};")
            return
        if isinstance(node.op, Split):
            self._define_parts(node)
            return
        part, whole = self.loop.parts[node], self.loop.shapes[node.inputs[0]]
        for axis, (start, stop) in enumerate(slices(node)):
            if start is None and stop is None:
                continue
            code, length = part[axis].code, whole[axis].root.code
            begin = "0" if start is None else f"slice_end({self.text.scalar(start)}, {length})"
            end = length if stop is None else f"slice_end({self.text.scalar(stop)}, {length})"
            self.put(f"const npy_intp {code}_begin = {begin};")
            self.put(f"const npy_intp {code} = std::max({end} - {code}_begin, npy_intp(0));")

    def _define_parts(self, node: Apply) -> None:
        """Where the parts of a Split begin, and how long they are."""
        along, begin = axis_of(node), "npy_intp(0)"
        for v, size in zip(node.outputs, node.inputs[2].owner.inputs):
            code = self.loop.shapes[v][along].code
            self.put(f"const npy_intp {code} = {self.text.scalar(size)}, {code}_begin = {begin};")
            self.fail(f"{code} < 0", "ValueError", "a size is negative")
            begin = f"{code}_begin + {code}"
        whole = self.loop.shapes[node.inputs[0]][along].root.code
        self.fail(f"{begin} != {whole}", "ValueError", "the parts of a split are not the whole")

    # ---- arrays

    def _inputs(self) -> None:
        """Pointers and strides of the inputs, copied if their layout needs it."""
        for k, v in self.loop.sequences:
            self._prepare(k, v, f"with_dense_rows(in[{k}], 1)")
            self.put(f"const npy_intp stride{k} = stride(q{k}, 0);")
        for k, v in self.loop.fixed:
            is_for_blas = self.places.is_for_blas(v)
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

    def _buffers(self) -> None:
        """The outputs: the buffers of states and of what is collected."""
        for s in self.loop.states:
            variable = s.writes[0][1] if s.writes else s.reads[0][1]
            k, o = s.input, s.output
            rows = f"L{o}" if s.keeps_rows else str(s.start)
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
        """Memory for what is stored in a step or a block, and is not an output."""
        for o, start in self.plan.outputs.values():
            self.put(f"const bool is_apart{o} = L{o} > {start};")
        sizes = []
        for kernel in self.plan.kernels:
            for node in kernel:
                (v,) = node.outputs
                if v in self.plan.stored and node not in self.plan.over:
                    sizes.append((f"t{self.name(v)}", v, self._size(v, v in self.of_block)))
        for k, v in self.places.packed():
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
        panels = [self.places.panels(node) for node in self.places.fixed_products()]
        for name, declaration in panels:
            self.put(declaration, f"const npy_intp {name}_at = workspace.reserve({name}.bytes());")
        self.put("if (!workspace.allocate()) { PyErr_NoMemory(); return false; }")
        for name, _ in panels:
            self.put(f"{name}.pack(workspace.memory + {name}_at);")
        for name, v, _ in sizes:
            T = c_type(v)
            own = name if v in self.of_block or name.startswith("packed") else f"{name}_own"
            self.put(f"{T}* const {own} = ({T}*)(workspace.memory + {name}_at);")

    def _size(self, v: Variable, is_block: bool) -> str:
        rows, columns = (dim.root.code for dim in self.loop.shapes[v])
        return f"block * {rows} * {columns}" if is_block else f"{rows} * {columns}"

    def _without_gil(self, line: int) -> None:
        """Have other threads of Python run from this line on, if nothing after it calls Python."""
        if any("Py" in code for code in self.text.lines[line:]):
            return  # an element-wise operation that may raise an exception
        sizes = [f"PyArray_SIZE(q{k})" for k, _ in self.loop.fixed]
        sizes += [f"size{s.output}" for s in self.loop.states]
        work = f"steps * npy_intp({' + '.join(sizes) or '1'})"
        self.text.lines.insert(line, f"    const WithoutGIL released({work});")

    # ---- the loop

    def _steps(self) -> None:
        self.text.open("for (npy_intp i = 0; i < steps; ++i)")
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
        for v, (s, tap) in self.places.taps.items():
            at, o = f"at{self.name(v)}", s.output
            self.put(f"npy_intp {at} = position{o} + {tap};")
            self.put(f"if ({at} < 0) {at} += L{o};")
            self.put(f"if ({at} >= L{o}) {at} -= L{o};")
            self.put(f"const {c_type(v)}* const tap{self.name(v)} = buffer{o} + {at} * size{o};")
        self._memory()
        for kernel in self.plan.step:
            self.kernels.write(kernel)
        self._outputs()
        self.text.close()

    def _block(self) -> None:
        """The kernels of a block, before its first step."""
        self.places.in_block = True
        self.text.open("if (i % block == 0)")
        self.put("const npy_intp count = std::min(block, steps - i);")
        for k, v in self.places.packed():
            T, size = c_type(v), self._size(v, False)
            self.put(f"const {T}* s{k} = data{k} + i * stride{k};")
            self.text.open(f"if (stride{k} != {size})")
            self.put(f"for (npy_intp j = 0; j < count; ++j) std::memcpy(packed{k} + j * {size},"
                     f" data{k} + (i + j) * stride{k}, {size} * sizeof({T}));",
                     f"s{k} = packed{k};")  # fmt: skip
            self.text.close()
        for kernel in self.plan.block:
            self.kernels.write(kernel)
        self.text.close()
        self.places.in_block = False

    def _memory(self) -> None:
        """Where this step's variables are computed."""
        for kernel in self.plan.step:
            for node in kernel:
                (v,) = node.outputs
                if v not in self.plan.stored or node in self.plan.over:
                    continue
                name = f"t{self.name(v)}"
                at = f"{name}_own"
                if v in self.plan.outputs:
                    o, _ = self.plan.outputs[v]
                    at = f"is_apart{o} ? buffer{o} + position{o} * size{o} : {name}_own"
                self.put(f"{c_type(v)}* const {name} = {at};")

    def _outputs(self) -> None:
        """Copy to the buffers what was computed elsewhere, and move on to the next row."""
        for o, tap, v, is_spare in self.plan.copies:
            if is_spare:
                self.put(f"if (!is_apart{o})")
            rows, columns = self.places.rows(v), self.places.columns(v)
            self.put(f"copy<{c_type(v)}>({rows}, {columns}, {self.places.matrix(v)},"
                     f" buffer{o} + (position{o} + {tap}) * size{o}, {columns});")  # fmt: skip
        numbers = [s.output for s in self.loop.states] + [o for _, o, _ in self.loop.collected]
        for o in numbers:
            self.put(f"if (++position{o} == L{o}) position{o} = 0;")

    def _end(self) -> None:
        """Turn circular buffers into the order of the steps; fill unused rows with zeros."""
        ends = [(s.output, s.start) for s in self.loop.states if not s.keeps_rows]
        ends += [(o, 0) for _, o, _ in self.loop.collected]
        for o, start in ends:
            bytes_ = f"size{o} * sizeof(*buffer{o})"
            self.put(f"if (L{o} < steps + {start})",
                     f"    turn((char*)buffer{o}, L{o}, position{o}, {bytes_});",
                     f"else std::fill(buffer{o} + (steps + {start}) * size{o},"
                     f" buffer{o} + L{o} * size{o}, 0);")  # fmt: skip
