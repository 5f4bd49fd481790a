"""``credit``: all ways to assign credit through time, side by side on one text.

Each is compared with the full gradient G of backpropagation through time, over the parameters of
the recurrence. A method that draws at random gives another g with each draw; bars are means:

    cosine     mean of <g, G> / |g| |G|
    ratio      mean of |g| / |G|
    bias       |mean of g - G| / |G|, with the error that so few draws leave
    variance   mean of |g - mean of g|^2 / |G|^2
    seconds    of one gradient, of the processor, on all threads together
    memory     bytes that it has to keep: states to go back through, or the influence; of artbp:K
               those of a run, K steps on average
"""

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Ints, Parameters, Tokens
from theano_rnn.engine import building, compile_function, tensor, theano
from theano_rnn.flow.contributions import chosen
from theano_rnn.flow.pairs import cosine
from theano_rnn.model import cuts
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import named
from theano_rnn.model.cells import CELLS
from theano_rnn.model.truncation import Truncation
from theano_rnn.online import METHODS, OnlineGradient
from theano_rnn.online.gradient import parameters_of_steps
from theano_rnn.online.methods import check_memory
from theano_rnn.rnn import RNN

#: The truncation schemes that are compared.
SCHEMES = ("window", "chunk", "last", "artbp")
#: Seconds for which a gradient is repeated to be timed.
TIMED = 0.1
#: Multiplications of rtrl, some seconds, beyond which it is left out where no method was named.
MOST_PRODUCTS = 10**10
#: A function seed -> gradient.
Gradient = Callable[[int], Parameters]
#: A function x, y, truncation, seed -> gradient.
OfScheme = Callable[[Ints, Ints, Truncation, int], Parameters]


@dataclass(frozen=True)
class Row:
    """One method; the module says what the numbers are.

    Attributes
    ----------
    name : str
        "full", "window:4", "rtrl", ...
    cosine, ratio, bias, bias_error, variance, seconds : float
    memory : int
        In bytes.
    """

    name: str
    cosine: float
    ratio: float
    bias: float
    bias_error: float
    variance: float
    seconds: float
    memory: int

    @property
    def error(self) -> float:
        """|g - G| / |G|, the root of its mean square over draws."""
        return math.hypot(self.bias, self.variance**0.5)

    @property
    def is_online(self) -> bool:
        """Whether it goes forward, and not back through the states."""
        return self.name in METHODS


@dataclass(frozen=True)
class Credits:
    """All rows; ``theano_rnn.flow.report.credit`` shows them.

    Attributes
    ----------
    rows : tuple of Row
        The full gradient first.
    of : str
        The parameters that are compared, such as "W".
    T, draws : int
        Steps of the text, and draws of each random method.
    left_out : dict of str
        Why a method has no row, by its name.
    """

    rows: tuple[Row, ...]
    of: str
    T: int
    draws: int
    left_out: dict[str, str]

    def __getitem__(self, name: str) -> Row:
        return {row.name: row for row in self.rows}[name]


def credit(
    model: RNN,
    x: Tokens,
    y: Tokens,
    methods: Optional[Sequence[str]] = None,
    *,
    name: Optional[str] = None,
    draws: int = 20,
    seed: int = 0,
) -> Credits:
    """Compare ways to assign credit through time on one text.

    All numbers are float64, whatever the model's dtype. Each method is compiled once, each
    truncation scheme once for all K.

    Parameters
    ----------
    model : RNN
        Its dropout is off, and its own truncation does not matter.
    x, y : (T,) token ids
    methods : list of str, optional
        "rtrl", "snap1", "uoro", "local", "immediate", "window:4", "chunk:8", "last:4", "artbp:4",
        "artbp:4:6". By default all forward methods that are defined for the network and fit into
        the memory, and each scheme with K = 1, 2, 4, ... below T; artbp from 2 on.
    name : str, optional
        The parameter whose gradients are compared, such as "U"; by default the W of all layers,
        or for a cell without W the U.
    draws : int
        Of each random method; at least 2.
    seed : int
        Draws the signs of uoro and the cuts of artbp.

    Raises
    ------
    RNNError
        For bad input, a method that is not defined for this network, or one that would need more
        than half of the memory.
    """
    x, y = validation.token_pair(x, y, model.vocab_size)
    draws = validation.whole_number(draws, "draws", at_least=2)
    seed = validation.whole_number(seed, "seed", at_least=0)
    a = model.architecture
    names = [named(CELLS[a.cell].matrix, layer) for layer in range(a.layers)]
    if name is not None:
        names = chosen(name, list(a.shapes), "parameter")
    same = RNN(**dataclasses.asdict(a), dtype="float64")
    same.set_parameters(model.parameters())
    wanted, left_out = choose(same, x, methods)
    functions = gradients(same, x, y, ["full", *wanted])
    full = flat(functions["full"](0), names)
    if not np.isfinite(full).all() or not full.any():
        what = "0" if not full.any() else "not finite"
        raise RNNError(
            f"the full gradient of {', '.join(names)} on this text is {what}, so that nothing can "
            "be compared with it; take another text or another parameter"
        )
    rows = []
    for method, gradient in functions.items():
        seeds = range(seed, seed + draws) if is_random(method) else (seed,)
        found = np.array([flat(gradient(s), names) for s in seeds])
        memory = kept(same, method, x)
        rows.append(Row(method, *compared(found, full), seconds(gradient), memory))
    return Credits(tuple(rows), ", ".join(names), len(x), draws, left_out)


def choose(
    model: RNN, x: Ints, methods: Optional[Sequence[str]]
) -> tuple[list[str], dict[str, str]]:
    """The methods that were asked for, checked; or all that can be, and why others cannot."""
    if methods is not None:
        if isinstance(methods, str) or not isinstance(methods, Sequence) or not len(methods):
            given = validation.shown(methods)
            raise RNNError(f"methods is {given}; pass a list such as ['rtrl', 'window:4']")
        wanted = list(dict.fromkeys(map(checked, methods)))
        for method in wanted:
            if method in METHODS:
                check(model, method, x)
        return [method for method in wanted if method != "full"], {}
    wanted, left_out = [], {}
    for method in METHODS:
        try:
            check(model, method, x)
            if method == "rtrl":
                check_time(model, x)
            wanted.append(method)
        except RNNError as error:
            left_out[method] = str(error)
    K = [2**e for e in range(len(x).bit_length()) if 2**e < len(x)]
    # artbp:1 would cut every step.
    schemes = [f"{scheme}:{k}" for scheme in SCHEMES for k in K if (scheme, k) != ("artbp", 1)]
    return wanted + schemes, left_out


def is_random(method: str) -> bool:
    """Whether a method or truncation draws at random."""
    return METHODS[method].is_random if method in METHODS else method.startswith("artbp")


def checked(method: object) -> str:
    """The name of a method or a truncation."""
    if isinstance(method, str) and method in METHODS:
        return method
    try:
        return str(truncations.parse(method))  # type: ignore[arg-type]
    except RNNError:
        if isinstance(method, str) and ":" in method:
            raise
        known = ", ".join(METHODS)
        raise RNNError(
            f"method {validation.shown(method)} is unknown; use {known}, or a truncation such as "
            "'window:4'"
        ) from None


def check(model: RNN, method: str, x: Ints) -> None:
    """Raise RNNError if a forward method is not defined for a network, or too large."""
    P = parameters_of_steps(model, len(np.unique(x)))
    check_memory(METHODS[method], model.architecture, P, model.dtype)
    OnlineGradient(model, method)


def check_time(model: RNN, x: Ints) -> None:
    """Raise RNNError if rtrl takes minutes: it is compared only if it is asked for."""
    P, S = parameters_of_steps(model, len(np.unique(x))), model.architecture.state_size
    products = len(x) * S**2 * P  # of numbers, in J G at each step
    if products > MOST_PRODUCTS:
        raise RNNError(
            f"it would take {products:.1e} multiplications; ask for it with --methods rtrl, or "
            "take a shorter text"
        )


def gradients(model: RNN, x: Ints, y: Ints, methods: Sequence[str]) -> dict[str, Gradient]:
    """A function seed -> gradient for each method."""
    found: dict[str, Gradient] = {}
    schemes: dict[str, OfScheme] = {}
    for method in methods:
        if method in METHODS:
            found[method] = forward(model, x, y, method)
            continue
        cut = truncations.parse(method)
        if cut.scheme not in schemes:
            schemes[cut.scheme] = truncated(model, cut.scheme)
        found[method] = partial(schemes[cut.scheme], x, y, cut)
    return found


def forward(model: RNN, x: Ints, y: Ints, method: str) -> Gradient:
    """The function of a forward method."""
    gradient = OnlineGradient(model, method)
    return lambda seed: gradient(x, y, seed=seed)


def truncated(model: RNN, scheme: str) -> OfScheme:
    """The function of a truncation scheme, compiled once for all K."""
    has_K = scheme not in ("full", "artbp")  # which reads the factors that are drawn
    K = tensor.lscalar("K")
    symbols, _, network = model.network(truncation=Truncation(scheme, K if has_K else None))
    with building(floatX=model.dtype):
        found = theano.grad(network.loss, list(model.shared.values()))
        function = compile_function([*symbols, *[K] * has_K], found, name=scheme)

    def gradient(x: Ints, y: Ints, cut: Truncation, seed: int) -> Parameters:
        drawn = cuts.of_call(cut, None, x.shape, np.random.default_rng(seed), model.dtype)
        arrays = [x[:, None], y, model.zero_state(1), *drawn, *[cut.K] * has_K]
        table = model.architecture.table
        of_all = zip(model.shared, function(*arrays))
        return {n: np.ascontiguousarray(g.T) if n == table else g for n, g in of_all}

    return gradient


def flat(gradient: Parameters, names: Sequence[str]) -> Floats:
    """The gradients of some parameters as one vector."""
    return np.concatenate([gradient[name].ravel() for name in names])


def compared(found: Floats, full: Floats) -> tuple[float, float, float, float, float]:
    """Cosine, ratio, bias, its error, and variance of draws (n, P) of a gradient (P,)."""
    norm, n, mean = np.linalg.norm(full), len(found), found.mean(axis=0)
    variance = ((found - mean) ** 2).sum() / max(1, n - 1) / norm**2
    return (
        float(np.mean([cosine(g, full) for g in found])),
        float(np.linalg.norm(found, axis=1).mean() / norm),
        float(np.linalg.norm(mean - full) / norm),
        float(np.sqrt(variance / n)),
        float(variance),
    )


def seconds(gradient: Gradient) -> float:
    """Of the processor for one gradient: the least of some; of one, if that takes a second."""
    times: list[float] = []
    while (len(times) < 3 and sum(times) < 1) or sum(times) < TIMED:
        start = time.process_time()
        gradient(0)
        times.append(time.process_time() - start)
    return min(times)


def kept(model: RNN, method: str, x: Ints) -> int:
    """Bytes that a method has to keep: the states to go back through, or what is carried."""
    a, T = model.architecture, len(x)
    if method in METHODS:
        P = parameters_of_steps(model, len(np.unique(x)))
        return 8 * (a.state_size + METHODS[method].numbers(a, P))
    cut = truncations.parse(method)
    steps = T if cut.K is None else min(T, cut.K + (cut.scheme == "window"))
    return 8 * a.state_size * steps
