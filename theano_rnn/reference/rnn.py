"""NumpyRNN: the language model in plain loops, with the methods of the compiled one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from theano_rnn.reference import activations
from theano_rnn.reference.bptt import artbp_factors, bptt
from theano_rnn.reference.checks import (
    Sentence,
    checked_cuts,
    checked_net,
    checked_pair,
    checked_pairs,
    checked_parameters,
    checked_positive,
    checked_sentences,
    checked_tokens,
    chosen_truncation,
    parse_truncation,
)
from theano_rnn.reference.layout import hidden_size, table
from theano_rnn.reference.masks import Kept, Masks, no_masks
from theano_rnn.reference.steps import output, output_loss, states, top
from theano_rnn.reference.types import Array, Floats, Ints, Mask, Parameters, Tokens


class NumpyRNN:
    """A recurrent language model in naive NumPy.

    s_t = tanh(U x_t + W s_{t-1} + b),  o_t = softmax(V s_t + c),  E = -sum_t log o_t[y_t],
    with x_t one-hot and a zero initial state. Or x_t = L[:, token], another cell takes the place
    of tanh, and layers are stacked: each reads the s_t of the layer below as its x_t.

    Parameters
    ----------
    parameters : dict of arrays
        In this order, with G the number of gates of the cell, stacked in its matrices:
        U (G*H, vocab_size), V (vocab_size, H), W (G*H, H); with bias b (G*H,), c (vocab_size,);
        then for the layers l = 2, 3, ... U2 (G*H, H), W2 (G*H, H), with bias b2 (G*H,), and so
        on. For ``"gru_after"`` an a (H,) follows b, an a2 follows b2. ``"mingru"`` has no W. When
        tied there is no V.
        With an embedding of any size D, L (D, vocab_size) comes before them all and U is
        (G*H, D). All float64 or all float32; everything is computed in that dtype. Copied.
    truncation : str
        Where `bptt` cuts: ``"full"``, ``"window:K"`` (every output reaches K + 1 steps, the
        tutorial's loop), ``"chunk:K"`` (pieces of K steps) or ``"last:K"`` (the last K steps of
        the sequence only, what ``theano.scan`` does), or ``"artbp:K"`` and ``"artbp:K:alpha"``
        (cuts at random, after K steps on average, which `bptt` is given, and factors that keep the
        gradient unbiased). All layers are cut at the same step. The
        gradients of V and c are not cut, nor that of a tied L or U in its use as V.
    cell : str
        With s' = s_{t-1} and sigma the logistic function:

        - ``"tanh"``, ``"sigmoid"``, ``"relu"``, G = 1: that function of U x_t + W s' + b. The
          derivative of relu at 0 is one half, as Theano's.
        - ``"gru"``, G = 3 in the order z, r, h: z = sigma(U_z x_t + W_z s' + b_z), r likewise,
          h = tanh(U_h x_t + W_h (r * s') + b_h), s_t = z * s' + (1 - z) * h.
        - ``"gru_after"``, the same but for h = tanh(U_h x_t + b_h + r * (W_h s' + a)).
        - ``"lstm"``, G = 4 in the order i, f, o, g: i, f, o = sigma(U x_t + W s' + b) each,
          g = tanh(...), c_t = f * c_{t-1} + i * g, s_t = o * tanh(c_t). The state is (s, c),
          and a cut cuts both.
        - ``"mingru"``, G = 2 in the order z, h: z = sigma(U_z x_t + b_z), h = U_h x_t + b_h,
          s_t = z * s' + (1 - z) * h.
    layers : int
        How many recurrences are stacked, all of H units.
    bias : bool
        Whether there are b, b2, ... and c; for ``"gru_after"`` a, a2, ... too.
    tied : bool
        V is the transpose of L, or of U without an embedding; the gradient of L, or U, is then
        the sum over both uses. Needs D = H or a projection, or G = 1 without an embedding.
    embedding : bool
        Whether x_t is the column L[:, token] of a lookup table, not one-hot.
    projection : bool
        When tied to L, V is L' P, the logits are L' (P s_t) + c: P (D, H) stands in place of V,
        and D is any number.
    bptt_truncate : int, optional
        K of ``"window:K"``, as the tutorial writes it.
    truncate_gradient : int, optional
        K of ``"last:K"``, as Theano writes it; -1 is ``"full"``.

    Raises
    ------
    ValueError
        From any method, on bad input; the model is then unchanged.

    Notes
    -----
    All settings are fixed. The tutorial's gradient check assigns ``model.bptt_truncate = 1000``
    to a finished model, to no effect; here that is an ``AttributeError``.

    Examples
    --------
    >>> import numpy as np
    >>> zeros = {"U": np.zeros((2, 4)), "V": np.zeros((4, 2)), "W": np.zeros((2, 2))}
    >>> model = NumpyRNN(zeros, truncation="window:4")
    >>> model.forward_propagation([0, 3, 1])[0]
    array([0.25, 0.25, 0.25, 0.25])
    >>> round(model.ce_error([0, 3, 1], [3, 1, 2]), 6)  # 3 ln 4
    4.158883
    >>> stack = {**zeros, "U2": np.zeros((2, 2)), "W2": np.zeros((2, 2))}
    >>> list(NumpyRNN(stack, cell="relu", layers=2).bptt([0, 3], [3, 1]))
    ['U', 'V', 'W', 'U2', 'W2']
    >>> tied = {"L": np.zeros((2, 4)), "U": np.zeros((6, 2)), "W": np.zeros((6, 2))}
    >>> list(NumpyRNN(tied, cell="gru", tied=True, embedding=True).bptt([0, 3], [3, 1]))
    ['L', 'U', 'W']
    """

    __slots__ = ("_net", "_parameters", "_truncation")

    def __init__(
        self,
        parameters: Mapping[str, Array],
        truncation: str = "full",
        *,
        cell: str = "tanh",
        layers: int = 1,
        bias: bool = False,
        tied: bool = False,
        embedding: bool = False,
        projection: bool = False,
        bptt_truncate: int | None = None,
        truncate_gradient: int | None = None,
    ) -> None:
        self._truncation = chosen_truncation(truncation, bptt_truncate, truncate_gradient)
        self._net = checked_net(cell, layers, bias, tied, embedding, projection)
        self._parameters = checked_parameters(parameters, self._net)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self._parameters.items())
        return f"NumpyRNN({self.cell!r}, {self.truncation!r}; {shapes})"

    @property
    def truncation(self) -> str:
        """The scheme, such as ``"window:4"``."""
        return self._truncation

    @property
    def cell(self) -> str:
        """The recurrence, by name."""
        return self._net.cell

    @property
    def layers(self) -> int:
        """How many recurrences are stacked."""
        return self._net.layers

    @property
    def bias(self) -> bool:
        """Whether there are b and c."""
        return self._net.bias

    @property
    def tied(self) -> bool:
        """Whether V is the transpose of U, or of L, or L' P."""
        return self._net.tied

    @property
    def embedding(self) -> bool:
        """Whether there is L."""
        return self._net.embedding

    @property
    def projection(self) -> bool:
        """Whether there is P."""
        return self._net.projection

    @property
    def hidden_size(self) -> int:
        """H."""
        return hidden_size(self._parameters)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return table(self._parameters).shape[1]

    def parameters(self) -> Parameters:
        """Copies of the parameters, in the order given above."""
        return {name: value.copy() for name, value in self._parameters.items()}

    def set_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Set all parameters, to copies of arrays of the model's shapes and dtype."""
        new = checked_parameters(parameters, self._net)
        for name, old in self._parameters.items():
            if new[name].shape != old.shape or new[name].dtype != old.dtype:
                raise ValueError(
                    f"parameter {name} is {new[name].dtype} {new[name].shape}: the model's is"
                    f" {old.dtype} {old.shape}, convert it or build another model"
                )
        self._parameters = new

    def hidden_states(self, x: Tokens, kept: Kept | None = None) -> Floats:
        """The states s_t, (T + 1, H); the zero initial state is the last row, index -1.

        With more layers a row has the s_t of each, the lowest first, and for an lstm s_t and c_t
        of each: it is (T + 1, layers * H) or (T + 1, layers * 2 * H). So for every cell
        ``.reshape(T + 1, layers, -1, H)[t, l, 0]`` is s_t of layer l, counted from 0, and
        ``[t, l, 1]`` is c_t. ``kept`` are the masks of dropout, see `ce_error`: they change what
        is read, and are not multiplied into a row itself.

        Parameters
        ----------
        x : sequence of T ints
        kept : array (T, layers, H), or dict, optional

        Returns
        -------
        array (T + 1, layers * parts * H)
        """
        x = checked_tokens("x", x, self.vocab_size)
        ((_, _, masks),) = self._sentences(x, x, None, kept)
        s = self._states(x, masks)
        return s.reshape(len(s), -1)

    def forward_propagation(self, x: Tokens) -> Floats:
        """The probabilities o_t of the next token, after each token.

        Returns
        -------
        array (T, vocab_size)
        """
        x = checked_tokens("x", x, self.vocab_size)
        masks = no_masks(self._net, self._parameters, x)
        s = self._states(x, masks)
        return np.stack([output(self._parameters, top(s[t], masks, t)) for t in range(len(x))])

    def predict(self, x: Tokens) -> Ints:
        """The most likely next token, after each token.

        Returns
        -------
        int64 array (T,)
        """
        tokens: Ints = np.argmax(self.forward_propagation(x), axis=1)
        return tokens

    def ce_error(
        self, x: Tokens, y: Tokens, mask: Mask | None = None, kept: Kept | None = None
    ) -> float:
        """E = -sum_t log o_t[y_t] of one sentence, or summed over those of a batch, in nats.

        Parameters
        ----------
        x, y : sequences of T ints, or arrays (T, B)
            Token ids and their targets. Each column of a batch is a sentence, run alone.
        mask : array (T, B) of booleans, or 0 and 1, optional
            For a batch: true at the tokens of each column, at least one, then false. A column is
            cut to its own length; what x, y and kept hold after it is ignored. Without a mask
            every column has T tokens.
        kept : array (T, layers, H), or (T, B, layers, H) of a batch, or dict, optional
            The masks of dropout. An array has factors of the s_t of each layer that the layer
            above, or the output, reads; the recurrence reads s_t itself. A dict has masks of any
            kind by name: "states", such an array, "input", "embedding", "recurrent" and "weights"
            as the module ``masks`` says. Without them, ones.
        """
        return sum(self._loss(*sentence) for sentence in self._sentences(x, y, mask, kept))

    def calculate_total_loss(self, X: Sequence[Tokens], Y: Sequence[Tokens]) -> float:
        """Cross-entropy summed over all tokens of all sentences.

        Returns
        -------
        float
            In nats.
        """
        pairs = checked_pairs(X, Y, self.vocab_size)
        return sum(self._loss(*self._sentences(x, y, None, None)[0]) for x, y in pairs)

    def calculate_loss(self, X: Sequence[Tokens], Y: Sequence[Tokens]) -> float:
        """Cross-entropy per token: the total over the number of targets.

        Returns
        -------
        float
            In nats per token.
        """
        return self.calculate_total_loss(X, Y) / sum(len(y) for y in Y)

    def bptt(
        self,
        x: Tokens,
        y: Tokens,
        mask: Mask | None = None,
        kept: Kept | None = None,
        cuts: Array | None = None,
        ar: float = 0.0,
        tar: float = 0.0,
    ) -> Parameters:
        """The gradients of E + R under the truncation, by the names of the parameters.

        Each sentence of a batch is truncated by its own length; the gradients are summed.

        Parameters
        ----------
        x, y, mask, kept
            As in `ce_error`.
        cuts : array (T,), or (T, B) of a batch, of booleans, or 0 and 1
            For ``"artbp:K"``, and only there: true at the steps t whose error does not reach step
            t - 1. What it holds at the first step, and in the padding of a batch, is ignored.
        ar, tar : float
            Weights of the penalties on the states of the last layer, see ``activations``; with 0
            there is no R.
        """
        scheme, k, alpha = parse_truncation(self._truncation)
        sentences = self._sentences(x, y, mask, kept)
        cuts = checked_cuts(cuts, np.shape(x), scheme).reshape((-1, len(sentences)))
        gradients, pair = [], activations.of_pair(tar, [len(x) for x, *_ in sentences])
        for b, (x, y, masks) in enumerate(sentences):
            a = np.ones(len(x))
            if scheme == "artbp" and k is not None:
                a = artbp_factors(cuts[: len(x), b], k, alpha)
            a = a.astype(table(self._parameters).dtype)
            s = self._states(x, masks)
            penalty = activations.errors(s[:-1, -1, 0], masks.states[:, -1], ar, pair)
            gradients.append(
                bptt(self._net, self._parameters, s, x, y, masks, scheme, k, a, penalty)
            )
        return {name: cast(Floats, sum(g[name] for g in gradients)) for name in self._parameters}

    def sgd_step(
        self, x: Tokens, y: Tokens, learning_rate: float, cuts: Array | None = None
    ) -> float:
        """Subtract learning_rate times the gradient of one sentence; return its loss before.

        Parameters
        ----------
        x, y : sequences of T ints
        learning_rate : float
        cuts : array (T,) of booleans, optional
            As in `bptt`.

        Returns
        -------
        float
            In nats, summed over the tokens.
        """
        learning_rate = checked_positive("learning_rate", learning_rate)
        x, y = checked_pair(x, y, self.vocab_size)
        loss = self.ce_error(x, y)
        gradients = self.bptt(x, y, cuts=cuts)
        self.set_parameters(
            {name: p - learning_rate * gradients[name] for name, p in self.parameters().items()}
        )
        return loss

    def _sentences(
        self, x: Tokens, y: Tokens, mask: Mask | None, kept: Kept | None
    ) -> list[Sentence]:
        return checked_sentences(x, y, mask, kept, self._net, self._parameters)

    def _states(self, x: Ints, masks: Masks) -> Floats:
        return states(self._net, self._parameters, x, masks)  # (T + 1, layers, parts, H)

    def _loss(self, x: Ints, y: Ints, masks: Masks) -> float:
        s = self._states(x, masks)
        return sum(output_loss(self._parameters, top(s[t], masks, t), y[t]) for t in range(len(x)))
