"""What ``train`` does once its options are read: it imports Theano, and so is imported late."""

import argparse
import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say, table
from theano_rnn.commands.next_step import clipped, what_to_try
from theano_rnn.commands.progress import Display, Reading, Stopped, indented
from theano_rnn.common import extras, options
from theano_rnn.common.errors import RNNError
from theano_rnn.training import build, start
from theano_rnn.training.evaluation import format_perplexity, judged_on, on_unknown
from theano_rnn.training.loop import Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings

#: Columns that the table of all figures needs.
WIDE = 55
#: Sentences of samples.txt that are printed at the end, or lines of a text.
SAMPLES = 5


@contextlib.contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Training]:
    """The training that the options ask for: new, from another run, or resumed."""
    given = options.given(arguments, Settings)
    folders = {
        "--run": arguments.run,
        "--recipe": arguments.recipe,
        "--from": arguments.source,
        "--resume": arguments.resume,
    }
    not_beside = {"--resume": ("--run", "--recipe", "--from"), "--from": ("--recipe",)}
    for one, others in not_beside.items():
        both = [name for name in others if folders[name] is not None]
        if folders[one] is not None and both:
            raise RNNError(f"{one} takes its settings from the run; leave out {', '.join(both)}")
    reading = Reading()
    if arguments.resume is not None:
        found = start.resumed(arguments.resume, given, reading)
    else:
        settings, left_open = start.chosen(given, arguments.recipe, arguments.source)
        found = start.new(settings, arguments.run, arguments.source, reading, left_open)
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


def show(result: dict[str, Any]) -> None:
    """The table of perplexities, and what it was measured on."""
    names = {
        "unigram": "unigram",
        "interpolated bigram": "bigram",
        f"Kneser-Ney, order {result['kneser_ney_order']}": "kneser_ney",
        "this network": judged_on(result),
        "..., learning from it": "dynamic",
        "..., by RMS-scaled steps": "dynamic_rms",
    }
    # A terminal that is too narrow for all figures shows the first: a word would be broken.
    shown = slice(None) if CONSOLE.width >= WIDE else slice(1)
    figures = ["per token", "per word", "bits per byte"][shown]
    text = {"test": "test", "valid": "validation"}[judged_on(result)]
    title = f"{text.capitalize()} perplexity (lower is better)"
    perplexities = table(title, "model", *figures)
    for model, name in names.items():
        if f"{name}_perplexity" in result:
            values = [
                format_perplexity(result[f"{name}_perplexity"], 1),
                format_perplexity(result[f"{name}_word_perplexity"], 1),
                f"{result[f'{name}_bits_per_byte']:.3f}",
            ]
            perplexities.add_row(model, *values[shown])
    CONSOLE.print(perplexities)
    epochs, best = result["epochs"], result["best_epoch"]
    trained = f"{epochs} epoch{'s' * (epochs != 1)}, best after epoch {best}"
    if result.get("averaged"):
        trained += ", the average"
    say(
        f"{result['vocab_size']:,} tokens in the vocabulary, {result['oov_rate']:.1%} of the "
        f"{text} text unknown, {trained if epochs else 'stopped within the first epoch'}."
    )
    if on_unknown(result["oov_rate"]):
        say(on_unknown(result["oov_rate"]))


def show_run(result: dict[str, Any], settings: Settings, run: Run) -> None:
    """What a training has come to: the table, clipped steps, samples, what to try."""
    show(result)
    metrics = run.metrics()
    share = clipped(metrics)
    if share is not None and settings.clip:
        say(f"{share:.0%} of the steps were clipped (--clip {settings.clip:g}).")
    samples = run.samples()
    if samples:
        say("\nSamples, of samples.txt:\n\n" + indented("\n".join(samples[:SAMPLES])) + "\n")
    next_step = what_to_try(settings, result, metrics, run.folder)
    if next_step is not None:
        say(f"What to try: {next_step}")
    line = extras.missing("report")
    if line is not None:
        say(f"There is no loss.png; {line}")
    say(f"The run is in {run.folder}; to sample: {calling.line('generate', run.folder)}")


def say_done(run: Run) -> None:
    """What there is of a run that was stopped when only its test was left."""
    say("Stopped before the test; the training is done and saved. To judge it:")
    say(f"    {calling.line('evaluate', run.folder)}")


def train(training: Training, display: Display) -> int:
    """Train, then judge the run, unless the user or a signal has stopped it.

    Returns
    -------
    int
        The exit code: 130 after Ctrl-C, else 0.
    """
    settings, run, corpus = training.settings, training.run, training.corpus
    for refused in training.refused:
        say(f"Falling back to an earlier checkpoint: {refused}")
    counts = corpus.token_counts
    to_test = f"{counts['test']:,} to test" if corpus.has_test else "none to test"
    say(
        f"{counts['train']:,} tokens to train on, {counts['valid']:,} to validate, {to_test}; "
        f"vocabulary {corpus.vocabulary.size:,}; run {run.folder}"
    )
    for line in (*corpus.notes, *build.warnings(settings, corpus)):
        say(line)
    if training.chosen:
        say(f"Chosen to fit this text: {options.command_line(training.chosen, Settings)}")
    say(clipping(settings))
    signal.signal(signal.SIGINT, display.interrupt)
    signal.signal(signal.SIGTERM, display.terminate)
    with contextlib.suppress(Stopped), display.shown():
        training.run_epochs(display, calling.START)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if display.stop and training.end is not None:
        say_done(run)
        return display.exit_code
    if display.stop:
        state = training.state
        say(f"Stopped in epoch {state.epoch + 1}, after {state.step:,} of its steps; it is saved.")
        say(f"To continue:\n    {calling.line('train', '--resume', run.folder)}")
        say(f"To judge it:\n    {calling.line('evaluate', run.folder)}")
        return display.exit_code
    if training.end == "patience":
        epochs = f"{settings.patience} epoch{'s' * (settings.patience != 1)}"
        say(f"Training ends: {epochs} without a lower validation loss.")
    elif training.end == "minutes":
        say(f"Training ends: the {settings.minutes:g} minutes are over.")
    try:
        with CONSOLE.status("Judging the best model ..."):
            result = training.result()
    except KeyboardInterrupt:
        say_done(run)
        raise
    show_run(result, settings, run)
    return 0
