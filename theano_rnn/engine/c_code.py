"""What the Ops with C code share: their source files, their versions, the flags of BLAS."""

import contextlib
import functools
import sys
import zlib
from pathlib import Path
from typing import Any

from theano.configdefaults import config
from theano.graph.op import COp
from theano.link.c import cmodule
from theano.tensor.blas import ldflags

FOLDER = Path(__file__).parent

#: What the C is written for; other dtypes stay with Theano's Ops.
FLOATS = ("float32", "float64")


@functools.cache
def source(*files: str) -> str:
    """The text of C files of the engine, one after the other: ``source("loop/loop.h")``."""
    return "".join((FOLDER / name).read_text("utf-8") for name in files)


class FromFiles:
    """An Op whose support code is that of C files, and whose version is a checksum.

    Theano keeps compiled modules by the versions of their Ops. The checksum is that of the C files
    and of the Op's module: what is changed is compiled anew, and two versions of this package that
    share a folder do not take each other's modules.
    """

    files: tuple[str, ...]  # below engine/

    def c_support_code(self, **kwargs: Any) -> str:
        return source(*self.files)

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (2, zlib.crc32(source(*self.files).encode()), _checksum(type(self).__module__))


@functools.cache
def _checksum(module: str) -> int:
    file = getattr(sys.modules[module], "__file__", None)  # none where a user types an Op
    return 0 if file is None else zlib.crc32(Path(file).read_bytes())


class SimdOp(FromFiles, COp):
    """An Op in C with vectorised loops."""

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return ["-fopenmp-simd"]  # heeds the "omp simd" pragmas, and only those: no threads


class BlasOp(FromFiles, COp):
    """An Op in C++ that calls BLAS, or products in plain C++ where there is none."""

    has_threads = True  # where the compiler has OpenMP; without, it heeds "omp simd" pragmas alone

    def c_support_code(self, **kwargs: Any) -> str:
        return _plain_blas() + super().c_support_code(**kwargs)

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (*super().c_code_cache_version(), zlib.crc32(_plain_blas().encode()))

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<cmath>"]

    def c_libraries(self, **kwargs: Any) -> list[str]:
        return list(ldflags())

    def c_lib_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, libs_dir=True))

    def c_header_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, include_dir=True))

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        flags = openmp_flags() if self.has_threads else ("-fopenmp-simd",)
        return [*flags, *ldflags(libs=False, flags=True)]


def _plain_blas() -> str:
    return "" if config.blas__ldflags else source("ops/plain_blas.h")


@functools.cache
def openmp_flags() -> tuple[str, ...]:
    """The compiler's flags for threads, none if it has no OpenMP.

    Apple's clang has none, and clang on Linux only with a package of its own. That a compiler has
    it is noted in the compile cache, and then not tried again.
    """
    noted, flags = _noted(), ("-fopenmp",)
    if noted.exists():
        return flags
    program = "#include <omp.h>\nint main() { return omp_get_num_procs() == 0; }"
    if not cmodule.GCC_compiler.try_compile_tmp(program, "openmp_", flags, comp_args=False):
        return ()
    with contextlib.suppress(OSError):
        noted.touch()
    return flags


def _noted() -> Path:
    compiler = f"{config.cxx} {cmodule.gcc_version_str}"
    return Path(config.compiledir) / f"openmp_{zlib.crc32(compiler.encode()):08x}"
