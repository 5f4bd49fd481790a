"""The measurements: each section is a function of the conditions that returns rows for JSON."""

import contextlib
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from theano_rnn.benchmark import busy as busy_
from theano_rnn.benchmark import roofline, whole
from theano_rnn.benchmark.child import Spec
from theano_rnn.benchmark.programs import Program, ProgramError, milliseconds, ratio, spread
from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, Record
from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.c_code import has_bf16
from theano_rnn.flow import Flow
from theano_rnn.rnn import RNN
from theano_rnn.text import batches
from theano_rnn.text.corpus import load_corpus

#: The vocabulary, hidden units and time steps of each workload.
WORKLOADS: dict[str, dict[str, Any]] = {
    "sentence": {"vocab_size": 8000, "hidden_size": 100, "T": 20},
    "char": {"vocab_size": 64, "hidden_size": 100, "T": 200},
}
BATCH: dict[str, Any] = {"vocab_size": 10000, "hidden_size": 200, "T": 35, "B": 32}
PROGRAMS = ("ours", "stock")
#: What runs in an environment of its own.
PEERS = ("jax", "torch", "torch.compile", "pytensor", "pytensor-c")
CELLS = ("tanh", "sigmoid", "relu", "gru", "lstm")
#: Of the sections precision and training.
TRAINED = ("tanh", "gru", "lstm")
BATCH_SIZES = (16, 32, 64)
TRUNCATIONS = ("full", "window:4", "chunk:4", "last:4", "artbp:4")
#: The comparisons with JAX and PyTorch: workload, cell, truncation, and T if not the workload's.
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
#: What is compared with plain sgd: settings of the network, and of ``Spec.step``.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sgd": ({}, {"clip_by": None}),
    "clip by norm": ({}, {"clip_by": "norm"}),
    "clip by value": ({}, {"clip_by": "value"}),
    "l2": ({}, {"clip_by": None, "l2": 1e-5}),
    "weight decay": ({}, {"clip_by": None, "weight_decay": 1e-3}),
    "AR and TAR": ({}, {"clip_by": None, "ar": 2.0, "tar": 1.0}),
    **{
        name: ({}, {"optimizer": name, "clip_by": None})
        for name in ("momentum", "nesterov", "adagrad", "rmsprop", "adam")
    },
    "average": ({}, {"clip_by": None, "average": "ema"}),
    "dropout": ({"dropout": 0.5}, {"clip_by": None}),
    "tied": ({"tied": True}, {"clip_by": None}),
    "tied, embedding of half the size": (
        {"tied": True, "embedding_size": BATCH["hidden_size"] // 2},
        {"clip_by": None},
    ),
    "tied, dropout, clip, adam": (
        {"tied": True, "dropout": 0.5},
        {"optimizer": "adam", "clip_by": "norm"},
    ),
}
#: A language model of two tied layers, and what is compared with it: kinds of dropout.
TIED: dict[str, Any] = {"layers": 2, "bias": True, "tied": True}
TIED_BATCH = {**BATCH, "B": 20}
DROPOUTS: dict[str, dict[str, Any]] = {
    "2 layers, tied, clip, adam": {},
    "+ dropout": {"dropout": 0.5},
    "+ dropout, variational": {"dropout": 0.5, "variational": True},
    "+ input": {"dropout_input": 0.4},
    "+ input, variational": {"dropout_input": 0.4, "variational": True},
    "+ recurrent": {"dropout_recurrent": 0.25},
    "+ embedding": {"dropout_embedding": 0.1},
    "+ weight drop": {"weight_drop": 0.5},
    "+ all of them, variational": {
        "dropout": 0.4, "variational": True, "dropout_input": 0.4, "dropout_recurrent": 0.25,
        "dropout_embedding": 0.1, "weight_drop": 0.5,
    },
}  # fmt: skip
#: The same of a sentence.
OF_A_SENTENCE: dict[str, dict[str, Any]] = {
    "sentence, sgd": {"clip_by": None},
    **{f"sentence, clip by {by}": {"clip_by": by} for by in ("norm", "value")},
    **{f"sentence, {name}": {"optimizer": name, "clip_by": None} for name in ("momentum", "adam")},
}
TRUNCATIONS_BY_LENGTH = ("full", "window:4", "chunk:100")
LENGTHS = (100, 1000, 10_000)
#: And of chunk:K, whose memory does not grow.
LONGEST = 1_000_000


@dataclass(frozen=True)
class Conditions:
    """How long, how often and with what to measure.

    Attributes
    ----------
    rounds : int
        The number of measurements; each figure is their median.
    seconds : float
        The length of one of them.
    warm_starts : int
        How often a program is started with a full compile cache.
    threads : tuple of int
        Threads of BLAS; the section steps is measured with each.
    seed : int
        Seeds the parameters and the tokens.
    peers_python : str, optional
        The interpreter of an environment with JAX and PyTorch, for the section peers.
    slow_compilers : bool
        Whether PyTensor is measured with gru and lstm too, which it compiles for a minute each.
    """

    rounds: int = 9
    seconds: float = 0.5
    warm_starts: int = 3
    threads: tuple[int, ...] = (1,)
    seed: int = 0
    peers_python: Optional[str] = None
    slow_compilers: bool = True

    def __post_init__(self) -> None:
        validation.whole_number(self.rounds, "rounds", at_least=1)
        validation.positive(self.seconds, "seconds")
        validation.whole_number(self.warm_starts, "warm starts", at_least=1)
        validation.whole_number(self.seed, "seed", at_least=0)


def parse_sections(text: Optional[str]) -> list[str]:
    """The sections of a text such as "steps,length", in the order of SECTIONS; all for None."""
    if text is None:
        return [name for name in SECTIONS if name != "peers"]
    names = [validation.one_of(name.strip(), "section", SECTIONS) for name in text.split(",")]
    return [name for name in SECTIONS if name in names]


def parse_threads(text: Optional[str]) -> tuple[int, ...]:
    """The numbers of threads of a text such as "1,2"; for None one, as the engine has it."""
    if text is None:
        return Conditions.threads
    for word in text.split(","):
        if not (word.strip().isdecimal() and int(word) > 0):
            raise RNNError(f"threads {text!r}: pass numbers of at least 1, as in 1,2")
    return tuple(int(word) for word in text.split(","))


@contextlib.contextmanager
def started(
    specs: Sequence[Spec], threads: Optional[int] = None, peers_python: Optional[str] = None
) -> Iterator[list[Program]]:
    """The programs of these specs, started side by side: most of a start is compiling."""
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(usable_cores()) as pool:
            starts = [
                pool.submit(
                    Program, spec, threads, python=peers_python if spec.program in PEERS else None
                )
                for spec in specs
            ]
        # All that have started are closed, also where one has failed.
        programs = [stack.enter_context(s.result()) for s in starts if s.exception() is None]
        for start in starts:
            start.result()
        yield programs


def time_in_turns(
    specs: Sequence[Spec], conditions: Conditions, threads: Optional[int] = None
) -> list[list[float]]:
    """Milliseconds per step of each program, in each round; all programs run at once, in turns."""
    with started(specs, threads) as programs:
        at_T = [(program, spec.T) for program, spec in zip(programs, specs)]
        return milliseconds(at_T, conditions.rounds, conditions.seconds)


def tokens_per_second(ms: Sequence[float], tokens: int) -> Record:
    """The spread of the speeds, in tokens per second, of steps of ``tokens`` tokens."""
    return spread([1000 * tokens / each for each in ms])


def steps(conditions: Conditions) -> list[Record]:
    """One SGD step, ours and stock."""
    rows = []
    for name, workload in WORKLOADS.items():
        for threads in conditions.threads:
            specs = [Spec(program, **workload, seed=conditions.seed) for program in PROGRAMS]
            times = time_in_turns(specs, conditions, threads)
            row = {"workload": name, **workload, "threads": threads}
            for program, ms in zip(PROGRAMS, times):
                speed = tokens_per_second(ms, workload["T"])
                row[program] = {"ms": spread(ms), "tokens_per_second": speed}
            rows.append({**row, "times_as_fast": ratio(times[1], times[0])})
    return rows


def startup(conditions: Conditions) -> list[Record]:
    """Seconds from the start of a process to the end of its first step, for a sentence.

    The modules in the cache are counted after the start with an empty cache and again after all
    warm starts, because stock compiles some modules again in every process.
    """
    seconds: dict[str, dict[str, list[float]]]
    seconds = {program: {"cold": [], "warm": []} for program in PROGRAMS}
    modules: dict[str, list[int]] = {program: [] for program in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for cache in ["cold"] + ["warm"] * conditions.warm_starts:
            for program in PROGRAMS:
                compiledir = Path(folder) / program
                spec = Spec(program, **WORKLOADS["sentence"], seed=conditions.seed)
                with Program(spec, compiledir=compiledir) as child:
                    seconds[program][cache].append(child.seconds_to_first_step)
                modules[program].append(len(list(compiledir.glob("*/*.so"))))
        spec = Spec("ours", **WORKLOADS["sentence"], seed=conditions.seed)
        with Program(spec, compiledir=Path(folder) / "ours") as child:
            loops = child.ask("largest_loop")["seconds"]
    return [
        {
            "program": program,
            "cold_seconds": spread(seconds[program]["cold"]),
            "warm_seconds": spread(seconds[program]["warm"]),
            "modules": modules[program][0],
            "modules_after_warm_starts": modules[program][-1],
            "largest_loop_seconds": max(loops) if program == "ours" else None,
        }
        for program in PROGRAMS
    ]


def truncation(conditions: Conditions) -> list[Record]:
    """A step under each truncation, for a sentence."""
    workload = WORKLOADS["sentence"]
    specs = [
        Spec("ours", **workload, truncation=scheme, seed=conditions.seed) for scheme in TRUNCATIONS
    ]
    times = time_in_turns(specs, conditions)
    return [
        {"truncation": scheme, "ms": spread(ms), "times_full": ratio(ms, times[0])}
        for scheme, ms in zip(TRUNCATIONS, times)
    ]


def cells(conditions: Conditions) -> list[Record]:
    """A step of each cell, for a sentence, for characters and, on all cores, for a batch."""
    rows = []
    for name, workload in {**WORKLOADS, "batch": BATCH}.items():
        threads = usable_cores() if name == "batch" else 1
        specs = [Spec("ours", **workload, cell=cell, seed=conditions.seed) for cell in CELLS]
        times = time_in_turns(specs, conditions, threads)
        tokens = workload["T"] * workload.get("B", 1)
        for cell, ms in zip(CELLS, times):
            rows.append(
                {
                    "workload": name,
                    **workload,
                    "threads": threads,
                    "cell": cell,
                    "ms": spread(ms),
                    "tokens_per_second": tokens_per_second(ms, tokens),
                    "times_tanh": ratio(ms, times[0]),
                }
            )
    return rows


def options(conditions: Conditions) -> list[Record]:
    """A step under each option, on all cores, beside the first option of its group.

    An lstm with an embedding on a batch: one layer, then two layers with dropouts; and the network
    of the sentences.
    """
    adam = {"optimizer": "adam", "clip_by": "norm"}
    dropouts = {name: ({**TIED, **network}, adam) for name, network in DROPOUTS.items()}
    of_sentence: dict[str, Any] = {name: ({}, step) for name, step in OF_A_SENTENCE.items()}
    H: Any = BATCH["hidden_size"]
    rows = []
    for workload, cell, embedding_size, of_group in (
        (BATCH, "lstm", H, OPTIONS),
        (TIED_BATCH, "lstm", H, dropouts),
        (WORKLOADS["sentence"], "tanh", None, of_sentence),
    ):
        specs = [
            Spec(
                "ours", **workload, cell=cell, seed=conditions.seed, step=step,
                network={"embedding_size": embedding_size, **network},
            )
            for network, step in of_group.values()
        ]  # fmt: skip
        times = time_in_turns(specs, conditions, usable_cores())
        rows += [
            {"option": name, "ms": spread(ms), "times_first": ratio(ms, times[0])}
            for name, ms in zip(of_group, times)
        ]
    return rows


def precision(conditions: Conditions) -> list[Record]:
    """A step of each cell in each precision that this machine has, for a batch, on all cores."""
    rows = []
    for cell in TRAINED:
        names = ["float32", "bf16"] if has_bf16() else ["float32"]
        specs = [
            Spec(
                "ours", **BATCH, cell=cell, seed=conditions.seed,
                step={"clip_by": None, "precision": name},
            )
            for name in names
        ]  # fmt: skip
        times = time_in_turns(specs, conditions, usable_cores())
        for name, ms in zip(names, times):
            rows.append(
                {
                    "cell": cell,
                    "precision": name,
                    "ms": spread(ms),
                    "times_as_fast": ratio(times[0], ms),
                }
            )
    return rows


def training(conditions: Conditions) -> list[Record]:
    """A training as a whole, without its evaluations, beside its steps alone, in one thread."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole.write_text(Path(folder, "text.txt"), conditions.seed)
        for mode in whole.MODES:
            for cell in TRAINED:
                steps, all_ = whole.rates(Path(folder), mode, cell, conditions.rounds)
                rows.append(
                    {
                        "mode": mode,
                        "cell": cell,
                        "steps_tokens_per_second": steps,
                        "training_tokens_per_second": all_,
                        "share": all_ / steps,
                    }
                )
    return rows


def busy(conditions: Conditions) -> list[Record]:
    """Steps beside busy processes, by the number of threads: 0, as ``--threads 0`` chooses it."""
    rows = []
    for name in busy_.WORKLOADS:
        for processes in busy_.PROCESSES:
            rate = busy_.rates(name, processes, conditions.seed, conditions.rounds // 2 + 1)
            rows.append(
                {
                    "workload": name,
                    "processes": processes,
                    "tokens_per_second": rate,
                    "share": rate[0] / max(rate[n] for n in rate if n > 0),
                }
            )
    return rows


def padding(conditions: Conditions) -> list[Record]:
    """The share of positions that are padding in batches of sentences of the default corpus."""
    sequences = load_corpus(seed=conditions.seed).train
    lengths = [len(s) - 1 for s in sequences]
    rows = []
    for size in BATCH_SIZES:
        groups = batches.buckets(sequences, size, conditions.seed)
        wasted = batches.padding(lengths, groups)
        rows.append({"batch_size": size, "batches": len(groups), "padding": wasted})
    return rows


def length(conditions: Conditions) -> list[Record]:
    """The time and the memory of a step, by the length of the sequence, for characters.

    ``growth_in_bytes`` is the peak memory of a step, less that of the process after a step of 10
    tokens. ``bytes_per_token`` is its growth since the row before, per additional token.
    """
    rows = []
    for scheme in TRUNCATIONS_BY_LENGTH:
        workload = {**WORKLOADS["char"], "T": 10}
        with Program(Spec("ours", **workload, truncation=scheme, seed=conditions.seed)) as child:
            lengths = LENGTHS + (LONGEST,) * scheme.startswith("chunk")
            growth = [child.ask("memory", T)["bytes"] for T in lengths]
            times = milliseconds(
                [(child, T) for T in lengths], conditions.rounds, conditions.seconds
            )
        for i, (T, ms) in enumerate(zip(lengths, times)):
            per_token = None
            if i > 0 and growth[i] is not None:
                per_token = (growth[i] - growth[i - 1]) / (T - lengths[i - 1])
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


def flow(conditions: Conditions) -> list[Record]:
    """The gradient flow of each cell over 100 steps of 100 units, compiling not counted.

    ``errors_ms`` is for all dE_t/dh_k and their norms. ``contributions_ms`` is for the shares of
    all pairs (t, k) in dE/dW, once the errors are there. ``arrays`` is the peak memory of both, in
    units of one array (T, T, S).
    """
    T = H = 100
    tokens = np.random.default_rng(conditions.seed).integers(H, size=T + 1)
    rows = []
    for cell in CELLS:
        model = RNN(H, H, cell=cell, seed=conditions.seed)
        _contributions(model, tokens)  # compiles
        times = [_contributions(model, tokens) for _ in range(conditions.rounds)]
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
    """The milliseconds for the errors of a flow, and then for its contributions."""
    measured = [time.perf_counter()]
    of_model = Flow(model, tokens[:-1], tokens[1:])
    asked: tuple[Callable[[], object], ...] = (lambda: of_model.norms, of_model.shares)
    for ask in asked:
        ask()
        measured.append(time.perf_counter())
    errors, contributions = 1000 * np.diff(measured)
    return errors, contributions


def _peak_bytes(run: Callable[..., object], *arguments: Any) -> int:
    """The peak of the memory, in bytes, that a function allocates."""
    tracemalloc.start()
    try:
        run(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peers(conditions: Conditions) -> list[Record]:
    """One SGD step of ours, JAX, PyTorch, PyTensor and plain theano-pymc, in turns.

    Each program uses all cores, as JAX and PyTorch do by default. ``limit`` is the matrix products
    of the step alone, by the BLAS that ours calls; ``roofline`` what no program goes below.

    Raises
    ------
    ProgramError
        If the losses of the programs differ.
    """
    roofs = roofline.Machine(usable_cores())
    return [_beside_peers(conditions, roofs, *case) for case in BESIDE_PEERS]


def _beside_peers(
    conditions: Conditions,
    roofs: roofline.Machine,
    name: str,
    cell: str,
    truncation: str,
    T: Optional[int],
) -> Record:
    workload = {**WORKLOADS, "batch": BATCH}[name]
    workload = {**workload, "T": T or workload["T"]}
    programs = ["ours", "jax"]
    if truncation == "full":
        programs += [*PEERS[1:], *(["stock"] if cell == "tanh" else []), "limit"]
    if cell != "tanh" and not conditions.slow_compilers:
        programs = [program for program in programs if not program.startswith("pytensor")]
    specs = [
        Spec(program, **workload, cell=cell, truncation=truncation, seed=conditions.seed)
        for program in programs
    ]
    with started(specs, usable_cores(), conditions.peers_python) as children:
        held = {child.spec.program: child.ask("losses", steps=3) for child in children}
        at_T = [(child, workload["T"]) for child in children]
        times = dict(zip(programs, milliseconds(at_T, conditions.rounds, conditions.seconds)))
    tokens = workload["T"] * workload.get("B", 1)
    row = {"workload": name, "cell": cell, "truncation": truncation, **workload, "programs": {}}
    for program, ms in times.items():
        losses = held[program]["losses"]
        # PyTorch's GRU resets after the product, so its losses differ a little.
        is_other = program.startswith("torch") and cell == "gru"
        tolerance = 1e-2 if is_other else 1e-3
        if program != "limit" and not _are_near(losses, held["ours"]["losses"], tolerance):
            raise ProgramError(f"{program} has the losses {losses}, ours {held['ours']['losses']}")
        row["programs"][program] = {
            "ms": spread(ms),
            "tokens_per_second": tokens_per_second(ms, tokens),
            "ours_is_faster": ratio(ms, times["ours"]),
            "peak_bytes": held[program]["peak"],
        }
    if truncation == "full":
        row["roofline"] = _roofline(roofs, cell, workload, times["ours"])
    return row


def _roofline(
    roofs: roofline.Machine, cell: str, workload: dict[str, Any], ours: Sequence[float]
) -> Record:
    """The roofline of a step, what makes it, and how much of it ours reaches."""
    operations, bytes_ = roofs.milliseconds(cell, **workload)
    ms = max(operations, bytes_)
    return {
        "ms": ms,
        "of": "operations" if operations > bytes_ else "bytes",
        "operations_ms": operations,
        "bytes_ms": bytes_,
        "share": spread([ms / each for each in ours]),
    }


def _are_near(a: Sequence[float], b: Sequence[float], tolerance: float) -> bool:
    return all(abs(x - y) <= tolerance * abs(y) for x, y in zip(a, b))


SECTIONS = {
    made.__name__: made
    for made in (
        peers, steps, cells, options, precision, training, busy, padding, startup, truncation,
        length, flow,
    )
}  # fmt: skip
