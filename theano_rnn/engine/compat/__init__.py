"""Theano on each Python from 3.9 and each NumPy from 1.23: every shim, and what it mends.

theano-pymc 1.1.2 was written for Python 3.9 and NumPy 1.19. Each function here names what broke,
since when, and where (``module:line`` of theano-pymc 1.1.2). Nothing else in the package asks for
a version of Python or NumPy.

``names``        modules, names and methods that are gone, lent to Theano's modules alone
``constants``    constants have the type, and casts the result, that they had before NumPy 2
``arrays``       results of NumPy that have another shape
``generated_c``  C that is compiled against NumPy 2
``rows``         ``x[rows] += y`` in C++, since NumPy 2 has no iterator for it

``scan_perform.c`` has a patch of its own, in ``patches``.
"""

import sys

import numpy as np

from theano_rnn.engine.compat.names import lend

#: What compiled modules depend on besides their code, in the name of the compile folder.
NUMPY = np.__version__

#: Whether C that Cython 0.29 generated compiles as it is.
CYTHON_WORKS = sys.version_info < (3, 11) and np.lib.NumpyVersion(np.__version__) < "2.0.0"

#: Whether ``import theano`` works before this package was imported: np.bool went with 1.24.
STARTS_ALONE = sys.version_info < (3, 12) and np.lib.NumpyVersion(np.__version__) < "1.24.0"


def install() -> None:
    """Apply all shims. To be called once, after ``import theano``, before anything is compiled."""
    from theano_rnn.engine.compat import arrays, constants, rows

    for shim in (*constants.SHIMS, *arrays.SHIMS, *rows.SHIMS):
        shim()


__all__ = ["CYTHON_WORKS", "NUMPY", "STARTS_ALONE", "install", "lend"]
