"""Our products read and write nothing beyond their arrays, as the compiler's sanitizers see it."""

import shlex
import subprocess
from pathlib import Path

import pytest

import theano_rnn.engine
from theano_rnn.engine import theano

OPS = Path(theano_rnn.engine.__file__).parent / "ops"

#: Every product of every size, in arrays of just that size. It ends with 1 if one is wrong.
PROGRAM = """
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
typedef long npy_intp;
typedef int npy_int32;
typedef long npy_int64;
typedef double npy_double;
#include "vectors.h"
#include "gemv.h"
#include "threads.h"
#include "skinny_gemm.h"
#ifdef __AVX512BF16__
#include "matrix.h"
#include "bf16_gemm.h"
#endif

template <typename T>
std::vector<T> random(npy_intp n) {
    std::vector<T> values(n);
    for (T& value : values) value = T(std::rand()) / RAND_MAX - T(.5);
    return values;
}

// Whether out (m, n) is alpha x (m, k) y (k, n) + before.
template <typename T>
bool is_product(npy_intp m, npy_intp n, npy_intp k, const std::vector<T>& x,
                const std::vector<T>& y, npy_intp row, npy_intp column, const std::vector<T>& out,
                T alpha = 1, T before = 0, double tolerance = 1e-4) {
    for (npy_intp i = 0; i < m; ++i)
        for (npy_intp j = 0; j < n; ++j) {
            T sum = before;
            for (npy_intp l = 0; l < k; ++l) sum += alpha * x[i * k + l] * y[l * row + j * column];
            if (!(std::fabs(sum - out[i * n + j]) < tolerance)) return false;
        }
    return true;
}

template <typename T>
bool gemv_is_right(npy_intp n, npy_intp k) {
    const std::vector<T> x = random<T>(k), y = random<T>(k * n);
    for (int by_rows = 0; by_rows < 2; ++by_rows) {
        const npy_intp row = by_rows ? n : 1, column = by_rows ? 1 : k;
        if (!gemv::fits<T>(n, k, by_rows, 1)) continue;
        std::vector<T> out(n), again(n), back(n), panels(gemv::Layout<T>(n).size(k));
        if (by_rows) gemv::by_rows<T>(n, k, x.data(), 1, y.data(), n, out.data());
        else gemv::by_columns<T>(n, k, x.data(), y.data(), k, out.data());
        gemv::pack<T>(n, k, y.data(), row, column, panels.data());
        gemv::by_panels<T>(n, k, x.data(), 1, panels.data(), again.data(), false);
        gemv::by_panels<T>(n, k, x.data(), 1, panels.data(), back.data(), true);
        if (again != back) return false;
        if (!is_product<T>(1, n, k, x, y, row, column, out)) return false;
        if (!is_product<T>(1, n, k, x, y, row, column, again)) return false;
    }
    return true;
}

template <typename T>
bool gemm_is_right(npy_intp m, npy_intp n, npy_intp k) {
    const std::vector<T> x = random<T>(m * k), y = random<T>(n * k);
    std::vector<T> out(m * n);
    if (!skinny_gemm::by_transposed<T>(m, n, k, x.data(), k, 1, y.data(), k, out.data(), n)
        || !is_product<T>(m, n, k, x, y, 1, k, out)) return false;
    if (n < vectors::Lanes<T>::n) return true;
    std::fill(out.begin(), out.end(), T(2));
    return skinny_gemm::add<T>(m, n, k, T(.5), x.data(), k, 1, y.data(), n, T(.25), out.data(),
                            n)
           && is_product<T>(m, n, k, x, y, n, 1, out, T(.5), T(.5));
}

#ifdef __AVX512BF16__
// x and y by rows, then by columns.
bool bf16_is_right(npy_intp m, npy_intp n, npy_intp k) {
    typedef native_loop::Matrix<const float> Matrix;
    const std::vector<float> x = random<float>(m * k), y = random<float>(n * k);
    std::vector<float> turned(m * k), out(m * n, 2);
    for (npy_intp i = 0; i < m; ++i)
        for (npy_intp l = 0; l < k; ++l) turned[l * m + i] = x[i * k + l];
    const double tolerance = .004 * (k + 1);  // 2^-7 of the largest sum of sizes, and rounding
    return bf16_gemm::in_one_thread(m, n, k, .5f, Matrix{x.data(), k, 1}, Matrix{y.data(), n, 1},
                                    true, out.data(), n)
           && is_product<float>(m, n, k, x, y, n, 1, out, .5f, 2.f, tolerance)
           && bf16_gemm::in_one_thread(m, n, k, 1.f, Matrix{turned.data(), 1, m},
                                       Matrix{y.data(), 1, k}, false, out.data(), n)
           && is_product<float>(m, n, k, x, y, 1, k, out, 1.f, 0.f, tolerance);
}
#else
bool bf16_is_right(npy_intp, npy_intp, npy_intp) { return true; }
#endif

int main() {
    const npy_intp sizes[] = {1, 3, 7, 8, 9, 15, 16, 17, 33, 64, 65, 100, 129, 257};
    for (npy_intp n : sizes)
        for (npy_intp k : sizes) {
            if (!gemv_is_right<float>(n, k) || !gemv_is_right<double>(n, k)) return 1;
            for (npy_intp m : {1, 5, 6, 20})
                if (!gemm_is_right<float>(m, n, k) || !gemm_is_right<double>(m, n, k)
                    || !bf16_is_right(m, n, k)) return 1;
        }
    for (npy_intp n : {7, 15, 31, 64, 100})  // a panel in many blocks
        if (!gemv_is_right<float>(n, 2500) || !gemv_is_right<double>(n, 2500)) return 1;
    return !bf16_is_right(270, 970, 390);  // more than a block each way
}
"""


@pytest.mark.slow
def test_no_product_leaves_its_arrays(tmp_path):
    cxx = shlex.split(theano.config.cxx)
    source, program = tmp_path / "products.cpp", tmp_path / "products"
    source.write_text(PROGRAM)
    flags = ["-O1", "-g", "-march=native", "-fsanitize=address,undefined", f"-I{OPS}"]
    flags.append("-fno-sanitize-recover=all")
    nothing = tmp_path / "nothing.cpp"
    nothing.write_text("int main() { return 0; }")
    tried = subprocess.run([*cxx, *flags, nothing, "-o", program], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"the compiler has no sanitizers: {tried.stderr.strip()[-200:]}")
    made = subprocess.run([*cxx, *flags, source, "-o", program], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    ran = subprocess.run([program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
