"""One thing to try next, where an n-gram model beats the network."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from theano_rnn.commands import calling
from theano_rnn.common import options
from theano_rnn.common.types import Record
from theano_rnn.training.evaluation import judged_on
from theano_rnn.training.settings import Settings

#: The validation loss still falls if the last epoch lowered it by this share or more.
FALLING = 0.003
#: The training diverged if its loss is so many nats above that of the words' frequencies.
DIVERGED = 1.0
#: The network learns by heart if its training loss is so many nats below its validation loss.
BY_HEART = 0.3
#: More dropout than this is not proposed.
MOST_DROPOUT = 0.6


def clipped(metrics: Sequence[Record]) -> Optional[float]:
    """The share of the steps that were clipped; None if it is not known.

    >>> clipped([{"clipped": 0.5}, {"clipped": 0.25}]), clipped([{"clipped": None}])
    (0.375, None)
    """
    shares = [record.get("clipped") for record in metrics]
    known = [float(share) for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def what_to_try(
    settings: Settings, result: dict[str, Any], metrics: Sequence[Record], run: Path
) -> Optional[str]:
    """One next step for a network that counting beats; None if it is not beaten.

    Parameters
    ----------
    settings : Settings
    result : dict
        The content of result.json.
    metrics : list of dict
        The lines of metrics.jsonl.
    run : Path
    """
    counting = min(result["bigram_perplexity"], result["kneser_ney_perplexity"])
    if result[f"{judged_on(result)}_perplexity"] <= counting:
        return None
    if not metrics:
        more = calling.line("train", "--resume", run)
        if settings.minutes is not None:
            more += f" --minutes {2 * settings.minutes:g}"
        return f"train on, as the first epoch is not done: {more}"
    losses = [record["valid_loss"] for record in metrics]
    last, share = metrics[-1], clipped(metrics)
    if last["train_loss"] > math.log(result["unigram_perplexity"]) + DIVERGED:
        rate = f"{settings.learning_rate / 10:g}"
        return f"the loss grew while it learned; a new run at a lower rate: --learning-rate {rate}"
    if losses[-1] == min(losses) and (len(losses) == 1 or losses[-1] < losses[-2] * (1 - FALLING)):
        more, ended = calling.line("train", "--resume", run), result["ended"]
        if ended in ("epochs", "minutes"):
            more += " " + options.command_line({ended: 2 * getattr(settings, ended)}, Settings)
        why = "one epoch is little" if len(losses) == 1 else "the validation loss still fell"
        return f"{why}; train on: {more}"
    if last["valid_loss"] - last["train_loss"] > BY_HEART:
        return (
            f"the training loss is {last['valid_loss'] - last['train_loss']:.1f} nats below the "
            f"validation loss, so the network learns by heart: {more_dropout(settings)}more text"
        )
    if share is not None and share > 0.5:
        rate = f"{settings.learning_rate / 2:g}"
        return f"{share:.0%} of the steps were clipped: --learning-rate {rate}"
    if settings.cell in ("tanh", "sigmoid", "relu"):
        return "a cell that remembers longer: --cell lstm --bias"
    return f"a larger network: --hidden-size {2 * settings.hidden_size}"


def more_dropout(settings: Settings) -> str:
    """The option that hides more states from the output, and ", or "; nothing if it hides most."""
    name = "dropout" if settings.dropout_output is None else "dropout_output"
    p = getattr(settings, name)
    if p >= MOST_DROPOUT:
        return ""
    more = {name: min(MOST_DROPOUT, round(p + 0.2, 2))}
    return f"{options.command_line(more, Settings)}, or "
