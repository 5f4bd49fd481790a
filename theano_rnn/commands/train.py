"""Train a recurrent language model on a text, and leave everything in a run folder."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Optional

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say
from theano_rnn.common.errors import RNNError
from theano_rnn.model import initialization
from theano_rnn.model.cells import CELLS
from theano_rnn.optim.optimizers import OPTIMIZERS
from theano_rnn.optim.step import CLIPPINGS
from theano_rnn.text.corpus import Corpus
from theano_rnn.training import tensorboard
from theano_rnn.training.evaluation import shown
from theano_rnn.training.loop import Callback, State, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import ON_NONFINITE, RECIPES, Settings

DEFAULTS = Settings()

#: Options that 0 switches off, as those of a recipe.
NONE_AT_0 = ("embedding_size", "lr_decay_after", "patience", "dynamic")

#: Options that can be given with --resume.
CHANGEABLE = {"epochs", "tensorboard"}

EPILOG = """Example: %(prog)s --text novel.txt --cell gru --embedding-size 100 --batch-size 16.
Without --text or --train the text is the English in Python's own documentation on
this machine: the language reference and the docstrings of the standard library."""


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Options that were not given are None, so that --resume can tell."""
    p = calling.Parser(prog=calling.program("train"), description=__doc__, epilog=EPILOG)
    switch: dict[str, Any] = {
        "action": argparse.BooleanOptionalAction
    }  # a recipe's can be switched off

    def option(group: Any, name: str, help: str, **settings: Any) -> None:
        default = getattr(DEFAULTS, name.strip("-").replace("-", "_"), None)
        shown = f" (default: {default})" if default not in (None, False) else ""
        group.add_argument(name, help=help + shown, **settings)

    # fmt: off
    text = p.add_argument_group("text")
    option(text, "--text", "a UTF-8 text, plain or .csv/.tsv, split 80/10/10", metavar="FILE")
    option(text, "--train", "the text to learn from, with --valid and --test", metavar="FILE")
    option(text, "--valid", "the text that steers the learning rate and picks the best model",
           metavar="FILE")
    option(text, "--test", "the text the result is measured on, once", metavar="FILE")
    option(text, "--column", "the files are .csv or .tsv and this column is the text, each cell "
           "a document")
    option(text, "--level", "what a token is: words carry meaning, characters need no vocabulary",
           choices=["word", "char"])
    option(text, "--vocab-size", "tokens kept, the most frequent; the rest become <unk>. Fewer "
           "train faster and make the perplexity look lower (default: at most 8000)",
           type=int, metavar="N")
    option(text, "--tokenized", "one sentence a line, tokenized already (Penn Treebank form): "
           "words stay as they are and the end of line is the end token",
           action="store_true", default=None)

    model = p.add_argument_group("model")
    option(model, "--cell", "the recurrence: tanh, sigmoid and relu are one product a step, gru "
           "(3) and lstm (4) have gates that let the gradient pass", choices=list(CELLS))
    option(model, "--hidden-size", "units of a layer: more can remember more, and every step "
           "costs more", type=int, metavar="H")
    option(model, "--layers", "recurrences on top of each other", type=int, metavar="N")
    option(model, "--bias", "add biases; the forget gate's of an lstm starts at 1", **switch)
    option(model, "--tied", "share the matrix that tokens are looked up in with the output's: "
           "fewer parameters for little text", **switch)
    option(model, "--embedding-size", "look tokens up in a table of this many rows before the "
           "first layer; it keeps the matrices of gru and lstm small. 0: none",
           type=int, metavar="D")
    option(model, "--dropout", "share of the states that the layer above or the output does not "
           "see in training: less learning by heart", type=float, metavar="P")
    option(model, "--initialization", "how the parameters begin: "
           + ", ".join(initialization.SCHEMES), metavar="NAME")
    option(model, "--truncation", "where the gradient is cut: full; window:K, each word teaches "
           "the K before it; chunk:K, pieces of K words; last:K, only the last K words teach",
           metavar="SCHEME")

    training = p.add_argument_group("training")
    training.add_argument("--recipe", choices=list(RECIPES), help="settings of a published "
                          "system, other than the text; any other option changes them")
    option(training, "--batch-size", "sentences in a step, or rows of a stream: a larger one is "
           "more tokens a second, but fewer steps an epoch", type=int, metavar="B")
    option(training, "--stream", "the text is one long text in B parallel rows and the state is "
           "carried on from step to step; needs --truncation chunk:K, and a step takes K tokens "
           "of each row", **switch)
    option(training, "--optimizer", "what is made of the gradient; sgd alone touches only the "
           "rows of the words that occur, rmsprop and adam need a --learning-rate near 0.001",
           choices=list(OPTIMIZERS))
    option(training, "--learning-rate", "of the first epoch; larger learns faster, until it stops "
           "learning at all", type=float, metavar="X")
    option(training, "--clip", "largest gradient; a larger one is cut down to it, so that one "
           "sentence cannot undo the others. 0: no clipping", type=float, metavar="X")
    option(training, "--clip-by", "what is not to be larger: the norm of the whole gradient, or "
           "each value in it", choices=list(CLIPPINGS))
    option(training, "--l2", "weight decay: this times each matrix is added to its gradient",
           type=float, metavar="X")
    option(training, "--omega", "weight of the regularizer that keeps the gradient's norm from "
           "step to step (Pascanu 2013); for tanh, sigmoid and relu", type=float, metavar="X")
    option(training, "--lr-decay", "the learning rate is multiplied by it when the validation "
           "loss rises or hardly falls", type=float, metavar="X")
    option(training, "--min-improvement", "share by which the validation loss must fall in "
           "an epoch to keep the learning rate; 0: any fall", type=float, metavar="X")
    option(training, "--lr-decay-after", "multiply the learning rate by --lr-decay after each "
           "epoch from this one on instead. 0: when the loss says so", type=int, metavar="N")
    option(training, "--patience", "stop after so many epochs without a new lowest validation "
           "loss. 0: never", type=int, metavar="N")
    option(training, "--epochs", "passes over the training text", type=int, metavar="N")
    option(training, "--watch", "measure after each epoch how far the gradient reaches, and what "
           "bounds it: sigma_max and spectral radius of W, Omega, live steps, in metrics.jsonl",
           **switch)
    option(training, "--on-nonfinite", "what follows a step whose loss or gradient is not a "
           "number, and which is not taken: stop; skip it; or restore the last checkpoint's "
           "parameters, and go on more slowly", choices=list(ON_NONFINITE))
    option(training, "--dynamic", "also judge a model that goes on learning from the test text, "
           "at this learning rate (0.1 where none is given)",
           type=float, metavar="X", nargs="?", const=0.1)
    option(training, "--threads", "of BLAS; 0: all cores. Large batches gain from a second one; "
           "OPENBLAS_NUM_THREADS says otherwise where it is set", type=int, metavar="N")
    option(training, "--seed", "of the split, the first parameters and the order of sentences: "
           "the same seed gives the same run", type=int, metavar="N")

    run = p.add_argument_group("run")
    option(run, "--checkpoint-every", "a checkpoint within the epochs after so many steps, 500, "
           "or minutes, 10min; there is one at the end of each epoch", metavar="N|Nmin")
    option(run, "--tensorboard", "write the metrics of each epoch as TensorBoard events too, into "
           "the folder tensorboard of the run; pip install 'theano-rnn[tensorboard]'", **switch)
    option(run, "--run", "folder for the results, not there yet (default: runs/ and the time)",
           metavar="DIR")
    option(run, "--resume", "go on with the run in this folder from its last checkpoint and with "
           "its settings; only --epochs and --tensorboard can be given with it", metavar="DIR")
    # fmt: on
    return p.parse_args(argv)


def open_run(arguments: argparse.Namespace) -> tuple[Settings, Run, Corpus]:
    """The settings and the folder, of a new run or of the one to go on with."""
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    given.update({name: None for name in NONE_AT_0 if given.get(name) == 0})
    folder, resume = given.pop("run", None), given.pop("resume", None)
    for name in {"text", "train", "valid", "test"} & set(given):
        given[name] = os.path.abspath(given[name])  # a run is resumed from anywhere
    if resume is None:
        settings = Settings(**{**RECIPES.get(given.pop("recipe", None), {}), **given})
        # Before the folder is made: what cannot be done leaves nothing behind.
        if settings.tensorboard:
            tensorboard.check()
        corpus = settings.corpus()
        settings.architecture(corpus.vocabulary.size).check_memory()
        run = Run.create(folder or f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S}")
        run.save_vocabulary(corpus.vocabulary)
        run.save_settings(vars(settings))  # the last of what --resume needs
        if settings.tensorboard:
            run.write_events()
        return settings, run, corpus
    if folder is not None or set(given) - CHANGEABLE:
        names = ["run"] * (folder is not None) + sorted(set(given) - CHANGEABLE)
        options = ", ".join("--" + name.replace("_", "-") for name in names)
        raise RNNError(f"--resume takes its settings from the run; leave out {options}")
    run = Run.open(resume)
    settings = Settings.from_dict({**run.settings(), **given}, f"{resume}/settings.json")
    if settings.tensorboard:
        run.write_events()
    corpus = settings.corpus()
    if corpus.vocabulary.tokens != run.vocabulary().tokens:
        raise RNNError(f"the text has changed since the run in {resume} began; start a new run")
    return settings, run, corpus


def clipping(settings: Settings) -> str:
    """What becomes of a large gradient, and what the progress shows of it."""
    if not settings.clip:
        return "The gradient is not clipped."
    what = {"norm": "norm of the gradient", "value": "values in the gradient"}[settings.clip_by]
    return f"Clipped at {settings.clip:g}: the {what}; |gradient| is its norm before."


class Display(Callback):
    """The progress bar and a line an epoch; the first Ctrl-C asks training to stop."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[figures]}"),
            TimeRemainingColumn(),
            console=CONSOLE,
            refresh_per_second=5,
        )
        self.shown = 0.0

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
        if now - self.shown > 0.2:
            speed = self.progress.tasks[0].speed or 0.0
            self.shown = now
            self.progress.update(
                self.task,
                epoch=state.epoch + 1,
                figures=f"loss {state.loss / state.tokens:.3f}  {speed:,.0f} tokens/s"
                f"  |gradient| {norm:.2f}",
            )

    def epoch(self, r: dict[str, Any]) -> None:
        say(
            f"epoch {r['epoch']:2d}  training loss {r['train_loss']:.3f}  validation loss "
            f"{r['valid_loss']:.3f} (perplexity {shown(r['valid_perplexity'], 1)})  "
            f"learning rate {r['learning_rate']:g}  {r['tokens'] / r['seconds']:,.0f} tokens/s"
        )


def show(result: dict[str, Any], run: Run) -> None:
    table = Table(title="Perplexity on the test text", title_justify="left")
    table.add_column("model")
    table.add_column("perplexity", justify="right")
    table.add_row("unigram", shown(result["unigram_perplexity"], 1))
    table.add_row("interpolated bigram", shown(result["bigram_perplexity"], 1))
    order = result["kneser_ney_order"]
    table.add_row(f"Kneser-Ney, order {order}", shown(result["kneser_ney_perplexity"], 1))
    table.add_row("this network", shown(result["test_perplexity"], 1))
    if "dynamic_perplexity" in result:
        table.add_row("..., learning on", shown(result["dynamic_perplexity"], 1))
    CONSOLE.print(table)
    say(
        f"{result['vocab_size']:,} tokens in the vocabulary, {result['oov_rate']:.1%} of the test "
        f"text unknown, {result['epochs']} epoch{'s' * (result['epochs'] != 1)}, best after epoch "
        f"{result['best_epoch']}."
    )
    say(f"Everything is in {run.folder}; sentences: {calling.line('generate')} {run.folder}")


def train(
    settings: Settings, run: Run, corpus: Corpus, is_resumed: bool, display: Display
) -> None:
    training = Training(settings, run, corpus, resume=is_resumed)
    for refused in training.refused:
        say(f"Passed over: {refused}")
    run.save_settings(vars(settings))
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
        say(f"Epochs without a lower validation loss: {settings.patience}; patience ends here.")
    show(training.result(), run)


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    display = Display()
    try:
        settings, run, corpus = open_run(arguments)
        with run.locked():
            train(settings, run, corpus, arguments.resume is not None, display)
    except RNNError as error:
        print(f"{calling.program('train')}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    if display.stop:
        say(f"Stopped early; go on with {calling.line('train')} --resume {run.folder}")
    return 0
