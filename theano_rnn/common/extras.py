"""What is installed only on request, as in ``pip install 'theano-rnn[report]'``."""

from importlib.util import find_spec
from typing import Optional

from theano_rnn.common.errors import RNNError

#: The modules of each extra of pyproject.toml that the package imports.
EXTRAS = {
    "report": ("matplotlib",),
    "sweep": ("dask", "distributed"),
    "search": ("optuna",),
    "tensorboard": ("tensorboardX",),
}


def missing(extra: str) -> Optional[str]:
    """What is not installed of an extra, and what installs it; None if all is there."""
    absent = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if not absent:
        return None
    are = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {are} not installed: pip install 'theano-rnn[{extra}]'"


def need(extra: str, option: str) -> None:
    """Raise RNNError unless an extra is installed, which an option needs."""
    line = missing(extra)
    if line is not None:
        raise RNNError(f"{option} needs more than is here; {line}")
