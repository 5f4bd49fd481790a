"""What ``search`` does once its options are read: it imports Theano, and so is imported late."""

import argparse
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Optional

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, say_whole, table
from theano_rnn.commands.progress import Reading, duration
from theano_rnn.commands.trials import trials_bar, workers_of
from theano_rnn.common import extras, options
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record
from theano_rnn.search import ranges
from theano_rnn.search.picture import picture
from theano_rnn.search.plan import Plan
from theano_rnn.search.study import Study, best_first, run_of
from theano_rnn.search.trial import train, wait_until_free
from theano_rnn.studies import cluster, grid
from theano_rnn.training import build
from theano_rnn.training.evaluation import format_perplexity, perplexity
from theano_rnn.training.settings import Settings
from theano_rnn.training.start import from_anywhere
from theano_rnn.training.state import first_state

if TYPE_CHECKING:
    from distributed import Client

#: Rows of the table.
ROWS = 20


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the options ask for.

    Raises
    ------
    RNNError
        For bad ranges, and settings or options that do not go together.
    """
    for name in ("trials", "workers"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise RNNError(f"--{name} must be at least 1, not {value}")
    if arguments.scheduler is not None and arguments.workers is not None:
        raise RNNError("--workers is for a cluster on this machine; leave it or --scheduler out")
    given: dict[str, Any] = {}
    if arguments.ranges is not None:
        given = grid.read(arguments.ranges, "file of ranges")
        if not isinstance(given, dict):
            raise RNNError(f"{arguments.ranges} holds no object; write settings with their ranges")
    fixed, found = ranges.parse_all({**given, **options.given(arguments, Settings)})
    return Plan(from_anywhere(fixed), found, arguments.recipe)


def search(arguments: argparse.Namespace) -> int:
    """Search, or go on with a search; return the exit code.

    It is 1 if no trial could be trained to its end.
    """
    plan = plan_of(arguments)
    trials = int(min(arguments.trials, plan.count))
    settings = plan.example()
    state = first_state(settings, build.build_corpus(settings, Reading()))
    text = [state.text, state.valid, state.test]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Study(arguments.run, plan, text, settings.seed) as study:
        run(study, trials, arguments.scheduler, arguments.workers)
        records = list(study.results.records.values())
        report(records, study)
    return 0 if any(record["ended"] == "complete" for record in records) else 1


def run(study: Study, trials: int, scheduler: Optional[str], workers: Optional[int]) -> None:
    """Train the trials that have not ended, on a cluster."""
    done, over = len(study.results.records), ranges.line(study.plan.ranges)
    try:
        say(f"{trials} trials, {min(done, trials)} of them in {study.results.path}; {over}")
        if done >= trials and not study.interrupted:
            return
        with cluster.connect(scheduler, workers) as client:
            say(workers_of(client))
            train_all(study, trials, client)
    except KeyboardInterrupt:
        say(f"Stopped. To go on: the same command, with --run {study.folder}")
        raise


def train_all(study: Study, trials: int, client: "Client") -> None:
    """Train the trials that have not ended; Ctrl-C saves those that run."""
    jobs = cluster.run(train, study.jobs(trials), client)
    try:
        with trials_bar(trials, len(study.results.records)) as advance, contextlib.closing(jobs):
            for job, outcome, error in jobs:
                record = study.end(job, outcome, error)
                chosen = options.command_line(record["settings"], Settings)
                say(f"trial {job.number}: {outcome_of(record)}; {chosen}")
                advance()
    except KeyboardInterrupt:
        say("Stopping: each trial is saved after its step; Ctrl-C again stops at once.")
        for number in study.interrupted:
            wait_until_free(run_of(study.folder, number))
        raise


def outcome_of(record: Record) -> str:
    """How a trial has ended, in a few words."""
    if record["ended"] == "failed":
        return f"failed, {record['error']}"
    epochs = f"{record['epochs']} epoch{'s' * (record['epochs'] != 1)}"
    after = f"after {epochs}, {duration(record['seconds'])}"
    loss = "" if record["loss"] is None else f"validation loss {record['loss']:.3f} "
    return f"{'pruned, ' if record['ended'] == 'pruned' else ''}{loss}{after}"


def show(ordered: list[Record], names: list[str]) -> None:
    """Print the first trials: as a table, or as lines where that is too wide."""
    title = "Trials by validation loss, the best first"
    note = f"and {len(ordered) - ROWS} more in results.jsonl" if len(ordered) > ROWS else None
    headings = ["loss", "perplexity", "epochs", "trial", "", *names]
    rows = []
    for record in ordered[:ROWS]:
        loss = record["loss"]
        of_loss = ("", "")
        if loss is not None:
            of_loss = f"{loss:.3f}", format_perplexity(perplexity(loss), 1)
        ended = "" if record["ended"] == "complete" else record["ended"]
        values = (ranges.word(record["settings"][name]) for name in names)
        rows.append([*of_loss, str(record["epochs"]), str(record["trial"]), ended, *values])
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    if sum(width + 3 for width in widths) + 1 <= CONSOLE.width:
        made = table(title, *headings, left=0, note=note)
        for row in rows:
            made.add_row(*row)
        CONSOLE.print(made)
        return
    say(title)
    for record in ordered[:ROWS]:
        say(f"trial {record['trial']}: {outcome_of(record)}")
        say(f"    {options.command_line(record['settings'])}")
    if note is not None:
        say(note)


def report(records: list[Record], study: Study) -> None:
    """Print the table, and how to train the best again; save the picture."""
    if not records:
        return
    ordered = best_first(records)
    show(ordered, list(study.plan.ranges))
    line = extras.missing("report")
    if line is not None:
        say(f"There is no importance.png; {line}")
    else:
        drawn = picture(records, study.plan.ranges)
        path = study.results.save_picture("importance.png", drawn)
        say(f"Which settings matter: {path}")
    best = ordered[0]
    if best["ended"] == "complete":
        say(f"The best is in {run_of(study.folder, best['trial'])}; to train it again:")
        say_whole(f"{calling.line('train')} {study.plan.options(best['settings'])}")
    else:
        say("No trial was trained to its end; see the messages above, or results.jsonl.")
