"""A language model's compiled functions: probabilities, loss, gradients and samples."""

from collections.abc import Hashable, Sequence
from typing import Any, Callable, Optional, TypeVar, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.common.types import Array, Floats, Function, Ints, Mask, Parameters, Tokens
from theano_rnn.engine import building, compile_function, once, tensor, theano
from theano_rnn.model import dropout as dropouts
from theano_rnn.model.batch_inputs import batch_inputs, batch_x, is_single, steps_of_piece
from theano_rnn.model.cuts import of_call
from theano_rnn.model.draw import Draw
from theano_rnn.model.dropout import Kept
from theano_rnn.model.network import LanguageModel
from theano_rnn.model.pieces import summed
from theano_rnn.model.truncation import Truncation

Made = TypeVar("Made")

#: For functions without a gradient: no scheme changes their result, and this one is cheapest.
FULL = Truncation("full")


class CompiledModel(LanguageModel):
    """A language model with its compiled functions, each compiled once, when it is first used.

    ``theano_rnn.RNN`` is the one to make: it adds the steps that change the parameters, and files.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._compiled: dict[object, Any] = {}

    def forward_propagation(self, x: Tokens) -> Floats:
        """The probabilities o_t of the next token, after each token of x.

        Parameters
        ----------
        x : (T,) or (T, B) token ids

        Returns
        -------
        (T, vocab_size) or (T, B, vocab_size) array
            Each row sums to 1.
        """
        tokens = batch_x(x, self.vocab_size)
        o: Floats = self.compiled("forward")(tokens, self.zero_state(tokens.shape[1]))[0]
        return o if is_single(x) else o.reshape((*tokens.shape, self.vocab_size))

    def predict(self, x: Tokens) -> Ints:
        """The most likely next token, after each token of x.

        Parameters
        ----------
        x : (T,) or (T, B) token ids

        Returns
        -------
        int64 array of the shape of x
        """
        tokens = batch_x(x, self.vocab_size, whole=1)
        T, B = tokens.shape
        n, state = steps_of_piece(T, B, whole=1), self.zero_state(B)
        found = []
        for begin in range(0, T, n):  # o of all steps may not fit in the memory
            o, state = self.compiled("forward")(tokens[begin : begin + n], state)
            if not np.isfinite(o).all():
                raise NotFinite("the probabilities are not finite, so no token is the most likely")
            found.append(np.argmax(o, axis=-1))
        best: Ints = np.concatenate(found)
        return best if is_single(x) else best.reshape((T, B))

    def ce_error(self, x: Tokens, y: Tokens, mask: Optional[Mask] = None) -> float:
        """Cross-entropy E, in nats, summed over all tokens.

        Parameters
        ----------
        x, y : (T,) or (T, B) token ids
            The inputs and the targets.
        mask : (T, B) booleans, optional
            False in the padding of a batch.
        """
        return self.loss_and_state(x, y, mask=mask)[0]

    def loss_and_state(
        self, x: Tokens, y: Tokens, state: Optional[Array] = None, mask: Optional[Mask] = None
    ) -> tuple[float, Floats]:
        """E of sequences that begin in a given state, and the state in which they end.

        Parameters
        ----------
        x, y, mask
            As in ``ce_error``.
        state : (B, state_size) array, optional
            The state that this function returned for the text before; zeros by default.

        Returns
        -------
        loss : float
        state : (B, state_size) array
        """
        batch = batch_inputs(x, y, mask, self.vocab_size, align_right=False, whole=1)
        state = self.checked_state(state, batch.rows)
        loss, _, after = summed(self.compiled("loss", batch.is_masked), batch, state, whole=1)
        return loss, after

    def calculate_total_loss(self, X: Sequence[Tokens], Y: Sequence[Tokens]) -> float:
        """Cross-entropy of sequences X with targets Y, in nats, summed over all tokens.

        Parameters
        ----------
        X, Y : lists of (T,) token ids
            Of any lengths.
        """
        return sum(self.ce_error(x, y) for x, y in validation.token_pairs(X, Y, self.vocab_size))

    def calculate_loss(self, X: Sequence[Tokens], Y: Sequence[Tokens]) -> float:
        """Cross-entropy of sequences X with targets Y, in nats a token.

        Parameters
        ----------
        X, Y : lists of (T,) token ids
            Of any lengths.
        """
        return self.calculate_total_loss(X, Y) / sum(len(y) for y in Y)

    def bptt(
        self,
        x: Tokens,
        y: Tokens,
        mask: Optional[Mask] = None,
        kept: Optional[Kept] = None,
        cuts: Optional[Array] = None,
        seed: Union[int, np.random.Generator, None] = None,
    ) -> Parameters:
        """Gradients of E under the model's truncation, by the names of the parameters.

        Parameters
        ----------
        x, y, mask
            As in ``ce_error``.
        kept : (T, layers, H) array, of a batch (T, B, layers, H), or dict, optional
            The masks of dropout: factors of the states that the layer above or the output reads.
            A dict has masks by their kinds: "states", such an array; "input" (T, D) or (T, B, D);
            "embedding" (vocab_size,); "recurrent" (layers, H) or (B, layers, H); "weights"
            (layers, G*H, H). Ones, so no dropout, where not given.
        cuts : array of booleans of the shape of x, optional
            For "artbp:K": true at the steps t whose error does not reach step t-1.
        seed : int or numpy.random.Generator, optional
            Draws the cuts of "artbp:K" that are not given; by default ``random`` does. Other
            schemes draw none.

        Returns
        -------
        dict
            dE/dU (G*H, vocab_size), dE/dV (vocab_size, H), dE/dW (G*H, H) and so on, in order.
        """
        whole = self._truncation.K if self._truncation.scheme == "chunk" else None
        batch = batch_inputs(x, y, mask, self.vocab_size, self.align_right, whole)
        masks = dropouts.NO_MASKS
        if kept is not None:
            masks = dropouts.checked(self.architecture, kept, batch, is_single(x), self.dtype)
        if cuts is not None and seed is not None:
            raise RNNError("cuts and seed both say where the error is cut; give one of them")
        if seed is None:
            random = self.random
        elif isinstance(seed, np.random.Generator):
            random = seed
        else:
            random = np.random.default_rng(validation.whole_number(seed, "seed", at_least=0))
        factors = of_call(self._truncation, cuts, np.shape(x), random, self.dtype)
        function = self.compiled("gradients", batch.is_masked, masks.kinds())
        state = self.zero_state(batch.rows)
        _, gradients, _ = summed(function, batch, state, whole, masks, factors)
        return {name: self._as_documented(name, g) for name, g in zip(self.shared, gradients)}

    def next_token(self, token: int, state: Optional[Array] = None) -> tuple[Floats, Floats]:
        """The probabilities of the next token, one step at a time, as in sampling.

        Parameters
        ----------
        token : int
        state : (state_size,) array, optional
            The state before the token; by default zeros, the beginning of a sequence.

        Returns
        -------
        o : (vocab_size,) array
            Probabilities of the next token.
        state : (state_size,) array
            The state after it, to pass on: s_t of each layer, the lowest first, and for an lstm
            s_t and c_t of each.

        Raises
        ------
        RNNError
            For bad input; ``NotFinite`` if the state overflows, as that of relu can, or if the
            parameters are not finite.
        """
        (token,) = validation.token_ids([token], "token", self.vocab_size)
        size = self.architecture.state_size
        state = np.zeros(size, self.dtype) if state is None else state
        state = validation.finite_array(state, "state", (size,), self.dtype)
        o, after = self.compiled("forward")(np.array([[token]]), state[None])
        if not (np.isfinite(after).all() and np.isfinite(o).all()):
            raise NotFinite(
                f"the state or the probabilities are not finite after token {token}; use "
                "parameters from before they grew so large"
            )
        return o[0], after[0]

    def sample(
        self,
        length: int,
        prime: Sequence[int],
        temperature: float = 1.0,
        top_k: Optional[int] = None,
        top_p: Optional[float] = None,
        seed: Union[int, np.random.Generator] = 0,
        state: Optional[Array] = None,
    ) -> tuple[Ints, Floats]:
        """Token ids drawn from the model, each after all before it.

        Parameters
        ----------
        length : int
            How many are drawn.
        prime : sequence of int
            The tokens before the first one that is drawn; at least one.
        temperature, top_k, top_p
            As for ``theano_rnn.model.draw.Draw``.
        seed : int or numpy.random.Generator
            The same seed draws the same.
        state : (state_size,) array, optional
            The state before the prime; by default zeros, the beginning of a sequence.

        Returns
        -------
        tokens : (length,) int64 array
        state : (state_size,) array
            The state before the last token, so that ``sample(..., prime=tokens[-1:],
            state=state)`` goes on.

        Raises
        ------
        RNNError
            For a bad argument; ``NotFinite`` where ``next_token`` raises it.
        """
        length = validation.whole_number(length, "length", at_least=1)
        begin = validation.token_ids(prime, "prime", self.vocab_size)
        draw = Draw(temperature, top_k, top_p)
        if not isinstance(seed, np.random.Generator):
            seed = np.random.default_rng(validation.whole_number(seed, "seed", at_least=0))
        for token in begin:
            o, state = self.next_token(token, state)
        tokens = np.empty(length, np.int64)
        for n in range(length):
            if n > 0:
                o, state = self.next_token(tokens[n - 1], state)
            tokens[n] = draw(o, seed)
        assert state is not None
        return tokens, state

    # ---- compiled functions, each once, when first used

    def compiled(self, name: str, *variant: Hashable) -> Function:
        """A compiled function: "forward", "loss" or "gradients".

        Parameters
        ----------
        name : str
        *variant
            For "loss": is_masked. For "gradients": is_masked, and a tuple of the kinds of masks.
        """
        build: Callable[..., Function] = getattr(self, f"_{name}")
        return self._once((name, *variant), lambda: build(*variant))

    def _once(self, key: object, make: Callable[[], Made]) -> Made:
        made: Made = once(self._compiled, key, make)
        return made

    def _forward(self) -> Function:
        (x, _, state), _, net = self.network(truncation=FULL)
        outputs = [tensor.nnet.softmax(net.logits), net.after]
        return compile_function([x, state], outputs, name="forward")

    def _loss(self, is_masked: bool) -> Function:
        symbols, _, net = self.network(is_masked, truncation=FULL)
        return compile_function(symbols, [net.loss, net.after], name="loss")

    def _gradients(self, is_masked: bool, dropped: tuple[str, ...]) -> Function:
        symbols, _, net = self.network(is_masked, dropped)
        # Scan makes the gradients of outputs that nothing reads: zeros of type floatX.
        with building(floatX=self.dtype):
            gradients = theano.grad(net.loss, list(self.shared.values()))
        return compile_function(symbols, [net.loss, *gradients, net.after], name="gradients")
