"""What this machine has, and how the loops of a network run on it.

theano-rnn doctor          what was found, and what to do if something is missing
theano-rnn doctor explain  which loops of a training step run as one C++ function each,
                           and why the others do not; the options choose the network
theano-rnn doctor --install  builds theano-pymc for this Python and installs it
"""

import argparse
import logging
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Optional

from rich.markup import escape
from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.common import theano_wheel
from theano_rnn.common.errors import RNNError

if TYPE_CHECKING:
    from theano_rnn.engine.loop.explain import Explained

PACKAGES = ("theano-pymc", "numpy", "scipy", "scipy-openblas32")


def parser() -> calling.Parser:
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
        "--truncation",
        default="full",
        help="full, window:K, chunk:K, last:K or artbp:K (%(default)s)",
    )
    network.add_argument(
        "--mask", action="store_true", help="for batches of sequences of different lengths"
    )
    return p


@calling.ends_in_a_line("doctor")
def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit code."""
    arguments = parser().parse_args(argv)
    defaults = parser().parse_args([])
    network = ("cell", "layers", "truncation", "mask")
    given = [name for name in network if getattr(arguments, name) != getattr(defaults, name)]
    if given and arguments.what is None:
        raise RNNError(f"--{given[0]} is for: {calling.program('doctor')} explain")
    if arguments.install and arguments.what is not None:
        raise RNNError("--install installs and explains nothing; leave out one of them")
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
    """Return rows (what, found), and what to do about anything missing or in the way."""
    rows = [
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("versions", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
    ]
    logging.getLogger("theano_rnn").setLevel(logging.ERROR)  # the advice has its remarks
    try:
        # Here, not above: it imports Theano, which does not start with every setting.
        from theano_rnn.engine.findings import findings as of_the_engine

        more, advice = of_the_engine()
    except Exception as error:
        said = str(error) if isinstance(error, RNNError) else f"{type(error).__name__}: {error}"
        return [*rows, ("Theano", "does not start")], [" ".join(said.split())]
    return [*rows, *more], advice


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def explained(arguments: argparse.Namespace) -> list["Explained"]:
    """The loops of a training step of the network that the arguments describe."""
    from theano_rnn.engine.loop.explain import explain
    from theano_rnn.optim.step import Step
    from theano_rnn.rnn import RNN

    settings = {name: getattr(arguments, name) for name in ("cell", "layers", "truncation")}
    step = Step(RNN(8, 4, **settings))
    return explain(step.function(arguments.mask, not arguments.mask))


def table_of(rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns without a frame."""
    made = Table(show_header=False, box=None)
    made.add_column()
    made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*map(escape, row))  # a path may have brackets
    return made


def table_of_loops(loops: Sequence["Explained"]) -> Table:
    """A row for each loop."""
    made = table("The loops of a training step", "loop", "in C++", "how, or why not", left=3)
    for loop in loops:
        made.add_row(loop.name, "yes" if loop.is_native else "no", loop.reason)
    return made
