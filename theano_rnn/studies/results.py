"""A file with a record for each trial: never torn, resumed, written by one process at a time."""

import json
import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Callable, Generic, TypeVar

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike, Record

Trial = TypeVar("Trial", bound=Hashable)
Self = TypeVar("Self", bound="Results")  # type: ignore[type-arg]


class Results(Generic[Trial]):
    """The file results.jsonl in a folder: one line per trial, written as soon as it has ended.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing.
    trial_of : function (record) -> trial
        Raises ValueError, KeyError or TypeError for what is no record.

    Attributes
    ----------
    path : Path
        Of the file.
    records : dict
        The record of each trial, those of earlier times included.

    Raises
    ------
    RNNError
        If the folder or the file cannot be created, read or written, or if another process
        writes to it.
    """

    def __init__(self, folder: PathLike, trial_of: Callable[[Record], Trial]) -> None:
        self.path, self._trial_of = Path(folder) / "results.jsonl", trial_of
        with files.writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = files.open_locked(self.path, os.O_RDWR | os.O_APPEND)
            if file is None:
                raise RNNError(
                    f"another process writes to {self.path}; wait for its end, or name another "
                    "--run"
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
                self.records[trial_of(record)] = record
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                self._file.close()
                why = f" ({error})" if isinstance(error, RNNError) else ""
                raise RNNError(
                    f"line {number} of {self.path} is not a record of a trial{why}; remove the "
                    "line"
                ) from None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """The trials that have no record yet."""
        return [trial for trial in trials if trial not in self.records]

    def records_of(self, trials: Iterable[Trial]) -> list[Record]:
        """The records of the trials that have one, in the order of the trials."""
        return [self.records[trial] for trial in trials if trial in self.records]

    def add(self, record: Record) -> None:
        """Append a record to the file; it has reached the disk when this returns.

        Raises
        ------
        RNNError
            If the file cannot be written; it then ends with the record before.
        """
        with files.writing(self.path):
            files.append_to(self._file, json.dumps(record).encode() + b"\n")
            os.fsync(self._file.fileno())
        self.records[self._trial_of(record)] = record

    def save_picture(self, name: str, picture: bytes) -> Path:
        """Write a picture beside the results.

        Returns
        -------
        Path
            Of the picture.
        """
        path = self.path.with_name(name)
        with files.writing(path):
            files.replace(path, picture)
        return path
