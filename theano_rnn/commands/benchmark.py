"""Measure speed and memory beside plain theano-pymc in the same run."""

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

from rich.console import Console
from rich.table import Table

from theano_rnn.benchmark import kept, machine, roofline, sections
from theano_rnn.benchmark.programs import ProgramError
from theano_rnn.commands import calling
from theano_rnn.commands.console import table
from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record
from theano_rnn.engine import compat, theano

FULL = sections.Conditions()
QUICK = sections.Conditions(rounds=3, seconds=0.1, warm_starts=1, slow_compilers=False)

#: The result of a section.
Rows = list[Record]

#: Where make benchmark puts JAX and PyTorch: in the current folder, if that is the checkout, and
#: in the checkout itself.
PEERS = tuple(
    folder / ".venv-peers" / "bin" / "python"
    for folder in (Path(), Path(__file__).resolve().parents[2])
)


@calling.ends_in_a_line("benchmark")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    if not theano.config.cxx:
        raise RNNError("benchmark needs a C++ compiler; theano-rnn doctor says what to install")
    if arguments.peers_python is not None and not arguments.peers:
        raise RNNError("--peers-python is for the peers; give --peers too, or leave it out")
    names = sections.parse_sections(arguments.only)
    if arguments.peers and "peers" not in names:
        names.insert(0, "peers")
    conditions = dataclasses.replace(
        QUICK if arguments.quick else FULL,
        threads=sections.parse_threads(arguments.threads),
        seed=arguments.seed,
        peers_python=peers_python(arguments.peers_python) if "peers" in names else None,
    )
    if arguments.json not in (None, "-"):
        file = Path(arguments.json)
        is_new = not file.exists()
        with files.writing(file):  # before anything is measured
            file.open("a").close()
            if is_new:
                file.unlink()
    then = None if arguments.compare is None else kept_result(arguments.compare)
    try:
        measure(names, conditions, arguments.json, then)
    except (ProgramError, RNNError) as error:
        return complain(error, 1)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    return 0


def measure(
    names: list[str],
    conditions: sections.Conditions,
    json_file: Optional[str],
    then: Optional[Record] = None,
) -> None:
    """Measure the sections; print each as a table, or write all as JSON, or both.

    At the end what differs from the result of ``then`` is printed.
    """
    to_stdout = json_file == "-"
    console = Console(stderr=to_stdout, highlight=False)
    loop = {"operations_a_second": roofline.Machine(1).operations}
    settings = {
        name: v for name, v in vars(conditions).items() if name != "peers_python"
    }  # a path
    result: Record = {"machine": {**machine.describe(), **loop}, "settings": settings}
    console.print(header(result["machine"]))
    for name in names:
        with console.status(f"measuring {name} ..."):
            result[name] = sections.SECTIONS[name](conditions)
        if not to_stdout:
            console.print(TABLES[name](result[name]))
    text = json.dumps(result, indent=1)
    if to_stdout:
        print(text)
    elif json_file is not None:
        Path(json_file).write_text(text + "\n")
    if then is not None:
        machines = then["machine"], result["machine"]
        console.print(changes(kept.changes(then, result), *machines))


def kept_result(path: str) -> Record:
    """A result that --json has written."""
    try:
        result = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise RNNError(f"--compare {path}: {files.reason(error)}") from None
    except (ValueError, RecursionError):
        result = None
    if not kept.is_result(result):
        raise RNNError(f"--compare {path} is no result of benchmark --json; make it again")
    return dict(result)


def peers_python(given: Optional[str]) -> str:
    """The path of an interpreter that has JAX and PyTorch.

    Parameters
    ----------
    given : str, optional
        An interpreter; by default the first of ``PEERS`` that exists.

    Raises
    ------
    RNNError
        If there is none.
    """
    found = PEERS if given is None else filter(None, [shutil.which(given)])
    for python in map(Path, found):
        if python.exists():
            return str(python.absolute())  # not resolved: the link itself makes the environment
    if given is not None:
        raise RNNError(f"--peers-python {given}: there is no such interpreter; give its path")
    pins = Path(sections.__file__).with_name("peers.txt")
    raise RNNError(
        f"there is no {PEERS[0]} here; run make benchmark in a checkout, which makes it, or give "
        f"--peers-python the interpreter of an environment with the packages of {pins}"
    )


def parser() -> argparse.ArgumentParser:
    p = calling.Parser(
        prog=calling.program("benchmark"),
        description=__doc__,
        epilog="Each program runs in a process of its own, and they are measured in turns. A "
        "figure is the median, with the minimum and the maximum in brackets. All sections "
        "take some ten minutes with --quick, --peers among them.",
    )
    p.add_argument(
        "--only",
        metavar="SECTIONS",
        help=f"comma-separated names of {','.join(sections.SECTIONS)} (default: all but peers)",
    )
    p.add_argument(
        "--peers",
        action="store_true",
        help="compare with JAX and PyTorch too, which have an environment of their own (the "
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
        help="threads that compute; the section steps is measured with each number (default: 1)",
    )
    p.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK.rounds} rounds of {QUICK.seconds} s instead of {FULL.rounds} of "
        f"{FULL.seconds} s, {QUICK.warm_starts} warm start instead of {FULL.warm_starts}, and "
        "PyTensor with tanh only; takes less time and is less precise",
    )
    p.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the parameters and the random tokens, for all programs (default: 0)",
    )
    p.add_argument(
        "--compare",
        metavar="FILE",
        help="tell which steps have become quicker or slower by a tenth than in FILE, which "
        "--json has written, in units of a fixed loop",
    )
    p.add_argument(
        "--json",
        metavar="FILE",
        help="write the results of all rounds as JSON; - writes the JSON, and nothing else, to "
        "standard output",
    )
    return p


def complain(message: Union[str, Exception], code: int) -> int:
    print(f"{calling.program('benchmark')}: {message}", file=sys.stderr)
    return code


# ---- tables


def header(facts: Record) -> str:
    return (
        f"{facts['date']}  load {facts['load']}\n"
        f"{facts['cpu']} ({facts['vectors']}), {facts['cores']} cores, {facts['system']}\n"
        f"Python {facts['python']}, theano-pymc {facts['theano-pymc']}, NumPy {facts['numpy']}, "
        f"{facts['blas']}\n{facts['compiler']}; scan: {facts['scan']}\n"
    )


def number(value: float) -> str:
    """A number with three significant figures, more only before the decimal point."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def figure(spread: Record) -> str:
    """The median, with the minimum and the maximum of the rounds."""
    median, least, most = (number(spread[key]) for key in ("median", "min", "max"))
    return median if least == most else f"{median} ({least}..{most})"


def changes(rows: "list[kept.Change]", then: Record, now: Record) -> Table:
    note = "ms; times: now by then, in units of a fixed loop. Less than a tenth is not told."
    if any(then.get(name) != now.get(name) for name in ("cpu", "vectors", "cores")):
        note += (
            f" Then it was another machine: {then.get('cpu')} ({then.get('vectors')}), "
            f"{then.get('cores')} cores; its caches and vectors change the figures too."
        )
    made = table("Changed by a tenth" if rows else "Nothing has changed by a tenth",
                 "step", "then", "now", "times", note=note)  # fmt: skip
    for row in rows:
        made.add_row(row.name, number(row.then), number(row.now), f"{row.times:.2f}")
    return made


def steps(rows: Rows) -> Table:
    sizes = "; ".join(
        "{workload}: vocabulary {vocab_size}, hidden {hidden_size}, T {T}".format(**row)
        for row in rows
        if row["threads"] == rows[0]["threads"]
    )
    note = (
        f"{sizes}. stock: plain theano-pymc in float32, with the same BLAS, the state a vector, "
        "products with U and V outside the scan, U by rows."
    )
    if not compat.CYTHON_WORKS:
        note += (
            " The compiled scan loop of stock does not build since Python 3.11, so stock runs the "
            "Python loop; ours repairs that."
        )
    if not compat.STARTS_ALONE:
        note += " Stock starts on this Python and NumPy by the compat of our engine alone."
    columns = ("workload", "threads", "program", "ms", "tokens/s", "times as fast")
    made = table("One SGD step", *columns, note=note)
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
        "Modules in the cache: after the start with an empty cache, and after all starts. Of the "
        "loops of an lstm of three layers under window:4, the one that takes longest to compile "
        f"takes {number(rows[0]['largest_loop_seconds'])} s."
    )
    made = table("Start-up", "program", "empty cache", "full cache", "modules", note=note)
    for row in rows:
        cold, warm = figure(row["cold_seconds"]), figure(row["warm_seconds"])
        modules = f"{row['modules']}, {row['modules_after_warm_starts']}"
        made.add_row(row["program"], cold, warm, modules)
    return made


def truncation(rows: Rows) -> Table:
    note = "One SGD step on a sentence of 20 words, vocabulary 8000."
    made = table("Truncation", "truncation", "ms", "times full", note=note)
    for row in rows:
        made.add_row(row["truncation"], figure(row["ms"]), figure(row["times_full"]))
    return made


def cells(rows: Rows) -> Table:
    note = (
        "One SGD step with the full gradient. sentence and char as above; batch: "
        "vocabulary {vocab_size}, hidden {hidden_size}, T {T}, B {B}.".format(**rows[-1])
    )
    columns = ("workload", "threads", "cell", "ms", "tokens/s", "times tanh")
    made = table("Cells", *columns, note=note)
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


def options(rows: Rows) -> Table:
    note = (
        "One step of an lstm on all cores: vocabulary {vocab_size}, embedding and hidden "
        "{hidden_size}, T {T}, B {B}; the second group of two layers, B {other_B}. sentence: as "
        "above. times first: beside the first of its group. sgd: without clipping.".format(
            **sections.BATCH, other_B=sections.TIED_BATCH["B"]
        )
    )
    made = table("Options", "option", "ms", "times first", note=note)
    for row in rows:
        made.add_row(row["option"], figure(row["ms"]), figure(row["times_first"]))
    return made


def precision(rows: Rows) -> Table:
    note = (
        "One SGD step on all cores: vocabulary {vocab_size}, hidden {hidden_size}, T {T}, B {B}. "
        "bf16: --precision bf16, where the processor has it.".format(**sections.BATCH)
    )
    made = table("Precision", "cell", "precision", "ms", "times as fast", note=note)
    for row in rows:
        is_first = row["precision"] == rows[0]["precision"]
        made.add_row(
            row["cell"] if is_first else "",
            row["precision"],
            figure(row["ms"]),
            "" if is_first else figure(row["times_as_fast"]),
        )
    return made


def training(rows: Rows) -> Table:
    note = (
        "Tokens a second of train.py, the first two steps and what is done between epochs left "
        "out, beside those of its steps alone. One thread, 100 units, a vocabulary of some 2,000 "
        "words; batch and stream: 16 rows. The share is of the quickest epoch of the steps."
    )
    made = table("Training", "mode", "cell", "steps", "training", "share", note=note)
    for i, row in enumerate(rows):
        is_first = i == 0 or rows[i - 1]["mode"] != row["mode"]
        made.add_row(
            row["mode"] if is_first else "",
            row["cell"],
            number(row["steps_tokens_per_second"]),
            number(row["training_tokens_per_second"]),
            f"{row['share']:.2f}",
        )
    return made


def busy(rows: Rows) -> Table:
    note = (
        "Tokens a second of steps of an lstm beside processes that do nothing but count, by "
        "--threads. words: two layers of 200, vocabulary 10,000, T 35, B 20; characters: one of "
        "100, vocabulary 64, T 200. 0 chooses the number by timing steps, and that time counts. "
        "The share is of the best fixed number."
    )
    numbers = list(rows[0]["tokens_per_second"])
    columns = ("workload", "busy processes", *(f"threads {n}" for n in numbers), "share")
    made = table("A busy machine", *columns, note=note)
    for i, row in enumerate(rows):
        made.add_row(
            row["workload"] if i == 0 or rows[i - 1]["workload"] != row["workload"] else "",
            str(row["processes"]),
            *(number(row["tokens_per_second"][n]) for n in numbers),
            f"{row['share']:.2f}",
        )
    return made


def padding(rows: Rows) -> Table:
    note = "The share of positions that are padding, for sentences of the default corpus."
    made = table("Padding", "sentences per batch", "batches", "padding", note=note)
    for row in rows:
        made.add_row(str(row["batch_size"]), f"{row['batches']:,}", f"{row['padding']:.1%}")
    return made


def length(rows: Rows) -> Table:
    note = (
        "One SGD step on characters. MB: the peak memory of a step, less that of the process "
        "before; bytes per token: its growth since the row before."
    )
    columns = ("truncation", "T", "ms", "us per token", "MB", "bytes per token")
    made = table("Length", *columns, note=note)
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
        "Gradient flow of 100 steps and 100 units, in float64. errors: all dE_t/dh_k and their "
        "norms. contributions: the share of each pair (t, k) in dE/dW, after the errors. memory: "
        "the peak, in arrays (T, T, S), with S the size of a state: 100, for lstm 200."
    )
    columns = ("cell", "errors, ms", "contributions, ms", "memory")
    made = table("Gradient flow", *columns, note=note)
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
        f"function, buffers donated; torch {versions['torch']}: eager, its gru and lstm, which "
        "multiply their input by a matrix too, here the identity; torch.compile: its loss "
        f"and gradient compiled for these shapes; pytensor {versions['pytensor']}: with Numba; "
        "pytensor-c: with C and the BLAS that ours calls; stock: plain theano-pymc with the same "
        "BLAS; limit: the matrix products of the step alone, by that BLAS; roofline: the "
        "operations of these products in registers, or their reads of V and W. Ours is faster: so "
        "many times as fast; of the roofline it is the share that ours reaches. MB: the peak "
        "memory of the process."
    )
    columns = ("workload", "program", "ms", "tokens/s", "ours is faster", "MB")
    made = table("One SGD step, beside other programs", *columns, note=note)
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
        if "roofline" in row:
            ms, share = row["roofline"]["ms"], row["roofline"]["share"]
            made.add_row(
                "", f"roofline ({row['roofline']['of']})", number(ms), "", figure(share), ""
            )
        made.add_section()
    return made


TABLES = {
    made.__name__: made
    for made in (
        peers, steps, cells, options, precision, training, busy, padding, startup, truncation,
        length, flow,
    )
}  # fmt: skip
