"""Search for good settings: train many networks, and prune those that others are better than.

Give ranges of settings; all else is as in train. The same command goes on with a search that was
stopped or killed.
"""

from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common import extras, options
from theano_rnn.search.ranges import WORDS
from theano_rnn.training.recipes import RECIPES
from theano_rnn.training.settings import Settings

EPILOG = """Example: %(prog)s --run runs/search --text novel.txt --hidden-size 200,300
--dropout 0.2..0.6 --optimizer adam --learning-rate 0.001..0.01:log --trials 20. A range is a list,
200,300; or the numbers from one to another, 0.2..0.6; in steps, 100..400:50; or with their
logarithm drawn evenly, 0.001..0.01:log. Of a switch it is yes,no. A file of ranges is a JSON
object of such words, lists and values by setting: {"hidden_size": [200, 300],
"dropout": "0.2..0.6", "cell": "lstm"}.
--threads is 1, as the trials share the cores, and a text cannot be standard input."""


def parser() -> calling.Parser:
    """The options: those of the search, and one for each field of the settings."""
    p = calling.Parser(prog=calling.program("search"), description=__doc__, epilog=EPILOG)
    # fmt: off
    own = p.add_argument_group("search")
    own.add_argument("--run", metavar="DIR", required=True, help="folder of the search; with "
                     "the same folder it goes on")
    own.add_argument("--ranges", metavar="FILE", help="a JSON file of ranges and values; each "
                     "option below replaces one of them")
    own.add_argument("--trials", type=int, default=20, metavar="N", help="how many trials there "
                     "are in the end (default: %(default)s, or fewer if the ranges have no more "
                     "values)")
    own.add_argument("--scheduler", metavar="ADDRESS", help="use the Dask scheduler at this "
                     "address, such as tcp://host:8786, whose workers see the same files "
                     "(default: a cluster on this machine)")
    own.add_argument("--workers", type=int, metavar="N", help="processes of the cluster on this "
                     "machine, of one thread each (default: one per core)")
    own.add_argument("--recipe", choices=list(RECIPES), help="settings that go together; each "
                     "option below replaces one of them")
    # fmt: on
    options.add_options(p, Settings, words=WORDS)
    return p


@calling.ends_in_a_line("search")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    for extra in ("search", "sweep"):
        extras.need(extra, "search")
    from theano_rnn.commands import searching  # here, so that --help does not wait for Theano

    return searching.search(arguments)
