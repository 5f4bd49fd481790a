"""theano-pymc 1.1.2, made to start and run on today's machines.

The rest of the package imports Theano from here, so that it is configured before ``import
theano``, which reads its configuration once. Importing this configures and extends Theano; it
compiles nothing, and prints only remarks on settings that were passed over.

Configuration:

``blas``       the BLAS that compiled functions call
``settings``   what the user set, in THEANO_FLAGS, .theanorc and variables of the shell
``flags``      the settings that Theano starts with; a user's own THEANO_FLAGS win
``compile_folder``  where compiled modules are, and that nobody else may write there
``compiling``  ``compile_function``: how this package compiles Theano functions
``findings``   what was found on this machine, and what to do about anything missing

What Theano does otherwise than as shipped:

``compat``     what newer Pythons and NumPys took away or changed, given back to Theano alone
``patches``    defects of Theano, each mended by a function that replaces one of its own
``compiler``   C++ modules compiled in less time: precompiled headers, several compilers at once
``rewrites``   the list of graph rewrites that put the Ops below in the place of Theano's
``ops``        faster Ops in C: activations, softmax cross-entropy, rows of a matrix, skinny GEMM
``loop``       a Scan as one C++ function: a small compiler
``c_code``     what all Ops in C share

``theano-rnn doctor`` prints what was found on this machine.
"""

import os
import sys

from theano_rnn.common import process

process.check()

from theano_rnn.engine import blas, compat, flags
from theano_rnn.engine.settings import user_settings

#: True if someone imported Theano before us: its configuration is theirs and stays as it is.
WAS_IMPORTED = "theano" in sys.modules

BLAS = blas.find(user_settings(os.environ).get("blas__ldflags"))

compat.lend()
if not WAS_IMPORTED:
    blas.load(BLAS, os.environ)
    flags.import_theano(BLAS)

import theano
import theano.tensor as tensor
from theano.ifelse import ifelse

compat.install()

from theano_rnn.engine import compiler, loop, patches, rewrites
from theano_rnn.engine.compiling import compile_function
from theano_rnn.engine.patches.threads import building, exclusive, once, seconds_of_building

patches.install()
compiler.install()
rewrites.install()


def use_threads(count: int) -> None:
    """Have BLAS use that many threads, 0 for all cores; a number that the user set wins."""
    blas.use_threads(BLAS, os.environ, count)


def most_threads() -> int:
    """The largest number of threads that ``use_threads`` can set; 1 where it has no choice."""
    return blas.most_threads(BLAS, os.environ)


__all__ = [
    "BLAS",
    "building",
    "compile_function",
    "exclusive",
    "ifelse",
    "loop",
    "most_threads",
    "once",
    "seconds_of_building",
    "tensor",
    "theano",
    "use_threads",
]
