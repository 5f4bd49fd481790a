"""The records of many trials: a file that is resumed, a table of successes, a picture of it."""

import io
import json
import os
from pathlib import Path

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.long_term.trial import SETTINGS, Trial

#: The task, the cell and the remedy of a row of the table.
Row = tuple[str, str, str]


class Results:
    """The file results.jsonl in a folder: one line per trial, written as soon as it has ended.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing.

    Attributes
    ----------
    path : Path
        Of the file.
    records : dict
        The record of each ``Trial``, those of earlier sweeps included.

    Raises
    ------
    RNNError
        If the folder or the file cannot be created, read or written, or if another process
        writes to it.
    """

    def __init__(self, folder: PathLike) -> None:
        self.path = Path(folder) / "results.jsonl"
        with files.writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = files.open_locked(self.path, os.O_RDWR | os.O_APPEND)
            if file is None:
                raise RNNError(
                    f"another sweep writes to {self.path}; wait for its end, or name another --run"
                )
            self._file = file
            lines = files.read_stream(self._file, files.LINES).split(b"\n")
            # Whatever follows the last newline is a record cut short by a kill: drop it, so that
            # its trial runs again.
            self._file.truncate(self._file.tell() - len(lines.pop()))
        self.records: dict[Trial, Record] = {}
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                _check_outcome(record)
                self.records[trial_of(record)] = record
            except (ValueError, KeyError, TypeError, RecursionError):
                self._file.close()
                raise RNNError(
                    f"line {number} of {self.path} is not a record of a trial; remove the line"
                ) from None

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def missing(self, trials: list[Trial]) -> list[Trial]:
        """The trials that have no record yet.

        Parameters
        ----------
        trials : list of Trial

        Returns
        -------
        list of Trial
        """
        return [trial for trial in trials if trial not in self.records]

    def records_of(self, trials: list[Trial]) -> list[Record]:
        """The records of the trials that have one, in the order of the trials.

        Parameters
        ----------
        trials : list of Trial

        Returns
        -------
        list of dict
        """
        return [self.records[trial] for trial in trials if trial in self.records]

    def add(self, record: Record) -> None:
        """Append a record to the file; it has reached the disk when this returns.

        Parameters
        ----------
        record : dict
            As ``theano_rnn.long_term.trial.learn`` returns it.

        Raises
        ------
        RNNError
            If the file cannot be written; it then ends with the record before.
        """
        with files.writing(self.path):
            files.append_to(self._file, json.dumps(record).encode() + b"\n")
            os.fsync(self._file.fileno())
        self.records[trial_of(record)] = record

    def save_picture(self, records: list[Record]) -> Path:
        """Write success.png beside the results: the share of seeds that solve a task, by length.

        Parameters
        ----------
        records : list of dict

        Returns
        -------
        Path
            Of the picture.
        """
        path = self.path.with_name("success.png")
        with files.writing(path):
            files.replace(path, picture(by_row_and_length(records)))
        return path


def trial_of(record: Record) -> Trial:
    """The trial that a record is of.

    Parameters
    ----------
    record : dict

    Returns
    -------
    Trial

    Raises
    ------
    KeyError, RNNError
        If a setting is missing or bad.
    """
    return Trial(**{name: record[name] for name in SETTINGS})


def _check_outcome(record: Record) -> None:
    """Raise ValueError or KeyError unless the record says how its trial ended."""
    rate = record["error_rate"]
    numbers = [record["updates"], record["seconds"], *([] if rate is None else [rate])]
    if not isinstance(record["solved"], bool) or not isinstance(record["ended"], str):
        raise ValueError
    if not all(is_finite(number) and number >= 0 for number in numbers):
        raise ValueError


def by_row_and_length(records: list[Record]) -> dict[Row, dict[int, list[Record]]]:
    """The records of all seeds: (task, cell, remedy) -> length -> records, by ascending length.

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


def picture(table: dict[Row, dict[int, list[Record]]]) -> bytes:
    """A PNG with one plot per task and one line per cell and remedy.

    Parameters
    ----------
    table : dict
        As ``by_row_and_length`` returns it.

    Returns
    -------
    bytes
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(task for task, _, _ in table))
    figure = Figure(figsize=(5.5 * len(tasks), 4.2), layout="constrained")
    for task, axes in zip(tasks, figure.subplots(1, len(tasks), squeeze=False)[0]):
        rows = {f"{cell}, {remedy}": row for (t, cell, remedy), row in table.items() if t == task}
        for i, (label, row) in enumerate(rows.items()):
            # Each line is drawn a little below the one before, so that equal ones stay visible.
            shares = [sum(r["solved"] for r in seeds) / len(seeds) for seeds in row.values()]
            heights = [share - 0.012 * i for share in shares]
            axes.plot(list(row), heights, "osD^vP*X"[i % 8] + "-", label=label)
        axes.set_xscale("log")
        lengths = sorted({length for row in rows.values() for length in row})
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set_title(task.replace("_", " "))
        axes.set_xlabel("length of the sequences, steps")
        axes.set_ylabel("share of seeds that solve it (lines set apart)")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left", fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()
