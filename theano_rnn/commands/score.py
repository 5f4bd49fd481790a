"""Print the perplexity of each sentence of a file, and of the whole; lower is better."""

from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("score"), description=__doc__)
    p.add_argument("run", help=f"folder of a run of {calling.program('train')}")
    p.add_argument("file", metavar="FILE", help="a text, read as the run reads its own")
    calling.add_form(p, "of the file")
    return p


@calling.ends_in_a_line("score")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    from theano_rnn.commands.console import say
    from theano_rnn.text.corpus import count_tokens
    from theano_rnn.training import build, evaluation, load
    from theano_rnn.training.evaluation import format_perplexity, perplexity
    from theano_rnn.training.run_folder import Run

    settings = load.load_settings(Run.open(arguments.run))
    model, vocabulary = load.load(arguments.run)
    given = arguments.file, arguments.column, arguments.encoding
    read = build.read_text_of(settings, vocabulary, *given)
    print("perplexity  tokens  sentence")
    total = 0.0
    for sentence, tokens, loss in evaluation.sentence_losses(model, read, settings.stream):
        total += loss
        print(f"{format_perplexity(perplexity(loss / tokens), 1):>10}  {tokens:6}  {sentence}")
    count, tokens = len(read.sentences), count_tokens(read.sequences)
    whole = evaluation.figures("text", perplexity(total / tokens), tokens, read.size)
    say(
        f"The whole: perplexity {format_perplexity(whole['text_perplexity'], 1)} per token, "
        f"{format_perplexity(whole['text_word_perplexity'], 1)} per word, "
        f"{whole['text_bits_per_byte']:.3f} bits per byte (lower is better); {tokens:,} tokens in "
        f"{count:,} sentence{'s' * (count != 1)}, {read.oov_rate:.1%} unknown."
        + f" {evaluation.on_unknown(read.oov_rate)}".rstrip()
    )
    return 0
