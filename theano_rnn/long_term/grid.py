"""Many trials of ``long_term`` as one sweep: a grid, the file of its results, Dask.

A grid is a list of blocks. A block gives settings of ``Trial`` a value, or a list of values, and
stands for all combinations. Every trial is one task of a Dask cluster; its record is a line of a
JSONL, written when it comes in. A sweep that was stopped goes on with what is not in the file.
"""

import asyncio
import io
import itertools
import json
import logging
import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.files import reason, writing
from theano_rnn.common.types import PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.common.validation import shown as brief
from theano_rnn.long_term.trial import Trial, learn

if TYPE_CHECKING:
    from distributed import Client

#: All settings of a trial; the task, the cell and the remedy of a row of the table.
Key = tuple[Any, ...]
Row = tuple[str, str, str]

#: In a grid; more would not end.
MOST_TRIALS = 100_000

SETTINGS = [field.name for field in fields(Trial)]

#: Of all trials, so that the table compares like with like. The seconds are a fuse: on a quiet
#: core the updates end every trial, so what they come to does not depend on the machine.
BUDGET = {"max_updates": 120_000, "max_seconds": 1800.0, "seed": [0, 1, 2]}

ORDER = {"task": "temporal_order", "length": [10, 20, 50, 100], **BUDGET}
ADDITION = {"task": "addition", "length": [20, 50, 100], **BUDGET}

#: The table of the README. Gates start slowly under SGD, and those of an lstm too far closed.
DEFAULT = [
    {**ORDER, "cell": "tanh", "remedy": ["sgd", "clip", "clip+omega", "clip+orthogonal"]},
    {**ORDER, "cell": "gru", "remedy": "clip+adam"},
    {**ORDER, "cell": "lstm", "remedy": "clip+adam+chrono"},
    {**ADDITION, "cell": "tanh", "remedy": "clip"},
    {**ADDITION, "cell": "relu", "remedy": "clip+identity"},
    {**ADDITION, "cell": "lstm", "remedy": "clip+adam+chrono"},
]


def trials(grid: object) -> list[Trial]:
    """The trials of a grid, in its order, each once.

    Parameters
    ----------
    grid : list of dict

    Returns
    -------
    list of Trial

    Raises
    ------
    RNNError
        For what is not a list of blocks, and for a bad setting.

    Examples
    --------
    >>> grid = [{"task": "addition", "length": [20, 50], "remedy": ["sgd", "clip"]}]
    >>> [(trial.length, trial.remedy) for trial in trials(grid)]
    [(20, 'sgd'), (20, 'clip'), (50, 'sgd'), (50, 'clip')]
    """
    blocks = grid if isinstance(grid, list) else [grid]
    found: dict[tuple[Any, ...], Trial] = {}
    for number, block in enumerate(blocks, 1):
        if not isinstance(block, dict):
            raise RNNError(f"block {number} of the grid is not an object of settings and values")
        unknown = [name for name in block if name not in SETTINGS]
        if unknown:
            names = ", ".join(brief(name).strip("'") for name in unknown[:20])
            raise RNNError(
                f"block {number} of the grid sets {names}, which is unknown; "
                f"the settings are {', '.join(SETTINGS)}"
            )
        missing = [name for name in ("task", "length") if name not in block]
        if missing:
            raise RNNError(f"block {number} of the grid has no {' and no '.join(missing)}")
        values = [value if isinstance(value, list) else [value] for value in block.values()]
        if math.prod(map(len, values)) + len(found) > MOST_TRIALS:
            raise RNNError(
                f"block {number} of the grid stands for more than {MOST_TRIALS:,} trials; give "
                "fewer values, in several grids"
            )
        for combination in itertools.product(*values):
            try:
                trial = Trial(**dict(zip(block, combination)))
            except RNNError as error:
                raise RNNError(f"block {number} of the grid: {error}") from None
            found[key(asdict(trial))] = trial
    if not found:
        raise RNNError("the grid is empty; give at least one task and length")
    return list(found.values())


def read_grid(path: PathLike) -> list[Trial]:
    """The trials of a grid in a JSON file.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Trial

    Raises
    ------
    RNNError
        If the file cannot be read, or is no grid.
    """
    try:
        grid = json.loads(files.read(path, files.SMALL).decode("utf-8"))
    except (OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise RNNError(f"the grid {path} cannot be read: {reason(error)}") from None
    try:
        return trials(grid)
    except RNNError as error:
        raise RNNError(f"{path}: {error}") from None


def key(record: Record) -> Key:
    """What tells trials apart: all their settings.

    Parameters
    ----------
    record : dict

    Returns
    -------
    tuple
    """
    return tuple(record[name] for name in SETTINGS)


class Results:
    """The records of a sweep in a folder: results.jsonl, and success.png made of it.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.

    Attributes
    ----------
    records : dict
        By ``key``, those of earlier sweeps too.

    Raises
    ------
    RNNError
        If the folder or the file cannot be made, read or written, or another sweep writes to it;
        before anything is run.
    """

    def __init__(self, folder: PathLike) -> None:
        self.path = Path(folder) / "results.jsonl"
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = files.open_own(self.path, os.O_RDWR | os.O_APPEND)
            self._file = open(descriptor, "r+b", buffering=0)
            self._lock()
            lines = files.read_stream(self._file, files.LINES).split(b"\n")
            # What stands after the last end of line is a record torn by a kill: it is run again.
            self._file.truncate(self._file.tell() - len(lines.pop()))
        self.records: dict[Key, Record] = {}
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                self.records[key(record)] = _checked(record)
            except (ValueError, KeyError, TypeError, RecursionError):
                self._file.close()
                raise RNNError(
                    f"line {number} of {self.path} is not a record of a trial; remove the line"
                ) from None

    def _lock(self) -> None:
        if not files.lock(self._file):
            self._file.close()
            raise RNNError(
                f"another sweep writes to {self.path}; wait for its end, or name another --run"
            )

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def missing(self, trials: list[Trial]) -> list[Trial]:
        """Those of the trials that have no record.

        Parameters
        ----------
        trials : list of Trial

        Returns
        -------
        list of Trial
        """
        return [trial for trial in trials if key(asdict(trial)) not in self.records]

    def of(self, trials: list[Trial]) -> list[Record]:
        """The records of the trials, in their order, where there are any.

        Parameters
        ----------
        trials : list of Trial

        Returns
        -------
        list of dict
        """
        keys = [key(asdict(trial)) for trial in trials]
        return [self.records[k] for k in keys if k in self.records]

    def add(self, record: Record) -> None:
        """Write a record, and keep it.

        Parameters
        ----------
        record : dict
            As ``long_term.learn`` returns it.
        """
        with writing(self.path):
            files.append_to(self._file, json.dumps(record).encode() + b"\n")
            os.fsync(self._file.fileno())
        self.records[key(record)] = record

    def save_picture(self, records: list[Record]) -> Path:
        """success.png: for each task, the share of seeds that solve it, by length.

        Parameters
        ----------
        records : list of dict

        Returns
        -------
        Path
        """
        from matplotlib.figure import Figure

        table = success(records)
        by_task: dict[str, list[tuple[str, dict[int, list[Record]]]]] = {}
        for (task, cell, remedy), cells in table.items():
            by_task.setdefault(task, []).append((f"{cell}, {remedy}", cells))
        figure = Figure(figsize=(5.5 * len(by_task), 4.2), layout="constrained")
        for axes, (task, rows) in zip(figure.subplots(1, len(by_task), squeeze=False)[0],
                                      by_task.items()):  # fmt: skip
            for i, (label, cells) in enumerate(rows):
                # Each a little lower than the one before, or equal ones would hide each other.
                shares = [sum(r["solved"] for r in cell) / len(cell) for cell in cells.values()]
                heights = [share - 0.012 * i for share in shares]
                axes.plot(list(cells), heights, "osD^vP*X"[i % 8] + "-", label=label)
            axes.set_xscale("log")
            lengths = sorted({length for _, cells in rows for length in cells})
            axes.set_xticks(lengths, [str(length) for length in lengths])
            axes.minorticks_off()
            axes.set_title(task.replace("_", " "))
            axes.set_xlabel("length")
            axes.set_ylabel("share of seeds that solve it (lines set apart)")
            axes.grid(alpha=0.3)
            axes.legend(loc="lower left", fontsize="small")
        path, picture = self.path.with_name("success.png"), io.BytesIO()
        figure.savefig(picture, format="png", dpi=120)
        with writing(path):
            files.replace(path, picture.getvalue())
        return path


def _checked(record: Record) -> Record:
    """A record of a trial that could be run, with what came of it, or some ValueError."""
    Trial(**{name: record[name] for name in SETTINGS})
    rate = record["error_rate"]
    numbers = [record["updates"], record["seconds"], *([] if rate is None else [rate])]
    if not isinstance(record["solved"], bool) or not isinstance(record["ended"], str):
        raise ValueError
    if not all(is_finite(number) and number >= 0 for number in numbers):
        raise ValueError
    return record


def success(records: list[Record]) -> dict[Row, dict[int, list[Record]]]:
    """(task, cell, remedy) -> length -> records of all seeds, by length.

    Parameters
    ----------
    records : list of dict

    Returns
    -------
    dict
    """
    table: dict[Row, dict[int, list[Record]]] = {}
    for r in records:
        row = table.setdefault((r["task"], r["cell"], r["remedy"]), {})
        row.setdefault(r["length"], []).append(r)
    return {name: dict(sorted(row.items())) for name, row in table.items()}


# ---- Dask

#: Seconds to wait for a scheduler.
TIMEOUT = 10

#: Dask has its workers give back freed memory at once, from 64 kB on, and so take the arrays of
#: each update from the system anew, which makes an update four times as slow. Here they keep it.
#: (With the first threshold set, glibc no longer learns the second one by itself.)
KEPT_MEMORY = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{what}_THRESHOLD_": str(size)
    for what, size in (("TRIM", 1 << 30), ("MMAP", 32 << 20))
}


@contextmanager
def cluster(scheduler: Optional[str] = None, workers: Optional[int] = None) -> Iterator["Client"]:
    """A client of a Dask cluster.

    Parameters
    ----------
    scheduler : str, optional
        Address of a running one, whose workers have this package; otherwise one is started
        here, each worker a process with one thread, and stopped at the end.
    workers : int, optional
        Of a local cluster; as many as there are cores where not given.

    Raises
    ------
    RNNError
        If there is none at the address.
    """
    import dask
    from distributed import Client, LocalCluster

    _hush()
    if scheduler is None:
        count = workers or len(os.sched_getaffinity(0))
        # Its pages on any free port: the usual one may be another sweep's, and Dask would warn.
        settings = {"threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
        settings["silence_logs"] = logging.CRITICAL
        with dask.config.set(KEPT_MEMORY), LocalCluster(n_workers=count, **settings) as local:
            with Client(local) as client:
                yield client
        return
    client = Client.__new__(Client)
    try:
        with ThreadPoolExecutor(1) as thread:  # in case this one has an event loop of its own
            thread.submit(asyncio.run, _answers(scheduler)).result()
        client.__init__(scheduler, timeout=TIMEOUT)
    except Exception as error:  # what another server answers ends in any of them
        # Left to the garbage collector it would close itself in the midst of anything: where that
        # holds Dask's lock, as a cluster that begins does, both wait for ever.
        with suppress(Exception):
            client.close()
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RNNError(
            f"there is no Dask scheduler at {scheduler} ({reason}); "
            "start one, or leave the address out for a cluster on this machine"
        ) from None
    with client:
        yield client


async def _answers(address: str) -> None:
    """Or an error: a client would wait for ever for a server that says nothing."""
    from distributed.comm import connect

    try:
        comm = await asyncio.wait_for(connect(address, timeout=TIMEOUT), TIMEOUT)
    except asyncio.TimeoutError:
        raise OSError(f"no answer in {TIMEOUT} s") from None
    await comm.close()


def _hush() -> None:
    """Dask logs what it also raises, tracebacks and all; here an error is one line."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distrib")]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def run(
    trials: list[Trial], client: "Client"
) -> Iterator[tuple[Trial, Optional[Record], Optional[BaseException]]]:
    """Run trials on a cluster.

    Parameters
    ----------
    trials : list of Trial
    client : distributed.Client
        As ``cluster`` gives it.

    Yields
    ------
    trial, record or None, exception or None
        In the order in which they end. An exception ends only its own trial.

    Raises
    ------
    RNNError
        If the scheduler is gone.
    """
    from distributed import as_completed

    # Not pure: a key made of the settings would have Dask hand out an old result as new.
    futures = {client.submit(_learn, asdict(trial), pure=False): trial for trial in trials}
    for future in as_completed(list(futures)):
        if future.status in ("cancelled", "lost"):
            raise RNNError(
                "the Dask scheduler is gone; results up to now are kept: the same command goes on"
            )
        trial, error = futures.pop(future), future.exception()
        yield trial, None if error else future.result(), error


#: Theano does not compile in two threads at once, and a worker of Dask may have several.
ALONE = threading.Lock()


def _learn(settings: Record) -> Record:
    with ALONE:
        return learn(Trial(**settings))
