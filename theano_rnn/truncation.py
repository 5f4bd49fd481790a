"""Where backpropagation through time is cut: four schemes, and they are not the same.

Each function below takes the inputs p_1..p_T of the recurrence and returns its states
s_1..s_T. The values are the same under every scheme; what differs is which steps the error of
an output reaches when the states are differentiated. In the pictures, rows are outputs t,
columns are steps j, T = 6 and K = 2. In the terms of Williams and Peng (1990), window:K is
BPTT(K+1; 1) and chunk:K is BPTT(K; K).

Notation of the loops: ``error[t]`` is dE_t/dz_t, where z_t = U x_t + W s_{t-1}, and
``back(delta, j)`` is W' delta * (1 - s_{j-1}^2), the error one step earlier.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Optional

from theano_rnn.engine import tensor, theano
from theano_rnn.errors import RNNError

SCHEMES = ("full", "window", "chunk", "last")


@dataclass(frozen=True)
class Truncation:
    """A scheme by name and its K (None for full)."""

    scheme: str
    K: Optional[int] = None

    def __str__(self):
        return self.scheme if self.K is None else f"{self.scheme}:{self.K}"


def parse(truncation="full", bptt_truncate=None, truncate_gradient=None) -> Truncation:
    """The scheme meant by "full", "window:K", "chunk:K" or "last:K".

    Parameters
    ----------
    truncation : str
    bptt_truncate : int, optional
        The tutorial's word: K means window:K.
    truncate_gradient : int, optional
        Theano's word: K means last:K, and -1 means full.

    Raises
    ------
    RNNError
        For an unknown scheme, a K that is not a whole number of at least 1, or two schemes.
    """
    words = {"bptt_truncate": bptt_truncate, "truncate_gradient": truncate_gradient}
    given = [name for name, value in words.items() if value is not None]
    if len(given) + (truncation != "full") > 1:
        raise RNNError(
            f"truncation: {' and '.join(given)} and truncation={truncation!r} name more than one "
            "scheme; give one of them"
        )
    if bptt_truncate is not None:
        return Truncation("window", _steps(bptt_truncate, "bptt_truncate"))
    if truncate_gradient is not None:
        if isinstance(truncate_gradient, Integral) and truncate_gradient == -1:
            return Truncation("full")
        return Truncation("last", _steps(truncate_gradient, "truncate_gradient"))
    if truncation == "full":
        return Truncation("full")
    scheme, colon, K = str(truncation).partition(":")
    if scheme not in SCHEMES[1:] or not colon:
        raise RNNError(
            f"truncation {truncation!r} is unknown; use 'full', 'window:K', 'chunk:K' or 'last:K' "
            "with K a whole number of at least 1, as in 'window:4'"
        )
    where = f"truncation {str(truncation)[:40]!r}"
    if K.isascii() and K.isdigit():  # int() would take " 4 " too, and refuse 5000 digits
        K = int(K) if len(K) <= 40 else 10**40
    return Truncation(scheme, _steps(K, where))


def _steps(K, where: str) -> int:
    if not isinstance(K, Integral) or isinstance(K, bool):
        raise RNNError(f"{where}: K must be a whole number of at least 1, not {K!r}")
    if K < 1:
        raise RNNError(f"{where}: K is {K}, and a gradient needs at least 1 step")
    if K >= 2**31:
        raise RNNError(f"{where}: K is longer than any sequence; use 'full'")
    return int(K)


def states(truncation: Truncation, step, p, s_0, W):
    """States s_1..s_T of the recurrence, to be differentiated under a scheme.

    Parameters
    ----------
    truncation : Truncation
    step : function (p_t, s_{t-1}, W transposed) -> s_t
    p : (T, B, H) expression
        U x_t for all steps of B sequences.
    s_0 : (B, H) expression
    W : (H, H) expression

    Returns
    -------
    s : (T, B, H) expression

    Notes
    -----
    The initial state hears the outputs that step 1 hears.
    """
    # Theano's optimizer takes the gradient of W out of the loop, as one product over all
    # steps, only where the product inside is of two matrices and the second one whole: so W is
    # transposed here, once, and a single sequence is a minibatch of one.
    W_T = W.T
    if truncation.scheme == "full":
        return full(step, p, s_0, W_T)
    scheme = {"window": window, "chunk": chunk, "last": last}[truncation.scheme]
    return scheme(step, p, s_0, W_T, truncation.K)


def full(step, p, s_0, W_T):
    """Every output reaches every earlier step.

    ::

        for t in range(T):                     t=1     x
            delta = error[t]                   t=2     xx
            for j in range(t, -1, -1):         t=3     xxx
                dW += outer(delta, s[j - 1])   t=4     xxxx
                delta = back(delta, j)         t=5     xxxxx
                                               t=6     xxxxxx
    """
    return _loop(step, [p], s_0, [W_T])


def last(step, p, s_0, W_T, K):
    """The last K outputs reach back to step T-K+1; earlier outputs teach U and W nothing.

    This is what ``theano.scan(truncate_gradient=K)`` computes, and not what the tutorial means
    by ``bptt_truncate``: a long sentence is learned from its last K words only.

    ::

        for t in range(max(0, T - K), T):              t=1     .
            delta = error[t]                           t=2     ..
            for j in range(t, max(0, T - K) - 1, -1):  t=3     ...
                dW += outer(delta, s[j - 1])           t=4     ....
                delta = back(delta, j)                 t=5     ....x
                                                       t=6     ....xx
    """
    return _loop(step, [p], s_0, [W_T], truncate_gradient=K)


def chunk(step, p, s_0, W_T, K):
    """The sequence is cut in chunks of K steps; the state goes across, the error does not.

    ::

        for t in range(T):                            t=1     x
            delta = error[t]                          t=2     xx
            for j in range(t, t // K * K - 1, -1):    t=3     ..x
                dW += outer(delta, s[j - 1])          t=4     ..xx
                delta = back(delta, j)                t=5     ....x
                                                      t=6     ....xx
    """

    def cut_step(is_first, p_t, s_before, W_T):
        s_frozen = theano.gradient.disconnected_grad(s_before)
        return step(p_t, tensor.switch(is_first, s_frozen, s_before), W_T)

    t = tensor.arange(p.shape[0])
    is_first = tensor.eq(t % K, 0) & tensor.gt(t, 0)  # (T,) starts of chunks, cut from the last
    return _loop(cut_step, [is_first, p], s_0, [W_T])


def window(step, p, s_0, W_T, K):
    """Every output reaches the K steps before it: the tutorial's ``bptt_truncate=K``.

    ::

        for t in range(T):                              t=1     x
            delta = error[t]                            t=2     xx
            for j in range(t, max(0, t - K) - 1, -1):   t=3     xxx
                dW += outer(delta, s[j - 1])            t=4     .xxx
                delta = back(delta, j)                  t=5     ..xxx
                                                        t=6     ...xxx

    By automatic differentiation: run the loop once and freeze its states. For output t start
    from the frozen s_{t-K-1} and run the K+1 steps up to t again. All T windows are one
    minibatch, so the second loop takes K+1 steps, whatever T is. The value is the true state,
    and its gradient goes back to the start of the window.
    """
    T, B, H = p.shape
    n = tensor.minimum(K + 1, T)  # steps of a window
    s = full(step, p, s_0, W_T)  # (T, B, H)
    # s_{t-n} for each output t; windows that start before the first step wait in s_0.
    waiting = tensor.repeat(tensor.shape_padleft(s_0), n, axis=0)  # (n, B, H)
    frozen = theano.gradient.disconnected_grad(s)
    starts = tensor.concatenate([waiting, frozen])[:T].reshape((T * B, H))
    i = tensor.arange(n).dimshuffle(0, "x")  # step of the window
    j = tensor.arange(T).dimshuffle("x", 0) - (n - 1) + i  # (n, T) step of the sequence
    is_in = tensor.repeat(tensor.ge(j, 0), B, axis=1)  # (n, T * B) false before the beginning
    p_windows = p[tensor.maximum(j, 0).flatten()].reshape((n, T * B, H))

    def window_step(is_in_i, p_i, s_before, W_T):
        s_i = step(p_i, s_before, W_T)
        return tensor.switch(is_in_i.dimshuffle(0, "x"), s_i, s_before)

    return _loop(window_step, [is_in, p_windows], starts, [W_T])[-1].reshape((T, B, H))


def _loop(step, sequences, s_0, parameters, truncate_gradient=-1):
    """The one place where a recurrence is run over its steps."""
    s, updates = theano.scan(
        step,
        sequences=sequences,
        outputs_info=[s_0],
        non_sequences=parameters,
        truncate_gradient=truncate_gradient,
        strict=True,
        name="recurrence",
    )
    assert not updates
    return s
