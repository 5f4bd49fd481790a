"""The BLAS that compiled functions call.

scipy-openblas32 carries an OpenBLAS that needs no root, its symbols prefixed with ``scipy_``.
It is loaded into the process once, with global symbols, and the generated C is compiled with
``-Dsgemm_=scipy_sgemm_`` and so on. No path of the library is linked into a module, so a
compiled module serves every environment that shares the cache, and outlives each of them.
"""

import ctypes
import ctypes.util
import importlib.util
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

# The routines Theano's generated C calls (theano/tensor/blas.py, blas_c.py), in s and d.
ROUTINES = ("gemm", "gemv", "ger", "dot")


@dataclass(frozen=True)
class Blas:
    """A BLAS and how generated C reaches it.

    name : what a person calls it
    library : file to load into the process, or None where the linker finds it by itself
    prefix : what stands before each symbol
    ldflags : Theano's ``blas__ldflags``; it calls BLAS only where this is not empty
    """

    name: str
    library: Optional[str]
    prefix: str
    ldflags: str

    @property
    def defines(self) -> str:
        """Compiler flags that turn the names Theano writes into the library's own."""
        if not self.prefix:
            return ""
        return " ".join(
            f"-D{kind}{routine}_={self.prefix}{kind}{routine}_"
            for routine in ROUTINES
            for kind in "sd"
        )


def find(ldflags: Optional[str] = None) -> Blas:
    """The user's BLAS if their settings name one, else scipy-openblas32, a system's, or none."""
    if ldflags is not None:
        return Blas(f"yours ({ldflags})" if ldflags else "none", None, "", ldflags)
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "lib"
        for library in sorted(folder.glob("libscipy_openblas*.so*")):
            return Blas("scipy-openblas32", str(library), "scipy_", "-lm")
    for name in ("openblas", "blas"):
        found = ctypes.util.find_library(name)
        if found is not None:
            return Blas(f"the system's {found}", found, "", "-lm")
    return Blas("none", None, "", "")


def load(blas: Blas, environ: Mapping[str, str]) -> None:
    """Load the library with global symbols, where the modules compiled later find them.

    It computes in one thread, unless OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says otherwise.
    The products of one sentence gain little from a second thread, and OpenBLAS's threads wait
    for each other by spinning: where another program wants the processor, a step took ten times
    as long with two threads, and no longer with one.
    """
    if blas.library is None:
        return
    ctypes.CDLL(blas.library, mode=ctypes.RTLD_GLOBAL)
    use_threads(blas, environ, 1)


def use_threads(blas: Blas, environ: Mapping[str, str], count: int) -> None:
    """Have the library compute in so many threads, 0 for all cores, if the user set no number.

    The user's is OPENBLAS_NUM_THREADS or OMP_NUM_THREADS.
    """
    if blas.library is None or any(
        environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    ):
        return
    name = f"{blas.prefix}openblas_set_num_threads"
    set_threads = getattr(ctypes.CDLL(blas.library), name, None)
    if set_threads is not None:
        set_threads(count or usable_cores())


def usable_cores() -> int:
    """Cores this process may use, of those there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def words(blas: Blas) -> str:
    """The name, and the processor it computes for, which OPENBLAS_CORETYPE can set."""
    name = f"{blas.prefix}openblas_get_corename"
    kernel = blas.library and getattr(ctypes.CDLL(blas.library), name, None)
    if not kernel:
        return blas.name
    kernel.restype = ctypes.c_char_p
    return f"{blas.name} for {kernel().decode()}"


def threads(blas: Blas) -> Optional[int]:
    """The number of threads the loaded library computes in; None where it does not tell."""
    if blas.library is None:
        return None
    count = getattr(ctypes.CDLL(blas.library), f"{blas.prefix}openblas_get_num_threads", None)
    return None if count is None else count()


def gemm_rate(n: int = 1024, repeats: int = 5) -> float:
    """GFLOP/s of a float32 product of two n x n matrices by Theano's compiled GEMM (best of)."""
    from theano_rnn.engine import compile_function, tensor, theano

    a = theano.shared(np.ones((n, n), np.float32), "a")
    out = theano.shared(np.zeros((n, n), np.float32), "out")
    product = compile_function([], [], updates=[(out, tensor.dot(a, a))], name="gemm_rate")
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return 2.0 * n**3 / min(seconds) / 1e9
