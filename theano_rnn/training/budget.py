"""What a training may take, its epochs and its minutes, and how much of that is done."""

from dataclasses import dataclass
from typing import Optional

from theano_rnn.text.corpus import Corpus
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

#: The time of a token in a validation, by that in a step: it has no gradient.
VALIDATION = 1 / 3


@dataclass(frozen=True)
class Budget:
    """The epochs and the minutes of a training, whichever end first.

    The minutes are those of compiling, steps and validations. Steps end early enough that the
    last validation ends with the minutes. A search does not count compiling: else the first trials
    would have fewer steps than the others, which find what they compiled.

    Attributes
    ----------
    epochs : int
    minutes : float or None
        None is no limit.
    train, valid : int
        Tokens of the training text, and of the validation text.
    compiling : bool
        Whether the minutes include the time of compiling.
    patience : int or None
        Epochs without a new lowest validation loss that end the training too.
    """

    epochs: int
    minutes: Optional[float]
    train: int
    valid: int
    compiling: bool = True
    patience: Optional[int] = None

    @classmethod
    def of(cls, settings: Settings, corpus: Corpus) -> "Budget":
        """The budget that the settings give, on this text."""
        counts = corpus.token_counts
        train, valid = counts["train"], counts["valid"]
        return cls(settings.epochs, settings.minutes, train, valid, patience=settings.patience)

    def end(self, state: State) -> Optional[str]:
        """The setting that ends the training here, "epochs", "minutes" or "patience"; or None."""
        if state.epoch >= self.epochs:
            return "epochs"
        # An epoch that was cut short is validated first.
        if state.step == 0 and self.is_used(state):
            return "minutes"
        is_lost = self.patience is not None and state.epoch - state.best_epoch >= self.patience
        return "patience" if is_lost else None

    def seconds_left(self, state: State) -> float:
        """Seconds for further steps; infinite without minutes."""
        if self.minutes is None:
            return float("inf")
        return 60 * self.minutes - self._validation(state) - state.elapsed

    def is_used(self, state: State) -> bool:
        """Whether the minutes leave no time for a step, or have cut an epoch short already."""
        if self.minutes is None:
            return False
        return self.minutes == state.ended or self.seconds_left(state) <= 0

    def share(self, state: State) -> float:
        """The share of the training that is done, from 0 to 1.

        Of its epochs, by the tokens read, or of its minutes since the first step, whichever is
        more: a slow compiler costs steps, but the schedule begins with the first one.
        """
        done = (state.epoch + state.tokens / self.train) / self.epochs
        if self.minutes is not None and state.begun is not None:
            used = state.elapsed - state.begun
            done = max(done, used / max(used + self.seconds_left(state), 1e-9))
        return min(done, 1.0)

    def _validation(self, state: State) -> float:
        """Seconds of the next validation: those of the last one, or an estimate."""
        if state.validation is not None:
            return state.validation
        return self.valid * state.seconds / state.tokens * VALIDATION if state.tokens else 0.0
