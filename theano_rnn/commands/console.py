"""What the commands print with: one console for results, and plain lines on it."""

from typing import Optional

from rich.console import Console
from rich.table import Table

from theano_rnn.commands.calling import wrapped

CONSOLE = Console(highlight=False)


def say(text: str) -> None:
    """Print a text; brackets in it are no markup. A terminal's lines end between words."""
    if CONSOLE.is_terminal:
        text = wrapped(text, CONSOLE.width)
    say_whole(text)


def say_whole(text: str) -> None:
    """Print a text whose lines may not be broken, such as a command to copy."""
    CONSOLE.print(text, markup=False, soft_wrap=True)


def table(title: str, *headings: str, left: int = 1, note: Optional[str] = None) -> Table:
    """An empty table; the first ``left`` columns are aligned left, the others right."""
    made = Table(title=title, caption=note, title_justify="left", caption_justify="left")
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="left" if i < left else "right")
    return made
