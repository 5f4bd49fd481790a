"""A run folder: the files of one training, which people and programs can read.

::

    settings.json      how the model is trained
    tokenizer.json     the vocabulary
    best.safetensors   the checkpoint of the lowest validation loss
    last.safetensors   the newest checkpoint, from which --resume continues; last-1 and last-2 are
                       the ones before it
    lock               held by the process that trains
    metrics.jsonl      one line per epoch
    loss.png           the losses by epoch
    samples.txt        sentences from the best model
    result.json        perplexities of the best model and of the baselines
"""

import contextlib
import io
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Optional, Union

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.files import reason, writing
from theano_rnn.common.tensors import DAMAGED
from theano_rnn.common.types import Array, PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import checkpoint
from theano_rnn.training.picture import loss_picture
from theano_rnn.training.tensorboard import Events

#: How many of the newest checkpoints stay.
KEPT = 3

#: The lock files of folders that this process has made and not trained in yet.
_made: dict[str, io.FileIO] = {}


class Run:
    """An open run folder, from ``Run.create`` or ``Run.open``.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: The TensorBoard events that the metrics are written to as well.
        self.events: Optional[Events] = None
        self._was_there = False  # an empty folder of the user's

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @classmethod
    def create(cls, folder: PathLike) -> "Run":
        """Make a new folder, locked for this process until ``locked`` ends.

        Raises
        ------
        RNNError
            If something of that name exists, or the folder cannot be made.
        """
        folder = _path(folder)
        run = cls._made_at(folder)
        if run is None:
            is_run = (folder / "settings.json").is_file()
            more = f", or continue it: --resume {folder}" if is_run else ""
            raise RNNError(f"the run folder {folder} exists; name another{more}")
        return run

    @classmethod
    def create_dated(cls, above: PathLike = "runs") -> "Run":
        """Make a new folder with the time as its name, unlike that of any other process.

        Raises
        ------
        RNNError
            If the folder cannot be made.
        """
        now = f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
        names = (now if number == 1 else f"{now}_{number}" for number in itertools.count(1))
        return next(filter(None, (cls._made_at(Path(above, name)) for name in names)))

    @classmethod
    def _made_at(cls, folder: Path) -> Optional["Run"]:
        """A new folder; None if something of that name exists."""
        run = cls(folder)
        try:
            where = os.path.realpath(folder)
            # A run that was killed before it had settings is made again.
            run._was_there = folder.is_dir() and not (folder / "lock").exists()
            folder.mkdir(parents=True, exist_ok=_is_unborn(folder))
            file = None if where in _made else run._lock()
        except FileExistsError:
            return None
        except (OSError, ValueError) as error:  # ValueError of a name that no file can have
            raise RNNError(
                f"the run folder {folder!s:.200} cannot be made: {reason(error)}"
            ) from None
        if file is None:
            return None
        if not _is_unborn(folder):  # another process was quicker, and has ended
            file.close()
            return None
        _made[where] = file
        return run

    @classmethod
    def open(cls, folder: PathLike) -> "Run":
        """Open the folder of an earlier run.

        Raises
        ------
        RNNError
            If it is not a run folder.
        """
        folder = _path(folder)
        try:
            is_run = (folder / "settings.json").is_file()
            lacks = "it has no settings.json" if folder.exists() else "it does not exist"
        except (OSError, ValueError) as error:
            raise RNNError(f"{folder!s:.200} is not a run folder: {reason(error)}") from None
        if not is_run:
            raise RNNError(f"{folder} is not a run folder: {lacks}; give one that train wrote")
        return cls(folder)

    def discard(self) -> None:
        """Delete a run in which nothing was learned; an empty folder that was there stays."""
        made = _made.pop(os.path.realpath(self.folder), None)
        if made is not None:
            made.close()
        if not self._was_there:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        with contextlib.suppress(OSError):  # the error that ended the run is the one to be told
            for path in self.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    # ---- settings, result, metrics: JSON

    def save_settings(self, settings: Record) -> None:
        """Write settings.json."""
        self._write("settings.json", _json(settings))

    def settings(self) -> Any:
        """The content of settings.json.

        Raises
        ------
        RNNError
            If the file is missing or damaged.
        """
        return self._read_json("settings.json")

    def save_result(self, result: Record) -> None:
        """Write result.json.

        Parameters
        ----------
        result : dict
            As ``result.judge`` makes it.
        """
        self._write("result.json", _json(result))

    def result(self) -> Any:
        """The content of result.json; None without one.

        Raises
        ------
        RNNError
            If the file is damaged.
        """
        is_there = (self.folder / "result.json").exists()
        return self._read_json("result.json") if is_there else None

    @property
    def epochs_judged(self) -> Optional[int]:
        """The number of epochs after which the result was made; None without a result."""
        result = self.result()
        epochs: Optional[int] = result.get("epochs") if isinstance(result, dict) else None
        return epochs

    def append_metrics(self, record: Record) -> None:
        """Add the record of an epoch to metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        with writing(path):
            files.append(path, json.dumps(record).encode() + b"\n")
        if self.events is not None:
            self.events.write(self.metrics())

    def write_events(self) -> None:
        """From now on, write the metrics as TensorBoard events too, in ``tensorboard/``."""
        self.events = Events(self.folder / "tensorboard")

    def metrics(self, names: Sequence[str] = ("epoch",)) -> list[Record]:
        """The records of all epochs so far.

        Parameters
        ----------
        names : sequence of str
            Each record must have a finite number by each of these names.

        Raises
        ------
        RNNError
            If the file is damaged.
        """
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return []
        records: list[Record] = []
        try:
            lines = files.read(path, files.LINES).decode("utf-8").splitlines()
            for line in lines:
                records.append(_record(json.loads(line), names))
        except OSError as error:
            raise RNNError(f"{path} cannot be read: {reason(error)}") from None
        except DAMAGED as error:
            # The error of JSON counts lines too, of the record.
            why = getattr(error, "msg", error)
            raise RNNError(
                f"line {len(records) + 1} of {path} is damaged ({why}); remove it"
            ) from None
        return records

    def drop_metrics_after(self, epoch: int) -> None:
        """Remove the records of later epochs: a run was killed between record and checkpoint.

        Parameters
        ----------
        epoch : int
            The last one to keep, counted from 1.
        """
        kept = [record for record in self.metrics() if record["epoch"] <= epoch]
        self._write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    # ---- vocabulary, samples, picture

    def save_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Write tokenizer.json."""
        self._write("tokenizer.json", vocabulary.to_json())

    def vocabulary(self) -> Vocabulary:
        """The vocabulary in tokenizer.json.

        Raises
        ------
        RNNError
            If the file is missing or damaged.
        """
        return Vocabulary.load(self.folder / "tokenizer.json")

    def save_samples(self, sentences: list[str]) -> None:
        """Write samples.txt, a sentence a line."""
        self._write("samples.txt", "".join(f"{sentence}\n" for sentence in sentences))

    def samples(self) -> list[str]:
        """The lines of samples.txt; none if the file is missing."""
        path = self.folder / "samples.txt"
        try:
            return files.read(path, files.SMALL).decode("utf-8", "replace").splitlines()
        except OSError:
            return []

    def save_loss_picture(self) -> None:
        """Write loss.png: the training and the validation loss by epoch."""
        metrics = self.metrics(("epoch", "train_loss", "valid_loss"))
        self._write("loss.png", loss_picture(metrics))

    # ---- checkpoints

    def save_checkpoint(self, name: str, arrays: dict[str, Array], state: Record) -> None:
        """Write a checkpoint, whole or not at all.

        Parameters
        ----------
        name : str
            "best" or "last".
        arrays : dict of arrays
        state : dict
            As JSON takes it.
        """
        self._write(f"{name}.safetensors", checkpoint.encode(arrays, state))

    def save_last(self, arrays: dict[str, Array], state: Record) -> None:
        """Write the newest checkpoint; of the older ones, the last ``KEPT`` - 1 stay.

        After a crash at any moment at least one of them is whole.

        Parameters
        ----------
        arrays, state
            As for ``save_checkpoint``.
        """
        self.save_checkpoint("next", arrays, state)
        names = [*reversed(self._names_of_last()), "next"]  # the oldest first
        with writing(self.folder):
            for older, newer in zip(names, names[1:]):
                path = self.folder / f"{newer}.safetensors"
                if path.exists():
                    os.replace(path, self.folder / f"{older}.safetensors")
            files.sync_folder(self.folder)

    def drop_older(self) -> None:
        """Delete the checkpoints before the newest one, of a run that has ended."""
        with writing(self.folder):
            for name in self._names_of_last()[1:]:
                (self.folder / f"{name}.safetensors").unlink(missing_ok=True)

    def last(self) -> tuple[dict[str, Array], Record, list[str]]:
        """The newest checkpoint that is not damaged.

        Returns
        -------
        arrays : dict
        state : dict
        refused : list of str
            A message for each newer one that is damaged.

        Raises
        ------
        RNNError
            If there is none; the message names each damaged one.
        """
        refused: list[str] = []
        for name in self._names_of_last():
            if not (self.folder / f"{name}.safetensors").exists():
                continue
            try:
                return (*self.checkpoint(name), refused)
            except RNNError as error:
                refused.append(str(error))
        if refused:
            raise RNNError("; ".join(refused))
        raise RNNError(f"{self.folder} has no checkpoint last.safetensors")

    @property
    def has_last(self) -> bool:
        """Whether there is a checkpoint to resume from, damaged or not."""
        return any((self.folder / f"{n}.safetensors").exists() for n in self._names_of_last())

    @staticmethod
    def _names_of_last() -> list[str]:
        """The newest first."""
        return ["last", *(f"last-{age}" for age in range(1, KEPT))]

    def checkpoint(self, name: str) -> tuple[dict[str, Array], Record]:
        """The arrays by name, and the state of the training, of a checkpoint.

        Parameters
        ----------
        name : str
            "best" or "last".

        Raises
        ------
        RNNError
            If the file is missing or damaged.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise RNNError(f"{self.folder} has no checkpoint {path.name}")
        return checkpoint.read(path)

    # ---- who writes

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder until the block ends.

        Raises
        ------
        RNNError
            If another process is training in it.
        """
        file = _made.pop(os.path.realpath(self.folder), None) or self._lock()
        if file is None:
            holder = files.read(self.folder / "lock", files.SMALL)[:20].decode("ascii", "replace")
            raise RNNError(
                f"process {holder.strip() or 'unknown'} is training in {self.folder}; "
                "wait for its end, or stop it"
            )
        with file:
            yield

    def _lock(self) -> Optional[io.FileIO]:
        """The lock file, locked, with the number of this process in it; None if it is taken."""
        path = self.folder / "lock"
        with writing(path):
            file = files.open_locked(path)
            if file is not None:
                file.truncate(0)
                file.write(str(os.getpid()).encode())
            return file

    # ---- files

    def _write(self, name: str, content: Union[str, bytes]) -> None:
        """Replace a file in one go: a crash leaves the old one or the new one."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = self.folder / name
        with writing(path):
            files.replace(path, data)
            files.sync_folder(self.folder)

    def _read_json(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(files.read(path, files.SMALL).decode("utf-8"))
        except OSError as error:
            raise RNNError(f"{path} cannot be read: {files.reason(error)}") from None
        except DAMAGED as error:
            raise RNNError(
                f"{path} is damaged ({error}); restore it from a copy, or start a new run"
            ) from None


def _path(folder: Any) -> Path:
    try:
        if isinstance(folder, str) and not folder:
            raise RNNError("the name of the run folder is empty; give a name")
        return Path(folder)
    except TypeError:
        raise RNNError(f"a run folder is a path, not a {type(folder).__name__}") from None


def _record(value: object, names: Sequence[str]) -> Record:
    """The value, if it is a record; ValueError otherwise."""
    if not isinstance(value, dict) or not all(is_finite(value.get(name)) for name in names):
        raise ValueError(f"a line is not a record with numbers for {', '.join(names)}")
    return value


def _is_unborn(folder: Path) -> bool:
    """Whether the folder is empty, or holds a lock and what is written before settings.json."""
    files = ("tokenizer.json", "last.safetensors", "next.safetensors", "settings.json")
    before = {"lock", *files, *(f"{name}.new" for name in files)} - {"settings.json"}
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    return not held or ("lock" in held and held <= before)


def _json(value: Record) -> str:
    return json.dumps(value, indent=2) + "\n"
