"""Cross-check the gradients: compiled Theano graph = NumPy loops = finite differences.

Each column is one truncation scheme, with the largest errors over all networks. The first rows
compare Theano with the NumPy loops. The last row compares the loops with central differences of a
loss that holds the states before each cut constant: its true gradient is the truncated one. An
error is max |a - b| / max(|a|, |b|) over the elements of an array. A second table has the forward
methods, a column each, Theano against NumPy; the gradient of rtrl is also compared with the full
one. The exit code is 0 if everything passes, 1 if something misses and 2 for bad input.
"""

import argparse
from collections.abc import Sequence
from typing import Any, Optional

from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.model.cells import CELLS


def parser() -> calling.Parser:
    made = calling.Parser(
        prog=calling.program("check"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--hidden-size", type=int, default=8, help="units in a layer, H (8)")
    add("--vocab-size", type=int, default=12, help="tokens in the vocabulary (12)")
    add("--length", type=int, default=10, help="tokens in a sentence, T (10)")
    add(
        "--truncation",
        nargs="+",
        default=["full", "window:1", "window:4", "chunk:4", "last:4", "artbp:4"],
        metavar="SCHEME",
        help="where the gradient is cut: full, window:K, chunk:K, last:K or artbp:K[:alpha], one "
        "or several (full window:1 window:4 chunk:4 last:4 artbp:4)",
    )
    add(
        "--online",
        nargs="*",
        metavar="METHOD",
        help="forward methods: rtrl, snap1, uoro, local, immediate; --online alone: none (rtrl, "
        "if the network is not large)",
    )
    add("--cell", default="tanh", help=f"{', '.join(CELLS)} (tanh)")
    add("--layers", type=int, default=1, help="recurrences on top of each other (1)")
    add("--bias", action="store_true", help="add biases")
    add(
        "--tied",
        action="store_true",
        help="share the lookup table with the output: V is its transpose",
    )
    add(
        "--embedding-size",
        type=int,
        help="rows of the lookup table before the first layer (no table)",
    )
    add("--seed", type=int, default=0, help="seed of the parameters and the sentences (0)")
    add("--nets", type=int, default=3, help="random networks for each scheme (3)")
    add(
        "--dtype",
        default="float64",
        help="dtype of the compiled model, float64 or float32 (float64)",
    )
    return made


@calling.ends_in_a_line("check")
def main(argv: Optional[Sequence[str]] = None) -> int:
    settings = vars(parser().parse_args(argv))
    schemes, methods = settings.pop("truncation"), settings.pop("online")

    from theano_rnn import gradcheck  # here, so that --help does not wait for Theano

    # Both refuse bad input before either compiles.
    of_methods = gradcheck.cross_check_online(**settings, methods=methods)
    of_schemes = gradcheck.cross_check(**settings, schemes=schemes)
    with CONSOLE.status("compiling and comparing ..."):
        rows, online = list(of_schemes), list(of_methods)
    CONSOLE.print(table_of(rows))
    if online:
        CONSOLE.print(online_table(online))
    tolerances = f"{rows[0].tolerance:g} for Theano = NumPy ({settings['dtype']}), "
    tolerances += f"{gradcheck.DIFFERENCES_TOLERANCE:g} for NumPy = differences"
    passed = [row.passed for row in rows] + [row.passed for row in online]
    missed = passed.count(False)
    verdict = f"{missed} of {len(passed)} columns miss" if missed else "All pass"
    say(f"{verdict}. Tolerance: {tolerances}.")
    return 1 if missed else 0


def table_of(rows: list[Any]) -> Table:
    """The errors, a column for each scheme."""
    columns = {
        row.truncation: {"E": row.loss, **by(row.gradients), "differences": row.differences}
        for row in rows
    }
    return errors_table("Relative errors (lower is better)", columns, rows)


def online_table(rows: list[Any]) -> Table:
    """The errors, a column for each forward method."""
    columns = {row.method: {**by(row.gradients), "full gradient": row.full} for row in rows}
    return errors_table("Forward methods", columns, rows)


def by(gradients: dict[str, float]) -> dict[str, float]:
    """The errors by "dE/d" and the name of the parameter."""
    return {f"dE/d{name}": error for name, error in gradients.items()}


def errors_table(
    title: str, columns: dict[str, dict[str, Optional[float]]], rows: list[Any]
) -> Table:
    """A column of errors for each row of the check, by the names of its lines."""
    made = table(title, "", *columns)
    for name in next(iter(columns.values())):
        errors = [column[name] for column in columns.values()]
        if errors != [None] * len(errors):
            made.add_row(name, *("" if error is None else f"{error:.1e}" for error in errors))
    made.add_row("", *("[green]pass[/]" if r.passed else "[bold red]miss[/]" for r in rows))
    return made
