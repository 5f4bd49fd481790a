"""A run as an object: ``train`` makes one in a call, ``load`` opens one; it draws and scores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike, Record
from theano_rnn.common.validation import shown
from theano_rnn.rnn import RNN
from theano_rnn.text.corpus import read_sentences
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import build, evaluation, sampling, start
from theano_rnn.training import load as run_files
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings


class Watching(Callback):
    """Measures after each epoch how far the gradient reaches, where the settings say so."""

    def metrics(self, training: Training) -> Record:
        if not training.settings.watch:
            return {}
        from theano_rnn.flow.watch import watched

        return watched(training.model, training.corpus.valid)


@dataclass(frozen=True)
class Score:
    """How well a model predicts a text; lower is better.

    Attributes
    ----------
    perplexity : float
        exp of the mean loss per token, the end of each sentence counted as one.
    word_perplexity, bits_per_byte : float
        The same loss per word and per byte, to compare models whose tokens differ.
    tokens : int
        That were predicted.
    unknown : float
        The share of the tokens that are not in the vocabulary, from 0 to 1.
    sentences : tuple of (str, float)
        Each sentence with its perplexity.
    """

    perplexity: float
    word_perplexity: float
    bits_per_byte: float
    tokens: int
    unknown: float
    sentences: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        return (
            f"Score(perplexity={self.perplexity:.4g}, word_perplexity={self.word_perplexity:.4g}, "
            f"bits_per_byte={self.bits_per_byte:.4g}, tokens={self.tokens}, "
            f"unknown={self.unknown:.2g}, {len(self.sentences)} sentences)"
        )


class TrainedRun:
    """The best model of a run folder, with all that goes with it; see ``load``.

    Attributes
    ----------
    folder : Path
    model : RNN
    vocabulary : Vocabulary
    settings : Settings
    """

    def __init__(self, folder: PathLike) -> None:
        run = Run.open(folder)
        self.folder = run.folder
        self.settings: Settings = run_files.load_settings(run)
        self.model: RNN
        self.vocabulary: Vocabulary
        self.model, self.vocabulary = run_files.load(run.folder)

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.folder)!r}: {self.model!r}; {self.vocabulary!r})"

    @property
    def result(self) -> Optional[Record]:
        """The content of result.json: perplexities on the test text; None if it is not there."""
        result: Optional[Record] = Run(self.folder).result()
        return result

    def generate(self, **how: Any) -> list[str]:
        """Texts drawn from the model.

        Parameters
        ----------
        **how
            The arguments of ``theano_rnn.training.sampling.texts``: prime, temperature, top_k,
            top_p, count, seed, length and so on. A run that reads a stream carries its state past
            the ends of sentences.

        Raises
        ------
        RNNError
            For a bad argument, or unknown tokens in the prime; the message names them.
        """
        return sampling.generate(
            self.model,
            self.vocabulary,
            **{"carry": self.settings.stream, "sentences": self.settings.sentences, **how},
        )

    def score(self, text: Union[PathLike, Sequence[str]]) -> Score:
        """The perplexity of a text and of each of its sentences; lower is better.

        Parameters
        ----------
        text : path, or list of str
            A file, read as the run reads its text; or sentences.

        Raises
        ------
        RNNError
            If the file cannot be read, or there is no sentence.
        """
        if isinstance(text, (str, os.PathLike)):
            read = build.read_text_of(self.settings, self.vocabulary, text)
        else:
            sentences = list(text) if isinstance(text, Sequence) else []
            if not sentences or not all(isinstance(sentence, str) for sentence in sentences):
                raise RNNError(f"give a file or a list of sentences, not {shown(text)}")
            read = read_sentences(self.vocabulary, sentences, self.settings.sentences)
        found = list(evaluation.sentence_losses(self.model, read, self.settings.stream))
        tokens = sum(n for _, n, _ in found)
        mean = sum(loss for *_, loss in found) / tokens
        whole = evaluation.figures("text", evaluation.perplexity(mean), tokens, read.size)
        return Score(
            whole["text_perplexity"],
            whole["text_word_perplexity"],
            whole["text_bits_per_byte"],
            tokens,
            read.oov_rate,
            tuple((sentence, evaluation.perplexity(loss / n)) for sentence, n, loss in found),
        )


def load(run: PathLike) -> TrainedRun:
    """A trained run: its best model, vocabulary and settings.

    Parameters
    ----------
    run : path
        A run folder, as ``train`` writes it.

    Returns
    -------
    TrainedRun
        With ``model``, ``vocabulary``, ``settings``, ``result``, ``generate()``, ``score()``.

    Raises
    ------
    RNNError
        If the folder is not a run, a file in it is damaged, or its files do not belong together.
    """
    return TrainedRun(run)


def train(
    text: Any = None,
    run: Optional[PathLike] = None,
    *,
    recipe: Optional[str] = None,
    source: Optional[PathLike] = None,
    callback: Optional[Callback] = None,
    **settings: Any,
) -> TrainedRun:
    """Train a language model on a text, as the command ``train`` does, and load it.

    Parameters
    ----------
    text : path, or list of paths, optional
        A file, or several; by default the English in Python's own documentation.
    run : path, optional
        The run folder, which must not exist yet; by default ``runs/`` and the time.
    recipe : str, optional
        The name of a recipe; the settings below replace some of its.
    source : path, optional
        Fine-tune: begin with the parameters and settings of this run.
    callback : Callback, optional
        Called while it trains; see ``theano_rnn.training.loop.Callback``. Nothing is printed.
        With ``watch=True`` it must be a ``theano_rnn.runs.Watching``.
    **settings
        Fields of ``theano_rnn.training.settings.Settings``, such as cell, hidden_size or epochs.
        Without recipe and source, others fit the text: ``training.defaults``.

    Returns
    -------
    TrainedRun
        ``result`` has the perplexity on the test text.

    Raises
    ------
    RNNError
        For a bad setting, a text that cannot be read, a folder that exists, or a training that
        diverges.
    """
    given = dict(settings)
    if text is not None:
        given["text"] = text
    chosen, left_open = start.chosen(given, recipe, source, "theano_rnn.train")
    if chosen.watch and callback is not None and not isinstance(callback, Watching):
        raise RNNError(
            "watch is measured by the callback: derive yours from theano_rnn.runs.Watching, or "
            "leave watch out"
        )
    with start.new(chosen, run, source, given=left_open) as training:
        training.run_epochs(Watching() if callback is None else callback)
        training.result()
    return load(training.run.folder)
