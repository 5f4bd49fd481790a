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
from theano_rnn.common.types import Array, Bools, Floats, Ints, Parameters, Record
from theano_rnn.optim import averaging
from theano_rnn.optim.averaging import AVERAGE, Average
from theano_rnn.text.corpus import Corpus, count_tokens
from theano_rnn.training import build, evaluation, schedule
from theano_rnn.training.budget import Budget
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.diagnosis import diagnosis
from theano_rnn.training.evaluation import figures, perplexity
from theano_rnn.training.examples import Examples
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
        """Before the first step."""

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
        """

    def metrics(self, training: "Training") -> Record:
        """After the evaluation of an epoch: more figures for its line of metrics.jsonl."""
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
    examples : Examples
        What its steps read.
    state : State
    budget : Budget
    average : Average or None
        The average of the parameters, once it has begun.
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
        self.model, self.step, stream = build.build(settings, corpus)
        self.examples = Examples(settings, corpus, self.model, self.step, stream)
        self._interval = interval(settings.checkpoint_every)
        self.budget = Budget.of(settings, corpus)
        self._averaging = averaging.parse(settings.average)
        self.average: Optional[Average] = None
        self._carried: Optional[Floats] = None  # the state that the stream has reached
        # Within a step, whose update the parameters may have and the state has not counted.
        self._is_torn = False
        # Until then the time is in state.elapsed; and what had been compiled by then.
        self._ticked, self._built = time.perf_counter(), engine.seconds_of_building()
        self.state = first_state(settings, corpus)
        if found is not None:
            self._resume(*found)
        elif resume:  # it was killed before its first checkpoint
            if run.metrics():
                raise RNNError(
                    f"the checkpoints of {run.folder} are gone, though it has trained; start a "
                    "new run"
                )
            run.drop_metrics_after(0)

    def begin_with(self, values: Parameters) -> None:
        """Begin with these parameters, also after a crash before the first checkpoint."""
        self.model.set_parameters(values)
        self._save_last()

    def set_learning_rate(self, rate: float) -> None:
        """Go on with another rate, also after a crash before the next checkpoint."""
        self.state.learning_rate = rate
        if self.run.has_last:
            self._save_last()

    # ---- what is done, from the first step to the last

    def run_epochs(self, callback: Callback, start: Optional[float] = None) -> None:
        """Train until the last epoch or minute, until patience is lost, or the callback says stop.

        Parameters
        ----------
        callback : Callback
        start : float, optional
            ``time.perf_counter()`` from which the seconds to the first step are counted.

        Raises
        ------
        RNNError
            If the loss or the gradient stops being finite; earlier checkpoints stay. Or if the
            minutes allow no step.
        """
        self._ticked, self._built = time.perf_counter(), engine.seconds_of_building()
        start = self._ticked if start is None else start
        callback.started(self)
        self._tick()
        self._check_budget()
        self._saved_at = time.monotonic()
        if self.settings.on_nonfinite == "restore" and not self.run.has_last:
            self._save_last()  # to have something to restore from the first step on
        try:
            while self.end is None and not callback.stop:
                self._train_epoch(callback, start)
                if callback.stop:
                    break
                self._check_budget()
                if self.end is not None:  # the minutes were over before the first step
                    break
                callback.evaluating(self)
                self._tick()
                before, built = self.state.elapsed, self._built
                record = self._evaluate(callback)
                self._tick()
                # The next one finds compiled what this one compiled.
                compiling = self._built - built if self.budget.compiling else 0.0
                self.state.validation = max(0.0, self.state.elapsed - before - compiling)
                self._save_epoch(record)
                callback.epoch(record)
        finally:
            if self._is_finite():
                if not (self._is_torn and self.run.has_last):
                    self._save_last()
                if not math.isfinite(self.state.best_loss):  # stopped within the first epoch
                    self.run.save_checkpoint("best", self._arrays(), asdict(self.state))

    @property
    def end(self) -> Optional[str]:
        """The setting that ends the training here, "epochs", "minutes" or "patience"; or None."""
        return self.budget.end(self.state)

    def _tick(self) -> None:
        """Add the time since the last tick to what is used of the minutes."""
        now, built = time.perf_counter(), engine.seconds_of_building()
        compiling = 0.0 if self.budget.compiling else built - self._built
        self.state.elapsed += max(0.0, now - self._ticked - compiling)
        self._ticked, self._built = now, built

    def _check_budget(self) -> None:
        """Raise if the minutes are over, and all they held is compiling and one step."""
        state, minutes = self.state, self.settings.minutes
        if state.epoch == 0 and state.step <= 1 and self.budget.is_used(state):
            raise RNNError(
                f"the {minutes:g} minutes are over before the second step: "
                f"{'compiling' if self.budget.compiling else 'the first'} took "
                f"{state.elapsed:.1f} seconds; give more --minutes"
            )

    def tokens_per_second(self, seconds: float = 0.3) -> Optional[float]:
        """The speed of the next steps, which are tried out; the training stays where it is.

        Parameters
        ----------
        seconds : float
            How long to try, beside the steps that compile.

        Returns
        -------
        float or None
            None if a step cannot be taken.
        """
        arrays, state, tokens, taken = self._arrays(), self.state, 0, 0.0
        compiled, before = self.step.compiled, time.perf_counter()
        try:
            for x, y, mask in self.examples.of_epoch(state):
                self.step(x, y, state.learning_rate, self.settings.clip, mask=mask,
                          state=self._carried, **self.examples.drawn(x, state))  # fmt: skip
                now = time.perf_counter()
                if self.step.compiled == compiled:
                    tokens += int(np.size(y) if mask is None else mask.sum())
                    taken += now - before
                compiled, before = self.step.compiled, now
                if taken > seconds:
                    break
        except NotFinite:
            return None
        finally:
            self._set_arrays(arrays)
            self._tick()
        return tokens / taken if tokens else None

    def _train_epoch(self, callback: Callback, start: float) -> None:
        """The steps that are left of this epoch."""
        state, settings = self.state, self.settings
        last, built = time.perf_counter(), engine.seconds_of_building()
        if self._averaging is not None and self._averaging.begins(state.losses):
            self._begin_average()
        for x, y, mask in self.examples.of_epoch(state):
            self._tick()
            if self.budget.is_used(state):
                state.ended = settings.minutes  # also if the validation leaves some time
                break
            compiled, begun = self.step.compiled, time.perf_counter()
            try:
                loss, norm, tokens = self._take_step(x, y, mask)
            except NotFinite:
                self._not_finite(x, y, mask)
                if callback.stop:
                    break
                continue
            now, before = time.perf_counter(), built
            built = engine.seconds_of_building()
            state.seconds += now - last - (built - before)  # compiling is not training
            if self._threads is not None and self.step.compiled == compiled:
                self._threads.step(tokens, now - begun)
            last = now
            if state.seconds_to_first_step is None:
                state.seconds_to_first_step = now - start
            if state.begun is None:
                self._tick()
                state.begun = state.elapsed
            callback.step(state, loss, norm, tokens)
            if callback.stop:
                break
            if self._is_due() and self._is_finite():
                self._save_last()

    def _take_step(self, x: Ints, y: Ints, mask: Optional[Bools]) -> tuple[float, float, int]:
        """One step, counted in the state. Returns its loss, gradient norm and tokens."""
        state, settings = self.state, self.settings
        if self._carried is not None and settings.state_reset:
            self._carried[self.examples.resets(state)] = 0
        rate = state.learning_rate * schedule.factor(settings, self.budget.share(state))
        self._is_torn = True
        loss, norm, after = self.step(
            x, y, rate, settings.clip,
            mask=mask, state=self._carried, **self.examples.drawn(x, state),
        )  # fmt: skip
        self._carried = after if settings.stream else None
        if self.average is not None:
            state.averaged += 1
            self.average.update(state.averaged)
        tokens = int(np.size(y) if mask is None else mask.sum())
        state.step += 1
        state.rate = rate
        state.loss += loss
        state.norm += norm
        state.clipped += bool(settings.clip and norm > settings.clip)
        state.tokens += tokens
        self._is_torn = False
        return loss, norm, tokens

    def _not_finite(self, x: Ints, y: Ints, mask: Optional[Bools]) -> None:
        """After a step that could not be taken: stop, skip it, or restore a checkpoint."""
        state, settings = self.state, self.settings
        self._is_torn = False  # such a step changes nothing
        action = settings.on_nonfinite
        if action == "stop":
            tokens = self.corpus.vocabulary.tokens
            raise RNNError(diagnosis(settings, self.model, tokens, state, self.run, x, y, mask))
        state.step += 1
        state.skipped += 1
        if action == "restore":
            arrays, _, _ = self.run.last()
            # The average is of steps that were taken; it goes on.
            self._set_arrays({n: a for n, a in arrays.items() if not n.endswith(AVERAGE)})
            self._carried = None  # the checkpoint's is of another place of the text
            state.learning_rate *= settings.lr_decay

    def _evaluate(self, callback: Callback) -> Record:
        """The line of metrics.jsonl for the epoch whose steps are done."""
        state, settings = self.state, self.settings
        taken = state.step - state.skipped
        if taken == 0:
            state.step = state.skipped = 0  # the epoch begins anew when the run is resumed
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
        valid_loss = self._valid_loss()
        if not math.isfinite(valid_loss):
            raise RNNError(
                f"training diverged: after epoch {state.epoch + 1} the validation loss is "
                f"{valid_loss}; start a new run with a smaller --learning-rate than "
                f"{state.learning_rate:g}"
            )
        averaged: Record = {}
        if self._averaging is not None:
            average_loss = self._average_loss()
            averaged = {
                "parameters_loss": valid_loss,
                "average_loss": average_loss if average_loss < math.inf else None,
                "averaged": average_loss < valid_loss,
            }
            valid_loss = min(valid_loss, average_loss)
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
            "learning_rate": state.rate or state.learning_rate,
            "gradient_norm": state.norm / taken,
            # The norm does not tell whether a value was clipped.
            "clipped": state.clipped / taken if settings.clip_by == "norm" else None,
            "skipped": state.skipped,
            "tokens": state.tokens,
            "seconds": state.seconds,
            **averaged,
            **chosen,
            **callback.metrics(self),
        }

    def _valid_loss(self) -> float:
        """Of the parameters in use; a stream is read in rows."""
        return evaluation.text_loss(self.model, self.corpus.valid, self.settings.stream, True)

    def _average_loss(self) -> float:
        """The validation loss of the average; infinite before it has begun."""
        if self.average is None:
            return math.inf
        with self.average.in_use():
            loss = self._valid_loss()
        return math.inf if math.isnan(loss) else loss

    def _save_epoch(self, record: Record) -> None:
        """Write the line of an epoch and its checkpoints; the next epoch begins."""
        after = self.state.after_epoch(self.settings, record)
        self._carried = None
        if after.best_epoch == after.epoch:
            arrays = self._arrays()
            if self.average is not None and after.best_is_average:
                with self.average.in_use():
                    arrays.update(self.model.parameters())
            self.run.save_checkpoint("best", arrays, asdict(after))
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
        if self.average is not None:
            arrays |= self.average.state()
        return arrays if self._carried is None else {**arrays, STREAM: self._carried}

    def _set_arrays(self, arrays: dict[str, Array]) -> None:
        """Continue from what ``_arrays`` returned."""
        self.model.set_parameters(parameters(arrays))
        others = {name: arrays[name] for name in arrays.keys() - parameters(arrays).keys()}
        if self.settings.stream and STREAM in others:
            self._carried = self.model.checked_state(others.pop(STREAM), self.settings.batch_size)
        averages = {name: others.pop(name) for name in list(others) if name.endswith(AVERAGE)}
        if averages:
            self._begin_average().set_state(averages)
        if others.keys() != self.step.state().keys():
            held = ", ".join(sorted(others)) or "none"
            raise RNNError(
                f"the state of its optimizer ({held}) is not that of {self.settings.optimizer}"
            )
        self.step.set_state(others)

    def _begin_average(self) -> Average:
        """The average, which begins as it is first asked for."""
        if self.average is None:
            if self._averaging is None:
                raise RNNError("it averages the parameters, and the settings do not")
            self.average = Average(self._averaging, self.model.shared)
        return self.average

    def _resume(self, arrays: dict[str, Array], state: Record, refused: list[str]) -> None:
        """Continue from a checkpoint; refuse if there is nothing left to do."""
        settings, run, given = self.settings, self.run, self.state
        self.refused = refused
        with self._checkpoint_fits():
            self._set_arrays(arrays)
            self.state = state_of(state)
        check_text(self.state, given, run)
        if math.isfinite(self.state.best_loss):
            self._check_best()
        run.drop_metrics_after(self.state.epoch)
        if self.end is None or run.epochs_judged != self.state.epoch:
            return  # or it was killed before its result was written
        why, change = {
            "epochs": (f" after epoch {self.state.epoch}", "--epochs with a larger number"),
            "minutes": (f": its {settings.minutes or 0:g} minutes are over", "more --minutes"),
            "patience": (
                f": {settings.patience} epochs without a new lowest validation loss",
                "a larger --patience",
            ),
        }[self.end]
        raise RNNError(f"the run in {run.folder} has ended{why}; pass {change} to train on")

    def _check_best(self) -> None:
        """Raise RNNError if the best parameters so far are gone: the result is of them."""
        try:
            self.run.checkpoint("best")
        except RNNError as error:
            raise RNNError(
                f"{error}; restore it from a copy, or copy last.safetensors to best.safetensors"
            ) from None

    @contextlib.contextmanager
    def _checkpoint_fits(self) -> Iterator[None]:
        try:
            yield
        except RNNError as error:
            message = f"{self.run.folder}: the last checkpoint does not fit: {error}"
            raise RNNError(message) from None

    def _save_last(self) -> None:
        self._tick()
        self.run.save_last(self._arrays(), asdict(self.state))
        self._saved_at = time.monotonic()

    def _is_due(self) -> bool:
        """Whether ``checkpoint_every`` asks for a checkpoint now, within the epoch."""
        number, unit = self._interval
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
