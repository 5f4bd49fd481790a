"""Learning a task of ``tasks`` with a cell and some remedies: a trial, and whether it succeeds."""

import time
from dataclasses import asdict, dataclass
from typing import Callable, Optional

import numpy as np

from theano_rnn.common import memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Function, Record
from theano_rnn.long_term import remedies, tasks
from theano_rnn.long_term.net import TaskNet
from theano_rnn.long_term.tasks import Task
from theano_rnn.model.cells import CELLS

#: (updates, seconds, loss, error_rate, norm) -> whether to stop.
Watch = Callable[[int, float, float, float, float], Optional[bool]]

#: Solved: at most this share of so many fresh sequences is answered wrongly.
SOLVED, FRESH = 0.01, 10_000

#: Sequences of the test on the way; only where few are wrong, it goes on to all of FRESH.
GLANCE = 1000

#: Sequences answered at once in a test.
TEST_BATCH = 100


@dataclass(frozen=True)
class Trial:
    """One training: the task, the remedy, and the protocol of Pascanu et al. (2013).

    Parameters
    ----------
    task, cell, remedy : str
        Names of ``tasks.TASKS``, ``cells.CELLS`` and ``remedies.REMEDIES``.
    length : int
        L, of the sequences.
    seed : int
        Of the initial parameters and of all sequences.
    hidden_size : int
    learning_rate : float
    batch_size : int
    clip : float
        Largest norm of the gradient, where the remedy is to clip.
    alpha : float
        Factor of Omega, where it is a remedy.
    max_updates : int
        Without success the trial ends here,
    max_seconds : float
        or here; compiling is not counted.
    test_every : int
        Updates between two tests.

    Raises
    ------
    RNNError
        For an unknown name, a number out of range, or a remedy that the cell does not take.
    """

    task: str
    length: int
    cell: str = "tanh"
    remedy: str = "sgd"
    seed: int = 0
    hidden_size: int = 50
    learning_rate: float = 0.01
    batch_size: int = 20
    clip: float = 1.0
    alpha: float = 2.0
    max_updates: int = 100_000
    max_seconds: float = 600.0
    test_every: int = 500

    def __post_init__(self) -> None:
        tasks.find(self.task)
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise RNNError(
                f"cell {validation.shown(self.cell)} is unknown; the cells are {', '.join(CELLS)}"
            )
        remedies.check(self.remedy, self.cell)
        object.__setattr__(self, "remedy", remedies.ordered(self.remedy))
        least = {"length": tasks.SHORTEST, "seed": 0}
        for name in (*least, "hidden_size", "batch_size", "max_updates", "test_every"):
            value = validation.whole_number(getattr(self, name), name, least.get(name, 1))
            object.__setattr__(self, name, value)  # as an int, which JSON has
        for name in ("learning_rate", "clip", "alpha", "max_seconds"):
            validation.positive(getattr(self, name), name)
        self._check_memory()

    def _check_memory(self) -> None:
        """Refuse what this machine cannot hold: W, and the inputs and states of a batch."""
        H, G, task = self.hidden_size, CELLS[self.cell].gates, tasks.find(self.task)
        # Inputs are drawn as symbols or numbers of 8 bytes first, states have a gradient too.
        steps = 2 * (self.length + 2 * tasks.MEMORY)
        batch = max(self.batch_size, TEST_BATCH)
        numbers = 4 * G * H * (H + task.inputs) + steps * batch * (task.inputs + 4 * G * H)
        if 8 * numbers > memory.total() // 2:
            raise RNNError(
                f"this trial needs {8 * numbers / 1e9:,.0f} GB, and this machine has "
                f"{memory.total() / 1e9:,.0f}; make length, batch_size or hidden_size smaller"
            )


def learn(trial: Trial, watch: Optional[Watch] = None) -> Record:
    """Train until the task is solved or a limit is reached.

    Parameters
    ----------
    trial : Trial
    watch : function (updates, seconds, loss, error_rate, norm), optional
        Told after every test: the mean loss and norm of the gradient since the one before, and
        the share of sequences answered wrongly. If it returns True the training ends.

    Returns
    -------
    dict
        The settings of the trial, and: solved; updates and seconds, those of training and its
        tests; error_rate, of the last test; ended, why, one of "solved", "updates", "seconds",
        "not finite" and "stopped".
    """
    task = tasks.find(trial.task)
    remedy = remedies.parse(trial.remedy)
    net = TaskNet(
        task, trial.cell, remedy, hidden_size=trial.hidden_size, seed=trial.seed,
        clip=trial.clip, alpha=trial.alpha, length=trial.length,
    )  # fmt: skip
    update, answer = net.compile_update(trial.learning_rate), net.compile_answer()
    # Tests draw from a generator of their own: what is learned does not depend on them.
    drawn, tested = (np.random.default_rng([trial.seed, i]) for i in (1, 2))
    start, done, ended, error_rate = time.perf_counter(), 0, None, None
    while ended is None:
        n = min(trial.test_every, trial.max_updates - done)
        loss, norm = train(update, task, drawn, trial, n)
        done += n
        seconds = time.perf_counter() - start
        if not np.isfinite(loss):
            ended = "not finite"
            break
        error_rate = test(answer, task, tested, trial.length)
        stop = watch is not None and watch(done, seconds, loss, error_rate, norm)
        if error_rate < SOLVED:
            ended = "solved"
        elif done >= trial.max_updates:
            ended = "updates"
        elif seconds >= trial.max_seconds:
            ended = "seconds"
        elif stop:
            ended = "stopped"
    return {
        **asdict(trial), "solved": ended == "solved", "updates": done,
        "seconds": time.perf_counter() - start, "error_rate": error_rate, "ended": ended,
    }  # fmt: skip


def train(update: Function, task: Task, rng: np.random.Generator, trial: Trial, n: int) -> Floats:
    """n updates; the means of the loss and of the norm. It ends where the loss is not finite.

    Parameters
    ----------
    update : compiled function
        As ``TaskNet.compile_update`` makes it.
    task : Task
    rng : numpy.random.Generator
    trial : Trial
    n : int

    Returns
    -------
    (2,) array
        Loss and norm of the gradient, means over the n updates.
    """
    sums = np.zeros(2)
    for _ in range(n):
        E, norm = update(*task.generate(rng, trial.length, trial.batch_size))
        sums += E, norm
        if not np.isfinite(E):
            break
    return sums / n


def test(answer: Function, task: Task, rng: np.random.Generator, length: int) -> float:
    """Share of fresh sequences answered wrongly: of GLANCE and, if it is near, of FRESH.

    Parameters
    ----------
    answer : compiled function
        As ``TaskNet.compile_answer`` makes it.
    task : Task
    rng : numpy.random.Generator
    length : int
        L.

    Returns
    -------
    float
        From 0 to 1.
    """
    wrong = seen = 0
    while seen < FRESH:
        x, y = task.generate(rng, length, TEST_BATCH)
        wrong += task.is_wrong(answer(x), y).sum()
        seen += TEST_BATCH
        if seen == GLANCE and wrong >= 2 * SOLVED * GLANCE:
            break
    return float(wrong / seen)
