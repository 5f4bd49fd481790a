"""What the commands show that run many trials on a cluster."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from theano_rnn.commands.console import CONSOLE
from theano_rnn.studies import cluster

if TYPE_CHECKING:
    from distributed import Client


def workers_of(client: "Client") -> str:
    """How many trials run at once."""
    count = cluster.threads(client)
    are = "worker" if count == 1 else "workers"
    return f"{count} {are}" if count else "The scheduler has no workers yet; waiting"


@contextlib.contextmanager
def trials_bar(total: int, done: int = 0) -> Iterator[Callable[[], None]]:
    """A bar of trials; what the block gets is called after each."""
    progress = Progress(
        TextColumn("trials"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(),
        console=CONSOLE,
    )  # fmt: skip
    with progress:
        bar = progress.add_task("", total=total, completed=done)
        yield lambda: progress.advance(bar)
