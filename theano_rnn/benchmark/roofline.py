"""The roofline: no program can take a step in less time on this machine, whatever it calls.

A step has to do the operations of its products, and to read what no register holds. The first
take their number over the operations a second that a loop of multiplications in registers
reaches; the second their bytes over the bytes a second that a loop of reads reaches, out of the
cache that they fit into (Williams, Waterman, Patterson 2009). The longer of the two is the
roofline. ``limit`` is what this BLAS needs for the products, which is more.

==============  =====================  ==========================================
product         operations, N = T B    bytes, of float32
==============  =====================  ==========================================
W s, W' dp      2 x 2 N G H H          of W at each step, forwards and backwards
dW              2 N G H H              of W, which is read and written
V s, V' dz, dV  3 x 2 N H vocab_size   of V, which is read twice and written
==============  =====================  ==========================================

The rows of U, the states and the logits are not counted: a program could keep them in a cache
beside the products. So the roofline is a bound, and not one that can be reached in full.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from theano_rnn.common.types import Function, Variable
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.model.cells import CELLS

#: Rounds of the loop of multiplications, and bytes of one measurement of reads: some milliseconds.
ROUNDS, READ = 2_000_000, 1 << 28
#: Measurements, of which the best counts: a roof is not lower because another program ran.
TIMES = 5


class Roofs(theano.graph.op.COp):
    """(threads, bytes, amount) -> operations a second if bytes is 0, else bytes a second."""

    __props__ = ()

    def make_node(self, sizes: Variable) -> Any:
        return theano.graph.basic.Apply(self, [sizes], [tensor.dscalar()])

    def perform(self, node: Any, inputs: list[Any], outputs: list[Any]) -> None:
        raise NotImplementedError("the machine is measured in C")

    def c_support_code(self, **kwargs: Any) -> str:
        return Path(__file__).with_name("roofline.h").read_text("utf-8")

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<algorithm>", "<new>"]

    def c_code(
        self, node: Any, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (sizes,), (measured,), fail = inputs, outputs, sub["fail"]
        return f"""
        {{
            const npy_int64* n = (npy_int64*)PyArray_DATA({sizes});
            const double found = n[1] == 0 ? roofline::operations_a_second(int(n[0]), n[2])
                                           : roofline::bytes_a_second(int(n[0]), n[1], n[2]);
            if (found == 0) {{ PyErr_NoMemory(); {fail} }}
            Py_XDECREF({measured});
            {measured} = (PyArrayObject*)PyArray_ZEROS(0, NULL, NPY_DOUBLE, 0);
            if ({measured} == NULL) {{ {fail} }}
            *(double*)PyArray_DATA({measured}) = found;
        }}
        """

    def c_code_cache_version(self) -> tuple[int, ...]:
        return ()


@dataclass(frozen=True)
class Part:
    """Bytes that a step reads or writes, out of memory of a size."""

    size: int
    bytes: int


def work(
    cell: str, vocab_size: int, hidden_size: int, T: int, B: int = 1
) -> tuple[int, list[Part]]:
    """The floating-point operations of a step, and what it must read and write.

    Examples
    --------
    >>> work("tanh", vocab_size=3, hidden_size=2, T=10)
    (600, [Part(size=16, bytes=352), Part(size=24, bytes=72)])
    """
    H, N = hidden_size, T * B
    W, V = CELLS[cell].G * H * H, vocab_size * H
    size_W, size_V = 4 * W, 4 * V
    return 6 * N * (W + V), [
        Part(size_W, (2 * T + 2) * size_W),
        Part(size_V, 3 * size_V),
    ]


class Machine:
    """The roofs of this machine, measured.

    Parameters
    ----------
    threads : int
        Cores at work.

    Attributes
    ----------
    operations : float
        Floating-point operations a second, in float32.
    """

    def __init__(self, threads: int) -> None:
        sizes = tensor.lvector("sizes")
        self._measure: Function = compile_function([sizes], Roofs()(sizes), name="roofs")
        self.threads = threads
        self._bandwidths: dict[int, float] = {}
        self.operations = self._best(0, ROUNDS)

    def bandwidth(self, size: int) -> float:
        """Bytes a second, read out of memory of this size, of which each core has its part."""
        if size not in self._bandwidths:
            self._bandwidths[size] = self._best(size, READ)
        return self._bandwidths[size]

    def milliseconds(self, cell: str, **workload: int) -> tuple[float, float]:
        """The time of the operations of a step, and that of its reads and writes."""
        operations, parts = work(cell, **workload)
        taken = sum(part.bytes / self.bandwidth(part.size) for part in parts)
        return 1000 * operations / self.operations, 1000 * taken

    def _best(self, size: int, amount: int) -> float:
        asked = np.asarray([self.threads, size, amount], np.int64)
        return max(float(self._measure(asked)) for _ in range(TIMES))
