"""Train networks on tasks whose answer lies far back, and see which remedies learn them.

One task and one remedy, or with --sweep a grid of them on a Dask cluster.
"""

import argparse
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any, Optional

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say
from theano_rnn.common.errors import RNNError
from theano_rnn.long_term import grid, remedies
from theano_rnn.long_term.tasks import TASKS
from theano_rnn.long_term.trial import Trial, learn
from theano_rnn.model.cells import CELLS

DEFAULTS = {field.name: field.default for field in fields(Trial)}

#: Why a trial ended, as shown.
ENDS = {
    "solved": "solved",
    "updates": "not solved within the updates allowed",
    "seconds": "not solved within the seconds allowed",
    "not finite": "not solved: the loss is no longer finite",
    "stopped": "stopped",
}

EPILOG = """Example: %(prog)s --task temporal_order --length 50 --remedy clip,omega --seeds 5.
A grid is a JSON list of objects; each gives settings a value or a list of values and stands for
all combinations: [{"task": "addition", "length": [20, 50], "cell": ["tanh", "lstm"]}]."""


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Settings of a trial that were not given are None, so that --sweep can tell."""
    p = calling.Parser(prog=calling.program("tasks"), description=__doc__, epilog=EPILOG)

    def option(group: Any, name: str, help: str, **settings: Any) -> None:
        default = DEFAULTS.get(name.strip("-").replace("-", "_"))
        shown = f" (default: {default})" if isinstance(default, (str, int, float)) else ""
        group.add_argument(name, help=help + shown, **settings)

    # fmt: off
    trial = p.add_argument_group("one task")
    option(trial, "--task", "what is to be learned", choices=list(TASKS))
    option(trial, "--length", "of the sequences: the longer, the farther back is what counts",
           type=int, metavar="L")
    option(trial, "--cell", "the recurrence; gru and lstm are remedies themselves",
           choices=list(CELLS))
    option(trial, "--remedy", "one or several, with commas or + between them: "
           + ", ".join(remedies.REMEDIES), metavar="NAMES")
    trial.add_argument("--seeds", help="so many trials, of the seeds 0, 1, ... (default: 1)",
                       type=int, metavar="N")
    option(trial, "--hidden-size", "units of the state", type=int, metavar="H")
    option(trial, "--learning-rate", "larger learns faster, until it stops learning at all",
           type=float, metavar="X")
    option(trial, "--batch-size", "sequences in an update", type=int, metavar="B")
    option(trial, "--clip", "largest norm of the gradient, where the remedy is clip",
           type=float, metavar="X")
    option(trial, "--alpha", "factor of Omega, where the remedy is omega; 2 to 4 in the paper",
           type=float, metavar="X")
    option(trial, "--max-updates", "not solved by then is not solved", type=int, metavar="N")
    option(trial, "--max-seconds", "nor by then, compiling not counted", type=float, metavar="X")
    option(trial, "--test-every", "updates between two tests", type=int, metavar="N")

    many = p.add_argument_group("many")
    many.add_argument("--sweep", nargs="?", const="default", metavar="GRID.json",
                      help="all trials of a grid; without a file that of the README, half an "
                      "hour on two cores. The same command goes on with a sweep "
                      "that was stopped")
    many.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as "
                      "tcp://host:8786 (default: a cluster on this machine)")
    many.add_argument("--workers", type=int, metavar="N", help="processes of the cluster on this "
                      "machine (default: one a core)")

    p.add_argument("--run", metavar="DIR", help="folder for results.jsonl and success.png "
                   "(default: runs/long_term for a sweep; without one nothing is written)")
    # fmt: on
    return p.parse_args(argv)


def trials_of(arguments: argparse.Namespace) -> list[Trial]:
    """What the options ask for.

    Raises
    ------
    RNNError
        For options that do not go together, and for bad settings.
    """
    all_given = {name: getattr(arguments, name, None) for name in DEFAULTS}
    given: dict[str, Any] = {n: value for n, value in all_given.items() if value is not None}
    if arguments.sweep is not None:
        extra = [*given, *["seeds"] * (arguments.seeds is not None)]
        if extra:
            options = ", ".join("--" + name.replace("_", "-") for name in extra)
            raise RNNError(f"--sweep takes all settings from its grid; leave out {options}")
        if arguments.workers is not None and arguments.workers < 1:
            raise RNNError(f"--workers must be at least 1, not {arguments.workers}")
        if arguments.sweep == "default":
            return grid.trials(grid.DEFAULT)
        return grid.read_grid(arguments.sweep)
    for name in ("scheduler", "workers"):
        if getattr(arguments, name) is not None:
            raise RNNError(f"--{name} is for a sweep; give --sweep too")
    for name in ("task", "length"):
        if name not in given:
            raise RNNError(f"give --{name}, or --sweep for a grid of tasks")
    seeds = 1 if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        raise RNNError(f"--seeds must be at least 1, not {seeds}")
    return [Trial(**given, seed=seed) for seed in range(seeds)]


def named(r: dict[str, Any]) -> str:
    return f"{r['task']} {r['length']}, {r['cell']}, {r['remedy']}, seed {r['seed']}"


def ended(r: dict[str, Any]) -> str:
    """What a record says, in a line."""
    wrong = "" if r["error_rate"] is None else f", {r['error_rate']:.2%} wrong"
    return f"{ENDS[r['ended']]}, {r['updates']:,} updates in {r['seconds']:.1f} s{wrong}"


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

    def run(self, trial: Trial) -> dict[str, Any]:
        """The record of a trial."""
        task = self.progress.add_task(
            f"seed {trial.seed}", total=trial.max_updates, figures="compiling ..."
        )

        def watch(
            updates: int, seconds: float, loss: float, error_rate: float, norm: float
        ) -> bool:
            self.progress.update(
                task, completed=updates,
                figures=f"loss {loss:.3f}  {error_rate:.1%} wrong  |gradient| {norm:.2f}",
            )  # fmt: skip
            return self.stop

        record: dict[str, Any] = learn(trial, watch)
        self.progress.remove_task(task)
        return record


def run_here(trials: Sequence[Trial], results: Optional[grid.Results]) -> int:
    """Each trial in this process, one after the other."""
    display, records = Display(), []
    signal.signal(signal.SIGINT, display.interrupt)
    with display.progress:
        for trial in trials:
            record = display.run(trial)
            say(f"{named(record)}: {ended(record)}")
            if record["ended"] == "stopped":
                break
            records.append(record)
            if results is not None:
                results.add(record)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if records:
        show(records, results)
    return 130 if display.stop else 0


def run_sweep(
    trials: list[Trial],
    results: grid.Results,
    scheduler: Optional[str],
    workers: Optional[int],
) -> int:
    """The trials that have no record yet, on a cluster."""
    missing, failed = results.missing(trials), 0
    say(f"{len(trials)} trials, {len(trials) - len(missing)} of them in {results.path}")
    if missing:
        with grid.cluster(scheduler, workers) as client:
            count = len(client.scheduler_info()["workers"])
            say(f"{count} workers" if count else "The scheduler has no workers yet: it waits")
            failed = follow(grid.run(missing, client), results, len(missing))
    records = results.of(trials)
    if records:
        show(records, results)
    if failed:
        say(f"{failed} trials failed and have no record; the same command runs them again.")
    return 1 if failed else 0


def follow(done: Iterable[Any], results: grid.Results, total: int) -> int:
    """Write and show what comes in; how many trials failed."""
    failed = 0
    progress = Progress(
        TextColumn("trials"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(),
        console=CONSOLE,
    )  # fmt: skip
    with progress:
        task = progress.add_task("", total=total)
        for trial, record, error in done:
            if error is None:
                results.add(record)
                say(f"{named(record)}: {ended(record)}")
            else:
                failed += 1
                say(f"{named(vars(trial))}: failed, {type(error).__name__}: {error}")
            progress.advance(task)
    return failed


def show(records: list[dict[str, Any]], results: Optional[grid.Results]) -> None:
    for_lengths = sorted({r["length"] for r in records})
    table = Table(title="Solved, of all seeds, and the updates it took", title_justify="left")
    for heading in ("task", "cell", "remedy"):
        table.add_column(heading)
    for length in for_lengths:
        table.add_column(str(length), justify="right")
    before = None
    for (task, cell, remedy), cells in grid.success(records).items():
        if before not in (None, task):
            table.add_section()
        name, before = "" if task == before else task, task
        table.add_row(name, cell, remedy, *(shown(cells.get(length)) for length in for_lengths))
    CONSOLE.print(table)
    say("Updates: the median of the seeds that solve it.")
    if results is not None:
        picture = results.save_picture(records)
        say(f"Results are in {results.path}, their picture in {picture}")


def shown(records: Optional[list[dict[str, Any]]]) -> str:
    """2/3 12,500: two seeds of three solve it, the median of their updates."""
    if not records:
        return ""
    updates = [r["updates"] for r in records if r["solved"]]
    after = f" {median(updates):,.0f}" if updates else ""
    return f"{len(updates)}/{len(records)}{after}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    folder = arguments.run
    if folder is None and arguments.sweep is not None:
        folder = Path("runs") / "long_term"
    try:
        trials = trials_of(arguments)
        if folder is None:
            return run_here(trials, None)
        with grid.Results(folder) as results:
            if arguments.sweep is None:
                return run_here(trials, results)
            return run_sweep(trials, results, arguments.scheduler, arguments.workers)
    except RNNError as error:
        print(f"{calling.program('tasks')}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        more = "; the same command goes on" if arguments.sweep is not None else ""
        say(f"Stopped{more}.")
        return 130
