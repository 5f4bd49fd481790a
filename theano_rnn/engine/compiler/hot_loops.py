"""Loops over many arrays, which gcc takes for code that is hardly ever run.

Theano computes element-wise Ops of contiguous arrays in a loop that stands under one condition for
each of them. gcc guesses how often each holds, so behind nine of them the loop is run once in some
thousand calls, and code as rare as that it does not vectorise. adam's update of a matrix of 10,000
by 300 took 8.2 ms, and 1.5 with the parameter, which says how rare such code is (g++ 12 on an AMD
EPYC; today ``merged_updates`` computes it, and vectors and other Ops need the parameter).
"""

import functools

from theano.link.c import cmodule
from theano.link.c.cmodule import GCC_compiler

#: For gcc alone; clang vectorises without.
FLAG = "--param=hot-bb-frequency-fraction=1000000"


def install() -> None:
    """Compile with it. To be called after ``clang.install`` and ``processor.install``."""
    shipped = GCC_compiler.compile_args

    @functools.wraps(shipped)
    def compile_args(march_flags: bool = True) -> list[str]:
        """The shipped flags, and the parameter if the compiler is gcc."""
        flags: list[str] = shipped(march_flags)
        return flags if cmodule.gcc_llvm() else [*flags, FLAG]

    GCC_compiler.compile_args = staticmethod(compile_args)
