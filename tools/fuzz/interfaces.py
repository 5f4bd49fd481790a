"""Cases of the public functions and classes, the compiled loops behind them too."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuzz.hostile import ARRAYS, JSON, ODD, ORDERS, array, mostly
from fuzz.judge import Target
from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.flow import Flow, verdict
from theano_rnn.long_term import grid, tasks, trial
from theano_rnn.model import truncation
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN
from theano_rnn.rnn import RNN
from theano_rnn.text.batches import Stream, batch, buckets
from theano_rnn.text.corpus import build_corpus, load_corpus
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.build import architecture
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings

#: Networks whose functions are compiled, each once.
KINDS: list[dict[str, Any]] = [
    {"dtype": "float64"},
    {
        "cell": "lstm",
        "bias": True,
        "embedding_size": 2,
        "truncation": "chunk:2",
        "dropout": 0.3,
    },
    {"cell": "gru", "truncation": "window:2", "dtype": "float64"},
]
VOCAB, H = 7, 3


@cache
def models(count: int) -> list[RNN]:
    return [RNN(VOCAB, H, seed=i, **kind) for i, kind in enumerate(KINDS[:count])]


@cache
def steps(count: int) -> list[Step]:
    kinds = [("adam", "value"), ("sgd", "norm")]
    return [
        Step(model, optimizer, clip_by=clip)
        for model, (optimizer, clip) in zip(models(count), kinds)
    ]


def compile_all(count: int) -> None:
    """Every function that the cases below call, so that none is compiled under a limit."""
    x, mask = np.ones((3, 2), int), np.array([[1, 1], [1, 1], [1, 0]])
    batches = (x[:, 0], None), (x, None), (x, mask), (x[:, :1], mask[:, 1:])
    for model in models(count):
        shape = (model.architecture.layers, H)
        model.next_token(1)
        for given, seen in batches:
            model.ce_error(given, given, seen)
            model.bptt(given, given, seen)
            model.bptt(given, given, seen, kept=np.ones((*given.shape, *shape)))
    for given, seen in batches:
        models(count)[0].sgd_step(given, given, 1e-9, seen)
        models(count)[0].clipped_sgd_step(given, given, 1e-9, 1.0, seen)
        for step in steps(count):
            step(given, given, 1e-9, mask=seen)


# ---- arguments

LENGTHS = st.integers(1, 6)
SHAPES = st.one_of(st.tuples(LENGTHS), st.tuples(LENGTHS, st.integers(1, 4)))
INTS = st.sampled_from(["int64", "int32", "int8", "uint8", "uint64", ">i8"])
SEEDS = st.integers(0, 99)


@st.composite
def sequences(draw: Callable) -> tuple:
    """x, y and mask, of one sequence or a batch, mostly as they should be."""
    shape = draw(SHAPES)
    x, y = (array(shape, draw(INTS), draw(SEEDS), draw(st.sampled_from(ORDERS))) for _ in range(2))
    mask = None
    if len(shape) == 2 and draw(st.booleans()):
        T, B = shape
        lengths = [draw(st.integers(1, T)) for _ in range(B)]
        mask = np.arange(T)[:, None] < np.array(lengths)
        mask = mask.astype(draw(st.sampled_from(["bool", "float32", "int8"])))
    given = [x.tolist() if draw(st.integers(0, 3)) == 0 else x, y, mask]
    if draw(st.integers(0, 2)) == 0:
        given[draw(st.integers(0, 2))] = draw(ODD)
    if draw(st.integers(0, 9)) == 0:
        given[draw(st.integers(0, 1))] = array(draw(SHAPES), draw(INTS), 1, "C") * 3 - 3
    return tuple(given)


RATES = mostly(st.sampled_from([1e-3, 0.1, 1e-30, 1e30, 5, np.float32(0.1), 1e-320]))
STATES = mostly(
    st.one_of(st.none(), st.builds(lambda n: np.zeros((n, H)), st.integers(1, 4)), ARRAYS)
)
METHODS = [
    "forward_propagation", "predict", "ce_error", "loss_and_state", "bptt", "sgd_step",
    "clipped_sgd_step", "next_token", "calculate_loss", "calculate_total_loss", "set_parameters",
]  # fmt: skip


@st.composite
def calls(draw: Callable, count: int) -> tuple:
    """A method of one of the models, and its arguments."""
    x, y, mask = draw(sequences())
    method = draw(st.sampled_from(METHODS))
    more = draw(st.tuples(RATES, RATES, STATES))
    others = draw(mostly(st.none(), st.dictionaries(st.sampled_from("UVWLbc"), ODD)))
    return draw(st.integers(0, count - 1)), method, x, y, mask, more, others


def call(case: tuple, count: int) -> None:
    """Call it, and hold what comes against the loops in NumPy."""
    which, method, x, y, mask, (rate, clip, state), others = case
    which = 0 if "sgd" in method else which  # the steps of one are compiled
    model = models(count)[which]
    before = model.parameters()
    given: dict[str, tuple] = {
        "forward_propagation": (x,),
        "predict": (x,),
        "ce_error": (x, y, mask),
        "loss_and_state": (x, y, state, mask),
        "bptt": (x, y, mask, others if isinstance(others, np.ndarray) else None),
        "sgd_step": (x, y, rate, mask),
        "clipped_sgd_step": (x, y, rate, clip, mask),
        "next_token": (clip if others is None else 3, state),
        "calculate_loss": (x, y) if which else ([x, x], [y, y]),
        "calculate_total_loss": ([x], [y]),
        "set_parameters": ({**before, **others} if isinstance(others, dict) else others,),
    }
    try:
        result = getattr(model, method)(*given[method])
    except RNNError:
        after = model.parameters()
        assert all((before[n] == after[n]).all() for n in before), "a refused call changed it"
        raise
    if method in ("ce_error", "bptt") and model.dtype == "float64" and len(given[method]) == 3:
        loops = NumpyRNN(before, model.truncation, cell=model.architecture.cell)
        assert np.allclose(loops.ce_error(x, y, mask), result, 1e-9), "not what NumPy computes"
    model.set_parameters(before)


@st.composite
def step_calls(draw: Callable, count: int) -> tuple:
    random = mostly(st.builds(np.random.default_rng, SEEDS))
    which = draw(st.integers(0, len(steps(count)) - 1))
    return which, *draw(sequences()), draw(RATES), draw(RATES), draw(STATES), draw(random)


def call_step(case: tuple, count: int) -> None:
    which, x, y, mask, rate, clip, state, random = case
    step = steps(count)[which]
    before, inner = step.model.parameters(), step.state()
    try:
        step(x, y, rate, clip, mask=mask, state=state, random=random)
    finally:
        step.model.set_parameters(before)
        step.set_state(inner)


# ---- what is made

NAMES = {
    "cell": st.sampled_from(["tanh", "sigmoid", "relu", "gru", "lstm", "mingru"]),
    "layers": st.integers(1, 3),
    "bias": st.booleans(),
    "tied": st.booleans(),
    "embedding_size": st.sampled_from([None, 1, 3, 5]),
    "dropout": st.sampled_from([0, 0.5]),
    "initialization": st.sampled_from(["uniform", "uniform:0.1", "glorot", "orthogonal",
                                       "identity", "spectral:1.1"]),
    "truncation": st.sampled_from(["full", "window:2", "chunk:3", "last:4", "artbp:2:4",
                                   "adaptive:0.1"]),
    "seed": SEEDS,
}  # fmt: skip
SIZES = mostly(st.one_of(st.integers(1, 9), st.sampled_from([np.int8(99), 10**9, 30_000])))


def some(named: dict[str, st.SearchStrategy], odd: st.SearchStrategy = ODD) -> st.SearchStrategy:
    """Some of the named arguments, each mostly what is meant."""
    chosen = {name: mostly(good, odd) for name, good in named.items()}
    return st.lists(st.sampled_from(list(chosen)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: chosen[name] for name in names})
    )


def make_model(case: tuple, folder: Path) -> None:
    vocab_size, hidden_size, named = case
    model = RNN(vocab_size, hidden_size, **named)
    repr(model)
    model.set_parameters(model.parameters())


def make_loops(case: tuple, folder: Path) -> None:
    parameters, named, (x, y, mask), rate = case
    model = NumpyRNN(parameters, **named)
    model.ce_error(x, y, mask)
    model.bptt(x, y, mask)
    model.sgd_step(x, y, rate)


def of_loops() -> st.SearchStrategy:
    whole = st.builds(
        lambda v, h, dtype: {
            "U": np.ones((h, v), dtype), "V": np.ones((v, h), dtype), "W": np.eye(h, dtype=dtype)
        },
        st.integers(1, 7), st.integers(1, 4), st.sampled_from(["float32", "float64", "float64"]),
    )  # fmt: skip
    changed = st.builds(
        lambda p, c: {**p, **c}, whole, st.dictionaries(st.sampled_from("UVWb"), ODD)
    )
    networks = {name: NAMES[name] for name in ("cell", "layers", "bias", "tied", "truncation")}
    networks["bptt_truncate"] = networks["truncate_gradient"] = st.sampled_from([None, 1, 2, -1])
    parameters = mostly(whole, st.sampled_from([0, 1]).flatmap(lambda i: ODD if i else changed))
    named = mostly(st.just({}), some(networks))
    return st.tuples(parameters, named, sequences(), RATES)  # fmt: skip


SETTINGS = {
    **NAMES,
    "hidden_size": st.integers(1, 9),
    "batch_size": st.sampled_from([1, 2, 10**12]),
    "stream": st.booleans(),
    "optimizer": st.sampled_from(["sgd", "adam"]),
    **{name: st.sampled_from([0.1, 0, 1]) for name in ("learning_rate", "clip", "l2", "omega",
                                                      "lr_decay", "min_improvement", "dynamic")},
    **{name: st.integers(0, 3) for name in ("lr_decay_after", "patience", "epochs", "vocab_size")},
    **{name: st.none() for name in ("text", "train", "column", "clip_by", "on_nonfinite")},
    "checkpoint_every": st.sampled_from(["5", "10min", 7]),
    "level": st.sampled_from(["word", "char"]),
    "tokenized": st.booleans(),
    **{name: st.sampled_from([0, 0.5, 1]) for name in (
        "dropout_input", "dropout_output", "dropout_recurrent", "dropout_embedding",
        "weight_drop", "weight_decay", "ar", "tar", "lr_end", "warmup", "minutes", "dynamic_rms")},
    "variational": st.booleans(),
    "average": st.sampled_from(["none", "nt-asgd", "nt-asgd:3", "ema:0.9", "ema:2", "asgd"]),
    "schedule": st.sampled_from(["plateau", "epochs", "cosine", "trapezoid", "constant"]),
    "split": st.sampled_from(["80/10/10", "90/10", "100/0", "90/", "1/2/3/4", "nan/1"]),
    "precision": st.sampled_from(["float32", "bf16", "auto"]),
}  # fmt: skip


def make_settings(case: dict, folder: Path) -> None:
    made = Settings(**case)
    _ = made.steps
    architecture(made, 100).shapes.keys()


def parse_truncation(case: tuple, folder: Path) -> None:
    truncation.parse(*case)


@cache
def small_vocabulary() -> Vocabulary:
    return Vocabulary.train(["a cat sat home"], size=VOCAB)


def make_sentences(case: dict, folder: Path) -> None:
    generate(models(1)[0], small_vocabulary(), **{"longest": 5, **case})


NAME, STEP = st.sampled_from(["W", "U"]), st.integers(0, 2)
#: The methods of a Flow, and arguments that fit.
FLOWS = {
    "shares": (NAME,), "truncated": (st.sampled_from(["window:2", "chunk:1", "last:1"]), NAME),
    "smallest_K": (st.sampled_from(["window", "chunk"]), st.sampled_from([0, 0.9, 1]), NAME),
    "jacobian": (STEP, STEP), "norms_by_lag": (st.integers(1, 9),),
    "live_steps": (st.sampled_from([0, 0.9]),), "gradient": (st.none(),),
    "lyapunov": (st.integers(1, 3), STEP), "jacobians_from": (STEP, STEP),
}  # fmt: skip


def flow_call(method: str) -> st.SearchStrategy:
    """The method and its arguments."""
    return st.tuples(st.just(method), st.tuples(*map(mostly, FLOWS[method])))


def follow(case: tuple, folder: Path) -> None:
    (x, y, _), state, (method, given) = case
    if getattr(x, "ndim", 0) == getattr(y, "ndim", 0) == 2:
        x, y = x[:, 0], y[:, 0]
    flow = Flow(models(1)[0], x, y, state)
    getattr(flow, method)(*given)
    verdict(flow)


def compile_flow() -> None:
    flow = Flow(models(1)[0], [0, 1, 2], [1, 2, 3])
    verdict(flow)
    flow.shares("W"), flow.shares("U"), flow.gradient(), flow.lyapunov(), flow.norms_by_lag()


def load_text(case: dict, folder: Path) -> None:
    (folder / "a.txt").write_text("The cat sat. A dog ran. It was home. Oh no.")
    files = ("a.txt", "nowhere")
    named = {n: folder / v if isinstance(v, str) and v in files else v for n, v in case.items()}
    given: dict[str, Any] = {"text": folder / "a.txt", **named}
    if given["text"] is not None:  # that would be the default corpus, whatever the case is
        load_corpus(**given)


def make_vocabulary(case: tuple, folder: Path) -> None:
    what, first, second, third = case
    words = small_vocabulary()
    {
        "make": lambda: Vocabulary(first, second, third),
        "train": lambda: Vocabulary.train(first, second, third),
        "encode": lambda: words.encode(first),
        "decode": lambda: words.decode(first),
        "load": lambda: Vocabulary.load(first),
        "build": lambda: build_corpus(first, first, first, second, third),
    }[what]()


def make_run(case: tuple, folder: Path) -> None:
    what, given = case
    name = folder / given if isinstance(given, str) else given
    {
        "create": lambda: Run.create(name if _is_inside(name, folder) else 5),
        "open": lambda: Run.open(name),
        "checkpoint": lambda: Run(folder).checkpoint(validation.shown(given)),
    }[what]()


def _is_inside(name: Any, folder: Path) -> bool:
    return not isinstance(name, (str, Path)) or folder in Path(os.path.normpath(name)).parents


def draw_task(case: tuple, folder: Path) -> None:
    name, random, length, batch = case
    tasks.TASKS[name].generate(random, length, batch)


def make_trial(case: dict, folder: Path) -> None:
    trial.Trial(**{"task": "addition", "length": 10, **case})


def make_grid(case: Any, folder: Path) -> None:
    grid.expand(case)


def make_batches(case: tuple, folder: Path) -> None:
    sequences, size, steps, seed = case
    for x, _ in Stream(sequences, size, steps):
        assert x.size
    for group in buckets(sequences, size, seed):
        batch([sequences[i] for i in group])


def interfaces(count: int = len(KINDS)) -> list[Target]:
    """All of them, with so many compiled networks."""
    words = mostly(
        st.sampled_from([["<s>", "</s>", "<unk>", "a"], "a cat", ["a cat sat"], [0, 3, 1]])
    )
    trials = {
        "task": st.sampled_from(list(tasks.TASKS)),
        "cell": NAMES["cell"],
        "remedy": st.sampled_from(["sgd", "clip", "clip+omega", "clip,adam", "chrono"]),
        **{name: st.sampled_from([10, 20, 10**9]) for name in ("length", "hidden_size", "seed")},
        **{name: st.sampled_from([0.1, 1, 0]) for name in ("learning_rate", "clip", "alpha")},
    }
    grids = some(trials).map(lambda block: {"task": "addition", "length": [10, 20], **block})
    files = {name: st.sampled_from(["a.txt", "nowhere"]) for name in ("text", "train", "valid")}
    corpora = {**files, "column": st.none(), "level": SETTINGS["level"], "vocab_size": SEEDS,
               "tokenized": st.booleans(), "seed": SEEDS}  # fmt: skip
    generated = {
        "prime": st.sampled_from(["a cat", "", "\ud800", "dog"]), "count": st.integers(0, 3),
        "temperature": st.sampled_from([0.1, 1, 1e300, 1e-300]), "seed": SEEDS,
    }  # fmt: skip
    small = st.integers(1, 4)
    texts = st.lists(st.builds(array, st.tuples(st.integers(0, 6)), INTS, SEEDS, st.just("C")))

    def prepare() -> None:
        compile_all(count)

    return [
        Target("RNN", st.tuples(SIZES, SIZES, some(NAMES)), make_model),
        Target("NumpyRNN", of_loops(), make_loops, errors=(ValueError,)),
        Target("Settings", some(SETTINGS), make_settings),
        Target("Truncation", st.tuples(mostly(NAMES["truncation"]), mostly(st.none()),
               mostly(st.none())), parse_truncation),
        Target("load_corpus", some(corpora), load_text),
        Target("Vocabulary", st.tuples(st.sampled_from(["make", "train", "encode", "decode",
               "load", "build"]), words, mostly(SETTINGS["level"]), mostly(st.none())),
               make_vocabulary),
        Target("Run", st.tuples(st.sampled_from(["create", "open", "checkpoint"]), ODD),
               make_run),
        Target("tasks", st.tuples(trials["task"], mostly(st.builds(np.random.default_rng)),
               mostly(st.sampled_from([10, 11, 30, 10**12])), mostly(small)), draw_task),
        Target("Trial", some(trials), make_trial),
        Target("grid", st.one_of(st.lists(grids, max_size=2), JSON), make_grid),
        Target("batches", st.tuples(mostly(texts), mostly(small), mostly(small), mostly(SEEDS)),
               make_batches),
        Target("Flow", st.tuples(sequences(), mostly(st.none(), STATES),
               st.sampled_from(sorted(FLOWS)).flatmap(flow_call)), follow, prepare=compile_flow),
        Target("generate", some(generated), make_sentences,
               prepare=lambda: make_sentences({}, Path())),
        Target("RNN methods", calls(count), lambda c, f: call(c, count), prepare=prepare),
        Target("Step", step_calls(count), lambda c, f: call_step(c, count), prepare=prepare),
    ]  # fmt: skip
