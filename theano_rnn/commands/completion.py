"""Print what makes a shell complete the commands and their options.

bash: theano-rnn completion bash > ~/.local/share/bash-completion/completions/theano-rnn
zsh:  theano-rnn completion zsh > a folder of $fpath, as _theano-rnn
tcsh: theano-rnn completion tcsh, sourced by ~/.tcshrc
"""

import argparse
import importlib
from collections.abc import Sequence
from typing import Optional

import shtab

from theano_rnn.commands import calling
from theano_rnn.search.ranges import SEARCHED


def parser() -> calling.Parser:
    p = calling.Parser(
        prog=calling.program("completion"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="which one reads it")
    return p


@calling.ends_in_a_line("completion")
def main(argv: Optional[Sequence[str]] = None) -> int:
    shell = parser().parse_args(argv).shell
    print(shtab.complete(everything(), shell=shell))
    return 0


def everything() -> argparse.ArgumentParser:
    """All commands in one parser."""
    whole = argparse.ArgumentParser(prog=calling.PROGRAM, description="A recurrent language model")
    whole.add_argument("-V", "--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, command in calling.COMMANDS.items():
        of_command = importlib.import_module(f"theano_rnn.commands.{name}").parser()
        for action in of_command._actions:
            if action.metavar in ("FILE", "GRID.json"):
                action.complete = shtab.FILE
            elif action.metavar == "DIR" or action.dest == "run":
                action.complete = shtab.DIRECTORY
            elif name == "search" and action.dest in SEARCHED and "|" in str(action.metavar):
                action.choices = str(action.metavar).split("|")
        commands.add_parser(name, parents=[of_command], add_help=False, help=command.summary)
    of_help = commands.add_parser("help", add_help=False, help="list the options of a command")
    of_help.add_argument("command", choices=list(calling.COMMANDS))
    return whole
