"""The BLAS that compiled functions call.

scipy-openblas32 carries an OpenBLAS that needs no root, its symbols prefixed with ``scipy_``.
It is loaded into the process once, with global symbols, and the generated C is compiled with
``-Dsgemm_=scipy_sgemm_`` and so on. No module is linked to the path of the library. So a compiled
module serves every environment that shares the cache, and outlives each of them.
"""

import ctypes
import ctypes.util
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from threadpoolctl import LibController, ThreadpoolController

from theano_rnn.common.errors import RNNError
from theano_rnn.engine.settings import thread_count

#: Of a container: microseconds of processor time in a period of so many, or "max".
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")

# The routines Theano's generated C calls (theano/tensor/blas.py, blas_c.py), in s and d.
ROUTINES = ("gemm", "gemv", "ger", "dot")


@dataclass(frozen=True)
class Blas:
    """A BLAS, and how generated C calls it.

    name : as messages show it
    library : file to load into the process; None if the linker finds the library by itself
    prefix : what each symbol begins with
    ldflags : Theano's ``blas__ldflags``; where this is empty, Theano does not call BLAS
    """

    name: str
    library: Optional[str]
    prefix: str
    ldflags: str

    @property
    def defines(self) -> str:
        """Compiler flags that rename the routines Theano calls to the library's symbols."""
        if not self.prefix:
            return ""
        return " ".join(
            f"-D{kind}{routine}_={self.prefix}{kind}{routine}_"
            for routine in ROUTINES
            for kind in "sd"
        )


def find(ldflags: Optional[str] = None) -> Blas:
    """Return the user's BLAS if their settings name one, else scipy-openblas32, a system's, none.

    Parameters
    ----------
    ldflags : str, optional
        The user's ``blas__ldflags``.

    Raises
    ------
    RNNError
        If these name a folder that is not there: Theano would list its files.
    """
    if ldflags is not None:
        missing = [f for f in ldflags.split() if f.startswith("-L") and not os.path.isdir(f[2:])]
        if missing:
            raise RNNError(
                f"blas__ldflags={ldflags} (in THEANO_FLAGS or .theanorc) names the folder "
                f"{missing[0][2:]!r}, which is not there; correct it, or remove blas__ldflags"
            )
        return Blas(f"yours ({ldflags})" if ldflags else "none", None, "", ldflags)
    spec = importlib.util.find_spec("scipy_openblas32")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "lib"
        libraries = [
            *folder.glob("libscipy_openblas*.so*"),
            *folder.glob("libscipy_openblas*.dylib"),
        ]
        for library in sorted(libraries):
            return Blas("scipy-openblas32", str(library), "scipy_", "-lm")
    for name in ("openblas", "blas"):
        found = ctypes.util.find_library(name)
        if found is not None:
            return Blas(f"the system's {found}", found, "", "-lm")
    return Blas("none", None, "", "")


def load(blas: Blas, environ: Mapping[str, str]) -> None:
    """Load the library with global symbols, where the modules compiled later find them.

    It uses one thread, unless OPENBLAS_NUM_THREADS or OMP_NUM_THREADS says otherwise. The
    products of one sentence gain little from a second thread, and threads of OpenBLAS wait for
    each other by spinning: where another program used the processor, a step took ten times as
    long with two threads, and no longer with one.
    """
    if blas.library is None:
        return
    ctypes.CDLL(blas.library, mode=ctypes.RTLD_GLOBAL)
    use_threads(blas, environ, 1)


def use_threads(blas: Blas, environ: Mapping[str, str], count: int) -> None:
    """Have the library use that many threads, 0 for all cores.

    The user's OPENBLAS_NUM_THREADS or OMP_NUM_THREADS wins, if it is a number.
    """
    if thread_count(environ) is not None:
        return
    controller = _controller(blas)
    if controller is not None:
        controller.set_num_threads(count or usable_cores())


def most_threads(blas: Blas, environ: Mapping[str, str]) -> int:
    """The largest number that ``use_threads`` can set; 1 if the user or BLAS decides."""
    if thread_count(environ) is not None or _controller(blas) is None:
        return 1
    return usable_cores()


def usable_cores() -> int:
    """The number of cores that this process may use; in a container at most those of its limit."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_LIMIT.read_text().split()  # "max" is no limit
        return min(cores, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        return cores


def describe(blas: Blas) -> str:
    """The name, and the processor that its kernels are for, which OPENBLAS_CORETYPE can set."""
    architecture = getattr(_controller(blas), "architecture", None)
    return f"{blas.name} for {architecture}" if architecture else blas.name


def threads(blas: Blas) -> Optional[int]:
    """The number of threads that the loaded library uses; None if it does not tell."""
    controller = _controller(blas)
    return None if controller is None else controller.num_threads


def _controller(blas: Blas) -> Optional[LibController]:
    """Return the loaded library as threadpoolctl knows it, or None if it does not."""
    if blas.library is None:
        return None
    if sys.platform == "linux":
        # threadpoolctl asks ldconfig for the C library, for .02 seconds; all symbols do as well.
        libraries = getattr(ThreadpoolController, "_system_libraries", {})
        libraries.setdefault("libc", ctypes.CDLL(None))
    loaded = ctypes.CDLL(blas.library)._handle
    controllers = ThreadpoolController().lib_controllers
    return next((c for c in controllers if c.dynlib._handle == loaded), None)
