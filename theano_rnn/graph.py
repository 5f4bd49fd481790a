"""From token ids to the symbolic loss and its gradients: inputs -> recurrence -> softmax -> loss.

Every function takes and returns Theano expressions; ``model`` compiles them.
"""

from collections import namedtuple

from theano_rnn import truncation as truncations
from theano_rnn.cells import tanh_step
from theano_rnn.engine import ifelse, tensor, theano

#: The expressions of one sequence. rows are the touched rows of U, one a step; s the states;
#: logits V s_t; loss E, summed over the steps.
Network = namedtuple("Network", "rows s logits loss")


def network(x, y, U, V, W, truncation) -> Network:
    """The recurrent language model on one sequence.

    Parameters
    ----------
    x, y : (T,) integer expressions
        Input and target tokens.
    U : (vocab_size, H) expression
        Stored transposed, so that a token is a row and only touched rows are updated.
    V : (vocab_size, H) expression
    W : (H, H) expression
    truncation : theano_rnn.truncation.Truncation

    Returns
    -------
    Network
    """
    rows = U[x]  # (T, H)
    p = tensor.unbroadcast(rows.dimshuffle(0, "x", 1), 1)  # (T, B, H) with B = 1
    s_0 = tensor.zeros_like(p[0])  # (B, H)
    s = truncations.states(truncation, tanh_step, p, s_0, W)[:, 0]  # (T, H)
    logits = tensor.dot(s, V.T)  # (T, vocab_size)
    return Network(rows, s, logits, cross_entropy(logits, y))


def cross_entropy(logits, y):
    """E = -sum_t log softmax(logits_t)[y_t], summed over the steps."""
    o = tensor.nnet.softmax(logits)  # (T, vocab_size)
    return tensor.nnet.categorical_crossentropy(o, y).sum()


def one_step(token, s_before, U, V, W):
    """o_t (vocab_size,) and s_t (H,) from one token and the state before it, for sampling."""
    s = tanh_step(U[token].dimshuffle("x", 0), s_before.dimshuffle("x", 0), W.T)  # (1, H)
    o = tensor.nnet.softmax(tensor.dot(s, V.T))  # (1, vocab_size)
    return o[0], s[0]


def gradients(net: Network, U, V, W):
    """dE/dU, dE/dV, dE/dW in the shapes that are stored."""
    return theano.grad(net.loss, [U, V, W])


def sgd_updates(net: Network, x, U, V, W, learning_rate):
    """parameter - learning_rate * gradient, without an array of U's size."""
    d_rows, dV, dW = theano.grad(net.loss, [net.rows, V, W])
    return _descend(x, (U, d_rows), (V, dV), (W, dW), learning_rate)


def clipped_sgd_updates(net: Network, x, U, V, W, learning_rate, clip):
    """The norm of the gradient, and SGD with the gradient rescaled to at most ``clip``.

    Norm clipping (Pascanu, Mikolov, Bengio 2013): g *= clip / |g| where |g| > clip.
    """
    d_rows, dlogits, dV, dW = theano.grad(net.loss, [net.rows, net.logits, V, W])
    norm = tensor.sqrt(
        squared_norm_of_rows(x, d_rows)
        + squared_norm_of_product(dlogits, net.s)
        + tensor.sqr(dW).sum()
    )
    scale = tensor.minimum(1, clip / norm)
    return norm, _descend(x, (U, d_rows), (V, dV), (W, dW), learning_rate * scale)


def _descend(x, U_and_rows, V_and_gradient, W_and_gradient, learning_rate):
    (U, d_rows), (V, dV), (W, dW) = U_and_rows, V_and_gradient, W_and_gradient
    return [
        (U, tensor.inc_subtensor(U[x], -learning_rate * d_rows)),
        (V, V - learning_rate * dV),
        (W, W - learning_rate * dW),
    ]


def squared_norm_of_rows(x, d_rows):
    """|dU|^2, where the gradient of row x_t of U is the sum over the steps with that token."""
    unique = tensor.extra_ops.Unique(return_inverse=True)
    tokens, position = unique(x)
    dU = tensor.zeros((tokens.shape[0], d_rows.shape[1]), d_rows.dtype)
    return tensor.sqr(tensor.inc_subtensor(dU[position], d_rows)).sum()


def squared_norm_of_product(dlogits, s):
    """|dV|^2 for dV = dlogits' s.

    |A' B|^2 = sum((A A') * (B B')) needs only T x T matrices, so that for a sentence dV, of
    the size of V, is never made: the update is one product added to V. A long sequence takes
    the direct way, linear in T.
    """
    gram = (tensor.dot(dlogits, dlogits.T) * tensor.dot(s, s.T)).sum()
    gram = tensor.maximum(gram, 0)  # rounded, a norm of 0 could be below
    # Its own product: the gradient itself, were it read here, could not be added to V in one go.
    direct = tensor.sqr(tensor.dot(s.T, dlogits)).sum()
    return ifelse(tensor.le(s.shape[0], s.shape[1]), gram, direct)
