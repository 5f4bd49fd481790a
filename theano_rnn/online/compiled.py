"""What ``OnlineGradient`` and ``OnlineStep`` share: a method on a model, a compiled function."""

from abc import ABC, abstractmethod
from typing import Optional

from theano_rnn.common.types import Function
from theano_rnn.engine import building
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
        self._function: Optional[Function] = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self.method.name!r})"

    @abstractmethod
    def _compile(self) -> Function:
        """The function, newly compiled."""

    def _compiled(self) -> Function:
        if self._function is None:
            with building(floatX=self.model.dtype):  # one thread; the others wait
                if self._function is None:
                    self._function = self._compile()
        return self._function
