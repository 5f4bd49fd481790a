"""``python -m theano_rnn.engine``: what was found, and what to do about anything missing."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from theano_rnn import engine
from theano_rnn.engine import blas
from theano_rnn.engine.flags import user_settings


def cache_size(folder: Path) -> tuple:
    """Number of compiled modules in the cache, and its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    modules = sum(path.suffix in (".so", ".pyd") for path in files)
    return modules, sum(path.stat().st_size for path in files)


def findings() -> tuple:
    """Rows (what, found) and a list of advice."""
    config = engine.theano.config
    advice = []
    compiler = config.cxx or "none"
    if not config.cxx:
        advice.append("There is no C++ compiler: install g++ (Debian: apt install g++).")
    library = engine.BLAS.library
    if not engine.BLAS.ldflags and library is None:
        advice.append(
            "There is no BLAS: pip install scipy-openblas32, and leave blas__ldflags out of "
            "THEANO_FLAGS and .theanorc."
        )
    scan_loop = engine.scan_loop.found()
    if not scan_loop.startswith("the compiled"):
        advice.append("Scans run in Python, much slower: a compiler mends that.")
    folder = Path(config.compiledir)
    modules, size = cache_size(folder)
    if not os.access(folder, os.W_OK):
        advice.append(f"The cache folder {folder} cannot be written: set THEANO_FLAGS="
                      "base_compiledir=FOLDER to one that can.")  # fmt: skip
    rate = (
        f"{blas.gemm_rate():.0f} GFLOP/s (float32, 1024 x 1024)" if config.cxx else "not measured"
    )
    names = ("theano-pymc", "numpy", "scipy", "scipy-openblas32")
    used = blas.threads(engine.BLAS)
    yours = [f"{name}={value}" for name, value in user_settings(os.environ).items()]
    rows = [
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("versions", ", ".join(f"{name} {_version(name)}" for name in names)),
        ("compiler", f"{compiler} {_gcc_version()}"),
        ("BLAS", engine.BLAS.name if library is None else f"{engine.BLAS.name}, {library}"),
        ("BLAS, GEMM rate", rate),
        ("BLAS, threads", f"{used} of {os.cpu_count()}; OPENBLAS_NUM_THREADS sets more"),
        ("scan, where not lowered", scan_loop),
        ("floatX", config.floatX),
        ("cache", f"{folder}: {modules} modules, {size / 1e6:.1f} MB"),
        ("your settings", ", ".join(yours) or "none"),
    ]  # fmt: skip
    return rows, advice


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "missing"


def _gcc_version() -> str:
    from theano.link.c.cmodule import gcc_version_str

    return gcc_version_str


def main() -> None:
    console = Console(highlight=False)
    rows, advice = findings()
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for what, found in rows:
        table.add_row(what, found)
    console.print(table)
    for line in advice or ["Nothing is missing."]:
        console.print(line)


if __name__ == "__main__":
    main()
