"""Which values the next trial has, and what has come of those before: an Optuna study in a file.

The folder of a search has::

    study.journal   the study, as Optuna's journals have it; a killed search goes on with it
    results.jsonl   a line for each trial that has ended
    trials/0007     the run folder of a trial
"""

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.options import command_line
from theano_rnn.common.types import PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.search import ranges as kinds
from theano_rnn.search.plan import Plan
from theano_rnn.studies import cluster
from theano_rnn.studies.results import Results
from theano_rnn.training.settings import Settings

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.storages import JournalStorage
    from optuna.storages.journal import BaseJournalBackend

#: Of the study in its file.
NAME = "search"
#: The seed of a draw is that of the trial; draws that trials have had already are repeated.
DRAWS = 50
#: A trial can be pruned after so many complete ones, and when so many of the PARTS of its training
#: are done: what learns slowly at first may end well.
COMPLETE, PARTS, EARLIEST = 5, 20, 4


@dataclass(frozen=True)
class Job:
    """A trial to be trained, as a worker gets it.

    Attributes
    ----------
    number : int
        From 0.
    folder : str
        Of the search.
    values : dict
        The settings.
    given : list of str or None
        As ``start.new`` takes it.
    chosen : dict
        The values of the ranges.
    """

    number: int
    folder: str
    values: Mapping[str, Any]
    given: Optional[list[str]]
    chosen: Mapping[str, Any]

    @property
    def run(self) -> Path:
        """The run folder of the trial."""
        return run_of(self.folder, self.number)


def run_of(folder: PathLike, number: int) -> Path:
    """The run folder of a trial.

    >>> str(run_of("runs/search", 7))
    'runs/search/trials/0007'
    """
    return Path(folder) / "trials" / f"{number:04}"


class Study:
    """The trials of a search; a ``with`` block keeps other processes from going on with it.

    Parameters
    ----------
    folder : path
        Made if it is missing; otherwise that of the same search.
    plan : Plan
    text : list
        Checksums of the text.
    seed : int
        Of the draws.

    Raises
    ------
    RNNError
        If the folder is that of something else, of a search over other settings or another text,
        or in use, or if a file in it is damaged.
    """

    def __init__(self, folder: PathLike, plan: Plan, text: list[Any], seed: int) -> None:
        self.folder, self.plan, self._seed = Path(folder).absolute(), plan, seed
        path = self.folder / "study.journal"
        if self.folder.is_dir() and not path.exists() and not _is_unborn(self.folder):
            raise RNNError(f"{folder} is no folder of a search; name another with --run")
        identity = {**plan.identity(), "text": text}
        self.results: Results[int] = Results(folder, _number_of)
        try:
            with _damage_named(path), files.writing(path):
                _drop_torn(path)
                self._study = _opened(_storage(path))
                before = self._study.user_attrs.get(NAME)
                if before is None:
                    self._study.set_user_attr(NAME, identity)
                elif before != json.loads(json.dumps(identity)):
                    raise RNNError(f"{folder} is a search over {_difference(before, identity)}")
            for number, record in self.results.records.items():
                if record["settings"].keys() != plan.ranges.keys():
                    raise RNNError(
                        f"the record of trial {number} in {self.results.path} is of other "
                        "settings; remove its line"
                    )
                self._tell(number, record)  # it was killed in between
        except BaseException:
            self.results.__exit__()
            raise

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *_: object) -> None:
        self.results.__exit__()

    @property
    def interrupted(self) -> list[int]:
        """The numbers of the trials that have begun and not ended."""
        return self._in_state("RUNNING")

    def _in_state(self, name: str) -> list[int]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial.number for trial in trials if trial.state.name == name]

    def jobs(self, trials: int) -> Iterator[Job]:
        """The trials to train: those that were interrupted, then new ones.

        Parameters
        ----------
        trials : int
            How many there are in the end, with those that have ended.
        """
        with _damage_named(self.folder / "study.journal"):
            yield from self._jobs(trials)

    def _jobs(self, trials: int) -> Iterator[Job]:
        for number in self.interrupted:
            yield self._job(number, self._params(number))
        while True:
            if not self._in_state("WAITING"):  # left by a kill
                chosen = self._next()
                if chosen is None or len(self._study.get_trials(deepcopy=False)) >= trials:
                    return
                self._study.enqueue_trial(chosen)
            trial = self._study.ask(_distributions(self.plan))
            yield self._job(trial.number, trial.params)

    def _params(self, number: int) -> dict[str, Any]:
        """The values of a trial that has begun; a kill may have come before all were written."""
        from optuna.trial import Trial

        trial = Trial(self._study, self._study.trials[number]._trial_id)
        for name, distribution in _distributions(self.plan).items():
            trial._suggest(name, distribution)  # what was queued for it, see ``_next``
        return trial.params

    def _job(self, number: int, params: Mapping[str, Any]) -> Job:
        chosen = {name: params[name] for name in self.plan.ranges}
        values = self.plan.values(chosen)
        return Job(number, str(self.folder), values, self.plan.given, chosen)

    def _next(self) -> Optional[dict[str, Any]]:
        """Values that no trial has had; None if there are none."""
        import optuna

        trials = self._study.get_trials(deepcopy=False)
        had = [trial.params for trial in trials]
        # Draws depend on the trials before, not on when the search was killed.
        seed = int(np.random.SeedSequence([self._seed, len(trials)]).generate_state(1)[0])
        drawn = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        drawn.add_trials(trials)
        for _ in range(DRAWS):
            params = drawn.ask(_distributions(self.plan)).params
            chosen = {name: each.near(params[name]) for name, each in self.plan.ranges.items()}
            if chosen not in had:
                return chosen
        if math.isinf(self.plan.count):
            return chosen
        left = (each for each in kinds.combinations(self.plan.ranges) if each not in had)
        return next(left, None)

    def end(self, job: Job, outcome: Optional[Record], error: Optional[BaseException]) -> Record:
        """Write down how a trial has ended.

        Parameters
        ----------
        job : Job
        outcome : dict or None
            As ``trial.train`` returns it.
        error : exception or None
            What ended it, if nothing else did.

        Returns
        -------
        dict
            Its line of results.jsonl: trial, ended ("complete", "pruned" or "failed"), loss (the
            lowest of the validation, in nats a token), epochs, seconds, error, settings.
        """
        record = {
            "trial": job.number, "ended": "failed", "loss": None, "epochs": 0, "seconds": 0.0,
            "error": None if error is None else cluster.reason(error), **(outcome or {}),
            "settings": dict(job.chosen),
        }  # fmt: skip
        self.results.add(record)
        self._tell(job.number, record)
        return record

    def _tell(self, number: int, record: Record) -> None:
        from optuna.trial import TrialState

        if number in self.interrupted:
            state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
            ended = state.get(record["ended"], TrialState.FAIL)
            value = record["loss"] if ended is TrialState.COMPLETE else None
            self._study.tell(number, value, ended)


def best_first(records: list[Record]) -> list[Record]:
    """Records of trials: the complete ones by their loss, the pruned, and those that failed."""
    order = {"complete": 0, "pruned": 1, "failed": 2}
    losses = (math.inf if r["loss"] is None else r["loss"] for r in records)
    keys = ((order[r["ended"]], loss, r["trial"]) for r, loss in zip(records, losses))
    return [record for _, record in sorted(zip(keys, records), key=lambda pair: pair[0])]


class Progress:
    """What a worker tells the study of a trial while it trains.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        from optuna.trial import Trial

        self._storage = _storage(Path(job.folder) / "study.journal")
        study = self._storage.get_study_id_from_name(NAME)
        self._id = self._storage.get_trial_id_from_study_id_trial_number(study, job.number)
        self._trial = Trial(_opened(self._storage), self._id)
        self._lowest = min(self._reported().values(), default=math.inf)

    def _reported(self) -> dict[int, float]:
        """The lowest loss by part of the training, as far as it is known."""
        values: dict[int, float] = self._storage.get_trial(self._id).intermediate_values
        return values

    def is_worse(self, share: float, loss: float) -> bool:
        """Note a validation loss; whether the trial is to be pruned.

        Parameters
        ----------
        share : float
            Of the training that is done, from 0 to 1.
        loss : float

        Returns
        -------
        bool
            True if the lowest loss so far is above the median of what the complete trials had
            at this share.
        """
        part, before = int(PARTS * share + 1e-9), self._reported()
        # Trials end epochs at different shares: each has a value in each part from its first on.
        for passed in range(max(before, default=part) + 1, part):
            self._trial.report(self._lowest, passed)
        self._lowest = min(self._lowest, loss)  # also of epochs that end within one part
        if part in before:
            return False
        self._trial.report(self._lowest, part)
        return self._trial.should_prune()


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """A block that reads a study; an error of any type but ours says that its file is damaged."""
    try:
        yield
    except RNNError:
        raise
    except Exception as error:
        raise RNNError(
            f"{path} is damaged ({cluster.reason(error)}); name another --run"
        ) from None


def _distributions(plan: Plan) -> dict[str, Any]:
    return {name: each.distribution() for name, each in plan.ranges.items()}


def _opened(storage: "JournalStorage") -> "OptunaStudy":
    """The study in a file, which is made if it is not there."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(COMPLETE, n_warmup_steps=EARLIEST)
    # Optuna would append to the journal that a study is made, also where it is there.
    is_there = any(study.study_name == NAME for study in storage.get_all_studies())
    open_it = optuna.load_study if is_there else optuna.create_study
    return open_it(storage=storage, study_name=NAME, pruner=pruner)


def _storage(path: Path) -> "JournalStorage":
    from optuna.storages import JournalStorage

    return JournalStorage(_journal(path))


def _journal(path: Path) -> "BaseJournalBackend":
    """Optuna's journal in a file, whose lines are appended whole or not at all.

    Optuna's own lock is a file, which a killed process leaves: the others wait for it.
    """
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
            with files.writing(path), open(path, "r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
                files.append_to(file, lines.encode())
                os.fsync(file.fileno())

    return Journal(str(path))


def _drop_torn(path: Path) -> None:
    """Remove what follows the last newline of a file: a kill or a crash has cut it short."""
    if path.exists():
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read()
            file.truncate(lines.rfind(b"\n") + 1)


def _is_unborn(folder: Path) -> bool:
    """Whether the folder holds only what a search writes before its study."""
    results = folder / "results.jsonl"
    return not {*folder.iterdir()} - {results} and not (
        results.exists() and results.stat().st_size
    )


def _number_of(record: Record) -> int:
    """The number of a trial; ValueError, KeyError or TypeError if that is no record of one."""
    number, loss, ended = record["trial"], record["loss"], record["ended"]
    numbers = [number, record["epochs"], record["seconds"], 0 if loss is None else loss]
    if not all(is_finite(each) for each in numbers) or not isinstance(number, int) or number < 0:
        raise ValueError
    if ended not in ("complete", "pruned", "failed") or (ended == "complete" and loss is None):
        raise ValueError
    if not isinstance(record["settings"], dict) or "error" not in record:
        raise ValueError
    return number


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How another search differs, and what to do."""
    known = json.loads(json.dumps(now))
    has_both = before.keys() & known.keys()
    name = next(n for n in [*now, *before] if n not in has_both or before[n] != known[n])
    if name == "text":
        return "another text; restore it, or name another --run"
    had, has = (
        command_line({name: each[name]}, Settings) if name in each else "its default"
        for each in (before, now)
    )
    if name == "recipe":
        had, has = ("no --recipe" if word == "--recipe 0" else word for word in (had, has))
    return f"other settings: it has {had}, not {has}; give those, or name another --run"
