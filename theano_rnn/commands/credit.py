"""Compare ways to assign credit through time on a sentence: forward methods, and truncations."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.commands.console import CONSOLE, say
from theano_rnn.common import extras, files
from theano_rnn.common.errors import RNNError


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("credit"), description=__doc__)
    # fmt: off
    p.add_argument("run", help=f"folder of a run of {calling.program('train')}")
    p.add_argument("--methods", metavar="LIST",
                   help="a list such as rtrl,uoro,window:4 (default: rtrl, snap1, uoro, local and "
                   "immediate where they are defined, and window:K, chunk:K, last:K, artbp:K for "
                   "K = 1, 2, 4, ..., artbp from 2 on)")
    p.add_argument("--of", metavar="NAME",
                   help="the parameter whose gradients are compared, such as U (default: the W of "
                   "all layers)")
    p.add_argument("--draws", type=int, default=20, metavar="N",
                   help="draws of each random method (default: 20)")
    p.add_argument("--seed", type=int, default=0, metavar="N",
                   help="draws the signs of uoro and the cuts of artbp (default: 0)")
    calling.add_text(p, "take the sentence from this text (default: the run's validation text)")
    p.add_argument("--sentence", type=int, metavar="N",
                   help="take the N-th sentence (default: the first of 16 to 32 tokens)")
    p.add_argument("--steps", type=int, metavar="N", help="take only its first N tokens")
    p.add_argument("--picture", metavar="FILE", help="write the picture, a PNG, to this file")
    # fmt: on
    return p


@calling.ends_in_a_line("credit")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    from theano_rnn.flow import credit, sentence
    from theano_rnn.flow.report import credit as shown
    from theano_rnn.flow.report import png
    from theano_rnn.flow.words import steps_of
    from theano_rnn.training.load import load, load_settings
    from theano_rnn.training.run_folder import Run

    picture = None if arguments.picture is None else Path(arguments.picture)
    if picture is not None:  # it could be written, before anything is computed
        extras.need("report", "--picture")
        if picture.is_dir():
            raise RNNError(f"{picture} is a folder; give a file, as {picture / 'credit.png'}")
        with files.writing(picture), tempfile.TemporaryFile(dir=picture.parent):
            pass
    model, vocabulary = load(arguments.run)
    settings = load_settings(Run.open(arguments.run))
    calling.check_text(arguments)
    given = arguments.text, arguments.column, arguments.encoding
    sentences = sentence.sentences(vocabulary, settings, *given)
    x, y, number = sentence.choose(
        vocabulary, settings, arguments.text, arguments.sentence, arguments.steps, found=sentences
    )
    say(f"Sentence {number}, {steps_of(len(x))}: {vocabulary.decode([*x, y[-1]])}")
    methods = None if arguments.methods is None else calling.listed(arguments.methods)
    with CONSOLE.status("measuring ..."):
        found = credit(
            model, x, y, methods, name=arguments.of, draws=arguments.draws, seed=arguments.seed
        )
    CONSOLE.print(shown.table(found))
    for name, reason in found.left_out.items():
        say(f"No {name}: {reason}.")
    if picture is not None:
        data = png.png_of(shown.figure(found))
        with files.writing(picture):
            files.replace(picture, data)
        say(f"The picture is {picture}")
    return 0
