"""Gradient flossing: a loss that draws the Lyapunov exponents of a recurrence to 0.

An exponent is the rate at which a small change of the state grows or shrinks along a sequence. An
error that goes back shrinks and grows at the same rates; where they are 0 it does neither.
"""

from theano_rnn.common.types import Variable, Variables
from theano_rnn.model import graph, jacobians
from theano_rnn.model.cells import StepFunction
from theano_rnn.model.later import tensor, theano

#: Added to |(R_t)_ii|^2, so that a direction which a step maps to 0 has a logarithm.
BOUND = 1e-20


def exponents(
    step: StepFunction, p: Variable, before: Variables, weights: Variables, Q: Variable, k: int
) -> Variable:
    """The first k Lyapunov exponents of one layer on each sequence, (k, B), nats a step.

    With J_t = dh_t/dh_{t-1} and Q_0 orthonormal, Gram-Schmidt makes Q_t R_t = J_t Q_{t-1} at each
    step, and

        lambda_i = 1/T sum_t log |(R_t)_ii|

    Parameters
    ----------
    step : function (p_t, before, weights) -> state
        Of a cell.
    p : (T, B, G*H) expression
    before : list of (T, B, H) expressions
        h_{t-1} for each t, part by part. The gradient goes through these states too.
    weights : list of expressions
        As ``Cell.weights`` makes them.
    Q : (S, k) expression
        Orthonormal columns, the same for all sequences; S numbers are in a state.
    k : int

    Returns
    -------
    (k, B) expression

    References
    ----------
    R. Engelken, Gradient flossing: improving gradient descent through dynamic control of
    Jacobians, arXiv:2312.17306 (2023).
    """
    n = len(before)

    def scan_step(p_t: Variable, *rest: Variable) -> Variables:
        before, Q, weights = rest[:n], rest[n], rest[n + 1 :]
        B, H = before[0].shape
        # Each direction has a row of its own for each sequence.
        rows = [tensor.concatenate([s] * k) for s in before]  # (k * B, H) each
        after = step(tensor.concatenate([p_t] * k), rows, weights)
        directions = Q.reshape((k * B, n * H))
        JQ = tensor.concatenate(
            jacobians.jvp(after, rows, graph.columns(directions, H, n)), axis=1
        ).reshape((k, B, n * H))
        return [tensor.unbroadcast(a, 0) for a in orthonormal(JQ, k)]

    start = tensor.zeros((k, p.shape[1], Q.shape[0]), p.dtype) + Q.T.dimshuffle(0, "x", 1)
    (_, logs), updates = theano.scan(
        scan_step,
        sequences=[p, *before],
        outputs_info=[tensor.unbroadcast(start, 0), None],  # k may be 1
        non_sequences=list(weights),
        strict=True,
        return_list=True,
        name="flossing",
    )
    assert not updates
    return logs.mean(axis=0)


def orthonormal(A: Variable, k: int) -> tuple[Variable, Variable]:
    """Gram-Schmidt: A = Q R for each sequence; Q, and log |R_ii|.

    Parameters
    ----------
    A : (k, B, S) expression
        k vectors of each sequence.
    k : int

    Returns
    -------
    Q : (k, B, S) expression
    logs : (k, B) expression
    """
    found, logs = [], []
    for i in range(k):
        norm = tensor.sqrt(tensor.sqr(A[0]).sum(axis=1) + BOUND)  # R_ii, (B,)
        q = A[0] / norm.dimshuffle(0, "x")
        found.append(q)
        logs.append(tensor.log(norm))
        if i < k - 1:  # what is left has no part along q
            A = A[1:]
            A -= (A * q).sum(axis=2, keepdims=True) * q
    return tensor.stack(found), tensor.stack(logs)


def loss(exponents: Variable) -> Variable:
    """1/k sum lambda_i^2, averaged over the sequences.

    Parameters
    ----------
    exponents : (k, B) expression

    Returns
    -------
    scalar expression
    """
    return tensor.sqr(exponents).mean()
