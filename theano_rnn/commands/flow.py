"""Show how far back the error of a trained run reaches, and why it stops there."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from theano_rnn.commands import calling, flow_torch
from theano_rnn.commands.console import CONSOLE, say


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("flow"), description=__doc__)
    # fmt: off
    p.add_argument("run", nargs="?", help=f"folder of a run of {calling.program('train')}")
    p.add_argument("--demo", action="store_true",
                   help="show the fault of Britz's tutorial, last:4 instead of window:4, and a "
                   "tanh, a ReLU with W = I, a GRU and an LSTM side by side; it needs no run")
    calling.add_text(p, "take the sentence from this text (default: the run's validation text)")
    p.add_argument("--sentence", type=int, metavar="N",
                   help="take the N-th sentence (default: the first of 16 to 32 tokens)")
    p.add_argument("--sentences", type=int, metavar="N",
                   help="base the verdict on N sentences from all parts of the text (default: 50, "
                   "fewer of a wide network), so that it tells how much they differ; 1: on the "
                   "sentence that is shown alone")
    p.add_argument("--steps", type=int, metavar="N",
                   help="take only the first N tokens of each sentence")
    p.add_argument("--lag", type=int, metavar="N",
                   help="show lags of up to N steps (default: the whole sentence)")
    p.add_argument("--cosine", type=float, metavar="X",
                   help="also find the smallest K of window:K and chunk:K from which on the "
                   "truncated gradient has a cosine of at least X with the full one, as in 0.99")
    p.add_argument("--report", metavar="DIR",
                   help="write an interactive report.html and its figures as PNG into this folder")
    # fmt: on
    flow_torch.add_options(p)
    return p


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    p = parser()
    arguments = p.parse_args(argv)
    of_run = "run text column encoding sentence sentences steps lag cosine".split()
    if arguments.demo and any(getattr(arguments, name) is not None for name in of_run):
        p.error("--demo has its own networks and its own sentence; give only --report with it")
    flow_torch.check(p, arguments)
    if not arguments.demo and arguments.torch is None and arguments.run is None:
        p.error("give the folder of a run, --torch FILE, or --demo")
    return arguments


@calling.ends_in_a_line("flow")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    from theano_rnn.flow.report.folder import Report

    report = None if arguments.report is None else Report(arguments.report)
    try:
        if arguments.torch is not None:
            page = flow_torch.show_torch(report, arguments, show)
        else:
            page = show_demo(report) if arguments.demo else show_run(report, arguments)
    finally:
        if report is not None:
            report.discard()
    if page is not None:
        say(f"The report is {page}")
    return 0


def show_run(report: Any, arguments: argparse.Namespace) -> Optional[Path]:
    """Print the flow of a run on a sentence; return the path of the report, if there is one."""
    from theano_rnn.flow import Flow, Sample, sentence
    from theano_rnn.flow.findings import measure
    from theano_rnn.flow.words import steps_of
    from theano_rnn.training.adaptive import LONGEST, Adaptive
    from theano_rnn.training.load import load, load_settings
    from theano_rnn.training.run_folder import Run

    calling.check_text(arguments)
    model, vocabulary = load(arguments.run)
    run = Run.open(arguments.run)
    settings = load_settings(run)
    if isinstance(settings.cut, Adaptive):  # the last epoch had one K
        chosen = [record["K"] for record in run.metrics() if "K" in record]
        cut = f"{settings.cut.of(settings.stream)}:{[LONGEST, *chosen][-1]}"
        settings = dataclasses.replace(settings, truncation=cut)
    count = arguments.sentences
    given = arguments.text, arguments.column, arguments.encoding
    found = sentence.sentences(vocabulary, settings, *given)
    x, y, number = sentence.choose(
        vocabulary, settings, arguments.text, arguments.sentence, arguments.steps, arguments.lag,
        found,
    )  # fmt: skip
    words, targets = sentence.axis_labels(vocabulary, x), sentence.axis_labels(vocabulary, y)
    say(f"Sentence {number}, {steps_of(len(x))}: {vocabulary.decode([*x, y[-1]])}")
    with CONSOLE.status("measuring ..."):
        flow = Flow(model, x, y)
        texts = [] if count == 1 else sentence.sample(found, flow.S, count, arguments.steps)
        several = Sample(model, texts) if len(texts) > 1 else None
        measured = measure(
            flow, words, targets, str(arguments.run), truncation=settings.truncation,
            lags=arguments.lag, settings=settings, wanted=arguments.cosine, sample=several,
        )  # fmt: skip
    show(measured)
    return None if report is None else report.write(measured)


def show_demo(report: Any) -> Optional[Path]:
    from theano_rnn.flow import demo
    from theano_rnn.flow.report import terminal

    with CONSOLE.status("measuring ..."):
        several = demo.findings()
    for found in several:
        say(terminal.heat_map(found, CONSOLE.width, ramp()))
        say("\n".join(terminal.verdict_lines(found)) + "\n")
    tanh = several[0]
    K = tanh.K.index(4)
    say(
        "The fault of Britz's tutorial: its NumPy code is window:4, its Theano code last:4. The "
        f"cosine of dE/dW with the full one is {tanh.cosines['window'][K]:.3f} with window:4 and "
        f"{tanh.cosines['last'][K]:.3f} with last:4.",
    )
    CONSOLE.print(terminal.side_by_side(several))
    return None if report is None else report.write_demo(several)


def show(found: Any) -> None:
    from theano_rnn.flow.report import terminal

    say(terminal.heat_map(found, CONSOLE.width, ramp()))
    CONSOLE.print(terminal.table_by_lag(found))
    CONSOLE.print(terminal.table_of_truncation(found))
    say("\n".join(terminal.saturation_lines(found)))
    say("\n".join(terminal.verdict_lines(found)))
    for line in terminal.smallest_K_lines(found):
        say(line)


def ramp() -> str:
    """The characters of a heat map, in an encoding that the terminal has."""
    from theano_rnn.flow.report import terminal

    return terminal.RAMP if CONSOLE.encoding.startswith("utf") else terminal.ASCII_RAMP
