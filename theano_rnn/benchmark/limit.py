"""The matrix products of a step alone, by BLAS: what a program that calls it may hope for.

They run one after another, on matrices of the shapes of a step, without any work between them: the
products of the recurrence, forwards and backwards for each time step; the product with V and the
two that go back from the logits; and the gradient of W. Reading rows of U costs nothing here.
"""

import zlib
from typing import Any

from theano_rnn.common.types import Function, Variable
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.c_code import source


class Products(theano.graph.op.COp):
    """Runs the products of one step: (T, B, H, G, vocab_size) as an int64 vector -> 0.0."""

    __props__ = ()

    def make_node(self, sizes: Variable) -> Any:
        return theano.graph.basic.Apply(self, [sizes], [tensor.dscalar()])

    def perform(self, node: Any, inputs: list[Any], outputs: list[Any]) -> None:
        raise NotImplementedError("the products are measured in C")

    def c_support_code(self, **kwargs: Any) -> str:
        return (
            "#define BLAS_GEMV\n"
            + source("ops/vectors.h", "ops/gemv.h", "ops/threads.h", "ops/matrix.h", "loop/loop.h")
            + """
        static bool products_of_a_step(npy_intp T, npy_intp B, npy_intp H, npy_intp G,
                                       npy_intp vocab_size) {
            using namespace native_loop;
            const npy_intp N = T * B;
            const npy_intp sizes[] = {G * H * H, vocab_size * H, N * H, N * G * H, N * vocab_size};
            static Workspace workspace;
            static npy_intp made = 0;
            npy_intp wanted = 0, at[5];
            for (int i = 0; i < 5; ++i) {
                at[i] = wanted;
                wanted += sizes[i];
            }
            if (made != wanted) {
                std::free(workspace.memory);
                workspace.memory = NULL;
                workspace.size = wanted * sizeof(float);
                if (!workspace.allocate()) return false;
                std::fill((float*)workspace.memory, (float*)workspace.memory + wanted, 0.f);
                made = wanted;
            }
            float* const W = (float*)workspace.memory;
            float *V = W + at[1], *s = W + at[2], *p = W + at[3], *z = W + at[4];
            typedef Matrix<const float> M;
            for (npy_intp t = 0; t < T; ++t)  // W s
                product<float>(B, G * H, H, M{s + t * B * H, H, 1}, M{W, 1, H}, p + t * B * G * H);
            product<float>(N, vocab_size, H, M{s, H, 1}, M{V, 1, H}, z);  // V s
            product<float>(N, H, vocab_size, M{z, vocab_size, 1}, M{V, H, 1}, s);  // V' dz
            for (npy_intp t = 0; t < T; ++t)  // W' dp
                product<float>(B, H, G * H, M{p + t * B * G * H, G * H, 1}, M{W, H, 1},
                               s + t * B * H);
            product<float>(G * H, H, N, M{p, 1, G * H}, M{s, H, 1}, W);  // dW
            product<float>(vocab_size, H, N, M{z, 1, vocab_size}, M{s, H, 1}, V);  // dV
            return true;
        }
        """
        )

    def c_code(
        self, node: Any, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (sizes,), (done,), fail = inputs, outputs, sub["fail"]
        return f"""
        {{
            const npy_int64* n = (npy_int64*)PyArray_DATA({sizes});
            if (!products_of_a_step(n[0], n[1], n[2], n[3], n[4])) {{ PyErr_NoMemory(); {fail} }}
            Py_XDECREF({done});
            {done} = (PyArrayObject*)PyArray_ZEROS(0, NULL, NPY_DOUBLE, 0);
            if ({done} == NULL) {{ {fail} }}
        }}
        """

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (2, zlib.crc32(self.c_support_code().encode()))


def compile_products() -> Function:
    """A function of (T, B, H, G, vocab_size) that runs the products of one step in float32."""
    sizes = tensor.lvector("sizes")
    return compile_function([sizes], Products()(sizes), name="products")
