"""Print the losses of ten steps of several nets, and digests of what they leave."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

os.environ.setdefault("TESTS_IN_C", "1")  # the bits that users have are those of compiled C

import conftest  # noqa: F401  one thread of BLAS, and the compile cache of the tests
from rich.console import Console
from rich.table import Table

from reproduce.steps import NETS, STEPS, record


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m reproduce", description=__doc__)
    p.add_argument("--json", action="store_true", help="for reproduce.compare, every digit")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of tokens and parameters")
    p.add_argument("--only", metavar="NET", action="append", choices=list(NETS),
                   help="only these: " + "; ".join(NETS))  # fmt: skip
    return p.parse_args(argv)


def table(found: dict[str, Any]) -> Table:
    title = "Losses in nats, float64, seed {seed}; Python {python}, NumPy {numpy}, Theano {theano}"
    table = Table(title=title.format(**found), title_justify="left")
    table.add_column("step", justify="right")
    for name in found["nets"]:
        table.add_column(name, justify="right")
    nets = found["nets"].values()
    for step in range(STEPS):
        losses = (f"{net['losses'][step]:.9f}" for net in nets)
        table.add_row(str(step + 1), *losses, end_section=step == STEPS - 1)
    table.add_row("bits", *(net["parameters"][:12] for net in nets))
    return table


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    found = record(arguments.only or list(NETS), arguments.seed)
    if arguments.json:
        print(json.dumps(found))
    else:
        Console(highlight=False, width=110).print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
