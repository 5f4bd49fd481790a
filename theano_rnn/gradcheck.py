"""Cross-check of every gradient: compiled graph against NumPy loops against finite differences.

First the loops are checked against finite differences of ``frozen_state_loss``: the truncated
gradient is its true gradient. Then the compiled graph is checked against the loops. The loops are
independent of the graph: ``theano_rnn.reference`` imports nothing else of the package.

The forward methods of ``theano_rnn.online`` are checked against their twins in NumPy, and rtrl,
whose gradient is exact, against the full gradient too.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import ArrayLike

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, Parameters
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cuts import draw
from theano_rnn.model.initialization import initial
from theano_rnn.online import OnlineGradient
from theano_rnn.online.compiled import random_signs
from theano_rnn.online.gradient import parameters_of_steps
from theano_rnn.reference import (
    NumpyRNN,
    directional_difference,
    finite_differences,
    frozen_state_loss,
)
from theano_rnn.reference.online import online_gradients
from theano_rnn.rnn import RNN

#: The largest relative errors of Theano against NumPy, which always computes in float64. Both are
#: about 5000 units in the last place: long sums and each step of the recurrence amplify rounding.
TOLERANCES = {"float64": 1e-12, "float32": 6e-4}
#: The largest relative error of NumPy against central differences. These are off by epsilon^2 =
#: 1e-8 times the third derivative, and by the rounding of E divided by epsilon: at most 2e-7 in
#: 70 nets of 1 to 150 units.
DIFFERENCES_TOLERANCE = 1e-5

#: Up to this many parameters, finite differences are taken element by element,
FEW_PARAMETERS = 1000
#: beyond it, along this many random directions of each parameter.
DIRECTIONS = 5
#: Numbers of the influence dh_t/dtheta that the forward methods in NumPy may carry.
MOST_INFLUENCE = 10**7


@dataclass(frozen=True)
class Row:
    """The largest relative errors of one truncation scheme, over all nets.

    Attributes
    ----------
    truncation : str
    loss : float
        Of E, Theano against NumPy.
    gradients : dict of float
        Of the gradient of each parameter, Theano against NumPy.
    differences : float
        Of the gradient in NumPy against finite differences.
    tolerance : float
        The bound for ``loss`` and ``gradients``; DIFFERENCES_TOLERANCE is that for
        ``differences``.
    """

    truncation: str
    loss: float
    gradients: dict[str, float]
    differences: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every error is within its tolerance. NaN never is."""
        graph = (self.loss, *self.gradients.values())
        return (
            all(error <= self.tolerance for error in graph)
            and self.differences <= DIFFERENCES_TOLERANCE
        )


@dataclass(frozen=True)
class OnlineRow:
    """The largest relative errors of one forward method, over all nets.

    Attributes
    ----------
    method : str
    gradients : dict of float
        Of the gradient of each parameter, Theano against NumPy.
    full : float or None
        Of the full gradient by backpropagation, the method in NumPy against the loops; for rtrl.
    tolerance : float
        The bound for ``gradients``; ``full`` is always float64, and has the bound of that.
    """

    method: str
    gradients: dict[str, float]
    full: Optional[float]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every error is within its tolerance. NaN never is."""
        is_full = self.full is None or self.full <= TOLERANCES["float64"]
        return is_full and all(error <= self.tolerance for error in self.gradients.values())


def relative_error(a: ArrayLike, b: ArrayLike) -> float:
    """max |a - b| / max(|a|, |b|): the largest difference over the largest element.

    It is 0 if both are all zeros, and NaN if any element is NaN or infinite.

    Examples
    --------
    >>> relative_error([1.0, 2.0], [1.0, 4.0])
    0.5
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.nan
    largest = max(abs(a).max(), abs(b).max(), np.finfo(np.float64).tiny)
    return float(abs(a - b).max() / largest)


def cross_check(
    hidden_size: int = 8,
    vocab_size: int = 12,
    length: int = 10,
    schemes: Sequence[str] = (
        "full",
        "window:1",
        "window:4",
        "chunk:4",
        "last:4",
        "artbp:4",
    ),
    seed: int = 0,
    nets: int = 3,
    dtype: str = "float64",
    cell: str = "tanh",
    layers: int = 1,
    bias: bool = False,
    tied: bool = False,
    embedding_size: Optional[int] = None,
) -> Iterator[Row]:
    """Yield the errors of loss and gradients, scheme by scheme.

    Parameters
    ----------
    hidden_size, vocab_size : int
    length : int
        T, the number of tokens of each sentence.
    schemes : sequence of str
        Each as ``RNN`` takes it. The cuts of artbp are drawn from the seed.
    seed : int
        Seeds the parameters and the sentences.
    nets : int
        The number of random nets and sentences; a row has the largest error of all.
    dtype : str
        "float64" or "float32", for the compiled model.
    cell, layers, bias, tied, embedding_size
        The network, as in RNN.

    Raises
    ------
    RNNError
        For bad input, before any function is compiled.
    """
    seeds = _seeds(length, seed, nets, dtype, vocab_size)
    if isinstance(schemes, str) or not len(schemes):
        raise RNNError(f"schemes is {schemes!r}; pass a list such as ['full', 'window:4']")
    names = [str(truncations.parse(scheme)) for scheme in schemes]
    architecture = Architecture(vocab_size, hidden_size, cell, layers, bias, tied, embedding_size)
    return (_check_scheme(name, architecture, length, seeds, dtype) for name in names)


def cross_check_online(
    hidden_size: int = 8,
    vocab_size: int = 12,
    length: int = 10,
    methods: Optional[Sequence[str]] = None,
    seed: int = 0,
    nets: int = 3,
    dtype: str = "float64",
    cell: str = "tanh",
    layers: int = 1,
    bias: bool = False,
    tied: bool = False,
    embedding_size: Optional[int] = None,
) -> Iterator[OnlineRow]:
    """Yield the errors of gradients, one forward method after the other.

    Parameters
    ----------
    methods : sequence of str, optional
        Each as ``theano_rnn.online.OnlineGradient`` takes it; by default rtrl, and none for a
        network too large. The signs of uoro are drawn from the seed.
    hidden_size, vocab_size, length, seed, nets, dtype, cell, layers, bias, tied, embedding_size
        As ``cross_check`` takes them; the networks and sentences are the same.

    Raises
    ------
    RNNError
        For bad input, a method that is not defined for the network, or a network too large,
        before any function is compiled.
    """
    seeds = _seeds(length, seed, nets, dtype, vocab_size)
    architecture = Architecture(vocab_size, hidden_size, cell, layers, bias, tied, embedding_size)
    model = RNN(**dataclasses.asdict(architecture), dtype=dtype)
    S, P = architecture.state_size, parameters_of_steps(model, vocab_size)
    if S * P > MOST_INFLUENCE:
        if methods:
            raise RNNError(
                f"the NumPy loops of {', '.join(methods)} would carry the influence of {P:,} "
                f"parameters on a state of {S:,} numbers, for some minutes; use a smaller "
                "hidden_size or vocab_size"
            )
        methods = []
    methods = ["rtrl"] if methods is None else methods
    found = [OnlineGradient(model, method) for method in methods]
    return (_check_method(model, gradient, length, seeds) for gradient in found)


def _seeds(length: int, seed: int, nets: int, dtype: str, vocab_size: int) -> list[int]:
    """The seed of each net, once these arguments are checked."""
    validation.whole_number(length, "length", at_least=1)
    seed = validation.whole_number(seed, "seed", at_least=0)
    nets = validation.whole_number(nets, "nets", at_least=1)
    if vocab_size == 1:
        raise RNNError("vocab_size is 1, and all gradients are 0 then; use 2 or more")
    if dtype not in TOLERANCES:
        raise RNNError(f"dtype {dtype!r} is unknown; use 'float32' or 'float64'")
    seeds: list[int] = np.random.SeedSequence(seed).generate_state(nets).tolist()
    return seeds


def _nets(
    model: RNN, length: int, seeds: list[int]
) -> Iterator[tuple[Parameters, Ints, Ints, np.random.Generator]]:
    """Parameters in float64, which the model has too, a sentence, and the generator for more."""
    for net_seed in seeds:
        parameters = random_parameters(model.architecture, net_seed, model.dtype)
        model.set_parameters(parameters)
        rng = np.random.default_rng([net_seed, 1])
        x, y = rng.integers(model.vocab_size, size=(2, length))
        yield {name: value.astype(np.float64) for name, value in parameters.items()}, x, y, rng


def _kind(a: Architecture) -> dict[str, Any]:
    """The network as the NumPy loops take it."""
    kind: dict[str, Any] = {"cell": a.cell, "layers": a.layers, "bias": a.bias, "tied": a.tied}
    return {**kind, "embedding": a.embedding_size is not None, "projection": a.has_projection}


def _check_scheme(
    truncation: str, architecture: Architecture, length: int, seeds: list[int], dtype: str
) -> Row:
    model = RNN(**dataclasses.asdict(architecture), truncation=truncation, dtype=dtype)
    errors = [_check_net(model, *net) for net in _nets(model, length, seeds)]
    # np.max, unlike max, does not lose a NaN.
    loss, *gradients, differences = np.max(errors, axis=0).tolist()
    names = dict(zip(architecture.shapes, gradients))
    return Row(truncation, loss, names, differences, TOLERANCES[dtype])


def _check_method(
    model: RNN, gradient: OnlineGradient, length: int, seeds: list[int]
) -> OnlineRow:
    method, errors = gradient.method, []
    kind = _kind(model.architecture)
    for parameters, x, y, rng in _nets(model, length, seeds):
        signs = None
        if method.is_random:
            signs = random_signs(rng, (length, model.architecture.state_size), "float64")
        found = gradient(x, y, signs=signs)
        expected = online_gradients(parameters, x, y, method.name, signs, **kind)
        full = NumpyRNN(parameters, **kind).bptt(x, y) if method.name == "rtrl" else expected
        errors.append(
            [
                *(relative_error(found[name], expected[name]) for name in parameters),
                max(relative_error(expected[name], full[name]) for name in parameters),
            ]
        )
    *gradients, full_error = np.max(errors, axis=0).tolist()
    return OnlineRow(
        method.name,
        dict(zip(model.architecture.shapes, gradients)),
        full_error if method.name == "rtrl" else None,
        TOLERANCES[model.dtype],
    )


def random_parameters(architecture: Architecture, seed: int, dtype: str) -> Parameters:
    """Parameters as RNN starts with, but random biases: at 0 a ReLU has no gradient."""
    parameters = initial(architecture.shapes, architecture.cell, "uniform", seed, dtype)
    rng = np.random.default_rng([seed, 2])
    for name, value in parameters.items():
        if value.ndim == 1:
            parameters[name] = rng.uniform(-0.5, 0.5, value.shape).astype(dtype)
    return parameters


def _check_net(
    model: RNN, parameters: Parameters, x: Ints, y: Ints, rng: np.random.Generator
) -> list[float]:
    kind = _kind(model.architecture)
    oracle = NumpyRNN(parameters, model.truncation, **kind)
    cuts: dict[str, Any] = {}
    if model.truncation.startswith("artbp"):
        cuts["cuts"] = draw(truncations.parse(model.truncation), (len(x), 1), rng)[:, 0]
    gradients, expected = model.bptt(x, y, **cuts), oracle.bptt(x, y, **cuts)
    frozen = oracle.hidden_states(x)

    def surrogate(perturbed: Parameters) -> float:
        return frozen_state_loss(perturbed, frozen, x, y, model.truncation, **kind, **cuts)

    return [
        relative_error(model.ce_error(x, y), oracle.ce_error(x, y)),
        *(relative_error(gradients[name], expected[name]) for name in parameters),
        differences_error(surrogate, parameters, expected, rng),
    ]


def differences_error(
    function: Callable[[Parameters], float],
    parameters: Parameters,
    gradients: Parameters,
    rng: np.random.Generator,
) -> float:
    """The largest relative error of gradients against finite differences of their function.

    Parameters
    ----------
    function : callable
        From a dict of parameters to a float.
    parameters, gradients : dicts of arrays
    rng : numpy.random.Generator
        Draws the directions.

    Notes
    -----
    With more than 1000 parameters, the slope df/dd is taken along random directions d of length 1
    in each parameter. The error is then |g.d - df/dd|, divided by the larger of |df/dd| and
    |g| / sqrt(n), the usual size of g.d for n elements.
    """
    if sum(value.size for value in parameters.values()) <= FEW_PARAMETERS:

        def of_elements(epsilon: float) -> float:
            expected = finite_differences(function, parameters, epsilon)
            return float(np.max([relative_error(gradients[n], expected[n]) for n in parameters]))

        return _least(of_elements, 1e-4)
    errors = []
    for name in list(parameters) * DIRECTIONS:
        direction = {other: np.zeros_like(value) for other, value in parameters.items()}
        d = rng.normal(size=parameters[name].shape)
        direction[name] = d / np.linalg.norm(d)
        found = float((gradients[name] * direction[name]).sum())
        size = np.linalg.norm(gradients[name]) / np.sqrt(d.size)

        def along(
            epsilon: float, direction: Any = direction, found: float = found, size: Any = size
        ) -> float:
            slope = directional_difference(function, parameters, direction, epsilon)
            return float(abs(found - slope) / max(size, abs(slope), np.finfo(np.float64).tiny))

        errors.append(_least(along, 1e-3))  # a step of it is small in each of many elements
    return float(np.max(errors))


def _least(error: Callable[[float], float], epsilon: float) -> float:
    """The error of differences over a step; if it is large, the least over shorter steps too.

    A longer step may cross the kink of a relu, and then the difference is no derivative.
    """
    errors = [error(epsilon)]
    while errors[-1] > DIFFERENCES_TOLERANCE and len(errors) < 3:
        epsilon /= 30
        errors.append(error(epsilon))
    return float(np.min(errors))
