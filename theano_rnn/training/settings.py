"""The settings of a training: one field each, with its kind of value and its help text.

The fields alone make the options of ``train``, the checks of values and the page of the docs, see
``theano_rnn.common.options``. ``build`` makes the corpus, network and step of the settings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Optional, Union

from theano_rnn.common import fields as kinds
from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.fields import (
    AT_LEAST_ZERO,
    FACTOR,
    FILES,
    NAME,
    POSITIVE,
    SHARE,
    SWITCH,
    OnOrOff,
    first_line,
    one_of,
    optional,
    parsed,
    setting,
    whole_number,
)
from theano_rnn.common.names import did_you_mean
from theano_rnn.model import dropout as dropouts
from theano_rnn.model import initialization
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.truncation import Truncation
from theano_rnn.optim import averaging, regularization
from theano_rnn.optim.clipping import CLIPPINGS
from theano_rnn.optim.optimizers import OPTIMIZERS
from theano_rnn.optim.precision import PRECISIONS
from theano_rnn.text import splitting
from theano_rnn.text.reading import known_encoding
from theano_rnn.text.sentences import ENDS
from theano_rnn.text.tokens import LEVELS, RULES, Form
from theano_rnn.training import adaptive
from theano_rnn.training.adaptive import Adaptive

#: Epochs, where neither they nor minutes are given; and no limit, where minutes are.
EPOCHS, MANY_EPOCHS = 8, 100_000
#: What the learning rate does, by the name of the schedule.
SCHEDULES = {
    "plateau": "multiply it by --lr-decay after an epoch whose validation loss is hardly below "
    "the lowest so far, or above it; with --minutes it also falls to 0 in the last fifth of them",
    "epochs": "multiply it by --lr-decay after each epoch from --lr-decay-after on",
    "cosine": "it falls at every step, along a cosine, and is 0 when the epochs or minutes end",
    "trapezoid": "it stays as it is, and falls to 0 in the last fifth of the epochs or minutes",
    "constant": "it stays as it is",
}
#: Those that end with the epochs or the minutes, and should not end before.
ENDING = ("cosine", "trapezoid")
#: The settings that say which network it is.
NETWORK = tuple(known.name for known in fields(Architecture) if known.name != "vocab_size")


def _network(name: str, help: str, **about: Any) -> Any:
    """A field of ``Architecture``, with its default and the values that it takes there."""
    known = Architecture.__dataclass_fields__[name]
    return setting(known.default, known.metadata["kind"], help, **about)


def interval(every: Any) -> tuple[int, str]:
    """A number and its unit, "steps" or "min".

    >>> interval("500"), interval("10min")
    ((500, 'steps'), (10, 'min'))
    """
    number, unit = every if isinstance(every, str) else "", "steps"
    if number.endswith("min"):
        number, unit = number[: -len("min")], "min"
    if not (number.isascii() and number.isdigit() and len(number) <= 10 and int(number) > 0):
        raise RNNError(
            f"checkpoint_every {validation.shown(every)} is no interval; give steps, as in '500', "
            "or minutes, as in '10min'"
        )
    return int(number), unit


# fmt: off
@dataclass(frozen=True)
class Settings:
    """How a model is trained: what ``settings.json`` of a run holds.

    Parameters
    ----------
    rules : int
        The rules by which the text is read, see ``text.tokens.RULES``.

    Raises
    ------
    RNNError
        For a bad value, or settings that do not fit together.

    Examples
    --------
    >>> Settings(cell="gru", truncation="chunk:20", stream=True).steps
    20
    """

    text: Union[str, tuple[str, ...], None] = setting(None, optional(FILES),
        "a text, plain or .csv/.tsv, which is split, see --split; several files or patterns such "
        "as 'books/*.txt' are one text, and - is standard input", group="text")
    train: Union[str, tuple[str, ...], None] = setting(None, optional(FILES),
        "the training text, with --valid and --test")
    valid: Union[str, tuple[str, ...], None] = setting(None, optional(FILES),
        "the validation text: it steers the learning rate and picks the best model")
    test: Union[str, tuple[str, ...], None] = setting(None, optional(FILES),
        "the test text: the result is measured on it, once")
    split: str = setting(splitting.USUAL,
        parsed(splitting.parse, "shares in percent, A/B/C or A/B", "A/B/C"),
        "shares of --text for training, validation and test, in percent of its sentences, which "
        "are shuffled first, or of its lines with --level char, in order. Two shares, as in "
        "90/10: the first 90 % of its tokens for training, in order, and the last 10 % for "
        "validation; there is no test text, and the result is of the validation text")
    encoding: str = setting("utf-8",
        parsed(known_encoding, "a name that Python knows", "NAME"),
        "how the bytes of the files stand for characters, such as utf-16, cp1252 or gb18030")
    column: Optional[str] = setting(None, optional(NAME),
        "read the files as .csv or .tsv; this column holds the text, one document per cell")
    level: str = setting("word", one_of(LEVELS),
        "what a token is: with words the vocabulary is large and rare words become <unk>; with "
        "characters it is small, and sequences are long; bpe, words and parts of words, is in "
        "between, and no text is unknown")
    vocab_size: Optional[int] = setting(None, optional(whole_number(1)),
        "number of tokens, the most frequent ones; the rest become <unk>. Fewer train faster and "
        "make the perplexity look lower (default: at most 8000; of a --tokenized text all)")
    lower: Optional[bool] = setting(None, optional(SWITCH),
        "put the text in lower case; --keep-case: do not (default: words that are not --tokenized "
        "are put in lower case)", action=OnOrOff, off="--keep-case")
    sentences: str = setting("auto", one_of(ENDS, summary=ENDS.__getitem__),
        "where a sentence ends; characters go by lines")
    tokenized: bool = setting(False, SWITCH,
        "the text is tokenized already, one sentence per line (Penn Treebank form): words stay as "
        "they are, and the end of a line is the end token")

    cell: str = _network("cell",
        "the recurrence; p_t is the input of the step, s' the state before it", group="model")
    hidden_size: int = _network("hidden_size",
        "units of a layer; more can remember more, and every step costs more", metavar="H")
    layers: int = _network("layers", "recurrences on top of each other")
    bias: bool = _network("bias", "add biases; that of an lstm's forget gate starts at 1")
    tied: bool = _network("tied",
        "look tokens up in the output's matrix, transposed: fewer parameters for little text. An "
        "--embedding-size D other than H adds a projection P, D x H, before the output")
    embedding_size: Optional[int] = _network("embedding_size",
        "look tokens up in a table with this many rows before the first layer; it keeps the "
        "matrices of cells with gates small", zero="no table", metavar="D")
    dropout: float = _network("dropout",
        "share of the states that training hides from the layer above or from the output: the "
        "network learns less by heart", metavar="P")
    variational: bool = _network("variational",
        "draw one mask for a whole sentence (of a stream: for a whole training step) and use it "
        "at all its time steps, for states and input (Gal and Ghahramani 2016)")
    dropout_input: float = _network("dropout_input",
        "share of the embedded token that training hides from the first layer; needs "
        "--embedding-size", metavar="P")
    dropout_output: Optional[float] = _network("dropout_output",
        "share of the states that training hides from the output (default: --dropout); if given, "
        "--dropout is between layers only", metavar="P")
    dropout_recurrent: float = _network("dropout_recurrent",
        "share of the state before that W does not see in training, the same at every step; what "
        "a gate carries over stays whole", metavar="P")
    dropout_embedding: float = _network("dropout_embedding",
        "share of the vocabulary that a step of training reads as zeros: the network cannot rest "
        "on single words", metavar="P")
    weight_drop: float = _network("weight_drop",
        "share of the elements of W that a step of training leaves out (DropConnect; Merity et "
        "al. 2017)", metavar="P")
    initialization: str = setting("uniform",
        parsed(initialization.check, ", ".join(initialization.SCHEMES), "NAME"),
        f"how the parameters begin: {', '.join(initialization.SCHEMES)}")
    truncation: str = setting("full",
        parsed(adaptive.parse, "full, window:K, chunk:K, last:K, artbp:K[:alpha], "
            "adaptive:TOLERANCE", "SCHEME"),
        "where the gradient is cut. full: nowhere; window:K: each output's error goes back K "
        "steps; chunk:K: it stays within its chunk of K steps; last:K: only the errors of the "
        "last K outputs go back, and only through these K steps; artbp:K: at random, after K "
        "steps on average, and what is not cut weighs more, so that the gradient has no bias; "
        "adaptive:TOLERANCE: before each epoch the smallest K of window (of chunk with --stream) "
        "whose relative bias is below the tolerance, as in adaptive:0.1")

    batch_size: int = setting(1, whole_number(1),
        "sentences in a step, or rows of a stream; a larger batch is more tokens a second, but "
        "fewer steps in an epoch", group="training", metavar="B")
    stream: bool = setting(False, SWITCH,
        "read the text as one long text in B parallel rows, and carry the state from step to "
        "step; needs --truncation chunk:K, and a step takes K tokens of each row. With artbp:K "
        "it takes those up to the next cut, with adaptive K is chosen")
    state_reset: float = setting(0.0, SHARE,
        "probability that a row of a stream begins a step at the zero state, not at the carried "
        "one: the network learns to begin, as it must where it is used",
        metavar="P")
    optimizer: str = setting("sgd",
        one_of(OPTIMIZERS, summary=lambda name: first_line(OPTIMIZERS[name])),
        "how a gradient g changes a parameter p. Only sgd updates just the tokens that occur, "
        "which is quick with a large vocabulary; rmsprop and adam need a --learning-rate near "
        "0.001")
    learning_rate: float = setting(0.1, POSITIVE,
        "what the schedule starts from; a larger one learns faster, until the loss grows instead; "
        "an --optimizer without it gets one of its own")
    clip: Optional[float] = setting(5.0, optional(AT_LEAST_ZERO),
        "largest gradient; a larger one is scaled down to it, so that one sentence cannot undo "
        "the others. 0: no clipping")
    clip_by: str = setting("norm", one_of(CLIPPINGS),
        "what --clip bounds: the norm of the whole gradient, or each value in it")
    average: str = setting("none",
        parsed(averaging.parse, "none, nt-asgd[:N], ema[:DECAY]", "KIND"),
        "average the parameters over steps; after each epoch both are validated, and the better "
        "one is the model. nt-asgd:N, meant for sgd at --schedule constant: the mean of all steps "
        "after the first epoch whose validation loss exceeds the lowest of the N epochs before it "
        "(5 if no N is given). ema:DECAY: the exponential average from the first step on (0.999 "
        "if no DECAY is given)")
    l2: float = setting(0.0, AT_LEAST_ZERO,
        "add this times each matrix to its gradient; keeps the weights small")
    weight_decay: float = setting(0.0, AT_LEAST_ZERO,
        "decoupled weight decay, in place of --l2: each step takes this times the learning rate "
        "from the matrices, whatever the optimizer makes of the gradient (Loshchilov and Hutter "
        "2019)")
    omega: float = setting(0.0, AT_LEAST_ZERO,
        "weight of the regularizer Omega, which keeps the gradient's norm from step to step "
        "(Pascanu et al. 2013); for cells without gates")
    ar: float = setting(0.0, AT_LEAST_ZERO,
        "weight of a penalty on large states, 2 in Merity et al. 2017: this times the mean square "
        "of the last layer's states, as the output reads them, is added to the loss per token")
    tar: float = setting(0.0, AT_LEAST_ZERO,
        "weight of a penalty on fast states, 1 in Merity et al. 2017: this times the mean square "
        "of the change of the last layer's states from step to step")
    epochs: int = setting(None, optional(whole_number(1)),
        f"passes over the training text, those before --resume included (default: {EPOCHS}; with "
        "--minutes as many as they allow)")
    minutes: Optional[float] = setting(None, optional(POSITIVE),
        "end the training after so many minutes of compiling, steps and validation; the last "
        "epoch is cut short and validated, and the schedule ends with the time. With --epochs "
        "too, whichever ends first. A resumed run goes on with the minutes that it has left",
        zero="no limit", metavar="M")
    patience: Optional[int] = setting(None, optional(whole_number(1)),
        "stop after so many epochs without a new lowest validation loss", zero="never")
    on_nonfinite: str = setting("stop", one_of(("stop", "skip", "restore")),
        "what happens if a loss or gradient is not a finite number. The step is not taken: stop "
        "there; skip it; or restore the last checkpoint's parameters and multiply the learning "
        "rate by --lr-decay")
    seed: int = setting(0, whole_number(0),
        "seeds the split, the initial parameters, the order of sentences, the dropout and the "
        "samples: the same seed gives the same run")

    schedule: Optional[str] = setting(None, optional(one_of(SCHEDULES, SCHEDULES.__getitem__)),
        "how the learning rate goes on from --learning-rate (default: plateau; with "
        "--lr-decay-after epochs)", group="learning rate")
    lr_decay: float = setting(0.5, FACTOR,
        "factor of the learning rate, under plateau and epochs and after each --on-nonfinite "
        "restore", old=["decay"])
    min_improvement: float = setting(0.01, SHARE,
        "under plateau, the share by which the validation loss must fall below the lowest so far "
        "to keep the learning rate; 0: it must not rise above it", old=["improvement"])
    lr_decay_after: Optional[int] = setting(None, optional(whole_number(1)),
        "under epochs, multiply the learning rate by --lr-decay after each epoch from this one on",
        zero="not by epochs", old=["decay_after"])
    lr_end: float = setting(0.0, SHARE,
        "share of the learning rate that is left at the end under cosine and trapezoid, and under "
        "plateau with --minutes", metavar="SHARE")
    warmup: float = setting(0.0, SHARE,
        "share of the training, of its epochs or its minutes, in which the learning rate rises "
        "from 0 in a line", metavar="SHARE")

    threads: int = setting(1, whole_number(0),
        "threads that compute. 0: as many as are quickest; steps are timed with one and with "
        "more, again and again, as other programs come and go, and the last bits of the result "
        "may differ from run to run. OPENBLAS_NUM_THREADS, or else OMP_NUM_THREADS, counts "
        "instead if it is set", group="run")
    precision: str = setting("float32", one_of(PRECISIONS),
        "bf16: training rounds the factors of large products of matrices to 8 bits of precision, "
        "which is quicker on processors with AVX512-BF16; sums, states and parameters stay "
        "float32, and so do evaluations. auto: bf16 where the processor has it")
    checkpoint_every: str = setting("10min", parsed(interval, "steps or minutes", "N|Nmin"),
        "write a checkpoint within the epochs after so many steps, 500, or minutes, 10min; there "
        "is one at the end of each epoch", old=["every"])
    watch: bool = setting(False, SWITCH,
        "measure after each epoch how far the gradient reaches and what bounds it: sigma_max and "
        "spectral radius of W, Omega, live steps, in metrics.jsonl")
    tensorboard: bool = setting(False, SWITCH,
        "write the metrics of each epoch as TensorBoard events too, into the folder tensorboard "
        "of the run; pip install 'theano-rnn[tensorboard]'")
    dynamic: Optional[float] = setting(None, optional(POSITIVE),
        "also judge a model that keeps learning from the test text, at this learning rate (0.1 "
        "if none is given)", zero="no", nargs="?", const=0.1)
    dynamic_rms: Optional[float] = setting(None, optional(POSITIVE),
        "the same with steps that are divided by the root mean square of the gradients over the "
        "training text, and a decay towards the trained parameters (Krause et al. 2018), at this "
        "learning rate for each token (1e-5 if none is given)", zero="no", nargs="?", const=1e-5)

    rules: int = field(default=RULES[-1], metadata={"kind": whole_number(1, RULES[-1]), "old": ()})

    # fmt: on

    def __post_init__(self) -> None:
        kinds.check(self)
        if self.epochs is None:
            epochs = EPOCHS if self.minutes is None else MANY_EPOCHS
            object.__setattr__(self, "epochs", epochs)
        network = Architecture(1, **{name: getattr(self, name) for name in NETWORK})
        Form(self.level, self.tokenized, self.lower)  # of which not all go together
        if self.split != splitting.USUAL and self.train is not None:
            raise RNNError(
                f"split {self.split} is of one text, and --train gives another; leave --split out"
            )
        initialization.check_cell(self.initialization, self.cell)
        regularization.check_decays(self.l2, self.weight_decay)
        self._check_schedule()
        if self.omega:
            regularization.check_omega(self.cell, self.truncation, dropouts.kinds(network))
        cut = self.cut
        scheme = cut.of(self.stream) if isinstance(cut, Adaptive) else cut.scheme
        if self.stream and scheme not in ("chunk", "artbp"):
            raise RNNError(
                f"a stream needs truncation chunk:K, artbp:K or adaptive:TOLERANCE, not "
                f"{self.truncation}; a step takes K tokens of each row, as in chunk:20"
            )

    def _check_schedule(self) -> None:
        """Raise if a setting has no effect under the schedule."""
        if (self.scheduled == "epochs") != (self.lr_decay_after is not None):
            if self.lr_decay_after is None:
                raise RNNError("schedule epochs needs an epoch; give --lr-decay-after")
            raise RNNError(
                f"lr_decay_after {self.lr_decay_after} has no effect under schedule "
                f"{self.schedule}; leave one of them out (--lr-decay-after 0)"
            )
        if self.lr_end and not (self.scheduled in ENDING or self.is_annealed):
            raise RNNError(
                f"lr_end {self.lr_end:g} has no effect under schedule {self.scheduled}"
                f"{' without minutes' * (self.scheduled == 'plateau')}; leave it out "
                f"(--lr-end 0), or choose --schedule {' or '.join(ENDING)}"
            )

    def without_effect(self, given: Collection[str]) -> dict[str, str]:
        """Why settings of these have no effect, by name.

        Parameters
        ----------
        given : collection of str
            The settings that someone chose: the defaults and a recipe need not have an effect.

        Returns
        -------
        dict
            A reason for each that has none.
        """
        schedule = f"under schedule {self.scheduled}"
        idle = {
            "min_improvement": "" if self.scheduled == "plateau" else schedule,
            "lr_decay": ""
            if self.scheduled in ("plateau", "epochs") or self.on_nonfinite == "restore"
            else schedule,
            "clip_by": "" if self.clip else "without --clip",
            "sentences": self._ends_known(),
            "state_reset": "without --stream" if self.state_reset and not self.stream else "",
        }
        return {name: idle[name] for name in given if idle.get(name)}

    def _ends_known(self) -> str:
        """Why ``sentences`` has no effect: a sentence is a line anyway; "" if it has one."""
        if self.sentences == "auto":
            return ""
        if self.level == "char":
            return "with --level char, where a sentence is a line"
        return "with --tokenized, where a sentence is a line" if self.tokenized else ""

    def check_given(self, given: Collection[str]) -> None:
        """Refuse a setting that someone chose and that has no effect.

        Raises
        ------
        RNNError
        """
        for name, reason in self.without_effect(given).items():
            raise RNNError(f"{name} has no effect {reason}; leave it out")

    @property
    def scheduled(self) -> str:
        """The schedule, also where none is given."""
        default = "plateau" if self.lr_decay_after is None else "epochs"
        return self.schedule or default

    @property
    def is_annealed(self) -> bool:
        """Whether the learning rate falls in a line at the end."""
        by_time = self.scheduled == "plateau" and self.minutes is not None
        return by_time or self.scheduled == "trapezoid"

    @property
    def cut(self) -> Union[Truncation, Adaptive]:
        """What ``truncation`` says."""
        return adaptive.parse(self.truncation)

    @property
    def steps(self) -> Optional[int]:
        """K, the tokens of each row of a stream in a step, on average under artbp.

        None without a stream, and where adaptive chooses it.
        """
        cut = self.cut
        return cut.K if self.stream and isinstance(cut, Truncation) else None

    @classmethod
    def from_dict(cls, values: object, where: str) -> "Settings":
        """Settings read from a file, which may have been altered by hand.

        Parameters
        ----------
        values : dict
            By the names of the fields, or those that older versions gave them; what is left out
            has its default.
        where : str
            The source of the values in a message, such as the path of a file.

        Raises
        ------
        RNNError
            For anything but a dict, an unknown name or a bad value.
        """
        named = cls.named(values, where)
        try:
            return cls(**named)
        except RNNError as error:
            raise RNNError(f"{where}: {error}") from None

    @classmethod
    def named(cls, values: object, where: str) -> dict[str, Any]:
        """Settings by the names that they have today; the values are not checked.

        Parameters
        ----------
        values, where
            As for ``from_dict``.

        Raises
        ------
        RNNError
            For anything but a dict, an unknown name, or an old name beside the new one.
        """
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise RNNError(f"{where} does not hold settings")
        new = {old: known.name for known in fields(cls) for old in known.metadata["old"]}
        named: dict[str, Any] = {new.get(name) or name: value for name, value in values.items()}
        both = [name for name in values if new.get(name) in values]
        if both:
            raise RNNError(f"{where}: {both[0]} is the old name of {new[both[0]]}; remove one")
        known_names = {known.name for known in fields(cls)}
        unknown = [name for name in named if name not in known_names]
        if unknown:
            names = ", ".join(map(validation.shown, unknown[:20]))
            meant = did_you_mean(unknown[0], known_names)
            raise RNNError(f"{where}: unknown settings {names}{meant and f'; {meant}'}")
        return named
