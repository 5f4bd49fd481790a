"""Sample sentences from a trained run."""

import argparse
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    p = calling.Parser(prog=calling.program("generate"), description=__doc__)
    # fmt: off
    p.add_argument("run", help=f"folder of a run of {calling.program('train')}")
    p.add_argument("--prime", default="", metavar="TEXT",
                   help="the beginning of each sentence, in words of the run's vocabulary")
    p.add_argument("--temperature", type=float, default=1.0, metavar="X",
                   help="below 1 safer and more repetitive, above 1 wilder (default: %(default)s)")
    p.add_argument("--count", type=int, default=10, metavar="N",
                   help="number of sentences (default: %(default)s)")
    p.add_argument("--seed", type=int, default=0, metavar="N",
                   help="the same seed draws the same (default: %(default)s)")
    # fmt: on
    return p.parse_args(argv)


@calling.ends_in_a_line("generate")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    from theano_rnn.training.load import load
    from theano_rnn.training.sampling import generate

    model, vocabulary = load(arguments.run)
    for sentence in generate(
        model,
        vocabulary,
        prime=arguments.prime,
        temperature=arguments.temperature,
        count=arguments.count,
        seed=arguments.seed,
    ):
        print(sentence)
    return 0
