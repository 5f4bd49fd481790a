"""Epochs of SGD over sentences, the learning rate's schedule, and what a run leaves behind."""

import math
import time
import zlib
from dataclasses import asdict, dataclass, fields
from typing import Optional

import numpy as np

from theano_rnn import arguments, baselines
from theano_rnn import truncation as truncations
from theano_rnn.corpus import Corpus, count_tokens, load_corpus, pairs
from theano_rnn.errors import RNNError
from theano_rnn.generation import generate
from theano_rnn.model import RNN
from theano_rnn.run import Run


@dataclass(frozen=True)
class Settings:
    """How a model is trained; settings.json of a run.

    text, train, valid, test, column, level, vocab_size, tokenized
        The corpus, as ``corpus.load_corpus`` takes them.
    hidden_size, truncation
        The model, as ``RNN`` takes them.
    learning_rate
        Of the first epoch. Larger learns faster, until it stops learning at all.
    decay, improvement
        The learning rate is multiplied by ``decay`` when the validation loss rises, or does not
        fall below its lowest so far by this share. With 0 only a rise counts.
    clip
        Longest gradient: a longer one is rescaled to this norm.
    epochs
        Passes over the training sentences.
    seed
        Of the split, the initial parameters, the order of sentences, and the samples.
    """

    text: Optional[str] = None
    train: Optional[str] = None
    valid: Optional[str] = None
    test: Optional[str] = None
    column: Optional[str] = None
    level: str = "word"
    vocab_size: Optional[int] = None
    tokenized: bool = False
    hidden_size: int = 100
    truncation: str = "full"
    learning_rate: float = 0.1
    decay: float = 0.5
    improvement: float = 0.01
    clip: float = 5.0
    epochs: int = 8
    seed: int = 0

    def __post_init__(self):
        arguments.whole_number(self.hidden_size, "hidden size", at_least=1)
        arguments.whole_number(self.epochs, "epochs", at_least=1)
        arguments.whole_number(self.seed, "seed", at_least=0)
        arguments.positive(self.learning_rate, "learning rate")
        arguments.positive(self.clip, "clip")
        if not 0 < arguments.positive(self.decay, "decay") <= 1:
            raise RNNError(f"decay must be above 0 and at most 1, not {self.decay}")
        if not (isinstance(self.improvement, (int, float)) and 0 <= self.improvement < 1):
            raise RNNError(f"improvement must be at least 0 and below 1, not {self.improvement}")
        truncations.parse(self.truncation)

    @classmethod
    def from_dict(cls, values: dict, where: str) -> "Settings":
        """Settings read from a file, which may have been altered by hand."""
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict):
            raise RNNError(f"{where} does not hold settings")
        unknown = [name for name in values if name not in known]
        if unknown:
            raise RNNError(f"{where}: unknown settings {', '.join(map(repr, unknown))}")
        try:
            return cls(**values)
        except (RNNError, TypeError) as error:
            raise RNNError(f"{where}: {error}") from None

    def corpus(self) -> Corpus:
        return load_corpus(
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


@dataclass
class State:
    """Where training stands. With the parameters, all that is needed to go on."""

    epoch: int = 0  # whole epochs done
    sentence: int = 0  # sentences done of the next one
    learning_rate: float = 0.0
    best_loss: float = math.inf  # lowest validation loss, nats a token
    seconds_to_first_step: Optional[float] = None  # of the process that began
    text: Optional[int] = None  # checksum of the training tokens
    # of the epoch under way
    loss: float = 0.0
    tokens: int = 0
    norm: float = 0.0
    clipped: int = 0
    seconds: float = 0.0


def perplexity(loss: float) -> float:
    """exp(loss), of a cross-entropy in nats a token; exp(708), a number, for any larger."""
    return math.exp(min(loss, 708.0))


class Watch:
    """What training tells while it runs; a script overrides what it shows."""

    #: Set to True from outside, training stops after the step it is in.
    stop = False

    def started(self, training: "Training") -> None:
        """Before the first step."""

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        """After a sentence: its summed loss, the gradient's norm, its number of tokens."""

    def epoch(self, record: dict) -> None:
        """After an epoch and its validation: the line of metrics.jsonl."""


class Training:
    """One training of one model, begun or gone on with.

    Parameters
    ----------
    settings : Settings
    run : Run
        The folder it writes to.
    corpus : Corpus
    resume : bool
        Go on from the folder's last checkpoint.
    """

    def __init__(self, settings: Settings, run: Run, corpus: Corpus, resume: bool = False):
        self.settings, self.run, self.corpus = settings, run, corpus
        self.model = RNN(
            corpus.vocabulary.size,
            settings.hidden_size,
            truncation=settings.truncation,
            seed=settings.seed,
        )
        text = zlib.crc32(np.concatenate(corpus.train).tobytes())
        self.state = State(learning_rate=settings.learning_rate, text=text)
        if resume:
            parameters, state = run.checkpoint("last")
            try:
                self.model.set_parameters(parameters)
                self.state = State(**state)
            except (RNNError, TypeError) as error:
                raise RNNError(
                    f"{run.folder}: the last checkpoint does not fit: {error}"
                ) from None
            if self.state.text != text:
                raise RNNError(
                    f"the text has changed since the run in {run.folder} began; start a new run"
                )
            if self.state.epoch >= settings.epochs:
                raise RNNError(
                    f"the run in {run.folder} has its {self.state.epoch} epochs; pass --epochs "
                    "with a larger number to go on"
                )
            run.drop_metrics_after(self.state.epoch)
        self._train = list(zip(*pairs(corpus.train)))

    def run_epochs(self, watch: Watch, start: Optional[float] = None) -> None:
        """Train until the settings' last epoch, or until the watch says stop.

        Parameters
        ----------
        watch : Watch
        start : float, optional
            ``time.perf_counter()`` at which the seconds to the first step begin to count.

        Raises
        ------
        RNNError
            If the loss or the gradient stops being finite; earlier checkpoints are kept.
        """
        start = time.perf_counter() if start is None else start
        watch.started(self)
        try:
            while self.state.epoch < self.settings.epochs and not watch.stop:
                self._steps(watch, start)
                if not watch.stop:
                    self._end_epoch(watch)
        finally:
            if self._is_finite():
                self._save("last")
                if not math.isfinite(self.state.best_loss):
                    self._save("best")  # stopped within the first epoch: what there is

    def _steps(self, watch: Watch, start: float) -> None:
        state, settings = self.state, self.settings
        order = np.random.default_rng([settings.seed, state.epoch]).permutation(len(self._train))
        begin = time.perf_counter()
        is_first = "_clipped_sgd" not in vars(self.model)
        for n in order[state.sentence :]:
            x, y = self._train[n]
            loss, norm = self.model.clipped_sgd_step(x, y, state.learning_rate, settings.clip)
            if is_first:
                is_first = False
                begin = time.perf_counter()  # compiling is not training
                if state.seconds_to_first_step is None:
                    state.seconds_to_first_step = begin - start
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise RNNError(
                    f"training diverged in epoch {state.epoch + 1}, sentence {state.sentence + 1}:"
                    f" number {n} of the text has loss {loss} and a gradient of norm {norm};"
                    f" try a smaller --learning-rate than {state.learning_rate:g}"
                    f" or a smaller --clip than {settings.clip:g}"
                )
            state.sentence += 1
            state.loss += loss
            state.norm += norm
            state.clipped += norm > settings.clip
            state.tokens += len(y)
            watch.step(state, loss, norm, len(y))
            if watch.stop:
                break
        state.seconds += time.perf_counter() - begin

    def _end_epoch(self, watch: Watch) -> None:
        state = self.state
        valid_loss = self.model.calculate_loss(*pairs(self.corpus.valid))
        if not math.isfinite(valid_loss):
            raise RNNError(
                f"training diverged: after epoch {state.epoch + 1} the validation loss is "
                f"{valid_loss}; try a smaller --learning-rate than {state.learning_rate:g}"
            )
        record = {
            "epoch": state.epoch + 1,
            "train_loss": state.loss / state.tokens,
            "valid_loss": valid_loss,
            "valid_perplexity": perplexity(valid_loss),
            "learning_rate": state.learning_rate,
            "gradient_norm": state.norm / state.sentence,
            "clipped": state.clipped / state.sentence,
            "tokens": state.tokens,
            "seconds": state.seconds,
        }
        is_best = valid_loss < state.best_loss
        is_enough = valid_loss <= state.best_loss * (1 - self.settings.improvement)
        rate = state.learning_rate * (1.0 if is_enough else self.settings.decay)
        best_loss = min(valid_loss, state.best_loss)
        self.state = State(
            epoch=state.epoch + 1,
            learning_rate=rate,
            best_loss=best_loss,
            seconds_to_first_step=state.seconds_to_first_step,
            text=state.text,
        )
        if is_best:
            self._save("best")
        self.run.append_metrics(record)
        self._save("last")
        watch.epoch(record)

    def result(self) -> dict:
        """Judge the best model on the test sentences; write result.json, samples.txt, loss.png.

        Returns
        -------
        dict
            The content of result.json. Perplexities are exp of the cross-entropy a token, the
            end of each sentence counted as one; the baselines are trained on the same tokens.
        """
        corpus, model, metrics = self.corpus, self.model, self.run.metrics()
        parameters, state = self.run.checkpoint("best")
        last = model.parameters()
        model.set_parameters(parameters)
        tokens = sum(record["tokens"] for record in metrics) + self.state.tokens
        seconds = sum(record["seconds"] for record in metrics) + self.state.seconds
        size = corpus.vocabulary.size
        bigram = baselines.bigram_perplexity(corpus.train, corpus.valid, corpus.test, size)
        result = {
            "valid_perplexity": perplexity(model.calculate_loss(*pairs(corpus.valid))),
            "test_perplexity": perplexity(model.calculate_loss(*pairs(corpus.test))),
            "unigram_perplexity": baselines.unigram_perplexity(corpus.train, corpus.test, size),
            "bigram_perplexity": bigram,
            "oov_rate": corpus.oov_rate,
            "tokens_per_second": tokens / seconds if seconds else None,
            "seconds_to_first_step": self.state.seconds_to_first_step,
            "training_seconds": seconds,
            "epochs": self.state.epoch,
            "best_epoch": state["epoch"],
            "vocab_size": size,
            "train_tokens": count_tokens(corpus.train),
            "valid_tokens": count_tokens(corpus.valid),
            "test_tokens": count_tokens(corpus.test),
        }
        samples = generate(model, corpus.vocabulary, count=20, seed=self.settings.seed)
        model.set_parameters(last)
        self.run.save_samples(samples)
        if metrics:
            self.run.save_loss_picture()
        self.run.save_result(result)
        return result

    def _save(self, name: str) -> None:
        self.run.save_checkpoint(name, self.model.parameters(), asdict(self.state))

    def _is_finite(self) -> bool:
        return all(np.isfinite(value).all() for value in self.model.parameters().values())
