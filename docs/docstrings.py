"""Docstrings as Markdown, for the API page: what in them is reStructuredText, put otherwise.

A literal block after a lone ``::`` needs no mark in Markdown. A simple table is shown as it stands
in the source, and so is an example that stands before the section of examples.
"""

import re

import griffe

MARK = re.compile(r"^ *::\n", re.MULTILINE)
#: From the first rule of a table to its last: rules and rows, and no empty line between.
RULE = r"=+(?: +=+)+"
TABLE = re.compile(rf"^{RULE}\n(?:.+\n)+?{RULE}\n(?:(?:.+\n)*?{RULE}$)?", re.MULTILINE)
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
EXAMPLES = "Examples\n--------\n"


class Markdown(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_instance(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """A docstring without a lone ``::``, its tables and early examples fenced."""
    text = TABLE.sub(lambda table: f"```text\n{table[0].rstrip()}\n```\n", MARK.sub("", text))
    before, mark, examples = text.partition(EXAMPLES)
    return EXAMPLE.sub(lambda example: f"```pycon\n{example[0]}\n```", before) + mark + examples
