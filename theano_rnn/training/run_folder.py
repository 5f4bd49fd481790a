"""A run folder: what one training leaves behind, as files that people and programs can read.

::

    settings.json      how it was trained
    tokenizer.json     the vocabulary
    best.safetensors   parameters of the lowest validation loss, with the state they were made in
    last.safetensors   parameters and all else where training stands, from which --resume goes
                       on; last-1, last-2: the ones before it
    lock               held by the process that trains
    metrics.jsonl      one line an epoch
    loss.png           the lines as a picture
    samples.txt        sentences from the best model
    result.json        perplexities of the best model and of the baselines
"""

import contextlib
import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import safetensors
import safetensors.numpy

from theano_rnn.common import files, memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.files import reason, writing
from theano_rnn.common.types import Array, Parameters, PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.tensorboard import Events

#: How many of the last checkpoints are kept.
KEPT = 3

#: Most bytes of the header of a checkpoint: the names and shapes of some hundred arrays.
HEADER = 2**20

#: What reading a damaged or hostile file may end in.
DAMAGED = (
    OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
    MemoryError, safetensors.SafetensorError,
)  # fmt: skip


class Run:
    """An open run folder. Made by ``Run.create`` or ``Run.open``.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Where the metrics are written too.
        self.events: Optional[Events] = None

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @classmethod
    def create(cls, folder: PathLike) -> "Run":
        """Make a new folder.

        Parameters
        ----------
        folder : path

        Returns
        -------
        Run

        Raises
        ------
        RNNError
            If something of that name exists, or the folder cannot be made.
        """
        folder = _path(folder)
        try:
            # What was killed before it had settings is no run, and made again.
            folder.mkdir(parents=True, exist_ok=_is_unborn(folder))
        except FileExistsError:
            raise RNNError(
                f"the run folder {folder} exists; name another, or go on: --resume {folder}"
            ) from None
        except (OSError, ValueError) as error:  # ValueError of a name that no file can have
            raise RNNError(
                f"the run folder {folder!s:.200} cannot be made: {reason(error)}"
            ) from None
        return cls(folder)

    @classmethod
    def open(cls, folder: PathLike) -> "Run":
        """Open the folder of an earlier run.

        Parameters
        ----------
        folder : path

        Returns
        -------
        Run

        Raises
        ------
        RNNError
            If it is not a run folder.
        """
        folder = _path(folder)
        try:
            is_run = (folder / "settings.json").is_file()
        except (OSError, ValueError) as error:
            raise RNNError(f"{folder!s:.200} is not a run folder: {reason(error)}") from None
        if not is_run:
            raise RNNError(f"{folder} is not a run folder: it has no settings.json")
        return cls(folder)

    # ---- settings, result, metrics: JSON

    def save_settings(self, settings: Record) -> None:
        """Write settings.json.

        Parameters
        ----------
        settings : dict
        """
        self._write("settings.json", _json(settings))

    def settings(self) -> Any:
        """The content of settings.json.

        Returns
        -------
        dict

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
            As ``training.Training.result`` returns it.
        """
        self._write("result.json", _json(result))

    @property
    def epochs_judged(self) -> Optional[int]:
        """After how many epochs the result was made; None where there is none."""
        if not (self.folder / "result.json").exists():
            return None
        result = self._read_json("result.json")
        epochs: Optional[int] = result.get("epochs") if isinstance(result, dict) else None
        return epochs

    def append_metrics(self, record: Record) -> None:
        """Add a line to metrics.jsonl.

        Parameters
        ----------
        record : dict
            Of an epoch.
        """
        path = self.folder / "metrics.jsonl"
        with writing(path):
            files.append(path, json.dumps(record).encode() + b"\n")
        if self.events is not None:
            self.events.write(self.metrics())

    def write_events(self) -> None:
        """Write the metrics to come as TensorBoard events too, in ``tensorboard/``."""
        self.events = Events(self.folder / "tensorboard")

    def metrics(self, names: Sequence[str] = ("epoch",)) -> list[Record]:
        """The records of all epochs so far, each with a number of these names.

        Parameters
        ----------
        names : sequence of str

        Returns
        -------
        list of dict

        Raises
        ------
        RNNError
            If the file is damaged.
        """
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return []
        try:
            lines = files.read(path, files.LINES).decode("utf-8").splitlines()
            return [_record(json.loads(line), names) for line in lines]
        except DAMAGED as error:
            raise RNNError(f"{path} is damaged ({error}); remove the damaged line") from None

    def drop_metrics_after(self, epoch: int) -> None:
        """Forget the records of later epochs: a run was killed between record and checkpoint.

        Parameters
        ----------
        epoch : int
            The last one to keep, counted from 1.
        """
        kept = [record for record in self.metrics() if record["epoch"] <= epoch]
        self._write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    # ---- vocabulary, samples, picture

    def save_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Write tokenizer.json.

        Parameters
        ----------
        vocabulary : Vocabulary
        """
        self._write("tokenizer.json", vocabulary.to_json())

    def vocabulary(self) -> Vocabulary:
        """The vocabulary in tokenizer.json.

        Returns
        -------
        Vocabulary

        Raises
        ------
        RNNError
            If the file is missing or damaged.
        """
        return Vocabulary.load(self.folder / "tokenizer.json")

    def save_samples(self, sentences: list[str]) -> None:
        """Write samples.txt, a sentence a line.

        Parameters
        ----------
        sentences : list of str
        """
        self._write("samples.txt", "".join(f"{sentence}\n" for sentence in sentences))

    def save_loss_picture(self) -> None:
        """loss.png: loss of training and validation, and the learning rate, by epoch."""
        from matplotlib.figure import Figure

        metrics = self.metrics(("epoch", "train_loss", "valid_loss"))
        epochs = [record["epoch"] for record in metrics]
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(epochs, [r["train_loss"] for r in metrics], "o-", label="training")
        axes.plot(epochs, [r["valid_loss"] for r in metrics], "s-", label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy, nats a token")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=120)
        self._write("loss.png", picture.getvalue())

    # ---- checkpoints

    def save_checkpoint(self, name: str, arrays: dict[str, Array], state: Record) -> None:
        """Write arrays and the state of training as one file, whole or not at all.

        Parameters
        ----------
        name : str
            "best" or "last".
        arrays : dict of arrays
        state : dict
            As JSON takes it.
        """
        text = json.dumps(state)
        metadata = {"state": text, "sha256": _checksum(arrays, text)}
        self._write(f"{name}.safetensors", safetensors.numpy.save(arrays, metadata=metadata))

    def save_last(self, arrays: dict[str, Array], state: Record) -> None:
        """Write where training stands; the ones before stay, the last ``KEPT`` of them.

        A crash at any moment leaves at least the one before whole.

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
            _sync_folder(self.folder)

    def last(self) -> tuple[dict[str, Array], Record, list[str]]:
        """The newest checkpoint that is whole.

        Returns
        -------
        arrays : dict
        state : dict
        refused : list of str
            What is said of newer ones that are damaged.

        Raises
        ------
        RNNError
            If there is none; of damaged ones it names each.
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
        """Whether there is a checkpoint to go on from, damaged or not."""
        return any((self.folder / f"{n}.safetensors").exists() for n in self._names_of_last())

    @staticmethod
    def _names_of_last() -> list[str]:
        """The newest first."""
        return ["last", *(f"last-{age}" for age in range(1, KEPT))]

    def checkpoint(self, name: str) -> tuple[dict[str, Array], Record]:
        """The arrays by name and the state of training of a checkpoint.

        Parameters
        ----------
        name : str
            "best" or "last".

        Returns
        -------
        arrays : dict
        state : dict

        Raises
        ------
        RNNError
            If the file is missing, damaged, or not what was written.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise RNNError(f"{self.folder} has no checkpoint {path.name}")
        try:
            _check_sizes(path)
            with safetensors.safe_open(str(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {key: file.get_tensor(key) for key in file.keys()}
            state = json.loads(metadata["state"])
            if not isinstance(state, dict):
                raise ValueError("it does not say where training stands")
            # Those of older versions have none.
            if metadata.get("sha256", "") not in ("", _checksum(arrays, metadata["state"])):
                raise ValueError("its content is not that of its checksum")
            return arrays, state
        except DAMAGED as error:
            raise RNNError(
                f"the checkpoint {path} is damaged ({error}); use another checkpoint or run"
            ) from None

    # ---- who writes

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from training in this folder, to the end of this one.

        Raises
        ------
        RNNError
            If another one does.
        """
        path = self.folder / "lock"
        with writing(path):
            file = open(files.open_own(path, os.O_RDWR), "r+b")
        with file:
            if not files.lock(file):
                holder = file.read(20).decode("ascii", "replace").strip()
                raise RNNError(
                    f"process {holder or 'unknown'} is training in {self.folder}; "
                    "wait for its end, or stop it"
                )
            with writing(path):
                file.truncate(0)
                file.write(str(os.getpid()).encode())
                file.flush()
            yield

    # ---- files

    def _write(self, name: str, content: Union[str, bytes]) -> None:
        """Replace a file as one act, so that a crash leaves the old one or the new one."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = self.folder / name
        with writing(path):
            files.replace(path, data)
            _sync_folder(self.folder)

    def _read_json(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(files.read(path, files.SMALL).decode("utf-8"))
        except DAMAGED as error:
            raise RNNError(f"{path} is damaged or missing ({error})") from None


def _path(folder: Any) -> Path:
    try:
        return Path(folder)
    except TypeError:
        raise RNNError(f"a run folder is a path, not a {type(folder).__name__}") from None


def _record(value: object, names: Sequence[str]) -> Record:
    """A line of the metrics, if it is one."""
    if not isinstance(value, dict) or not all(is_finite(value.get(name)) for name in names):
        raise ValueError(f"a line is not a record with numbers for {', '.join(names)}")
    return value


def _check_sizes(path: Path) -> None:
    """ValueError for a checkpoint that would take more memory than there is, before it does."""
    with open(path, "rb") as file:
        (header,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        size = file.seek(0, os.SEEK_END)
    if header > HEADER:
        raise ValueError("its header is not that of a checkpoint")
    if size > memory.total() // 4:
        raise ValueError(f"its {size:,} bytes are more than the memory of this machine holds")


def _is_unborn(folder: Path) -> bool:
    """Whether all there is was written before the settings, which make it a run."""
    before = {"tokenizer.json", "tokenizer.json.new", "settings.json.new"}
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= before


def _checksum(arrays: dict[str, Array], state: str) -> str:
    """Of the names, types, shapes and numbers of all arrays, and of the state."""
    digest = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Have the names of the files outlast a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parameters(arrays: dict[str, Array]) -> Parameters:
    """The parameters among the arrays of a checkpoint.

    The others have a dot in their name: the state of the optimizer, W.velocity, and the like.

    Parameters
    ----------
    arrays : dict

    Returns
    -------
    dict
    """
    return {name: array for name, array in arrays.items() if "." not in name}


def _json(value: Record) -> str:
    return json.dumps(value, indent=2) + "\n"
