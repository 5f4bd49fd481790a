"""The first values of the parameters, by one of these schemes.

=============  =================================================================================
uniform        each matrix uniform in +-1/sqrt(n), n the inputs of a unit (the tutorial's)
uniform:R      each matrix uniform in +-R (0.1 in Zaremba et al. 2014)
glorot         each matrix uniform in +-sqrt(6 / (inputs + outputs)) (Glorot, Bengio 2010)
orthogonal     W' W = 1, a random orthogonal matrix (Saxe et al. 2013)
identity       W = 1, meant for relu (IRNN: Le, Jaitly, Hinton 2015)
spectral:R     as uniform, W then scaled to the spectral radius R
=============  =================================================================================

The last three set W of each layer, and all else as "uniform" does, with the same values; they are
not for cells without W. If G gates share a matrix, each of its G blocks counts as a matrix here.
Biases are 0, except those in the cell's ``initial_bias``: the LSTM's forget gate starts with 1, so
that the cell remembers at first (Gers et al. 2000; Jozefowicz et al. 2015).
"""

import re
from typing import NamedTuple, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Parameters, Shapes
from theano_rnn.model.cells import CELLS, Cell

SCHEMES = ("uniform", "uniform:R", "glorot", "orthogonal", "identity", "spectral:R")


class Scheme(NamedTuple):
    """A scheme by name and its R; None if it takes no R."""

    name: str
    R: Optional[float]


def initial(shapes: Shapes, cell: str, scheme: str, seed: int, dtype: str) -> Parameters:
    """Fresh parameters of a network.

    Parameters
    ----------
    shapes : dict
        Shapes by name: U (G*H, inputs), V (vocab_size, H) and, where the net has them,
        W (G*H, H), L (D, vocab_size), P (D, H), b (G*H,), c (vocab_size,), U2 (G*H, H), W2 (G*H,
        H), b2, ...
        The G gates of a cell are stacked one below the other.
    cell : str
        The cell's name. ``Cell.initial_bias`` says which biases do not begin at 0.
    scheme : str
        One of SCHEMES, with a number in place of R.
    seed : int
    dtype : str

    Returns
    -------
    dict
        Arrays in the order of the shapes. The same seed draws the same numbers in every dtype.

    Raises
    ------
    RNNError
        For an unknown scheme, a bad R, or a scheme that sets W where the cell has none.

    Notes
    -----
    L is a table, a column a token: of its vocab_size inputs one is 1 and the rest are 0, so a
    unit has one input, and n is 1 in "uniform" and in "glorot". A net without V is tied: its L
    predicts too, with D inputs. There "uniform" takes the bound D^(-1/4), the geometric mean of 1
    for a table and D^(-1/2) for a V: after the same four minutes an lstm of D = 256 had a
    validation perplexity of 99 with .3, 104 with 1, and 120 with .12 halfway, where .3 had 116.
    U counts all inputs, as in the tutorial, so that U x_t of a one-hot x_t starts small.

    References
    ----------
    X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), equation 16. A. Saxe, J. McClelland, S. Ganguli, Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks (2013). Q. V. Le, N. Jaitly,
    G. Hinton, A simple way to initialize recurrent networks of rectified linear units (2015);
    there, other weights are normal with deviation .001. W. Zaremba, I. Sutskever, O. Vinyals,
    Recurrent neural network regularization (2014). F. Gers, J. Schmidhuber, F. Cummins, Learning
    to forget (2000). R. Jozefowicz, W. Zaremba, I. Sutskever, An empirical exploration of
    recurrent network architectures (2015).

    Examples
    --------
    >>> shapes = {"U": (8, 5), "V": (5, 2), "W": (8, 2), "b": (8,), "c": (5,)}
    >>> initial(shapes, "lstm", "identity", seed=0, dtype="float32")["W"].T
    array([[1., 0., 1., 0., 1., 0., 1., 0.],
           [0., 1., 0., 1., 0., 1., 0., 1.]], dtype=float32)
    >>> initial(shapes, "lstm", "uniform", seed=0, dtype="float32")["b"]
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    parsed = check(scheme)
    check_cell(scheme, cell)
    random = np.random.default_rng(seed)
    values = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            values[name] = _bias(name, shape, CELLS[cell])
        else:
            bound = _bound(name, shape, CELLS[cell].G, parsed, is_tied="V" not in shapes)
            values[name] = random.uniform(-bound, bound, shape)
    # After all others, so that these are the same under every scheme that sets W only.
    if parsed.name in RECURRENT:
        block = RECURRENT[parsed.name]
        for name, value in values.items():
            if name[0] == "W":
                blocks = np.split(value, len(value) // value.shape[1])  # G times (H, H)
                values[name] = np.concatenate([block(w, parsed.R, random) for w in blocks])
    return {name: value.astype(dtype) for name, value in values.items()}


def check(scheme: str) -> Scheme:
    """The scheme that a text names, such as "orthogonal" or "spectral:1.1".

    Returns
    -------
    Scheme
        The name, and R or None.

    Raises
    ------
    RNNError
        For an unknown scheme, or an R that is not a positive number from 1e-30 to 1e30.
    """
    scheme = scheme if isinstance(scheme, str) else validation.shown(scheme)
    shown = repr(scheme[:40])
    name, colon, R = scheme.partition(":")
    if name + (":R" if colon else "") not in SCHEMES:
        *others, last = SCHEMES
        raise RNNError(
            f"initialization {shown} is unknown; use {', '.join(others)} or {last}, with a "
            "positive number for R, as in 'uniform:0.1'"
        )
    if not colon:
        return Scheme(name, None)
    try:
        value = float(R) if re.fullmatch("[0-9.eE+-]+", R) else 0  # float() would take " 1_0 " too
    except ValueError:
        value = 0
    if not 1e-30 <= value <= 1e30:  # where float32 has all its digits
        raise RNNError(
            f"initialization {shown}: R must be a positive number from 1e-30 to 1e30, as in "
            f"'{name}:0.1', not {R[:40]!r}"
        )
    return Scheme(name, value)


def check_cell(scheme: str, cell: str) -> None:
    """Refuse a scheme that sets W for a cell that has none.

    Parameters
    ----------
    scheme : str
        As for ``check``.
    cell : str

    Raises
    ------
    RNNError
    """
    if check(scheme).name in RECURRENT and not CELLS[cell].has_W:
        *others, last = (each for each in SCHEMES if each.partition(":")[0] not in RECURRENT)
        raise RNNError(
            f"initialization {scheme!r} sets W, and the cell {cell} has no W; use "
            f"{', '.join(others)} or {last}"
        )


def _bias(name: str, shape: tuple[int, ...], cell: Cell) -> Floats:
    bias = np.zeros(shape)
    if name[0] == "b":
        for gate, block in zip(cell.gates, np.split(bias, cell.G)):  # views
            block[:] = cell.initial_bias.get(gate, 0)
    return bias


def _bound(name: str, shape: tuple[int, ...], gates: int, scheme: Scheme, is_tied: bool) -> float:
    """The b of a matrix that is uniform in +-b."""
    if scheme.name == "uniform" and scheme.R is not None:
        return scheme.R
    m, n = shape
    if name == "L":
        n = 1
    if scheme.name == "glorot":
        outputs = m // gates if name[0] in "UW" else m
        return float((6 / (n + outputs)) ** 0.5)
    if name == "L" and is_tied:
        return float(m**-0.25)
    return float(n**-0.5)


# ---- recurrent matrices: one gate's (H, H) block from its uniform draw


def _orthogonal(w: Floats, R: Optional[float], random: np.random.Generator) -> Floats:
    q, r = np.linalg.qr(random.standard_normal(w.shape))
    # QR leaves the signs open; with r's diagonal positive q is uniform over all rotations and
    # reflections (Mezzadri 2007).
    signed: Floats = q * np.where(np.diag(r) < 0, -1, 1)
    return signed


def _identity(w: Floats, R: Optional[float], random: np.random.Generator) -> Floats:
    return np.eye(len(w))


def _spectral(w: Floats, R: Optional[float], random: np.random.Generator) -> Floats:
    scaled: Floats = w * (R / abs(np.linalg.eigvals(w)).max())
    return scaled


RECURRENT = {"orthogonal": _orthogonal, "identity": _identity, "spectral": _spectral}
