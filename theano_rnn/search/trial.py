"""One trial: a training in a run folder, pruned where others were better."""

import contextlib
import dataclasses
import math
import time
from pathlib import Path
from typing import Callable, Optional

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record
from theano_rnn.runs import Watching
from theano_rnn.search.study import Job, Progress
from theano_rnn.studies import cluster
from theano_rnn.training import defaults, start
from theano_rnn.training.loop import Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

#: Seconds between two looks whether the search is still there.
LOOK_EVERY = 1.0
#: Seconds to wait for a process that still trains in the folder, and stops after its step.
STOPPING = 60.0


class Pruning(Watching):
    """Ends a training that is worse than others, or that nobody waits for.

    Parameters
    ----------
    is_worse : function (share, loss) -> bool
        Called after each epoch, with the share 1 after the last.
    is_abandoned : function () -> bool
        Called now and then.

    Attributes
    ----------
    ended : str
        "complete", "pruned" or "stopped".
    """

    def __init__(
        self, is_worse: Callable[[float, float], bool], is_abandoned: Callable[[], bool]
    ) -> None:
        self._is_worse, self._is_abandoned = is_worse, is_abandoned
        self._training: Optional[Training] = None
        self._look, self.ended = 0.0, "complete"

    def started(self, training: Training) -> None:
        self._training = training
        training.budget = dataclasses.replace(training.budget, compiling=False)

    def step(self, state: State, loss: float, norm: float, tokens: int) -> None:
        if time.monotonic() >= self._look:
            self._look = time.monotonic() + LOOK_EVERY
            if self._is_abandoned():
                self.stop, self.ended = True, "stopped"

    def epoch(self, record: Record) -> None:
        training = self._training
        assert training is not None
        has_ended = training.end is not None
        share = 1.0 if has_ended else training.budget.share(training.state)
        if self._is_worse(share, record["valid_loss"]) and not has_ended:
            self.stop, self.ended = True, "pruned"


def train(job: Job) -> Record:
    """Train the network of a trial, or go on with it, on a worker of a cluster.

    Returns
    -------
    dict
        ended ("complete", "pruned" or "stopped"), loss (the lowest of the validation), epochs,
        seconds.

    Raises
    ------
    RNNError
        If the settings do not go together, or the training diverges.
    """
    return train_with(job, Pruning(Progress(job).is_worse, cluster.is_abandoned))


def train_with(job: Job, callback: Pruning) -> Record:
    """Train the network of a trial, or go on with it, with a callback that may end it.

    Returns
    -------
    dict
        As ``train`` does.
    """
    wait_until_free(job.run)
    texts = {name: job.values[name] for name in start.TEXTS & job.values.keys()}
    settings, given = Settings(**job.values), job.given
    if given is not None:  # a setting may have no effect beside the values of some ranges
        idle = settings.without_effect(given).keys() - defaults.LATE
        given = [name for name in given if name not in idle]
    opened = (
        start.resumed(job.run, texts)
        if (job.run / "settings.json").exists()
        else start.new(settings, job.run, given=given)
    )
    with opened as training:
        try:
            training.run_epochs(callback)
        finally:
            if callback.ended != "stopped":  # or it goes on
                training.run.drop_older()
        state = training.state
        seconds = sum(record["seconds"] for record in training.run.metrics()) + state.seconds
        loss = state.best_loss if math.isfinite(state.best_loss) else None
    return {"ended": callback.ended, "loss": loss, "epochs": state.epoch, "seconds": seconds}


def wait_until_free(folder: Path) -> None:
    """Wait until no process trains in a run folder, ``STOPPING`` seconds at most.

    Parameters
    ----------
    folder : Path
        It need not be there.
    """
    end = time.monotonic() + STOPPING
    while (folder / "lock").exists() and time.monotonic() < end:
        with contextlib.suppress(RNNError), Run(folder).locked():
            return
        time.sleep(0.1)
