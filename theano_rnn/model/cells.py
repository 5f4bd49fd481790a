"""One step of each recurrence. The loop over the steps is in ``truncation``.

A step takes p_t = U x_t + b, the input of this step for B sequences, (B, G*H); the state before
it, a list of ``parts`` expressions (B, H), s_{t-1} first; and the cell's matrices, as ``weights``
makes them. It returns the state after it, a list of the same form.

That is ``step(p_t, before, weights)``, of expressions, and of one cell the function below of its
name. The functions of the gates are called in the same way.

G gates share the parameters U (G*H, D), W (G*H, H) and, where there are biases, b (G*H,), one
below the other in the order stated; D is the vocabulary's size, or that of what a layer reads. An
lstm with biases begins with 1 in those of its forget gate. In the equations
s' is s_{t-1}, sigma the logistic function and * element-wise.
"""

from dataclasses import dataclass
from typing import Callable, Optional

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor

#: (p_t, before, weights) -> the state after the step.
StepFunction = Callable[[Variable, Variables, Variables], Variables]
GateFunction = Callable[[Variable, Variables, Variables], dict[str, Variable]]


@dataclass(frozen=True)
class Cell:
    """A recurrence: how many gates it has, how many vectors its state, its step, its matrices.

    ``weights(W)`` is what the step multiplies with, made from W (G*H, H) once, outside the loop;
    from W and a (H,) where the net has biases and ``has_a``, the cell a bias in the recurrence.
    Theano takes the gradient of W out of the loop, as one product over all steps, only where the
    product inside is of two matrices and the second one whole: so W is transposed here.

    ``gate_values``, of the arguments of the step, are the gates by name, each (B, H); of a cell
    without gates there are none. ``keeps`` is the name of the gate by which the state, for lstm
    c, is carried on as it is: dh_t/dh_{t-1} has that gate on its diagonal, the identity path.

    Attributes
    ----------
    gates : int
        G.
    parts : int
        Vectors of H numbers in the state: 1, for lstm 2.
    step : function (p_t, before, weights) -> list of expressions (B, H)
    weights : function (W) -> list of expressions
    gate_values : function (p_t, before, weights) -> dict of expressions (B, H)
    keeps : str or None
    """

    gates: int
    parts: int
    step: StepFunction
    weights: Callable[..., Variables]
    gate_values: GateFunction = lambda p_t, before, weights: {}
    keeps: Optional[str] = None
    has_a: bool = False


def _whole(W: Variable) -> Variables:
    return [W.T]  # (H, G*H)


def tanh(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """s_t = tanh(p_t + W s'): the tutorial's recurrence (Elman 1990). W (H, H)."""
    (s_before,), (W_T,) = before, weights
    return [tensor.tanh(p_t + tensor.dot(s_before, W_T))]


def sigmoid(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """s_t = sigma(p_t + W s'): the network of Mikolov et al. (2010). W (H, H)."""
    (s_before,), (W_T,) = before, weights
    return [tensor.nnet.sigmoid(p_t + tensor.dot(s_before, W_T))]


def relu(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """s_t = max(0, p_t + W s') (Le, Jaitly, Hinton 2015). W (H, H). Its derivative at 0 is 1/2."""
    (s_before,), (W_T,) = before, weights
    return [tensor.nnet.relu(p_t + tensor.dot(s_before, W_T))]


def gru(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """The gated recurrent unit (Cho et al. 2014). Gates z, r, h; W (3H, H).

    ::

        z = sigma(p_z + W_z s')             how much of the state stays
        r = sigma(p_r + W_r s')             how much of it the candidate sees
        h = tanh(p_h + W_h (r * s'))        the candidate
        s_t = z * s' + (1 - z) * h
    """
    (s_before,), (_, W_h_T) = before, weights
    H = s_before.shape[1]
    z, r = gru_gates(p_t, before, weights).values()
    h = tensor.tanh(p_t[:, 2 * H :] + tensor.dot(r * s_before, W_h_T))
    return [z * s_before + (1 - z) * h]


def gru_gates(p_t: Variable, before: Variables, weights: Variables) -> dict[str, Variable]:
    """z and r of `gru`."""
    (s_before,), (W_zr_T, _) = before, weights
    H = s_before.shape[1]
    zr = tensor.nnet.sigmoid(p_t[:, : 2 * H] + tensor.dot(s_before, W_zr_T))  # (B, 2H)
    return {"z": zr[:, :H], "r": zr[:, H:]}


def _gru_weights(W: Variable) -> Variables:
    W_T = W.T  # (H, 3H)
    H = W_T.shape[0]
    return [W_T[:, : 2 * H], W_T[:, 2 * H :]]


def gru_after(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """The `gru` that resets after the product: cuDNN's, PyTorch's, Keras's. W (3H, H), a (H,).

    ::

        z, r                                as in gru
        h = tanh(p_h + r * (W_h s' + a))    the candidate; a only where there are biases
        s_t = z * s' + (1 - z) * h

    Cho et al. (2014) have it in the first version of their paper, arXiv:1406.1078v1, and `gru` in
    the third. With biases p_h has one and a is another, which the reset gate scales.
    """
    (s_before,) = before
    H = s_before.shape[1]
    q = _gru_after_products(s_before, *weights)  # (B, 3H)
    z, r = _zr(p_t + q, H)
    h = tensor.tanh(p_t[:, 2 * H :] + r * q[:, 2 * H :])
    return [z * s_before + (1 - z) * h]


def gru_after_gates(p_t: Variable, before: Variables, weights: Variables) -> dict[str, Variable]:
    """z and r of `gru_after`."""
    z, r = _zr(p_t + _gru_after_products(before[0], *weights), before[0].shape[1])
    return {"z": z, "r": r}


def _zr(a: Variable, H: Variable) -> tuple[Variable, Variable]:
    zr = tensor.nnet.sigmoid(a[:, : 2 * H])
    return zr[:, :H], zr[:, H:]


def _gru_after_products(
    s_before: Variable, W_T: Variable, a: Optional[Variable] = None
) -> Variable:
    """W s' + (0, 0, a), (B, 3H); where there is an a, W_T (H+1, 3H) has it in its last row."""
    if a is not None:
        ones = tensor.ones_like(s_before[:, :1])
        s_before = tensor.concatenate([s_before, ones], axis=1)  # (B, H+1)
    return tensor.dot(s_before, W_T)


def _gru_after_weights(W: Variable, a: Optional[Variable] = None) -> Variables:
    if a is None:
        return [W.T]
    # As a row of the matrix its gradient is a part of one product; the loop in C++ has no sums.
    row = tensor.concatenate([tensor.zeros((2 * a.shape[0],), a.dtype), a])
    return [tensor.concatenate([W.T, row.dimshuffle("x", 0)]), a]


def lstm(p_t: Variable, before: Variables, weights: Variables) -> Variables:
    """Long short-term memory with a forget gate (Gers et al. 2000). Gates i, f, o, g; W (4H, H).

    ::

        i, f, o = sigma(p + W s') each      what is written, kept and shown
        g = tanh(p_g + W_g s')              the candidate
        c_t = f * c_{t-1} + i * g
        s_t = o * tanh(c_t)                 the state is (s, c)
    """
    (s_before, c_before), (W_T,) = before, weights
    H = s_before.shape[1]
    a = p_t + tensor.dot(s_before, W_T)  # (B, 4H)
    i, f, o = _lstm_gates(a, H)
    c = f * c_before + i * tensor.tanh(a[:, 3 * H :])
    return [o * tensor.tanh(c), c]


def lstm_gates(p_t: Variable, before: Variables, weights: Variables) -> dict[str, Variable]:
    """i, f and o of `lstm`."""
    (s_before, _), (W_T,) = before, weights
    a = p_t + tensor.dot(s_before, W_T)  # (B, 4H)
    return dict(zip("ifo", _lstm_gates(a, s_before.shape[1])))


def _lstm_gates(a: Variable, H: Variable) -> tuple[Variable, Variable, Variable]:
    ifo = tensor.nnet.sigmoid(a[:, : 3 * H])
    return ifo[:, :H], ifo[:, H : 2 * H], ifo[:, 2 * H :]


CELLS = {
    "tanh": Cell(gates=1, parts=1, step=tanh, weights=_whole),
    "sigmoid": Cell(gates=1, parts=1, step=sigmoid, weights=_whole),
    "relu": Cell(gates=1, parts=1, step=relu, weights=_whole),
    "gru": Cell(3, 1, gru, _gru_weights, gru_gates, keeps="z"),
    "gru_after": Cell(3, 1, gru_after, _gru_after_weights, gru_after_gates, "z", has_a=True),
    "lstm": Cell(4, 2, lstm, _whole, lstm_gates, keeps="f"),
}
