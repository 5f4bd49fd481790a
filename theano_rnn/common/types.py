"""Names for what the signatures of this package say."""

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
#: (T, B), true or 1 where a sequence of a batch has a token.
Mask = Union[Array, Sequence[Sequence[float]]]

#: Parameters, their gradients and the like, by the names of the parameters.
Parameters = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]

#: What the metrics of an epoch, a trial and other lines of a file hold, by name.
Record = dict[str, Any]
PathLike = Union[str, Path]

# Theano has no types.
#: A symbolic expression, or a shared variable.
Variable = Any
Variables = Sequence[Variable]
#: Shared variables and what each becomes.
Updates = list[tuple[Variable, Variable]]
#: A compiled function.
Function = Callable[..., Any]
