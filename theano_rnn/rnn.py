"""RNN, the public face of the model: made from settings or a file, and trained by SGD."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Mask, PathLike, Tokens
from theano_rnn.interop import model_file, npz, torch_state
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import NO_DROPOUT, Architecture
from theano_rnn.model.functions import CompiledModel
from theano_rnn.optim.step import Step

#: The settings that a file of parameters leaves open.
FREE = ("truncation", "seed", "dtype", *NO_DROPOUT)


class RNN(CompiledModel):
    """A recurrent language model as compiled Theano functions.

    s_t = tanh(U x_t + W s_{t-1}),  o_t = softmax(V s_t),  E = -sum_t log o_t[y_t],
    with x_t one-hot and s_0 = 0. Another cell can take the place of tanh. Biases can be added, and
    layers stacked: each reads the s_t of the layer below as its x_t.

    Parameters
    ----------
    vocab_size : int
        Number of token ids.
    hidden_size : int
        H, the number of units in the state of a layer.
    cell : str
        The recurrence, such as "tanh" or "lstm"; ``theano_rnn.model.cells`` lists the names and
        equations.
    layers : int
        How many recurrences are stacked.
    bias : bool
        Whether to add biases: b, b2, ... to the layers and c to the logits. The bias of lstm's
        forget gate starts at 1.
    tied : bool
        Whether V is the transpose of the table, the matrix in which tokens are looked up. If that
        is an L of D rows, D not H, then V is L' P with a projection P (D, H).
    embedding_size : int, optional
        D: tokens are looked up in a table L (D, vocab_size), and U is (G*H, D). Without it the
        table is U.
    dropout : float
        The share of a layer's states that the layer above or the output does not read, in
        training only; the others are scaled up by 1 / (1 - dropout).
    variational, dropout_input, dropout_output, dropout_recurrent, dropout_embedding, weight_drop
        Other kinds of dropout; ``theano_rnn.model.dropout`` says what each hides.
    truncation : str
        Where the gradient is cut: "full", "window:K", "chunk:K", "last:K", or at random "artbp:K"
        or "artbp:K:alpha"; the module ``theano_rnn.model.truncation`` shows each as a loop and a
        picture.
    bptt_truncate : int, optional
        K of "window:K", as the tutorial writes it.
    truncate_gradient : int, optional
        K of "last:K", as Theano writes it; -1 is "full".
    initialization : str
        The distribution of the first parameters; ``theano_rnn.model.initialization`` lists the
        names.
    seed : int
        Seeds the first parameters, and the dropout and cuts that are given no generator.
    dtype : str, optional
        "float32" or "float64"; by default Theano's floatX.

    Attributes
    ----------
    architecture : Architecture
        The settings of the network, and the shapes of all parameters.
    vocab_size, hidden_size : int
        As given.
    dtype : str
        The dtype of the parameters and of every result.
    shared : dict
        The parameters as shared variables, by name. The table is stored transposed,
        (vocab_size, ...).
    random : numpy.random.Generator
        Draws the dropout and the cuts of a step that is given no generator of its own.

    Raises
    ------
    RNNError
        From any method, for bad input; the model is then unchanged.

    Notes
    -----
    Methods take one sequence, x and y of shape (T,), or a batch of B sequences, time first: x and
    y of shape (T, B). If the sequences differ in length, pass ``mask`` (T, B): true at the tokens
    of each sequence, false in the padding after its end, where anything may stand. The sequences
    of a batch do not touch each other: its loss and gradient are the sums of theirs. An update
    step divides the gradient by B.

    Each function is compiled once, when it is first used.

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
        vocab_size: int,
        hidden_size: int = 100,
        *,
        cell: str = "tanh",
        layers: int = 1,
        bias: bool = False,
        tied: bool = False,
        embedding_size: Optional[int] = None,
        dropout: float = 0.0,
        variational: bool = False,
        dropout_input: float = 0.0,
        dropout_output: Optional[float] = None,
        dropout_recurrent: float = 0.0,
        dropout_embedding: float = 0.0,
        weight_drop: float = 0.0,
        truncation: str = "full",
        bptt_truncate: Optional[int] = None,
        truncate_gradient: Optional[int] = None,
        initialization: str = "uniform",
        seed: int = 0,
        dtype: Optional[str] = None,
    ) -> None:
        architecture = Architecture(
            vocab_size, hidden_size, cell, layers, bias, tied, embedding_size, dropout,
            variational, dropout_input, dropout_output, dropout_recurrent, dropout_embedding,
            weight_drop,
        )  # fmt: skip
        architecture.check_memory()
        cut = truncations.parse(truncation, bptt_truncate, truncate_gradient)
        super().__init__(architecture, cut, initialization, seed, dtype)

    @classmethod
    def load(cls, path: PathLike, **settings: Any) -> "RNN":
        """The model that ``save`` wrote to a file.

        Parameters
        ----------
        path : str or Path
        **settings
            Those of RNN that shall be others than the saved model's, or are not in the file:
            truncation, dropout, seed, dtype. By default the dtype is the file's.

        Raises
        ------
        RNNError
            If the file is missing, damaged, or ``save`` did not write it.
        """
        _check_free(settings)
        values, a, truncation = model_file.load(path)
        dtype = torch_state.dtype_of(values)
        saved = {**dataclasses.asdict(a), "truncation": truncation, "dtype": dtype}
        network = {**saved, **settings}
        has_dropout = any(network[name] for name in NO_DROPOUT if name != "variational")
        if not has_dropout and "variational" not in settings:
            network["variational"] = False  # it was of the dropout that is switched off
        model = cls(**network)
        model.set_parameters(values)
        return model

    def save(self, path: PathLike) -> None:
        """Write the model to one file, for ``load``.

        Parameters
        ----------
        path : str or Path
            A safetensors file: the parameters, and in its metadata the architecture and the
            truncation. An existing file is replaced in one go.

        Raises
        ------
        RNNError
            If the file cannot be written.
        """
        scheme = str(self.truncation)
        model_file.save(path, self.parameters(), self.architecture, scheme)

    @classmethod
    def from_npz(cls, path: PathLike, **settings: Any) -> "RNN":
        """A model with the parameters of an .npz file, such as the tutorial's published ones.

        Parameters
        ----------
        path : str or Path
            A file with arrays U (H, vocab_size), V (vocab_size, H) and W (H, H), or those that the
            settings need.
        **settings
            The settings of RNN except the sizes. By default the dtype is the file's.

        Raises
        ------
        RNNError
            If the file is missing, damaged, or holds other arrays.
        """
        for name in settings:
            if name in ("vocab_size", "hidden_size"):
                raise RNNError(f"{name} is that of the file; leave it out")
            if name not in inspect.signature(cls).parameters:
                raise RNNError(f"RNN has no setting {name}; leave it out")
        values = npz.load(path)
        table = "U" if settings.get("embedding_size") is None else "L"
        output = table if settings.get("tied") else "V"
        if output == "L" and "P" in values:
            output = "P"
        for name in (table, output):
            if name not in values or np.ndim(values[name]) != 2 or values[name].size == 0:
                raise RNNError(
                    f"{path} has no matrix {name}, it holds {sorted(values)}; pass a file of the "
                    "arrays of RNN.parameters()"
                )
        H = values[output].shape[0 if output == table else 1]  # of V', or of V or P
        sizes = values[table].shape[1], H
        known = {field.name for field in dataclasses.fields(Architecture)}
        network = {name: value for name, value in settings.items() if name in known}
        try:
            Architecture(*sizes, **network).check_parameters(values)
            model = cls(*sizes, **{"dtype": torch_state.dtype_of(values), **settings})
            model.set_parameters(values)
        except RNNError as error:
            raise RNNError(f"{path}: {error}") from None
        return model

    @classmethod
    def from_torch(
        cls,
        path: PathLike,
        cell: Optional[str] = None,
        names: Optional[Mapping[str, str]] = None,
        **settings: Any,
    ) -> "RNN":
        """A model with the parameters of a PyTorch language model, a safetensors file.

        Parameters
        ----------
        path : str or Path
            The state of a module: an nn.RNN, nn.GRU or nn.LSTM, then a decoder, with or without
            an embedding before; ``theano_rnn.interop.torch_state`` has the names.
        cell : str, optional
            "relu" for an nn.RNN with that nonlinearity, if the file does not say so.
        names : dict, optional
            Names in the file, whole or up to a dot, with those of ``torch_state``, as in
            ``{"0": "embedding", "1": "rnn", "2": "decoder"}``. The usual ones (``lstm``, ``fc``,
            word_language_model's ``encoder``, the prefix ``module.``, ...) are known without it.
        **settings
            Those of RNN that are not in the file: truncation, dropout, seed, dtype. By default
            the dtype is the file's.

        Raises
        ------
        RNNError
            If the file is missing, damaged, or of another module.
        """
        _check_free(settings)
        parameters, a = torch_state.load(path, cell, names)
        settings = {"dtype": torch_state.dtype_of(parameters), **settings}
        read = {name: getattr(a, name) for name in torch_state.READ}
        model = cls(a.vocab_size, a.hidden_size, **read, **settings)
        model.set_parameters(parameters)
        return model

    def to_torch(self, path: PathLike) -> None:
        """Write the parameters for PyTorch; ``interop.torch_module.load`` reads them there.

        Parameters
        ----------
        path : str or Path
            A safetensors file; an existing one is overwritten.

        Raises
        ------
        RNNError
            If PyTorch has no such cell, or the file cannot be written.
        """
        torch_state.save(path, self.parameters(), self.architecture)

    def __setattr__(self, name: str, value: object) -> None:
        # The tutorial's gradient check sets bptt_truncate on a finished model, to no effect.
        is_fixed = name == "dtype" and name in vars(self)
        if is_fixed or name in ("bptt_truncate", "truncate_gradient"):
            raise AttributeError(f"{name} is fixed when the model is made; make another RNN")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        a = self.architecture
        given = [
            f"{field.name}={getattr(a, field.name)!r}"
            for field in dataclasses.fields(a)[2:]
            if getattr(a, field.name) != field.default
        ]
        settings = ", ".join([*given, f"truncation={self.truncation!r}"])
        count = sum(math.prod(shape) for shape in a.shapes.values())
        return f"RNN({a.vocab_size}, {a.hidden_size}, {settings}) with {count:,} parameters"

    def sgd_step(
        self, x: Tokens, y: Tokens, learning_rate: float, mask: Optional[Mask] = None
    ) -> float:
        """Take a step, parameter -= learning_rate * gradient / B; return E before it, in nats.

        It updates V in place, and only those rows of the table whose tokens occur in x;
        where V is tied to the table, all of them.

        Parameters
        ----------
        x, y, mask
            As in ``ce_error``.
        learning_rate : float
        """
        step = self._once("sgd", lambda: Step(self, clip_by=None))
        return step(x, y, learning_rate, mask=mask)[0]

    def clipped_sgd_step(
        self, x: Tokens, y: Tokens, learning_rate: float, clip: float, mask: Optional[Mask] = None
    ) -> tuple[float, float]:
        """Take an SGD step, its gradient rescaled to the norm ``clip`` if it is longer.

        Parameters
        ----------
        x, y, mask
            As in ``ce_error``.
        learning_rate : float
        clip : float
            The largest norm of the gradient, all parameters taken together.

        Returns
        -------
        loss, norm : float
            E before the step, in nats, and the norm before clipping.

        Raises
        ------
        NotFinite
            If one of them is not finite; nothing has changed then.

        References
        ----------
        Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (2013).
        """
        validation.positive(clip, "clip", self.dtype)
        step = self._once("clipped sgd", lambda: Step(self, clip_by="norm"))
        return step(x, y, learning_rate, clip, mask=mask)[:2]


def _check_free(settings: Mapping[str, Any]) -> None:
    """Raise RNNError for a setting that the file determines, or that is none."""
    for name in settings:
        if name not in FREE:
            raise RNNError(
                f"{name} cannot be given beside a file; these can: {', '.join(sorted(FREE))}"
            )
