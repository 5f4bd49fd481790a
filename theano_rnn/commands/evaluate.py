"""Judge the best model of a run on its test text, or on another one, beside n-gram models."""

import dataclasses
from collections.abc import Sequence
from typing import Optional

from theano_rnn.commands import calling
from theano_rnn.common import options
from theano_rnn.common.errors import RNNError
from theano_rnn.training.settings import Settings


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("evaluate"), description=__doc__)
    p.add_argument("run", help=f"folder of a run of {calling.program('train')}")
    calling.add_text(
        p,
        "judge on this text, and write nothing (default: on the run's test text, and result.json, "
        "samples.txt and loss.png are written anew)",
    )
    known = {field.name: field for field in dataclasses.fields(Settings)}
    for name, steps in (("dynamic", "SGD"), ("dynamic_rms", "RMS-scaled steps")):
        rate = known[name].metadata["option"]
        p.add_argument(
            options.option(name), type=float, metavar="X", **rate,
            help=f"also judge a copy that keeps learning from the text, by {steps}, at this rate; "
            f"see the option of {calling.program('train')} (default: as the run has it)",
        )  # fmt: skip
    return p


@calling.ends_in_a_line("evaluate")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parser().parse_args(argv)
    from theano_rnn.commands import training
    from theano_rnn.commands.console import CONSOLE, say
    from theano_rnn.text.reading import STANDARD_INPUT
    from theano_rnn.training import build, result
    from theano_rnn.training.load import load, load_settings
    from theano_rnn.training.run_folder import Run
    from theano_rnn.training.state import check_text, first_state, state_of

    calling.check_text(arguments)
    run = Run.open(arguments.run)
    rates = {name: getattr(arguments, name) for name in ("dynamic", "dynamic_rms")}
    given_rates = {name: rate or None for name, rate in rates.items() if rate is not None}
    settings = load_settings(run, **given_rates)
    texts = [settings.text] if isinstance(settings.text, str) else settings.text or ()
    if arguments.text == STANDARD_INPUT and STANDARD_INPUT in texts:
        raise RNNError(
            "the text of the run came from standard input, and is read from there again; give the "
            "other text as a file"
        )
    model, vocabulary = load(run.folder)
    try:
        corpus = build.build_corpus(settings)
    except RNNError as error:
        raise RNNError(
            f"evaluate fits the n-gram models to the text of the run, and {error}; restore it, or "
            "use score, which needs no text of the run"
        ) from None
    state = state_of(run.last()[1])
    check_text(state, first_state(settings, corpus), run)
    if arguments.text is None:
        with run.locked(), CONSOLE.status("Judging ..."):
            found = result.judge(settings, run, corpus, model, state)
        training.show_run(found, settings, run)
        return 0
    given = arguments.text, arguments.column, arguments.encoding
    read = build.read_text_of(settings, vocabulary, *given)
    other = dataclasses.replace(
        corpus,
        test=read.sequences,
        oov_rate=read.oov_rate,
        sizes={**corpus.sizes, "test": read.size},
        has_test=True,
    )
    with CONSOLE.status("Judging on the text ..."):
        found = result.judge(settings, run, other, model, state, write=False)
    say(f"The test text is {arguments.text}.")
    training.show(found)
    return 0
