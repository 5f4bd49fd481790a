"""What a training step needs of a model: parameters, states, and the network as a graph."""

from collections.abc import Collection, Mapping
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Parameters, Variable
from theano_rnn.engine import building, exclusive, tensor, theano
from theano_rnn.model import dropout, graph
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.initialization import initial
from theano_rnn.model.truncation import Truncation


class LanguageModel:
    """The parameters of a recurrent language model, and its network as a Theano graph.

    It compiles nothing. ``theano_rnn.RNN`` adds the compiled functions that use the parameters,
    ``theano_rnn.optim.step.Step`` is the one that changes them. ``initialization``, ``seed``,
    ``dtype`` and all attributes are those of ``RNN``.

    Raises
    ------
    RNNError
        For a bad seed, dtype or initialization.
    """

    def __init__(
        self,
        architecture: Architecture,
        truncation: Truncation,
        initialization: str = "uniform",
        seed: int = 0,
        dtype: Optional[str] = None,
    ) -> None:
        self.architecture, self._truncation = architecture, truncation
        seed = validation.whole_number(seed, "seed", at_least=0)
        with building():  # not while another thread compiles with a floatX of its own
            self.dtype = theano.config.floatX if dtype is None else dtype
        if not isinstance(self.dtype, str) or self.dtype not in ("float32", "float64"):
            if dtype is None:
                raise RNNError(
                    f"floatX={self.dtype} is no dtype of a network: set floatX to float32 or "
                    "float64 in THEANO_FLAGS or .theanorc, or give dtype"
                )
            raise RNNError(
                f"dtype {validation.shown(dtype)} is unknown; use 'float32' or 'float64'"
            )
        values = initial(architecture.shapes, architecture.cell, initialization, seed, self.dtype)
        self.shared = {
            name: theano.shared(self._as_stored(name, value), name, borrow=True)
            for name, value in values.items()
        }
        self.random = np.random.default_rng([seed, 1])

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.architecture.vocab_size

    @property
    def hidden_size(self) -> int:
        """H, the number of units of a layer."""
        return self.architecture.hidden_size

    @property
    def truncation(self) -> str:
        """Where the gradient is cut, such as "window:4"; fixed when the model is made."""
        return str(self._truncation)

    def parameters(self) -> Parameters:
        """Copies of the parameters by name: U (G*H, vocab_size), V (vocab_size, H), W (G*H, H).

        G is the number of gates of the cell. ``architecture.shapes`` has all names and shapes,
        in order.

        Returns
        -------
        dict of arrays
            In the dtype of the model.
        """
        with exclusive(self.shared.values()):  # of one moment, between two steps of any thread
            return {
                name: self._as_documented(name, p.get_value(borrow=True))
                for name, p in self.shared.items()
            }

    def set_parameters(self, values: Mapping[str, Array]) -> None:
        """Set all parameters, given by the names and in the shapes that ``parameters`` returns.

        Parameters
        ----------
        values : dict of arrays
            Copied, and cast to the dtype of the model.

        Raises
        ------
        RNNError
            If one is missing, unknown, of another shape, or not finite; nothing has changed then.
        """
        values = self.architecture.check_parameters(values, self.dtype)
        with exclusive(self.shared.values()):
            for name, p in self.shared.items():
                p.set_value(self._as_stored(name, values[name]), borrow=True)

    def _as_stored(self, name: str, value: Floats) -> Floats:
        return np.ascontiguousarray(value.T) if name == self.architecture.table else value

    def _as_documented(self, name: str, value: Floats) -> Floats:
        return np.array(value.T if name == self.architecture.table else value, order="C")

    def zero_state(self, rows: int) -> Floats:
        """The state before the first token, (rows, state_size).

        Parameters
        ----------
        rows : int
            B, the number of sequences.

        Returns
        -------
        (rows, state_size) array
        """
        state: Floats = np.zeros((rows, self.architecture.state_size), self.dtype)
        return state

    def checked_state(self, state: Optional[Array], rows: int) -> Floats:
        """The given state, checked, or zeros for None.

        Parameters
        ----------
        state : (rows, state_size) array, optional
        rows : int
            B, the number of sequences.

        Returns
        -------
        (rows, state_size) array
            A copy, in the dtype of the model.

        Raises
        ------
        RNNError
            For another shape, or numbers that are not finite.
        """
        if state is None:
            return self.zero_state(rows)
        return validation.finite_array(
            state, "state", (rows, self.architecture.state_size), self.dtype
        )

    @property
    def align_right(self) -> bool:
        """Whether the sequences of a batch must end together, as "last:K" counts from the end."""
        return self._truncation.scheme == "last"

    def chunk_starts(self, T: Variable) -> Variable:
        """(T,) booleans, true at the steps that begin a chunk; None without chunks."""
        scheme, K = self._truncation.scheme, self._truncation.K
        return None if scheme != "chunk" or K is None else truncations.starts_of_chunks(T, K)

    def network(
        self,
        is_masked: bool = False,
        dropped: Collection[str] = (),
        variational: bool = False,
        truncation: Optional[Truncation] = None,
    ) -> tuple[list[Variable], graph.Inputs, graph.Network]:
        """Fresh symbolic inputs, as a list and by name, and the network on them.

        Parameters
        ----------
        is_masked : bool
            Whether sequences of a batch differ in length.
        dropped : collection of str
            Which masks of dropout are among the inputs: fields of ``dropout.Masks``.
        variational : bool
            Whether those of the states and of the input are the same at every step.
        truncation : Truncation, optional
            By default the model's own.

        Returns
        -------
        symbols : list of symbolic variables
            In the order of ``BatchInputs.arrays()``, then the state, the masks of dropout, and the
            factors of artbp.
        inputs : theano_rnn.model.graph.Inputs
            The same variables by name.
        network : theano_rnn.model.graph.Network
        """
        truncation = truncation or self._truncation
        inputs = graph.Inputs(
            x=tensor.lmatrix("x"),
            y=tensor.lvector("y"),
            state=tensor.matrix("state", self.dtype),
            mask=tensor.matrix("mask", "bool") if is_masked else None,
            position=tensor.lvector("position") if is_masked else None,
            masks=dropout.symbols(dropped, self.dtype, variational),
            factors=tensor.matrix("factors", self.dtype) if truncation.scheme == "artbp" else None,
        )
        x, y, state, mask, position, masks, factors = inputs
        symbols = [x, y, mask, position, state, *masks.given(), factors]
        symbols = [a for a in symbols if a is not None]
        with building(floatX=self.dtype):
            net = graph.network(self.architecture, truncation, self.shared, inputs)
        return symbols, inputs, net
