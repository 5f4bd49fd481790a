"""``python -m theano_rnn.engine`` as a command."""

from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.engine import __main__ as engine


def main(argv: Optional[Sequence[str]] = None) -> int:
    return int(engine.main(argv, prog=calling.program("doctor")))
