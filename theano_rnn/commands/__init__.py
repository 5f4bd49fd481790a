"""The commands, each a module with ``main(argv)``: the only ones that print.

``theano-rnn NAME``, ``python -m theano_rnn NAME`` and the script of a command in ``scripts/`` run
the same code. Only the command that the user calls is imported.

``calling``    which commands there are, how the user called this one, and how a command ends
``console``    what the commands print with
``training``   what ``train`` does once its options are read
``progress``   what it shows while it runs
``next_step``  what to try next, where an n-gram model beats the network
``searching``  what ``search`` does once its options are read
``trials``     what the commands show that run many trials
``flow_torch`` the options and the output of ``flow --torch``
"""

import importlib
import io
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Optional, Union

from theano_rnn.commands.calling import COMMANDS, complain, program
from theano_rnn.common import process
from theano_rnn.common.errors import RNNError, RNNWarning

__all__ = ["COMMANDS", "run"]


def run(name: str, argv: Optional[Sequence[str]] = None) -> int:
    """Import a command and run it; return its exit code.

    Parameters
    ----------
    name : str
        One of ``COMMANDS``.
    argv : sequence of str, optional
        The arguments after the name; by default those of this process.

    Returns
    -------
    int
        0 for success, 1 if the output cannot be written or a package is missing, 2 for bad input,
        130 for Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that it cannot write becomes "?"
    _show_warnings(name)
    try:
        if name != "doctor":  # which tells by itself
            process.check()
        command = importlib.import_module(f"theano_rnn.commands.{name}")
    except RNNError as error:  # the compile cache cannot be written
        complain(f"{program(name)}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        return _not_installed(name, error)
    try:
        return int(command.main(sys.argv[1:] if argv is None else argv))
    except ModuleNotFoundError as error:
        return _not_installed(name, error)


def _not_installed(name: str, error: ModuleNotFoundError) -> int:
    """Say in a line that this Python lacks a package, as where no environment is active."""
    if error.name is None or error.name.startswith(__package__.partition(".")[0] + "."):
        raise error
    complain(
        f"{program(name)}: {error.name} is not installed for {sys.executable}; activate the "
        "environment (make environment, then: . .venv/bin/activate), or: pip install ."
    )
    return 1


def _show_warnings(name: str) -> None:
    """From now on, show warnings of this package as errors are shown: in a line."""
    before = warnings.showwarning

    def show(message: Union[Warning, str], category: type[Warning], *where: Any) -> None:
        if issubclass(category, RNNWarning):
            complain(f"{program(name)}: warning: {message}")
        else:
            before(message, category, *where)

    warnings.showwarning = show  # type: ignore[assignment]
