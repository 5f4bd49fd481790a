"""What the engine found on this machine, and what to do about anything missing."""

import os
import time
from pathlib import Path

import numpy as np

from theano_rnn import engine
from theano_rnn.common.errors import RNNError
from theano_rnn.engine import c_code, compile_function, flags, tensor, theano
from theano_rnn.engine.blas import threads, usable_cores
from theano_rnn.engine.patches.scan_perform import available_loop
from theano_rnn.engine.settings import user_settings

Rows = list[tuple[str, str]]


def findings() -> tuple[Rows, list[str]]:
    """Return rows (what, found), and what to do about anything missing."""
    config, library = theano.config, engine.BLAS.library
    folder = Path(config.compiledir)
    advice = list(flags.REMARKS)
    rate = "not measured"
    if config.cxx:
        try:
            rate = f"{gemm_rate():.0f} GFLOP/s (float32, 1024 x 1024)"
        except RNNError as error:  # the compiler fails, or a module cannot be loaded
            rate = "fails: see below"
            advice.append(str(error))
    loop = available_loop()
    modules, size = cache_size(folder)
    own = [f"{name}={value}" for name, value in user_settings(os.environ).items()]
    version = theano.link.c.cmodule.gcc_version_str
    openmp = bool(config.cxx and c_code.openmp_flags())
    bf16 = "no AVX512-BF16" if config.cxx else "no compiler"
    if c_code.has_bf16():
        bf16 = "yes: train --precision bf16"
    rows = [
        ("compiler", f"{config.cxx} {version}" if config.cxx else "none"),
        ("OpenMP", "yes" if openmp else "no: one thread computes"),
        ("bf16", bf16),
        ("BLAS", engine.BLAS.name if library is None else f"{engine.BLAS.name}, {library}"),
        ("BLAS, GEMM rate", rate),
        ("BLAS, threads", f"{threads(engine.BLAS) or '-'} of {usable_cores()} cores; "
                          "OPENBLAS_NUM_THREADS sets another number"),
        ("scans that stay Theano's", loop),
        ("floatX", config.floatX),
        ("compile cache", f"{folder}: {modules} modules, {size / 1e6:.1f} MB"),
        ("your settings", ", ".join(own) or "none"),
    ]  # fmt: skip
    unknown = [name for name in user_settings(os.environ) if not _is_known(name)]
    if unknown:
        rows.append(("not settings of Theano", ", ".join(unknown)))
    if not config.cxx and "cxx" in user_settings(os.environ):
        advice.append(
            "cxx in your settings names no C++ compiler, so all runs in Python: remove it; where "
            "there is none, install g++ (apt install g++)."
        )
    if config.floatX == "float16":
        advice.append("floatX=float16 is none of a model: set floatX to float32 or float64.")
    if not loop.startswith("the compiled"):
        advice.append(
            "Scans that stay Theano's run in Python, which is much slower; the row of that name "
            "says why."
        )
    if not os.access(folder, os.W_OK):
        advice.append(
            f"The compile cache {folder} cannot be written: name another folder by "
            "THEANO_FLAGS=base_compiledir=FOLDER."
        )
    return rows, advice


def cache_size(folder: Path) -> tuple[int, int]:
    """The number of compiled modules in a folder, and the bytes of all its files."""
    modules = size = 0
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except OSError:  # another process has deleted it
            continue
        modules += path.suffix in (".so", ".pyd")
        size += 0 if path.is_dir() else found.st_size
    return modules, size


def gemm_rate(n: int = 1024, repeats: int = 5) -> float:
    """GFLOP/s of the compiled float32 product of two n x n matrices, the best of `repeats`."""
    a = theano.shared(np.ones((n, n), np.float32), "a")
    out = theano.shared(np.zeros((n, n), np.float32), "out")
    product = compile_function([], [], updates=[(out, tensor.dot(a, a))], name="gemm_rate")
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return 2.0 * n**3 / min(seconds) / 1e9


def _is_known(name: str) -> bool:
    """True for a setting of Theano; those of .theanorc are in lower case."""
    known = theano.config._config_var_dict
    return name in known or name in {other.lower() for other in known}
