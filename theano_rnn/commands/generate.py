"""Draw text from a trained run: sentences, or with --length a text that goes on."""

import sys
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common.errors import RNNError

#: Characters of a text where neither --length nor --count is given, and the run reads a stream.
LENGTH = 600


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("generate"), description=__doc__)
    # fmt: off
    p.add_argument("run", help=f"folder of a run of {calling.program('train')}")
    p.add_argument("--length", type=int, metavar="N",
                   help="draw N tokens after the prime, past the ends of sentences and lines "
                   f"(default: sentences; {LENGTH} without --count for a run that reads "
                   "characters as a stream)")
    p.add_argument("--count", type=int, metavar="N",
                   help="number of sentences (default: 10), or of texts (default: 1)")
    p.add_argument("--prime", metavar="TEXT",
                   help="the beginning of each text, in tokens of the run's vocabulary")
    p.add_argument("--prime-file", metavar="FILE",
                   help="a UTF-8 file with the beginning of each text; - is standard input")
    p.add_argument("--skip-unknown", action="store_true",
                   help="leave out what the prime has and the vocabulary has not")
    p.add_argument("--temperature", type=float, default=1.0, metavar="X",
                   help="below 1 safer and more repetitive, above 1 wilder; 0 always takes the "
                   "most likely token (default: %(default)s)")
    p.add_argument("--top-k", type=int, metavar="K",
                   help="draw only from the K most likely tokens")
    p.add_argument("--top-p", type=float, metavar="P",
                   help="draw only from the most likely tokens that together have probability P")
    p.add_argument("--seed", type=int, default=0, metavar="N",
                   help="the same seed draws the same (default: %(default)s)")
    # fmt: on
    return p


@calling.ends_in_a_line("generate")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    if arguments.prime is not None and arguments.prime_file is not None:
        raise RNNError("give --prime or --prime-file, not both")
    from theano_rnn.training import load, run_folder, sampling

    model, vocabulary = load.load(arguments.run)
    settings = load.load_settings(run_folder.Run.open(arguments.run))
    prime = arguments.prime or ""
    if arguments.prime_file is not None:
        prime = _read(arguments.prime_file)
    length, count = arguments.length, arguments.count
    if length is None and count is None and sampling.is_running_text(settings):
        length = LENGTH
    texts = sampling.texts(
        model,
        vocabulary,
        prime=prime,
        skip_unknown=arguments.skip_unknown,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        count=count if count is not None else 10 if length is None else 1,
        seed=arguments.seed,
        length=length,
        carry=settings.stream,
    )
    skipped = sampling.unknown_tokens(vocabulary, prime)
    if skipped:
        names = ", ".join(map(repr, skipped[:5]))
        print(f"{calling.program('generate')}: left out of the prime: {names}", file=sys.stderr)
    for pieces in texts:
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    return 0


def _read(path: str) -> str:
    """The text of a prime file; RNNError if it cannot be read."""
    from theano_rnn.common import files

    try:
        data = (
            files.read_stream(sys.stdin.buffer, files.SMALL)
            if path == "-"
            else files.read(path, files.SMALL)
        )
        return data.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise RNNError(f"the prime file {path} cannot be read: {files.reason(error)}") from None
    except ValueError as error:
        raise RNNError(f"the prime file {path} is not UTF-8: {error}; convert it") from None
