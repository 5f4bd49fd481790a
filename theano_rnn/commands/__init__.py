"""The commands, each a module with ``main(argv)``: the only ones that print.

``theano-rnn NAME``, ``python -m theano_rnn NAME`` and the script of that command in ``scripts/``
are the same code. A command is imported when it is called for, and no other.

``calling``  which commands there are, and how the user has called
"""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands.calling import COMMANDS, program
from theano_rnn.common.errors import RNNError

__all__ = ["COMMANDS", "run"]


def run(name: str, argv: Optional[Sequence[str]] = None) -> int:
    """Import a command and run it.

    Parameters
    ----------
    name : str
        One of ``COMMANDS``.
    argv : sequence of str, optional
        What follows the name; that of this process where not given.

    Returns
    -------
    int
        The exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what it cannot write is no reason to end
    try:
        command = importlib.import_module(f"theano_rnn.commands.{name}")
    except RNNError as error:  # Theano has no folder for what it compiles
        print(f"{program(name)}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return int(command.main(sys.argv[1:] if argv is None else argv))
