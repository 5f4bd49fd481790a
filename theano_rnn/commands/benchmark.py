"""Measure speed and memory, ours beside plain theano-pymc in the same run."""

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from rich.console import Console
from rich.table import Table

from theano_rnn.benchmark import machine, sections
from theano_rnn.benchmark.programs import ProgramError
from theano_rnn.commands import calling
from theano_rnn.common.errors import RNNError

FULL = sections.Settings()
QUICK = sections.Settings(rounds=3, seconds=0.1, warm_starts=1)

#: What a section has measured.
Rows = list[dict[str, Any]]

#: Where make benchmark puts JAX and PyTorch: in the checkout, and here where that is the checkout.
PEERS = tuple(
    folder / ".venv-peers" / "bin" / "python"
    for folder in (Path(), Path(__file__).resolve().parents[2])
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        names = sections.parse_sections(arguments.only)
        if arguments.peers and "peers" not in names:
            names.insert(0, "peers")
        python = peers_python(arguments.peers_python) if "peers" in names else None
        threads = sections.parse_threads(arguments.threads)
        settings = QUICK if arguments.quick else FULL
        settings = dataclasses.replace(
            settings, threads=threads, seed=arguments.seed, peers_python=python
        )
        if arguments.json not in (None, "-"):
            Path(arguments.json).open("a").close()  # now, and not when all is measured
    except RNNError as error:
        return complain(error, 2)
    except OSError as error:
        return complain(f"--json {arguments.json}: {error.strerror}", 2)

    to_stdout = arguments.json == "-"
    console = Console(stderr=to_stdout, highlight=False)
    try:
        result: dict[str, Any] = {"machine": machine.describe(), "settings": vars(settings)}
        console.print(header(result["machine"]))
        for name in names:
            with console.status(f"measuring {name} ..."):
                result[name] = sections.SECTIONS[name](settings)
            if not to_stdout:
                console.print(TABLES[name](result[name]))
    except (ProgramError, RNNError) as error:
        return complain(error, 1)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    text = json.dumps(result, indent=1)
    if to_stdout:
        print(text)
    elif arguments.json is not None:
        Path(arguments.json).write_text(text + "\n")
    return 0


def peers_python(given: Optional[str]) -> str:
    """The interpreter that has JAX and PyTorch.

    Parameters
    ----------
    given : str, optional
        The user's; those of ``PEERS`` where not given.

    Raises
    ------
    RNNError
        If it is not there.
    """
    found = PEERS if given is None else filter(None, [shutil.which(given)])
    for python in map(Path, found):
        if python.exists():
            return str(python.absolute())  # not resolved: a link is what makes it an environment
    if given is not None:
        raise RNNError(f"--peers-python {given}: there is no such interpreter")
    pins = Path(sections.__file__).with_name("peers.txt")
    raise RNNError(
        f"there is no {PEERS[0]} here; in a checkout make benchmark makes it, and --peers-python "
        f"takes the interpreter of any environment with what is in {pins}"
    )


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog=calling.program("benchmark"),
        description=__doc__,
        epilog="Each program runs in a process of its own, and they are measured in turns. A "
        "figure is the median, in brackets the least and the greatest. All of it takes some five "
        "minutes, most of them for compiling from an empty cache (startup).",
    )
    p.add_argument(
        "--only",
        metavar="SECTIONS",
        help=f"comma-separated, of {','.join(sections.SECTIONS)} (default: all but peers)",
    )
    p.add_argument(
        "--peers",
        action="store_true",
        help="measure beside JAX and PyTorch too, which are in an environment of their own (the "
        "section peers)",
    )
    p.add_argument(
        "--peers-python",
        metavar="PYTHON",
        help="the interpreter of that environment (default: .venv-peers/bin/python, here or in "
        "the checkout)",
    )
    p.add_argument(
        "--threads",
        metavar="N,N,...",
        help="threads of BLAS; steps is measured with each of them (default: 1)",
    )
    p.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK.rounds} rounds of {QUICK.seconds} s instead of {FULL.rounds} of "
        f"{FULL.seconds} s, and {QUICK.warm_starts} warm start instead of {FULL.warm_starts}: "
        "sooner done, and less certain",
    )
    p.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the parameters and the random tokens, the same for both programs (default: 0)",
    )
    p.add_argument(
        "--json",
        metavar="FILE",
        help="write everything measured, every round of it, as JSON; - for JSON on standard "
        "output and nothing else there",
    )
    return p


def complain(message: Union[str, Exception], code: int) -> int:
    print(f"{calling.program('benchmark')}: {message}", file=sys.stderr)
    return code


# ---- tables


def header(facts: dict[str, Any]) -> str:
    return (
        f"{facts['date']}  load {facts['load']}\n"
        f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}\n"
        f"Python {facts['python']}, theano-pymc {facts['theano-pymc']}, NumPy {facts['numpy']}, "
        f"{facts['blas']}\n{facts['compiler']}; scan: {facts['scan']}\n"
    )


def table(title: str, note: str, *columns: str) -> Table:
    made = Table(title=title, caption=note, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 else "right")
    return made


def number(value: float) -> str:
    """Three figures, more before the point."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def figure(spread: dict[str, float]) -> str:
    median, least, most = (number(spread[key]) for key in ("median", "min", "max"))
    return median if least == most else f"{median} ({least}..{most})"


def steps(rows: Rows) -> Table:
    sizes = "; ".join(
        "{workload}: vocabulary {vocab_size}, hidden {hidden_size}, T {T}".format(**row)
        for row in rows
        if row["threads"] == rows[0]["threads"]
    )
    note = (
        f"{sizes}. stock: plain theano-pymc, float32, the same BLAS, the state a vector, "
        "projections outside the scan, U by rows."
    )
    if sys.version_info >= (3, 11):
        note += (
            " On Python 3.11 stock's compiled scan loop does not build, so it runs the Python "
            "loop; ours mends that."
        )
    columns = ("workload", "threads", "program", "ms", "tokens/s", "times as fast")
    made = table("One SGD step", note, *columns)
    for row in rows:
        threads = str(row["threads"])
        for program in sections.PROGRAMS:
            ms, tokens = row[program]["ms"], row[program]["tokens_per_second"]
            first = program == "ours"
            made.add_row(
                row["workload"] if first else "",
                threads if first else "",
                program,
                figure(ms),
                number(tokens["median"]),
                figure(row["times_as_fast"]) if first else "",
            )
    return made


def startup(rows: Rows) -> Table:
    note = (
        "Seconds from the start of the process to the end of its first SGD step (sentence). "
        "Modules in the cache: after the first start, and after those with a full cache."
    )
    made = table("Start-up", note, "program", "empty cache", "full cache", "modules")
    for row in rows:
        cold, warm = figure(row["cold_seconds"]), figure(row["warm_seconds"])
        modules = f"{row['modules']}, {row['modules_after_warm_starts']}"
        made.add_row(row["program"], cold, warm, modules)
    return made


def truncation(rows: Rows) -> Table:
    note = "One SGD step on a sentence of 20 words, vocabulary 8000."
    made = table("Truncation", note, "truncation", "ms", "times full")
    for row in rows:
        made.add_row(row["truncation"], figure(row["ms"]), figure(row["times_full"]))
    return made


def cells(rows: Rows) -> Table:
    note = (
        "One SGD step with the full gradient. sentence and char as above; batch: "
        "vocabulary {vocab_size}, hidden {hidden_size}, T {T}, B {B}.".format(**rows[-1])
    )
    columns = ("workload", "threads", "cell", "ms", "tokens/s", "times tanh")
    made = table("Cells", note, *columns)
    for i, row in enumerate(rows):
        is_first = i == 0 or rows[i - 1]["workload"] != row["workload"]
        made.add_row(
            row["workload"] if is_first else "",
            str(row["threads"]) if is_first else "",
            row["cell"],
            figure(row["ms"]),
            number(row["tokens_per_second"]["median"]),
            figure(row["times_tanh"]),
        )
    return made


def padding(rows: Rows) -> Table:
    note = "Share of the positions that is padding, sentences of the default corpus by length."
    made = table("Padding", note, "sentences a batch", "batches", "padding")
    for row in rows:
        made.add_row(str(row["batch_size"]), f"{row['batches']:,}", f"{row['padding']:.1%}")
    return made


def length(rows: Rows) -> Table:
    note = (
        "One SGD step on characters. MB: the most a step adds to the memory of the process; bytes "
        "a token: its difference to the row before."
    )
    columns = ("truncation", "T", "ms", "us a token", "MB", "bytes a token")
    made = table("Length", note, *columns)
    for row in rows:
        growth, per_token = row["growth_in_bytes"], row["bytes_per_token"]
        made.add_row(
            row["truncation"],
            f"{row['T']:,}",
            figure(row["ms"]),
            number(row["us_per_token"]["median"]),
            "-" if growth is None else number(growth / 1e6),
            "-" if per_token is None else number(per_token),
        )
    return made


def flow(rows: Rows) -> Table:
    note = (
        "Gradient flow of 100 steps, 100 units, in float64. errors: all dE_t/dh_k and their "
        "norms. contributions: the share of each pair (t, k) in dE/dW, after them. memory: the "
        "most held, in arrays (T, T, S), S the numbers of a state: 100, for lstm 200."
    )
    made = table("Gradient flow", note, "cell", "errors, ms", "contributions, ms", "memory")
    for row in rows:
        figures = figure(row["errors_ms"]), figure(row["contributions_ms"])
        made.add_row(row["cell"], *figures, number(row["arrays"]))
    return made


def peers(rows: Rows) -> Table:
    by_name = {row["workload"]: row for row in reversed(rows) if row["T"] < 100_000}
    sizes = "; ".join(
        "{workload}: vocabulary {vocab_size}, hidden {hidden_size}, T {T}".format(**row)
        for row in reversed(by_name.values())
    )
    versions = machine.peers()
    note = (
        f"{sizes}, B {sections.BATCH['B']}. Each on all cores. jax {versions['jax']}: one jitted "
        f"function, buffers donated; torch {versions['torch']}: eager; stock: plain theano-pymc "
        "with the same BLAS; limit: the matrix products of the step alone, by that BLAS. Faster: "
        "how many times as fast ours is. MB: the most memory the process has held."
    )
    columns = ("workload", "program", "ms", "tokens/s", "ours is faster", "MB")
    made = table("One SGD step, beside others", note, *columns)
    for row in rows:
        what = f"{row['workload']} {row['cell']}"
        what += "" if row["truncation"] == "full" else f" {row['truncation']}"
        what += "" if row["T"] < 100_000 else f" T {row['T']:,}"
        for program, figures in row["programs"].items():
            made.add_row(
                what if program == "ours" else "",
                program,
                figure(figures["ms"]),
                number(figures["tokens_per_second"]["median"]),
                "" if program == "ours" else figure(figures["ours_is_faster"]),
                "-" if figures["peak_bytes"] is None else number(figures["peak_bytes"] / 1e6),
            )
        made.add_section()
    return made


TABLES = {
    "peers": peers,
    "steps": steps,
    "cells": cells,
    "padding": padding,
    "startup": startup,
    "truncation": truncation,
    "length": length,
    "flow": flow,
}
