"""What the commands print with: one console for results, and plain lines on it."""

import textwrap
from typing import Optional

from rich.console import Console
from rich.table import Table

CONSOLE = Console(highlight=False)


def say(text: str) -> None:
    """Print a text; brackets in it are no markup. A terminal's lines end between words."""
    if CONSOLE.is_terminal:
        text = "\n".join(_wrapped(line, CONSOLE.width) for line in text.split("\n"))
    CONSOLE.print(text, markup=False, soft_wrap=True)


def table(title: str, *headings: str, left: int = 1, note: Optional[str] = None) -> Table:
    """An empty table; the first ``left`` columns are aligned left, the others right."""
    made = Table(title=title, caption=note, title_justify="left", caption_justify="left")
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="left" if i < left else "right")
    return made


def _wrapped(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
