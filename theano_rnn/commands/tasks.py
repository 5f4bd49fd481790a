"""Train networks on tasks whose answer lies far back, and see which remedies help.

Give one task and one remedy, or --sweep for a grid of many on a Dask cluster.
"""

import argparse
import dataclasses
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Optional

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.commands.trials import trials_bar, workers_of
from theano_rnn.common import extras, options
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record
from theano_rnn.long_term import grid
from theano_rnn.long_term.remedies import names_of
from theano_rnn.long_term.results import Results, by_row_and_length, picture
from theano_rnn.long_term.trial import Trial, learn
from theano_rnn.studies import cluster

#: What a record says about its end.
ENDS = {
    "solved": "solved",
    "updates": "not solved within the updates allowed",
    "seconds": "not solved within the seconds allowed",
    "not finite": "not solved: the loss is no longer finite",
    "stopped": "stopped",
}

EPILOG = """Example: %(prog)s --task temporal_order --length 50 --remedy clip,omega --seeds 5.
A grid is a JSON list of objects. Each gives settings a value or a list of values, and stands for
all combinations: [{"task": "addition", "length": [20, 50], "cell": ["tanh", "lstm"]}]."""


def parser() -> calling.Parser:
    """The options; the settings of a trial that were not given are None."""
    p = calling.Parser(prog=calling.program("tasks"), description=__doc__, epilog=EPILOG)
    options.add_options(p, Trial)
    # fmt: off
    many = p.add_argument_group("many trials")
    many.add_argument("--seeds", help="run N trials of the task, with the seeds 0, 1, ... "
                      "(default: 1)", type=int, metavar="N")
    many.add_argument("--sweep", nargs="?", const="default", metavar="GRID.json",
                      help="run all trials of a grid; without a file that of the published "
                      "tables, more than an hour on two cores. The same command resumes a stopped "
                      "sweep")
    many.add_argument("--scheduler", metavar="ADDRESS", help="use the Dask scheduler at this "
                      "address, such as tcp://host:8786 (default: a cluster on this machine)")
    many.add_argument("--workers", type=int, metavar="N", help="processes of the cluster on this "
                      "machine (default: one per core)")

    p.add_argument("--run", metavar="DIR", help="write results.jsonl and success.png to this "
                   "folder (default: runs/long_term for a sweep; otherwise nothing is written)")
    # fmt: on
    return p


def trials_of(arguments: argparse.Namespace) -> list[Trial]:
    """The trials that the options ask for.

    Raises
    ------
    RNNError
        For options that do not go together, and for bad settings.
    """
    given = options.given(arguments, Trial)
    if arguments.sweep is not None:
        extra = [*given, *["seeds"] * (arguments.seeds is not None)]
        if extra:
            names = ", ".join(map(options.option, extra))
            raise RNNError(f"--sweep takes all settings from its grid; leave out {names}")
        extras.need("sweep", "--sweep")
        if arguments.workers is not None and arguments.workers < 1:
            raise RNNError(f"--workers must be at least 1, not {arguments.workers}")
        if arguments.sweep == "default":
            return grid.expand(grid.DEFAULT)
        return checked(grid.read_grid(arguments.sweep))
    for name in ("scheduler", "workers"):
        if getattr(arguments, name) is not None:
            raise RNNError(f"--{name} is for a sweep; give --sweep too")
    for name in ("task", "length"):
        if name not in given:
            raise RNNError(f"--{name} is missing; give it, or --sweep for a grid of tasks")
    seeds = 1 if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        raise RNNError(f"--seeds must be at least 1, not {seeds}")
    return checked([Trial(**given, seed=seed) for seed in range(seeds)])


#: The remedies whose settings these are.
OF_REMEDIES = {"clip": "clip", "alpha": "omega"}


def checked(trials: list[Trial]) -> list[Trial]:
    """The trials; RNNError if a setting has an effect in none of them, or one is too large."""
    for trial in trials:
        trial.check_memory()
    defaults = {field.name: field.default for field in dataclasses.fields(Trial)}
    for name, remedy in OF_REMEDIES.items():
        is_set = any(getattr(trial, name) != defaults[name] for trial in trials)
        if is_set and not any(remedy in names_of(trial.remedy) for trial in trials):
            raise RNNError(f"{name} is for the remedy {remedy}, and no trial has it; leave it out")
    return trials


def name_of(trial: Trial) -> str:
    return f"{trial.task} {trial.length}, {trial.cell}, {trial.remedy}, seed {trial.seed}"


def outcome(record: Record) -> str:
    """How a trial ended, in a line."""
    rate = record["error_rate"]
    wrong = "" if rate is None else f", {rate:.2%} wrong"
    took = f"{record['updates']:,} updates in {record['seconds']:.1f} s"
    return f"{ENDS[record['ended']]}, {took}{wrong}"


class Display:
    """The progress bar of one trial after the other; the first Ctrl-C asks them to stop."""

    def __init__(self) -> None:
        self.stop = False
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=CONSOLE,
            refresh_per_second=5,
        )

    def interrupt(self, *_: object) -> None:
        self.stop = True
        say("Stopping after the next test; Ctrl-C again stops at once.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(self, trial: Trial) -> Record:
        """The record of a trial."""
        bar = self.progress.add_task(
            f"seed {trial.seed}", total=trial.max_updates, figures="compiling ..."
        )

        def on_test(updates: int, _: float, loss: float, error_rate: float, norm: float) -> bool:
            figures = f"loss {loss:.3f}  {error_rate:.1%} wrong  |gradient| {norm:.2f}"
            self.progress.update(bar, completed=updates, figures=figures)
            return self.stop

        record = learn(trial, on_test)
        self.progress.remove_task(bar)
        return record


def run_here(trials: Sequence[Trial], results: Optional[Results]) -> int:
    """Run the trials in this process, one after the other; return the exit code."""
    display, records = Display(), []
    signal.signal(signal.SIGINT, display.interrupt)
    with display.progress:
        for trial in trials:
            record = display.run(trial)
            say(f"{name_of(trial)}: {outcome(record)}")
            if record["ended"] == "stopped":
                break
            records.append(record)
            if results is not None:
                results.add(record)
            if display.stop:
                break
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report(records, results)
    return 130 if display.stop else 0


def run_sweep(
    trials: list[Trial], results: Results, scheduler: Optional[str], workers: Optional[int]
) -> int:
    """Run the trials that have no record yet on a cluster; return the exit code."""
    missing, failed = results.missing(trials), 0
    say(f"{len(trials)} trials, {len(trials) - len(missing)} of them in {results.path}")
    if missing:
        with cluster.connect(scheduler, workers) as client:
            say(workers_of(client))
            failed = follow(cluster.run(learn, missing, client), results, len(missing))
    report(results.records_of(trials), results)
    if failed:
        say(f"{failed} trials failed and have no record; the same command runs them again.")
    return 1 if failed else 0


def follow(done: Iterable[Any], results: Results, total: int) -> int:
    """Save and print each record as it comes in; return how many trials failed."""
    failed = 0
    with trials_bar(total) as advance:
        for trial, record, error in done:
            if error is None:
                results.add(record)
                say(f"{name_of(trial)}: {outcome(record)}")
            else:
                failed += 1
                say(f"{name_of(trial)}: failed, {cluster.reason(error)}")
            advance()
    return failed


def report(records: list[Record], results: Optional[Results]) -> None:
    """Print the table of the records, if there are any, and save its picture."""
    if not records:
        return
    lengths = sorted({r["length"] for r in records})
    headings = "task", "cell", "remedy", *map(str, lengths)
    made = table("Solved, by the length of the sequences", *headings, left=3)
    task_before = None
    for (task, cell, remedy), row in by_row_and_length(records).items():
        if task_before not in (None, task):
            made.add_section()
        name, task_before = "" if task == task_before else task, task
        made.add_row(name, cell, remedy, *(solved(row.get(length, [])) for length in lengths))
    CONSOLE.print(made)
    say("Seeds that solve it of all seeds, and the median of the updates they took.")
    if results is not None:
        say(f"Results are in {results.path}")
        line = extras.missing("report")
        if line:
            say(f"There is no success.png; {line}")
        else:
            # Also of earlier commands in this folder.
            drawn = picture(by_row_and_length([*results.records.values()]))
            say(f"Their picture is {results.save_picture('success.png', drawn)}")


def solved(records: list[Record]) -> str:
    """A cell of the table: "2/3 12,500", or nothing if there are no records."""
    if not records:
        return ""
    updates = [r["updates"] for r in records if r["solved"]]
    after = f" {median(updates):,.0f}" if updates else ""
    return f"{len(updates)}/{len(records)}{after}"


@calling.ends_in_a_line("tasks")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    is_sweep, folder = arguments.sweep is not None, arguments.run
    if folder is None and is_sweep:
        folder = Path("runs") / "long_term"
    try:
        trials = trials_of(arguments)
        if folder is None:
            return run_here(trials, None)
        with Results(folder) as results:
            if not is_sweep:
                return run_here(trials, results)
            return run_sweep(trials, results, arguments.scheduler, arguments.workers)
    except KeyboardInterrupt:
        say("Stopped; the same command resumes the sweep." if is_sweep else "Stopped.")
        raise
