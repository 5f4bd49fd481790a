"""Many settings written down as a grid.

A grid is a list of blocks. A block gives each setting a value or a list of values, and stands for
all combinations of them.
"""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any, Callable, TypeVar

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike
from theano_rnn.common.validation import shown

Trial = TypeVar("Trial")

#: Most trials of a grid; more would never end.
MOST_TRIALS = 100_000


def expand(
    grid: object, make: Callable[..., Trial], known: Sequence[str], needed: Sequence[str] = ()
) -> list[Trial]:
    """The trials of a grid, in its order, each once.

    Parameters
    ----------
    grid : list of dict
        Or one dict: a grid of one block.
    make : function (**settings) -> trial
        Trials that are equal are one.
    known, needed : sequence of str
        The names of the settings, and those that every block needs.

    Raises
    ------
    RNNError
        If a block is not a dict, has a bad setting, or stands for too many trials.

    Examples
    --------
    >>> expand([{"a": [1, 2], "b": [3, 4]}, {"a": 1, "b": 3}], lambda a, b: (a, b), ["a", "b"])
    [(1, 3), (1, 4), (2, 3), (2, 4)]
    """
    trials: dict[Trial, None] = {}  # a set that keeps its order
    for number, block in enumerate(grid if isinstance(grid, list) else [grid], 1):
        try:
            settings = _combinations(block, known, needed, MOST_TRIALS - len(trials))
            trials.update(dict.fromkeys(make(**each) for each in settings))
        except RNNError as error:
            raise RNNError(f"block {number} of the grid: {error}") from None
    if not trials:
        raise RNNError(f"the grid is empty; give at least one {' and '.join(needed or known)}")
    return list(trials)


def _combinations(
    block: object, known: Sequence[str], needed: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """The settings of each trial that a block stands for."""
    if not isinstance(block, dict):
        raise RNNError(f"{shown(block)} is not an object; pass settings with their values")
    unknown = [name for name in block if name not in known]
    if unknown:
        names = ", ".join(shown(name).strip("'") for name in unknown[:20])
        raise RNNError(f"{names} unknown; the settings are {', '.join(known)}")
    missing = [name for name in needed if name not in block]
    if missing:
        raise RNNError(
            f"{' and '.join(missing)} missing; every block needs {' and '.join(needed)}"
        )
    values = [value if isinstance(value, list) else [value] for value in block.values()]
    if math.prod(map(len, values)) > most:
        raise RNNError(
            f"it makes more than {MOST_TRIALS:,} trials; give fewer values, in several grids"
        )
    return [dict(zip(block, combination)) for combination in itertools.product(*values)]


def read(path: PathLike, what: str = "grid") -> Any:
    """What a JSON file holds.

    Parameters
    ----------
    path : path
    what : str
        Its name in a message.

    Raises
    ------
    RNNError
        If the file cannot be read or is no JSON.
    """
    try:
        return json.loads(files.read(path, files.SMALL).decode("utf-8"))
    except (OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise RNNError(f"the {what} {path} cannot be read: {files.reason(error)}") from None
