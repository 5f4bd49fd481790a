"""Grids of trials, see ``studies.grid``, and the grid of the published tables."""

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike
from theano_rnn.long_term.trial import SETTINGS, Trial
from theano_rnn.studies import grid as grids

#: The limits of most trials of the default grid, so that its table compares like with like. On a
#: quiet core a trial ends by its updates, so results do not depend on the machine; the seconds
#: only catch what hangs.
BUDGET = {"max_updates": 120_000, "max_seconds": 1800.0, "seed": [0, 1, 2]}

ORDER = {"task": "temporal_order", "length": [10, 20, 50, 100], **BUDGET}
ADDITION = {"task": "addition", "length": [20, 50, 100], **BUDGET}

#: The lstm's gates begin too far closed, so it gets chrono.
CHRONO = "clip+adam+chrono"

#: Longer sequences, gradient flossing, and methods that learn forward. Their updates take longer,
#: so a trial that does not learn ends sooner.
LONG = {"length": [200, 500], "max_updates": 20_000}
FLOSSED = {"max_updates": 40_000}
FORWARD = {"max_updates": 10_000}
LATER = [
    {**ORDER, **LONG, "cell": "gru", "remedy": ["clip+adam", "clip+adam+flossing"]},
    {**ORDER, **LONG, "cell": "lstm", "remedy": CHRONO},
    {
        **ORDER, **LONG, "length": [10, 20, 50, 100, 200, 500], "cell": "mingru",
        "remedy": ["clip+adam", CHRONO],
    },
    {**ORDER, **FLOSSED, "length": [20, 50, 100], "remedy": "clip+flossing"},
    {**ORDER, **FLOSSED, "length": [50, 100], "remedy": "clip+orthogonal+flossing"},
    {**ORDER, "length": 200, "remedy": "clip+orthogonal+flossing"},
    {**ORDER, **FORWARD, "length": [10, 20], "remedy": "clip+uoro"},
    {
        **ORDER, **FORWARD, "length": [10, 20, 50, 100, 200, 500], "cell": "lstm",
        "remedy": [f"{CHRONO}+snap1", f"{CHRONO}+local"],
    },
    {**ADDITION, **LONG, "cell": "relu", "remedy": "clip+identity"},
    {**ADDITION, **LONG, "cell": "lstm", "remedy": CHRONO},
    {**ADDITION, **LONG, "length": [20, 50, 100, 200, 500], "cell": "mingru", "remedy": CHRONO},
]  # fmt: skip

#: The grid of the published tables. Gated cells start slowly under SGD, so they get adam.
DEFAULT = [
    {**ORDER, "cell": "tanh", "remedy": ["sgd", "clip", "clip+omega", "clip+orthogonal"]},
    {**ORDER, "cell": "gru", "remedy": "clip+adam"},
    {**ORDER, "cell": "lstm", "remedy": CHRONO},
    {**ADDITION, "cell": "tanh", "remedy": "clip"},
    {**ADDITION, "cell": "relu", "remedy": "clip+identity"},
    {**ADDITION, "cell": "lstm", "remedy": CHRONO},
    *LATER,
]


def expand(grid: object) -> list[Trial]:
    """The trials of a grid, see ``studies.grid``.

    Examples
    --------
    >>> grid = [{"task": "addition", "length": [20, 50], "remedy": ["sgd", "clip"]}]
    >>> [(trial.length, trial.remedy) for trial in expand(grid)]
    [(20, 'sgd'), (20, 'clip'), (50, 'sgd'), (50, 'clip')]
    """
    return grids.expand(grid, Trial, SETTINGS, needed=("task", "length"))


def read_grid(path: PathLike) -> list[Trial]:
    """The trials of a grid in a JSON file.

    Raises
    ------
    RNNError
        If the file cannot be read or holds no grid.
    """
    grid = grids.read(path)
    try:
        return expand(grid)
    except RNNError as error:
        raise RNNError(f"{path}: {error}") from None
