"""Names for the types in the signatures of this package."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Union

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]

#: One sequence of token ids (T,), or a batch of them, time first (T, B).
Tokens = Union[Ints, Sequence[int], Sequence[Sequence[int]]]
#: (T, B), true or 1 where a sequence of a batch has a token, false or 0 in its padding.
Mask = Union[Array, Sequence[Sequence[float]]]

#: Arrays by the name of a parameter: the parameters themselves, or their gradients.
Parameters = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]

#: A line of a JSONL file, such as the metrics of an epoch: values by name.
Record = dict[str, Any]
PathLike = Union[str, Path]

# Theano has no types.
#: A symbolic expression, or a shared variable.
Variable = Any
Variables = Sequence[Variable]
#: Shared variables, each with its new value.
Updates = list[tuple[Variable, Variable]]
#: A compiled function.
Function = Callable[..., Any]
