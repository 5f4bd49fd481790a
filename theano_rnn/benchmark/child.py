"""A process that holds one program and takes SGD steps on request.

Started as ``python -m theano_rnn.benchmark.child SPEC``, SPEC being the JSON of a ``Spec``. It
takes one step at once and says so; then it answers each line of JSON on its standard input by
a line on its standard output, until the input ends.
"""

import ctypes
import functools
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from theano_rnn.common.types import Array, Ints, Shapes
from theano_rnn.model import initialization

#: By the names of the parameters, U by rows.
Arrays = dict[str, Array]
#: step(x, y) -> E, and parameters().
Loaded = tuple[Callable[[Ints, Ints], float], Callable[[], Arrays]]
#: To a request, as JSON takes it.
Answer = dict[str, Any]

LEARNING_RATE = 0.001
SEQUENCES = 8  # different ones, taken in turn
GATES = {"tanh": 1, "sigmoid": 1, "relu": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Spec:
    """What a child runs.

    program : "ours", "stock", "jax", "torch" or "limit", the products alone
    vocab_size, hidden_size, T : the workload
    truncation, cell : as RNN takes them; stock has "full" and "tanh" only
    B : sequences in a step
    seed : of the parameters and the tokens, the same for both programs
    blas_library : file of the BLAS that stock is to call; ours finds it by itself
    """

    program: str
    vocab_size: int
    hidden_size: int
    T: int
    truncation: str = "full"
    cell: str = "tanh"
    B: int = 1
    seed: int = 0
    blas_library: Optional[str] = None


def load_ours(spec: Spec) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W."""
    from theano_rnn import RNN

    model = RNN(
        spec.vocab_size,
        spec.hidden_size,
        cell=spec.cell,
        truncation=spec.truncation,
        seed=spec.seed,
    )
    return lambda x, y: model.sgd_step(x, y, LEARNING_RATE), model.parameters


def load_stock(spec: Spec) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W."""
    if spec.blas_library is not None:
        ctypes.CDLL(spec.blas_library, mode=ctypes.RTLD_GLOBAL)
    from theano_rnn.benchmark import stock

    values = initial_values(spec, stock.theano.config.floatX)
    U, V, W = (stock.theano.shared(value, name) for name, value in values.items())
    sgd_step = stock.compile_sgd_step(U, V, W, spec.B)

    def parameters() -> Arrays:
        return {"U": U.get_value().T, "V": V.get_value(), "W": W.get_value()}

    return lambda x, y: sgd_step(x, y, LEARNING_RATE), parameters


def load_peer(spec: Spec) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W; of JAX or PyTorch."""
    from theano_rnn.benchmark import peers

    load = {"jax": peers.load_jax, "torch": peers.load_torch}[spec.program]
    values = initial_values(spec, "float32")
    step, parameters = load(values, spec.cell, spec.truncation, LEARNING_RATE)
    return step, lambda: {**parameters(), "U": np.asarray(parameters()["U"]).T}


def load_limit(spec: Spec) -> Loaded:
    """step(x, y) -> 0.0, after the products of such a step; and no parameters."""
    from theano_rnn.benchmark.limit import compile_products

    products, gates = compile_products(), GATES[spec.cell]

    def step(x: Ints, y: Ints) -> float:
        sizes = [len(x), spec.B, spec.hidden_size, gates, spec.vocab_size]
        return float(products(np.asarray(sizes, np.int64)))

    return step, dict


def initial_values(spec: Spec, dtype: str) -> Arrays:
    """The parameters that ours begins with, U by rows."""
    H, vocab_size, G = spec.hidden_size, spec.vocab_size, GATES[spec.cell]
    shapes: Shapes = {"U": (G * H, vocab_size), "V": (vocab_size, H), "W": (G * H, H)}
    values = initialization.initial(shapes, spec.cell, "uniform", spec.seed, dtype)
    return {**values, "U": np.ascontiguousarray(values["U"].T)}


LOADS = {
    "ours": load_ours,
    "stock": load_stock,
    "jax": load_peer,
    "torch": load_peer,
    "limit": load_limit,
}


class Child:
    """One program and the requests it answers."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.step, self.parameters = LOADS[spec.program](spec)
        self.resident: Optional[int] = None  # at the first request for memory
        self._sequences = functools.lru_cache(None)(self.sequences)

    def sequences(self, T: int) -> list[tuple[Ints, Ints]]:
        """Random tokens x and y, each (T,), or (T, B) where B is more than one."""
        random = np.random.default_rng(self.spec.seed)
        tokens = random.integers(self.spec.vocab_size, size=(SEQUENCES, self.spec.B, T + 1))
        rows = [row[0] if self.spec.B == 1 else row.T for row in tokens]
        return [(np.ascontiguousarray(r[:-1]), np.ascontiguousarray(r[1:])) for r in rows]

    def train(self, steps: int, T: int) -> Answer:
        """Losses of some steps, and the parameters after them."""
        sequences = self._sequences(T)
        losses = [float(self.step(*sequences[i % SEQUENCES])) for i in range(steps)]
        return {
            "losses": losses,
            "parameters": {
                name: np.asarray(value).tolist() for name, value in self.parameters().items()
            },
        }

    def losses(self, steps: int, T: int) -> Answer:
        """Losses of some steps, and the most memory that the process has held."""
        sequences = self._sequences(T)
        losses = [float(self.step(*sequences[i % SEQUENCES])) for i in range(steps)]
        return {"losses": losses, "peak": memory_in_bytes("VmHWM")}

    def time(self, steps: int, T: int) -> Answer:
        """Seconds that some steps take."""
        sequences = self._sequences(T)
        start = time.perf_counter()
        for i in range(steps):
            self.step(*sequences[i % SEQUENCES])
        return {"seconds": time.perf_counter() - start}

    def memory(self, T: int) -> Answer:
        """Bytes the process grew to in one step, over what it held before the first request."""
        x, y = self._sequences(T)[0]
        if self.resident is None:
            self.resident = memory_in_bytes("VmRSS")
        if self.resident is None or not forget_peak():
            return {"bytes": None}
        self.step(x, y)
        peak = memory_in_bytes("VmHWM")
        return {"bytes": None if peak is None else peak - self.resident}


def memory_in_bytes(name: str) -> Optional[int]:
    """VmRSS, resident now, or VmHWM, its peak; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(name + ":"))
    return 1024 * int(kilobytes)


def forget_peak() -> bool:
    """Start VmHWM again from the memory resident now; False where that is not possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def main(spec: Spec) -> None:
    # What libraries print goes to standard error, so that the answers are alone in the pipe.
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
