"""Train the same text with one cell after another, and print what each comes to.

Every option that is not listed here goes to the training as it is. Each cell has its run in
DIR; a cell whose run is there with its result is not trained again.
"""

import argparse
import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from rich.console import Console
from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.model.cells import CELLS
from theano_rnn.training.evaluation import shown

#: Those that are compared where none are named.
USUAL = ("tanh", "sigmoid", "relu", "gru", "lstm")


def main(argv: Optional[Sequence[str]] = None) -> int:
    p = argparse.ArgumentParser(prog=calling.program("compare"), description=__doc__)
    p.add_argument("--runs", metavar="DIR", required=True, help="folder of the runs")
    p.add_argument(
        "--cells", default=",".join(USUAL), help="comma-separated (default: %(default)s)"
    )
    arguments, options = p.parse_known_args(argv)
    cells = arguments.cells.split(",")
    for cell in cells:
        if cell not in CELLS:  # now, and not when its turn comes
            p.error(f"cell {cell!r} is unknown; the cells are {', '.join(CELLS)}")
    results = {}
    for cell in cells:
        run = Path(arguments.runs) / cell
        if not (run / "result.json").is_file():
            command = [*calling.process("train"), "--cell", cell, "--run", str(run), *options]
            code = subprocess.run(command).returncode
            if code:
                return code
        results[cell] = json.loads((run / "result.json").read_text(encoding="utf-8"))
    Console(highlight=False).print(table(results))
    return 0


def table(results: dict[str, Any]) -> Table:
    made = Table(title="The same text, cell by cell", title_justify="left")
    made.add_column("cell")
    for heading in ("validation loss", "perplexity", "test perplexity", "seconds", "tokens/s"):
        made.add_column(heading, justify="right")
    for cell, r in results.items():
        made.add_row(
            cell,
            f"{math.log(r['valid_perplexity']):.3f}",
            shown(r["valid_perplexity"], 2),
            shown(r["test_perplexity"], 2),
            f"{r['training_seconds']:,.0f}",
            f"{r['tokens_per_second']:,.0f}",
        )
    *_, last = results.values()
    for name, key in (("bigram", "bigram"), ("Kneser-Ney", "kneser_ney")):
        made.add_row(name, "", "", shown(last[key + "_perplexity"], 2), "", "")
    return made
