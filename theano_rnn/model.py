"""The recurrent language model: its parameters and its compiled functions."""

import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np

from theano_rnn import arguments, graph, initialization
from theano_rnn import truncation as truncations
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.errors import RNNError


class RNN:
    """A tanh recurrent language model as compiled Theano functions.

    s_t = tanh(U x_t + W s_{t-1}),  o_t = softmax(V s_t),  E = -sum_t log o_t[y_t],
    with x_t one-hot and s_0 = 0.

    Parameters
    ----------
    vocab_size : int
        Number of token ids.
    hidden_size : int
        H, the number of units in the state.
    truncation : str
        Where the gradient is cut: "full", "window:K", "chunk:K" or "last:K"; the module
        ``theano_rnn.truncation`` shows each as a loop and a picture.
    bptt_truncate : int, optional
        The tutorial's word for "window:K".
    truncate_gradient : int, optional
        Theano's word for "last:K", and -1 for "full".
    seed : int
        Of the initial parameters.
    dtype : str, optional
        "float32" or "float64"; Theano's floatX where not given.

    Raises
    ------
    RNNError
        From any method, for bad input; the model is then unchanged.

    Notes
    -----
    Each function is compiled when first used, and once. ``U``, ``V`` and ``W`` are the shared
    variables of the graph; U is stored transposed there, (vocab_size, H).

    References
    ----------
    D. Britz, Recurrent Neural Networks Tutorial, part 3 (2015). J. L. Elman, Finding structure
    in time (1990).

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> model = RNN(vocab_size=5, hidden_size=4, truncation="window:2")
    >>> model.forward_propagation([0, 3, 1]).shape
    (3, 5)
    >>> [f"{name} {gradient.shape}" for name, gradient in model.bptt([0, 3, 1], [3, 1, 2]).items()]
    ['U (4, 5)', 'V (5, 4)', 'W (4, 4)']
    """

    def __init__(
        self,
        vocab_size,
        hidden_size=100,
        *,
        truncation="full",
        bptt_truncate=None,
        truncate_gradient=None,
        seed=0,
        dtype=None,
    ):
        self.vocab_size = arguments.whole_number(vocab_size, "vocab_size", at_least=1)
        self.hidden_size = arguments.whole_number(hidden_size, "hidden_size", at_least=1)
        seed = arguments.whole_number(seed, "seed", at_least=0)
        self.dtype = theano.config.floatX if dtype is None else dtype
        if self.dtype not in ("float32", "float64"):
            raise RNNError(f"dtype {dtype!r} is unknown; use 'float32' or 'float64'")
        self._truncation = truncations.parse(truncation, bptt_truncate, truncate_gradient)
        values = initialization.uniform(self.hidden_size, self.vocab_size, seed, self.dtype)
        self.U = theano.shared(np.ascontiguousarray(values["U"].T), "U", borrow=True)
        self.V = theano.shared(values["V"], "V", borrow=True)
        self.W = theano.shared(values["W"], "W", borrow=True)

    @classmethod
    def from_npz(cls, path, **settings):
        """A model with the parameters of an .npz file, such as the tutorial's published ones.

        Parameters
        ----------
        path : str or Path
            A file with arrays U (H, vocab_size), V (vocab_size, H) and W (H, H).
        **settings
            Those of RNN, other than the sizes.

        Returns
        -------
        RNN

        Raises
        ------
        RNNError
            If the file is missing, damaged, or holds other arrays.
        """
        path = Path(path)
        try:
            values = _arrays(path)
        except OSError as error:
            raise RNNError(f"{path}: {error.strerror or error}") from None
        except Exception as error:  # of a type that depends on where the file is damaged
            raise RNNError(f"{path} is not an .npz file of arrays ({error})") from None
        if np.ndim(values.get("U")) != 2 or values["U"].size == 0:
            raise RNNError(f"{path} has no matrix U (H, vocab_size); it holds {sorted(values)}")
        hidden_size, vocab_size = values["U"].shape
        model = cls(vocab_size, hidden_size, **settings)
        try:
            model.set_parameters(values)
        except RNNError as error:
            raise RNNError(f"{path}: {error}") from None
        return model

    @property
    def truncation(self) -> str:
        """Where the gradient is cut. Fixed when the model is made, as the graph is."""
        return str(self._truncation)

    def __setattr__(self, name, value):
        # The tutorial's gradient check sets bptt_truncate on a finished model, to no effect.
        if name in ("bptt_truncate", "truncate_gradient"):
            raise AttributeError(f"{name} is fixed when the model is made; make another RNN")
        super().__setattr__(name, value)

    def __repr__(self):
        return f"RNN({self.vocab_size}, {self.hidden_size}, truncation={self.truncation!r})"

    # ---- parameters

    def parameters(self) -> dict:
        """Copies of U (H, vocab_size), V (vocab_size, H) and W (H, H), in that order."""
        return {
            "U": self.U.get_value(borrow=True).T.copy(order="C"),
            "V": self.V.get_value(),
            "W": self.W.get_value(),
        }

    def set_parameters(self, values) -> None:
        """Take over parameters of the names and shapes that ``parameters`` returns.

        Raises
        ------
        RNNError
            If one is missing, unknown, of another shape, or not finite.
        """
        H, vocab_size = self.hidden_size, self.vocab_size
        shapes = {"U": (H, vocab_size), "V": (vocab_size, H), "W": (H, H)}
        values = arguments.parameters(values, shapes, self.dtype)
        self.U.set_value(np.ascontiguousarray(values["U"].T), borrow=True)
        self.V.set_value(values["V"], borrow=True)
        self.W.set_value(values["W"], borrow=True)

    # ---- what the network computes

    def forward_propagation(self, x) -> np.ndarray:
        """Probabilities o_t of the next token after each token of x, (T, vocab_size)."""
        return self._forward(arguments.token_ids(x, "x", self.vocab_size))

    def predict(self, x) -> np.ndarray:
        """The most likely next token after each token of x, (T,)."""
        return np.argmax(self.forward_propagation(x), axis=1)

    def ce_error(self, x, y) -> float:
        """Cross-entropy E of one sequence, in nats, summed over its tokens."""
        return float(self._loss(*arguments.token_pair(x, y, self.vocab_size)))

    def calculate_total_loss(self, X, Y) -> float:
        """Cross-entropy of sequences X with targets Y, in nats, summed over all tokens."""
        pairs = arguments.token_pairs(X, Y, self.vocab_size)
        return sum(float(self._loss(x, y)) for x, y in pairs)

    def calculate_loss(self, X, Y) -> float:
        """Cross-entropy of sequences X with targets Y, in nats a token."""
        return self.calculate_total_loss(X, Y) / sum(len(y) for y in Y)

    def bptt(self, x, y) -> dict:
        """Gradients of E under the model's truncation.

        Returns
        -------
        dict
            dE/dU (H, vocab_size), dE/dV (vocab_size, H), dE/dW (H, H), in that order.
        """
        dU, dV, dW = self._gradients(*arguments.token_pair(x, y, self.vocab_size))
        return {"U": np.ascontiguousarray(dU.T), "V": dV, "W": dW}

    def sgd_step(self, x, y, learning_rate) -> float:
        """parameter -= learning_rate * gradient. Returns E before the step, in nats.

        Only the rows of U that occur in x are updated, and V in place.
        """
        learning_rate = self._positive(learning_rate, "learning_rate")
        return float(self._sgd(*arguments.token_pair(x, y, self.vocab_size), learning_rate))

    def clipped_sgd_step(self, x, y, learning_rate, clip) -> tuple:
        """An SGD step whose gradient is rescaled to the norm ``clip`` where it is longer.

        Parameters
        ----------
        x, y : (T,) token ids
        learning_rate : float
        clip : float
            Largest norm of the gradient, U, V and W taken together.

        Returns
        -------
        loss, norm : float
            E before the step, in nats, and the norm before clipping. Where one of them is not
            finite, the parameters are lost.

        References
        ----------
        Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (2013).
        """
        x, y = arguments.token_pair(x, y, self.vocab_size)
        learning_rate = self._positive(learning_rate, "learning_rate")
        clip = self._positive(clip, "clip")
        loss, norm = self._clipped_sgd(x, y, learning_rate, clip)
        return float(loss), float(norm)

    def next_token(self, token, state=None) -> tuple:
        """One step of sampling.

        Parameters
        ----------
        token : int
        state : (H,) array, optional
            s_{t-1}; zeros, the beginning of a sequence, where not given.

        Returns
        -------
        o : (vocab_size,) array
            Probabilities of the next token.
        s : (H,) array
            s_t, to be passed on.
        """
        (token,) = arguments.token_ids([token], "token", self.vocab_size)
        if state is None:
            state = np.zeros(self.hidden_size, self.dtype)
        state = arguments.finite_array(state, "state", (self.hidden_size,), self.dtype)
        return tuple(self._next(token, state))

    def _positive(self, value, name):
        # Theano takes a Python float for a float32 only where floatX is float32.
        return np.asarray(arguments.positive(value, name, self.dtype), self.dtype)

    # ---- compiled functions, each once, when first used

    @cached_property
    def _symbols(self):
        x, y = tensor.lvectors("x", "y")
        net = graph.network(x, y, self.U, self.V, self.W, self._truncation)
        return x, y, net

    @cached_property
    def _forward(self):
        x, _, net = self._symbols
        return compile_function([x], tensor.nnet.softmax(net.logits), name="forward")

    @cached_property
    def _loss(self):
        x, y, net = self._symbols
        return compile_function([x, y], net.loss, name="loss")

    @cached_property
    def _gradients(self):
        x, y, net = self._symbols
        gradients = graph.gradients(net, self.U, self.V, self.W)
        return compile_function([x, y], gradients, name="gradients")

    @cached_property
    def _sgd(self):
        x, y, net = self._symbols
        learning_rate = tensor.scalar("learning_rate", self.dtype)
        updates = graph.sgd_updates(net, x, self.U, self.V, self.W, learning_rate)
        return compile_function([x, y, learning_rate], net.loss, updates, name="sgd")

    @cached_property
    def _clipped_sgd(self):
        x, y, net = self._symbols
        learning_rate = tensor.scalar("learning_rate", self.dtype)
        clip = tensor.scalar("clip", self.dtype)
        norm, updates = graph.clipped_sgd_updates(
            net, x, self.U, self.V, self.W, learning_rate, clip
        )
        inputs = [x, y, learning_rate, clip]
        return compile_function(inputs, [net.loss, norm], updates, name="clipped_sgd")

    @cached_property
    def _next(self):
        token = tensor.lscalar("token")
        state = tensor.vector("state", self.dtype)
        outputs = graph.one_step(token, state, self.U, self.V, self.W)
        return compile_function([token, state], list(outputs), name="next_token")


def _arrays(path: Path) -> dict:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is not a zip file, or a damaged one")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
