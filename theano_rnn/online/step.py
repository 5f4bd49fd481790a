"""``OnlineStep``: the parameters change at each step of a text."""

from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import NotFinite
from theano_rnn.common.types import Array, Floats, Function, Tokens, Variable
from theano_rnn.engine import building, compile_function, tensor, theano
from theano_rnn.engine.ops.finite import if_finite
from theano_rnn.model import graph
from theano_rnn.model.network import LanguageModel
from theano_rnn.online.compiled import Compiled
from theano_rnn.online.gradient import gradients_of_output, parameters_of_steps
from theano_rnn.online.methods import Now, check_memory
from theano_rnn.online.net import Net, unbroadcast


class OnlineStep(Compiled):
    """Learning at each step of a text: read a token, follow the gradient of its loss E_t.

    At step t the state goes on, and with it what the method carries; both were computed with the
    parameters of earlier steps. Then every parameter changes::

        parameter -= learning_rate * dE_t/dparameter

    Parameters
    ----------
    model : RNN
        Its dropout is off.
    method : str
        As for ``OnlineGradient``.
    seed : int
        Draws the signs of a random method.

    Raises
    ------
    RNNError
        For an unknown method, one that is not defined for this network, or one that would carry
        more than fits into the memory. Nothing is allocated before.

    References
    ----------
    Williams, Zipser, A learning algorithm for continually running fully recurrent neural networks
    (1989).
    """

    def __init__(self, model: LanguageModel, method: str, seed: int = 0) -> None:
        super().__init__(model, method)
        seed = validation.whole_number(seed, "seed", at_least=0)
        self._random = np.random.default_rng(seed)
        P = parameters_of_steps(model, model.vocab_size)
        check_memory(self.method, model.architecture, P, model.dtype)
        with building(floatX=model.dtype):
            net = Net(model.architecture, dict(model.shared))
            self.method.check(net)
            zeros = [tensor.zeros((net.S,), model.dtype), *self.method.start(net, model.dtype)]
            self._carried = [
                theano.shared(np.zeros((0,) * a.ndim, model.dtype), f"carried {i}")
                for i, a in enumerate(zeros)
            ]
            self._reset = compile_function(
                [], [], list(zip(self._carried, map(unbroadcast, zeros))), name="reset"
            )
        self.reset()

    @property
    def state(self) -> Floats:
        """h_t, (S,): the state after the last step; a copy."""
        state: Floats = self._carried[0].get_value()
        return state

    def reset(self) -> None:
        """Begin a new text: the state is zero, and no parameter has influenced it."""
        self._reset()

    def __call__(
        self, x: Tokens, y: Tokens, learning_rate: float, signs: Optional[Array] = None
    ) -> float:
        """Take T steps, from where the last call ended.

        Parameters
        ----------
        x, y : (T,) token ids
        learning_rate : float
        signs : (T, S) array, optional
            Those of a random method, instead of drawn ones.

        Returns
        -------
        float
            The sum of E_t, each before its step, in nats.

        Raises
        ------
        NotFinite
            If E_t or its gradient is not finite. The parameters are those before that step, and
            the next step begins a new text.
        RNNError
            For bad input; nothing has changed then.
        """
        model = self.model
        x, y = validation.token_pair(x, y, model.vocab_size)
        rate = np.asarray(
            validation.positive(learning_rate, "learning_rate", model.dtype), model.dtype
        )
        signs = self._signs(signs, self._random, len(x))
        function, loss = self._compiled(), 0.0
        for t in range(len(x)):
            drawn = [] if signs is None else [signs[t]]
            try:
                (loss_t,) = function(x[t], y[t], rate, *drawn)
            except FloatingPointError:
                self.reset()
                raise NotFinite(
                    f"the loss or the gradient at step {t + 1} is not finite, so it was not "
                    "taken; use a smaller learning_rate"
                ) from None
            loss += float(loss_t)
        return loss

    def _compile(self) -> Function:
        model, a, dtype = self.model, self.model.architecture, self.model.dtype
        token, target = tensor.lscalar("token"), tensor.lscalar("target")
        rate, signs = tensor.scalar("learning_rate", dtype), tensor.vector("signs", dtype)
        h, *carried = self._carried
        net = Net(a, dict(model.shared))
        _, layers = net.step(token, net.columns(h.dimshuffle("x", 0)))
        after = tensor.concatenate([s[0] for layer in layers for s in layer.after])
        output = after[net.top].dimshuffle("x", 0)  # (1, H)
        loss = graph.cross_entropy(
            graph.predicted(a, model.shared, output), unbroadcast(target.dimshuffle("x"))
        )
        e = theano.grad(loss, output)[0]
        none = [tensor.zeros(shape, dtype) for shape in net.shapes()]
        after_carried, sums = self.method.advance(net, Now(token, h, e, signs), carried, none)
        gradients = net.gradients(sums)
        for name, gradient in gradients_of_output(model, loss, output).items():
            gradients[name] = gradients.get(name, 0) + gradient
        squares = sum(tensor.sqr(g).sum() for g in gradients.values())

        def guarded(value: Variable) -> Variable:
            return if_finite(value, loss + squares)

        updates = [(p, guarded(p - rate * gradients[name])) for name, p in model.shared.items()]
        for old, new in zip(self._carried, [after, *after_carried]):
            updates.append((old, unbroadcast(guarded(new))))
        inputs = [token, target, rate] + [signs] * self.method.is_random
        return compile_function(inputs, [loss], updates, name=f"online {self.method.name}")
