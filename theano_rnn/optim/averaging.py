"""Averages of the parameters over steps, which often predict better than the parameters.

Both averages here are one update after each step, with the n-th step's weight c_n:

    average += c_n * (p - average)

"nt-asgd" has c_n = 1 / n: the plain mean of the parameters after each step. "ema" has
c_n = (1 - decay) / (1 - decay^n): the exponential average, in which the weights of the steps so
far add up to 1, so that no step before the first one counts. As c_1 = 1, either begins with the
parameters after its first step.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Function, Parameters, Variable
from theano_rnn.model.later import tensor, theano

#: How the names of averages end.
AVERAGE = ".average"
#: The number of a kind where none is given: evaluations, and the decay.
DEFAULTS = {"nt-asgd": 5.0, "ema": 0.999}


@dataclass(frozen=True)
class Averaging:
    """When parameters are averaged, and with which weights.

    Attributes
    ----------
    kind : str
        "nt-asgd" or "ema".
    number : float
        Of nt-asgd n, the evaluations that the loss is compared with; of ema the decay.
    """

    kind: str
    number: float

    def weight(self, n: int) -> float:
        """c_n, the weight of the n-th step that is averaged, counted from 1.

        >>> [Averaging("nt-asgd", 5).weight(n) for n in (1, 2, 4)]
        [1.0, 0.5, 0.25]
        >>> Averaging("ema", 0.5).weight(1), round(Averaging("ema", 0.5).weight(2), 3)
        (1.0, 0.667)
        """
        if self.kind == "nt-asgd":
            return 1 / n
        # 1 - decay^n as -expm1(n log decay), which is exact where decay is near 1.
        return (1 - self.number) / -math.expm1(n * math.log(self.number))

    @property
    def earliest(self) -> int:
        """The epochs without an average, at least.

        >>> Averaging("nt-asgd", 5).earliest, Averaging("ema", 0.999).earliest
        (7, 0)
        """
        return int(self.number) + 2 if self.kind == "nt-asgd" else 0

    def begins(self, losses: Sequence[float]) -> bool:
        """Whether averaging begins after these validation losses, the newest one last.

        ema begins with the first step. nt-asgd begins where more than n losses are there before
        the newest, and that is above the lowest of the n before it.

        References
        ----------
        S. Merity, N. S. Keskar, R. Socher, Regularizing and optimizing LSTM language models
        (2017), algorithm 1. Their code compares with the losses older than the last n.
        """
        if self.kind == "ema":
            return True
        n = int(self.number)
        return len(losses) >= self.earliest and losses[-1] > min(losses[-n - 1 : -1])


def parse(text: object) -> Optional[Averaging]:
    """What "none", "nt-asgd", "nt-asgd:N", "ema" or "ema:DECAY" says.

    Raises
    ------
    RNNError
        For anything else.
    """
    if text == "none":
        return None
    kind, colon, number = text.partition(":") if isinstance(text, str) else ("", "", "")
    is_fit = kind in DEFAULTS
    value = DEFAULTS.get(kind, 0.0)
    if is_fit and colon:
        try:
            value = float(number)
        except ValueError:
            is_fit = False
        if kind == "nt-asgd":
            is_fit = is_fit and number.isascii() and number.isdigit() and 0 < value < 1e6
        else:
            is_fit = is_fit and 0 < value < 1
    if not is_fit:
        raise RNNError(
            f"average {validation.shown(text)} is unknown; use none, nt-asgd, nt-asgd:N "
            "with N evaluations, ema, or ema:DECAY with a decay between 0 and 1, as in ema:0.999"
        )
    return Averaging(kind, value)


class Average:
    """The average of parameters over steps, updated in place after each of them.

    Parameters
    ----------
    averaging : Averaging
    parameters : dict of shared variables
        By name.

    Attributes
    ----------
    shared : dict
        The averages as shared variables, by names such as "W.average". They begin as copies.

    Notes
    -----
    Every element is updated in every step, also the rows of a table that the step left alone:
    the average of what stays moves too. It takes one pass over parameters and averages.
    """

    def __init__(self, averaging: Averaging, parameters: Mapping[str, Variable]) -> None:
        self.averaging, self._parameters = averaging, dict(parameters)
        self.shared = {
            name + AVERAGE: theano.shared(p.get_value(), name + AVERAGE)
            for name, p in parameters.items()
        }
        self._update: Optional[Function] = None

    def update(self, n: int) -> None:
        """Take the parameters into the average, as those of the n-th step that is averaged.

        Parameters
        ----------
        n : int
            Counted from 1.
        """
        if self._update is None:
            self._update = self._compile()
        self._update(self.averaging.weight(n))

    def _compile(self) -> Function:
        from theano_rnn.engine import building, compile_function  # not for --help

        with building():
            c = tensor.dscalar("c")
            pairs = zip(self.shared.values(), self._parameters.values())
            updates = [(a, a + tensor.cast(c, a.dtype) * (p - a)) for a, p in pairs]
            return compile_function([c], [], updates, name="average")

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Until the block ends, the parameters have the values of the average."""
        own, means = (
            [each.get_value(borrow=True) for each in shared.values()]
            for shared in (self._parameters, self.shared)
        )
        try:
            self._assign(means)
            yield
        finally:
            try:
                self._assign(own)
            except BaseException:  # Ctrl-C came between two of them
                self._assign(own)
                raise

    def _assign(self, values: list[Array]) -> None:
        """Give the parameters these arrays, not copies of them."""
        from theano_rnn.engine import exclusive

        with exclusive(self._parameters.values()):
            for p, value in zip(self._parameters.values(), values):
                p.set_value(value, borrow=True)

    def state(self) -> Parameters:
        """Copies of the averages by name, to be saved in a checkpoint."""
        return {name: shared.get_value() for name, shared in self.shared.items()}

    def set_state(self, values: Mapping[str, Array]) -> None:
        """Set the averages to those that ``state`` returned.

        Raises
        ------
        RNNError
            If they are those of other parameters, or not finite; nothing has changed then.
        """
        shapes = {name: a.get_value(borrow=True).shape for name, a in self.shared.items()}
        dtype = next(iter(self.shared.values())).dtype
        for name, value in validation.parameters(values, shapes, dtype).items():
            self.shared[name].set_value(np.asarray(value))
