"""How a model is trained, in one flat block; and the recipes, which are such blocks by name."""

import os
from dataclasses import dataclass, fields
from typing import Any, Optional

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.model import initialization
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture
from theano_rnn.optim import optimizers, regularization
from theano_rnn.optim.step import CLIPPINGS, Step
from theano_rnn.rnn import RNN
from theano_rnn.text.batches import Stream
from theano_rnn.text.corpus import Corpus, load_corpus
from theano_rnn.text.vocabulary import special_tokens

#: What settings.json of older runs calls them.
OLD_NAMES = {
    "decay": "lr_decay",
    "decay_after": "lr_decay_after",
    "improvement": "min_improvement",
    "every": "checkpoint_every",
}

#: What follows a step that cannot be taken.
ON_NONFINITE = ("stop", "skip", "restore")


@dataclass(frozen=True)
class Settings:
    """How a model is trained; settings.json of a run.

    Parameters
    ----------
    text, train, valid, test, column, level, vocab_size, tokenized
        The corpus, as ``corpus.load_corpus`` takes them.
    cell, hidden_size, layers, bias, tied, embedding_size, dropout, initialization, truncation
        The model, as ``RNN`` takes them.
    batch_size
        Sentences in a step, of near equal length; rows of a stream.
    stream
        The training text is one long text in ``batch_size`` parallel rows, and the state is
        carried on; the truncation has to be chunk:K, and a step takes K tokens of each row.
    optimizer, clip_by, l2, omega
        The step, as ``step.Step`` takes them.
    learning_rate
        Of the first epoch. Larger learns faster, until it stops learning at all.
    clip
        Largest norm of the gradient, or largest value in it; 0 or None is no clipping.
    lr_decay, min_improvement
        The learning rate is multiplied by ``lr_decay`` when the validation loss rises, or does not
        fall below its lowest so far by this share. With 0 only a rise counts.
    lr_decay_after
        Instead, the learning rate is multiplied by ``lr_decay`` after each epoch from this one on.
    patience
        Stop after so many epochs without a new lowest validation loss; never where not given.
    epochs
        Passes over the training text.
    threads
        In which BLAS computes; 0 for all cores. Large batches gain from a second one, sentences
        and characters do not, and threads that wait for each other on a busy machine cost far
        more than they bring. OPENBLAS_NUM_THREADS, where it is set, says otherwise.
    checkpoint_every
        A checkpoint after so many steps, "500", or minutes, "10min", within the epochs; there is
        one at the end of each.
    on_nonfinite
        What follows where the loss or the gradient is not a finite number, and the step is not
        taken: "stop"; "skip" it and go on; "restore" the last checkpoint's parameters and go on
        with the next example, the learning rate multiplied by ``lr_decay``.
    watch
        Whether the metrics of an epoch have the spectra of W, Omega and how far the error
        reaches, as ``flow.watched`` measures them.
    tensorboard
        Whether the metrics are written as TensorBoard events too.
    dynamic
        Learning rate of dynamic evaluation: the test text is also judged by a model that goes on
        learning from it. Not done where not given.
    seed
        Of the split, the initial parameters, the order of sentences, the dropout, the samples.
    """

    text: Optional[str] = None
    train: Optional[str] = None
    valid: Optional[str] = None
    test: Optional[str] = None
    column: Optional[str] = None
    level: str = "word"
    vocab_size: Optional[int] = None
    tokenized: bool = False
    cell: str = "tanh"
    hidden_size: int = 100
    layers: int = 1
    bias: bool = False
    tied: bool = False
    embedding_size: Optional[int] = None
    dropout: float = 0.0
    initialization: str = "uniform"
    truncation: str = "full"
    batch_size: int = 1
    stream: bool = False
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    clip: Optional[float] = 5.0
    clip_by: str = "norm"
    l2: float = 0.0
    omega: float = 0.0
    lr_decay: float = 0.5
    min_improvement: float = 0.01
    lr_decay_after: Optional[int] = None
    patience: Optional[int] = None
    epochs: int = 8
    threads: int = 1
    checkpoint_every: str = "10min"
    on_nonfinite: str = "stop"
    watch: bool = False
    tensorboard: bool = False
    dynamic: Optional[float] = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.architecture(vocab_size=1)  # checks what it is made of
        initialization.check(self.initialization)
        scheme = truncations.parse(self.truncation).scheme
        optimizers.check(self.optimizer)
        if not isinstance(self.clip_by, str) or self.clip_by not in CLIPPINGS:
            value = validation.shown(self.clip_by)
            raise RNNError(f"clip_by {value} is unknown; use {' or '.join(CLIPPINGS)}")
        for name in ("text", "train", "valid", "test", "column"):
            if not isinstance(getattr(self, name), (str, os.PathLike, type(None))):
                value = validation.shown(getattr(self, name))
                raise RNNError(f"{name} must be a name, or not given, not {value}")
        for name in ("stream", "tokenized", "watch", "tensorboard"):
            if not isinstance(getattr(self, name), bool):
                value = validation.shown(getattr(self, name))
                raise RNNError(f"{name} must be True or False, not {value}")
        special_tokens(self.level, self.tokenized)  # checks both
        if self.vocab_size is not None:
            validation.whole_number(self.vocab_size, "vocab_size", at_least=1)
        for name in ("batch_size", "epochs", "lr_decay_after", "patience"):
            if getattr(self, name) is not None or name in ("batch_size", "epochs"):
                validation.whole_number(getattr(self, name), name, at_least=1)
        if not isinstance(self.on_nonfinite, str) or self.on_nonfinite not in ON_NONFINITE:
            value = validation.shown(self.on_nonfinite)
            raise RNNError(f"on_nonfinite {value} is unknown; use {', '.join(ON_NONFINITE)}")
        _ = self.interval  # checks it
        validation.whole_number(self.seed, "seed", at_least=0)
        validation.whole_number(self.threads, "threads", at_least=0)
        validation.positive(self.learning_rate, "learning_rate")
        validation.at_least_zero(0 if self.clip is None else self.clip, "clip")
        for name in ("l2", "omega"):
            validation.at_least_zero(getattr(self, name), name)
        if self.omega:
            regularization.check_omega(self.cell, self.truncation)
        if not 0 < validation.positive(self.lr_decay, "lr_decay") <= 1:
            raise RNNError(f"lr_decay must be above 0 and at most 1, not {self.lr_decay}")
        if not (isinstance(self.min_improvement, (int, float)) and 0 <= self.min_improvement < 1):
            value = validation.shown(self.min_improvement)
            raise RNNError(f"min_improvement must be at least 0 and below 1, not {value}")
        if self.dynamic is not None:
            validation.positive(self.dynamic, "dynamic")
        if self.stream and scheme != "chunk":
            raise RNNError(
                f"a stream is cut in chunks: give truncation chunk:K, K the tokens of each row in "
                f"a step, as in chunk:20, instead of {self.truncation}"
            )

    @classmethod
    def from_dict(cls, values: object, where: str) -> "Settings":
        """Settings read from a file, which may have been altered by hand.

        Parameters
        ----------
        values : dict
            By the names of the fields, or their names in older versions; those left out are at
            their defaults.
        where : str
            What a message says the values are from, such as the path of a file.

        Returns
        -------
        Settings

        Raises
        ------
        RNNError
            For what is no dict, an unknown name or a bad value.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            raise RNNError(f"{where} does not hold settings")
        both = [new for old, new in OLD_NAMES.items() if {old, new} <= values.keys()]
        if both:
            raise RNNError(f"{where}: {both[0]} stands there by its old name too; remove one")
        values = {OLD_NAMES.get(name, name): value for name, value in values.items()}
        unknown = [name for name in values if name not in known]
        if unknown:
            names = ", ".join(map(validation.shown, unknown[:20]))
            raise RNNError(f"{where}: unknown settings {names}")
        try:
            return cls(**values)
        except (RNNError, TypeError) as error:
            raise RNNError(f"{where}: {error}") from None

    def corpus(self) -> Corpus:
        """The text, long enough for a step.

        Returns
        -------
        Corpus

        Raises
        ------
        RNNError
            If a file cannot be read, or the text is too short.
        """
        corpus = load_corpus(
            self.text,
            self.train,
            self.valid,
            self.test,
            self.column,
            self.level,
            self.vocab_size,
            self.tokenized,
            self.seed,
        )
        if self.stream:
            self.stream_of(corpus)
        return corpus

    def stream_of(self, corpus: Corpus) -> Stream:
        """The training text in parallel rows.

        Parameters
        ----------
        corpus : Corpus

        Returns
        -------
        Stream

        Raises
        ------
        RNNError
            If the text has fewer tokens than rows.
        """
        assert self.steps is not None
        return Stream(corpus.train, self.batch_size, self.steps)

    def architecture(self, vocab_size: int) -> Architecture:
        """The network of these settings.

        Parameters
        ----------
        vocab_size : int

        Returns
        -------
        Architecture
        """
        return Architecture(vocab_size, **{name: getattr(self, name) for name in NETWORK})

    @property
    def interval(self) -> tuple[int, str]:
        """What ``checkpoint_every`` means: (number, "steps" or "min").

        >>> Settings(checkpoint_every="500").interval, Settings(checkpoint_every="10min").interval
        ((500, 'steps'), (10, 'min'))
        """
        every, shown = self.checkpoint_every, validation.shown(self.checkpoint_every)
        number, unit = every if isinstance(every, str) else shown, "steps"
        if number.endswith("min"):
            number, unit = number[: -len("min")], "min"
        if not (
            number.isascii() and number.isdigit() and 0 < int(number[:10]) and number[10:] == ""
        ):
            raise RNNError(
                f"checkpoint_every {shown} is no interval; give steps, as in '500', or minutes, "
                "as in '10min'"
            )
        return int(number), unit

    @property
    def steps(self) -> Optional[int]:
        """K, the tokens of each row of a stream in a step; None without a stream."""
        return truncations.parse(self.truncation).K if self.stream else None

    def model(self, vocab_size: int, **changes: Any) -> RNN:
        """A model of these settings, at its initial parameters.

        Parameters
        ----------
        vocab_size : int
        **changes
            Other arguments of ``RNN`` than these settings give.

        Returns
        -------
        RNN
        """
        # A piece of a stream is one chunk: within it the gradient is whole.
        settings = {
            **{name: getattr(self, name) for name in NETWORK},
            "truncation": "full" if self.stream else self.truncation,
            "initialization": self.initialization,
            "seed": self.seed,
            **changes,
        }
        return RNN(vocab_size, **settings)

    def step(self, model: RNN) -> Step:
        """What changes the parameters of the model.

        Parameters
        ----------
        model : RNN

        Returns
        -------
        Step
        """
        return Step(model, self.optimizer, clip_by=self.clip_by, l2=self.l2, omega=self.omega)


#: The settings that say which network it is.
NETWORK = tuple(field.name for field in fields(Architecture) if field.name != "vocab_size")

#: Settings of published systems, other than the text.
#:
#: tutorial: D. Britz, part 2 and 3 of the tutorial (2015).
#: mikolov: the plain recurrent network of T. Mikolov et al. (2010, 2012), the text as one stream;
#: tanh, an embedding, parallel rows and dropout are not theirs: they make up for the steps of one
#: word that were.
#: zaremba-small: W. Zaremba, I. Sutskever, O. Vinyals, Recurrent neural network regularization
#: (2014), the small network, without dropout.
RECIPES: dict[str, dict[str, Any]] = {
    "tutorial": {
        "vocab_size": 8000,
        "hidden_size": 100,
        "truncation": "window:4",
        "learning_rate": 0.005,
        "clip": 0.0,
        "min_improvement": 0.0,
    },
    "mikolov": {
        "cell": "tanh",
        "hidden_size": 200,
        "bias": True,
        "embedding_size": 200,
        "dropout": 0.35,
        "initialization": "uniform:0.1",
        "truncation": "chunk:20",
        "batch_size": 10,
        "stream": True,
        "learning_rate": 0.7,
        "clip": 1.0,
        "lr_decay": 0.7,
        "lr_decay_after": 4,
        "epochs": 12,
        "threads": 0,
    },
    "zaremba-small": {
        "cell": "lstm",
        "hidden_size": 200,
        "layers": 2,
        "bias": True,
        "embedding_size": 200,
        "initialization": "uniform:0.1",
        "truncation": "chunk:20",
        "batch_size": 20,
        "stream": True,
        "learning_rate": 1.0,
        "lr_decay_after": 4,
        "epochs": 13,
        "threads": 0,
    },
}
