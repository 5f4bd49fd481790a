"""C that Theano ships or generates, as today's headers of NumPy want it.

The substitutions stand where all sources pass on their way to the compiler. Headers, flags and
keys of the compile cache know nothing of them, so the name of the compile folder has the version
of NumPy.
"""

import re

from theano_rnn.engine.compat.names import NUMPY_IS_2

#: A regular expression, and what stands in its place since NumPy 2.
SUBSTITUTIONS = [
    # npy_3kcompat.h no longer has Python 2's names of integers, nor NPY_PY3K:
    # link/c/c_code/lazylinker_c.c:499, 528, 823, 828, 835, 1010.
    (r"(?<!define )\bPyInt_(\w+)", r"PyLong_\1"),
    (r"\bdefined\(NPY_PY3K\)", "1"),
    # PyArray_Descr is opaque: tensor/c_code/dimshuffle.c:71, tensor/blas:546, 2342,
    # blas_headers:1084, sandbox/rng_mrg:153, sparse/opt:161 and many more.
    (r"\bPyArray_DESCR\((\w+)\)\s*->\s*elsize\b", r"PyArray_ITEMSIZE(\1)"),
    # Another number stands for "no axis": tensor/basic:1281, 1489; subtensor:1973, 1983;
    # extra_ops:346.
    (r"\bNPY_MAXDIMS\b", "NPY_RAVEL_AXIS"),
]

#: In sources with complex numbers, whose parts have no names in C++: scalar/basic:553, 2550.
COMPLEX = [
    (r"(\.|->)real\b(?!\()", r"\1_Val[0]"),
    (r"(\.|->)imag\b(?!\()", r"\1_Val[1]"),
]


def for_numpy_2(source: str) -> str:
    """Return C source that compiles against the headers of NumPy 2."""
    for pattern, replacement in SUBSTITUTIONS:
        source = re.sub(pattern, replacement, source)
    if "npy_complex" in source:
        for pattern, replacement in COMPLEX:
            source = re.sub(pattern, replacement, source)
    return source


def for_this_numpy(source: str) -> str:
    """Return C source that compiles against the headers of the installed NumPy."""
    return for_numpy_2(source) if NUMPY_IS_2 else source
