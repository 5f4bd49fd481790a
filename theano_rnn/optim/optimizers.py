"""Optimizers and gradient clipping, as symbolic updates.

The formulas are elementwise: p a parameter, g its gradient, all state 0 at first. The arithmetic
is done in the dtype of the parameters, whatever Theano's floatX is.

>>> import numpy as np
>>> from theano_rnn.engine import tensor, theano
>>> W = theano.shared(np.ones((2, 2)), "W")
>>> optimizer = make("momentum", [W], momentum=0.5)
>>> updates = optimizer.updates(theano.grad(tensor.sqr(W).sum(), [W]), learning_rate=0.1)
>>> [shared.name for shared, new in updates]
['W', 'W.velocity']
"""

import inspect
import math
import numbers
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Updates, Variable, Variables
from theano_rnn.engine import tensor, theano

#: What is read in place of a variable of the state.
Seen = Callable[[Variable], Variable]


def as_it_is(state: Variable) -> Variable:
    """The variable itself."""
    return state


class Optimizer:
    """What the optimizers share: parameters, the state beside them, and the loop over both.

    Parameters
    ----------
    parameters : list of shared variables
        Of one dtype, with distinct names.
    words : tuple of str
        The state of a parameter: "velocity" of the parameter W is "W.velocity", of its shape.
    **constants
        By name: an epsilon above 0, any other from 0 to below 1.

    Attributes
    ----------
    state : dict
        Shared variables by name. They are made once, so that all functions compiled from one
        optimizer continue the same state.

    Raises
    ------
    RNNError
        For parameters of several dtypes or one name, and for a constant out of its range.
    """

    def __init__(
        self, parameters: Variables, words: Sequence[str] = (), **constants: float
    ) -> None:
        self.parameters = list(parameters)
        names = [p.name for p in self.parameters]
        if not names or None in names or len(set(names)) < len(names):
            raise RNNError(f"parameters are named {names}; give each a name of its own, for state")
        dtypes = sorted({p.dtype for p in self.parameters})
        if len(dtypes) > 1:
            raise RNNError(f"parameters are {' and '.join(dtypes)}; make them of one dtype")
        (self.dtype,) = dtypes
        for name, value in constants.items():
            setattr(self, name, _checked(value, name, self.dtype))
        self._common: Variables = []
        self._beside = [[_zeros(p, word) for word in words] for p in self.parameters]
        self.state = {shared.name: shared for beside in self._beside for shared in beside}

    def updates(
        self, gradients: Variables, learning_rate: Variable, seen: Seen = as_it_is
    ) -> Updates:
        """One step.

        Parameters
        ----------
        gradients : list of expressions
            In the order of the parameters, of their shapes and dtype.
        learning_rate : scalar expression or float
        seen : function, optional
            Of a variable of the state: the expression that is read in its place, such as one that
            cannot be had before another.

        Returns
        -------
        list of (shared variable, expression)
            The new values of parameters and state.
        """
        if len(gradients) != len(self.parameters):
            counts = f"{len(gradients)} gradients for {len(self.parameters)} parameters"
            raise RNNError(f"{counts}; pass one for each, in their order")
        learning_rate = self._scalar(learning_rate)
        common = [seen(state) for state in self._common]
        pairs: Updates = []
        for p, g, beside in zip(self.parameters, gradients, self._beside):
            state = [seen(state) for state in beside]
            pairs += zip([p, *beside], self._step(p, g, learning_rate, *state, *common))
        return pairs

    def _step(self, *args: Any, **kwargs: Any) -> Variables:
        """From p, its gradient, the learning rate, its state, the common one: p and its state."""
        raise NotImplementedError

    def _scalar(self, value: Variable) -> Variable:
        return _scalar(value, self.dtype)


class SGD(Optimizer):
    """Stochastic gradient descent: p -= learning_rate * g.

    Parameters
    ----------
    parameters : list of shared variables

    Notes
    -----
    Where g is 0, as in the rows of U whose token did not occur, p stays.

    References
    ----------
    H. Robbins, S. Monro, A stochastic approximation method (1951).
    """

    def __init__(self, parameters: Variables) -> None:
        super().__init__(parameters)

    def _step(self, p: Variable, g: Variable, learning_rate: Variable) -> Variables:
        return [p - learning_rate * g]


class Momentum(Optimizer):
    """The velocity remembers past steps: v = momentum * v - learning_rate * g, p += v.

    Parameters
    ----------
    parameters : list of shared variables
    momentum : float, default 0.9
        Under a constant gradient v grows to 1 / (1 - momentum) times the step of SGD.

    Notes
    -----
    Where g is 0, as in the rows of U whose token did not occur, p moves on by v, which decays.

    References
    ----------
    B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964), as
    written by I. Sutskever et al., On the importance of initialization and momentum in deep
    learning (2013), equations 1 and 2.
    """

    momentum: float

    def __init__(self, parameters: Variables, momentum: float = 0.9) -> None:
        super().__init__(parameters, ("velocity",), momentum=momentum)

    def _step(self, p: Variable, g: Variable, learning_rate: Variable, v: Variable) -> Variables:
        v_new = self._scalar(self.momentum) * v - learning_rate * g
        return [p + v_new, v_new]


class Nesterov(Optimizer):
    """Momentum whose gradient is taken ahead, where the velocity leads.

    v = momentum * v - learning_rate * g, p += momentum * v - learning_rate * g.

    Parameters
    ----------
    parameters : list of shared variables
    momentum : float, default 0.9

    Notes
    -----
    Sutskever et al. write it for a parameter theta whose gradient is taken at another point:

        v = momentum * v - learning_rate * g(theta + momentum * v), theta += v.

    Here that point is what is stored, p = theta + momentum * v, and the gradient is taken at p
    (reformulated so by Bengio et al.). It is the same sequence, seen one look ahead.

    Where g is 0, as in the rows of U whose token did not occur, p moves on by momentum * v.

    References
    ----------
    Y. Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2)
    (1983). I. Sutskever, J. Martens, G. Dahl, G. Hinton, On the importance of initialization and
    momentum in deep learning (2013), equations 3 and 4. Y. Bengio, N. Boulanger-Lewandowski,
    R. Pascanu, Advances in optimizing recurrent networks (2013).
    """

    momentum: float

    def __init__(self, parameters: Variables, momentum: float = 0.9) -> None:
        super().__init__(parameters, ("velocity",), momentum=momentum)

    def _step(self, p: Variable, g: Variable, learning_rate: Variable, v: Variable) -> Variables:
        momentum = self._scalar(self.momentum)
        v_new = momentum * v - learning_rate * g
        return [p + momentum * v_new - learning_rate * g, v_new]


class AdaGrad(Optimizer):
    """Each entry divided by all its gradients so far.

    r += g^2, p -= learning_rate * g / (sqrt(r) + epsilon).

    Parameters
    ----------
    parameters : list of shared variables
    epsilon : float, default 1e-8
        Outside the root, the paper's delta: 0 / 0 is 0.

    Notes
    -----
    The first step is learning_rate * sign(g), and no entry ever moves farther in a step. Where g
    is 0, as in the rows of U whose token did not occur, p and r stay: a rare token keeps its
    large steps.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, Adaptive subgradient methods for online learning and stochastic
    optimization (2011), figure 1, with diagonal matrices.
    """

    epsilon: float

    def __init__(self, parameters: Variables, epsilon: float = 1e-8) -> None:
        super().__init__(parameters, ("square",), epsilon=epsilon)

    def _step(self, p: Variable, g: Variable, learning_rate: Variable, r: Variable) -> Variables:
        r_new = r + tensor.sqr(g)
        root = tensor.sqrt(r_new) + self._scalar(self.epsilon)
        return [p - learning_rate * g / root, r_new]


class RMSProp(Optimizer):
    """Each entry divided by its recent gradients.

    r = rho * r + (1 - rho) * g^2, p -= learning_rate * g / (sqrt(r) + epsilon).

    Parameters
    ----------
    parameters : list of shared variables
    rho : float, default 0.9
        The lecture's. r is the mean of g^2 over about the last 1 / (1 - rho) steps.
    epsilon : float, default 1e-8
        Outside the root; the lecture has none, and others put it inside. 0 / 0 is 0.

    Notes
    -----
    r is not corrected for its start at 0: the first step is learning_rate / sqrt(1 - rho), 3.2
    times learning_rate, and no entry ever moves farther in a step. Where g is 0, as in the rows of
    U whose token did not occur, p stays and r decays: a token long unseen steps as at first.

    References
    ----------
    T. Tieleman, G. Hinton, Lecture 6.5 - rmsprop, Neural networks for machine learning (2012).
    """

    rho: float
    epsilon: float

    def __init__(self, parameters: Variables, rho: float = 0.9, epsilon: float = 1e-8) -> None:
        super().__init__(parameters, ("square",), rho=rho, epsilon=epsilon)

    def _step(self, p: Variable, g: Variable, learning_rate: Variable, r: Variable) -> Variables:
        r_new = self._scalar(self.rho) * r + self._scalar(1 - self.rho) * tensor.sqr(g)
        root = tensor.sqrt(r_new) + self._scalar(self.epsilon)
        return [p - learning_rate * g / root, r_new]


class Adam(Optimizer):
    """The mean of g over the root of the mean of g^2, both corrected for their start at 0.

    t += 1, m = beta1 * m + (1 - beta1) * g, r = beta2 * r + (1 - beta2) * g^2,
    p -= learning_rate * m / (1 - beta1^t) / (sqrt(r / (1 - beta2^t)) + epsilon).

    Parameters
    ----------
    parameters : list of shared variables
    beta1, beta2 : float, default 0.9 and 0.999
    epsilon : float, default 1e-8
        Outside the root, as in the paper; the three constants are the paper's.

    Notes
    -----
    The first step is learning_rate * sign(g). Where g is 0, as in the rows of U whose token did
    not occur, m and r decay and p moves on by them; a row stays until its token first occurs.

    The state is "W.mean" (m), "W.square" (r) and "adam.t" in the dtype of the parameters: in
    float32 t counts to 2^24 and stays, where both corrections have long been 1.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: a method for stochastic optimization (2015), algorithm 1.
    """

    beta1: float
    beta2: float
    epsilon: float

    def __init__(
        self,
        parameters: Variables,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        words = ("mean", "square")
        super().__init__(parameters, words, beta1=beta1, beta2=beta2, epsilon=epsilon)
        t = self.state["adam.t"] = theano.shared(np.zeros((), self.dtype), "adam.t")
        self._common = [t]

    def updates(
        self, gradients: Variables, learning_rate: Variable, seen: Seen = as_it_is
    ) -> Updates:
        (t,) = self._common
        return super().updates(gradients, learning_rate, seen) + [(t, seen(t) + 1)]

    def _step(
        self,
        p: Variable,
        g: Variable,
        learning_rate: Variable,
        m: Variable,
        r: Variable,
        t: Variable,
    ) -> Variables:
        m_new = self._scalar(self.beta1) * m + self._scalar(1 - self.beta1) * g
        r_new = self._scalar(self.beta2) * r + self._scalar(1 - self.beta2) * tensor.sqr(g)
        root = tensor.sqrt(r_new / self._correction(self.beta2, t)) + self._scalar(self.epsilon)
        p_new = p - learning_rate / self._correction(self.beta1, t) * m_new / root
        return [p_new, m_new, r_new]

    def _correction(self, beta: float, t: Variable) -> Variable:
        # 1 - beta^t as -expm1(t log beta): in float32, 1 - .999 itself is off by 1e-5.
        log_beta = self._scalar(math.log(max(beta, 1e-30)))  # beta^t is 0 for either
        return -tensor.expm1((t + 1) * log_beta)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
}


def make(name: str, parameters: Variables, **constants: float) -> Optimizer:
    """An optimizer by name, with other constants than its defaults where given.

    Parameters
    ----------
    name : str
        One of OPTIMIZERS: "sgd", "momentum", "nesterov", "adagrad", "rmsprop" or "adam".
    parameters : list of shared variables
    **constants
        Such as ``momentum=0.95``.

    Returns
    -------
    Optimizer

    Raises
    ------
    RNNError
        For a name that is not one of OPTIMIZERS, and an unknown or bad constant.
    """
    check(name)
    optimizer = OPTIMIZERS[str(name)]
    known = list(inspect.signature(optimizer).parameters)[1:]
    unknown = [constant for constant in constants if constant not in known]
    if unknown:
        has = ", ".join(known) or "none"
        raise RNNError(f"{name} has no constant {', '.join(unknown)}; its constants are: {has}")
    return optimizer(parameters, **constants)


def check(name: str) -> None:
    """RNNError for a name that is not one of OPTIMIZERS.

    Parameters
    ----------
    name : str

    Raises
    ------
    RNNError
    """
    if not isinstance(name, str) or name not in OPTIMIZERS:
        *others, last = OPTIMIZERS
        raise RNNError(
            f"optimizer {validation.shown(name)} is unknown; use {', '.join(others)} or {last}"
        )


# ---- clipping


def global_norm(gradients: Variables) -> Variable:
    """sqrt(sum g^2) over all gradients together, a scalar expression.

    Parameters
    ----------
    gradients : list of expressions

    Returns
    -------
    scalar expression
    """
    return tensor.sqrt(sum(tensor.sqr(g).sum() for g in gradients))


def clip_by_norm(gradients: Variables, clip: Variable) -> tuple[Variables, Variable]:
    """g *= min(1, clip / norm), with the norm of all gradients together: the direction stays.

    Parameters
    ----------
    gradients : list of expressions
    clip : scalar expression or float
        The largest norm, positive.

    Returns
    -------
    gradients : list of expressions
    norm : scalar expression
        Before clipping.

    Notes
    -----
    A norm of 0 leaves the zeros. Where the squares leave the range of the dtype (a gradient above
    1.8e19 in float32) the norm is infinite and finite gradients become 0; one that is itself not
    finite becomes NaN.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks
    (2013), algorithm 1.
    """
    norm = global_norm(gradients)
    scale = tensor.minimum(1, _scalar(clip, norm.dtype) / norm)  # clip / 0 is infinite, so 1
    return [g * scale for g in gradients], norm


def clip_by_value(gradients: Variables, clip: Variable) -> tuple[Variables, Variable]:
    """Each entry of each gradient clipped to [-clip, clip]: the direction may change.

    Parameters
    ----------
    gradients : list of expressions
    clip : scalar expression or float
        Positive.

    Returns
    -------
    gradients : list of expressions
    norm : scalar expression
        Of all gradients together, before clipping.

    Notes
    -----
    The norm is not that of what is returned, and says nothing of how many entries were cut.
    """
    norm = global_norm(gradients)
    clip = _scalar(clip, norm.dtype)
    return [tensor.clip(g, -clip, clip) for g in gradients], norm


# ---- state and constants


def _zeros(p: Variable, word: str) -> Variable:
    zeros = np.zeros_like(p.get_value(borrow=True))
    return theano.shared(zeros, f"{p.name}.{word}", broadcastable=p.broadcastable, borrow=True)


def _scalar(value: Variable, dtype: str) -> Variable:
    """A scalar expression of the dtype, from an expression or a number."""
    if isinstance(value, theano.graph.basic.Variable):
        return tensor.cast(value, dtype)
    # A bare float would be rounded to float32, or widen float32 where floatX is float64.
    return tensor.constant(np.asarray(value, dtype))


def _checked(value: Any, name: str, dtype: str) -> float:
    """A constant in its range."""
    if name == "epsilon":
        if validation.positive(value, name, dtype) < np.finfo(dtype).tiny:
            raise RNNError(f"{name} is {value}, which {dtype} cannot hold; make it larger")
    elif (
        not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= float(value) < 1
    ):
        raise RNNError(f"{name} must be a number from 0 to below 1, not {validation.shown(value)}")
    return float(value)
