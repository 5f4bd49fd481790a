"""A trial: train one network on one task with some remedies, until it solves it or gives up."""

import itertools
import time
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Callable, Optional

import numpy as np

from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.fields import (
    POSITIVE,
    Kind,
    check,
    one_of,
    optional,
    setting,
    whole_number,
)
from theano_rnn.common.types import Array, Floats, Function, Record
from theano_rnn.long_term import remedies, tasks
from theano_rnn.long_term.tasks import Task
from theano_rnn.model.cells import CELLS

#: (updates, seconds, loss, error_rate, norm) -> whether to stop.
OnTest = Callable[[int, float, float, float, float], Optional[bool]]

#: A task is solved if less than this share of that many new sequences is answered wrongly.
SOLVED, FRESH = 0.01, 10_000

#: A test begins with this many sequences, and goes on to FRESH only if few are wrong.
GLANCE = 1000

#: Sequences answered at once in a test.
TEST_BATCH = 100

#: The remedy flossing: its exponents by default, its updates before training, and how many updates
#: of the training there are for each of it then.
EXPONENTS, FLOSSES, FLOSS_EVERY = 4, 300, 100


def _remedy(value: Any, name: str) -> str:
    remedies.parse(value)
    return remedies.ordered(value)


# fmt: off
@dataclass(frozen=True)
class Trial:
    """The settings of one training, by the protocol of Pascanu et al. (2013).

    ``seed`` seeds the initial parameters and all sequences.

    Raises
    ------
    RNNError
        For an unknown name, a number out of range, a remedy that the cell cannot take, or a
        trial that does not fit in the memory.
    """

    task: str = setting(MISSING, one_of(tasks.TASKS), "the task to learn", group="one task")
    length: int = setting(MISSING, whole_number(tasks.SHORTEST),
        "steps of a sequence; the more, the farther back the answer lies")
    cell: str = setting("tanh", one_of(CELLS),
        "the recurrence; a cell with gates is a remedy itself")
    remedy: str = setting("sgd", Kind(_remedy, "names", {"metavar": "NAMES"}),
        "one or several, with commas or + between them: " + ", ".join(remedies.REMEDIES)
        + ". rtrl has the gradient of backpropagation and is computed by it")
    seed: int = field(default=0, metadata={"kind": whole_number(0)})
    hidden_size: int = setting(50, whole_number(1), "units of the state")
    learning_rate: float = setting(0.01, POSITIVE,
        "larger learns faster, until it stops learning at all")
    batch_size: int = setting(20, whole_number(1), "sequences in an update")
    clip: float = setting(1.0, POSITIVE, "the largest norm of the gradient, for the remedy clip")
    alpha: float = setting(2.0, POSITIVE,
        "the factor of Omega, for the remedy omega; the paper has 2 to 4")
    flossing: Optional[int] = setting(None, optional(whole_number(1)),
        f"draw the first K Lyapunov exponents to 0 by {FLOSSES} updates before training, and by "
        f"one in {FLOSS_EVERY} in it: the remedy flossing, whose K is else {EXPONENTS}",
        metavar="K")
    max_updates: int = setting(100_000, whole_number(1), "give up after N updates")
    max_seconds: float = setting(600.0, POSITIVE,
        "give up after X seconds, compiling not counted")
    test_every: int = setting(500, whole_number(1), "updates between two tests")

    def __post_init__(self) -> None:
        check(self)
        self._complete_flossing()
        remedies.check(self.remedy, self.cell)

    def _complete_flossing(self) -> None:
        """A number of exponents means the remedy, and the remedy has a number of exponents."""
        if self.flossing is None and not remedies.parse(self.remedy).is_flossed:
            return
        S = CELLS[self.cell].parts * self.hidden_size
        count = min(EXPONENTS, S) if self.flossing is None else self.flossing
        if count > S:
            raise RNNError(
                f"flossing is {count}, and the state of this {self.cell} has {S} numbers and as "
                "many exponents; use a smaller flossing or a larger hidden_size"
            )
        object.__setattr__(self, "flossing", count)
        object.__setattr__(self, "remedy", remedies.ordered(f"{self.remedy}+flossing"))

    def check_memory(self) -> None:
        """Raise RNNError if the weights, the inputs and states of a batch, and what the remedy
        keeps do not fit.
        """
        H, G, task = self.hidden_size, CELLS[self.cell].G, tasks.TASKS[self.task]
        # Twice: inputs are drawn in 8 bytes before they are float32, and states have a gradient.
        steps = 2 * (self.length + 2 * tasks.MEMORY)
        batch = max(self.batch_size, TEST_BATCH)
        parameters, S = G * H * (H + task.inputs), CELLS[self.cell].parts * H
        numbers = 4 * parameters + steps * batch * (task.inputs + 4 * G * H)
        if self.flossing is not None:  # the directions, and their gradient
            numbers += steps * self.batch_size * self.flossing * S
        if remedies.parse(self.remedy).credit == "uoro":  # v, as it was and as it will be
            numbers += 2 * self.batch_size * parameters
        if 8 * numbers > memory.total() // 2:
            raise RNNError(
                f"this trial needs {8 * numbers / 1e9:,.0f} GB, and this machine has "
                f"{memory.total() / 1e9:,.0f}; make length, batch_size or hidden_size smaller"
            )
# fmt: on


#: The names of the settings of a trial.
SETTINGS = tuple(field.name for field in fields(Trial))


def learn(trial: Trial, on_test: Optional[OnTest] = None) -> Record:
    """Train until the task is solved or a limit is reached; return the record of the trial.

    Parameters
    ----------
    trial : Trial
    on_test : function (updates, seconds, loss, error_rate, norm), optional
        Called after every test with the updates and seconds so far, the mean loss and mean norm
        of the gradient since the test before, and the share of sequences answered wrongly. If it
        returns True, the training stops.

    Returns
    -------
    dict
        The settings of the trial, and:

        - ``solved``: bool;
        - ``updates``, ``seconds``: how many it took, the seconds without compiling;
        - ``error_rate``: of the last test, from 0 to 1; None if there was none;
        - ``ended``: why, one of "solved", "updates", "seconds", "not finite" and "stopped".
    """
    from theano_rnn.long_term.net import TaskNet  # here: not all that reads Trial wants Theano

    trial.check_memory()
    task = tasks.TASKS[trial.task]
    remedy = remedies.parse(trial.remedy)
    net = TaskNet(
        task, trial.cell, remedy, hidden_size=trial.hidden_size, seed=trial.seed,
        clip=trial.clip, alpha=trial.alpha, length=trial.length,
    )  # fmt: skip
    update, answer = net.compile_update(trial.learning_rate), net.compile_answer()
    if trial.flossing is not None:
        update = flossed(update, net.compile_flossing(trial.flossing), task, trial)
    # Tests draw from a generator of their own, so that they do not change what is learned.
    train_rng, test_rng = (np.random.default_rng([trial.seed, i]) for i in (1, 2))
    start, done, ended, error_rate = time.perf_counter(), 0, None, None
    while ended is None:
        n = min(trial.test_every, trial.max_updates - done)
        (loss, norm), taken = train(update, task, train_rng, trial, n)
        done += taken
        seconds = time.perf_counter() - start
        if not np.isfinite(loss):
            ended = "not finite"
            break
        error_rate = test(answer, task, test_rng, trial.length)
        stop = on_test is not None and on_test(done, seconds, loss, error_rate, norm)
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


def flossed(update: Function, floss: Function, task: Task, trial: Trial) -> Function:
    """The update, with FLOSSES of gradient flossing before the first and one in FLOSS_EVERY later.

    Parameters
    ----------
    update, floss : compiled functions
        As ``TaskNet.compile_update`` and ``compile_flossing`` make them.
    task : Task
    trial : Trial

    Returns
    -------
    function
        As ``update``.
    """
    assert trial.flossing is not None
    rng, count = np.random.default_rng([trial.seed, 4]), itertools.count()
    shape = CELLS[trial.cell].parts * trial.hidden_size, trial.flossing

    def update_and_floss(x: Array, y: Array) -> Any:
        done = next(count)
        times = FLOSSES if done == 0 else int(done % FLOSS_EVERY == 0)
        for _ in range(times):
            # The exponents are the same for almost all directions.
            directions: Floats = rng.normal(size=shape)
            Q, _ = np.linalg.qr(directions)
            floss(task.generate(rng, trial.length, trial.batch_size)[0], Q.astype("float32"))
        return update(x, y)

    return update_and_floss


def train(
    update: Function, task: Task, rng: np.random.Generator, trial: Trial, n: int
) -> tuple[Floats, int]:
    """Take n updates, 1 or more, but none after a loss that is not finite.

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
    means : (2,) array
        Of the loss and of the gradient's norm before clipping.
    taken : int
        How many there were.
    """
    sums, taken = np.zeros(2), 0
    while taken < n:
        E, norm = update(*task.generate(rng, trial.length, trial.batch_size))
        sums += E, norm
        taken += 1
        if not np.isfinite(E):
            break
    return sums / taken, taken


def test(answer: Function, task: Task, rng: np.random.Generator, length: int) -> float:
    """The share of new sequences answered wrongly, from 0 to 1; lower is better.

    The first GLANCE sequences decide alone if the share is far above SOLVED; else all of FRESH.

    Parameters
    ----------
    answer : compiled function
        As ``TaskNet.compile_answer`` makes it.
    task : Task
    rng : numpy.random.Generator
    length : int
        L.
    """
    wrong = seen = 0
    while seen < FRESH:
        x, y = task.generate(rng, length, TEST_BATCH)
        wrong += task.is_wrong(answer(x), y).sum()
        seen += TEST_BATCH
        if seen == GLANCE and wrong >= 2 * SOLVED * GLANCE:
            break
    return float(wrong / seen)
