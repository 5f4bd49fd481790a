"""What the Ops with C code share: their source files, their versions, the flags of BLAS."""

import contextlib
import functools
import sys
import zlib
from pathlib import Path
from typing import Any, Optional

from theano.configdefaults import config
from theano.graph.op import COp
from theano.graph.opt import copy_stack_trace
from theano.link.c import cmodule
from theano.tensor.blas import ldflags

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Variable

FOLDER = Path(__file__).parent

#: What the C is written for; other dtypes stay with Theano's Ops.
FLOATS = ("float32", "float64")

#: With these before it, loop/loop.h multiplies in bf16.
BF16_FILES = (
    "ops/vectors.h", "ops/matrix.h", "ops/threads.h", "ops/skinny_gemm.h", "ops/bf16_gemm.h",
)  # fmt: skip


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


def if_same_type(old: Variable, new: Variable) -> Optional[dict[Variable, Variable]]:
    """What a rewrite returns: ``new`` in the place of ``old``, or None if their types differ."""
    if new.type != old.type:
        return None
    copy_stack_trace(old, new)
    return {old: new}


@functools.cache
def _checksum(module: str) -> int:
    file = getattr(sys.modules[module], "__file__", None)  # none where a user types an Op
    return 0 if file is None else zlib.crc32(Path(file).read_bytes())


class SimdOp(FromFiles, COp):
    """An Op in C with vectorised loops."""


class BlasOp(FromFiles, COp):
    """An Op in C++ that calls BLAS, or products in plain C++ where there is none."""

    #: Whether the products of large float32 matrices are in bf16, see ``ops/bf16_gemm.h``.
    in_bf16 = False

    def c_support_code(self, **kwargs: Any) -> str:
        return self._before() + super().c_support_code(**kwargs)

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (*super().c_code_cache_version(), zlib.crc32(self._before().encode()))

    def _before(self) -> str:
        """What has to stand before the files of the Op."""
        plain = "" if config.blas__ldflags else source("ops/plain_blas.h")
        return plain + (source(*BF16_FILES) if self.in_bf16 else "")

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<cmath>"]

    def c_libraries(self, **kwargs: Any) -> list[str]:
        return list(ldflags())

    def c_lib_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, libs_dir=True))

    def c_header_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, include_dir=True))

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, flags=True))


@functools.cache
def openmp_flags() -> tuple[str, ...]:
    """The compiler's flags for threads, none if it has no OpenMP.

    Apple's clang has none, and clang on Linux only with a package of its own.
    """
    flags = ("-fopenmp",)
    program = "#include <omp.h>\nint main() { return omp_get_num_procs() == 0; }"
    return flags if _compiles("openmp", program, flags, as_modules=False) else ()


@functools.cache
def has_bf16() -> bool:
    """Whether modules may use AVX512-BF16: the compiler knows it, and the processor has it.

    Theano compiles for the processor that it runs on, unless the user's flags name another.
    """
    program = """
    #ifndef __AVX512BF16__
    #error "no AVX512-BF16"
    #endif
    #include <immintrin.h>
    int main() { return _mm512_cvtne2ps_pbh(__m512(), __m512())[0] != 0; }
    """
    return bool(config.cxx) and _compiles("bf16", program, (), as_modules=True)


def check_bf16() -> None:
    """Check that products can be computed in bf16.

    Raises
    ------
    RNNError
        If they cannot; it says what is missing.
    """
    if not has_bf16():
        raise RNNError(
            "precision bf16 needs a processor with AVX512-BF16 (AMD since Zen 4, Xeons since "
            "Sapphire Rapids) and a compiler that knows it (g++ 10, clang 9, or later); one of "
            "them is missing here: use precision float32"
        )


def _compiles(name: str, program: str, flags: tuple[str, ...], as_modules: bool) -> bool:
    """Whether the compiler takes a program with these flags, and those of modules if so said.

    That it does is noted in the compile cache, and then not tried again.
    """
    noted = _noted(name, cmodule.GCC_compiler.compile_args() if as_modules else [])
    if noted.exists():
        return True
    taken = cmodule.GCC_compiler.try_compile_tmp(program, f"{name}_", flags, comp_args=as_modules)
    if taken:
        with contextlib.suppress(OSError):
            noted.touch()
    return bool(taken)


def _noted(name: str, flags: list[str]) -> Path:
    compiler = " ".join([config.cxx, cmodule.gcc_version_str, *flags])
    return Path(config.compiledir) / f"{name}_{zlib.crc32(compiler.encode()):08x}"
