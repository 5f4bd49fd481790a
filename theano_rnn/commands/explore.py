"""Write a page that shows backpropagation through time, one step at a time.

It is one file that needs no network: open it in any browser. A tanh network of 1 to 4 units
reads 2 to 8 words. Each click sends the error one step back, and shows every product and every
term of dW; sliders and buttons change the weights, the input, the activation and the truncation.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common.errors import RNNError


def parser() -> calling.Parser:
    p = calling.Parser(
        prog=calling.program("explore"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        default=Path("explore.html"),
        help="where the page is written (%(default)s); an earlier one is replaced",
    )
    return p


def beginning(path: Path) -> str:
    """What stands at the beginning of a file, where the page has its title."""
    with open(path, "rb") as file:
        return file.read(2000).decode("latin-1")


@calling.ends_in_a_line("explore")
def main(argv: Optional[Sequence[str]] = None) -> int:
    output = parser().parse_args(argv).output
    from theano_rnn import explore
    from theano_rnn.common import files

    if output.is_dir():
        raise RNNError(f"{output} is a folder; give a file, as {output / 'explore.html'}")
    if output.exists() and not output.is_file():
        raise RNNError(f"{output} is no file; give another name")
    with files.writing(output):
        if output.exists() and explore.TITLE not in beginning(output):
            raise RNNError(f"{output} is there already and is another file; give another name")
        files.replace(output, explore.page().encode("utf-8"))
    print(f"The page is {output}. Open it in a browser, at this address:")
    print(output.resolve().as_uri())
    return 0
