"""Optimizers, as symbolic updates.

An optimizer is one function of Theano expressions. It takes a parameter p, its gradient g, the
learning rate and its state, and returns the new p and the new state; all of it elementwise:

    def momentum(p, g, learning_rate, velocity, *, momentum=0.9):
        velocity = momentum * velocity - learning_rate * g
        return [p + velocity, velocity]

The signature declares everything. The arguments between the learning rate and the ``*`` are the
state: zeros of the shape of p at first, named "W.velocity" for the parameter W. Only ``t`` is one
number for all parameters, named "adam.t" for adam. The arguments after the ``*`` are the
constants and their defaults. ``Optimizer`` makes the state and applies the function to all
parameters.

>>> import numpy as np
>>> from theano_rnn.engine import tensor, theano
>>> W = theano.shared(np.ones((2, 2)), "W")
>>> optimizer = Optimizer("momentum", [W], momentum=0.5)
>>> updates = optimizer.updates(theano.grad(tensor.sqr(W).sum(), [W]), learning_rate=0.1)
>>> [shared.name for shared, new in updates]
['W', 'W.velocity']
"""

import inspect
import math
import numbers
from typing import Any, Callable

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Updates, Variable, Variables
from theano_rnn.model.later import tensor, theano


def sgd(p: Variable, g: Variable, learning_rate: Variable) -> Variables:
    """Stochastic gradient descent: p -= learning_rate * g.

    Notes
    -----
    Where g is 0, as in the rows of U whose token did not occur, p stays.

    References
    ----------
    H. Robbins, S. Monro, A stochastic approximation method (1951).
    """
    return [p - learning_rate * g]


def momentum(
    p: Variable, g: Variable, learning_rate: Variable, velocity: Variable, *, momentum: float = 0.9
) -> Variables:
    """The velocity remembers past steps: v = momentum * v - learning_rate * g, p += v.

    Parameters
    ----------
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
    v = momentum * velocity - learning_rate * g
    return [p + v, v]


def nesterov(
    p: Variable, g: Variable, learning_rate: Variable, velocity: Variable, *, momentum: float = 0.9
) -> Variables:
    """Momentum with the gradient taken ahead, where the velocity leads.

    v = momentum * v - learning_rate * g, p += momentum * v - learning_rate * g.

    Parameters
    ----------
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
    v = momentum * velocity - learning_rate * g
    return [p + momentum * v - learning_rate * g, v]


def adagrad(
    p: Variable, g: Variable, learning_rate: Variable, square: Variable, *, epsilon: float = 1e-8
) -> Variables:
    """Each entry of the gradient divided by the root of the sum of its squares so far.

    r += g^2, p -= learning_rate * g / (sqrt(r) + epsilon). The state ``square`` is r.

    Parameters
    ----------
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
    r = square + tensor.sqr(g)
    return [p - learning_rate * g / (tensor.sqrt(r) + epsilon), r]


def rmsprop(
    p: Variable,
    g: Variable,
    learning_rate: Variable,
    square: Variable,
    *,
    rho: float = 0.9,
    epsilon: float = 1e-8,
) -> Variables:
    """Each entry of the gradient divided by the root of the mean of its recent squares.

    r = rho * r + (1 - rho) * g^2, p -= learning_rate * g / (sqrt(r) + epsilon). The state
    ``square`` is r.

    Parameters
    ----------
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
    r = rho * square + (1 - rho) * tensor.sqr(g)
    return [p - learning_rate * g / (tensor.sqrt(r) + epsilon), r]


def adam(
    p: Variable,
    g: Variable,
    learning_rate: Variable,
    mean: Variable,
    square: Variable,
    t: Variable,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Variables:
    """The mean of g over the root of the mean of g^2, both corrected for their start at 0.

    t += 1, m = beta1 * m + (1 - beta1) * g, r = beta2 * r + (1 - beta2) * g^2,
    p -= learning_rate * m / (1 - beta1^t) / (sqrt(r / (1 - beta2^t)) + epsilon).
    The state is ``mean``, m, ``square``, r, and ``t``.

    Parameters
    ----------
    beta1, beta2 : float, default 0.9 and 0.999
    epsilon : float, default 1e-8
        Outside the root, as in the paper; the three constants are the paper's.

    Notes
    -----
    The first step is learning_rate * sign(g). Where g is 0, as in the rows of U whose token did
    not occur, m and r decay and p moves on by them; a row stays until its token first occurs.

    t counts in the dtype of the parameters: in float32 it stays at 2^24, where both corrections
    have long been 1.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: a method for stochastic optimization (2015), algorithm 1.
    """
    t = t + 1.0

    def correction(beta: float) -> Variable:
        # 1 - beta^t as -expm1(t log beta): in float32, 1 - .999 itself is off by 1e-5.
        return -tensor.expm1(t * math.log(max(beta, 1e-30)))  # beta^t is 0 for either

    m = beta1 * mean + (1 - beta1) * g
    r = beta2 * square + (1 - beta2) * tensor.sqr(g)
    root = tensor.sqrt(r / correction(beta2)) + epsilon
    return [p - learning_rate / correction(beta1) * m / root, m, r, t]


#: From a parameter, its gradient, the learning rate and the state: the new parameter and state.
Rule = Callable[..., Variables]
OPTIMIZERS: dict[str, Rule] = {
    rule.__name__: rule for rule in (sgd, momentum, nesterov, adagrad, rmsprop, adam)
}


class Optimizer:
    """An optimizer by name, with the state that it keeps beside the parameters.

    Parameters
    ----------
    name : str
        One of OPTIMIZERS: "sgd", "momentum", "nesterov", "adagrad", "rmsprop" or "adam".
    parameters : list of shared variables
        Of one dtype, with distinct names.
    **constants
        Such as ``momentum=0.95``: an epsilon above 0, any other from 0 to below 1. The others
        have their defaults.

    Attributes
    ----------
    state : dict
        Shared variables by name. They are made once, so that all functions compiled from one
        optimizer continue the same state.
    constants : dict of float

    Raises
    ------
    RNNError
        For an unknown name, an unknown or bad constant, and parameters of several dtypes or of
        one name.
    """

    def __init__(self, name: str, parameters: Variables, **constants: float) -> None:
        check(name)
        self.name, self.rule, self.parameters = name, OPTIMIZERS[name], list(parameters)
        self.dtype = _common_dtype(self.parameters)
        state, defaults = _declared(self.rule)
        unknown = [constant for constant in constants if constant not in defaults]
        if unknown:
            has = ", ".join(defaults) or "none"
            raise RNNError(
                f"{name} has no constant {', '.join(unknown)}; its constants are: {has}"
            )
        self.constants = {
            constant: _checked(value, constant, self.dtype)
            for constant, value in {**defaults, **constants}.items()
        }
        t = theano.shared(np.zeros((), self.dtype), f"{name}.t")
        self._state_of = [
            [t if word == "t" else _zeros_beside(p, word) for word in state]
            for p in self.parameters
        ]
        held = [shared for beside in self._state_of for shared in beside]
        held.sort(key=lambda shared: shared is t)  # t last, as in the first version's checkpoints
        self.state = {shared.name: shared for shared in held}

    def updates(
        self,
        gradients: Variables,
        learning_rate: Variable,
        guard: Callable[[Variable], Variable] = lambda a: a,
    ) -> Updates:
        """The new values of parameters and state after one step.

        Parameters
        ----------
        gradients : list of expressions
            In the order of the parameters, of their shapes and dtype.
        learning_rate : scalar expression or float
        guard : function from expression to expression, optional
            Wraps each state where it is read, such as in ``if_finite``: a state may be updated in
            place before any gradient is read.

        Returns
        -------
        list of (shared variable, expression)

        Raises
        ------
        RNNError
            For another number of gradients than parameters.
        """
        if len(gradients) != len(self.parameters):
            counts = f"{len(gradients)} gradients for {len(self.parameters)} parameters"
            raise RNNError(f"{counts}; pass one for each, in their order")
        new: dict[Variable, Variable] = {}  # t of all parameters once
        from theano_rnn.engine import building  # not for --help, as in model.later

        # So a float in a rule is of the parameters' dtype: it could be float32, or make float64.
        with building(floatX=self.dtype, cast_policy="numpy+floatX"):
            learning_rate = tensor.cast(learning_rate, self.dtype)
            for p, g, beside in zip(self.parameters, gradients, self._state_of):
                state = [guard(shared) for shared in beside]
                values = self.rule(p, g, learning_rate, *state, **self.constants)
                new.update(zip([p, *beside], values))
        return list(new.items())


def check(name: str) -> None:
    """RNNError for a name that is not one of OPTIMIZERS.

    Raises
    ------
    RNNError
    """
    if not isinstance(name, str) or name not in OPTIMIZERS:
        *others, last = OPTIMIZERS
        raise RNNError(
            f"optimizer {validation.shown(name)} is unknown; use {', '.join(others)} or {last}"
        )


def _declared(rule: Rule) -> tuple[list[str], dict[str, float]]:
    """The names of a rule's state, and its constants with their defaults."""
    _, _, _, *rest = inspect.signature(rule).parameters.values()  # p, g, learning_rate
    state = [each.name for each in rest if each.kind is not each.KEYWORD_ONLY]
    return state, {each.name: each.default for each in rest if each.kind is each.KEYWORD_ONLY}


def _common_dtype(parameters: Variables) -> str:
    names = [p.name for p in parameters]
    if not names or None in names or len(set(names)) < len(names):
        raise RNNError(f"parameters are named {names}; give each a name of its own, for state")
    dtypes: list[str] = sorted({p.dtype for p in parameters})
    if len(dtypes) > 1:
        raise RNNError(f"parameters are {' and '.join(dtypes)}; make them of one dtype")
    return dtypes[0]


def _zeros_beside(p: Variable, word: str) -> Variable:
    zeros = np.zeros_like(p.get_value(borrow=True))
    return theano.shared(zeros, f"{p.name}.{word}", broadcastable=p.broadcastable, borrow=True)


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
