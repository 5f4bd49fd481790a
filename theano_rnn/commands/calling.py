"""Which commands there are, and how the user has called, so that messages name them likewise.

>>> import sys
>>> called, sys.argv = sys.argv, ["scripts/train.py"]
>>> program("train"), line("generate")
('train.py', 'python scripts/generate.py')
>>> sys.argv = ["/usr/bin/theano-rnn"]
>>> program("train"), line("generate")
('theano-rnn train', 'theano-rnn generate')
>>> sys.argv = called
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Optional

#: Before Theano is imported: the wait for the first step is a user's.
START = time.perf_counter()


@dataclass(frozen=True)
class Command:
    """What is known of a command without importing it."""

    summary: str
    script: Optional[str] = None  # its name in scripts/


#: All commands by name.
COMMANDS = {
    "train": Command("train a language model on a text", "train.py"),
    "generate": Command("sample sentences from a trained run", "generate.py"),
    "check": Command("check the gradients: Theano = NumPy = differences", "check_gradients.py"),
    "compare": Command("train the same text with one cell after another", "compare_cells.py"),
    "flow": Command("see how far back a trained run learns, and why", "gradient_flow.py"),
    "tasks": Command("try remedies on tasks whose answer lies far back", "long_term.py"),
    "benchmark": Command("measure speed and memory", "benchmark.py"),
    "doctor": Command("see what Theano found on this machine, and what is missing"),
}

CONSOLE = "theano-rnn"
MODULE = "python -m theano_rnn"


def console() -> str:
    """What comes before the name of a command, where no script is called."""
    path = Path(sys.argv[0])
    is_module = path.name == "__main__.py" and path.parent.name == "theano_rnn"
    return MODULE if is_module else CONSOLE


def program(name: str) -> str:
    """A command as usages and errors call it."""
    script = COMMANDS[name].script
    return script if _is_script() and script is not None else f"{console()} {name}"


def line(name: str) -> str:
    """A command as the user can type it."""
    script = COMMANDS[name].script
    if _is_script() and script is not None:
        return f"python {Path(sys.argv[0]).with_name(script)}"
    return f"{console()} {name}"


def process(name: str) -> list[str]:
    """A command as the arguments of a process of its own, called as this one is.

    ``-m`` has the current folder come first where Python looks for modules, so it is taken only
    where the user took it.
    """
    script, called = COMMANDS[name].script, Path(sys.argv[0])
    if _is_script() and script is not None:
        return [sys.executable, str(called.with_name(script))]
    if called.name == CONSOLE and called.is_file():
        return [sys.executable, str(called), name]
    return [sys.executable, "-m", "theano_rnn", name]


def _is_script() -> bool:
    return Path(sys.argv[0]).name in {command.script for command in COMMANDS.values()}


class Parser(argparse.ArgumentParser):
    """Its errors are one line, as all others are; the usage of many options would hide them."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists all options\n")
