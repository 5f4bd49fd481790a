"""Names for what the signatures of the reference say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

#: Token ids (T,), or of a batch (T, B), and its mask.
Tokens = Union[Ints, Sequence[int], Sequence[Sequence[int]]]
Mask = Union[Array, Sequence[Sequence[float]]]

#: A state, its parts; and what a step backwards gives: dp, dW and the state's gradient.
State = Union[Floats, Sequence[Floats]]
Backward = tuple[Floats, Floats, tuple[Floats, ...]]

#: x, y and kept of one sequence of its own length.
Sentence = tuple[Ints, Ints, Floats]

#: Parameters, or gradients, by the names of the parameters.
Parameters = dict[str, Floats]
