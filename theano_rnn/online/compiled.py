"""What ``OnlineGradient`` and ``OnlineStep`` share: a method on a model, a compiled function."""

from abc import ABC, abstractmethod
from typing import Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Function
from theano_rnn.engine import building, once
from theano_rnn.model.network import LanguageModel
from theano_rnn.online.methods import parse


class Compiled(ABC):
    """A method on a model, whose function is compiled when it is first used.

    Attributes
    ----------
    model : RNN
    method : theano_rnn.online.methods.Method

    Raises
    ------
    RNNError
        For an unknown method.
    """

    def __init__(self, model: LanguageModel, method: str) -> None:
        self.model, self.method = model, parse(method)
        self._functions: dict[str, Function] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self.method.name!r})"

    @abstractmethod
    def _compile(self) -> Function:
        """The function, newly compiled."""

    def _compiled(self) -> Function:
        def in_its_dtype() -> Function:
            with building(floatX=self.model.dtype):
                return self._compile()

        function: Function = once(self._functions, "", in_its_dtype)
        return function

    def _signs(
        self, given: Optional[Array], seed: Union[int, np.random.Generator], T: int
    ) -> Optional[Floats]:
        """The signs of a random method at T steps, (T, S): those given, or drawn; else None."""
        model, S = self.model, self.model.architecture.state_size
        if given is not None and not self.method.is_random:
            raise RNNError(f"{self.method.name} draws no signs; leave them out")
        if given is not None:
            return validation.finite_array(given, "signs", (T, S), model.dtype)
        return random_signs(seed, (T, S), model.dtype) if self.method.is_random else None


def random_signs(
    seed: Union[int, np.random.Generator], shape: tuple[int, ...], dtype: str
) -> Floats:
    """Signs 1 or -1, each with probability 1/2."""
    if not isinstance(seed, np.random.Generator):
        seed = np.random.default_rng(validation.whole_number(seed, "seed", at_least=0))
    signs: Floats = (2 * seed.integers(2, size=shape) - 1).astype(dtype)
    return signs
