"""What the Ops with C code share: their source files, their versions, the flags of BLAS."""

import functools
import zlib
from pathlib import Path
from typing import Any

from theano.graph.op import COp
from theano.tensor.blas import ldflags

FOLDER = Path(__file__).parent

#: What the C is written for; other dtypes stay with Theano's Ops.
FLOATS = ("float32", "float64")


@functools.cache
def source(*files: str) -> str:
    """The text of C files of the engine, one after the other: ``source("loop/loop.h")``."""
    return "".join((FOLDER / name).read_text("utf-8") for name in files)


class FromFiles:
    """An Op whose support code is that of C files, and whose version is their checksum.

    Theano keeps compiled modules by the versions of their Ops: a changed file is compiled anew.
    """

    files: tuple[str, ...]  # below engine/

    def c_support_code(self, **kwargs: Any) -> str:
        return source(*self.files)

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (1, zlib.crc32(source(*self.files).encode()))


class SimdOp(FromFiles, COp):
    """An Op in C with vectorised loops."""

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return ["-fopenmp-simd"]  # heeds the "omp simd" pragmas, and only those: no threads


class BlasOp(FromFiles, COp):
    """An Op in C++ that calls BLAS."""

    openmp = "-fopenmp"  # which pragmas the compiler heeds

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<cmath>"]

    def c_libraries(self, **kwargs: Any) -> list[str]:
        return list(ldflags())

    def c_lib_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, libs_dir=True))

    def c_header_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, include_dir=True))

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return [self.openmp, *ldflags(libs=False, flags=True)]
