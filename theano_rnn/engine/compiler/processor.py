"""The compiler's flags: for this processor, noted in the compile cache, for threads, one for gcc.

Theano asks the compiler for them in every process, and tries them out with a program: .15 seconds,
a fifth of a start with a full cache. They are noted for a compiler and a processor.
"""

import contextlib
import functools
import json
import zlib
from pathlib import Path
from typing import Optional

from theano.configdefaults import config
from theano.link.c import cmodule
from theano.link.c.cmodule import GCC_compiler

from theano_rnn.common import files
from theano_rnn.engine.c_code import openmp_flags
from theano_rnn.engine.compiler import clang

CPUINFO = Path("/proc/cpuinfo")
#: What tells processors apart there, on x86 and on ARM.
TELLING = ("vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "Features", "CPU")


#: Of gcc. Theano computes element-wise Ops of contiguous arrays in a loop that stands under one
#: condition for each of them. gcc guesses how often each holds, so behind nine of them the loop is
#: run once in some thousand calls, and code as rare as that it does not vectorise. The parameter
#: says how rare such code is: adam's update of a matrix of 10,000 by 300 took 8.2 ms, and with it
#: 1.5 (g++ 12, an AMD EPYC). Today ``merged_updates`` computes that one, but not all others.
HOT_LOOPS = "--param=hot-bb-frequency-fraction=1000000"

shipped_compile_args = GCC_compiler.compile_args


def install() -> None:
    """Have Theano compile with these flags."""
    GCC_compiler.compile_args = staticmethod(compile_args)


@functools.wraps(shipped_compile_args)
def compile_args(march_flags: bool = True) -> list[str]:
    """The shipped flags, with those of the processor also for clang, and ``HOT_LOOPS`` for gcc.

    All modules have those of OpenMP, so that all can start from the same headers. Where the
    compiler has none, "omp simd" pragmas are heeded alone, which start no threads.
    """
    is_asked = march_flags and GCC_compiler.march_flags is None and config.cxx
    is_asked = is_asked and "-march=" not in config.gcc__cxxflags
    noted = noted_in() if is_asked else None
    if noted is not None:
        GCC_compiler.march_flags = read(noted)
    if is_asked and GCC_compiler.march_flags is None and cmodule.gcc_llvm():
        GCC_compiler.march_flags = clang.native_flags(config.cxx)
    flags: list[str] = shipped_compile_args(march_flags)
    if noted is not None and GCC_compiler.march_flags:
        write(noted, GCC_compiler.march_flags)
    openmp = openmp_flags() if config.cxx else ()
    hot_loops = () if cmodule.gcc_llvm() else (HOT_LOOPS,)
    return [*flags, *hot_loops, *(openmp or ("-fopenmp-simd",))]


def noted_in() -> Optional[Path]:
    """The file for this compiler and processor; None where the system does not tell."""
    try:
        lines = CPUINFO.read_text().partition("\n\n")[0].splitlines()  # of the first core
    except OSError:
        return None
    told = [line for line in lines if line.startswith(TELLING)]
    key = "\n".join([config.cxx, cmodule.gcc_version_str, config.gcc__cxxflags, *told])
    return (
        Path(config.compiledir) / f"processor_{zlib.crc32(key.encode()):08x}.json"
        if told
        else None
    )


def read(noted: Path) -> Optional[list[str]]:
    """The flags in a file; None if there is none, or another thing in it."""
    try:
        flags = json.loads(noted.read_text())
    except (OSError, ValueError):
        return None
    is_whole = isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)
    return flags if is_whole and flags else None


def write(noted: Path, flags: list[str]) -> None:
    """Note the flags, if they are not there and the folder can be written."""
    if not noted.exists():
        with contextlib.suppress(OSError):
            files.replace(noted, json.dumps(flags).encode())
