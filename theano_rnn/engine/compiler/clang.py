"""clang++ in the place of g++: the flags that Theano does not find for it.

Theano asks the compiler which flags ``-march=native`` stands for. clang answers in words that only
its inner compiler takes, so Theano compiles for the oldest x86: the products of an output layer
took eight times as long (13.6 instead of 1.7 ms for a step with a vocabulary of 8000).
"""

import functools
import os
import re
import subprocess
import zlib

from theano.configdefaults import config
from theano.link.c import cmodule
from theano.link.c.cmodule import GCC_compiler

shipped_compile_args = GCC_compiler.compile_args

#: Theano's C++ has them, and to clang they are errors.
NARROWING = "-Wno-c++11-narrowing"


def install() -> None:
    """Compile for this machine's processor with clang++, too."""
    GCC_compiler.compile_args = staticmethod(compile_args)


@functools.wraps(shipped_compile_args)
def compile_args(march_flags: bool = True) -> list[str]:
    """The shipped flags, with those for the processor if the compiler is clang."""
    is_asked = march_flags and GCC_compiler.march_flags is None and config.cxx
    if is_asked and "-march=" not in config.gcc__cxxflags and cmodule.gcc_llvm():
        GCC_compiler.march_flags = native_flags(config.cxx)
    flags: list[str] = shipped_compile_args(march_flags)
    return flags


def native_flags(compiler: str) -> list[str]:
    """The flags for this processor; none if the compiler takes neither.

    They are part of the key of a module in the cache, so they must tell processors apart: a macro
    that nothing reads has the checksum of the processor's name and features.
    """
    for flag in ("-march=native", "-mcpu=native"):  # the latter on ARM
        command = [compiler, flag, "-E", "-v", "-x", "c++", os.devnull]
        done = subprocess.run(command, capture_output=True)
        if done.returncode == 0:
            said = done.stderr.decode("utf-8", "replace")
            words = re.findall(r'"?-target-(?:cpu|feature)"? "?([^"\s]+)', said)
            return [flag, f"-DTHEANO_RNN_PROCESSOR={zlib.crc32(' '.join(words).encode())}"]
    return []
