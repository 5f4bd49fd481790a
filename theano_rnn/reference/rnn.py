"""The vanilla RNN language model with the interface of the compiled one, in plain loops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from theano_rnn.reference import bptt as loops
from theano_rnn.reference.checks import (
    NAMES,
    checked_pair,
    checked_pairs,
    checked_parameters,
    checked_positive,
    checked_tokens,
    chosen_truncation,
    parse_truncation,
)
from theano_rnn.reference.steps import hidden_states, output, output_loss


class NumpyRNN:
    """A recurrent language model in naive NumPy.

    s_t = tanh(U x_t + W s_{t-1}),  o_t = softmax(V s_t),  E = -sum_t log o_t[y_t],
    with x_t one-hot and a zero initial state.

    Parameters
    ----------
    parameters : dict of arrays
        U (H, vocab_size), V (vocab_size, H), W (H, H); all float64 or all float32, which is the
        dtype everything is computed in. Copied.
    truncation : str
        Where `bptt` cuts: ``"full"``, ``"window:K"`` (every output reaches K + 1 steps, the
        tutorial's loop), ``"chunk:K"`` (pieces of K steps) or ``"last:K"`` (the last K steps of
        the sequence only, what ``theano.scan`` does). Fixed at construction.
    bptt_truncate : int, optional
        The tutorial's word for ``"window:K"``.
    truncate_gradient : int, optional
        Theano's word for ``"last:K"``.

    Raises
    ------
    ValueError
        From any method, on bad input; the model is then unchanged.

    Notes
    -----
    Attributes are fixed: assigning ``model.bptt_truncate = 1000`` after construction, as the
    tutorial's gradient check does to no effect, is an ``AttributeError``.

    Examples
    --------
    >>> import numpy as np
    >>> zeros = {"U": np.zeros((2, 4)), "V": np.zeros((4, 2)), "W": np.zeros((2, 2))}
    >>> model = NumpyRNN(zeros, truncation="window:4")
    >>> model.forward_propagation([0, 3, 1])[0]
    array([0.25, 0.25, 0.25, 0.25])
    >>> round(model.ce_error([0, 3, 1], [3, 1, 2]), 6)  # 3 ln 4
    4.158883
    """

    __slots__ = ("_U", "_V", "_W", "_truncation")

    def __init__(
        self,
        parameters: Mapping,
        truncation: str = "full",
        *,
        bptt_truncate: int | None = None,
        truncate_gradient: int | None = None,
    ):
        self._truncation = chosen_truncation(truncation, bptt_truncate, truncate_gradient)
        self._U, self._V, self._W = checked_parameters(parameters).values()

    @property
    def truncation(self) -> str:
        """The scheme, written ``"full"``, ``"window:K"``, ``"chunk:K"`` or ``"last:K"``."""
        return self._truncation

    @property
    def hidden_size(self) -> int:
        """H."""
        return self._U.shape[0]

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self._U.shape[1]

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies of U (H, vocab_size), V (vocab_size, H) and W (H, H), in that order."""
        return {"U": self._U.copy(), "V": self._V.copy(), "W": self._W.copy()}

    def set_parameters(self, parameters: Mapping) -> None:
        """Take copies of new parameters, of the model's shapes and dtype."""
        new = checked_parameters(parameters)
        for name, old in self.parameters().items():
            if new[name].shape != old.shape or new[name].dtype != old.dtype:
                raise ValueError(
                    f"parameter {name} is {new[name].dtype} {new[name].shape}: the model's is"
                    f" {old.dtype} {old.shape}, convert it or build another model"
                )
        self._U, self._V, self._W = new.values()

    def hidden_states(self, x) -> np.ndarray:
        """States s_t, (T + 1, H); the zero initial state is the last row, index -1."""
        return hidden_states(self._U, self._W, checked_tokens("x", x, self.vocab_size))

    def forward_propagation(self, x) -> np.ndarray:
        """Probabilities o_t of the next token after each token, (T, vocab_size)."""
        s = self.hidden_states(x)  # (T + 1, H)
        return np.stack([output(self._V, s_t) for s_t in s[:-1]])

    def predict(self, x) -> np.ndarray:
        """The most probable next token after each token, (T,)."""
        return np.argmax(self.forward_propagation(x), axis=1)

    def ce_error(self, x, y) -> float:
        """E = -sum_t log o_t[y_t] of one sentence, in nats."""
        x, y = checked_pair(x, y, self.vocab_size)
        return self._loss(x, y)

    def calculate_total_loss(self, X, Y) -> float:
        """Cross-entropy summed over all tokens of all sentences."""
        return sum(self._loss(x, y) for x, y in checked_pairs(X, Y, self.vocab_size))

    def calculate_loss(self, X, Y) -> float:
        """Cross-entropy a token: the total over the number of targets."""
        return self.calculate_total_loss(X, Y) / sum(len(y) for y in Y)

    def bptt(self, x, y) -> dict[str, np.ndarray]:
        """dE/dU (H, vocab_size), dE/dV (vocab_size, H), dE/dW (H, H) under the truncation."""
        x, y = checked_pair(x, y, self.vocab_size)
        s = hidden_states(self._U, self._W, x)  # (T + 1, H)
        arguments = (self._U, self._V, self._W, s, x, y)
        scheme, k = parse_truncation(self._truncation)
        if scheme == "full":
            gradients = loops.full(*arguments)
        else:
            loop = {"window": loops.window, "chunk": loops.chunk, "last": loops.last}[scheme]
            gradients = loop(*arguments, k)
        return dict(zip(NAMES, gradients))

    def sgd_step(self, x, y, learning_rate: float) -> float:
        """Subtract learning_rate times the gradient; returns the loss before the update."""
        learning_rate = checked_positive("learning_rate", learning_rate)
        loss = self.ce_error(x, y)
        gradients = self.bptt(x, y)
        self.set_parameters(
            {name: p - learning_rate * gradients[name] for name, p in self.parameters().items()}
        )
        return loss

    def _loss(self, x: np.ndarray, y: np.ndarray) -> float:
        s = hidden_states(self._U, self._W, x)  # (T + 1, H)
        return sum(output_loss(self._V, s[t], y[t]) for t in range(len(x)))
