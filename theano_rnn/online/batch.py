"""``uoro`` for a batch: sequences of vectors, each with directions and signs of its own.

The method is that of ``theano_rnn.online.methods``, for one layer whose states are known.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano
from theano_rnn.model import graph, jacobians
from theano_rnn.model.cells import StepFunction
from theano_rnn.online.methods import root_of_ratio
from theano_rnn.online.net import Layer, products


class Steps(NamedTuple):
    """What the steps of one layer read, and the errors of their states.

    Attributes
    ----------
    x : (T, B, n) expression
    p : (T, B, G*H) expression
        U x_t + b.
    before : list of (T, B, H) expressions
        h_{t-1} for each t, part by part.
    e : (T, B, S) expression
        dE_t/dh_t of the output at t alone.
    """

    x: Variable
    p: Variable
    before: Variables
    e: Variable


def uoro(
    step: StepFunction, steps: Steps, weights: Variables, is_parameter: Variables, signs: Variable
) -> Variables:
    """The gradient of E, by ``UORO`` on each sequence and summed over the sequences.

    Parameters
    ----------
    step : function (p_t, before, weights) -> state
        Of a cell.
    steps : Steps
    weights : list of expressions
        As ``Cell.weights`` makes them.
    is_parameter : list of expressions
        For each matrix of the weights, 1 where it holds a parameter and 0 where the cell added a
        number: ``Cell.weights`` of ones.
    signs : (T, B, S) expression
        nu_t, each 1 or -1.

    Returns
    -------
    list of expressions
        The gradients of U' with b as its last row, (n + 1, G*H), and of each matrix.
    """
    T, B = steps.x.shape[0], steps.x.shape[1]
    n = len(steps.before)
    ones = tensor.ones((T, B, 1), steps.x.dtype)
    x = tensor.concatenate([steps.x, ones], axis=2)  # b is a row of U' that reads 1
    shapes = [(x.shape[2], steps.p.shape[2]), *((M.shape[0], M.shape[1]) for M in is_parameter)]
    v = [tensor.zeros((B, *shape), x.dtype) for shape in shapes]
    sums = [tensor.zeros(shape, x.dtype) for shape in shapes]
    m = len(shapes)

    def scan_step(
        x_t: Variable, p_t: Variable, e_t: Variable, nu_t: Variable, *rest: Variable
    ) -> Variables:
        before, u, v, sums, is_parameter, weights = _parts(rest, [n, 1, m, m, m - 1])
        (u,), H = u, before[0].shape[1]
        layer = Layer(p_t, before, weights, step(p_t, before, weights), step)
        found = products(layer)
        wrt = [p_t, *(product.q for product in found)]
        dp, *dq = jacobians.vjp(layer.after, graph.columns(nu_t, H, n), wrt)
        w = [_outer(x_t, dp)]  # nu' D_t
        w += [_outer(product.x, d) * one for product, d, one in zip(found, dq, is_parameter)]
        Ju = tensor.concatenate(
            jacobians.jvp(layer.after, layer.before, graph.columns(u, H, n)), axis=1
        )
        rho0 = root_of_ratio(_squared_norm(v), _squared_norm([Ju]))  # (B,)
        rho1 = root_of_ratio(_squared_norm(w), _squared_norm([nu_t]))
        u = _times(rho0, Ju) + _times(rho1, nu_t)
        v = [_times(1 / rho0, a) + _times(1 / rho1, b) for a, b in zip(v, w)]
        along = (e_t * u).sum(axis=1)
        return [u, *v, *(a + _times(along, b).sum(axis=0) for a, b in zip(sums, v))]

    outputs, updates = theano.scan(
        scan_step,
        sequences=[x, steps.p, steps.e, signs, *steps.before],
        outputs_info=[tensor.zeros_like(signs[0]), *v, *sums],
        non_sequences=[*is_parameter, *weights],
        strict=True,
        return_list=True,
        name="uoro",
    )
    assert not updates
    return [a[-1] for a in outputs[1 + m :]]


def _parts(variables: Sequence[Variable], sizes: list[int]) -> list[Variables]:
    """The variables, so many in each part, and the rest."""
    given = iter(variables)
    return [*(list(islice(given, size)) for size in sizes), list(given)]


def _outer(a: Variable, b: Variable) -> Variable:
    """The outer product of each sequence, (B, n, m), of a (B, n) and b (B, m)."""
    return a.dimshuffle(0, 1, "x") * b.dimshuffle(0, "x", 1)


def _times(factor: Variable, a: Variable) -> Variable:
    """An array (B, ...), times a factor (B,) of each sequence."""
    return factor.dimshuffle(0, *["x"] * (a.ndim - 1)) * a


def _squared_norm(arrays: Variables) -> Variable:
    """The sum of all squares of each sequence, (B,)."""
    # Flat: Theano's local_sumsqr2dot fails on the sum of an input's squares over two axes.
    return sum(tensor.sqr(a.flatten(2)).sum(axis=1) for a in arrays)
