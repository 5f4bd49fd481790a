"""Mutants of the mathematics, the text and the gradient flow, tried; a table of who survived."""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[2]
# Before Theano and BLAS are loaded: the tests run in Python, in forks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["THEANO_FLAGS"] = os.environ.get("THEANO_FLAGS", "") + ",cxx="
os.environ.setdefault("MPLBACKEND", "agg")
sys.path[:0] = [str(ROOT)]

import hypothesis
import matplotlib.pyplot
import pytest
import scipy
import tokenizers
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import theano_rnn.engine
from mutation import mutants, survivors
from mutation.covering import covering
from mutation.trying import Result, Trials

#: What the forks need not import again.
WARM = (hypothesis, matplotlib.pyplot, pytest, scipy, tokenizers, theano_rnn.engine)


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    p.add_argument("--sample", type=int, default=1500, metavar="N",
                   help="so many, of each group by its size but at least "
                        f"{mutants.LEAST} (default: %(default)s)")  # fmt: skip
    p.add_argument("--all", action="store_true", help="all there are, instead; takes hours")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed, the same ones")
    p.add_argument("--control", action="store_true",
                   help="the files as they are, instead: none may be killed")  # fmt: skip
    p.add_argument("--only", metavar="PATH", action="append", default=[],
                   help="of files whose path begins so: theano_rnn/model/cells.py")  # fmt: skip
    p.add_argument("--jobs", type=int, default=2, metavar="N", help="at once")
    p.add_argument("--folder", type=Path, default=ROOT / ".mutation", metavar="PATH",
                   help="where the coverage and the results are kept: a run that was ended goes "
                        "on (default: .mutation)")  # fmt: skip
    return p.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the forks end too
    os.chdir(ROOT)
    paths = mutants.paths(ROOT)
    if not any(path.startswith(tuple(arguments.only or [""])) for path in paths):
        sys.exit(f"--only {' '.join(arguments.only)}: not among {', '.join(paths)}")
    covered = covering(ROOT, paths, arguments.folder, arguments.jobs)
    everything = [
        mutant
        for path in paths
        if not arguments.only or path.startswith(tuple(arguments.only))
        for mutant in mutants.mutants(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    if arguments.control:
        everything = drawn = [mutants.control(path) for path in dict.fromkeys(
            mutant.path for mutant in everything)]  # fmt: skip
    elif arguments.all:
        drawn = everything
    else:
        drawn = mutants.sample(everything, arguments.sample, arguments.seed)
    trials = Trials(ROOT, covered, arguments.folder / "results.jsonl")
    results: list[Result] = []
    begin = time.monotonic()
    for result in trials.run(drawn, arguments.jobs):
        results.append(result)
        if result.verdict == "survived":
            where = f"{result.mutant.path}:{result.mutant.line}"
            print(f"{where}: {result.before}  ->  {result.after}", file=sys.stderr)
        if len(results) % 100 == 0:
            minutes = (time.monotonic() - begin) / 60
            print(f"{len(results)} of {len(drawn)}, {minutes:.1f} min", file=sys.stderr)
    console = Console(highlight=False)
    title = f"Mutants, {'all' if arguments.all else f'seed {arguments.seed}'}"
    console.print(counts(title, everything, results))
    if arguments.control:
        for result in results:
            if result.verdict != "survived":
                console.print(f"{result.mutant.path} is killed unmutated: {result.by}")
        return 1 if any(result.verdict != "survived" for result in results) else 0
    return 1 if tell_survivors(console, results) else 0


def counts(title: str, everything: Sequence[mutants.Mutant], results: Sequence[Result]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("where", no_wrap=True)
    for name in ("there are", "tried", "killed", "timed out", "survived", "killed, %"):
        table.add_column(name, justify="right")
    rows = []
    for group in dict.fromkeys(mutant.group for mutant in everything):
        size = sum(mutant.group == group for mutant in everything)
        found = Counter(r.verdict for r in results if r.mutant.group == group)
        rows.append((size, found["killed"], found["timed out"], found["survived"]))
        add_row(table, group, rows[-1], dead(rows[-1]))
    table.add_section()
    total = tuple(sum(column) for column in zip(*rows))
    # Groups are drawn from unevenly: each counts by its size.
    share = sum(row[0] * dead(row) for row in rows) / max(1, total[0])
    add_row(table, "all", total, share)
    return table


def dead(row: Sequence[int]) -> float:
    """The share of those tried that are dead, by the clock or by a test."""
    _, killed, late, survived = row
    return (killed + late) / max(1, killed + late + survived)


def add_row(table: Table, name: str, row: Sequence[int], share: float) -> None:
    size, *verdicts = row
    numbers = (size, sum(verdicts), *verdicts)
    table.add_row(name, *(f"{n:,}" for n in numbers), f"{100 * share:.1f}")


def tell_survivors(console: Console, results: Sequence[Result]) -> int:
    """List them; how many have no reason."""
    reasons, without = survivors.reasons(), 0
    lived = [r for r in results if r.verdict == "survived"]
    for r in sorted(lived, key=lambda r: r.mutant):
        reason = reasons.get(survivors.key(r))
        without += reason is None
        console.print(
            f"\n{r.mutant.path}:{r.mutant.line} {r.mutant.operator}\n"
            f"    {escape(r.before)}\n    {escape(r.after)}\n    {escape(reason or 'NO REASON')}",
            soft_wrap=True,
        )
    if without:
        console.print(f"\n{without} survivors have no reason in survivors.json.")
    return without


if __name__ == "__main__":
    sys.exit(main())
