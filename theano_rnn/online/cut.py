"""Biased methods by backpropagation: a step whose gradient goes some ways only.

What ``snap1``, ``local`` and ``immediate`` leave out of the influence on its way forward, they
leave out of the error on its way back too. So they are the full gradient of a recurrence of the
same values, in whose steps some ways are cut. It is no method to learn online, but it takes
batches, masks and any loop; and it proves the forward methods a second time.
"""

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano
from theano_rnn.model.cells import StepFunction
from theano_rnn.model.jacobians import replaced
from theano_rnn.online.net import Layer, products

#: The methods that leave ways out.
CUT = ("snap1", "local", "immediate")


def cut(step: StepFunction, method: str) -> StepFunction:
    """The step with the same values, whose gradient by backpropagation is that of a method.

    Parameters
    ----------
    step : function (p_t, before, weights) -> state
        The step of a cell.
    method : str
        One of CUT; for one layer, as the method itself.

    Returns
    -------
    function (p_t, before, weights) -> state
    """
    constant = theano.gradient.disconnected_grad

    def cut_step(p: Variable, before: Variables, weights: Variables) -> Variables:
        held = dict(zip(before, map(constant, before)))
        if method == "immediate":
            return step(p, list(held.values()), weights)
        layer = Layer(p, before, weights, step(p, before, weights), step)
        inputs = [p, *before, *weights]
        by: dict[Variable, Variable] = {}
        for product in products(layer):
            (x,) = replaced([product.x], by, inputs)
            (way,) = [x] if method == "snap1" else replaced([product.x], {**held, **by}, inputs)
            own = to_own_unit(way, constant(product.M), before[0].shape[1])
            # The value of x M; to x the error goes by the diagonal alone.
            by[product.q] = tensor.dot(constant(x), product.M) + (own - constant(own))
        return replaced(layer.after, by, inputs)

    return cut_step


def to_own_unit(x: Variable, M: Variable, H: Variable) -> Variable:
    """The part of x M that comes to each unit from itself, (n, n_out)."""
    column = tensor.arange(M.shape[1])
    return x[:, column % H] * M[column % H, column]
