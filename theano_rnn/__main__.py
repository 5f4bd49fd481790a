"""``theano-rnn NAME ...`` or ``python -m theano_rnn NAME ...``: run one of the commands."""

import sys
from collections.abc import Sequence
from typing import Optional

from theano_rnn import __version__, commands
from theano_rnn.commands import COMMANDS, calling


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command that the first argument names; return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    name = given[0] if given else None
    if name in COMMANDS:
        return commands.run(name, given[1:])
    if name in ("-h", "--help"):
        print(overview())
        return 0
    if name == "--version":
        print(f"{calling.PROGRAM} {__version__}")
        return 0
    known = ", ".join(COMMANDS)
    wrong = "give a command" if name is None else f"command {name!r} is unknown"
    print(f"{calling.package()}: {wrong}; the commands are {known}", file=sys.stderr)
    return 2


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
            f"{calling.package()} COMMAND --help lists the options of one, --version the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
