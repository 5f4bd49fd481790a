"""Compare what ``python -m reproduce --json`` left: twice in a version, and across versions."""

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

#: Of the losses of two versions of Python.
TOLERANCE = 1e-9

Record = dict[str, Any]


def by_version(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each version of Python, "3.9", "3.11"."""

    def version(found: Record) -> tuple[int, ...]:
        return tuple(map(int, found["python"].split(".")[:2]))

    groups = itertools.groupby(sorted(records, key=version), key=version)
    return {".".join(map(str, number)): list(group) for number, group in groups}


def is_same(records: Sequence[Record], name: str, what: str) -> bool:
    """Whether all have the same bits."""
    return len({json.dumps(found["nets"][name][what]) for found in records}) == 1


def is_same_twice(records: Sequence[Record], name: str) -> bool:
    """Whether there are two records or more of a net, and they agree in every bit."""
    return len(records) > 1 and all(
        is_same(records, name, what) for what in ("losses", "drawn", "parameters")
    )


def greatest_difference(records: Sequence[Record], name: str) -> float:
    """Of the losses of any two records in a step; NaN where one is."""
    losses = np.array([found["nets"][name]["losses"] for found in records])
    return float(np.ptp(losses, axis=0).max())


def judge(records: Sequence[Record]) -> tuple[Table, list[str]]:
    """The comparison as a table, and what is wrong, a line each."""
    versions, wrong = by_version(records), []
    table = Table(title="Run by run: are bits the same, or losses near", title_justify="left")
    table.add_column("net")
    for version in versions:
        table.add_column(f"{version} twice")
    if len(versions) > 1:
        table.add_column("draws across")
        table.add_column("bits across")
        table.add_column("losses differ by", justify="right")
    else:
        wrong.append("there are not two versions of Python to compare")
    for name in records[0]["nets"]:
        cells = []
        for version, found in versions.items():
            cells.append(yes(is_same_twice(found, name)))
            if cells[-1] == "no":
                wrong.append(f"{name}: not the same bits twice on Python {version}")
        if len(versions) > 1:
            has_same_draws = is_same(records, name, "drawn")
            if not has_same_draws:
                wrong.append(f"{name}: what is drawn differs across versions")
            difference = greatest_difference(records, name)
            if not difference <= TOLERANCE:
                wrong.append(f"{name}: losses differ by {difference:.1e} across versions")
            cells += [yes(has_same_draws), yes(is_same(records, name, "parameters"))]
            cells.append(f"{difference:.1e}")
        table.add_row(name, *cells)
    return table, wrong


def yes(answer: bool) -> str:
    return "yes" if answer else "no"


def main(argv: Sequence[str]) -> int:
    records = [json.loads(Path(path).read_text()) for path in argv]
    if not records:
        print("No Python was there to run with.", file=sys.stderr)
        return 1
    table, wrong = judge(records)
    console = Console(highlight=False, width=110)
    console.print(table)
    for line in wrong or [f"Reproduced: losses across versions within {TOLERANCE:g}."]:
        console.print(line, markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
