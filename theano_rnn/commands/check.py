"""Cross-check the gradients: compiled Theano graph = NumPy loops = finite differences.

Each column is one truncation scheme, with the largest errors over all nets. Theano is compared
with the NumPy loops; the loops with central differences of the loss in which the states before
each cut are held constant, of which the truncated gradient is the true one. An error is
max |a - b| / max(|a|, |b|) over the elements of an array. Exits with 0 if every one passes, with
1 if one misses and with 2 on bad input.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Optional

from rich.console import Console
from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.common.errors import RNNError


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = calling.Parser(
        prog=calling.program("check"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--hidden-size", type=int, default=8, help="units in the state, H (8)")
    add("--vocab-size", type=int, default=12, help="number of token ids (12)")
    add("--length", type=int, default=10, help="tokens of a sentence, T (10)")
    add(
        "--truncation",
        nargs="+",
        default=["full", "window:1", "window:4", "chunk:4", "last:4"],
        metavar="SCHEME",
        help="where the gradient is cut: full, window:K, chunk:K, last:K; as many as wanted "
        "(full window:1 window:4 chunk:4 last:4)",
    )
    add("--cell", default="tanh", help="tanh, sigmoid, relu, gru or lstm (tanh)")
    add("--layers", type=int, default=1, help="recurrences on top of each other (1)")
    add("--bias", action="store_true", help="with biases")
    add("--tied", action="store_true", help="V is the transpose of the table")
    add("--embedding-size", type=int, help="rows of a table before the first layer (none)")
    add("--seed", type=int, default=0, help="of parameters and sentences (0)")
    add("--nets", type=int, default=3, help="random nets for each scheme (3)")
    add("--dtype", default="float64", help="of the compiled model, float64 or float32 (float64)")
    settings = vars(parser.parse_args(argv))
    settings["schemes"] = settings.pop("truncation")

    console = Console()
    try:
        from theano_rnn import gradcheck  # here, so that --help does not wait for Theano

        with console.status("compiling and comparing ..."):
            rows = list(gradcheck.cross_check(**settings))
    except RNNError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    console.print(table(rows))
    tolerances = f"{rows[0].tolerance:g} for Theano = NumPy ({settings['dtype']}), "
    tolerances += f"{gradcheck.DIFFERENCES_TOLERANCE:g} for NumPy = differences"
    missed = sum(not row.passed for row in rows)
    verdict = f"{missed} of {len(rows)} schemes miss" if missed else "All pass"
    console.print(f"{verdict}. Tolerance: {tolerances}.", soft_wrap=True, highlight=False)
    return 1 if missed else 0


def table(rows: list[Any]) -> Table:
    """A column for each scheme."""
    table = Table(title="Relative errors: Theano against NumPy, NumPy against differences")
    table.add_column("")
    for row in rows:
        table.add_column(row.truncation, justify="right")
    lines = {"E": [row.loss for row in rows]}
    for name in rows[0].gradients:
        lines[f"dE/d{name}"] = [row.gradients[name] for row in rows]
    lines["differences"] = [row.differences for row in rows]
    for name, errors in lines.items():
        table.add_row(name, *(f"{error:.1e}" for error in errors))
    table.add_row("", *("[green]pass[/]" if r.passed else "[bold red]miss[/]" for r in rows))
    return table
