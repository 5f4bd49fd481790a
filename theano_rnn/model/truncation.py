"""Where backpropagation through time is cut: five schemes, and they are not the same.

Each function below runs a stack of recurrences over the steps 1..T and returns the states. The
values are the same under every scheme; what differs is which steps the error of an output
reaches when the states are differentiated. All layers of a stack are cut at the same step. In
the pictures, rows are outputs t, columns are steps j, T = 6 and K = 2. In the terms of Williams
and Peng (1990), window:K is BPTT(K+1; 1) and chunk:K is BPTT(K; K).

A network is truncated as one of them says. ``theano_rnn.training.adaptive`` chooses K of two of
them anew before each epoch of a training.

Notation of the loops, for one layer of tanh: ``error[t]`` is dE_t/dz_t, where
z_t = U x_t + W s_{t-1}, and ``back(delta, j)`` is W' delta * (1 - s_{j-1}^2), the error one step
earlier. All take the arguments of ``states``: run, inputs, starts and mask; K is the scheme's.
"""

import math
import re
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Callable, Optional

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Variable, Variables
from theano_rnn.common.validation import shown
from theano_rnn.model.cells import StepFunction
from theano_rnn.model.jacobians import replaced, vjp
from theano_rnn.model.later import tensor, theano

#: (step, p, starts, weights) -> the states of one layer.
Loop = Callable[[StepFunction, Variable, Variables, Variables], Variables]
#: (loop, inputs, starts) -> the states of all layers.
Run = Callable[[Loop, Variables, Variables], Variables]

SCHEMES = ("full", "window", "chunk", "last", "artbp")


@dataclass(frozen=True)
class Truncation:
    """A scheme by name and its K (None for full).

    Attributes
    ----------
    scheme : str
        "full", "window", "chunk", "last" or "artbp".
    K : int or None
    alpha : float or None
        Of artbp, if its cuts are those of a heavy tail; see ``theano_rnn.model.cuts``.
    """

    scheme: str
    K: Optional[int] = None
    alpha: Optional[float] = None

    def __str__(self) -> str:
        words = [self.scheme] + ([] if self.K is None else [str(self.K)])
        if self.alpha is not None:
            words.append(np.format_float_positional(self.alpha, trim="-"))  # never as 1e+22
        return ":".join(words)


def parse(
    truncation: str = "full",
    bptt_truncate: Optional[int] = None,
    truncate_gradient: Optional[int] = None,
) -> Truncation:
    """The scheme meant by "full", "window:K", "chunk:K", "last:K", "artbp:K" or "artbp:K:alpha".

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
        For an unknown scheme, a K that is not a whole number of at least 1 (2 for artbp), an alpha
        that is not a number above 2, or two schemes.

    Examples
    --------
    >>> print(parse(bptt_truncate=4), parse(truncate_gradient=4), parse(truncate_gradient=-1))
    window:4 last:4 full
    """
    truncation = (
        str(truncation) if isinstance(truncation, (str, Truncation)) else shown(truncation)
    )
    words = {"bptt_truncate": bptt_truncate, "truncate_gradient": truncate_gradient}
    given = [name for name, value in words.items() if value is not None]
    given += [f"truncation={shown(truncation)}"] * (truncation != "full")
    if len(given) > 1:
        raise RNNError(
            f"truncation: {' and '.join(given)} name more than one scheme; give one of them"
        )
    if bptt_truncate is not None:
        return Truncation("window", whole_K(bptt_truncate, "bptt_truncate"))
    if truncate_gradient is not None:
        if isinstance(truncate_gradient, Integral) and truncate_gradient == -1:
            return Truncation("full")
        return Truncation("last", whole_K(truncate_gradient, "truncate_gradient"))
    if truncation == "full":
        return Truncation("full")
    scheme, colon, K = str(truncation).partition(":")
    if scheme == "adaptive":
        raise RNNError(
            f"truncation {shown(truncation)} chooses K before each epoch of a training, and here "
            "is none; only train takes it: give 'window:K' or 'chunk:K'"
        )
    if scheme not in SCHEMES[1:] or not colon:
        raise RNNError(
            f"truncation {shown(truncation)} is unknown; use 'full', 'window:K', 'chunk:K', "
            "'last:K' or 'artbp:K' with K a whole number of at least 1 (of artbp 2), as in "
            "'window:4'"
        )
    where = f"truncation {str(truncation)[:40]!r}"
    if scheme == "artbp":
        steps, colon, alpha = K.partition(":")
        known = whole_K(_number(steps), where, at_least=2)
        return Truncation(scheme, known, _alpha(alpha, where) if colon else None)
    return Truncation(scheme, whole_K(_number(K), where))


def _number(K: str) -> object:
    """A whole number, or the text that is none."""
    # int() would take " 4 " too, and refuse 5000 digits.
    if K.isascii() and K.isdigit():
        return int(K) if len(K) <= 40 else 10**40
    return K


def _alpha(text: str, where: str) -> float:
    is_number = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text)
    if not is_number or not 2 < float(text) < math.inf:
        raise RNNError(
            f"{where}: alpha must be a number above 2, not {shown(text)}; the runs between two "
            "cuts have no mean length otherwise"
        )
    return float(text)


def whole_K(K: object, where: str, at_least: int = 1) -> int:
    """K, checked.

    Parameters
    ----------
    K : int
    where : str
        What has this K, for the message.
    at_least : int

    Raises
    ------
    RNNError
        If it is not a whole number, below the least, or longer than any sequence.
    """
    if not isinstance(K, Integral) or isinstance(K, bool) or K < at_least:
        why = "; with 1 every step would be cut" if at_least == 2 and K == 1 else ""
        raise RNNError(
            f"{where}: K must be a whole number of at least {at_least}, not {shown(K)}{why}"
        )
    if int(K) >= 2**31:
        raise RNNError(f"{where}: K is longer than any sequence; use 'full'")
    return int(K)


def states(
    truncation: Truncation,
    run: Run,
    inputs: Variables,
    starts: Variables,
    mask: Variable = None,
    factors: Variable = None,
) -> Variables:
    """States of a stack of recurrences, whose gradient is cut as the scheme says.

    Parameters
    ----------
    truncation : Truncation
    run : function (loop, inputs, starts) -> states
        Runs the stack once, from the lowest layer up, each layer by one call of
        ``loop(step, p, starts, weights)``, and returns the states of all layers. A scheme says
        what the loop is, and may run the stack again on rearranged inputs.
    inputs : list of (T, B, n) expressions
        What the stack reads at each step; (1, B, n) or (B, n) if that is the same at all steps.
    starts : list of (B, H) expressions
        The initial states of all layers.
    mask : (T, B) boolean expression, optional
        False where a sequence of the batch has no token; its state stays as it is there.
        Sequences begin at the first step; under ``last`` they end at the last step instead.
    factors : (T, B) expression, for ``artbp`` only
        a_t, as ``cuts.factors`` makes them.

    Returns
    -------
    list of (T, B, H) expressions
        In the order of the starts.

    Notes
    -----
    The initial state receives the error of the outputs whose error reaches step 1.
    """
    if truncation.scheme == "full":
        return full(run, inputs, starts, mask)
    if truncation.scheme == "artbp":
        return artbp(run, inputs, starts, mask, factors)
    assert truncation.K is not None
    schemes = {"window": window, "chunk": chunk, "last": last, "windows apart": windows_apart}
    scheme = schemes[truncation.scheme]
    return scheme(run, inputs, starts, mask, truncation.K)


def full(run: Run, inputs: Variables, starts: Variables, mask: Variable) -> Variables:
    """Every output reaches every earlier step.

    ::

        for t in range(T):                     t=1     x
            delta = error[t]                   t=2     xx
            for j in range(t, -1, -1):         t=3     xxx
                dW += outer(delta, s[j - 1])   t=4     xxxx
                delta = back(delta, j)         t=5     xxxxx
                                               t=6     xxxxxx
    """
    return run(partial(_loop, mask=mask), inputs, starts)


def last(run: Run, inputs: Variables, starts: Variables, mask: Variable, K: int) -> Variables:
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

    Scan counts K steps back from the last one of the batch, so the sequences of a batch have to
    end together, the shorter ones waiting before they begin.
    """
    return run(partial(_loop, mask=mask, truncate_gradient=K), inputs, starts)


def chunk(run: Run, inputs: Variables, starts: Variables, mask: Variable, K: int) -> Variables:
    """The sequence is cut in chunks of K steps; the state goes across, the error does not.

    ::

        for t in range(T):                            t=1     x
            delta = error[t]                          t=2     xx
            for j in range(t, t // K * K - 1, -1):    t=3     ..x
                dW += outer(delta, s[j - 1])          t=4     ..xx
                delta = back(delta, j)                t=5     ....x
                                                      t=6     ....xx
    """
    is_first = starts_of_chunks(inputs[0].shape[0], K)
    return run(partial(_loop, mask=mask, is_first=is_first), inputs, starts)


def starts_of_chunks(T: Variable, K: int) -> Variable:
    """(T,) booleans, true at the first step of every chunk but the first one.

    Parameters
    ----------
    T : int or integer expression
        Steps of the sequence.
    K : int or integer expression
        Steps of a chunk.

    Returns
    -------
    (T,) boolean expression
    """
    t = tensor.arange(T)
    return tensor.eq(t % K, 0) & tensor.gt(t, 0)


def window(run: Run, inputs: Variables, starts: Variables, mask: Variable, K: int) -> Variables:
    """Every output reaches the K steps before it: the tutorial's ``bptt_truncate=K``.

    ::

        for t in range(T):                              t=1     x
            delta = error[t]                            t=2     xx
            for j in range(t, max(0, t - K) - 1, -1):   t=3     xxx
                dW += outer(delta, s[j - 1])            t=4     .xxx
                delta = back(delta, j)                  t=5     ..xxx
                                                        t=6     ...xxx

    The error goes back through the states as they were, and no state is computed again::

        errors = arrived = dE_t/ds_t of all outputs t at once
        for _ in range(K):
            arrived = those at t + 1, back through one step, to t
            errors += arrived

    All T steps are one minibatch of single steps, whose products are K large ones. The value is
    the true state.
    """
    from theano_rnn.engine.ops.with_gradient import with_gradient

    T, B = inputs[0].shape[0], inputs[0].shape[1]

    def side_by_side(a: Variable) -> Variable:
        """All steps of (T, B, n) as one step of T * B sequences, (T * B, n)."""
        if a.ndim == 2 or a.broadcastable[0]:  # the same at all steps
            return tensor.tile(a if a.ndim == 2 else a[0], (T, 1))
        return a.reshape((T * B, a.shape[2]))

    frozen = [
        theano.gradient.disconnected_grad(s) for s in full(run, inputs, starts, mask)
    ]  # (T, B, H)
    before = [
        tensor.concatenate([s_0, s[:-1].reshape((T * B - B, s.shape[2]))])
        for s_0, s in zip(starts, frozen)
    ]  # (T * B, H)
    one_step = partial(_one_step, mask=None if mask is None else mask.flatten())
    after = run(one_step, [side_by_side(a) for a in inputs], before)  # (T * B, H)
    widths = [s.shape[1] for s in after]
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]

    def parts(a: Variable) -> Variables:
        """(T * B, sum of H) as one expression (T * B, H) for each of the states."""
        return [a[:, end - H : end] for end, H in zip(ends, widths)]

    def back(arrived: Variable) -> Variable:
        """The errors at t, of those at t + 1."""
        D = tensor.concatenate(vjp(after, parts(arrived), before), axis=1)
        return tensor.concatenate([D[B:], tensor.zeros_like(D[:B])])

    def within_reach(errors: Variable) -> Variable:
        """The errors of the outputs t..t+K at t, of those of the output t alone."""
        return _sum_of_rounds(back, errors, tensor.minimum(K, tensor.maximum(T - 1, 1)))

    reached = with_gradient(tensor.concatenate(after, axis=1), within_reach)
    return [s.reshape((T, B, H)) for s, H in zip(parts(reached), widths)]


def _one_step(
    step: StepFunction, p: Variable, starts: Variables, weights: Variables, *, mask: Variable
) -> Variables:
    """A ``Loop`` over a single step, without T: p (B, G*H), states (B, H)."""
    after = step(p, starts, weights)
    if mask is not None:
        mask = mask.dimshuffle(0, "x")
        after = [tensor.switch(mask, *pair) for pair in zip(after, starts)]
    return after


def _sum_of_rounds(
    function: Callable[[Variable], Variable], first: Variable, rounds: Variable
) -> Variable:
    """x + f(x) + f(f(x)) + ..., with f applied so many times.

    What f reads besides, and does not depend on x, is computed once.
    """
    x = first.type()
    fx = function(x)
    read, depending = [], {x}
    for node in theano.graph.basic.io_toposort([], [fx]):
        if not depending.isdisjoint(node.inputs):
            depending.update(node.outputs)
            read += [t for v in node.inputs for t in _tensors(v)]
    read = [t for t in dict.fromkeys(read) if t not in depending]

    def scan_step(x_k: Variable, total: Variable, *own: Variable) -> Variables:
        (following,) = replaced([fx], {x: x_k, **dict(zip(read, own))})
        return [following, total + following]

    (_, totals), _ = theano.scan(
        scan_step,
        outputs_info=[first, first],
        non_sequences=read,
        n_steps=rounds,
        strict=True,
        name="errors",
    )
    # Of the whole output, not of its slice without the first: so Theano keeps one round, not all.
    return totals.owner.inputs[0][-1]


def windows_apart(
    run: Run, inputs: Variables, starts: Variables, mask: Variable, K: int
) -> Variables:
    """As ``window``, but each window is run again, from its frozen s_{t-K-1} up to output t.

    So what the stack reads, p (K+1, T * B, G*H), has the error of one output alone at each step of
    a window, where ``window`` adds up the errors of all outputs. It takes K+1 times the memory.
    """
    T, B = inputs[0].shape[0], inputs[0].shape[1]
    n = tensor.minimum(K + 1, T)  # steps of a window
    i = tensor.arange(n).dimshuffle(0, "x")  # step of the window
    j = tensor.arange(T).dimshuffle("x", 0) - (n - 1) + i  # (n, T) step of the sequence
    of_step = tensor.maximum(j, 0).flatten()  # (n * T,)

    def arranged(a: Variable) -> Variable:
        if a.ndim == 2:  # the same at all steps
            return tensor.tile(a, (T, 1))
        if a.broadcastable[0]:
            return tensor.tile(a[0], (T, 1)).dimshuffle("x", 0, 1)
        return a[of_step].reshape((n, T * B, a.shape[2]))

    def started(s_0: Variable, s: Variable) -> Variable:
        """s_{t-n} for each output t; windows that start before the first step wait in s_0."""
        waiting = tensor.repeat(tensor.shape_padleft(s_0), n, axis=0)  # (n, B, H)
        frozen = theano.gradient.disconnected_grad(s)
        return tensor.concatenate([waiting, frozen])[:T].reshape((T * B, s_0.shape[1]))

    is_begun = tensor.repeat(tensor.ge(j, 0), B, axis=1)  # (n, T * B) false before the beginning
    if mask is not None:
        is_begun = is_begun & mask[of_step].reshape((n, T * B))
    begun = [started(*pair) for pair in zip(starts, full(run, inputs, starts, mask))]
    windows = run(partial(_loop, mask=is_begun), [arranged(a) for a in inputs], begun)
    return [s[-1].reshape((T, B, s.shape[2])) for s in windows]


def _tensors(v: Variable) -> Variables:
    """What a scan can be given of a variable: itself, or the tensors of which it is made."""
    if isinstance(v, theano.graph.basic.Constant):
        return []
    if isinstance(v.type, tensor.TensorType):
        return [v]
    return [t for i in v.owner.inputs for t in _tensors(i)]


def artbp(
    run: Run, inputs: Variables, starts: Variables, mask: Variable, factors: Variable
) -> Variables:
    """The error is cut at random, and multiplied where it is not: on average nothing is cut.

    ::

        for t in range(T):                      t=1     1
            delta = error[t]                    t=2     1 1
            for j in range(t, -1, -1):          t=3     1 1 1
                dW += outer(delta, s[j - 1])    t=4     1 1 1 1      on average
                delta = a[j] * back(delta, j)   t=5     1 1 1 1 1
                                                t=6     1 1 1 1 1 1

    With K = 2 and a cut before steps 3 and 4, the terms of one draw have these factors, as
    1/(1 - 1/K) = 2::

        t=1     1
        t=2     2 1
        t=3     . . 1
        t=4     . . . 1
        t=5     . . . 2 1
        t=6     . . . 4 2 1

    ``theano_rnn.model.cuts`` draws the cuts and makes the factors (T, B) of them.
    """
    return run(partial(_loop, mask=mask, factors=factors), inputs, starts)


def _loop(
    step: StepFunction,
    p: Variable,
    starts: Variables,
    weights: Variables,
    *,
    mask: Variable = None,
    is_first: Variable = None,
    factors: Variable = None,
    truncate_gradient: int = -1,
) -> Variables:
    """The states of one layer: the only scan over the steps of a recurrence.

    Where ``is_first`` (T,) is true, the gradient does not reach the state before; ``factors``
    (T, B) multiply it. Where ``mask`` (T, B) is false, the state stays as it is.
    """

    def scan_step(*arguments: Variable) -> Variables:
        rest = list(arguments)
        is_first_t: Variable = None if is_first is None else rest.pop(0)
        factor_t: Variable = None if factors is None else rest.pop(0).dimshuffle(0, "x")
        mask_t: Variable = None if mask is None else rest.pop(0)
        p_t, before, weights = rest[0], rest[1 : n + 1], rest[n + 1 :]
        if is_first is not None:
            frozen = [constant(s) for s in before]
            before = [tensor.switch(is_first_t, *pair) for pair in zip(frozen, before)]
        if factors is not None:  # the value is s_{t-1}, its gradient is multiplied
            before = [s + (factor_t - 1) * (s - constant(s)) for s in before]
        after = step(p_t, before, weights)
        if mask is not None:
            mask_t = mask_t.dimshuffle(0, "x")
            after = [tensor.switch(mask_t, *pair) for pair in zip(after, before)]
        return after

    constant, n = theano.gradient.disconnected_grad, len(starts)
    states, updates = theano.scan(
        scan_step,
        sequences=[a for a in (is_first, factors, mask, p) if a is not None],
        outputs_info=list(starts),
        non_sequences=list(weights),
        truncate_gradient=truncate_gradient,
        strict=True,
        return_list=True,
        name="recurrence",
    )
    assert not updates
    return list(states)
