"""Many trials written down as a grid.

A grid is a list of blocks. A block gives each setting of ``Trial`` a value or a list of values,
and stands for all combinations of them.
"""

import itertools
import json
import math
from typing import Any

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike
from theano_rnn.common.validation import shown
from theano_rnn.long_term.trial import SETTINGS, Trial

#: Most trials of a grid; more would never end.
MOST_TRIALS = 100_000

#: The limits of every trial of the default grid, so that its table compares like with like. On a
#: quiet core a trial ends by its updates, so results do not depend on the machine; the seconds
#: only catch what hangs.
BUDGET = {"max_updates": 120_000, "max_seconds": 1800.0, "seed": [0, 1, 2]}

ORDER = {"task": "temporal_order", "length": [10, 20, 50, 100], **BUDGET}
ADDITION = {"task": "addition", "length": [20, 50, 100], **BUDGET}

#: The grid of the published table. Gated cells start slowly under SGD, so they get adam; the
#: lstm's gates begin too far closed, so it gets chrono.
DEFAULT = [
    {**ORDER, "cell": "tanh", "remedy": ["sgd", "clip", "clip+omega", "clip+orthogonal"]},
    {**ORDER, "cell": "gru", "remedy": "clip+adam"},
    {**ORDER, "cell": "lstm", "remedy": "clip+adam+chrono"},
    {**ADDITION, "cell": "tanh", "remedy": "clip"},
    {**ADDITION, "cell": "relu", "remedy": "clip+identity"},
    {**ADDITION, "cell": "lstm", "remedy": "clip+adam+chrono"},
]


def expand(grid: object) -> list[Trial]:
    """The trials of a grid, in its order, each once.

    Parameters
    ----------
    grid : list of dict
        Or one dict: a grid of one block.

    Returns
    -------
    list of Trial

    Raises
    ------
    RNNError
        If a block is not a dict, has a bad setting, or stands for too many trials.

    Examples
    --------
    >>> grid = [{"task": "addition", "length": [20, 50], "remedy": ["sgd", "clip"]}]
    >>> [(trial.length, trial.remedy) for trial in expand(grid)]
    [(20, 'sgd'), (20, 'clip'), (50, 'sgd'), (50, 'clip')]
    """
    trials: dict[Trial, None] = {}  # a set that keeps its order
    for number, block in enumerate(grid if isinstance(grid, list) else [grid], 1):
        try:
            combinations = _combinations(block, MOST_TRIALS - len(trials))
            trials.update(dict.fromkeys(Trial(**settings) for settings in combinations))
        except RNNError as error:
            raise RNNError(f"block {number} of the grid: {error}") from None
    if not trials:
        raise RNNError("the grid is empty; give at least one task and length")
    return list(trials)


def _combinations(block: object, most: int) -> list[dict[str, Any]]:
    """The settings of each trial that a block stands for."""
    if not isinstance(block, dict):
        raise RNNError(f"{shown(block)} is not an object; pass settings with their values")
    unknown = [name for name in block if name not in SETTINGS]
    if unknown:
        names = ", ".join(shown(name).strip("'") for name in unknown[:20])
        raise RNNError(f"{names} unknown; the settings are {', '.join(SETTINGS)}")
    missing = [name for name in ("task", "length") if name not in block]
    if missing:
        raise RNNError(f"{' and '.join(missing)} missing; every block needs task and length")
    values = [value if isinstance(value, list) else [value] for value in block.values()]
    if math.prod(map(len, values)) > most:
        raise RNNError(
            f"it makes more than {MOST_TRIALS:,} trials; give fewer values, in several grids"
        )
    return [dict(zip(block, combination)) for combination in itertools.product(*values)]


def read_grid(path: PathLike) -> list[Trial]:
    """The trials of a grid in a JSON file.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of Trial

    Raises
    ------
    RNNError
        If the file cannot be read or holds no grid.
    """
    try:
        grid = json.loads(files.read(path, files.SMALL).decode("utf-8"))
    except (OSError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise RNNError(f"the grid {path} cannot be read: {files.reason(error)}") from None
    try:
        return expand(grid)
    except RNNError as error:
        raise RNNError(f"{path}: {error}") from None
