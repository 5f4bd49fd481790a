"""The cells: one step of each recurrence, and all facts about it that the package uses.

The loop over the steps is in ``truncation``. A step takes p_t = U x_t + b, the input of this step
for B sequences, (B, G*H); the state before it, a list of (B, H) expressions, s_{t-1} first; the
cell's matrices, weights, as ``Cell.weights`` makes them; and a function, read: a matrix multiplies
read(s), all of s or what dropout leaves of it. Each function below is the step of the cell of its
name. It returns the gates and the new state, by their names in the equations.

G gates share the parameters U (G*H, D), W (G*H, H) if the cell has it and, with biases, b (G*H,),
one below the other; D is the vocabulary's size, or the size of what a layer reads. In the
equations s' is s_{t-1}, sigma the logistic function and * element-wise.

A new cell is one function here, one ``Cell`` in ``CELLS``, and one NumPy step in
``theano_rnn.reference.cells``. No other module asks which cell it is; all ask what the cell has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from theano_rnn.common.types import Floats, Variable, Variables
from theano_rnn.model.activations import LINEAR, RELU, SIGMOID, TANH, Activation
from theano_rnn.model.later import tensor

#: (p_t, before, weights) -> the state after the step.
StepFunction = Callable[[Variable, Variables, Variables], Variables]
#: A state, or a part of it -> what a matrix of the recurrence reads of it.
Read = Callable[[Variable], Variable]
#: (p_t, before, weights, read) -> what the equations of the step name.
Equations = Callable[[Variable, Variables, Variables, Read], dict[str, Variable]]


class TorchModule(NamedTuple):
    """The name of PyTorch's module of the same function, and the gates in its order."""

    name: str
    gates: tuple[str, ...]


def transposed(W: Variable) -> Variables:
    """W' (H, G*H): the only matrix of most cells.

    Theano takes the gradient of W out of the loop, as one product over all steps, only if the loop
    multiplies two matrices and the second one is whole. So W is transposed outside.
    """
    return [W.T]


def nothing() -> Variables:
    """No matrix: the weights of a cell without W."""
    return []


def whole(s: Variable) -> Variable:
    """All of a state: what W reads without dropout."""
    return s


def z_of_candidate(
    p: Floats, W: Floats, before: Floats, gates: dict[str, Floats], a: Any
) -> Floats:
    """What the candidate's activation is applied to, in NumPy: p + W s'.

    Parameters
    ----------
    p, before : (T, H) arrays
        The candidate's input at each step, and s_{t-1}.
    W : (H, H) array
        The candidate's block.
    gates : dict of (T, H) arrays
    a : (H,) array, or 0 without a recurrent bias

    Returns
    -------
    (T, H) array
    """
    z: Floats = p + before @ W.T
    return z


@dataclass(frozen=True)
class Cell:
    """A recurrence, as data.

    Attributes
    ----------
    equations : function (p_t, before, weights, read) -> dict of expressions (B, H)
        One step: its gates and the state after it, by name. A matrix multiplies ``read(s')``, all
        of s' or what dropout leaves of it. The first line of its docstring is the cell's line in
        help texts.
    gates : tuple of str
        The G blocks in the order of their rows in U, W and b. The last one is the candidate, what
        is written into the state; those before it are gates, with values from 0 to 1.
    state : tuple of str
        The vectors (H,) that go on to the next step. The first one, s, is the output.
    has_W : bool
        Whether the step multiplies s' with a matrix W. Without it the gates read the input alone,
        each unit is alone, and the Jacobian of a step is diag(the carry gate).
    weights : function (W), (W, a) or () -> list of expressions
        The matrices that the step multiplies with, made once, outside the loop.
    activation : Activation
        Of the candidate.
    is_plain : bool
        Whether s_t is activation(p_t + W s') and nothing else. Then the Jacobian of a step is
        diag(activation') W: its norm is at most gamma sigma_max(W), and the regularizer Omega is
        defined.
    carry_gate : str or None
        The gate that multiplies the state before: dh_t/dh_{t-1} has it on its diagonal, as a path
        on which the error passes unchanged where the gate is 1.
    initial_bias : dict
        Gates whose bias begins at a number other than 0.
    chrono : dict
        Gates that the chrono initialization opens (1) and closes (-1).
    candidate : function
        As ``z_of_candidate``, where there is W; without it the candidate is activation(p).
    has_recurrent_bias : bool
        Whether a net with biases has another one, a (H,), that is added to the candidate's W s'.
    torch : TorchModule or None
        None if PyTorch has no module of this function.
    """

    equations: Equations
    gates: tuple[str, ...] = ("s",)
    state: tuple[str, ...] = ("s",)
    has_W: bool = True
    weights: Callable[..., Variables] = transposed
    activation: Activation = TANH
    is_plain: bool = False
    carry_gate: Optional[str] = None
    initial_bias: Mapping[str, float] = field(default_factory=dict)
    chrono: Mapping[str, int] = field(default_factory=dict)
    candidate: Callable[..., Floats] = z_of_candidate
    has_recurrent_bias: bool = False
    torch: Optional[TorchModule] = None

    @property
    def G(self) -> int:
        """The number of gates, the candidate among them."""
        return len(self.gates)

    @property
    def parts(self) -> int:
        """The number of vectors in the state."""
        return len(self.state)

    @property
    def matrix(self) -> str:
        """The matrix whose gradient stands for that of the recurrence: "W", or "U" without W."""
        return "W" if self.has_W else "U"

    @property
    def gamma(self) -> Optional[float]:
        """The gamma of |J| <= gamma sigma_max(W); None for a cell that is not plain."""
        return self.activation.gamma if self.is_plain else None

    def step(self, p_t: Variable, before: Variables, weights: Variables) -> Variables:
        """The state after a step, a list of (B, H) expressions."""
        values = self.equations(p_t, before, weights, whole)
        return [values[name] for name in self.state]

    def masked_step(self, p_t: Variable, before: Variables, weights: Variables) -> Variables:
        """A step in which W reads m * s'; the mask m (B, H) is the last of the weights."""
        *weights, mask = weights
        values = self.equations(p_t, before, weights, lambda s: s * mask)
        return [values[name] for name in self.state]

    def gate_values(
        self, p_t: Variable, before: Variables, weights: Variables
    ) -> dict[str, Variable]:
        """The gates of a step by name, (B, H) each, without the candidate."""
        values = self.equations(p_t, before, weights, whole)
        return {name: values[name] for name in self.gates[:-1]}


def tanh(p_t: Variable, before: Variables, weights: Variables, read: Read) -> dict[str, Variable]:
    """s_t = tanh(p_t + W s'), the tutorial's recurrence (Elman 1990).

    W (H, H).
    """
    (s_before,), (W_T,) = before, weights
    return {"s": tensor.tanh(p_t + tensor.dot(read(s_before), W_T))}


def sigmoid(
    p_t: Variable, before: Variables, weights: Variables, read: Read
) -> dict[str, Variable]:
    """s_t = sigma(p_t + W s'), the network of Mikolov et al. (2010).

    W (H, H).
    """
    (s_before,), (W_T,) = before, weights
    return {"s": tensor.nnet.sigmoid(p_t + tensor.dot(read(s_before), W_T))}


def relu(p_t: Variable, before: Variables, weights: Variables, read: Read) -> dict[str, Variable]:
    """s_t = max(0, p_t + W s'), meant to begin with W = I (Le, Jaitly, Hinton 2015).

    W (H, H). The derivative at 0 is 1/2.
    """
    (s_before,), (W_T,) = before, weights
    return {"s": tensor.nnet.relu(p_t + tensor.dot(read(s_before), W_T))}


def gru(p_t: Variable, before: Variables, weights: Variables, read: Read) -> dict[str, Variable]:
    """Gated recurrent unit, three products a step (Cho et al. 2014).

    Gates z, r, h; W (3H, H)::

        z = sigma(p_z + W_z s')             how much of the state stays
        r = sigma(p_r + W_r s')             how much of it the candidate sees
        h = tanh(p_h + W_h (r * s'))        the candidate
        s_t = z * s' + (1 - z) * h
    """
    (s_before,), (W_zr_T, W_h_T) = before, weights
    H = s_before.shape[1]
    z, r = _blocks(tensor.nnet.sigmoid(p_t[:, : 2 * H] + tensor.dot(read(s_before), W_zr_T)), 2, H)
    h = tensor.tanh(p_t[:, 2 * H :] + tensor.dot(read(r * s_before), W_h_T))
    return {"z": z, "r": r, "s": z * s_before + (1 - z) * h}


def _gru_weights(W: Variable) -> Variables:
    W_T = W.T  # (H, 3H)
    H = W_T.shape[0]
    return [W_T[:, : 2 * H], W_T[:, 2 * H :]]


def _gru_candidate(
    p: Floats, W: Floats, before: Floats, gates: dict[str, Floats], a: Any
) -> Floats:
    """p_h + W_h (r * s')"""
    return z_of_candidate(p, W, gates["r"] * before, gates, a)


def gru_after(
    p_t: Variable, before: Variables, weights: Variables, read: Read
) -> dict[str, Variable]:
    """The gru that resets after the product, as in cuDNN, PyTorch and Keras.

    Gates z, r, h; W (3H, H), a (H,)::

        z, r                                as in gru
        h = tanh(p_h + r * (W_h s' + a))    the candidate; a only where there are biases
        s_t = z * s' + (1 - z) * h

    Cho et al. (2014) have it in the first version of their paper, arXiv:1406.1078v1, and `gru` in
    the third. With biases p_h has one and a is another, which the reset gate scales.
    """
    (s_before,), (W_T, *a) = before, weights
    H, s = s_before.shape[1], read(s_before)
    if a:  # W_T (H+1, 3H) has a in its last row
        s = tensor.concatenate([s, tensor.ones_like(s[:, :1])], axis=1)  # (B, H+1)
    q = tensor.dot(s, W_T)  # (B, 3H): W s' + (0, 0, a)
    z, r = _blocks(tensor.nnet.sigmoid((p_t + q)[:, : 2 * H]), 2, H)
    h = tensor.tanh(p_t[:, 2 * H :] + r * q[:, 2 * H :])
    return {"z": z, "r": r, "s": z * s_before + (1 - z) * h}


def _gru_after_weights(W: Variable, a: Optional[Variable] = None) -> Variables:
    if a is None:
        return [W.T]
    # As a row of the matrix its gradient is a part of one product; the loop in C++ has no sums.
    row = tensor.concatenate([tensor.zeros((2 * a.shape[0],), a.dtype), a])
    return [tensor.concatenate([W.T, row.dimshuffle("x", 0)]), a]


def _gru_after_candidate(
    p: Floats, W: Floats, before: Floats, gates: dict[str, Floats], a: Any
) -> Floats:
    """p_h + r * (W_h s' + a)"""
    z: Floats = p + gates["r"] * (before @ W.T + a)
    return z


def lstm(p_t: Variable, before: Variables, weights: Variables, read: Read) -> dict[str, Variable]:
    """Long short-term memory with a forget gate, four products a step (Gers et al. 2000).

    Gates i, f, o, g; W (4H, H)::

        i, f, o = sigma(p + W s') each      how much is written, kept and put out
        g = tanh(p_g + W_g s')              the candidate
        c_t = f * c_{t-1} + i * g
        s_t = o * tanh(c_t)                 the state is (s, c)
    """
    (s_before, c_before), (W_T,) = before, weights
    H = s_before.shape[1]
    a = p_t + tensor.dot(read(s_before), W_T)  # (B, 4H)
    i, f, o = _blocks(tensor.nnet.sigmoid(a[:, : 3 * H]), 3, H)
    c = f * c_before + i * tensor.tanh(a[:, 3 * H :])
    return {"i": i, "f": f, "o": o, "c": c, "s": o * tensor.tanh(c)}


def mingru(
    p_t: Variable, before: Variables, weights: Variables, read: Read
) -> dict[str, Variable]:
    """Minimal gated recurrent unit, no product with the state (Feng et al. 2024).

    Gates z, h; no W::

        z = sigma(p_z)                      how much of the state stays
        h = p_h                             the candidate
        s_t = z * s' + (1 - z) * h

    The paper's z is 1 - z here, where z is what stays, as in gru. Both gates read the input alone,
    so ds_t/ds' = diag(z): within a layer the error of a unit goes back by itself and never grows.
    """
    (s_before,) = before
    H = s_before.shape[1]
    z, h = tensor.nnet.sigmoid(p_t[:, :H]), p_t[:, H:]
    return {"z": z, "s": z * s_before + (1 - z) * h}


def _blocks(a: Variable, n: int, H: Variable) -> Variables:
    """The n blocks (B, H) of a (B, n*H)."""
    edges = [None, H, *(i * H for i in range(2, n)), None]
    return [a[:, start:stop] for start, stop in zip(edges, edges[1:])]


CELLS = {
    "tanh": Cell(tanh, is_plain=True, torch=TorchModule("nn.RNN", ("s",))),
    "sigmoid": Cell(sigmoid, activation=SIGMOID, is_plain=True),
    "relu": Cell(relu, activation=RELU, is_plain=True, torch=TorchModule("nn.RNN", ("s",))),
    "gru": Cell(
        gru,
        gates=("z", "r", "h"),
        weights=_gru_weights,
        carry_gate="z",
        chrono={"z": 1},
        candidate=_gru_candidate,
    ),
    "gru_after": Cell(
        gru_after,
        gates=("z", "r", "h"),
        weights=_gru_after_weights,
        carry_gate="z",
        chrono={"z": 1},
        candidate=_gru_after_candidate,
        has_recurrent_bias=True,
        torch=TorchModule("nn.GRU", ("r", "z", "h")),
    ),
    "lstm": Cell(
        lstm,
        gates=("i", "f", "o", "g"),
        state=("s", "c"),
        carry_gate="f",
        # The cell remembers at first (Gers et al. 2000; Jozefowicz et al. 2015).
        initial_bias={"f": 1.0},
        chrono={"f": 1, "i": -1},
        torch=TorchModule("nn.LSTM", ("i", "f", "g", "o")),
    ),
    "mingru": Cell(
        mingru,
        gates=("z", "h"),
        has_W=False,
        weights=nothing,
        activation=LINEAR,
        carry_gate="z",
        chrono={"z": 1},
    ),
}
