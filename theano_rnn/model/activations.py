"""Element-wise functions of the cells in NumPy, for reports on saturation.

The steps of the cells, in ``cells``, use Theano's functions of the same names.
"""

from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np

from theano_rnn.common.types import Floats


@dataclass(frozen=True)
class Activation:
    """A function phi of each number, with its derivative.

    Attributes
    ----------
    name : str
    symbol : str
        As texts write it: "sigma", "ReLU".
    phi : function z -> phi(z)
    derivative : function z -> phi'(z)
    slope : function s -> phi'(z)
        The derivative from the value s = phi(z).
    gamma : float
        The largest |phi'|.
    ends : (float, float) or None
        A value below the first or above the second counts as saturated. None where phi has no
        upper bound: there a unit cannot saturate.
    """

    name: str
    symbol: str
    phi: Callable[[Floats], Floats]
    derivative: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    gamma: float
    ends: Optional[tuple[float, float]]


def _sigma(z: Floats) -> Floats:
    """1 / (1 + exp(-z)); no exp overflows."""
    sigma: Floats = 0.5 * (1 + np.tanh(0.5 * z))
    return sigma


def _tanh_slope(s: Floats) -> Floats:
    return 1 - s**2


def _sigma_slope(s: Floats) -> Floats:
    return s * (1 - s)


TANH = Activation(
    "tanh",
    "tanh",
    np.tanh,
    lambda z: _tanh_slope(np.tanh(z)),
    _tanh_slope,
    gamma=1.0,
    ends=(-0.9, 0.9),
)
SIGMOID = Activation(
    "sigmoid",
    "sigma",
    _sigma,
    lambda z: _sigma_slope(_sigma(z)),
    _sigma_slope,
    gamma=0.25,
    ends=(0.1, 0.9),
)
#: Its derivative at 0 is 1/2, as in Theano's relu.
RELU = Activation(
    "relu",
    "ReLU",
    lambda z: np.maximum(z, 0),
    lambda z: np.heaviside(z, 0.5),
    lambda s: (s > 0).astype(s.dtype),
    gamma=1.0,
    ends=None,
)
LINEAR = Activation(
    "linear",
    "linear",
    lambda z: z,
    np.ones_like,
    np.ones_like,
    gamma=1.0,
    ends=None,
)
