"""Terms added to the loss or to its gradient: Omega, L2, and penalties on the states.

Every function takes and returns Theano expressions. The plain cells (tanh, sigmoid, relu) are
s_t = phi(z_t), z_t = p_t + W s_{t-1}. Their error goes back one step as

    dE/ds_{t+1} J_{t+1} = W' (dE/ds_{t+1} * phi'(z_{t+1})) = W' dE/dz_{t+1},

and ``theano.grad`` gives dE/dz_t as the gradient of p_t, so nothing here needs to know phi.
"""

from collections.abc import Collection

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Variable, Variables
from theano_rnn.model.cells import CELLS
from theano_rnn.model.later import tensor, theano

#: Steps with |dE/ds_t|^2 below this are not counted: no error is left there to preserve.
BOUND = 1e-20


def total_error(
    immediate: Variable, dz: Variable, W: Variable, is_first: Variable = None
) -> Variable:
    """dE/ds_t, through the output of step t and through all later steps.

    ds_t = immediate_t + W' dz_{t+1}

    Parameters
    ----------
    immediate : (T, B, H) expression
        ``theano.grad(E, s)`` for the states s that scan returns. It has the paths through the
        output and the layers above, but not the one through the recurrence.
    dz : (T, B, H) expression
        dE/dz_t: ``theano.grad(E, p)`` for the inputs p of the recurrence.
    W : (H, H) expression
    is_first : (T,) expression of booleans, optional
        True where the gradient is cut between t-1 and t, as at the start of a chunk.

    Returns
    -------
    ds : (T, B, H) expression

    Notes
    -----
    In padding the state is copied, and its error does not go back as W' dz_{t+1}. That does not
    matter: padding stands at the end of its sequence, and no output reads the states there.
    """
    # Multiply all steps, then drop the first: Theano's product refuses the empty matrix of T = 1.
    through_next = _back(dz, W)[1:]  # (T - 1, B, H)
    if is_first is not None:
        is_cut = tensor.neq(is_first[1:], 0).dimshuffle(0, "x", "x")
        through_next = tensor.switch(is_cut, 0, through_next)
    return tensor.inc_subtensor(immediate[:-1], through_next)


def omega(
    W: Variable, dz: Variable, ds: Variable, mask: Variable = None, is_first: Variable = None
) -> Variable:
    """Omega: how far the error is from keeping its norm as it goes back through time.

    Omega = mean over t of ( |W' dz_t|^2 / |ds_t|^2 - 1 )^2,  W' dz_t = dE/ds_t ds_t/ds_{t-1}

    Parameters
    ----------
    W : (H, H) expression
    dz : (T, B, H) expression
        dE/dz_t: ``theano.grad(E, p)``.
    ds : (T, B, H) expression
        dE/ds_t, from `total_error`.
    mask : (T, B) expression of booleans, optional
        True at tokens, false in padding.
    is_first : (T,) expression of booleans, optional
        True where no error goes from step t to t-1: at the start of a chunk and, under
        "last:K", at all of 0..T-K.

    Returns
    -------
    Omega : scalar expression
        In W's dtype. Its gradient by W holds dz and ds constant: as in the paper, only the W in
        ds_t/ds_{t-1} is differentiated. If no step counts, Omega and its gradient are 0.

    Notes
    -----
    A step counts if it has a token, no cut lies before it, and |ds_t|^2 >= 1e-20. But for this
    bound, which is absolute, Omega is the same for every multiple of E.

    The paper has the ratio of the norms, and sums over the steps. Its published code has the
    ratio of their squares, and the mean over the steps that count, and so has this. Both count
    the step from the fixed initial state, though error is of no use there; set ``is_first[0]`` to
    leave it out.

    alpha * dOmega/dW is added to dE/dW before clipping; the paper takes alpha from 2 to 4. Omega
    is for plain cells: with gates, ds_t/ds_{t-1} is more than one product with W.

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
    # A switch on the result alone would leave 0 * NaN in the gradient. So steps that do not count
    # get 0 in the numerator and 1 in the denominator first.
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
    """W' dz_t for every step and sequence, (T, B, H), in one product of matrices."""
    T, B, H = dz.shape
    return tensor.dot(dz.reshape((T * B, H)), W).reshape((T, B, H))


def l2(parameters: Variables) -> Variable:
    """1/2 sum |p|^2, whose gradient by each parameter is the parameter.

    Parameters
    ----------
    parameters : list of expressions

    Returns
    -------
    scalar expression

    Notes
    -----
    Give it matrices, not biases: a large bias does not make the network more sensitive to its
    input. Under it every update changes all rows of U, not only those of the tokens in
    the batch. And it pulls the singular values of W to 0, which keeps gradients from exploding
    but makes them vanish.

    Examples
    --------
    >>> from theano_rnn.engine import tensor, theano
    >>> W = tensor.dmatrix("W")
    >>> theano.grad(l2([W]), W).eval({W: [[1.0, -2.0]]})
    array([[ 1., -2.]])
    """
    return 0.5 * sum(tensor.sqr(p).sum() for p in parameters)


def activation_penalty(
    output: Variable, s: Variable, mask: Variable, ar: float, tar: float
) -> Variable:
    """AR and TAR: a penalty on large states, and one on states that change fast.

    R = N (ar * mean (m_t s_t)^2 + tar * mean (s_t - s_{t-1})^2)

    with N tokens; the means are over tokens, or pairs of neighbours, and units.

    Parameters
    ----------
    output : (N, H) expression
        m_t s_t: the states of the last layer at the tokens, dropped out.
    s : (T, B, H) expression
        The states of the last layer as they are.
    mask : (T, B) expression of booleans, or None
        False in padding, which does not count.
    ar, tar : float
        The paper's alpha and beta; with 0 a term is left out. One of them is not 0.

    Returns
    -------
    scalar expression

    Notes
    -----
    The paper adds the means to the mean of the loss over the tokens. Here E is the sum over N
    tokens, so the means are taken N times: a step follows (E + R) / B, and the same ar and tar
    mean the same for any N, B and learning rate.

    The state before the first step, which a stream carries from step to step, is in no pair. The
    error of R at a state goes back as that of the output there, and is cut as the truncation says.

    References
    ----------
    S. Merity, B. McCann, R. Socher, Revisiting activation regularization for language RNNs (2017),
    sections 3.1 and 3.2; the means are those of the code of S. Merity, N. S. Keskar, R. Socher,
    Regularizing and optimizing LSTM language models (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from theano_rnn.engine import tensor
    >>> s = tensor.constant(np.array([[[1.0, 2.0]], [[3.0, 2.0]]]))  # T = 2, B = 1, H = 2
    >>> float(activation_penalty(s[:, 0], s, None, ar=1.0, tar=0.0).eval())  # 2 * 18 / 4
    9.0
    >>> float(activation_penalty(s[:, 0], s, None, ar=0.0, tar=1.0).eval())  # 2 * 4 / 2
    4.0
    """
    T, B, H = s.shape
    terms = []
    if ar:
        terms.append(np.asarray(ar, s.dtype) * tensor.sqr(output).sum())
    if tar:
        squares = tensor.sqr(s[1:] - s[:-1])  # (T - 1, B, H)
        pairs = (T - 1) * B
        if mask is not None:
            both = mask[1:] & mask[:-1]
            squares, pairs = squares * both.dimshuffle(0, 1, "x"), both.sum()
        per_pair = tensor.cast(output.shape[0], s.dtype) / tensor.cast(
            tensor.maximum(pairs, 1), s.dtype
        )
        terms.append(np.asarray(tar, s.dtype) * per_pair * squares.sum())
    return sum(terms) / tensor.cast(H, s.dtype)


def check_decays(l2: float, weight_decay: float) -> None:
    """Refuse both ways to keep the weights small at once.

    Parameters
    ----------
    l2, weight_decay : float

    Raises
    ------
    RNNError
    """
    if l2 and weight_decay:
        raise RNNError(
            f"l2 is {l2:g} and weight_decay is {weight_decay:g}, and both draw the matrices to 0; "
            "set one of them to 0"
        )


def check_omega(cell: str, truncation: str, dropped: Collection[str] = ()) -> None:
    """Refuse a cell, a truncation or a dropout for which Omega is not defined.

    Parameters
    ----------
    cell : str
    truncation : str
        "full" or "chunk:K". Under the other schemes each output reaches back over other steps, so
        there is no one error whose norm could be kept.
    dropped : collection of str
        The masks of a step, fields of ``theano_rnn.model.dropout.Masks``.

    Raises
    ------
    RNNError
        For cells that are not plain, such as those with gates, for "window:K" and "last:K", and
        if the recurrence does not multiply all of s_{t-1} with all of W.
    """
    if not CELLS[cell].is_plain:
        plain = ", ".join(name for name in CELLS if CELLS[name].is_plain)
        raise RNNError(f"omega is for the cells {plain}, not {cell}; set it to 0")
    if not truncation.startswith(("full", "chunk")):
        raise RNNError(f"omega needs truncation full or chunk:K, not {truncation}; set it to 0")
    options = {"recurrent": "dropout_recurrent", "weights": "weight_drop"}
    for kind in sorted(options.keys() & set(dropped)):
        raise RNNError(
            f"omega is of the whole W, of which {options[kind]} hides a part; set one of them to 0"
        )
