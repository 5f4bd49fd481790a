"""Updates of parameters and of an optimizer's state: in one pass, and in several threads.

A rule such as adam is some elementwise expressions of a parameter, its gradient and its state.
Theano computes the new mean, the new square and the new parameter in three loops in one thread,
each of which reads from the memory what another one had just read or written. The rewrite
``merged_updates``, which ``engine.rewrites`` registers, makes one Op of them.

Each element is computed from the same numbers as before, whatever the number of threads.
"""

from typing import Any, Optional

import numpy as np
from theano.graph.basic import Apply
from theano.graph.destroyhandler import DestroyHandler
from theano.graph.fg import FunctionGraph, InconsistencyError
from theano.graph.opt import GlobalOptimizer, copy_stack_trace
from theano.graph.toolbox import ReplaceValidate
from theano.graph.utils import MethodNotDefined
from theano.scalar.basic import Composite, get_scalar_type
from theano.tensor.elemwise import Elemwise

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS, SimdOp

#: Reading an element of an array takes the time of so many multiplications.
WORK = 10
#: An Op has at most so many arrays, inputs and outputs together: NumPy's ufuncs take no more.
MOST_ARRAYS = 32
#: Stands in C code where it would raise an exception, which it cannot do without Python's lock.
FAIL = "CANNOT_FAIL"


class Update(SimdOp):
    """Elementwise expressions of matrices of one shape and of numbers, in one loop.

    Parameters
    ----------
    composite : Composite
        The expressions, of scalars.
    inplace : tuple of (int, int)
        Outputs, and the inputs that they are written over.
    *inputs : matrices, or numbers as matrices of one element

    Raises
    ------
    ValueError
        When run, if the matrices differ in shape; all of them are as they were then.
    """

    __props__ = ("composite", "inplace")
    files = ("gil.h", "ops/threads.h")

    def __init__(self, composite: Composite, inplace: tuple[tuple[int, int], ...] = ()) -> None:
        self.composite, self.inplace = composite, inplace
        if inplace:
            self.destroy_map = {output: [input] for output, input in inplace}

    def __str__(self) -> str:
        return f"Update{{{self.composite}}}{list(self.inplace)}"

    def make_node(self, *inputs: Variable) -> Apply:
        matrix = next(x for x in inputs if not any(x.broadcastable))
        types = [scalar.dtype for scalar in self.composite.outputs]
        return Apply(self, inputs, [matrix.type.clone(dtype=dtype)() for dtype in types])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        (first, *_) = (s for x, s in zip(node.inputs, shapes) if not any(x.broadcastable))
        return [first] * len(node.outputs)

    def prepare_node(self, node: Apply, storage_map: Any, compute_map: Any, impl: str) -> None:
        self.composite.prepare_node(node, storage_map, compute_map, impl)

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        shapes = {x.shape for x, v in zip(inputs, node.inputs) if not any(v.broadcastable)}
        if len(shapes) > 1:
            raise ValueError("an update of matrices of several shapes")
        function = np.frompyfunc(self.composite.impl, len(inputs), len(outputs))
        results = function(*inputs)
        results = results if isinstance(results, tuple) else (results,)
        for index, (out, result) in enumerate(zip(outputs, results)):
            result = result.astype(node.outputs[index].dtype)
            written = dict(self.inplace).get(index)
            if written is not None:
                inputs[written][...] = result
                result = inputs[written]
            out[0] = result

    def c_code_cache_version(self) -> tuple[Any, ...]:
        version = self.composite.c_code_cache_version()
        return (*super().c_code_cache_version(), version) if version else ()

    def c_support_code(self, **kwargs: Any) -> str:
        return f"{super().c_support_code(**kwargs)}\n{self.composite.c_support_code(**kwargs)}"

    def c_support_code_apply(self, node: Apply, name: str) -> str:
        code: str = self.composite.c_support_code_apply(node, name)
        return code

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        is_matrix = {n: not any(x.broadcastable) for n, x in zip(inputs, node.inputs)}
        read = [n for n in inputs if is_matrix[n]]
        given = [n for n in inputs if not is_matrix[n]]
        over = {outputs[o]: inputs[i] for o, i in self.inplace}
        arrays = read + outputs
        kinds = {n: x.type.dtype_specs()[2] for n, x in zip(outputs, node.outputs)}
        first, fail = read[0], sub["fail"]
        code = [
            f"const npy_intp rows = PyArray_DIM({first}, 0), columns = PyArray_DIM({first}, 1);",
            "npy_intp shape[] = {rows, columns};",
        ]
        for n in read[1:]:
            code.append(
                f"if (PyArray_DIM({n}, 0) != rows || PyArray_DIM({n}, 1) != columns) {{"
                ' PyErr_SetString(PyExc_ValueError, "an update of matrices of several shapes");'
                f" {fail} }}"
            )
        for n in outputs:
            if n in over:
                code.append(f"Py_INCREF({over[n]}); Py_XDECREF({n}); {n} = {over[n]};")
                continue
            code.append(
                f"if ({n} == NULL || !PyArray_ISCONTIGUOUS({n}) || PyArray_DIM({n}, 0) != rows ||"
                f" PyArray_DIM({n}, 1) != columns) {{ Py_XDECREF({n});"
                f" {n} = (PyArrayObject*)PyArray_EMPTY(2, shape, {kinds[n]}, 0);"
                f" if ({n} == NULL) {{ {fail} }} }}"
            )
        flat = " && ".join(f"PyArray_ISCONTIGUOUS({n})" for n in arrays)
        code += [f"const dtype_{n} {n}_i = *(const dtype_{n}*)PyArray_DATA({n});" for n in given]
        code += [f"dtype_{n}* const {n}_at = (dtype_{n}*)PyArray_DATA({n});" for n in arrays]
        for n in arrays:  # in elements
            code.append(
                f"const npy_intp {n}_row = PyArray_STRIDE({n}, 0) / npy_intp(sizeof(dtype_{n})),"
                f" {n}_column = PyArray_STRIDE({n}, 1) / npy_intp(sizeof(dtype_{n}));"
            )
        work = WORK * len(arrays)
        code += [
            f"const bool is_flat = {flat};",
            "const npy_intp lines = is_flat ? 1 : rows, size = rows * columns;",
            f"WithoutGIL unlocked({work} * size);",
            f"const int threads_here = threads::number({work} * size);",
        ]
        return "{" + "\n".join(code) + self._loops(node, name, inputs, outputs, read) + "}"

    def _loops(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], read: list[str]
    ) -> str:
        """The loop over all elements of arrays without gaps, and that over rows and columns."""
        task = self.composite.c_code(
            node, name, [f"{n}_i" for n in inputs], [f"{n}_o" for n in outputs], {"fail": FAIL}
        )

        def body(place: str) -> str:
            get = "".join(f"const dtype_{n} {n}_i = {n}_at[{place.format(n)}];" for n in read)
            made = "".join(f"dtype_{n} {n}_o;" for n in outputs)
            put = "".join(f"{n}_at[{place.format(n)}] = {n}_o;" for n in outputs)
            return f"{{ {get} {made} {task} {put} }}"

        return f"""
        if (is_flat) {{
            #pragma omp parallel for simd num_threads(threads_here) schedule(static)
            for (npy_intp i = 0; i < size; ++i) {body("i")}
        }} else {{
            #pragma omp parallel for num_threads(threads_here) schedule(static)
            for (npy_intp r = 0; r < rows; ++r)
                for (npy_intp c = 0; c < columns; ++c)
                    {body("r * {0}_row + c * {0}_column")}
        }}
        """


class MergedUpdates(GlobalOptimizer):
    """One ``Update`` for the new value of a shared matrix and those beside it that it reads."""

    def add_requirements(self, fgraph: FunctionGraph) -> None:
        """Have the graph refuse what would be written over too early."""
        fgraph.attach_feature(ReplaceValidate())
        fgraph.attach_feature(DestroyHandler())

    def apply(self, fgraph: FunctionGraph) -> None:
        """Change the graph of a function."""
        updated = {
            fgraph.outputs[new]: fgraph.inputs[old]
            for new, old in (fgraph.update_mapping or {}).items()
        }
        groups = [_group(fgraph, v.owner) for v in updated if _is_elementwise(v.owner)]
        # The largest first: the group of a parameter holds the smaller groups of its state.
        for group in sorted(groups, key=len, reverse=True):
            if not all(node in fgraph.apply_nodes for node in group):
                continue
            node = _merged(fgraph, group, updated)
            for index in range(len(node.outputs) if node else 0):
                node = _overwriting(fgraph, node, index, updated)


def _is_elementwise(node: Optional[Apply]) -> bool:
    """Whether a node computes a matrix, each element from one of each matrix, in C."""
    if node is None or type(node.op) is not Elemwise or len(node.outputs) > 1:
        return False
    patterns = {x.broadcastable for x in node.inputs}
    (output,) = node.outputs
    return (
        not node.op.inplace_pattern
        and output.dtype in FLOATS
        and (False, False) in patterns
        and patterns <= {(False, False), (True, True)}
        and _cannot_fail(node)
    )


def _cannot_fail(node: Apply) -> bool:
    """Whether there is C code for an element, and it never raises; a division of integers may."""
    op = node.op.scalar_op
    try:
        element = op.make_node(*(get_scalar_type(x.dtype)() for x in node.inputs))
        names = [f"x{i}" for i in range(len(node.inputs))]
        code = op.c_code(element, "of_element", names, ["z"], {"fail": FAIL, "id": "0"})
    except (NotImplementedError, MethodNotDefined):
        return False
    return FAIL not in code


def _group(fgraph: FunctionGraph, node: Apply) -> list[Apply]:
    """A node, and all nodes before it that nothing outside of the group reads.

    The outputs of the function may be read from the group: no path leads from there back to it.
    """
    group, is_larger = [node], True
    while is_larger:
        is_larger = False
        for producer in dict.fromkeys(v.owner for each in group for v in each.inputs):
            if producer in group or not _is_elementwise(producer):
                continue
            (output,) = producer.outputs
            if all(reader == "output" or reader in group for reader, _ in fgraph.clients[output]):
                group.append(producer)
                is_larger = True
    return group


def _merged(
    fgraph: FunctionGraph, group: list[Apply], updated: dict[Variable, Variable]
) -> Optional[Apply]:
    """One node for all updates of a group; None if they cannot be computed at once.

    What a group computes and the function returns, but is no update, Theano computes once more.
    """
    nodes = [node for node in fgraph.toposort() if node in group]
    made = [output for node in nodes for output in node.outputs]
    inputs = list(dict.fromkeys(v for node in nodes for v in node.inputs if v not in made))
    outputs = [output for output in made if output in updated]
    if len(inputs) + len(outputs) >= MOST_ARRAYS:
        return None
    scalars = {v: get_scalar_type(v.dtype)() for v in inputs}
    for node in nodes:
        scalars.update(zip(node.outputs, _of_one_element(node, scalars)))
    composite = Composite([scalars[v] for v in inputs], [scalars[v] for v in outputs])
    new = Update(composite).make_node(*inputs)
    copy_stack_trace(outputs, new.outputs)
    try:
        fgraph.replace_all_validate(list(zip(outputs, new.outputs)), reason="merged_updates")
    except InconsistencyError:  # one of them must be computed before what another one reads
        return None
    updated.update(zip(new.outputs, [updated[old] for old in outputs]))
    return new


def _of_one_element(node: Apply, scalars: dict[Variable, Variable]) -> list[Variable]:
    """What a node computes of the scalars that stand for its inputs."""
    op, inputs = node.op.scalar_op, [scalars[v] for v in node.inputs]
    if not isinstance(op, Composite):
        outputs: list[Variable] = op.make_node(*inputs).outputs
        return outputs
    values = dict(zip(op.fgraph.inputs, inputs))
    for inner in op.fgraph.toposort():
        new = inner.op.make_node(*(values.get(v, v) for v in inner.inputs))
        values.update(zip(inner.outputs, new.outputs))
    return [values[v] for v in op.fgraph.outputs]


def _overwriting(
    fgraph: FunctionGraph, node: Apply, index: int, updated: dict[Variable, Variable]
) -> Apply:
    """A node that writes an output over the shared variable; this one if it must not."""
    output, op = node.outputs[index], node.op
    old = [i for i, v in enumerate(node.inputs) if _viewed(v) is updated[output]]
    if not old or output.type != node.inputs[old[0]].type:
        return node
    new = Update(op.composite, (*op.inplace, (index, old[0]))).make_node(*node.inputs)
    copy_stack_trace(node.outputs, new.outputs)
    try:
        pairs = list(zip(node.outputs, new.outputs))
        fgraph.replace_all_validate(pairs, reason="merged_updates")
    except InconsistencyError:  # something else reads the old value, and later
        return node
    updated.update({v: updated[before] for before, v in pairs})
    return new


def _viewed(v: Variable) -> Variable:
    """What a variable is a view of, such as one that is read only if a number is finite."""
    while v.owner is not None and getattr(v.owner.op, "view_map", {}).get(0):
        v = v.owner.inputs[v.owner.op.view_map[0][0]]
    return v
