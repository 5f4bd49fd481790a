"""theano-pymc 1.1.2 made to start and run on today's machines.

Everything in the package imports Theano from here, so that the configuration below stands
before ``import theano``, which reads it once:

``flags``      the settings Theano starts with, a user's own THEANO_FLAGS always winning
``blas``       the BLAS the compiled functions call
``cache``      a defect in the keys of the compile cache, mended
``scan_loop``  Theano's compiled scan loop on Python 3.11, where it does not build as shipped
``compiling``  how the functions of this package are compiled

``python -m theano_rnn.engine`` prints what was found.
"""

import os
import sys

from theano_rnn.engine import blas, flags

#: True if someone imported Theano before us: its configuration is theirs and stays as it is.
THEANO_WAS_CONFIGURED = "theano" in sys.modules

BLAS = blas.find()

if not THEANO_WAS_CONFIGURED:
    blas.load(BLAS)
    _own = os.environ.get("THEANO_FLAGS")
    os.environ["THEANO_FLAGS"] = flags.theano_flags(BLAS, os.environ)
    try:
        import theano
    finally:
        if _own is None:
            del os.environ["THEANO_FLAGS"]
        else:
            os.environ["THEANO_FLAGS"] = _own

import theano
import theano.tensor as tensor

from theano_rnn.engine import cache, scan_loop

cache.mend()
SCAN_LOOP = scan_loop.prepare()

from theano_rnn.engine.compiling import compile_function  # noqa: E402

__all__ = ["BLAS", "SCAN_LOOP", "compile_function", "tensor", "theano"]
