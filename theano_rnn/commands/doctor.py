"""What this machine has, and how the loops of a network run on it.

theano-rnn doctor          what was found, and what to do if something is missing
theano-rnn doctor explain  which loops of a training step run as one C++ function each,
                           and why the others do not; the options choose the network
theano-rnn doctor --install  builds theano-pymc for this Python and installs it
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Optional

import numpy as np
from rich.table import Table

from theano_rnn import engine
from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.common import theano_wheel
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.blas import threads
from theano_rnn.engine.loop.explain import Explained, explain
from theano_rnn.engine.patches.scan_perform import available_loop
from theano_rnn.engine.settings import user_settings
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN

PACKAGES = ("theano-pymc", "numpy", "scipy", "scipy-openblas32")


@calling.ends_in_a_line("doctor")
def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit code."""
    p = calling.Parser(
        prog=calling.program("doctor"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "what", nargs="?", choices=["explain"], help="the loops of a network, not the machine"
    )
    p.add_argument(
        "--install",
        action="store_true",
        help="build theano-pymc for this Python, from its sources, and install it",
    )
    network = p.add_argument_group("the network to explain")
    network.add_argument("--cell", default="tanh", help="default %(default)s")
    network.add_argument("--layers", type=int, default=1, help="default %(default)s")
    network.add_argument(
        "--truncation", default="full", help="full, window:K, chunk:K or last:K (%(default)s)"
    )
    network.add_argument(
        "--mask", action="store_true", help="for batches of sequences of different lengths"
    )
    arguments = p.parse_args(argv)
    if arguments.install:
        with CONSOLE.status("building theano-pymc ..."):
            said = theano_wheel.install_if_missing()
        say(said)
    elif arguments.what is None:
        rows, advice = findings()
        CONSOLE.print(table_of(rows))
        for line in advice or ["Nothing is missing."]:
            say(line)
    else:
        CONSOLE.print(table_of_loops(explained(arguments)))
    return 0


def findings() -> tuple[list[tuple[str, str]], list[str]]:
    """Return rows (what, found), and what to do about anything missing."""
    config = theano.config
    library = engine.BLAS.library
    loop = available_loop()
    folder = Path(config.compiledir)
    modules, size = cache_size(folder)
    rate = f"{gemm_rate():.0f} GFLOP/s (float32, 1024 x 1024)" if config.cxx else "not measured"
    own = [f"{name}={value}" for name, value in user_settings(os.environ).items()]
    rows = [
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("versions", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        ("compiler", f"{config.cxx} {theano.link.c.cmodule.gcc_version_str}"),
        ("BLAS", engine.BLAS.name if library is None else f"{engine.BLAS.name}, {library}"),
        ("BLAS, GEMM rate", rate),
        ("BLAS, threads", f"{threads(engine.BLAS)} of {os.cpu_count()}; "
                          "OPENBLAS_NUM_THREADS sets another number"),
        ("scans that stay Theano's", loop),
        ("floatX", config.floatX),
        ("compile cache", f"{folder}: {modules} modules, {size / 1e6:.1f} MB"),
        ("your settings", ", ".join(own) or "none"),
    ]  # fmt: skip
    advice = []
    if not config.cxx:
        advice.append("There is no C++ compiler: install g++ (Debian: apt install g++).")
    if not engine.BLAS.ldflags and library is None:
        advice.append(
            "There is no BLAS: run pip install scipy-openblas32, and remove blas__ldflags from "
            "THEANO_FLAGS and .theanorc."
        )
    if not loop.startswith("the compiled"):
        advice.append("Scans run in Python, which is much slower: they need a C++ compiler.")
    if not os.access(folder, os.W_OK):
        advice.append(
            f"The compile cache {folder} cannot be written: name another folder by "
            "THEANO_FLAGS=base_compiledir=FOLDER."
        )
    return rows, advice


def cache_size(folder: Path) -> tuple[int, int]:
    """The number of compiled modules in a folder, and the bytes of all its files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    modules = sum(path.suffix in (".so", ".pyd") for path in files)
    return modules, sum(path.stat().st_size for path in files)


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


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def explained(arguments: argparse.Namespace) -> list[Explained]:
    """The loops of a training step of the network that the arguments describe."""
    settings = {name: getattr(arguments, name) for name in ("cell", "layers", "truncation")}
    step = Step(RNN(8, 4, **settings))
    return explain(step.function(arguments.mask, not arguments.mask))


def table_of(rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns without a frame."""
    made = Table(show_header=False, box=None)
    made.add_column()
    made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def table_of_loops(loops: Sequence[Explained]) -> Table:
    """A row for each loop."""
    made = table("The loops of a training step", "loop", "in C++", "how, or why not", left=3)
    for loop in loops:
        made.add_row(loop.name, "yes" if loop.is_native else "no", loop.reason)
    return made
