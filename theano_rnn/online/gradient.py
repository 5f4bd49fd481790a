"""``OnlineGradient``: the gradient of a text by a forward method, as ``RNN.bptt`` returns it."""

import math
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.types import Array, Function, Parameters, Tokens, Variable
from theano_rnn.engine import building, compile_function, tensor, theano
from theano_rnn.model.network import LanguageModel
from theano_rnn.model.truncation import Truncation
from theano_rnn.online.compiled import Compiled
from theano_rnn.online.methods import Now, check_memory
from theano_rnn.online.net import Net, unbroadcast


class OnlineGradient(Compiled):
    """The gradient of E on a text, its credit assigned forward in time.

    Parameters
    ----------
    model : RNN
        Its truncation does not matter, and its dropout is off.
    method : str
        "rtrl", "snap1", "uoro", "local" or "immediate"; ``theano_rnn.online.methods`` has their
        equations.

    Raises
    ------
    RNNError
        For an unknown method, or one that is not defined for this network.

    Examples
    --------
    >>> import numpy as np
    >>> from theano_rnn import RNN
    >>> model = RNN(vocab_size=5, hidden_size=4, dtype="float64")
    >>> gradient = OnlineGradient(model, "rtrl")([0, 3, 1], [3, 1, 2])
    >>> bool(np.allclose(gradient["W"], model.bptt([0, 3, 1], [3, 1, 2])["W"]))
    True
    """

    def __init__(self, model: LanguageModel, method: str) -> None:
        super().__init__(model, method)
        with building(floatX=model.dtype):
            self.method.check(Net(model.architecture, dict(model.shared)))

    def __call__(
        self, x: Tokens, y: Tokens, state: Optional[Array] = None, *, seed: int = 0,
        signs: Optional[Array] = None,
    ) -> Parameters:  # fmt: skip
        """The gradient, summed over the steps of one sequence.

        Parameters
        ----------
        x, y : (T,) token ids
        state : (S,) array, optional
            The state before the first step, which no parameter has influenced; zeros by default.
        seed : int
            Draws the signs of a random method.
        signs : (T, S) array, optional
            The signs themselves.

        Returns
        -------
        dict
            Names, shapes and order as ``RNN.bptt`` returns them.

        Raises
        ------
        RNNError
            For bad input, or if what the method carries does not fit into the memory.
        """
        model, S = self.model, self.model.architecture.state_size
        x, y = validation.token_pair(x, y, model.vocab_size)
        if state is not None:
            state = validation.finite_array(state, "state", (S,), model.dtype)[None]
        start = model.checked_state(state, 1)
        tokens, position = np.unique(x, return_inverse=True)
        check_memory(
            self.method, model.architecture, parameters_of_steps(model, tokens.size), model.dtype
        )
        arrays = [x[:, None], y, start, tokens, position.reshape(x.shape)]
        signs = self._signs(signs, seed, len(x))
        gradients = self._compiled()(*arrays, *([] if signs is None else [signs]))
        table = model.architecture.table
        return {
            name: np.ascontiguousarray(g.T if name == table else g)
            for name, g in zip(model.shared, gradients)
        }

    def _compile(self) -> Function:
        model, a, dtype = self.model, self.model.architecture, self.model.dtype
        symbols, inputs, network = model.network(truncation=Truncation("full"))  # of a batch of 1
        tokens, position = tensor.lvector("tokens"), tensor.lvector("position")
        signs = [tensor.matrix("signs", dtype)] * self.method.is_random
        states = tensor.concatenate([s[:, 0] for s in network.states], axis=1)  # (T, S)
        before = tensor.concatenate([inputs.state, states[:-1]])
        exact = gradients_of_output(model, network.loss, network.output)
        e = theano.grad(network.loss, network.output)  # (T, H)

        # Only the rows of tokens of this text can have been touched.
        table = model.shared[a.table]
        net = Net(a, {**model.shared, a.table: table[tokens]})
        sums = self._scanned(net, [position, before, e, *signs])
        gradients = net.gradients(sums)
        gradients[a.table] = tensor.inc_subtensor(
            tensor.zeros_like(table)[tokens], gradients[a.table]
        )
        for name, gradient in exact.items():
            gradients[name] = gradients.get(name, 0) + gradient
        outputs = [gradients[name] for name in model.shared]
        given = [*symbols, tokens, position, *signs]
        return compile_function(given, outputs, name=self.method.name)

    def _scanned(self, net: Net, sequences: list[Variable]) -> list[Variable]:
        """The gradients of the blocks of a net, summed over all steps."""
        dtype = self.model.dtype
        carried = self.method.start(net, dtype)
        sums = [tensor.zeros(shape, dtype) for shape in net.shapes()]
        start = [unbroadcast(a) for a in (*carried, *sums)]
        n, end, names = len(carried), len(start), list(net.parameters)

        def step(*given: Variable) -> list[Variable]:
            m = len(sequences)
            here = Net(net.architecture, dict(zip(names, given[m + end :])))
            after, added = self.method.advance(
                here, Now(*given[:m]), given[m : m + n], given[m + n : m + end]
            )
            return [unbroadcast(a) for a in (*after, *added)]

        outputs, updates = theano.scan(
            step,
            sequences=sequences,
            outputs_info=start,
            non_sequences=list(net.parameters.values()),
            strict=True,
            return_list=True,
            name=self.method.name,
        )
        assert not updates
        return [a[-1] for a in outputs[n:]]


def gradients_of_output(
    model: LanguageModel, loss: Variable, output: Variable
) -> dict[str, Variable]:
    """The gradients of V, P and c, and of a tied table in its use as V, the states held.

    Parameters
    ----------
    model : LanguageModel
    loss, output : expressions
        As ``model.network`` returns them.

    Returns
    -------
    dict of expressions
    """
    names = model.architecture.of_output
    wrt = [model.shared[name] for name in names]
    return dict(zip(names, theano.grad(loss, wrt, consider_constant=[output])))


def parameters_of_steps(model: LanguageModel, tokens: int) -> int:
    """How many parameters the steps use, of the table only some rows.

    Parameters
    ----------
    model : LanguageModel
    tokens : int
        Rows of the table.
    """
    a = model.architecture
    shapes = {name: a.shapes[name] for name in a.of_steps}
    shapes[a.table] = (shapes[a.table][0], tokens)
    return sum(math.prod(shape) for shape in shapes.values())
