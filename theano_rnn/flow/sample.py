"""``Sample``: the gradient flow of a model over several texts, which shows itself."""

import html
from typing import TYPE_CHECKING, Optional

from theano_rnn.flow.pool import Pool
from theano_rnn.flow.verdict import Verdict, verdict

if TYPE_CHECKING:
    from theano_rnn.training.settings import Settings


class Sample(Pool):
    """The gradient flow of a model over several texts.

    A verdict on one text says nothing of the next one; that on a sample says how much they differ.

    Parameters
    ----------
    model : theano_rnn.RNN
    sequences : list of (T + 1,) arrays of token ids
        Of each, all but the last are read, and all but the first predicted. The state is 0 before
        each.

    Attributes
    ----------
    norms : list of (T, T) arrays
        |dE_t/dh_k| of each text.

    Raises
    ------
    RNNError
        For bad tokens, if there is no sequence, and if the states overflow.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> model = RNN(7, 4, seed=1)
    >>> sample = Sample(model, [[0, 3, 1, 2, 5], [0, 2, 2, 6], [0, 1, 4, 4, 3, 5]])
    >>> sample
    Sample(tanh, 1 layer, H = 4, 3 texts of 3 to 5 steps)
    >>> sample.verdict().kind
    'proved to vanish'
    """

    def __repr__(self) -> str:
        a, steps = self.architecture, [flow.T for flow in self.flows]
        texts = f"{len(steps)} text{'s' * (len(steps) != 1)} of "
        texts += f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)} to {max(steps)}"
        return (
            f"Sample({a.cell}, {a.layers} layer{'s' * (a.layers != 1)}, H = {a.hidden_size}, "
            f"{texts} step{'s' * (max(steps) != 1)})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the sizes, and the verdict."""
        return f"<p>{html.escape(repr(self))}</p>{self.verdict()._repr_html_()}"

    def verdict(self, settings: Optional["Settings"] = None) -> Verdict:
        """Whether the gradient vanishes or explodes on these texts, why, and what helps.

        Parameters
        ----------
        settings : Settings, optional
            Of the run: what they already do is not advised.

        Returns
        -------
        Verdict
        """
        return verdict(self, settings)
