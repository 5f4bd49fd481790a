"""Train the same text with one cell after another, and print what each comes to.

Every option that is not listed here goes to scripts/train.py as it is. Each cell has its run in
DIR; a cell whose run is there with its result is not trained again.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from theano_rnn.evaluation import shown

TRAIN = Path(__file__).with_name("train.py")
CELLS = ("tanh", "sigmoid", "relu", "gru", "lstm")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--runs", metavar="DIR", required=True, help="folder of the runs")
    p.add_argument(
        "--cells", default=",".join(CELLS), help="comma-separated (default: %(default)s)"
    )
    arguments, options = p.parse_known_args()
    results = {}
    for cell in arguments.cells.split(","):
        run = Path(arguments.runs) / cell
        if not (run / "result.json").is_file():
            command = [sys.executable, str(TRAIN), "--cell", cell, "--run", str(run), *options]
            code = subprocess.run(command).returncode
            if code:
                return code
        results[cell] = json.loads((run / "result.json").read_text(encoding="utf-8"))
    Console(highlight=False).print(table(results))
    return 0


def table(results: dict) -> Table:
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


if __name__ == "__main__":
    sys.exit(main())
