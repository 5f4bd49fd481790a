"""``flow --torch``: the gradient flow of a PyTorch module."""

import argparse
from pathlib import Path
from typing import Any, Optional

from theano_rnn.commands.console import CONSOLE, say
from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError

#: The options of ``add_options`` but --torch, each of which needs it.
OPTIONS = ("inputs", "targets", "loss_gradient", "names", "cell")


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a PyTorch module instead of a run")
    # fmt: off
    group.add_argument("--torch", metavar="FILE",
                       help="safetensors file with the state of an nn.RNN, nn.GRU or nn.LSTM, "
                       "alone or with an nn.Embedding before and an nn.Linear after it")
    group.add_argument("--inputs", metavar="X.npy",
                       help="one sequence: real numbers (T, n), or token ids (T,); or several, "
                       "(N, T, n) or (N, T) (default: random)")
    group.add_argument("--targets", metavar="Y.npy",
                       help="the wanted output of the nn.Linear at each step, (T,) or (N, T): the "
                       "loss is the cross-entropy (default for tokens: the next one)")
    group.add_argument("--loss-gradient", metavar="E.npy",
                       help="dE_t/ds_t of any loss, (T, H) or (N, T, H) (default where there "
                       "is no other loss: random directions)")
    group.add_argument("--names", metavar="NAMES",
                       help="prefix of the names to read, where the file holds other things too; "
                       "or THEIRS=OURS,..., as in net.core=rnn,net.head=decoder")
    group.add_argument("--cell", metavar="CELL", help="relu for an nn.RNN with that nonlinearity")
    # fmt: on


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a message if the options of a module are mixed with those of a run."""
    if arguments.torch is None:
        if any(getattr(arguments, name) is not None for name in OPTIONS):
            parser.error("--inputs, --targets, --loss-gradient, --names, --cell need --torch FILE")
        return
    others = ["--demo"] if arguments.demo else []
    for name in ("run", "text", "column", "encoding", "sentence", "sentences"):
        if getattr(arguments, name) is not None:
            others.append("the run" if name == "run" else f"--{name}")
    if others:
        parser.error(f"--torch takes a file and --inputs; leave out {', '.join(others)}")


def show_torch(report: Any, arguments: argparse.Namespace, show: Any) -> Optional[Path]:
    """Print the flow of a PyTorch module; return the path of the report, if there is one."""
    from theano_rnn.flow import Flow, Sample
    from theano_rnn.flow.findings import measure
    from theano_rnn.flow.of_torch import is_batch, network_of, of_torch, several_of_torch
    from theano_rnn.flow.sentence import affordable
    from theano_rnn.interop import npz

    files = arguments.inputs, arguments.targets, arguments.loss_gradient
    given = [None if path is None else npz.load_one(path) for path in files]
    network = network_of(arguments.torch, arguments.cell, names(arguments.names))
    if is_batch(given[0], network):
        sequences = several_of_torch(network, *given)
    else:
        sequences = [of_torch(network, *given)]
    if arguments.steps is not None:
        steps = validation.whole_number(arguments.steps, "--steps", at_least=1)
        sequences = [_first(each, steps) for each in sequences]
    found, lag = sequences[0], arguments.lag
    if lag is not None and validation.whole_number(lag, "--lag", at_least=1) > len(found.x) - 1:
        raise RNNError(f"lag {lag} needs {lag + 1} steps, and the inputs have {len(found.x)}")
    with CONSOLE.status("measuring ..."):
        flow = Flow(network, found.x, found.y, loss_gradient=found.loss_gradient)
        measured_ones = sequences[: affordable(flow.T, flow.S)]
        measured = measure(
            flow, *flow.labels(), arguments.torch, lags=lag, wanted=arguments.cosine,
            sample=Sample.of(measured_ones) if len(measured_ones) > 1 else None,
        )  # fmt: skip
    a, outputs = flow.architecture, len(network.arrays["V"])
    read = f"{a.embedding_size}" if flow.reads_tokens and a.embedding_size else "one-hot"
    reads = f"tokens ({read})" if flow.reads_tokens else f"vectors of {a.embedding_size} numbers"
    say(
        f"{arguments.torch}: {a.cell}, {a.layers} layer{'s' * (a.layers > 1)} of {flow.H} units, "
        f"reads {reads}, {outputs or 'no'} outputs; {flow.T} steps"
    )
    if len(sequences) > 1:
        most, N = len(measured_ones), len(sequences)
        say(
            f"The inputs are {N} sequences of {flow.T} steps: the first is shown, the verdict is "
            f"on {'all' if most == N else 'the first'} {most}."
        )
    for line in found.assumed:
        say(f"{line[0].upper()}{line[1:]}.")
    show(measured)
    return None if report is None else report.write(measured)


def _first(each: Any, steps: int) -> Any:
    """The first steps of a sequence."""
    x, y, e = (a if a is None else a[:steps] for a in (each.x, each.y, each.loss_gradient))
    return each._replace(x=x, y=y, loss_gradient=e)


def names(given: Optional[str]) -> Any:
    """The option --names: None, a prefix, or a dict.

    >>> names("net.core"), names("net.core=rnn,net.head=decoder")
    ('net.core', {'net.core': 'rnn', 'net.head': 'decoder'})
    """
    if given is None or "=" not in given:
        return given
    pairs = [pair.partition("=") for pair in given.split(",")]
    return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}
