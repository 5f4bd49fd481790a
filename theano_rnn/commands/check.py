"""Cross-check the gradients: compiled Theano graph = NumPy loops = finite differences.

Each column is one truncation scheme, with the largest errors over all networks. The first rows
compare Theano with the NumPy loops. The last row compares the loops with central differences of a
loss that holds the states before each cut constant: its true gradient is the truncated one. An
error is max |a - b| / max(|a|, |b|) over the elements of an array. The exit code is 0 if every
scheme passes, 1 if one misses and 2 for bad input.
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
    settings["schemes"] = settings.pop("truncation")

    from theano_rnn import gradcheck  # here, so that --help does not wait for Theano

    with CONSOLE.status("compiling and comparing ..."):
        rows = list(gradcheck.cross_check(**settings))
    CONSOLE.print(table_of(rows))
    tolerances = f"{rows[0].tolerance:g} for Theano = NumPy ({settings['dtype']}), "
    tolerances += f"{gradcheck.DIFFERENCES_TOLERANCE:g} for NumPy = differences"
    missed = sum(not row.passed for row in rows)
    verdict = f"{missed} of {len(rows)} schemes miss" if missed else "All pass"
    say(f"{verdict}. Tolerance: {tolerances}.")
    return 1 if missed else 0


def table_of(rows: list[Any]) -> Table:
    """The errors, a column for each scheme."""
    made = table("Relative errors (lower is better)", "", *(row.truncation for row in rows))
    lines = {"E": [row.loss for row in rows]}
    for name in rows[0].gradients:
        lines[f"dE/d{name}"] = [row.gradients[name] for row in rows]
    lines["differences"] = [row.differences for row in rows]
    for name, errors in lines.items():
        made.add_row(name, *(f"{error:.1e}" for error in errors))
    made.add_row("", *("[green]pass[/]" if r.passed else "[bold red]miss[/]" for r in rows))
    return made
