"""What is measured: each section a function of the settings, returning rows for JSON."""

import contextlib
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from theano_rnn import RNN
from theano_rnn.benchmark.child import Spec
from theano_rnn.benchmark.programs import Program, ProgramError, milliseconds, ratio, spread
from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, Record
from theano_rnn.engine.blas import usable_cores
from theano_rnn.flow import Flow
from theano_rnn.text import batches
from theano_rnn.text.corpus import load_corpus

#: Vocabulary, hidden units and steps of each workload.
WORKLOADS: dict[str, dict[str, Any]] = {
    "sentence": {"vocab_size": 8000, "hidden_size": 100, "T": 20},
    "char": {"vocab_size": 64, "hidden_size": 100, "T": 200},
}
BATCH: dict[str, Any] = {"vocab_size": 10000, "hidden_size": 200, "T": 35, "B": 32}
PROGRAMS = ("ours", "stock")
CELLS = ("tanh", "sigmoid", "relu", "gru", "lstm")
BATCH_SIZES = (16, 32, 64)
TRUNCATIONS = ("full", "window:4", "chunk:4", "last:4")
#: What is measured beside JAX and PyTorch: workload, cell, truncation and, where it is not the
#: workload's, T.
BESIDE_PEERS = (
    ("sentence", "tanh", "full", None),
    ("sentence", "tanh", "window:4", None),
    ("char", "tanh", "full", None),
    ("char", "gru", "full", None),
    ("char", "lstm", "full", None),
    ("char", "tanh", "chunk:100", 100_000),
    ("batch", "tanh", "full", None),
    ("batch", "gru", "full", None),
    ("batch", "lstm", "full", None),
)
TRUNCATIONS_BY_LENGTH = ("full", "window:4", "chunk:100")
LENGTHS = (100, 1000, 10000)


@dataclass(frozen=True)
class Settings:
    """How it is measured.

    rounds : each figure is the median of so many measurements
    seconds : that one of them takes
    warm_starts : how often a program is started with a full compile cache
    threads : of BLAS, for each of which ``steps`` is measured
    seed : of the parameters and the tokens
    peers_python : the interpreter of an environment with JAX and PyTorch, for ``peers``
    """

    rounds: int = 9
    seconds: float = 0.5
    warm_starts: int = 3
    threads: tuple[int, ...] = (1,)
    seed: int = 0
    peers_python: Optional[str] = None

    def __post_init__(self) -> None:
        validation.whole_number(self.rounds, "rounds", at_least=1)
        validation.positive(self.seconds, "seconds")
        validation.whole_number(self.warm_starts, "warm starts", at_least=1)
        validation.whole_number(self.seed, "seed", at_least=0)


def parse_sections(text: Optional[str]) -> list[str]:
    """ "steps,length" as the names of sections, all of them for None, in the order of SECTIONS."""
    if text is None:
        return [name for name in SECTIONS if name != "peers"]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SECTIONS:
            raise RNNError(f"section {name!r} is unknown; the sections are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if name in names]


def parse_threads(text: Optional[str]) -> tuple[int, ...]:
    """ "1,2" as numbers of threads; one, as the engine has it, for None."""
    if text is None:
        return Settings.threads
    for word in text.split(","):
        if not (word.strip().isdecimal() and int(word) > 0):
            raise RNNError(f"threads {text!r}: pass numbers of at least 1, as in 1,2")
    return tuple(int(word) for word in text.split(","))


def steps(settings: Settings) -> list[Record]:
    """One SGD step, ours and stock in turns."""
    rows = []
    for name, workload in WORKLOADS.items():
        for threads in settings.threads:
            specs = [Spec(program, **workload, seed=settings.seed) for program in PROGRAMS]
            with contextlib.ExitStack() as stack:
                children = [stack.enter_context(Program(spec, threads)) for spec in specs]
                at_T = [(child, workload["T"]) for child in children]
                times = milliseconds(at_T, settings.rounds, settings.seconds)
            row = {"workload": name, **workload, "threads": threads}
            for program, ms in zip(PROGRAMS, times):
                row[program] = {
                    "ms": spread(ms),
                    "tokens_per_second": spread([1000 * workload["T"] / each for each in ms]),
                }
            rows.append({**row, "times_as_fast": ratio(times[1], times[0])})
    return rows


def startup(settings: Settings) -> list[Record]:
    """Seconds from the start of the process to the end of its first step, for a sentence.

    Modules are counted after the start with an empty cache and again after the others, for
    stock compiles some of them again in every process.
    """
    seconds: dict[str, dict[str, list[float]]]
    seconds = {program: {"cold": [], "warm": []} for program in PROGRAMS}
    modules: dict[str, list[int]] = {program: [] for program in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for cache in ["cold"] + ["warm"] * settings.warm_starts:
            for program in PROGRAMS:
                compiledir = Path(folder) / program
                spec = Spec(program, **WORKLOADS["sentence"], seed=settings.seed)
                with Program(spec, compiledir=compiledir) as child:
                    seconds[program][cache].append(child.seconds_to_first_step)
                modules[program].append(len(list(compiledir.glob("*/*.so"))))
    return [
        {
            "program": program,
            "cold_seconds": spread(seconds[program]["cold"]),
            "warm_seconds": spread(seconds[program]["warm"]),
            "modules": modules[program][0],
            "modules_after_warm_starts": modules[program][-1],
        }
        for program in PROGRAMS
    ]


def truncation(settings: Settings) -> list[Record]:
    """A step under each truncation, for a sentence."""
    workload = WORKLOADS["sentence"]
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(
                Program(Spec("ours", **workload, truncation=scheme, seed=settings.seed))
            )
            for scheme in TRUNCATIONS
        ]
        at_T = [(child, workload["T"]) for child in children]
        times = milliseconds(at_T, settings.rounds, settings.seconds)
    return [
        {"truncation": scheme, "ms": spread(ms), "times_full": ratio(ms, times[0])}
        for scheme, ms in zip(TRUNCATIONS, times)
    ]


def cells(settings: Settings) -> list[Record]:
    """A step of each cell, in turns, for a sentence, characters and, on all cores, a batch."""
    rows = []
    for name, workload in {**WORKLOADS, "batch": BATCH}.items():
        threads = usable_cores() if name == "batch" else 1
        specs = [Spec("ours", **workload, cell=cell, seed=settings.seed) for cell in CELLS]
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(Program(spec, threads)) for spec in specs]
            at_T = [(child, workload["T"]) for child in children]
            times = milliseconds(at_T, settings.rounds, settings.seconds)
        tokens = workload["T"] * workload.get("B", 1)
        for cell, ms in zip(CELLS, times):
            rows.append(
                {
                    "workload": name,
                    **workload,
                    "threads": threads,
                    "cell": cell,
                    "ms": spread(ms),
                    "tokens_per_second": spread([1000 * tokens / each for each in ms]),
                    "times_tanh": ratio(ms, times[0]),
                }
            )
    return rows


def padding(settings: Settings) -> list[Record]:
    """The share of positions that are padding in batches of the default corpus's sentences."""
    sequences = load_corpus(seed=settings.seed).train
    lengths = [len(s) - 1 for s in sequences]
    rows = []
    for size in BATCH_SIZES:
        groups = batches.buckets(sequences, size, settings.seed)
        wasted = batches.padding(lengths, groups)
        rows.append({"batch_size": size, "batches": len(groups), "padding": wasted})
    return rows


def length(settings: Settings) -> list[Record]:
    """Time and memory of a step by the length of the sequence, for characters.

    ``growth_in_bytes`` is the most a step adds to the memory of a process that has taken a
    step of 10 tokens; ``bytes_per_token`` is the difference to the row of the length before.
    """
    rows = []
    for scheme in TRUNCATIONS_BY_LENGTH:
        workload = {**WORKLOADS["char"], "T": 10}
        with Program(Spec("ours", **workload, truncation=scheme, seed=settings.seed)) as child:
            growth = [child.ask("memory", T)["bytes"] for T in LENGTHS]
            times = milliseconds([(child, T) for T in LENGTHS], settings.rounds, settings.seconds)
        for i, (T, ms) in enumerate(zip(LENGTHS, times)):
            per_token = None
            if i > 0 and growth[i] is not None:
                per_token = (growth[i] - growth[i - 1]) / (T - LENGTHS[i - 1])
            rows.append(
                {
                    "truncation": scheme,
                    "T": T,
                    "ms": spread(ms),
                    "us_per_token": spread([1000 * each / T for each in ms]),
                    "growth_in_bytes": growth[i],
                    "bytes_per_token": per_token,
                }
            )
    return rows


def flow(settings: Settings) -> list[Record]:
    """The gradient flow of each cell over 100 steps of 100 units, its functions compiled before.

    errors: all dE_t/dh_k and their norms; contributions: the shares of all pairs (t, k) in dE/dW,
    the errors there already; arrays: the most memory that both hold, in arrays (T, T, S).
    """
    T = H = 100
    tokens = np.random.default_rng(settings.seed).integers(H, size=T + 1)
    rows = []
    for cell in CELLS:
        model = RNN(H, H, cell=cell, seed=settings.seed)
        _contributions(model, tokens)  # compiles
        times = [_contributions(model, tokens) for _ in range(settings.rounds)]
        size = 8 * T * T * model.architecture.state_size
        rows.append(
            {
                "cell": cell,
                "errors_ms": spread([errors for errors, _ in times]),
                "contributions_ms": spread([contributions for _, contributions in times]),
                "arrays": _peak_bytes(_contributions, model, tokens) / size,
            }
        )
    return rows


def _contributions(model: RNN, tokens: Ints) -> tuple[float, float]:
    """Milliseconds for the errors of a flow, and then for its contributions."""
    measured = [time.perf_counter()]
    of_model = Flow(model, tokens[:-1], tokens[1:])
    asked: tuple[Callable[[], object], ...] = (lambda: of_model.norms, of_model.shares)
    for ask in asked:
        ask()
        measured.append(time.perf_counter())
    errors, contributions = 1000 * np.diff(measured)
    return errors, contributions


def _peak_bytes(run: Callable[..., object], *arguments: Any) -> int:
    """The most memory that something takes while it runs."""
    tracemalloc.start()
    try:
        run(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peers(settings: Settings) -> list[Record]:
    """One SGD step beside those of JAX, PyTorch and plain theano-pymc, all in turns.

    Each on all cores, as JAX and PyTorch are by themselves. ``limit`` is the products of the
    step alone, by the BLAS that ours calls.

    Raises
    ------
    ProgramError
        If the losses of the programs are not the same.
    """
    return [_beside_peers(settings, *case) for case in BESIDE_PEERS]


def _beside_peers(
    settings: Settings, name: str, cell: str, truncation: str, T: Optional[int]
) -> Record:
    workload = {**WORKLOADS, "batch": BATCH}[name]
    workload = {**workload, "T": T or workload["T"]}
    programs = ["ours", "jax"]
    if truncation == "full":
        programs += ["torch", "stock", "limit"] if cell == "tanh" else ["torch", "limit"]
    with contextlib.ExitStack() as stack:
        children, held = [], {}
        for program in programs:
            spec = Spec(program, **workload, cell=cell, truncation=truncation, seed=settings.seed)
            python = settings.peers_python if program in ("jax", "torch") else None
            child = stack.enter_context(Program(spec, usable_cores(), python=python))
            held[program] = child.ask("losses", steps=3)
            children.append((child, workload["T"]))
        times = dict(zip(programs, milliseconds(children, settings.rounds, settings.seconds)))
    tokens = workload["T"] * workload.get("B", 1)
    row = {"workload": name, "cell": cell, "truncation": truncation, **workload, "programs": {}}
    for program, ms in times.items():
        losses = held[program]["losses"]
        # The reset of PyTorch's GRU is another one.
        tolerance = 1e-2 if (program, cell) == ("torch", "gru") else 1e-3
        if program != "limit" and not _are_near(losses, held["ours"]["losses"], tolerance):
            raise ProgramError(f"{program} computes {losses}, ours {held['ours']['losses']}")
        row["programs"][program] = {
            "ms": spread(ms),
            "tokens_per_second": spread([1000 * tokens / each for each in ms]),
            "ours_is_faster": ratio(ms, times["ours"]),
            "peak_bytes": held[program]["peak"],
        }
    return row


def _are_near(a: Sequence[float], b: Sequence[float], tolerance: float) -> bool:
    return all(abs(x - y) <= tolerance * abs(y) for x, y in zip(a, b))


SECTIONS = {
    "peers": peers,
    "steps": steps,
    "cells": cells,
    "padding": padding,
    "startup": startup,
    "truncation": truncation,
    "length": length,
    "flow": flow,
}
