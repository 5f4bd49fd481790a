"""The picture of a run: its losses by epoch."""

import io
from collections.abc import Sequence

from theano_rnn.common.types import Record


def loss_picture(metrics: Sequence[Record]) -> bytes:
    """The training and the validation loss by epoch, as a PNG.

    Parameters
    ----------
    metrics : list of dict
        Each with epoch, train_loss and valid_loss.
    """
    from matplotlib.figure import Figure  # slow to import, and only needed at the end of a run

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
    return picture.getvalue()
