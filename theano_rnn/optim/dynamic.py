"""The step of dynamic evaluation: a model learns from each piece of the text it is judged on.

Steps of sgd move all parameters at one rate. Here the rate of each number is divided by the root
of the mean of its squared gradients over the training text. And each number decays towards what it
was when training ended, the sooner the larger its gradients are.
"""

from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Function, Mask, Tokens, Updates, Variable
from theano_rnn.engine import building, compile_function, once, tensor, theano
from theano_rnn.model.batch_inputs import batch_inputs
from theano_rnn.model.network import LanguageModel

#: lambda and epsilon of the paper's code: .002 for a piece of 5 tokens, and 2e-5.
DECAY, EPSILON = 0.002 / 5, 2e-5


class DynamicStep:
    """Adapt a model to a piece of text.

    For a piece of n tokens with the gradient g = dE/dtheta / n, the parameters theta_0 at first
    and rms, the root of the mean of g^2 over batches of the training text,

        theta += n decay r (theta_0 - theta) - n learning_rate g / (rms + epsilon)

    with r = rms / mean(rms) and n decay r at most 1. The mean is that over the parameters of the
    mean of each. Call ``observe`` on each batch of the training text, then ``begin``, then the
    step itself. A second ``begin`` takes the present parameters as theta_0.

    Parameters
    ----------
    model : RNN
        Without dropout; its parameters change.
    decay : float
        lambda, for each token.
    epsilon : float
        Beside the rms, so that a number whose gradient is nearly always 0 takes no large step.

    Notes
    -----
    The paper has one rate and one lambda for pieces of one length, and scales them with it. Here
    both are for each token, so that pieces may differ in length. As in the paper there is no
    clipping, and a rate that is too large loses the parameters.

    Raises
    ------
    RNNError
        For a bad number, a model with truncation artbp, and calls in another order.

    References
    ----------
    B. Krause, E. Kahembwe, I. Murray, S. Renals, Dynamic evaluation of neural sequence models
    (2018), section 5, and its code, https://github.com/benkrause/dynamic-evaluation.
    """

    def __init__(
        self, model: LanguageModel, decay: float = DECAY, epsilon: float = EPSILON
    ) -> None:
        self.model = model
        if model._truncation.scheme == "artbp":
            raise RNNError(
                f"dynamic evaluation draws no cuts, and the truncation is {model.truncation}; "
                "load the model with truncation='full'"
            )
        self.decay = validation.at_least_zero(decay, "decay", model.dtype)
        self.epsilon = validation.positive(epsilon, "epsilon", model.dtype)
        self._first, self._rms, self._share = (self._beside(word) for word in ("0", "rms", "r"))
        self._count, self._has_begun = 0, False
        self._functions: dict[object, Function] = {}

    def _beside(self, word: str) -> list[Variable]:
        return [
            theano.shared(np.zeros_like(p.get_value(borrow=True)), f"{name}.{word}")
            for name, p in self.model.shared.items()
        ]

    def observe(
        self, x: Tokens, y: Tokens, mask: Optional[Mask] = None, state: Optional[Array] = None
    ) -> Floats:
        """Count the gradient of a batch of the training text; the parameters stay.

        Parameters
        ----------
        x, y, mask
            As ``RNN`` takes them.
        state : (B, state_size) array, optional
            Before the first step; zeros by default.

        Returns
        -------
        (B, state_size) array
            The state after the batch.
        """
        if self._has_begun:
            raise RNNError("observe all batches before begin")
        _, after = self._called("observe", x, y, mask, state)
        self._count += 1
        return after

    def begin(self) -> None:
        """Take what was observed as rms, and the parameters as they are as theta_0."""
        if not self._count:
            raise RNNError("nothing was observed: call observe on the training text before begin")
        if not self._has_begun:
            roots = [np.sqrt(rms.get_value() / self._count) for rms in self._rms]
            mean = np.mean([root.mean() for root in roots])
            for root, rms, share in zip(roots, self._rms, self._share):
                rms.set_value(root)
                share.set_value((root / mean).astype(root.dtype) if mean else root)
            self._has_begun = True
        for first, p in zip(self._first, self.model.shared.values()):
            first.set_value(p.get_value())

    def __call__(
        self,
        x: Tokens,
        y: Tokens,
        learning_rate: float,
        clip: Optional[float] = None,
        *,
        state: Optional[Array] = None,
    ) -> tuple[float, float, Floats]:
        """Take a step, as ``Step`` does.

        Parameters
        ----------
        x, y : (T,) or (T, B) token ids
        learning_rate : float
            eta, for each token.
        clip : None
            There is no clipping.
        state : (B, state_size) array, optional

        Returns
        -------
        loss : float
            E before the step, in nats.
        norm : float
            NaN: it is not computed.
        state : (B, state_size) array
            The state after the piece.
        """
        if clip is not None:
            raise RNNError(f"steps scaled by the rms are not clipped, and clip is {clip!r:.40}")
        if not self._has_begun:
            raise RNNError("call begin before the first step")
        rate = np.asarray(
            validation.positive(learning_rate, "learning_rate", self.model.dtype),
            self.model.dtype,
        )
        loss, after = self._called("step", x, y, None, state, rate)
        return float(loss), np.nan, after

    def _called(
        self,
        name: str,
        x: Tokens,
        y: Tokens,
        mask: Optional[Mask],
        state: Optional[Array],
        *numbers: Floats,
    ) -> tuple[Floats, Floats]:
        model = self.model
        batch = batch_inputs(x, y, mask, model.vocab_size, model.align_right)
        key = name, batch.is_masked
        function = once(self._functions, key, lambda: self._compile(name, batch.is_masked))
        begin = model.checked_state(state, batch.rows)
        loss, after = function(*batch.arrays(), begin, *numbers)
        return loss, after

    def _compile(self, name: str, is_masked: bool) -> Function:
        model = self.model
        symbols, inputs, net = model.network(is_masked)
        with building(floatX=model.dtype):
            gradients = theano.grad(net.loss, list(model.shared.values()))  # n g
            n = tensor.cast(inputs.y.shape[0], model.dtype)
            if name == "observe":
                updates = [(ms, ms + tensor.sqr(g / n)) for ms, g in zip(self._rms, gradients)]
            else:
                learning_rate = tensor.scalar("learning_rate", model.dtype)
                symbols.append(learning_rate)
                updates = self._adapted(gradients, n, learning_rate)
        return compile_function(symbols, [net.loss, net.after], updates, name=name)

    def _adapted(self, gradients: list[Variable], n: Variable, learning_rate: Variable) -> Updates:
        decay, epsilon = (np.asarray(a, self.model.dtype) for a in (self.decay, self.epsilon))
        updates = []
        for p, g, first, rms, share in zip(
            self.model.shared.values(), gradients, self._first, self._rms, self._share
        ):
            back = tensor.minimum(1, n * decay * share) * (first - p)
            updates.append((p, p + back - learning_rate * g / (rms + epsilon)))
        return updates
