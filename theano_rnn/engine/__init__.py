"""theano-pymc 1.1.2 made to start and run on today's machines.

Everything in the package imports Theano from here, so that the configuration below stands
before ``import theano``, which reads it once:

``flags``         the settings Theano starts with, a user's own THEANO_FLAGS always winning
``blas``          the BLAS the compiled functions call
``cache``         defects of the compile cache, mended
``scan_loop``     Theano's compiled scan loop on Python 3.11, where it does not build as shipped
``scan_pushout``  the gradient of W out of a truncated loop, which shipped Theano gets wrong
``softmax``       softmax cross-entropy with a vectorised exp, put in by Theano's optimizer
``activations``   tanh and the sigmoid, vectorised, put in by Theano's optimizer
``precompiled``   the headers of all compiled modules, read by the compiler once
``ahead``         several compilers at once
``rows``          rows of a matrix by number, and squares summed, in plain C
``thin``          products of many rows with few, in plain C++
``loop``          a scan lowered to one loop in C++: a small compiler, put in by the optimizer
``compiling``     how the functions of this package are compiled

``python -m theano_rnn.engine`` prints what was found.
"""

import os
import sys

from theano_rnn.engine import blas, flags

#: True if someone imported Theano before us: its configuration is theirs and stays as it is.
WAS_IMPORTED = "theano" in sys.modules

BLAS = blas.find(flags.user_settings(os.environ).get("blas__ldflags"))

if not WAS_IMPORTED:
    blas.load(BLAS, os.environ)
    flags.import_theano(BLAS)

import theano
import theano.tensor as tensor
from theano.ifelse import ifelse

from theano_rnn.engine import loop
from theano_rnn.engine.compiling import compile_function, shield_compiler
from theano_rnn.engine.ops import activations, rows, softmax, thin
from theano_rnn.engine.patches import ahead, cache, precompiled, scan_loop, scan_pushout


def use_threads(count: int) -> None:
    """Have BLAS compute in so many threads, 0 for all cores; the user's own number wins."""
    blas.use_threads(BLAS, os.environ, count)


shield_compiler()
cache.mend()
precompiled.mend()
ahead.mend()
scan_pushout.mend()
scan_loop.mend()

__all__ = [
    "BLAS",
    "activations",
    "compile_function",
    "ifelse",
    "loop",
    "rows",
    "scan_loop",
    "softmax",
    "tensor",
    "theano",
    "thin",
    "use_threads",
]
