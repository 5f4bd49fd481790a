"""Epochs of training, the learning rate's schedule, and what a run leaves behind."""

import dataclasses
import math
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Optional

import numpy as np

from theano_rnn import engine
from theano_rnn.baselines import bigram
from theano_rnn.baselines.kneser_ney import fit_kneser_ney
from theano_rnn.common import validation
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints, Record
from theano_rnn.flow import watched
from theano_rnn.text import batches
from theano_rnn.text.corpus import Corpus, count_tokens
from theano_rnn.training import evaluation
from theano_rnn.training.run_folder import Run, parameters
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings

#: The name in a checkpoint of the state that a stream has reached.
STREAM = "stream.state"


@dataclass
class State:
    """Where training stands. With the arrays of a checkpoint, all that is needed to go on.

    Attributes
    ----------
    epoch, step : int
        Whole epochs done, and steps of the next one.
    learning_rate : float
    best_loss, best_epoch : float, int
        Lowest validation loss, in nats a token, and the epoch after which it was reached.
    seconds_to_first_step : float or None
        Of the process that began.
    text : int or None
        Checksum of the training tokens.
    loss, tokens, norm, clipped, skipped, seconds
        Sums over the steps of the epoch under way: E in nats, its tokens, norms of the gradient,
        and the numbers of steps clipped and not taken.
    """

    epoch: int = 0  # whole epochs done
    step: int = 0  # steps done of the next one
    learning_rate: float = 0.0
    best_loss: float = math.inf  # lowest validation loss, nats a token
    best_epoch: int = 0  # after which it was reached
    seconds_to_first_step: Optional[float] = None  # of the process that began
    text: Optional[int] = None  # checksum of the training tokens
    # of the epoch under way
    loss: float = 0.0
    tokens: int = 0
    norm: float = 0.0
    clipped: int = 0
    skipped: int = 0
    seconds: float = 0.0


def state_of(values: Record) -> State:
    """The state that a checkpoint holds.

    Parameters
    ----------
    values : dict
        As ``Run.last`` returns it.

    Returns
    -------
    State

    Raises
    ------
    RNNError
        If it is not one that this program wrote.
    """
    try:
        state = State(**values)
    except TypeError:
        raise RNNError("it is of another version of this program; start a new run") from None
    for name in ("epoch", "step", "best_epoch", "tokens", "clipped", "skipped"):
        validation.whole_number(getattr(state, name), f"{name} of its state", at_least=0)
    validation.at_least_zero(state.learning_rate, "learning_rate of its state")
    for name in ("best_loss", "loss", "norm", "seconds"):
        value = getattr(state, name)
        if not isinstance(value, (int, float)) or not -1e300 < value:  # nor NaN
            raise RNNError(f"{name} of its state is no number, but {validation.shown(value)}")
    if state.seconds_to_first_step is not None:
        validation.at_least_zero(state.seconds_to_first_step, "seconds_to_first_step of its state")
    return state


def perplexity(loss: float) -> float:
    """exp(loss), of a cross-entropy in nats a token; exp(708), a number, for any larger.

    Parameters
    ----------
    loss : float
        In nats a token.

    Returns
    -------
    float

    Examples
    --------
    >>> perplexity(0.0)
    1.0
    """
    return math.exp(min(loss, 708.0))


def next_rate(settings: Settings, epoch: int, rate: float, loss: float, best: float) -> float:
    """The learning rate after an epoch.

    Parameters
    ----------
    settings : Settings
    epoch : int
        The one just done, counted from 1.
    rate : float
        Its learning rate.
    loss, best : float
        Its validation loss, and the lowest one before it.

    Returns
    -------
    float
    """
    if settings.lr_decay_after is not None:
        is_enough = epoch < settings.lr_decay_after
    else:
        is_enough = loss <= best * (1 - settings.min_improvement)
    return rate * (1.0 if is_enough else settings.lr_decay)


class Callback:
    """What training tells while it runs; a script overrides what it shows."""

    #: Set to True from outside, training stops after the step it is in.
    stop = False

    def started(self, training: "Training") -> None:
        """Before the first step.

        Parameters
        ----------
        training : Training
        """

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        """After a step: its summed loss, the gradient's norm, its number of tokens.

        Parameters
        ----------
        state : State
        loss : float
            In nats, summed over the tokens.
        norm : float
            Before clipping.
        tokens : int
        """

    def epoch(self, record: Record) -> None:
        """After an epoch and its validation: the line of metrics.jsonl.

        Parameters
        ----------
        record : dict
        """


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

    Raises
    ------
    RNNError
        If no checkpoint is whole, or the last one is of another text, network or optimizer.
    """

    def __init__(self, settings: Settings, run: Run, corpus: Corpus, resume: bool = False) -> None:
        self.settings, self.run, self.corpus = settings, run, corpus
        engine.use_threads(settings.threads)
        found = run.last() if resume and run.has_last else None
        if found is not None:
            self._check_shapes(found[0])
        self.model = settings.model(corpus.vocabulary.size)
        self.step = settings.step(self.model)
        self._stream = settings.stream_of(corpus) if settings.stream else None
        self._carried: Optional[Floats] = None  # the state that the stream has reached
        #: What is said of damaged checkpoints that were passed over on going on.
        self.refused: list[str] = []
        text = zlib.crc32(np.concatenate(corpus.train).tobytes())
        self.state = State(learning_rate=settings.learning_rate, text=text)
        if resume:
            self._resume(text, found)

    def _check_shapes(self, arrays: dict[str, Array]) -> None:
        """Before a network is made that may be larger than the checkpoint's."""
        shapes = self.settings.architecture(self.corpus.vocabulary.size).shapes
        try:
            validation.parameters(parameters(arrays), shapes, "float32")
        except RNNError as error:
            raise self._does_not_fit(error) from None

    def _does_not_fit(self, error: Exception) -> RNNError:
        return RNNError(f"{self.run.folder}: the last checkpoint does not fit: {error}")

    def _resume(
        self, text: int, found: Optional[tuple[dict[str, Array], Record, list[str]]]
    ) -> None:
        settings, run = self.settings, self.run
        if found is None:  # it was killed before its first checkpoint
            run.drop_metrics_after(0)
            return
        arrays, state, self.refused = found
        try:
            self._take_over(arrays)
            self.state = state_of(state)
        except RNNError as error:
            raise self._does_not_fit(error) from None
        if self.state.text != text:
            raise RNNError(
                f"the text has changed since the run in {run.folder} began; start a new run"
            )
        run.drop_metrics_after(self.state.epoch)
        if self.is_over and run.epochs_judged != self.state.epoch:
            return  # it was killed while its result was made
        if self.state.epoch >= settings.epochs:
            raise RNNError(
                f"the run in {run.folder} has its {self.state.epoch} epochs; pass --epochs "
                "with a larger number to go on"
            )
        if self.is_over:
            raise RNNError(
                f"the run in {run.folder} has ended: {settings.patience} epochs without a new "
                "lowest validation loss; start a new run with a larger --patience"
            )

    def _arrays(self) -> dict[str, Array]:
        """What a checkpoint holds, by name."""
        arrays = {**self.model.parameters(), **self.step.state()}
        return arrays if self._carried is None else {**arrays, STREAM: self._carried}

    def _take_over(self, arrays: dict[str, Array]) -> None:
        """Go on from what ``_arrays`` returned."""
        self.model.set_parameters(parameters(arrays))
        others = {name: arrays[name] for name in arrays.keys() - parameters(arrays).keys()}
        if self._stream is not None and STREAM in others:
            self._carried = self.model.checked_state(others.pop(STREAM), self.settings.batch_size)
        if others.keys() != self.step.state().keys():
            held = ", ".join(sorted(others)) or "none"
            raise RNNError(
                f"the state of its optimizer ({held}) is not that of {self.settings.optimizer}"
            )
        self.step.set_state(others)

    def run_epochs(self, callback: Callback, start: Optional[float] = None) -> None:
        """Train until the settings' last epoch, until patience is lost, or the callback says stop.

        Parameters
        ----------
        callback : Callback
        start : float, optional
            ``time.perf_counter()`` at which the seconds to the first step begin to count.

        Raises
        ------
        RNNError
            If the loss or the gradient stops being finite; earlier checkpoints are kept.
        """
        start = time.perf_counter() if start is None else start
        callback.started(self)
        self._saved_at = time.monotonic()
        if self.settings.on_nonfinite == "restore" and not self.run.has_last:
            self._save_last()  # what there is to go back to, before there is another
        try:
            while not (self.is_over or callback.stop):
                self._steps(callback, start)
                if not callback.stop:
                    self._end_epoch(callback)
        finally:
            if self._is_finite():
                self._save_last()
                if not math.isfinite(self.state.best_loss):
                    self._save("best")  # stopped within the first epoch: what there is

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or too many without a new lowest validation loss."""
        patience, waited = self.settings.patience, self.state.epoch - self.state.best_epoch
        return self.state.epoch >= self.settings.epochs or (
            patience is not None and waited >= patience
        )

    def _examples(self) -> Iterator[tuple[Ints, Ints, Optional[Bools]]]:
        """What the steps of this epoch learn from, (x, y, mask) each, from the one under way."""
        settings, first = self.settings, self.state.step
        seed = [settings.seed, self.state.epoch]
        if self._stream is not None:
            for i in range(first, len(self._stream)):
                yield (*self._stream[i], None)
        elif settings.batch_size == 1:
            order = np.random.default_rng(seed).permutation(len(self.corpus.train))
            for n in order[first:]:
                s = self.corpus.train[n]
                yield s[:-1], s[1:], None
        else:
            groups = batches.buckets(self.corpus.train, settings.batch_size, seed)
            for group in groups[first:]:
                yield batches.batch([self.corpus.train[n] for n in group])

    def _steps(self, callback: Callback, start: float) -> None:
        state, settings = self.state, self.settings
        begin = time.perf_counter()
        for x, y, mask in self._examples():
            started, compiled = time.perf_counter(), self.step.compiled
            # The dropout of a step depends on nothing that came before it.
            random = np.random.default_rng([settings.seed, state.epoch, state.step])
            try:
                loss, norm, after = self.step(
                    x, y, state.learning_rate, settings.clip,
                    mask=mask, state=self._carried, random=random,
                )  # fmt: skip
            except NotFinite:
                self._not_finite(x, y, mask)
                if callback.stop:
                    break
                continue
            self._carried = None if self._stream is None else after
            if self.step.compiled > compiled:
                begin += time.perf_counter() - started  # compiling is not training
            if state.seconds_to_first_step is None:
                state.seconds_to_first_step = time.perf_counter() - start
            tokens = int(np.size(y) if mask is None else mask.sum())
            state.step += 1
            state.loss += loss
            state.norm += norm
            state.clipped += bool(settings.clip and norm > settings.clip)
            state.tokens += tokens
            callback.step(state, loss, norm, tokens)
            if callback.stop:
                break
            if self._is_due() and self._is_finite():
                now = time.perf_counter()
                state.seconds, begin = state.seconds + now - begin, now
                self._save_last()
        state.seconds += time.perf_counter() - begin

    def _not_finite(self, x: Ints, y: Ints, mask: Optional[Bools]) -> None:
        """A step could not be taken: stop, skip it, or go back to the last checkpoint."""
        state, action = self.state, self.settings.on_nonfinite
        if action == "stop":
            raise RNNError(self._diagnosis(x, y, mask))
        state.step += 1
        state.skipped += 1
        if action == "restore":
            arrays, _, _ = self.run.last()
            self._take_over(arrays)
            state.learning_rate *= self.settings.lr_decay

    def _diagnosis(self, x: Ints, y: Ints, mask: Optional[Bools]) -> str:
        """Which step, which parameter, which sentence, and what there is to go on from."""
        state, model, settings = self.state, self.model, self.settings
        with np.errstate(all="ignore"):
            norms = {n: np.linalg.norm(p.astype("float64")) for n, p in model.parameters().items()}
            gradients = model.bptt(x, y, mask)
        bad = [name for name, g in gradients.items() if not np.isfinite(g).all()]
        name = bad[0] if bad else max(norms, key=norms.__getitem__)
        tokens = self.corpus.vocabulary.tokens
        text = " ".join(str(tokens[token]) for token in np.ravel(x, order="F")[:12])
        try:
            _, last, _ = self.run.last()
            good = f"the last good checkpoint is of epoch {last['epoch'] + 1}, step {last['step']}"
        except RNNError:
            good = "there is no checkpoint yet"
        return (
            f"the loss or the gradient is not finite in epoch {state.epoch + 1}, step "
            f"{state.step + 1}, and the step was not taken. Parameter {name}, of norm "
            f"{norms[name]:.3g}, has {'such a gradient' if bad else 'the largest norm'}. It read: "
            f"{text!r}; {good}. Try a smaller --learning-rate than {state.learning_rate:g}"
            + (f" or --clip than {settings.clip:g}" if settings.clip else " or a --clip")
            + ", or --on-nonfinite skip or restore"
        )

    def _loss(self, sequences: list[Ints]) -> float:
        """Nats a token, as the model is trained: sentences alone, or with the state carried."""
        if self._stream is None:
            return evaluation.sentence_loss(self.model, sequences)
        return evaluation.stream_loss(self.model, sequences)

    def _end_epoch(self, callback: Callback) -> None:
        state, settings = self.state, self.settings
        taken = state.step - state.skipped
        if taken == 0:
            raise RNNError(
                f"no step of epoch {state.epoch + 1} could be taken, as no loss or gradient was "
                f"finite; try a smaller --learning-rate than {state.learning_rate:g}"
            )
        valid_loss = self._loss(self.corpus.valid)
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
            "gradient_norm": state.norm / taken,
            # The norm does not tell whether a value was.
            "clipped": state.clipped / taken if settings.clip_by == "norm" else None,
            "skipped": state.skipped,
            "tokens": state.tokens,
            "seconds": state.seconds,
        }
        if settings.watch:
            record.update(watched(self.model, self.corpus.valid))
        is_best = valid_loss < state.best_loss
        after = State(
            epoch=state.epoch + 1,
            learning_rate=next_rate(
                settings, state.epoch + 1, state.learning_rate, valid_loss, state.best_loss
            ),
            best_loss=min(valid_loss, state.best_loss),
            best_epoch=state.epoch + 1 if is_best else state.best_epoch,
            seconds_to_first_step=state.seconds_to_first_step,
            text=state.text,
        )
        self._carried = None
        if is_best:
            self.run.save_checkpoint("best", self._arrays(), asdict(after))
        self.run.append_metrics(record)
        self.state = after  # not before: a checkpoint of it stands for what is written above
        self._save_last()
        callback.epoch(record)

    def result(self) -> Record:
        """Judge the best model on the test text; write result.json, samples.txt, loss.png.

        Returns
        -------
        dict
            The content of result.json. Perplexities are exp of the cross-entropy a token, the
            end of each sentence counted as one; the baselines are trained on the same tokens.
        """
        corpus, model, settings, metrics = (
            self.corpus, self.model, self.settings,
            self.run.metrics(("epoch", "train_loss", "valid_loss", "tokens", "seconds")),
        )  # fmt: skip
        arrays, state = self.run.checkpoint("best")
        last = model.parameters()
        model.set_parameters(parameters(arrays))
        tokens = sum(record["tokens"] for record in metrics) + self.state.tokens
        seconds = sum(record["seconds"] for record in metrics) + self.state.seconds
        size, splits = corpus.vocabulary.size, (corpus.train, corpus.valid)
        kneser_ney = fit_kneser_ney(*splits, size, across=settings.stream)
        result = {
            "valid_perplexity": perplexity(self._loss(corpus.valid)),
            "test_perplexity": perplexity(self._loss(corpus.test)),
            "unigram_perplexity": bigram.unigram_perplexity(corpus.train, corpus.test, size),
            "bigram_perplexity": bigram.bigram_perplexity(*splits, corpus.test, size),
            "kneser_ney_perplexity": kneser_ney.perplexity(corpus.test),
            "kneser_ney_order": kneser_ney.order,
            "oov_rate": corpus.oov_rate,
            "tokens_per_second": tokens / seconds if seconds else None,
            "seconds_to_first_step": self.state.seconds_to_first_step,
            "training_seconds": seconds,
            "epochs": self.state.epoch,
            "best_epoch": state_of(state).epoch,
            "vocab_size": size,
            "train_tokens": count_tokens(corpus.train),
            "valid_tokens": count_tokens(corpus.valid),
            "test_tokens": count_tokens(corpus.test),
        }
        if settings.dynamic is not None:
            result["dynamic_perplexity"] = perplexity(self._dynamic_loss(settings.dynamic))
        samples = generate(model, corpus.vocabulary, count=20, seed=settings.seed)
        model.set_parameters(last)
        self.run.save_samples(samples)
        if metrics:
            self.run.save_loss_picture()
        self.run.save_result(result)
        return result

    def _dynamic_loss(self, learning_rate: float) -> float:
        """Of a copy of the model, without dropout, that learns from the test text by SGD."""
        settings, vocab_size = self.settings, self.corpus.vocabulary.size
        learner = settings.model(vocab_size, dropout=0.0)
        learner.set_parameters(self.model.parameters())
        step = dataclasses.replace(settings, optimizer="sgd", l2=0.0, omega=0.0).step(learner)
        return evaluation.dynamic_loss(
            step, self.corpus.test, learning_rate, settings.clip, settings.steps
        )

    def _save(self, name: str) -> None:
        self.run.save_checkpoint(name, self._arrays(), asdict(self.state))

    def _save_last(self) -> None:
        self.run.save_last(self._arrays(), asdict(self.state))
        self._saved_at = time.monotonic()

    def _is_due(self) -> bool:
        """Whether ``checkpoint_every`` asks for a checkpoint now, within the epoch."""
        number, unit = self.settings.interval
        if unit == "steps":
            return self.state.step % number == 0
        return time.monotonic() - self._saved_at >= 60 * number

    def _is_finite(self) -> bool:
        return all(np.isfinite(value).all() for value in self._arrays().values())
