"""The metrics of a run as TensorBoard events: one scalar per metric, one step per epoch.

tensorboardX writes them; it is the extra ``tensorboard`` of this package.
"""

import time
from pathlib import Path
from typing import Any

from theano_rnn.common import extras, files

#: The tags of the metrics; those of --watch are watch/NAME.
TAGS = {
    "train_loss": "loss/training",
    "valid_loss": "loss/validation",
    "parameters_loss": "loss/validation_of_parameters",
    "average_loss": "loss/validation_of_average",
    "averaged": "training/average_is_better",
    "valid_perplexity": "loss/validation_perplexity",
    "valid_word_perplexity": "loss/validation_perplexity_per_word",
    "valid_bits_per_byte": "loss/validation_bits_per_byte",
    "learning_rate": "training/learning_rate",
    "gradient_norm": "training/gradient_norm",
    "clipped": "training/clip_rate",
    "skipped": "training/skipped_steps",
    "K": "training/K",
    "relative_bias": "training/relative_bias",
    "relative_bias_error": "training/relative_bias_error",
}

#: Metrics without a tag: the step of an event, and the two that give tokens/s.
OTHERS = ("epoch", "tokens", "seconds")


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The metrics of an epoch by tag.

    >>> scalars({"epoch": 1, "train_loss": 2.5, "clipped": None, "tokens": 90, "seconds": 3.0})
    {'loss/training': 2.5, 'training/tokens_per_second': 30.0}
    """
    found = {
        TAGS.get(name, f"watch/{name}"): float(value)
        for name, value in record.items()
        if name not in OTHERS and value is not None
    }
    if record["seconds"]:
        found["training/tokens_per_second"] = record["tokens"] / record["seconds"]
    return found


class Events:
    """The event files of a run, one for each process that trains it.

    Parameters
    ----------
    folder : Path
        It is made if it does not exist.

    Raises
    ------
    RNNError
        If tensorboardX is not installed.

    Notes
    -----
    A run that was killed between the events of an epoch and its checkpoint trains that epoch
    again when it is resumed. So the first event of a process starts a session at its first epoch,
    and TensorBoard drops what earlier files have from that epoch on.
    """

    def __init__(self, folder: Path):
        extras.need("tensorboard", "--tensorboard")
        self.folder = folder
        self._writer: Any = None

    def write(self, records: list[dict[str, Any]]) -> None:
        """Write the last record of a run; all records if there are no events yet.

        Raises
        ------
        RNNError
            If the files cannot be written.
        """
        with files.writing(self.folder):
            if self._writer is None:
                is_first = not any(self.folder.glob("events.out.tfevents.*"))
                records = records if is_first else records[-1:]
                self._begin(records[0]["epoch"])
            else:
                records = records[-1:]
            for record in records:
                self._write(record)
            self._writer.flush()

    def _begin(self, epoch: int) -> None:
        # Not SummaryWriter, which writes in a thread: the last events can be lost, and its errors
        # do not arrive here.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.folder.mkdir(exist_ok=True)
        # Named by second and host alone, the file could be that of a process just before.
        self._writer = EventsWriter(str(self.folder / "events"), f".{time.time_ns()}")
        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=epoch, session_log=start))

    def _write(self, record: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=x) for tag, x in scalars(record).items()]
        event = Event(wall_time=time.time(), step=record["epoch"], summary=Summary(value=values))
        self._writer.write_event(event)
