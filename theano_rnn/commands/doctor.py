"""What the engine found, and what it makes of a network.

``theano-rnn doctor``          what was found, and what to do about anything missing
``theano-rnn doctor explain``  which loops of a training step are lowered to C++, or why not;
                               ``--cell``, ``--truncation`` and so on say of which network
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Optional

from rich.console import Console
from rich.table import Table

from theano_rnn import engine
from theano_rnn.commands import calling
from theano_rnn.common.errors import RNNError
from theano_rnn.engine import blas
from theano_rnn.engine.flags import user_settings
from theano_rnn.engine.loop.explain import Explained
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN


def cache_size(folder: Path) -> tuple[int, int]:
    """Number of compiled modules in the cache, and its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    modules = sum(path.suffix in (".so", ".pyd") for path in files)
    return modules, sum(path.stat().st_size for path in files)


def findings() -> tuple[list[tuple[str, str]], list[str]]:
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

    return str(gcc_version_str)


def main(argv: Optional[Sequence[str]] = None) -> int:
    p = argparse.ArgumentParser(
        prog=calling.program("doctor"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("what", nargs="?", choices=["explain"])
    p.add_argument("--cell", default="tanh")
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--truncation", default="full")
    p.add_argument(
        "--mask", action="store_true", help="a batch of sequences that differ in length"
    )
    arguments = p.parse_args(argv)
    console = Console(highlight=False)
    if arguments.what is None:
        _print_findings(console)
        return 0
    try:
        loops = explained(arguments)
    except RNNError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table(
        "loop", "lowered", "", title="The loops of a training step", title_justify="left"
    )
    for loop in loops:
        table.add_row(loop.name, "yes" if loop.is_lowered else "no", loop.words)
    console.print(table)
    return 0


def explained(arguments: argparse.Namespace) -> list[Explained]:
    """The loops of a step of such a network."""
    settings = {name: getattr(arguments, name) for name in ("cell", "layers", "truncation")}
    step = Step(RNN(8, 4, **settings))
    return engine.loop.explain(step.function(arguments.mask, not arguments.mask))


def _print_findings(console: Console) -> None:
    rows, advice = findings()
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for what, found in rows:
        table.add_row(what, found)
    console.print(table)
    for line in advice or ["Nothing is missing."]:
        console.print(line)
