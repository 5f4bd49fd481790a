"""Train a recurrent language model on a text; write everything to a run folder."""

import argparse
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common import options
from theano_rnn.training.recipes import RECIPES, SUMMARIES
from theano_rnn.training.settings import Settings

EPILOG = """Example: %(prog)s --text novel.txt --cell gru --embedding-size 100 --batch-size 16.
Without --text or --train the text is the English in Python's own documentation on
this machine: the language reference and the docstrings of the standard library.

For a text of yours, options that are not given are chosen to fit it, and printed: those of
--recipe characters with --level char, else of --recipe words; for a long text fewer epochs, and by
characters one larger layer."""


def parser(settings: type[Settings] = Settings) -> argparse.ArgumentParser:
    """The options: one for each field of the settings, and those of the run folder."""
    p = calling.Parser(prog=calling.program("train"), description=__doc__, epilog=EPILOG)
    run = p.add_argument_group("run folder and recipe")
    run.add_argument(
        "--run",
        metavar="DIR",
        help="folder for the results; it must not exist yet (default: runs/ and the time)",
    )
    run.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the run in this folder from its last checkpoint, with its settings; "
        "--epochs, --minutes, --patience, --learning-rate and its schedule, --clip, --dropout and "
        "its kinds, --state-reset, --on-nonfinite and the options of the group run may be "
        "changed, and the --text may have moved",
    )
    run.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="fine-tune: a new run with the parameters and settings of the run in this folder, on "
        "another --text; tokens are matched by name",
    )
    run.add_argument(
        "--recipe",
        choices=list(RECIPES),
        help="settings that go together; each option below replaces one of them. "
        + "; ".join(f"{name}: {summary}" for name, summary in SUMMARIES.items()),
    )
    options.add_options(p, settings)
    return p


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Options that were not given are None, so that --resume can tell."""
    return parser().parse_args(argv)


@calling.ends_in_a_line("train")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    from theano_rnn.commands import (  # here, so that --help does not wait for Theano
        progress,
        training,
    )
    from theano_rnn.commands.console import say

    try:
        with training.opened(arguments) as made:
            return training.train(made, progress.Display())
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
