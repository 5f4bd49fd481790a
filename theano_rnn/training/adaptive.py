"""``adaptive:TOLERANCE``: before each epoch, the smallest K whose relative bias is small enough.

Let D_k[j] = dE_{j+k}/dp_j be the error that step j, with its input p_j of the recurrence,
receives from the output k steps later. Step j receives sum_k D_k[j] in the full gradient, and only
the terms k <= K under window:K. With norms over all steps j of a sample of the text, and lags up
to R::

    phi_k = |D_k|                        the error by lag
    C_k   = |D_0 + ... + D_k|            what window:k keeps of it
    E(K)  = sum_{k>K} phi_k              at most |the bias of window:K|
    E_chunk(K) = mean_{i<K} E(i)         output i of a chunk reaches i steps; chunks begin anywhere
    bias(K) = E(K) / max_k (C_k - E(k))  relative, as |full| >= C_k - E(k) for every k

Beyond lag R, phi decays as beta^k; beta is fitted to log phi_k over the upper half of the lags. If
beta is 1 or more, no K is small enough. Lags that no sentence is long enough for do not count.

References
----------
C. Aicher, N. Foti, E. Fox, Adaptively truncating backpropagation through time to control gradient
bias (2019), arXiv 1905.07473: the bound. There phi is the mean norm of dE_{j+k}/ds_j and M, the
largest norm of ds_j/dtheta, makes it one of the gradient; here norms are taken over all steps.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Function, Ints
from theano_rnn.common.validation import shown
from theano_rnn.model import truncation as truncations
from theano_rnn.model.truncation import Truncation
from theano_rnn.text.batches import Stream

if TYPE_CHECKING:  # --help reads the settings, and should not wait for Theano
    from theano_rnn.model.network import LanguageModel

#: R, lags that are measured, at most; the largest K that is tried.
MEASURED, LONGEST = 32, 200
#: Sequences that are measured: sentences, or stretches of 3R steps of a stream.
SAMPLE, STRETCHES = 40, 10
#: Resamples of them, from which the error of the estimate is the standard deviation.
RESAMPLES = 100


@dataclass(frozen=True)
class Adaptive:
    """A tolerance, and the scheme whose K is chosen.

    Attributes
    ----------
    tolerance : float
        The largest relative bias of the gradient, between 0 and 1.
    scheme : str or None
        "window" or "chunk"; None: chunk for a stream, window for sentences.
    """

    tolerance: float
    scheme: Optional[str] = None

    def of(self, is_stream: bool) -> str:
        """The scheme whose K is chosen."""
        return self.scheme or ("chunk" if is_stream else "window")


class Choice(NamedTuple):
    """K, its estimated relative bias and the error of that; None where they are infinite."""

    K: int
    bias: Optional[float]
    error: Optional[float]


def parse(truncation: object) -> Union[Truncation, Adaptive]:
    """What a training takes: "adaptive:TOLERANCE[:window|chunk]", or a scheme of a fixed K.

    Raises
    ------
    RNNError
        For an unknown scheme, or a K, alpha or tolerance out of range.

    Examples
    --------
    >>> parse("adaptive:0.1:window")
    Adaptive(tolerance=0.1, scheme='window')
    >>> print(parse("window:4"))
    window:4
    """
    if not isinstance(truncation, str) or truncation.partition(":")[0] != "adaptive":
        return truncations.parse(truncation)  # type: ignore[arg-type]  # it refuses what is no text
    _, _, rest = truncation.partition(":")
    number, colon, scheme = rest.partition(":")
    try:
        tolerance = float(number) if number.isascii() and "_" not in number else math.nan
    except ValueError:
        tolerance = math.nan
    if not 0 < tolerance < 1:
        raise RNNError(
            f"truncation {shown(truncation)}: the tolerance must be a number between 0 and 1, not "
            f"{shown(number)}; as in 'adaptive:0.1'"
        )
    if colon and scheme not in ("window", "chunk"):
        raise RNNError(
            f"truncation {shown(truncation)}: {shown(scheme)} has no K to choose; use "
            "'adaptive:TOLERANCE', 'adaptive:TOLERANCE:window' or 'adaptive:TOLERANCE:chunk'"
        )
    return Adaptive(tolerance, scheme if colon else None)


def compile_errors(model: "LanguageModel") -> Function:
    """f(x, y, state, R) -> dE_t/dp_j of each layer, (n, T, G*H) with j = t - (n-1) + row.

    Returns
    -------
    compiled function
        Of one sequence, x (T, 1) and y (T,); n is the smaller of R + 1 and T.
    """
    from theano_rnn.engine import building, compile_function, tensor, theano

    R = tensor.lscalar("R")
    symbols, _, net = model.network(truncation=Truncation("windows apart", R))
    with building(floatX=model.dtype):
        errors = theano.grad(net.loss, net.p)
    return compile_function([*symbols, R], errors, name="errors by lag")


def measure(errors: Sequence[Floats], R: int, is_stream: bool) -> tuple[Floats, Floats]:
    """phi_k^2 and C_k^2 of one sequence, (R + 1,) each.

    Parameters
    ----------
    errors : list of (n, T, G*H) arrays
        As ``compile_errors`` makes them.
    R : int
    is_stream : bool
        Count only the steps that every lag reaches, and not those near the zero state at the
        beginning of the stretch: R <= j < T - R, if there are any.
    """
    squares, sums = np.zeros(R + 1), np.zeros(R + 1)
    for of_layer in errors:
        n, T = of_layer.shape[:2]
        counted = slice(R, T - R) if is_stream and T > 2 * R else slice(None)
        heard = np.zeros(of_layer.shape[1:])  # (T, G*H) D_0 + ... + D_k
        for k in range(R + 1):
            if k < n:
                D = np.zeros_like(heard)
                D[: T - k] = of_layer[n - 1 - k, k:]  # D_k[j], of output j + k
                heard += D
                squares[k] += (D[counted] ** 2).sum()
            sums[k] += (heard[counted] ** 2).sum()
    return squares, sums


def relative_bias(scheme: str, squares: Floats, sums: Floats, is_longer: bool) -> Floats:
    """bias(K) for K = 1, ..., LONGEST.

    Parameters
    ----------
    scheme : str
        "window" or "chunk".
    squares, sums : (R + 1,) arrays
        phi_k^2 and C_k^2, summed over the sample.
    is_longer : bool
        Whether there are sequences with lags beyond R.

    Returns
    -------
    (LONGEST,) array
        Infinite where the bound proves nothing.
    """
    phi, C, R = np.sqrt(squares), np.sqrt(sums), len(squares) - 1
    beta, tail = _fitted(phi) if is_longer else (0.0, 0.0)
    lags = np.arange(LONGEST + 1)
    beyond = np.zeros(LONGEST + 1) if tail == 0 else tail * beta ** np.maximum(lags - R, 0)
    E = beyond
    E[:R] += np.cumsum(phi[:0:-1])[::-1]  # sum_{K<k<=R} phi_k
    size = (C - E[: R + 1]).max()
    if not size > 0:  # nor NaN
        return np.full(LONGEST, np.inf)
    if scheme == "chunk":
        E = np.concatenate([E[:1], np.cumsum(E)[:-1] / lags[1:]])
    biases: Floats = E[1:] / size
    return biases


def _fitted(phi: Floats) -> tuple[float, float]:
    """beta, and the sum of phi_k beyond the last lag."""
    k = np.arange(len(phi) // 2, len(phi))
    k = k[phi[k] > 0]
    if len(k) < 2:  # it has vanished before
        return 0.0, 0.0
    slope, at_0 = np.polyfit(k, np.log(phi[k]), 1)
    beta = math.exp(slope)
    if not beta < 1:
        return 1.0, math.inf
    return beta, math.exp(at_0 + slope * (len(phi) - 1)) * beta / (1 - beta)


def choose(
    wanted: Adaptive,
    is_stream: bool,
    function: Function,
    model: "LanguageModel",
    sample: Iterable[tuple[Ints, Ints]],
    random: np.random.Generator,
) -> Choice:
    """The smallest K whose estimated relative bias is below the tolerance, LONGEST if none is.

    Parameters
    ----------
    wanted : Adaptive
    is_stream : bool
    function : compiled function
        Of ``compile_errors``.
    model : LanguageModel
    sample : iterable of pairs of (T,) arrays
        Inputs and targets of sequences.
    random : numpy.random.Generator
        Resamples the sequences.
    """
    sample = list(sample)
    longest = max(len(x) for x, _ in sample)
    R = min(MEASURED, longest - 1)
    found = []
    for x, y in sample:
        errors = function(x[:, None], y, model.zero_state(1), max(R, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            found.append(measure([np.asarray(e, np.float64) for e in errors], R, is_stream))
    both = np.array(found)  # (sequences, 2, R + 1)
    scheme, is_longer = wanted.of(is_stream), longest > R + 1

    def bias(of: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return relative_bias(scheme, of[0], of[1], is_longer)

    biases = bias(both.sum(axis=0))
    enough = np.flatnonzero(biases < wanted.tolerance)
    K = int(enough[0]) + 1 if len(enough) else LONGEST
    again = random.integers(len(both), size=(RESAMPLES, len(both)))
    here = float(biases[K - 1])
    others = np.array([bias(both[i].sum(axis=0))[K - 1] for i in again])
    error = float(np.std(others)) if np.isfinite(others).all() else None
    return Choice(K, here if math.isfinite(here) else None, error)


def sample_of(
    sequences: Sequence[Ints], stream: Optional[Stream], random: np.random.Generator
) -> list[tuple[Ints, Ints]]:
    """Sequences to measure: sentences, or stretches of a stream.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays
        The training text.
    stream : Stream or None
    random : numpy.random.Generator

    Returns
    -------
    list of pairs of (T,) arrays
    """
    T = 3 * MEASURED
    if stream is None:
        chosen = random.permutation(len(sequences))[:SAMPLE]
        texts = [np.asarray(sequences[n][: T + 1], np.int64) for n in chosen]
        return [(s[:-1], s[1:]) for s in texts]
    stretches = stream.cut_every(T)
    places = [divmod(int(n), stream.rows) for n in random.permutation(
        max(1, stream.steps // T) * stream.rows)[:STRETCHES]]  # fmt: skip
    return [(x[:, b], y[:, b]) for i, b in places for x, y in [stretches[i]]]
