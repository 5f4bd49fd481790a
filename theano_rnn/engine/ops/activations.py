"""tanh and the sigmoid in code that the C compiler vectorises.

Theano's own Elemwise calls the C library's tanh, or its exp, for one element after the other. The
user's graph stays ``tensor.tanh(z)`` and ``tensor.nnet.sigmoid(z)``; where a function is compiled
in FAST_RUN by a C compiler, two rewrites put the Ops below in their place, also in the steps of a
scan and in expressions that Theano fuses into one loop:

``vectorized_tanh``
``vectorized_sigmoid``

Each is switched off by its name, as in ``mode.excluding("vectorized_tanh")`` or in the flag
``optimizer_excluding``. A scan takes the mode for its steps from ``theano.scan(mode=...)``, or
from the flags, not from the function it stands in.
"""

import functools
import zlib
from pathlib import Path
from typing import Any, Optional

from scipy.special import expit
from theano import scalar
from theano.compile import optdb
from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.opt import copy_stack_trace, in2out, local_optimizer
from theano.tensor.elemwise import Elemwise
from theano.tensor.nnet.sigm import ScalarSigmoid

from theano_rnn.common.types import Variable

DTYPES = ("float32", "float64")


@functools.cache
def c_source() -> str:
    """The C both Ops call."""
    return Path(__file__).with_name("vector_math.h").read_text("utf-8")


class _Vectorized:
    """C code in the place of that of a Theano Op, which stays the base class."""

    function: str  # its name in vector_math.h

    def c_support_code(self, **kwargs: Any) -> str:
        return c_source()

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x,), (z,) = inputs, outputs
        dtype = node.inputs[0].type.dtype
        if dtype not in DTYPES:
            raise NotImplementedError(f"{self} of {dtype}")
        return f"{z} = vector_math::{self.function}<npy_{dtype}>({x});"

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (1, zlib.crc32(c_source().encode()))


class VectorizedTanh(_Vectorized, scalar.Tanh):
    """tanh, to within 2 units of the last digit.

    Notes
    -----
    Exactly 1 and -1 far from 0, x itself near 0, NaN for NaN.
    """

    function = "tanh"


class VectorizedSigmoid(_Vectorized, ScalarSigmoid):
    """1 / (1 + exp(-x)), to within 2 units of the last digit.

    Notes
    -----
    0 where it is no normal number, below -87.3 (float64: -708.4), NaN for NaN.
    """

    function = "sigmoid"

    def impl(self, x: float) -> Any:
        return expit(x)


def register(theanos: type, op_class: Any) -> None:
    """Have Theano's optimizer put the Elemwise of op_class where that of `theanos` stands."""
    name = f"vectorized_{op_class.function}"
    ours = Elemwise(op_class(scalar.upgrade_to_float, name=name))

    @local_optimizer([Elemwise])
    def rewrite(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
        if not isinstance(node.op, Elemwise) or type(node.op.scalar_op) is not theanos:
            return None
        (x,), (old,) = node.inputs, node.outputs
        if node.op.inplace_pattern or x.dtype not in DTYPES or old.dtype != x.dtype:
            return None
        new = ours(x)
        copy_stack_trace(old, new)
        return [new]

    # After every rewrite that knows Theano's Ops, as log(sigmoid(x)) -> -softplus(-x), and before
    # neighbours are fused, at 49. Without a C compiler there is nothing to win.
    optdb.register(name, in2out(rewrite, name=name), 48.5, "fast_run", "cxx_only")


register(scalar.Tanh, VectorizedTanh)
register(ScalarSigmoid, VectorizedSigmoid)
