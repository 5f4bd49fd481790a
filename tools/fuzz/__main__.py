"""Hostile files and arguments, by the thousand; a table of how they ended."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Optional

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before it is loaded: cases run in forks

from rich.console import Console
from rich.table import Table

from fuzz.interfaces import interfaces
from fuzz.judge import Tally, Target
from fuzz.processes import run
from fuzz.readers import readers


def parse_arguments(
    argv: Optional[Sequence[str]], targets: Sequence[Target]
) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    p.add_argument("--cases", type=int, default=7200, metavar="N",
                   help="of each reader; of others a quarter (default: %(default)s)")  # fmt: skip
    p.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed, the same cases"
    )
    p.add_argument("--only", metavar="NAME", action="append", choices=[t.name for t in targets],
                   help="only these: " + ", ".join(t.name for t in targets))  # fmt: skip
    p.add_argument("--atheris", type=float, metavar="SECONDS",
                   help="run the readers under atheris instead, each so long")  # fmt: skip
    return p.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    read, called = readers(), interfaces()
    arguments = parse_arguments(argv, read + called)
    console = Console(highlight=False)
    if arguments.atheris is not None:
        from fuzz.coverage import run_readers

        return run_readers(console, read, arguments.only, arguments.atheris)
    table = Table(title=f"Hostile input, seed {arguments.seed}", title_justify="left")
    table.add_column("what")
    for name in ("cases", "results", "errors", "failures", "seconds"):
        table.add_column(name, justify="right")
    total, begin = Tally(), time.monotonic()
    for group in (read, called):
        for target in group:
            if arguments.only is None or target.name in arguments.only:
                started = time.monotonic()
                cases = arguments.cases if target.near else -(-arguments.cases // 4)
                tally = run(target, cases, arguments.seed)
                seconds = time.monotonic() - started
                add_row(table, target.name, tally, seconds)
                tell(tally, target.name)
                print(f"{target.name}: {tally.cases:,} cases, {seconds:.0f} s", file=sys.stderr)
                total.add(tally)
        table.add_section()
    add_row(table, "all", total, time.monotonic() - begin)
    console.print(table)
    return 1 if total.failures else 0


def add_row(table: Table, name: str, tally: Tally, seconds: float) -> None:
    failures = sum(tally.counts.values())
    numbers = (tally.cases, tally.results, tally.errors, failures)
    table.add_row(name, *(f"{n:,}" for n in numbers), f"{seconds:,.0f}")


def tell(tally: Tally, name: str) -> None:
    """The failures, each with its shortest case, on stderr."""
    for what, case in tally.failures.items():
        print(
            f"{name}: {what}, {tally.counts[what]} times, as in\n    {case:.1000}", file=sys.stderr
        )


if __name__ == "__main__":
    sys.exit(main())
