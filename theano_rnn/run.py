"""A run folder: what one training leaves behind, as files that people and programs can read.

settings.json        how it was trained
tokenizer.json       the vocabulary
best.safetensors     parameters of the lowest validation loss, with the state they were made in
last.safetensors     parameters and all else where training stands, from which --resume goes on
metrics.jsonl        one line an epoch
loss.png             the lines as a picture
samples.txt          sentences from the best model
result.json          perplexities of the best model and of the baselines
"""

import contextlib
import json
import os
from pathlib import Path

import safetensors
import safetensors.numpy

from theano_rnn.errors import RNNError
from theano_rnn.vocabulary import Vocabulary


class Run:
    """An open run folder. Made by ``Run.create`` or ``Run.open``."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __repr__(self):
        return f"Run({str(self.folder)!r})"

    @classmethod
    def create(cls, folder) -> "Run":
        """Make a new folder.

        Raises
        ------
        RNNError
            If something of that name exists, or the folder cannot be made.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise RNNError(
                f"the run folder {folder} exists; name another, or go on: --resume {folder}"
            ) from None
        except OSError as error:
            raise RNNError(f"the run folder {folder} cannot be made: {error.strerror}") from None
        return cls(folder)

    @classmethod
    def open(cls, folder) -> "Run":
        """Open the folder of an earlier run.

        Raises
        ------
        RNNError
            If it is not a run folder.
        """
        folder = Path(folder)
        if not (folder / "settings.json").is_file():
            raise RNNError(f"{folder} is not a run folder: it has no settings.json")
        return cls(folder)

    # ---- settings, result, metrics: JSON

    def save_settings(self, settings: dict) -> None:
        self._write("settings.json", _json(settings))

    def settings(self) -> dict:
        return self._read_json("settings.json")

    def save_result(self, result: dict) -> None:
        self._write("result.json", _json(result))

    def append_metrics(self, record: dict) -> None:
        path = self.folder / "metrics.jsonl"
        with _writing(path), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def metrics(self) -> list:
        """The records of all epochs so far."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError) as error:
            raise RNNError(f"{path} is damaged ({error}); remove the damaged line") from None

    def drop_metrics_after(self, epoch: int) -> None:
        """Forget the records of later epochs: a run was killed between record and checkpoint."""
        kept = [record for record in self.metrics() if record["epoch"] <= epoch]
        self._write("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    # ---- vocabulary, samples, picture

    def save_vocabulary(self, vocabulary: Vocabulary) -> None:
        vocabulary.save(self.folder / "tokenizer.json")

    def vocabulary(self) -> Vocabulary:
        return Vocabulary.load(self.folder / "tokenizer.json")

    def save_samples(self, sentences: list) -> None:
        self._write("samples.txt", "".join(f"{sentence}\n" for sentence in sentences))

    def save_loss_picture(self) -> None:
        """loss.png: loss of training and validation, and the learning rate, by epoch."""
        from matplotlib.figure import Figure

        metrics = self.metrics()
        epochs = [record["epoch"] for record in metrics]
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(epochs, [r["train_loss"] for r in metrics], "o-", label="training")
        axes.plot(epochs, [r["valid_loss"] for r in metrics], "s-", label="validation")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy, nats a token")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
        path = self.folder / "loss.png"
        with _writing(path):
            figure.savefig(path, dpi=120)

    # ---- checkpoints

    def save_checkpoint(self, name: str, arrays: dict, state: dict) -> None:
        """Write arrays and the state of training as one file, whole or not at all."""
        data = safetensors.numpy.save(arrays, metadata={"state": json.dumps(state)})
        self._write(f"{name}.safetensors", data)

    def checkpoint(self, name: str) -> tuple:
        """The arrays by name and the state of training of a checkpoint.

        Raises
        ------
        RNNError
            If the file is missing or damaged.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise RNNError(f"{self.folder} has no checkpoint {path.name}")
        try:
            with safetensors.safe_open(str(path), framework="numpy") as file:
                state = json.loads(file.metadata()["state"])
                return {key: file.get_tensor(key) for key in file.keys()}, state
        except (safetensors.SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            raise RNNError(
                f"the checkpoint {path} is damaged ({error}); use another checkpoint or run"
            ) from None

    # ---- files

    def _write(self, name: str, content) -> None:
        """Replace a file as one act, so that a crash leaves the old one or the new one."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = self.folder / name
        beside = path.with_name(path.name + ".new")
        with _writing(path):
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)

    def _read_json(self, name: str):
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RNNError(f"{path} is damaged or missing ({error})") from None


def parameters(arrays: dict) -> dict:
    """The parameters among the arrays of a checkpoint.

    The others have a dot in their name: the state of the optimizer, W.velocity, and the like.
    """
    return {name: array for name, array in arrays.items() if "." not in name}


@contextlib.contextmanager
def _writing(path: Path):
    try:
        yield
    except OSError as error:
        raise RNNError(f"{path} cannot be written: {error.strerror}") from None


def _json(value: dict) -> str:
    return json.dumps(value, indent=2) + "\n"
