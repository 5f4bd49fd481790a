"""Train a recurrent language model on a text, and leave everything in a run folder."""

import argparse
import os
import signal
import sys
import time
from datetime import datetime

START = time.perf_counter()  # before Theano is imported: the wait for the first step is a user's

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from theano_rnn.errors import RNNError
from theano_rnn.run import Run

try:
    from theano_rnn.training import Settings, Training, Watch
except RNNError as error:  # Theano has no folder for what it compiles
    sys.exit(f"train.py: {error}")
except KeyboardInterrupt:
    sys.exit(130)

CONSOLE = Console(highlight=False)
DEFAULTS = Settings()

EPILOG = """Without --text or --train the text is the English in Python's own documentation on
this machine: the language reference and the docstrings of the standard library."""


def parse_arguments(argv) -> argparse.Namespace:
    """Options that were not given are None, so that --resume can tell."""
    p = argparse.ArgumentParser(description=__doc__, epilog=EPILOG)

    def option(group, name, help, **settings):
        default = getattr(DEFAULTS, name.strip("-").replace("-", "_"), None)
        shown = f" (default: {default})" if default not in (None, False) else ""
        group.add_argument(name, help=help + shown, **settings)

    text = p.add_argument_group("text")
    option(text, "--text", "a UTF-8 text, plain or .csv/.tsv, split 80/10/10", metavar="FILE")
    option(text, "--train", "the text to learn from, with --valid and --test", metavar="FILE")
    option(text, "--valid", "the text that steers the learning rate and picks the best model",
           metavar="FILE")  # fmt: skip
    option(text, "--test", "the text the result is measured on, once", metavar="FILE")
    option(text, "--column", "the files are .csv or .tsv and this column is the text, each cell "
           "a document")  # fmt: skip
    option(text, "--level", "what a token is: words carry meaning, characters need no vocabulary",
           choices=["word", "char"])  # fmt: skip
    option(text, "--vocab-size", "tokens kept, the most frequent; the rest become <unk>. Fewer "
           "train faster and make the perplexity look lower (default: at most 8000)",
           type=int, metavar="N")  # fmt: skip
    option(text, "--tokenized", "one sentence a line, tokenized already (Penn Treebank form): "
           "words stay as they are and the end of line is the end token",
           action="store_true", default=None)  # fmt: skip

    model = p.add_argument_group("model")
    option(model, "--hidden-size", "units in the state: more can remember more, and every step "
           "costs more", type=int, metavar="H")  # fmt: skip
    option(model, "--truncation", "where the gradient is cut: full; window:K, each word teaches "
           "the K before it; chunk:K, pieces of K words; last:K, only the last K words teach",
           metavar="SCHEME")  # fmt: skip

    training = p.add_argument_group("training")
    option(training, "--learning-rate", "of the first epoch; larger learns faster, until it stops "
           "learning at all", type=float, metavar="X")  # fmt: skip
    option(training, "--decay", "the learning rate is multiplied by it when the validation loss "
           "rises or hardly falls", type=float, metavar="X")  # fmt: skip
    option(training, "--improvement", "share by which the validation loss must fall in an epoch "
           "to keep the learning rate; 0: any fall", type=float, metavar="X")  # fmt: skip
    option(training, "--clip", "longest gradient of a sentence; a longer one is rescaled, so that "
           "one sentence cannot undo the others", type=float, metavar="X")  # fmt: skip
    option(training, "--epochs", "passes over the training text", type=int, metavar="N")
    option(training, "--seed", "of the split, the first parameters and the order of sentences: "
           "the same seed gives the same run", type=int, metavar="N")  # fmt: skip

    run = p.add_argument_group("run")
    option(run, "--run", "folder for the results, not there yet (default: runs/ and the time)",
           metavar="DIR")  # fmt: skip
    option(run, "--resume", "go on with the run in this folder from its last checkpoint and with "
           "its settings; only --epochs can be given with it", metavar="DIR")  # fmt: skip
    return p.parse_args(argv)


def open_run(arguments: argparse.Namespace):
    """The settings and the folder, of a new run or of the one to go on with."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    folder, resume = given.pop("run", None), given.pop("resume", None)
    for name in {"text", "train", "valid", "test"} & set(given):
        given[name] = os.path.abspath(given[name])  # a run is resumed from anywhere
    if resume is None:
        settings = Settings(**given)
        corpus = settings.corpus()  # before the folder is made: a wrong text leaves nothing behind
        run = Run.create(folder or f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}")
        run.save_vocabulary(corpus.vocabulary)
        return settings, run, corpus
    if folder is not None or set(given) - {"epochs"}:
        names = ["run"] * (folder is not None) + sorted(set(given) - {"epochs"})
        options = ", ".join("--" + name.replace("_", "-") for name in names)
        raise RNNError(f"--resume takes its settings from the run; leave out {options}")
    run = Run.open(resume)
    settings = Settings.from_dict({**run.settings(), **given}, f"{resume}/settings.json")
    corpus = settings.corpus()
    if corpus.vocabulary.tokens != run.vocabulary().tokens:
        raise RNNError(f"the text has changed since the run in {resume} began; start a new run")
    return settings, run, corpus


def say(text: str) -> None:
    """One line, as wide as it is, with nothing in it taken for markup."""
    CONSOLE.print(text, markup=False, soft_wrap=True)


class Display(Watch):
    """The progress bar and a line an epoch; the first Ctrl-C asks training to stop."""

    def __init__(self):
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
            TimeRemainingColumn(),
            console=CONSOLE,
            refresh_per_second=5,
        )
        self.shown = 0.0

    def interrupt(self, *_):
        self.stop = True
        say("Stopping after this step; Ctrl-C again stops at once.")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def started(self, training):
        tokens = training.corpus.token_counts["train"]
        done = tokens * training.state.epoch + training.state.tokens
        self.task = self.progress.add_task(
            "", total=tokens * training.settings.epochs, completed=done,
            epoch=training.state.epoch + 1, figures="compiling ...",
        )  # fmt: skip

    def step(self, state, loss, norm, tokens):
        self.progress.advance(self.task, tokens)
        now = time.perf_counter()
        if now - self.shown > 0.2:
            speed = self.progress.tasks[0].speed or 0.0
            self.shown = now
            self.progress.update(
                self.task,
                epoch=state.epoch + 1,
                figures=f"loss {state.loss / state.tokens:.3f}  {speed:,.0f} tokens/s"
                f"  |gradient| {norm:.1f}",
            )

    def epoch(self, r):
        say(
            f"epoch {r['epoch']:2d}  training loss {r['train_loss']:.3f}  "
            f"validation loss {r['valid_loss']:.3f} (perplexity {r['valid_perplexity']:.1f})  "
            f"learning rate {r['learning_rate']:g}  {r['tokens'] / r['seconds']:,.0f} tokens/s"
        )


def show(result: dict, run: Run) -> None:
    table = Table(title="Perplexity on the test text", title_justify="left")
    table.add_column("model")
    table.add_column("perplexity", justify="right")
    table.add_row("unigram", f"{result['unigram_perplexity']:.1f}")
    table.add_row("interpolated bigram", f"{result['bigram_perplexity']:.1f}")
    table.add_row("this network", f"{result['test_perplexity']:.1f}")
    CONSOLE.print(table)
    say(
        f"{result['vocab_size']:,} tokens in the vocabulary, {result['oov_rate']:.1%} of the test "
        f"text unknown, {result['epochs']} epochs, best after epoch {result['best_epoch']}."
    )
    say(f"Everything is in {run.folder}; sentences: scripts/generate.py {run.folder}")


def main(argv=None) -> int:
    arguments = parse_arguments(argv)
    sys.stdout.reconfigure(errors="replace")  # what the terminal cannot write is no reason to end
    display = Display()
    try:
        settings, run, corpus = open_run(arguments)
        training = Training(settings, run, corpus, resume=arguments.resume is not None)
        run.save_settings(vars(settings))
        counts = corpus.token_counts
        say(
            f"{counts['train']:,} tokens to train on, {counts['valid']:,} to validate, "
            f"{counts['test']:,} to test; vocabulary {corpus.vocabulary.size:,}; run {run.folder}"
        )
        signal.signal(signal.SIGINT, display.interrupt)
        with display.progress:
            training.run_epochs(display, START)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        show(training.result(), run)
    except RNNError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    if display.stop:
        say(f"Stopped early; go on with scripts/train.py --resume {run.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
