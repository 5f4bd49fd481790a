"""Thin products: a matrix of many rows with one of few, as an output layer has them.

The three products of a sentence with V, (T, H) with (vocab_size, H), have 20 rows on one side and
thousands on the other. BLAS copies both into blocks of its own, made for matrices that are large
both ways; for these few rows the copy costs as much as the product. ``thin.h`` reads the large
matrix once. The rewrite ``thin_products`` puts the Ops below where Theano's stand; they look at
the sizes when they run, and give BLAS what is not thin. It is switched off by its name, as in
``mode.excluding("thin_products")`` or in the flag ``optimizer_excluding``.

They compute in as many threads as OPENBLAS_NUM_THREADS gives BLAS, and in one where it is not set.
Sums are taken in another order than by BLAS: the results differ by rounding.
"""

import functools
import zlib
from pathlib import Path
from typing import Any, Optional

import numpy as np
from theano import tensor
from theano.compile import optdb
from theano.graph.basic import Apply
from theano.graph.op import COp
from theano.graph.opt import copy_stack_trace, in2out, local_optimizer
from theano.tensor.basic import NotScalarConstantError, get_scalar_constant_value
from theano.tensor.blas import Dot22, Gemm, ldflags

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.op import header

DTYPES = ("float32", "float64")


@functools.cache
def c_source() -> str:
    """The C++ that both Ops call."""
    here = Path(__file__).parent
    return header() + "".join((here / name).read_text("utf-8") for name in ("thin.h", "thin.c"))


class _ThinOp(COp):
    """What the two Ops share: the C++, and the BLAS it falls back on."""

    def c_support_code(self, **kwargs: Any) -> str:
        return c_source()

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<cmath>"]

    def c_libraries(self, **kwargs: Any) -> list[str]:
        return list(ldflags())

    def c_lib_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, libs_dir=True))

    def c_header_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, include_dir=True))

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return ["-fopenmp", *ldflags(libs=False, flags=True)]

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (1, zlib.crc32(c_source().encode()))


class Product(_ThinOp):
    """x y: (m, k) and (k, n) -> (m, n), of one dtype, float32 or float64.

    Raises
    ------
    ValueError
        When run, if the inner sizes differ.
    """

    __props__ = ()

    def make_node(self, x: Variable, y: Variable) -> Apply:
        broadcastable = (x.broadcastable[0], y.broadcastable[1])
        return Apply(self, [x, y], [tensor.TensorType(x.dtype, broadcastable)()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [(shapes[0][0], shapes[1][1])]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        outputs[0][0] = np.dot(*inputs)

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (x, y), (out,), fail = inputs, outputs, sub["fail"]
        return f"if (!thin::product<dtype_{x}>({x}, {y}, &{out})) {{ {fail} }}"


class AddProduct(_ThinOp):
    """z + alpha x y, written over z: (m, n), a scalar, (m, k) and (k, n) -> (m, n).

    Raises
    ------
    ValueError
        When run, if the sizes do not fit; z is as it was then.
    """

    __props__ = ()

    def __init__(self) -> None:
        self.destroy_map = {0: [0]}

    def make_node(self, z: Variable, alpha: Variable, x: Variable, y: Variable) -> Apply:
        return Apply(self, [z, alpha, x, y], [z.type()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0]]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        z, alpha, x, y = inputs
        z += alpha * np.dot(x, y)
        outputs[0][0] = z

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (z, alpha, x, y), (out,), fail = inputs, outputs, sub["fail"]
        return f"""
        if (!thin::add_product<dtype_{z}>({z}, *(dtype_{z}*)PyArray_DATA({alpha}), {x}, {y})) {{
            {fail}
        }}
        Py_INCREF({z});
        Py_XDECREF({out});
        {out} = {z};
        """


@local_optimizer([Dot22, Gemm])
def local_thin_products(fgraph: Any, node: Apply) -> Optional[list[Variable]]:
    """Dot22 -> Product; Gemm in place that adds to the whole of its matrix -> AddProduct."""
    if not isinstance(node.op, (Dot22, Gemm)) or node.outputs[0].dtype not in DTYPES:
        return None
    if isinstance(node.op, Dot22):
        new = Product()(*node.inputs)
    else:
        z, alpha, x, y, beta = node.inputs
        if not node.op.inplace or not _is_one(beta):
            return None
        new = AddProduct()(z, alpha, x, y)
    (old,) = node.outputs
    if new.type != old.type:
        return None
    copy_stack_trace(old, new)
    return [new]


def _is_one(scalar: Variable) -> bool:
    try:
        return bool(get_scalar_constant_value(scalar) == 1)
    except NotScalarConstantError:
        return False


# After Theano has made its Gemm work in place, at 70.
optdb.register(
    "thin_products",
    in2out(local_thin_products, name="thin_products"),
    71,
    "fast_run",
    "cxx_only",
)
