"""A process that holds one program and takes SGD steps on request.

``python -m theano_rnn.benchmark.child SPEC`` starts it, with the JSON of a ``Spec``. It takes one
step and says that it is ready. Then it answers each line of JSON on its standard input with a line
on its standard output, until the input ends.

Only ``load_ours`` and ``load_limit`` import the rest of this package: the other programs run
without our engine, JAX and PyTorch even in an environment without Theano.
"""

import ctypes
import functools
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Optional

import numpy as np

from theano_rnn.common.types import Array, Ints

#: Parameters by name, U (vocab_size, G*H).
Arrays = dict[str, Array]
#: step(x, y) -> E, and parameters() -> U, V, W as ``RNN.parameters`` has them.
Loaded = tuple[Callable[[Ints, Ints], float], Callable[[], Arrays]]
#: The answer to a request, as JSON takes it.
Answer = dict[str, Any]

LEARNING_RATE, CLIP = 0.001, 5.0
SEQUENCES = 8  # different sequences, taken in turn


@dataclass(frozen=True)
class Spec:
    """The program of a child, and its workload.

    Attributes
    ----------
    program : str
        A name in ``LOADS``; "limit" is the matrix products alone.
    vocab_size, hidden_size, T : int
    truncation, cell : str
        As ``RNN`` takes them; stock has "full" and "tanh" only.
    B : int
        Sequences in a step.
    seed : int
        Seeds the parameters and the tokens, which are the same for all programs.
    network, step : dict
        Of ours: further settings of ``RNN`` and of ``Step``, and "average" as ``train`` has it.
    parameters : str, optional
        An .npz file of the first parameters; ours makes them itself. ``Program`` writes it.
    blas_library : str, optional
        The file of the BLAS that stock calls; ours finds it itself. ``Program`` sets it.
    """

    program: str
    vocab_size: int
    hidden_size: int
    T: int
    truncation: str = "full"
    cell: str = "tanh"
    B: int = 1
    seed: int = 0
    network: dict[str, Any] = field(default_factory=dict)
    step: dict[str, Any] = field(default_factory=dict)
    parameters: Optional[str] = None
    blas_library: Optional[str] = None


def load_ours(spec: Spec) -> Loaded:
    """Our network, with the gradient of the truncation."""
    from theano_rnn.rnn import RNN

    model = RNN(
        spec.vocab_size,
        spec.hidden_size,
        cell=spec.cell,
        truncation=spec.truncation,
        seed=spec.seed,
        **spec.network,
    )
    if not spec.step:
        return lambda x, y: model.sgd_step(x, y, LEARNING_RATE), model.parameters
    from theano_rnn.optim import averaging
    from theano_rnn.optim.step import Step

    of_step = dict(spec.step)
    rule = averaging.parse(of_step.pop("average", "none"))
    step = Step(model, **of_step)
    average = None if rule is None else averaging.Average(rule, model.shared)
    clip, taken = None if step.clip_by is None else CLIP, itertools.count(1)

    def train(x: Ints, y: Ints) -> float:
        loss = step(x, y, LEARNING_RATE, clip)[0]
        if average is not None:
            average.update(next(taken))
        return loss

    return train, model.parameters


def load_stock(spec: Spec) -> Loaded:
    """The network in plain theano-pymc."""
    if spec.blas_library is not None:
        ctypes.CDLL(spec.blas_library, mode=ctypes.RTLD_GLOBAL)
    lend_what_is_gone()
    from theano_rnn.benchmark import stock

    values = first_parameters(spec, stock.theano.config.floatX)
    U, V, W = (stock.theano.shared(value, name) for name, value in values.items())
    sgd_step = stock.compile_sgd_step(U, V, W, spec.B)

    def parameters() -> Arrays:
        return {"U": U.get_value().T, "V": V.get_value(), "W": W.get_value()}

    return lambda x, y: sgd_step(x, y, LEARNING_RATE), parameters


def lend_what_is_gone() -> None:
    """Let plain Theano start on Pythons and NumPys that it does not know, by engine.compat alone.

    The package ``engine`` configures and extends Theano when it is imported; in this process an
    empty one stands in its place.
    """
    engine = ModuleType("theano_rnn.engine")
    engine.__path__ = [str(Path(__file__).parents[1] / "engine")]
    sys.modules[engine.__name__] = engine
    from theano_rnn.engine import compat

    if compat.STARTS_ALONE:
        return
    compat.lend()
    from theano.link.c.cmodule import GCC_compiler

    from theano_rnn.engine.compat.generated_c import for_this_numpy

    compat.install()
    shipped = GCC_compiler.compile_str

    def compile_str(module_name: str, src_code: str, *args: Any, **kwargs: Any) -> Any:
        return shipped(module_name, for_this_numpy(src_code), *args, **kwargs)

    GCC_compiler.compile_str = staticmethod(compile_str)
    if not compat.CYTHON_WORKS:  # stock.py says why, and does it where it imports Theano first
        sys.modules["theano.scan.scan_perform_ext"] = None  # type: ignore[assignment]


def load_peer(spec: Spec) -> Loaded:
    """The network in JAX, PyTorch or PyTensor."""
    from theano_rnn.benchmark import peers, pytensor_peer

    values, cell, rate = first_parameters(spec, "float32"), spec.cell, LEARNING_RATE
    if spec.program == "jax":
        step, parameters = peers.load_jax(values, cell, spec.truncation, rate)
    elif spec.program.startswith("torch"):
        is_compiled = spec.program == "torch.compile"
        step, parameters = peers.load_torch(values, cell, spec.truncation, rate, is_compiled)
    else:
        mode = {"pytensor": "NUMBA", "pytensor-c": "FAST_RUN"}[spec.program]
        library = spec.blas_library
        load = pytensor_peer.load_pytensor
        step, parameters = load(values, cell, spec.B, rate, mode, library)
    return step, lambda: {**parameters(), "U": np.asarray(parameters()["U"]).T}


def load_limit(spec: Spec) -> Loaded:
    """The matrix products of a step; its loss is 0 and it has no parameters."""
    from theano_rnn.benchmark.limit import compile_products
    from theano_rnn.model.cells import CELLS

    products, gates = compile_products(), CELLS[spec.cell].G

    def step(x: Ints, y: Ints) -> float:
        sizes = [len(x), spec.B, spec.hidden_size, gates, spec.vocab_size]
        return float(products(np.asarray(sizes, np.int64)))

    return step, dict


def first_parameters(spec: Spec, dtype: str) -> Arrays:
    """The parameters that ours begins with, U (vocab_size, G*H)."""
    assert spec.parameters is not None
    with np.load(spec.parameters) as file:
        values = {name: file[name].astype(dtype) for name in file.files}
    return {**values, "U": np.ascontiguousarray(values["U"].T)}


LOADS = {
    "ours": load_ours,
    "stock": load_stock,
    **dict.fromkeys(("jax", "torch", "torch.compile", "pytensor", "pytensor-c"), load_peer),
    "limit": load_limit,
}


class Child:
    """One program; each of its methods but ``sequences`` answers a request."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.step, self.parameters = LOADS[spec.program](spec)
        self.resident: Optional[int] = None  # bytes at the first request for memory
        self.choice: Any = None  # of the number of threads
        self._sequences = functools.lru_cache(None)(self.sequences)

    def sequences(self, T: int) -> list[tuple[Ints, Ints]]:
        """Random tokens x and y, each (T,), or (T, B) if B is more than 1."""
        random = np.random.default_rng(self.spec.seed)
        tokens = random.integers(self.spec.vocab_size, size=(SEQUENCES, self.spec.B, T + 1))
        rows = [row[0] if self.spec.B == 1 else row.T for row in tokens]
        return [(np.ascontiguousarray(r[:-1]), np.ascontiguousarray(r[1:])) for r in rows]

    def train(self, steps: int, T: int) -> Answer:
        """The losses of some steps, and the parameters after them."""
        sequences = self._sequences(T)
        losses = [float(self.step(*sequences[i % SEQUENCES])) for i in range(steps)]
        return {
            "losses": losses,
            "parameters": {
                name: np.asarray(value).tolist() for name, value in self.parameters().items()
            },
        }

    def losses(self, steps: int, T: int) -> Answer:
        """The losses of some steps, and the peak memory of the process in bytes."""
        sequences = self._sequences(T)
        losses = [float(self.step(*sequences[i % SEQUENCES])) for i in range(steps)]
        return {"losses": losses, "peak": memory_in_bytes("VmHWM")}

    def time(self, steps: int, T: int) -> Answer:
        """The seconds that some steps take."""
        sequences = self._sequences(T)
        start = time.perf_counter()
        for i in range(steps):
            self.step(*sequences[i % SEQUENCES])
        return {"seconds": time.perf_counter() - start}

    def compare_threads(self, T: int) -> Answer:
        """The tokens and seconds that ``threads=0`` takes to choose a number of threads."""
        from theano_rnn import engine
        from theano_rnn.training.thread_choice import ThreadChoice

        self.choice = ThreadChoice(engine.use_threads, engine.most_threads())
        return self._choosing(T, lambda seconds: self.choice.is_comparing)

    def run_with_threads(self, T: int, threads: int, seconds: float) -> Answer:
        """The tokens and seconds of steps with so many threads; 0: what was chosen."""
        from theano_rnn import engine

        if threads == 0:
            engine.use_threads(self.choice.threads)
            return self._choosing(T, lambda spent: spent < seconds)
        engine.use_threads(threads)
        sequences, start, n = self._sequences(T), time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            self.step(*sequences[n % SEQUENCES])
            n += 1
        return {"tokens": n * T * self.spec.B, "seconds": time.perf_counter() - start}

    def _choosing(self, T: int, goes_on: Callable[[float], bool]) -> Answer:
        """Steps that the choice of threads sees, as long as it goes on."""
        sequences, start, n = self._sequences(T), time.perf_counter(), 0
        last = start
        while goes_on(last - start):
            self.step(*sequences[n % SEQUENCES])
            now = time.perf_counter()
            self.choice.step(T * self.spec.B, now - last)
            last, n = now, n + 1
        return {"tokens": n * T * self.spec.B, "seconds": last - start}

    def largest_loop(self, T: int) -> Answer:
        """Seconds to compile each loop of a step of an lstm of three layers, under window:4."""
        import theano

        from theano_rnn import engine
        from theano_rnn.optim.step import Step
        from theano_rnn.rnn import RNN

        compiler: Any = engine.compiler
        seconds, shipped = [], compiler.library_of

        def timed(*module: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            made = shipped(*module, **settings)
            seconds.append(time.perf_counter() - start)
            return made

        compiler.library_of = timed
        # Loops have only C; all other Ops run in Python here, and nothing else is compiled.
        python = theano.Mode("py", "fast_run").excluding("elemwise_fusion")
        theano.compile.mode.instantiated_default_mode = python
        Step(RNN(64, 100, cell="lstm", layers=3, truncation="window:4")).function()
        return {"seconds": seconds}

    def memory(self, T: int) -> Answer:
        """The peak memory of one step in bytes, less the memory before the first request."""
        x, y = self._sequences(T)[0]
        if self.resident is None:
            self.resident = memory_in_bytes("VmRSS")
        if self.resident is None or not forget_peak():
            return {"bytes": None}
        self.step(x, y)
        peak = memory_in_bytes("VmHWM")
        return {"bytes": None if peak is None else peak - self.resident}


def memory_in_bytes(name: str) -> Optional[int]:
    """VmRSS, the resident memory, or VmHWM, its peak; None if the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith(name + ":")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)


def forget_peak() -> bool:
    """Reset VmHWM to the resident memory; return whether the system allows that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def main(spec: Spec) -> None:
    # Only answers go into the pipe; what libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    child = Child(spec)
    child.time(1, spec.T)
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(child, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main(Spec(**json.loads(sys.argv[1])))
