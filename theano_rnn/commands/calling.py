"""Which commands there are, how the user called this one, and how a command ends.

Messages name a command as the user called it:

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
import contextlib
import errno
import functools
import importlib
import os
import re
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, NoReturn, Optional

from theano_rnn.common.errors import RNNError
from theano_rnn.common.names import did_you_mean

#: When the user began to wait for the first step: before Theano is imported.
START = time.perf_counter()


@dataclass(frozen=True)
class Command:
    """What the overview shows of a command, without importing it."""

    summary: str
    script: Optional[str] = None  # in scripts/


#: All commands by name.
COMMANDS = {
    "train": Command("train a language model on a text", "train.py"),
    "generate": Command("draw text from a trained run", "generate.py"),
    "score": Command("the perplexity of each sentence of a file", "score.py"),
    "evaluate": Command("judge a run on its test text, or on another one", "evaluate.py"),
    "check": Command("check the gradients: Theano = NumPy = differences", "check_gradients.py"),
    "search": Command("search for good settings by many trainings, on Dask", "search.py"),
    "compare": Command("train the same text with one cell after another", "compare_cells.py"),
    "flow": Command("see how far back a trained run learns, and why", "gradient_flow.py"),
    "credit": Command("compare ways to assign credit through time", "credit.py"),
    "explore": Command("write a page that shows each step of the gradient", "explore.py"),
    "tasks": Command("try remedies on tasks whose answer lies far back", "long_term.py"),
    "benchmark": Command("measure speed and memory", "benchmark.py"),
    "doctor": Command("see what Theano found on this machine, and what is missing"),
    "completion": Command("print what makes a shell complete commands and options"),
}

PROGRAM = "theano-rnn"


def package() -> str:
    """The package as the user called it, without a command: "theano-rnn" if by a script."""
    path = Path(sys.argv[0])
    is_module = path.name == "__main__.py" and path.parent.name == "theano_rnn"
    return "python -m theano_rnn" if is_module else PROGRAM


def program(name: str) -> str:
    """The name of a command for its usage and its errors."""
    script = _script(name)
    return f"{package()} {name}" if script is None else script.name


def line(name: str, *words: object) -> str:
    """A command that the user can type, and words after it, quoted where they need it."""
    script = _script(name)
    command = f"{package()} {name}" if script is None else f"python {script}"
    return " ".join([command, *(shlex.quote(str(word)) for word in words)])


def process(name: str) -> list[str]:
    """The arguments that start a command in a process of its own, the way this one was started.

    ``-m`` puts the current folder first on Python's path, so it is used only if the user did, or
    if there is no other way.
    """
    script, called = _script(name), Path(sys.argv[0])
    if script is not None:
        return [sys.executable, str(script)]
    if called.name == PROGRAM and called.is_file():
        return [sys.executable, str(called), name]
    return [sys.executable, "-m", "theano_rnn", name]


def _script(name: str) -> Optional[Path]:
    """The script of a command beside the script that was called; None if none was called."""
    called, script = Path(sys.argv[0]), COMMANDS[name].script
    is_script = called.name in {command.script for command in COMMANDS.values()}
    return called.with_name(script) if is_script and script is not None else None


def option_strings(name: str) -> list[str]:
    """The options of a command, as its --help lists them."""
    parser = importlib.import_module(f"theano_rnn.commands.{name}").parser()
    return [option for action in parser._actions for option in action.option_strings]


def as_options(message: str, name: str) -> str:
    """A message on arguments of Python, on the command's options.

    The first word and values such as ``tied=False`` become options; others may be names in a file.

    >>> as_options("top_k must be 1 or more, not 0", "generate")
    '--top-k must be 1 or more, not 0'
    >>> as_options("leave them out with skip_unknown=True", "generate")
    'leave them out with --skip-unknown'
    >>> as_options("tied needs V = U'; set embedding_size=100, or tied=False", "train")
    "--tied needs V = U'; set --embedding-size 100, or --no-tied"
    """

    def option(match: "re.Match[str]") -> str:
        word, value = match["first"] or match["set"], match["value"]
        no = "no_" * (value == "False")
        wanted = "--" + (no + word).replace("_", "-")
        number = "" if value in (None, "True", "False") else f" {value}"
        return wanted + number if wanted in option_strings(name) else match[0]

    return re.sub(
        r"^(?P<first>[a-z][a-z_]+)\b(?= )"
        r"|\b(?P<set>[a-z]\w*)=(?P<value>True|False|\d+(\.\d+)?)\b",
        option,
        message,
    )


def complain(message: str) -> None:
    """Write a line on standard error, wrapped between words where that is a terminal."""
    if sys.stderr.isatty():
        message = wrapped(message, shutil.get_terminal_size().columns)
    print(message, file=sys.stderr)


def wrapped(text: str, width: int) -> str:
    """The lines of a text, broken between words; what is indented stays so."""
    return "\n".join(
        textwrap.fill(
            line,
            width,
            subsequent_indent=line[: len(line) - len(line.lstrip())],
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


#: The errors of a standard output that is closed, full or broken.
UNWRITABLE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENXIO}

Main = Callable[[Optional[Sequence[str]]], int]


def ends_in_a_line(name: str) -> Callable[[Main], Main]:
    """Decorate a command's ``main``: bad input is one line on standard error and exit code 2.

    Ctrl-C is exit code 130, and output that cannot be written 1, see ``output_lost``.
    """

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def command(argv: Optional[Sequence[str]] = None) -> int:
            try:
                try:
                    return main(argv)
                finally:
                    sys.stdout.flush()  # an error shows here, not when the interpreter ends
            except RNNError as error:
                complain(f"{program(name)}: {as_options(str(error), name)}")
                return 2
            except KeyboardInterrupt:
                return 130
            except OSError as error:
                return output_lost(error, program(name))

        return command

    return decorate


def output_lost(error: OSError, who: str) -> int:
    """Say in a line why the output cannot be written; raise an error of anything else again.

    There is no line where the reader has left, as in ``| head -1``.

    Returns
    -------
    int
        The exit code.
    """
    if error.filename is not None or error.errno not in UNWRITABLE:
        raise error
    if error.errno != errno.EPIPE:
        print(f"{who}: the output cannot be written: {error.strerror}", file=sys.stderr)
    with contextlib.suppress(OSError):  # of an output that is no file
        # The interpreter would try once more to write what is left.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return 1


def add_text(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the options of another text than the run's: ``--text``, ``--column``, ``--encoding``."""
    parser.add_argument("--text", metavar="FILE", help=what)
    add_form(parser, "of the --text")


def add_form(parser: argparse.ArgumentParser, of: str) -> None:
    """Add the options that say how a text is read: ``--column`` and ``--encoding``."""
    of_csv = "the column of a CSV file that has the text (default: the run's)"
    parser.add_argument("--column", metavar="NAME", help=of_csv)
    named = f"{of}, as Python names it (default: the run's)"
    parser.add_argument("--encoding", metavar="NAME", help=named)


def check_text(arguments: argparse.Namespace) -> None:
    """Refuse ``--column`` and ``--encoding`` without a ``--text``."""
    for name in ("column", "encoding"):
        if getattr(arguments, name) is not None and arguments.text is None:
            raise RNNError(f"--{name} is that of --text FILE; give both")


def listed(text: str) -> list[str]:
    """The parts of a list with commas.

    >>> listed("tanh, gru")
    ['tanh', 'gru']
    """
    return [part.strip() for part in text.split(",")]


class Parser(argparse.ArgumentParser):
    """A parser of whole options, whose errors are one line: all usage would hide them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        message = message if message.endswith("?") else f"{message};"
        complain(f"{self.prog}: {message} {self.prog} --help lists all options")
        self.exit(2)

    def parse_args(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, namespace: Optional[argparse.Namespace] = None
    ) -> argparse.Namespace:
        found, others = self.parse_known_args(args, namespace)
        if others:
            option = others[0].split("=")[0]
            if not option.startswith("-"):
                self.error(f"argument {option!r:.60} is one too many")
            known = [name for action in self._actions for name in action.option_strings]
            meant = did_you_mean(option, known)
            self.error(f"{option:.60} is unknown{meant and f'; {meant}'}")
        return found

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            kinds: dict[object, str] = {int: "a whole number", float: "a number"}
            kind = kinds.get(action.type)
            if kind is None:
                raise
            must = f"{_name(action)} must be {kind}, not {arg_string!r:.60}"
            raise argparse.ArgumentError(None, must) from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            meant = did_you_mean(str(value), choices)
            text = f"{_name(action)} {value!r:.60} is unknown; "
            raise argparse.ArgumentError(None, text + (meant or f"use {', '.join(choices)}"))


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else str(action.dest)
