"""From settings to the parts of a training: the corpus, the network, the step, the stream."""

import dataclasses
from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import PathLike
from theano_rnn.model.architecture import Architecture
from theano_rnn.optim import averaging
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN
from theano_rnn.text.batches import Stream, step_counts
from theano_rnn.text.corpus import Corpus, Reading, load_corpus, read_text
from theano_rnn.text.reading import STANDARD_INPUT, Progress
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.adaptive import Adaptive
from theano_rnn.training.settings import NETWORK, Settings

#: Tokens of the median sentence, and steps of an epoch, beyond which a user is warned.
LONG, FEW = 200, 50
#: Tokens of each row of a stream in a step, where adaptive truncation has yet to choose them.
USUAL = 20


def build(settings: Settings, corpus: Corpus) -> tuple[RNN, Step, Optional[Stream]]:
    """All parts of a training, before its first step.

    Returns
    -------
    model : RNN
    step : Step
    stream : Stream or None
        None where the settings ask for sentences.
    """
    model = build_model(settings, corpus.vocabulary.size)
    return model, build_step(settings, model), build_stream(settings, corpus)


def build_corpus(settings: Settings, progress: Optional[Progress] = None) -> Corpus:
    """The text of the settings, checked to be long enough for a step.

    Parameters
    ----------
    settings : Settings
    progress : function, optional
        Called while the files are read; see ``text.reading.Progress``.

    Raises
    ------
    RNNError
        If a file cannot be read, or the text is too short.
    """
    corpus = load_corpus(
        settings.text,
        settings.train,
        settings.valid,
        settings.test,
        settings.column,
        settings.level,
        settings.vocab_size,
        settings.tokenized,
        settings.seed,
        sentences=settings.sentences,
        encoding=settings.encoding,
        lower=settings.lower,
        rules=settings.rules,
        progress=progress,
        split=settings.split,
    )
    build_stream(settings, corpus)  # fails now, and not after the run folder is made
    return corpus


def read_text_of(
    settings: Settings,
    vocabulary: Vocabulary,
    path: PathLike,
    column: Optional[str] = None,
    encoding: Optional[str] = None,
) -> Reading:
    """Another file, read as a run reads its text.

    Parameters
    ----------
    settings : Settings
        Of the run.
    vocabulary : Vocabulary
        Of the run.
    path : path
    column : str, optional
        Of a CSV file; by default the run's.
    encoding : str, optional
        As Python names it; by default that of the run's text.

    Raises
    ------
    RNNError
        If the file cannot be read.
    """
    name = str(path).lower()
    if column is None and (name == STANDARD_INPUT or name.endswith((".csv", ".tsv"))):
        column = settings.column
    return read_text(
        vocabulary,
        path,
        column,
        sentences=settings.sentences,
        encoding=encoding or settings.encoding,
    )


def as_read(settings: Settings, corpus: Corpus) -> Settings:
    """The settings with what "auto" stood for, so that other texts are read as this one was."""
    is_found = corpus.ends != "auto"
    return dataclasses.replace(settings, sentences=corpus.ends) if is_found else settings


def warnings(settings: Settings, corpus: Corpus) -> list[str]:
    """What of a text and its settings makes training poor, and what to do about it.

    Returns
    -------
    list of str
        A line each.
    """
    found = []
    lengths = step_counts(corpus.train)
    median = int(np.median(lengths))
    if median > LONG and not settings.stream:
        kind = "line" if settings.level == "char" else "sentence"
        ends = "punctuation" if settings.sentences == "lines" else "lines"
        where = "" if kind == "line" else f"say where a sentence ends (--sentences {ends}), or "
        found.append(
            f"Half of the {kind}s have more than {median} tokens, and each is one step: training "
            f"is slow to learn. Better {where}read the text as a stream in pieces: "
            "--stream --truncation chunk:35 --batch-size 20"
        )
    if settings.stream:
        tokens = settings.batch_size * (settings.steps or USUAL)
        steps, of = -(-int(lengths.sum()) // tokens), f"{tokens:,} tokens"
    else:
        steps = -(-len(lengths) // settings.batch_size)
        of = f"{settings.batch_size} sentence{'s' * (settings.batch_size != 1)}"
    if steps < FEW:
        shorter = "a smaller --batch-size, " if settings.batch_size > 1 else ""
        by = "--epochs" if settings.minutes is None else "--minutes"
        found.append(
            f"An epoch has only {steps} step{'s' * (steps != 1)}, of {of} each, and the network "
            f"learns little in it: give {shorter}more {by}, or a longer text"
        )
    average = averaging.parse(settings.average)
    if average is not None and settings.epochs <= average.earliest:
        found.append(
            f"--average {settings.average} begins after {average.earliest} epochs at the "
            f"earliest, and there are {settings.epochs}: give more --epochs, a smaller N in "
            "nt-asgd:N, or --average ema"
        )
    return found


def architecture(settings: Settings, vocab_size: int) -> Architecture:
    """The network of the settings: its sizes and shapes."""
    return Architecture(vocab_size, **{name: getattr(settings, name) for name in NETWORK})


def build_model(settings: Settings, vocab_size: int, **changes: Any) -> RNN:
    """A network at its initial parameters.

    Parameters
    ----------
    settings : Settings
    vocab_size : int
    **changes
        Arguments of ``RNN`` that replace those of the settings.
    """
    arguments = {
        **{name: getattr(settings, name) for name in NETWORK},
        "truncation": _of_model(settings),
        "initialization": settings.initialization,
        "seed": settings.seed,
        **changes,
    }
    return RNN(vocab_size, **arguments)


def _of_model(settings: Settings) -> str:
    cut = settings.cut
    if isinstance(cut, Adaptive):
        return "full"  # the steps are given K
    # A piece of a stream is one chunk: within it the gradient is whole, or weighs as artbp says.
    return "full" if settings.stream and cut.scheme == "chunk" else settings.truncation


def build_step(settings: Settings, model: RNN) -> Step:
    """The training step of a model."""
    cut = settings.cut
    return Step(
        model,
        settings.optimizer,
        scheme=cut.of(False) if isinstance(cut, Adaptive) and not settings.stream else None,
        clip_by=settings.clip_by,
        l2=settings.l2,
        weight_decay=settings.weight_decay,
        omega=settings.omega,
        ar=settings.ar,
        tar=settings.tar,
        precision=settings.precision,
    )


def build_stream(settings: Settings, corpus: Corpus) -> Optional[Stream]:
    """The training text in parallel rows; None where the settings ask for sentences.

    Raises
    ------
    RNNError
        If the text has fewer tokens than rows.
    """
    if not settings.stream:
        return None
    return Stream(corpus.train, settings.batch_size, settings.steps or USUAL)
