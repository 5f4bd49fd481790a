"""Type names for the signatures of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

#: Token ids, (T,) or a batch (T, B), and the mask of a batch.
Tokens = Union[Ints, Sequence[int], Sequence[Sequence[int]]]
Mask = Union[Array, Sequence[Sequence[float]]]

#: The parts of a state; and the result of a step back: dp, dW and the gradient of the state.
State = Union[Floats, Sequence[Floats]]
Backward = tuple[Floats, Floats, tuple[Floats, ...]]

#: Parameters, or gradients, by the names of the parameters.
Parameters = dict[str, Floats]
