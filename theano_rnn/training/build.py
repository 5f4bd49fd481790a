"""From settings to the parts of a training: the corpus, the network, the step, the stream."""

from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import Ints, PathLike
from theano_rnn.model.architecture import Architecture
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN
from theano_rnn.text.batches import Stream
from theano_rnn.text.corpus import Corpus, load_corpus, read_text
from theano_rnn.text.sentences import split_text
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.settings import NETWORK, Settings


def build(settings: Settings, corpus: Corpus) -> tuple[RNN, Step, Optional[Stream]]:
    """All parts of a training, before its first step.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus

    Returns
    -------
    model : RNN
    step : Step
    stream : Stream or None
        None where the settings ask for sentences.
    """
    model = build_model(settings, corpus.vocabulary.size)
    return model, build_step(settings, model), build_stream(settings, corpus)


def build_corpus(settings: Settings) -> Corpus:
    """The text of the settings, checked to be long enough for a step.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    Corpus

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
    )
    build_stream(settings, corpus)  # fails now, and not after the run folder is made
    return corpus


def read_text_of(
    settings: Settings, vocabulary: Vocabulary, path: PathLike, column: Optional[str] = None
) -> tuple[list[str], list[Ints], float]:
    """The sentences of another file, read as a run reads its text.

    Parameters
    ----------
    settings : Settings
        Of the run.
    vocabulary : Vocabulary
        Of the run.
    path : path
    column : str, optional
        Of a CSV file; by default the run's.

    Returns
    -------
    sentences : list of str
    sequences : list of 1-D int64 arrays
        Their tokens.
    oov_rate : float
        The share of the tokens that are unknown, start and end tokens not counted.

    Raises
    ------
    RNNError
        If the file cannot be read.
    """
    if column is None and str(path).lower().endswith((".csv", ".tsv")):
        column = settings.column
    sentences = split_text(read_text(path, column), settings.level, settings.tokenized)
    sequences = [vocabulary.encode(sentence) for sentence in sentences]
    inner = np.concatenate([s[1:-1] for s in sequences])
    oov_rate = float((inner == vocabulary.unknown).sum() / max(inner.size, 1))
    return sentences, sequences, oov_rate


def architecture(settings: Settings, vocab_size: int) -> Architecture:
    """The network of the settings: its sizes and shapes.

    Parameters
    ----------
    settings : Settings
    vocab_size : int

    Returns
    -------
    Architecture
    """
    return Architecture(vocab_size, **{name: getattr(settings, name) for name in NETWORK})


def build_model(settings: Settings, vocab_size: int, **changes: Any) -> RNN:
    """A network at its initial parameters.

    Parameters
    ----------
    settings : Settings
    vocab_size : int
    **changes
        Arguments of ``RNN`` that replace those of the settings.

    Returns
    -------
    RNN
    """
    arguments = {
        **{name: getattr(settings, name) for name in NETWORK},
        # A piece of a stream is one chunk: within it the gradient is whole.
        "truncation": "full" if settings.stream else settings.truncation,
        "initialization": settings.initialization,
        "seed": settings.seed,
        **changes,
    }
    return RNN(vocab_size, **arguments)


def build_step(settings: Settings, model: RNN) -> Step:
    """The training step of a model.

    Parameters
    ----------
    settings : Settings
    model : RNN

    Returns
    -------
    Step
    """
    return Step(
        model,
        settings.optimizer,
        clip_by=settings.clip_by,
        l2=settings.l2,
        omega=settings.omega,
    )


def build_stream(settings: Settings, corpus: Corpus) -> Optional[Stream]:
    """The training text in parallel rows; None where the settings ask for sentences.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus

    Returns
    -------
    Stream or None

    Raises
    ------
    RNNError
        If the text has fewer tokens than rows.
    """
    if settings.steps is None:
        return None
    return Stream(corpus.train, settings.batch_size, settings.steps)
