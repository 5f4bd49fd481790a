"""Training: epochs of steps, each followed by an evaluation and a checkpoint."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Optional

import numpy as np

from theano_rnn import engine
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.common.types import Array, Bools, Floats, Function, Ints, Parameters, Record
from theano_rnn.model import cuts
from theano_rnn.text import batches
from theano_rnn.text.corpus import Corpus, count_tokens
from theano_rnn.training import adaptive, build, evaluation
from theano_rnn.training.adaptive import Adaptive
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.evaluation import figures, perplexity
from theano_rnn.training.result import judge
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings, interval
from theano_rnn.training.state import State, check_text, first_state, state_of
from theano_rnn.training.thread_choice import ThreadChoice

#: The name in a checkpoint of the state that a stream has reached.
STREAM = "stream.state"


class Callback:
    """What training calls while it runs; override what you need."""

    #: Set it to True, and training stops after the step it is in.
    stop = False

    def started(self, training: "Training") -> None:
        """Before the first step.

        Parameters
        ----------
        training : Training
        """

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        """After a step.

        Parameters
        ----------
        state : State
        loss : float
            In nats, summed over the tokens.
        norm : float
            Of the gradient, before clipping.
        tokens : int
        """

    def evaluating(self, training: "Training") -> None:
        """After the last step of an epoch, before its evaluation.

        An exception from here to ``epoch`` loses nothing: a resumed run evaluates the epoch again.

        Parameters
        ----------
        training : Training
        """

    def metrics(self, training: "Training") -> Record:
        """After the evaluation of an epoch: more figures for its line of metrics.jsonl.

        Parameters
        ----------
        training : Training

        Returns
        -------
        dict
        """
        return {}

    def epoch(self, record: Record) -> None:
        """After an epoch is written.

        Parameters
        ----------
        record : dict
            Its line of metrics.jsonl.
        """


class Training:
    """One training of one model, new or resumed.

    Parameters
    ----------
    settings : Settings
    run : Run
        The folder it writes to.
    corpus : Corpus
    resume : bool
        Continue from the folder's last checkpoint.

    Attributes
    ----------
    model : RNN
    step : Step
    state : State
    refused : list of str
        A message for each damaged checkpoint that was passed over on resuming.
    chosen : dict
        The settings that were chosen to fit the text.

    Raises
    ------
    RNNError
        If no checkpoint is whole, or the last one is of another text, network or optimizer.
    """

    def __init__(self, settings: Settings, run: Run, corpus: Corpus, resume: bool = False) -> None:
        self.settings, self.run, self.corpus = settings, run, corpus
        self.refused: list[str] = []
        self.chosen: dict[str, Any] = {}
        engine.use_threads(settings.threads)
        self._threads: Optional[ThreadChoice] = None
        if settings.threads == 0 and engine.most_threads() > 1:
            self._threads = ThreadChoice(engine.use_threads, engine.most_threads())
        found = run.last() if resume and run.has_last else None
        if found is not None:
            # The settings may ask for a network larger than memory; the checkpoint's is not.
            with self._checkpoint_fits():
                _check_dtype(parameters(found[0]))
                architecture = build.architecture(settings, corpus.vocabulary.size)
                architecture.check_parameters(parameters(found[0]))
        self.model, self.step, self._stream = build.build(settings, corpus)
        self._errors: Optional[Function] = None  # compiled where K is chosen
        self._carried: Optional[Floats] = None  # the state that the stream has reached
        self.state = first_state(settings, corpus)
        if found is not None:
            self._resume(*found)
        elif resume:  # it was killed before its first checkpoint
            run.drop_metrics_after(0)

    def begin_with(self, values: Parameters) -> None:
        """Begin with these parameters, also after a crash before the first checkpoint.

        Parameters
        ----------
        values : dict of arrays
        """
        self.model.set_parameters(values)
        self._save_last()

    # ---- what is done, from the first step to the last

    def run_epochs(self, callback: Callback, start: Optional[float] = None) -> None:
        """Train until the last epoch, until patience is lost, or until the callback says stop.

        Parameters
        ----------
        callback : Callback
        start : float, optional
            ``time.perf_counter()`` from which the seconds to the first step are counted.

        Raises
        ------
        RNNError
            If the loss or the gradient stops being finite; earlier checkpoints stay.
        """
        start = time.perf_counter() if start is None else start
        callback.started(self)
        self._saved_at = time.monotonic()
        if self.settings.on_nonfinite == "restore" and not self.run.has_last:
            self._save_last()  # to have something to restore from the first step on
        try:
            while not (self.is_over or callback.stop):
                self._train_epoch(callback, start)
                if callback.stop:
                    break
                callback.evaluating(self)
                record = self._evaluate(callback)
                self._save_epoch(record)
                callback.epoch(record)
        finally:
            if self._is_finite():
                self._save_last()
                if not math.isfinite(self.state.best_loss):  # stopped within the first epoch
                    self.run.save_checkpoint("best", self._arrays(), asdict(self.state))

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or too many without a new lowest validation loss."""
        patience, waited = self.settings.patience, self.state.epoch - self.state.best_epoch
        return self.state.epoch >= self.settings.epochs or (
            patience is not None and waited >= patience
        )

    @property
    def steps_per_epoch(self) -> int:
        """The steps of an epoch."""
        if self._stream is not None:
            return len(self._pieces(self._stream))
        if self.settings.batch_size == 1:
            return len(self.corpus.train)
        return len(
            batches.buckets(self.corpus.train, self.settings.batch_size, self.settings.seed)
        )

    def tokens_per_second(self, seconds: float = 0.3) -> Optional[float]:
        """The speed of the next steps, which are tried out; the training stays where it is.

        Parameters
        ----------
        seconds : float
            How long to try, beside the compiling and the first step.

        Returns
        -------
        float or None
            None if a step cannot be taken.
        """
        arrays, state, tokens, begun = self._arrays(), self.state, 0, None
        try:
            for x, y, mask in self._examples():
                self.step(x, y, state.learning_rate, self.settings.clip, mask=mask,
                          state=self._carried, random=np.random.default_rng(0),
                          **self._cut_of(x))  # fmt: skip
                now = time.perf_counter()
                if begun is None:  # the first one compiles
                    begun = now
                    continue
                tokens += int(np.size(y) if mask is None else mask.sum())
                if now - begun > seconds:
                    break
        except NotFinite:
            return None
        finally:
            self._set_arrays(arrays)
        return tokens / (now - begun) if begun is not None and tokens else None

    def _train_epoch(self, callback: Callback, start: float) -> None:
        """The steps that are left of this epoch."""
        state, last = self.state, time.perf_counter()
        for x, y, mask in self._examples():
            compiled = self.step.compiled
            try:
                loss, norm, tokens = self._take_step(x, y, mask)
            except NotFinite:
                self._not_finite(x, y, mask)
                if callback.stop:
                    break
                continue
            now = time.perf_counter()
            if self.step.compiled == compiled:  # compiling is not training
                state.seconds += now - last
                if self._threads is not None:
                    self._threads.step(tokens, now - last)
            last = now
            if state.seconds_to_first_step is None:
                state.seconds_to_first_step = now - start
            callback.step(state, loss, norm, tokens)
            if callback.stop:
                break
            if self._is_due() and self._is_finite():
                self._save_last()

    def _examples(self) -> Iterator[tuple[Ints, Ints, Optional[Bools]]]:
        """x, y and mask of each step of this epoch, from the current step on."""
        settings, first = self.settings, self.state.step
        seed = [settings.seed, self.state.epoch]
        self._choose_K()
        if self._stream is not None:
            pieces = self._pieces(self._stream)
            for i in range(first, len(pieces)):
                yield (*pieces[i], None)
        elif settings.batch_size == 1:
            order = np.random.default_rng(seed).permutation(len(self.corpus.train))
            for n in order[first:]:
                s = self.corpus.train[n]
                yield s[:-1], s[1:], None
        else:
            groups = batches.buckets(self.corpus.train, settings.batch_size, seed)
            for group in groups[first:]:
                yield batches.batch([self.corpus.train[n] for n in group])

    def _choose_K(self) -> None:
        """K of this epoch, where it is chosen: the seed and the parameters say which."""
        state, settings = self.state, self.settings
        cut = settings.cut
        if not isinstance(cut, Adaptive) or state.K is not None:
            return
        if self._errors is None:
            self._errors = adaptive.compile_errors(self.model)
        random = np.random.default_rng([settings.seed, state.epoch, 0, 2])
        sample = adaptive.sample_of(self.corpus.train, self._stream, random)
        state.K, state.bias, state.bias_error = adaptive.choose(
            cut, settings.stream, self._errors, self.model, sample, random
        )

    def _pieces(self, stream: batches.Stream) -> batches.Stream:
        """The stream in the pieces of this epoch, one a step."""
        cut, state = self.settings.cut, self.state
        if isinstance(cut, Adaptive):
            self._choose_K()
            assert state.K is not None
            return stream.cut_every(state.K)
        if cut.scheme == "artbp":  # a piece is a run, from one cut to the next
            random = np.random.default_rng([self.settings.seed, state.epoch, 0, 2])
            return stream.cut_at(np.flatnonzero(cuts.draw(cut, (stream.steps, 1), random)))
        return stream

    def _cut_of(self, x: Ints) -> dict[str, Any]:
        """What a step is told of where it is cut."""
        if self.step.scheme is not None:
            return {"K": self.state.K}
        if self._stream is not None and self.model.truncation.startswith("artbp"):
            return {"cuts": np.zeros(x.shape, bool)}  # a piece has no cut within
        return {}

    def _take_step(self, x: Ints, y: Ints, mask: Optional[Bools]) -> tuple[float, float, int]:
        """One step, counted in the state. Returns its loss, gradient norm and tokens."""
        state, settings = self.state, self.settings
        # The dropout and the resets of a step depend on nothing that came before it.
        seed = [settings.seed, state.epoch, state.step]
        random = np.random.default_rng(seed)
        if self._carried is not None and settings.state_reset:
            begins = np.random.default_rng([*seed, 1]).random(settings.batch_size)
            self._carried[begins < settings.state_reset] = 0
        loss, norm, after = self.step(
            x, y, state.learning_rate, settings.clip,
            mask=mask, state=self._carried, random=random, **self._cut_of(x),
        )  # fmt: skip
        self._carried = None if self._stream is None else after
        tokens = int(np.size(y) if mask is None else mask.sum())
        state.step += 1
        state.loss += loss
        state.norm += norm
        state.clipped += bool(settings.clip and norm > settings.clip)
        state.tokens += tokens
        return loss, norm, tokens

    def _not_finite(self, x: Ints, y: Ints, mask: Optional[Bools]) -> None:
        """After a step that could not be taken: stop, skip it, or restore a checkpoint."""
        state, action = self.state, self.settings.on_nonfinite
        if action == "stop":
            raise RNNError(self._diagnosis(x, y, mask))
        state.step += 1
        state.skipped += 1
        if action == "restore":
            arrays, _, _ = self.run.last()
            self._set_arrays(arrays)
            state.learning_rate *= self.settings.lr_decay

    def _diagnosis(self, x: Ints, y: Ints, mask: Optional[Bools]) -> str:
        """Which step, which parameter, which sentence, and which checkpoint is the last good."""
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
        with np.errstate(over="ignore"):
            norm = float(
                np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradients.values()))
            )
        what = "the loss or the gradient is"
        if not bad and norm**2 > float(np.finfo(model.dtype).max):
            what = (
                f"the gradient is finite, but its norm, {norm:.3g}, overflows {model.dtype}: it is"
            )
        return (
            f"{what} not finite in epoch {state.epoch + 1}, step "
            f"{state.step + 1}, and the step was not taken. Parameter {name}, of norm "
            f"{norms[name]:.3g}, has {'such a gradient' if bad else 'the largest norm'}. It read: "
            f"{text!r}; {good}. Try a smaller --learning-rate than {state.learning_rate:g}"
            + (f" or --clip than {settings.clip:g}" if settings.clip else " or a --clip")
            + ", or --on-nonfinite skip or restore"
        )

    def _evaluate(self, callback: Callback) -> Record:
        """The line of metrics.jsonl for the epoch whose steps are done."""
        state, settings = self.state, self.settings
        taken = state.step - state.skipped
        if taken == 0:
            raise RNNError(
                f"no step of epoch {state.epoch + 1} could be taken, as no loss or gradient was "
                f"finite; try a smaller --learning-rate than {state.learning_rate:g}"
            )
        chosen: Record = {}
        if state.K is not None:
            chosen = {
                "K": state.K,
                "relative_bias": state.bias,
                "relative_bias_error": state.bias_error,
            }
        valid_loss = evaluation.text_loss(self.model, self.corpus.valid, settings.stream)
        if not math.isfinite(valid_loss):
            raise RNNError(
                f"training diverged: after epoch {state.epoch + 1} the validation loss is "
                f"{valid_loss}; try a smaller --learning-rate than {state.learning_rate:g}"
            )
        return {
            "epoch": state.epoch + 1,
            "train_loss": state.loss / state.tokens,
            "valid_loss": valid_loss,
            **figures(
                "valid",
                perplexity(valid_loss),
                count_tokens(self.corpus.valid),
                self.corpus.sizes["valid"],
            ),
            "learning_rate": state.learning_rate,
            "gradient_norm": state.norm / taken,
            # The norm does not tell whether a value was clipped.
            "clipped": state.clipped / taken if settings.clip_by == "norm" else None,
            "skipped": state.skipped,
            "tokens": state.tokens,
            "seconds": state.seconds,
            **chosen,
            **callback.metrics(self),
        }

    def _save_epoch(self, record: Record) -> None:
        """Write the line of an epoch and its checkpoints; the next epoch begins."""
        after = self.state.after_epoch(self.settings, record["valid_loss"])
        self._carried = None
        if after.best_epoch == after.epoch:
            self.run.save_checkpoint("best", self._arrays(), asdict(after))
        self.run.append_metrics(record)
        self.state = after  # not before: a checkpoint of it says that all above is written
        self._save_last()

    def result(self) -> Record:
        """Judge the best model on the test text; see ``result.judge``.

        Returns
        -------
        dict
            The content of result.json.
        """
        return judge(self.settings, self.run, self.corpus, self.model, self.state)

    # ---- checkpoints

    def _arrays(self) -> dict[str, Array]:
        """The arrays of a checkpoint, by name."""
        arrays = {**self.model.parameters(), **self.step.state()}
        return arrays if self._carried is None else {**arrays, STREAM: self._carried}

    def _set_arrays(self, arrays: dict[str, Array]) -> None:
        """Continue from what ``_arrays`` returned."""
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

    def _resume(self, arrays: dict[str, Array], state: Record, refused: list[str]) -> None:
        """Continue from a checkpoint; refuse if there is nothing left to do."""
        settings, run, given = self.settings, self.run, self.state
        self.refused = refused
        with self._checkpoint_fits():
            self._set_arrays(arrays)
            self.state = state_of(state)
        check_text(self.state, given, run)
        run.drop_metrics_after(self.state.epoch)
        if self.is_over and run.epochs_judged != self.state.epoch:
            return  # it was killed before its result was written
        if self.state.epoch >= settings.epochs:
            raise RNNError(
                f"the run in {run.folder} has its {self.state.epoch} epochs; pass --epochs "
                "with a larger number to train on"
            )
        if self.is_over:
            raise RNNError(
                f"the run in {run.folder} has ended: {settings.patience} epochs without a new "
                "lowest validation loss; pass a larger --patience to train on"
            )

    @contextlib.contextmanager
    def _checkpoint_fits(self) -> Iterator[None]:
        try:
            yield
        except RNNError as error:
            message = f"{self.run.folder}: the last checkpoint does not fit: {error}"
            raise RNNError(message) from None

    def _save_last(self) -> None:
        self.run.save_last(self._arrays(), asdict(self.state))
        self._saved_at = time.monotonic()

    def _is_due(self) -> bool:
        """Whether ``checkpoint_every`` asks for a checkpoint now, within the epoch."""
        number, unit = interval(self.settings.checkpoint_every)
        if unit == "steps":
            return self.state.step % number == 0
        return time.monotonic() - self._saved_at >= 60 * number

    def _is_finite(self) -> bool:
        return all(np.isfinite(value).all() for value in self._arrays().values())


def _check_dtype(values: Parameters) -> None:
    """Raise RNNError if parameters are not of Theano's floatX, in which training would go on."""
    floatX = engine.theano.config.floatX
    others = sorted({value.dtype.name for value in values.values()} - {floatX})
    if others:
        raise RNNError(
            f"it has numbers of {others[0]}, and Theano's floatX is {floatX}; set "
            f"THEANO_FLAGS=floatX={others[0]}"
        )
