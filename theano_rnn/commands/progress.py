"""What a training shows while it runs: a bar in a terminal, a line a minute elsewhere."""

import contextlib
import signal
import time
from typing import Any, Optional

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from theano_rnn.commands.console import CONSOLE, say
from theano_rnn.common.types import Record
from theano_rnn.runs import Watching
from theano_rnn.training import sampling
from theano_rnn.training.budget import VALIDATION
from theano_rnn.training.evaluation import format_perplexity
from theano_rnn.training.loop import Training
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

#: Seconds between two lines where the output is no terminal.
LINE_EVERY = 60
#: Columns of the bar, at most and at least; without room for the least there is none.
BAR, LEAST_BAR = 30, 5
#: Tokens of the sample after an epoch, by level.
SAMPLE = {"word": 30, "bpe": 45, "char": 160}


class Stopped(KeyboardInterrupt):
    """A signal came while no step was taken, so that there is nothing to wait for."""


class Reading:
    """Says how much of a long text is read: after a second, then every ten seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1

    def __call__(self, done: int, total: Optional[int]) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 10
            of = "" if total is None else f" of {total / 1e6:,.1f}"
            say(f"Reading the text: {done / 1e6:,.1f}{of} MB")


class Display(Watching):
    """The progress, a line and a sample per epoch; Ctrl-C or SIGTERM stops after the step."""

    def __init__(self) -> None:
        self.before = TextColumn("epoch {task.fields[epoch]}")
        self.bar = BarColumn(bar_width=BAR)
        self.behind = (
            TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(
            console=CONSOLE,
            refresh_per_second=5,
            transient=True,
        )
        self.training: Optional[Training] = None
        self.drawn_at = self.line_at = time.perf_counter()
        self.exit_code = 0
        #: Whether no step is taken and no file written, so that a signal can stop it here.
        self.is_between = False

    def shown(self) -> "contextlib.AbstractContextManager[object]":
        """The bar is shown until the block ends; where the output is no terminal there is none."""
        return self.progress if CONSOLE.is_terminal else contextlib.nullcontext()

    # ---- signals

    def interrupt(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.exit_code = 130
        self._stop("; Ctrl-C again stops at once.")

    def terminate(self, *_: object) -> None:
        self._stop(", as SIGTERM asks.")

    def _stop(self, message: str) -> None:
        self.stop = True
        say(f"Stopping{'' if self.is_between else ' after this step'}{message}")
        if self.is_between:
            raise Stopped

    # ---- what training calls

    def started(self, training: Training) -> None:
        self.training = training
        state = training.state
        self.task = self.progress.add_task("", total=1, visible=False, epoch=0, figures="")
        self.progress.update(self.task, completed=training.budget.share(state))
        self._show(state.epoch, "compiling ...")
        if training.end is None:
            say(plan(training, training.tokens_per_second()))
        self.line_at = time.perf_counter()

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        assert self.training is not None
        self.progress.update(self.task, completed=self.training.budget.share(state))
        now = time.perf_counter()
        if now - self.drawn_at > 0.2:
            self.drawn_at = now
            self._draw(state, norm)
        if not CONSOLE.is_terminal and now - self.line_at > LINE_EVERY:
            self.line_at = now
            task = self.progress.tasks[0]
            left = task.time_remaining
            self._draw(state, norm)
            say(
                f"epoch {state.epoch + 1}  {task.percentage:.0f}%  {task.fields['figures']}"
                + ("" if left is None else f"  {duration(left)} left")
            )

    def _draw(self, state: State, norm: float) -> None:
        self._show(
            state.epoch,
            f"loss {state.loss / state.tokens:.3f}",
            f"{state.tokens / state.seconds:,.0f} tokens/s" if state.seconds else "? tokens/s",
            f"|gradient| {norm:.2f}",
        )

    def _show(self, epoch: int, *figures: str) -> None:
        """Show as many of the figures as the terminal has room for, and the bar beside them."""
        # What stands beside figures and bar: "epoch 10", "100%", "0:00:00" and spaces.
        room = (CONSOLE.width if CONSOLE.is_terminal else 10**9) - 26
        while len(figures) > 1 and len("  ".join(figures)) > room:
            figures = figures[:-1]
        text = "  ".join(figures)
        width = min(BAR, room - len(text) - 1)
        self.bar.bar_width = width
        columns = self.before, *([self.bar] if width >= LEAST_BAR else []), *self.behind
        self.progress.columns = columns
        self.progress.update(self.task, visible=True, epoch=epoch + 1, figures=text)

    def evaluating(self, training: Training) -> None:
        self.is_between = True
        self._show(training.state.epoch, "validating ...")

    def metrics(self, training: Training) -> Record:
        figures = super().metrics(training)
        self.is_between = False  # the epoch is written next
        return figures

    def epoch(self, r: dict[str, Any]) -> None:
        self.is_between = True
        say(
            f"epoch {r['epoch']:2d}  training loss {r['train_loss']:.3f}  validation loss "
            f"{r['valid_loss']:.3f} (perplexity {format_perplexity(r['valid_perplexity'], 1)})  "
            f"learning rate {r['learning_rate']:g}  {r['tokens'] / r['seconds']:,.0f} tokens/s"
            + ("  of the average" if r.get("averaged") else "")
            + chosen_K(r)
        )
        assert self.training is not None
        say(indented(self.sample(self.training)))
        self.line_at = time.perf_counter()
        self.is_between = False

    @staticmethod
    def sample(training: Training) -> str:
        """A short text of the model as it is now."""
        settings, vocabulary = training.settings, training.corpus.vocabulary
        (text,) = sampling.generate(
            training.model,
            vocabulary,
            seed=settings.seed,
            length=SAMPLE.get(settings.level, 40),
            carry=settings.stream,
        )
        return text


def chosen_K(r: dict[str, Any]) -> str:
    """The K of an epoch and its relative bias, where adaptive truncation chose it."""
    if "K" not in r:
        return ""
    bias, error = r["relative_bias"], r["relative_bias_error"]
    found = "unknown" if bias is None else f"{bias:.3f}"
    return f"  K {r['K']}, relative bias {found}" + (f" +- {error:.3f}" if error else "")


def indented(text: str) -> str:
    """A sample under the line that it belongs to."""
    return "\n".join("    " + line for line in text.split("\n"))


def plan(training: Training, speed: Optional[float]) -> str:
    """The steps that are left and how long they will take; how to shorten what takes hours."""
    settings, counts = training.settings, training.corpus.token_counts
    epochs, steps = settings.epochs - training.state.epoch, training.examples.count(training.state)
    more = " more" if training.state.epoch else ""
    text = f"{epochs}{more} epoch{'s' * (epochs != 1)} of {steps:,} step{'s' * (steps != 1)}"
    if speed is None:
        if settings.minutes is not None:
            text = f"Epochs{text[text.index(' of ') :]}, for {settings.minutes:g} minutes"
        return f"{text}."
    left = counts["train"] * epochs - training.state.tokens
    seconds = (left + epochs * counts["valid"] * VALIDATION) / speed
    less = "" if settings.patience is None or epochs == 1 else ", less if --patience ends it"
    budget = max(0.0, training.budget.seconds_left(training.state))
    if budget < seconds:
        many = epochs * budget / seconds
        fit = f"{many:.1f}{more} epochs of {steps:,} steps"
        if many < 0.1:
            few = max(1, round(many * steps))
            fit = f"{few} step{'s' * (few != 1)} of the {steps:,} of an epoch"
        return f"About {fit} in {duration(budget)}, at {speed:,.0f} tokens a second{less}."
    text += f": about {duration(seconds)} at {speed:,.0f} tokens a second{less}."
    if seconds <= 3600:
        return text
    return (
        f"{text} {shorter(settings, training.state.epoch, int(epochs * 3600 / seconds))}".rstrip()
    )


def shorter(settings: Settings, done: int, epochs: int) -> str:
    """What would bring a training below an hour: of a run that goes on, only its epochs.

    >>> shorter(Settings(epochs=10), done=5, epochs=2)
    'Shorter: --epochs 7.'
    """
    ways = []
    if not done and settings.batch_size < 16:
        ways.append("--batch-size 32")
    if not done and settings.hidden_size >= 100:
        ways.append(f"--hidden-size {settings.hidden_size // 2}")
    if epochs:
        ways.append(f"--epochs {done + epochs}")
    if not done:
        ways.append("a shorter text")
    return f"Shorter: {', '.join(ways)}." if ways else ""


def duration(seconds: float) -> str:
    """A time that people can read.

    >>> [duration(s) for s in (8, 90, 119, 3600, 5500, 200000)]
    ['8 seconds', '2 minutes', '2 minutes', '60 minutes', '1.5 hours', '56 hours']
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} second{'s' * (round(seconds) > 1)}"
    if seconds < 5400:
        return f"{round(seconds / 60)} minute{'s' * (round(seconds / 60) != 1)}"
    return f"{seconds / 3600:.{0 if seconds > 36000 else 1}f} hours"
