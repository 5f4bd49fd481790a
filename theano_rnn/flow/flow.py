"""``Flow``: the measures of a network on a text, which show themselves."""

import html
from typing import TYPE_CHECKING, Optional

from theano_rnn.common import extras, validation
from theano_rnn.flow.measures import Measures
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
    x, y : (T,) token ids
    state : (S,) array, optional
        The state before the first step; zeros by default.

    Raises
    ------
    RNNError
        For bad tokens, and if the states overflow. Measures of all pairs of steps raise it if
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
        """Whether the gradient vanishes or explodes, why, and what helps.

        Returns
        -------
        Verdict
        """
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
        if vocabulary is None:
            words, targets = [list(map(str, ids)) for ids in (self.x, self.y)]
        else:
            words, targets = [axis_labels(vocabulary, ids) for ids in (self.x, self.y)]
        return png.drawn(draw(measure(self, words, targets, self.architecture.cell)))
