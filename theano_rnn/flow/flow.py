"""``Flow``: the measures of a network on a text, which show themselves."""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Optional, Union

from theano_rnn.common import extras, validation
from theano_rnn.common.types import Array, Ints, PathLike, Tokens
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.of_torch import network_of, of_torch
from theano_rnn.flow.sentence import axis_labels
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Flow(Measures):
    """The gradient flow of a model on one sequence.

    Compiled graphs compute everything in float64, when it is first used.

    Parameters
    ----------
    model : theano_rnn.RNN
        Its dropout is off, and its truncation does not matter: the flow is that of the full
        gradient, and a truncation scheme is a choice among its contributions.
    x : (T,) token ids, or (T, n) real numbers
        Real numbers take the place of the vectors that the first layer reads: n is the size of
        the embedding, or without one that of the vocabulary.
    y : (T,) token ids, optional
        The targets: E_t = -log softmax(V s_t + c)[y_t].
    state : (S,) array, optional
        The state before the first step; zeros by default.
    loss_gradient : (T, H) array, optional
        dE_t/ds_t of any other loss, instead of ``y``; s_t is that of the last layer. All measures
        follow it back. ``losses`` are then those of the linear loss dE_t/ds_t s_t.

    Raises
    ------
    RNNError
        For bad inputs, and if the states overflow. Measures of all pairs of steps raise it if
        their arrays do not fit into the memory.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> flow = Flow(RNN(7, 4, seed=1), [0, 3, 1, 2], [3, 1, 2, 5])
    >>> flow
    Flow(tanh, 1 layer, H = 4, T = 4 steps)
    >>> flow.norms.shape                                  # |dE_t/ds_k|, 0 above the diagonal
    (4, 4)
    >>> float(round(flow.shares("W").sum(), 12))          # all contributions are the gradient
    1.0
    """

    @classmethod
    def from_torch(
        cls,
        source: Union[PathLike, Mapping[str, Array]],
        inputs: Union[Tokens, Array, None] = None,
        targets: Optional[Tokens] = None,
        loss_gradient: Optional[Array] = None,
        *,
        cell: Optional[str] = None,
        names: Union[str, Mapping[str, str], None] = None,
        state: Optional[Array] = None,
    ) -> "Flow":
        """The gradient flow of a PyTorch module: an nn.RNN, nn.GRU or nn.LSTM of any layers.

        Parameters
        ----------
        source : path or dict of arrays
            A safetensors file with the state of a module, or that state. It holds one recurrence,
            under any name, and may hold an embedding before it and a decoder, an nn.Linear, after
            it.
        inputs : (T,) token ids, or (T, n) real numbers, optional
            One sequence: a module has no trace of ``batch_first``. Random ones by default.
        targets : (T,) integers, optional
            The outputs of the decoder that are wanted: E_t is the cross-entropy of its softmax.
        loss_gradient : (T, H) array, optional
            dE_t/ds_t of any other loss, s_t the output of the recurrence. Without ``targets``
            and this each token predicts the next if inputs are tokens and the decoder has as many
            outputs; otherwise each dE_t/ds_t is a random direction of length 1.
        cell : str, optional
            "relu" for an nn.RNN with that nonlinearity, if the file does not say so.
        names : str or dict, optional
            The prefix of the names to read, such as "encoder.rnn", where the file holds other
            things too; or as in ``RNN.from_torch``.
        state : (S,) array, optional
            The state before the first step, for each layer s, and c of an nn.LSTM.

        Returns
        -------
        Flow
            ``gradient()`` has our names; for real inputs "L" (n, T) in it is dE/dx_t.

        Raises
        ------
        RNNError
            For another module, a bidirectional one, or one with proj_size, and for inputs of
            another shape or that are not finite.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> shapes = {"weight_ih_l0": (2, 3), "weight_hh_l0": (2, 2)}
        >>> module = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        >>> Flow.from_torch(module, rng.normal(size=(5, 3)), loss_gradient=np.ones((5, 2)))
        Flow(tanh, 1 layer, H = 2, T = 5 steps)
        """
        network = network_of(source, cell, names)
        found = of_torch(network, inputs, targets, loss_gradient)
        return cls(found.network, found.x, found.y, state, found.loss_gradient)

    def __repr__(self) -> str:
        layers = self.architecture.layers
        return (
            f"Flow({self.architecture.cell}, {layers} layer{'s' * (layers != 1)}, H = {self.H}, "
            f"T = {self.T} step{'s' * (self.T != 1)})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the sizes, and the verdict."""
        return f"<p>{html.escape(repr(self))}</p>{self.verdict()._repr_html_()}"

    def verdict(self) -> Verdict:
        """Whether the gradient vanishes or explodes, why, and what helps."""
        return verdict(self)

    def plot(self, figure: str = "heat", vocabulary: Optional[Vocabulary] = None) -> "Figure":
        """A figure of the report.

        Parameters
        ----------
        figure : str
            "heat", which word reaches which; "lag", the error by lag; "activation", where the
            model is on its curves; "saturation" of states and gates; "contributions" to the
            gradient by lag; or "truncation", how well a truncated gradient does.
        vocabulary : Vocabulary, optional
            Its tokens stand at the axes; by default the token ids.

        Returns
        -------
        matplotlib.figure.Figure
            It shows itself in a notebook, and ``savefig`` writes it.

        Raises
        ------
        RNNError
            For another name, and if Matplotlib is not installed.
        """
        extras.need("report", "flow.plot")
        from theano_rnn.flow.findings import measure
        from theano_rnn.flow.report import png

        draw = png.FIGURES[validation.one_of(figure, "figure", png.FIGURES)]
        words, targets = self.labels(vocabulary)
        return png.drawn(draw(measure(self, words, targets, self.architecture.cell)))

    def labels(self, vocabulary: Optional[Vocabulary] = None) -> tuple[list[str], list[str]]:
        """What an axis shows of the inputs and of the targets of each step.

        Returns
        -------
        inputs, targets : list of str
            Tokens; token ids without a vocabulary; "x1", ... for real inputs, and "E1", ... for a
            loss given by its gradient.
        """
        steps = range(1, self.T + 1)
        inputs = [f"x{t}" for t in steps] if not self.reads_tokens else _tokens(vocabulary, self.x)
        targets = [f"E{t}" for t in steps] if self.y is None else _tokens(vocabulary, self.y)
        return inputs, targets


def _tokens(vocabulary: Optional[Vocabulary], ids: Ints) -> list[str]:
    return list(map(str, ids)) if vocabulary is None else axis_labels(vocabulary, ids)
