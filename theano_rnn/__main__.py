"""``theano-rnn NAME ...`` or ``python -m theano_rnn NAME ...``: run one of the commands."""

import sys
from collections.abc import Sequence
from typing import Optional

from theano_rnn import __version__, commands
from theano_rnn.commands import COMMANDS, calling
from theano_rnn.common.names import did_you_mean


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command that the first argument names; return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    name = given[0] if given else None
    if name in COMMANDS:
        return commands.run(name, given[1:])
    if name == "help" and given[1:] and given[1] in COMMANDS:
        return commands.run(given[1], ["--help"])
    if name == "help" and given[1:] and not given[1].startswith("-") and given[1] != "help":
        name = given[1]
    elif name in ("-h", "--help", "help"):
        return _print(overview())
    elif name in ("-V", "--version"):
        return _print(f"{calling.PROGRAM} {__version__}")
    wrong = "give a command;"
    if name is not None and name.startswith("-"):
        wrong = f"{name.split('=')[0]:.60} stands before any command; {_meant(name)}".rstrip()
    elif name is not None:
        wrong = f"command {name!r:.60} is unknown; {did_you_mean(name, COMMANDS)}".rstrip()
    known = ", ".join(COMMANDS)
    calling.complain(f"{calling.package()}: {wrong} the commands are {known}")
    return 2


def _meant(option: str) -> str:
    """The command that has an option like this one, and the option."""
    for command in COMMANDS:
        known = calling.option_strings(command)
        meant = did_you_mean(option.split("=")[0], known)
        if meant:
            return meant.replace("mean ", f"mean {calling.program(command)} ")
    return ""


def _print(text: str) -> int:
    try:
        print(text, flush=True)
    except OSError as error:
        return calling.output_lost(error, calling.package())
    return 0


def overview() -> str:
    """The text of --help: all commands, with a line for each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {calling.package()} COMMAND ...",
            "",
            "A recurrent language model as a compiled Theano scan graph.",
            "",
            *lines,
            "",
            f"{calling.package()} help COMMAND lists the options of one, -V the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
