"""Terms added to the loss or to its gradient: Omega against vanishing gradients, and L2.

Every function takes and returns Theano expressions. With s_t = phi(z_t), z_t = p_t + W s_{t-1},
the simple cells (tanh, sigmoid, relu), the error goes back one step as

    dE/ds_{t+1} J_{t+1} = W' (dE/ds_{t+1} * phi'(z_{t+1})) = W' dE/dz_{t+1},

so that nothing here needs to know phi: dE/dz_t is what ``theano.grad`` gives for p_t.
"""

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano

#: Where |dE/ds_t|^2 is below it, nothing is left to preserve, and the step is not counted.
BOUND = 1e-20


def total_error(
    immediate: Variable, dz: Variable, W: Variable, is_first: Variable = None
) -> Variable:
    """dE/ds_t with all that step t does to E: through its own output and through later steps.

    ds_t = immediate_t + W' dz_{t+1}

    Parameters
    ----------
    immediate : (T, B, H) expression
        ``theano.grad(E, s)`` for the states s that scan returns: it leaves out the path through
        the recurrence. That through the layers above is in it.
    dz : (T, B, H) expression
        dE/dz_t, that is ``theano.grad(E, p)`` for the inputs p of the recurrence.
    W : (H, H) expression
    is_first : (T,) expression of booleans, optional
        True where the gradient is cut between t-1 and t, as at the start of a chunk.

    Returns
    -------
    ds : (T, B, H) expression

    Notes
    -----
    States that are copied through padding have a path back which is not W' dz_{t+1}. Padding
    therefore stands at the end of its sequence, and no output reads the states there.
    """
    # Of all steps, then less the first: Theano's product refuses the empty matrix of T = 1.
    through_next = _back(dz, W)[1:]  # (T - 1, B, H)
    if is_first is not None:
        is_cut = tensor.neq(is_first[1:], 0).dimshuffle(0, "x", "x")
        through_next = tensor.switch(is_cut, 0, through_next)
    return tensor.inc_subtensor(immediate[:-1], through_next)


def omega(
    W: Variable, dz: Variable, ds: Variable, mask: Variable = None, is_first: Variable = None
) -> Variable:
    """How far the error is from keeping its norm as it goes back through time.

    Omega = mean over t of ( |W' dz_t|^2 / |ds_t|^2 - 1 )^2,  W' dz_t = dE/ds_t ds_t/ds_{t-1}

    Parameters
    ----------
    W : (H, H) expression
    dz : (T, B, H) expression
        dE/dz_t, that is ``theano.grad(E, p)``.
    ds : (T, B, H) expression
        dE/ds_t, from `total_error`.
    mask : (T, B) expression of booleans, optional
        True where there is a token, false in padding.
    is_first : (T,) expression of booleans, optional
        True where no error goes from step t to t-1: at the start of a chunk, and for a gradient
        of the last K steps at all of 0..T-K.

    Returns
    -------
    Omega : scalar expression
        Of W's dtype. Its gradient by W holds dz and ds constant: only the W of the one step
        ds_t/ds_{t-1} is differentiated, as the paper does. Where no step counts, both are 0.

    Notes
    -----
    The steps that count are the tokens at which no cut is and |ds_t|^2 >= 1e-20. The bound is
    absolute; otherwise Omega is the same for every multiple of E.

    The paper sums over the steps; its published code takes the mean over those that count, and
    so does this. The code counts the step from the fixed initial state too, though no error is
    of use there, and so does this: to leave it out, set ``is_first[0]``.

    alpha * dOmega/dW is added to dE/dW before clipping; the paper takes alpha from 2 to 4. Omega
    is for the simple cells: with gates, ds_t/ds_{t-1} is more than one product with W.

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks,
    section 3.3, and https://github.com/pascanur/trainingRNNs.

    Examples
    --------
    A rotation keeps the norm; a matrix that halves it does not: (1/4 - 1)^2.

    >>> import numpy as np
    >>> from theano_rnn.engine import tensor, theano
    >>> W, d = tensor.dmatrix("W"), tensor.dtensor3("d")  # phi' = 1: dz = ds
    >>> value = omega(W, d, d)
    >>> f = theano.function([W, d], [value, theano.grad(value, W)], mode="FAST_COMPILE")
    >>> float(f([[0.0, 1.0], [-1.0, 0.0]], np.ones((3, 1, 2)))[0])
    0.0
    >>> float(f(0.5 * np.eye(2), np.ones((3, 1, 2)))[0])
    0.5625
    """
    dz, ds = theano.gradient.disconnected_grad(dz), theano.gradient.disconnected_grad(ds)
    squared = tensor.sqr(ds).sum(axis=2)  # (T, B)
    counts = tensor.ge(squared, BOUND)  # (T, B)
    if mask is not None:
        counts = tensor.and_(counts, tensor.neq(mask, 0))
    if is_first is not None:
        counts = tensor.and_(counts, tensor.eq(is_first, 0).dimshuffle(0, "x"))
    # A switch on the result alone would leave 0 * NaN in the gradient, so the steps that do not
    # count are made harmless before: 0 in the numerator, 1 in the denominator.
    dz = tensor.switch(counts.dimshuffle(0, 1, "x"), dz, 0)
    ratio = tensor.sqr(_back(dz, W)).sum(axis=2) / tensor.switch(counts, squared, 1)  # (T, B)
    terms = tensor.switch(counts, tensor.sqr(ratio - 1), 0)
    n = tensor.maximum(counts.sum(), 1)
    return terms.sum() / tensor.cast(n, W.dtype)  # float32 / int64 would be float64


def omega_gradient(
    E: Variable,
    p: Variable,
    s: Variable,
    W: Variable,
    mask: Variable = None,
    is_first: Variable = None,
) -> Variable:
    """dOmega/dW of one layer, for the loss E.

    Parameters
    ----------
    E : scalar expression
    p, s : (T, B, H) expressions
        The inputs and the states of the recurrence.
    W : (H, H) expression
    mask : (T, B) expression of booleans, optional
    is_first : (T,) expression of booleans, optional
        As in `omega`.

    Returns
    -------
    (H, H) expression
    """
    dz, immediate = theano.grad(E, [p, s])
    ds = total_error(immediate, dz, W, is_first)
    return theano.grad(omega(W, dz, ds, mask, is_first), W)


def _back(dz: Variable, W: Variable) -> Variable:
    """W' dz_t of every step and sequence, (., B, H), as one product of matrices."""
    T, B, H = dz.shape
    return tensor.dot(dz.reshape((T * B, H)), W).reshape((T, B, H))


def squared_norm(parameters: Variables) -> Variable:
    """|p|^2, summed over the parameters.

    Parameters
    ----------
    parameters : list of expressions

    Returns
    -------
    scalar expression
    """
    return sum(tensor.sqr(p).sum() for p in parameters)


def l2(parameters: Variables) -> Variable:
    """Weight decay: 1/2 sum |p|^2, whose gradient by each parameter is the parameter.

    Parameters
    ----------
    parameters : list of expressions

    Returns
    -------
    scalar expression

    Notes
    -----
    Give it matrices, not biases: a bias only says where a unit stands, and its size does not
    make the network more sensitive to its input. A decayed U changes in every row at each
    update, not only in those of the tokens seen. And a decayed W draws its singular values to 0:
    it keeps gradients from exploding, and makes them vanish.

    Examples
    --------
    >>> from theano_rnn.engine import tensor, theano
    >>> W = tensor.dmatrix("W")
    >>> theano.grad(l2([W]), W).eval({W: [[1.0, -2.0]]})
    array([[ 1., -2.]])
    """
    return 0.5 * squared_norm(parameters)


def check_omega(cell: str, truncation: str) -> None:
    """RNNError where Omega is not defined: for gates, and where outputs hear different steps.

    Parameters
    ----------
    cell : str
    truncation : str
        "full" and "chunk:K" are understood.

    Raises
    ------
    RNNError
        For other cells and schemes.
    """
    if cell not in ("tanh", "sigmoid", "relu"):
        raise RNNError(f"omega is for the cells tanh, sigmoid and relu, not {cell}; set it to 0")
    if not truncation.startswith(("full", "chunk")):
        raise RNNError(f"omega needs truncation full or chunk:K, not {truncation}; set it to 0")
