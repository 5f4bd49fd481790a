"""Draw text from a trained run: sentences, or with --length a text that goes on."""

import sys
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common import files
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
                   help="a file with the beginning of each text; - is standard input")
    p.add_argument("--encoding", metavar="NAME",
                   help="of the --prime-file, as Python names it (default: the run's)")
    p.add_argument("--skip-unknown", action="store_true",
                   help="drop tokens of the prime that are not in the vocabulary")
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
    if arguments.encoding is not None and arguments.prime_file is None:
        raise RNNError("--encoding is that of --prime-file FILE; give both")
    from theano_rnn.text import reading
    from theano_rnn.training import load, run_folder, sampling

    model, vocabulary = load.load(arguments.run)
    settings = load.load_settings(run_folder.Run.open(arguments.run))
    prime = arguments.prime or ""
    if arguments.prime_file is not None:
        encoding = arguments.encoding or settings.encoding
        prime = reading.read_whole(arguments.prime_file, encoding=encoding, most=files.SMALL)
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
        sentences=settings.sentences,
    )
    skipped = sampling.unknown_tokens(vocabulary, prime, settings.sentences)
    if skipped:
        names = ", ".join(map(repr, skipped[:5]))
        print(f"{calling.program('generate')}: left out of the prime: {names}", file=sys.stderr)
    for pieces in texts:
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    return 0
