"""From settings to the parts of a training: the corpus, the network, the step, the stream."""

from typing import Any, Optional

from theano_rnn.model.architecture import Architecture
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN
from theano_rnn.text.batches import Stream
from theano_rnn.text.corpus import Corpus, load_corpus
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
