"""The derivatives of one step, by the state before it and by the parameters.

``derivatives``  of any numbers D h_t, backward: one vector-Jacobian product each
``forward``      of h_t along one direction
``of_own_unit``  from each unit to itself alone
"""

from collections.abc import Sequence

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano
from theano_rnn.model import jacobians
from theano_rnn.online.net import Block, Layer, Net, Product, products


def derivatives(
    net: Net, token: Variable, h: Variable, D: Variable
) -> tuple[Variable, list[Block]]:
    """D dh_t/dh_{t-1}, and D dh_t/dtheta block by block.

    Parameters
    ----------
    net : Net
    token : integer expression
        The row of the table.
    h : (S,) expression
        h_{t-1}.
    D : (n, S) expression
        Held constant.

    Returns
    -------
    back : (n, S) expression
    blocks : list of Block
    """
    # The same state for each row of D, so that each has a gradient of its own.
    before = net.columns(tensor.zeros_like(D) + h)
    row, layers = net.step(token, before)
    found = [product for layer in layers for product in products(layer)]
    after = [s for layer in layers for s in layer.after]
    wrt = [*before, *(layer.p for layer in layers), *(product.q for product in found)]
    given = list(jacobians.vjp(after, net.columns(D), wrt))
    back, dp = given[: len(before)], given[len(before) : len(before) + len(layers)]
    dq = given[len(before) + len(layers) :]
    of_W = [Block(product.x[0], d) for product, d in zip(found, dq)]
    return joined(back), net.blocks(token, row, layers, dp) + of_W


def forward(net: Net, token: Variable, h: Variable, u: Variable) -> Variable:
    """dh_t/dh_{t-1} u, the change of h_t where h_{t-1} changes along u.

    Parameters
    ----------
    net, token, h
        As in ``derivatives``.
    u : (S,) expression

    Returns
    -------
    (S,) expression
    """
    before = net.columns(h.dimshuffle("x", 0))
    _, layers = net.step(token, before)
    after = [s for layer in layers for s in layer.after]
    return joined(jacobians.jvp(after, before, net.columns(u.dimshuffle("x", 0))))[0]


def of_own_unit(
    net: Net, token: Variable, h: Variable, through_W: bool
) -> tuple[list[Variables], list[Block]]:
    """dh_t/dh_{t-1} and dh_t/dtheta, from each unit to itself alone; for one layer.

    But for the products with W a step is element-wise: every unit is alone. In a product it comes
    to itself by an element of the diagonal of W.

    Parameters
    ----------
    net : Net
    token : integer expression
    h : (S,) expression
        h_{t-1}.
    through_W : bool
        Whether dh_t/dh_{t-1} goes through W too, or only past it.

    Returns
    -------
    back : list of lists of (H,) expressions
        d(part i)/d(part j before) in row i and column j.
    blocks : list of Block
        Row i of ``dq`` is for part i.
    """
    row, (layer,) = net.step(token, net.columns(h.dimshuffle("x", 0)))
    found = products(layer)
    leaves, cut, after = element_wise(layer, found)
    n = len(layer.before)
    rows = []
    for part in after:
        d = theano.grad(part.sum(), leaves, disconnected_inputs="ignore")
        for k in reversed(range(len(found))):  # through the k-th product, those after it done
            c = to_itself(d[1 + n + k], found[k].M, net.architecture.hidden_size)
            through = theano.grad(
                (cut[k].x[:, : c.shape[0]] * c).sum(), leaves,
                consider_constant=[c], disconnected_inputs="ignore",
            )  # fmt: skip
            is_on = [True] + [through_W] * n + [True] * len(found)
            d = [a + b if on else a for a, b, on in zip(d, through, is_on)]
        rows.append(d)
    actual = dict(zip(leaves, [layer.p, *layer.before, *(product.q for product in found)]))
    rows = [jacobians.replaced(d, actual, layer.weights) for d in rows]
    of_leaves = [tensor.concatenate(column) for column in zip(*rows)]  # (parts, ...) each
    back: list[Variables] = [[of_leaves[1 + j][i] for j in range(n)] for i in range(n)]
    of_W = [Block(product.x[0], dq) for product, dq in zip(found, of_leaves[1 + n :])]
    return back, net.blocks(token, row, [layer], of_leaves[:1]) + of_W


def element_wise(
    layer: Layer, found: Sequence[Product]
) -> tuple[Variables, list[Product], Variables]:
    """The step with each product as an input of its own.

    Returns
    -------
    leaves : list of variables
        That stand for p, the state before, and the products.
    cut : list of Product
        What is multiplied, as expressions of the leaves.
    after : list of (n, H) expressions of the leaves
    """
    leaves = [v.type() for v in (layer.p, *layer.before)]
    again = Layer(leaves[0], leaves[1:], layer.weights, (), layer.step)
    again = again._replace(after=again.step(again.p, again.before, again.weights))
    whole = products(again)
    of_products = [product.q.type() for product in whole]
    replace = dict(zip([product.q for product in whole], of_products))
    after = jacobians.replaced(again.after, replace, leaves)
    x = jacobians.replaced([product.x for product in whole], replace, leaves)
    cut = [product._replace(x=x, q=q) for product, x, q in zip(whole, x, of_products)]
    return [*leaves, *of_products], cut, after


def to_itself(dq: Variable, M: Variable, H: int) -> Variable:
    """The part of dq M' that goes from each unit to itself, (H,), of dq (1, n_out)."""
    column = tensor.arange(M.shape[1])
    return (dq[0] * M[column % H, column]).reshape((-1, H)).sum(axis=0)


def is_nested(layer: Layer) -> bool:
    """Whether a step multiplies with W what comes from another product with W."""
    leaves, cut, _ = element_wise(layer, products(layer))
    of_products = set(leaves[1 + len(layer.before) :])
    return any(of_products & set(theano.graph.basic.ancestors([m.x])) for m in cut)


def joined(parts: Variables) -> Variable:
    """The parts of a state, each (n, H), as one expression (n, S)."""
    return parts[0] if len(parts) == 1 else tensor.concatenate(parts, axis=1)
