"""Where a training stands: what a checkpoint holds beside the arrays."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, Record
from theano_rnn.text.corpus import Corpus
from theano_rnn.training.run_folder import Run
from theano_rnn.training.schedule import next_rate
from theano_rnn.training.settings import Settings


@dataclass
class State:
    """Where training stands: with the arrays of a checkpoint, all that resuming needs."""

    epoch: int = 0  # whole epochs done
    step: int = 0  # steps done of the next one
    learning_rate: float = 0.0  # what the epochs have left of it
    rate: Optional[float] = None  # the last step's own, of which the schedule may have taken some
    best_loss: float = math.inf  # lowest validation loss, nats per token
    best_epoch: int = 0  # after which it was reached
    best_is_average: bool = False  # whether it is the loss of the average of the parameters
    averaged: int = 0  # steps in that average
    losses: list[float] = field(default_factory=list)  # of validation; only where one averages
    seconds_to_first_step: Optional[float] = None  # of the process that began
    text: Optional[int] = None  # checksums of the tokens of each split; None in older runs
    valid: Optional[int] = None
    test: Optional[int] = None
    elapsed: float = 0.0  # seconds of all processes: compiling, steps, validations; see budget
    begun: Optional[float] = None  # of these, until the first step was taken
    validation: Optional[float] = None  # seconds of the last one
    ended: Optional[float] = None  # the minutes that have cut an epoch short
    K: Optional[int] = None  # of the current epoch, where adaptive truncation chooses it
    bias: Optional[float] = None  # its estimated relative bias
    bias_error: Optional[float] = None
    # sums over the steps of the current epoch
    loss: float = 0.0  # E, in nats
    tokens: int = 0
    norm: float = 0.0  # of the gradient
    clipped: int = 0  # steps
    skipped: int = 0  # steps that could not be taken
    seconds: float = 0.0  # without compiling

    def after_epoch(self, settings: Settings, record: Record) -> "State":
        """The state at the beginning of the next epoch.

        Parameters
        ----------
        settings : Settings
        record : dict
            The line of metrics.jsonl of this epoch.
        """
        epoch, best, valid_loss = self.epoch + 1, self.best_loss, record["valid_loss"]
        is_best, is_average = valid_loss < best, record.get("averaged", False)
        losses = [record["parameters_loss"]] if "parameters_loss" in record else []
        return State(
            epoch=epoch,
            learning_rate=next_rate(settings, epoch, self.learning_rate, valid_loss, best),
            best_loss=min(valid_loss, best),
            best_epoch=epoch if is_best else self.best_epoch,
            best_is_average=is_average if is_best else self.best_is_average,
            averaged=self.averaged,
            losses=self.losses + losses,
            seconds_to_first_step=self.seconds_to_first_step,
            text=self.text,
            valid=self.valid,
            test=self.test,
            elapsed=self.elapsed,
            begun=self.begun,
            validation=self.validation,
            ended=self.ended,
        )


def state_of(values: Record) -> State:
    """The state that a checkpoint holds.

    Parameters
    ----------
    values : dict
        As ``Run.last`` returns it.

    Raises
    ------
    RNNError
        If this version of the program did not write it.
    """
    try:
        state = State(**values)
    except TypeError:
        raise RNNError("it is of another version of this program; start a new run") from None
    for name in ("epoch", "step", "best_epoch", "averaged", "tokens", "clipped", "skipped"):
        validation.whole_number(getattr(state, name), f"{name} of its state", at_least=0)
    validation.at_least_zero(state.learning_rate, "learning_rate of its state")
    for name in ("best_loss", "loss", "norm", "seconds"):
        value = getattr(state, name)
        if not isinstance(value, (int, float)) or not -1e300 < value:  # nor NaN
            raise RNNError(f"{name} of its state is no number, but {validation.shown(value)}")
    losses = state.losses if isinstance(state.losses, list) else [None]
    if not all(map(validation.is_finite, losses)):
        raise RNNError(f"losses of its state are not numbers: {validation.shown(state.losses)}")
    if state.K is not None:
        validation.whole_number(state.K, "K of its state", at_least=1)
    validation.at_least_zero(state.elapsed, "elapsed of its state")
    some = ("bias", "bias_error", "seconds_to_first_step", "begun", "validation", "ended", "rate")
    for name in some:
        if getattr(state, name) is not None:
            validation.at_least_zero(getattr(state, name), f"{name} of its state")
    return state


def first_state(settings: Settings, corpus: Corpus) -> State:
    """The state before the first step."""
    text, valid, test = map(_checksum, (corpus.train, corpus.valid, corpus.test))
    return State(learning_rate=settings.learning_rate, text=text, valid=valid, test=test)


def check_text(state: State, given: State, run: Run) -> None:
    """Raise if the text of a run is not the one that it is given now.

    Parameters
    ----------
    state : State
        Of a checkpoint of the run.
    given : State
        As ``first_state`` returns it.
    run : Run

    Raises
    ------
    RNNError
        The message names the split.
    """
    for split, name in (("training", "text"), ("validation", "valid"), ("test", "test")):
        before = getattr(state, name)
        is_older = before is None and name != "text"  # its state has no such checksum
        if before != getattr(given, name) and not is_older:
            raise RNNError(
                f"the {split} text has changed since the run in {run.folder} began; restore "
                "it, or start a new run"
            )


def _checksum(sequences: Sequence[Ints]) -> int:
    """Of the tokens of a text, its sentences joined."""
    checksum = 0
    for sequence in sequences:
        checksum = zlib.crc32(sequence.tobytes(), checksum)
    return checksum
