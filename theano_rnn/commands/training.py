"""What ``train`` does once its options are read: it imports Theano, and so is imported late."""

import argparse
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.common import extras, options
from theano_rnn.common.errors import RNNError
from theano_rnn.training import start
from theano_rnn.training.evaluation import format_perplexity
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.recipes import RECIPES
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State


@contextlib.contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Training]:
    """The training that the options ask for: new, from another run, or resumed."""
    given = options.given(arguments, Settings)
    for name in start.TEXTS & given.keys():
        given[name] = os.path.abspath(given[name])  # a run is resumed from anywhere
    folders = {"--run": arguments.run, "--recipe": arguments.recipe, "--from": arguments.source}
    not_beside = {"--resume": ("--run", "--recipe", "--from"), "--from": ("--recipe",)}
    folders["--resume"] = arguments.resume
    for one, others in not_beside.items():
        both = [name for name in others if folders[name] is not None]
        if folders[one] is not None and both:
            raise RNNError(f"{one} takes its settings from the run; leave out {', '.join(both)}")
    if arguments.resume is not None:
        found = start.resumed(arguments.resume, given)
    elif arguments.source is not None:
        settings = start.settings_from(arguments.source, given)
        found = start.new(settings, arguments.run, arguments.source)
    else:
        recipe = {} if arguments.recipe is None else RECIPES[arguments.recipe]
        found = start.new(Settings(**{**recipe, **given}), arguments.run)
    with found as training:
        yield training


def clipping(settings: Settings) -> str:
    """How large gradients are clipped, and what |gradient| in the progress bar is."""
    if not settings.clip:
        return "The gradient is not clipped."
    what = {"norm": "norm", "value": "values"}[settings.clip_by]
    return (
        f"Clipped: the gradient's {what}, to at most {settings.clip:g}; |gradient| is unclipped."
    )


class Display(Callback):
    """The progress bar and one line per epoch; Ctrl-C or SIGTERM stops after the step."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
            TimeRemainingColumn(),
            console=CONSOLE,
            refresh_per_second=5,
        )
        self.drawn_at = 0.0

    def interrupt(self, *_: object) -> None:
        self.stop = True
        say("Stopping after this step; Ctrl-C again stops at once.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def terminate(self, *_: object) -> None:
        self.stop = True
        say("Stopping after this step, as SIGTERM asks.")

    def started(self, training: Training) -> None:
        tokens = training.corpus.token_counts["train"]
        done = tokens * training.state.epoch + training.state.tokens
        self.task = self.progress.add_task(
            "", total=tokens * training.settings.epochs, completed=done,
            epoch=training.state.epoch + 1, figures="compiling ...",
        )  # fmt: skip

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        self.progress.advance(self.task, tokens)
        now = time.perf_counter()
        if now - self.drawn_at > 0.2:
            speed = self.progress.tasks[0].speed
            rate = f"{speed:,.0f}" if speed else "?"  # not known yet
            self.drawn_at = now
            self.progress.update(
                self.task,
                epoch=state.epoch + 1,
                figures=f"loss {state.loss / state.tokens:.3f}  {rate} tokens/s"
                f"  |gradient| {norm:.2f}",
            )

    def metrics(self, training: Training) -> dict[str, Any]:
        if not training.settings.watch:
            return {}
        from theano_rnn.flow.watch import watched

        return watched(training.model, training.corpus.valid)

    def epoch(self, r: dict[str, Any]) -> None:
        say(
            f"epoch {r['epoch']:2d}  training loss {r['train_loss']:.3f}  validation loss "
            f"{r['valid_loss']:.3f} (perplexity {format_perplexity(r['valid_perplexity'], 1)})  "
            f"learning rate {r['learning_rate']:g}  {r['tokens'] / r['seconds']:,.0f} tokens/s"
        )


def show(result: dict[str, Any], run: Run) -> None:
    names = {
        "unigram": "unigram",
        "interpolated bigram": "bigram",
        f"Kneser-Ney, order {result['kneser_ney_order']}": "kneser_ney",
        "this network": "test",
        "..., learning from it": "dynamic",
    }
    perplexities = table("Perplexity on the test text", "model", "perplexity")
    for model, name in names.items():
        if f"{name}_perplexity" in result:
            perplexities.add_row(model, format_perplexity(result[f"{name}_perplexity"], 1))
    CONSOLE.print(perplexities)
    say(
        f"{result['vocab_size']:,} tokens in the vocabulary, {result['oov_rate']:.1%} of the test "
        f"text unknown, {result['epochs']} epoch{'s' * (result['epochs'] != 1)}, best after epoch "
        f"{result['best_epoch']}."
    )
    line = extras.missing("report")
    if line is not None:
        say(f"There is no loss.png; {line}")
    say(f"The run is in {run.folder}; to sample: {calling.line('generate')} {run.folder}")


def train(training: Training, display: Display) -> None:
    settings, run, corpus = training.settings, training.run, training.corpus
    for refused in training.refused:
        say(f"Falling back to an earlier checkpoint: {refused}")
    counts = corpus.token_counts
    say(
        f"{counts['train']:,} tokens to train on, {counts['valid']:,} to validate, "
        f"{counts['test']:,} to test; vocabulary {corpus.vocabulary.size:,}; run {run.folder}"
    )
    say(clipping(settings))
    signal.signal(signal.SIGINT, display.interrupt)
    signal.signal(signal.SIGTERM, display.terminate)
    with display.progress:
        training.run_epochs(display, calling.START)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if training.is_over and training.state.epoch < settings.epochs:
        say(f"Training ends: {settings.patience} epochs without a lower validation loss.")
    show(training.result(), run)
