"""``Sample``: the gradient flow of a model over several texts, which shows itself."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, PathLike, Tokens
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.of_torch import OfTorch, network_of, several_of_torch
from theano_rnn.flow.pool import Pool
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.rnn import RNN

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

    def __init__(self, model: RNN, sequences: Sequence[Tokens]) -> None:
        if isinstance(sequences, np.ndarray):
            is_list = sequences.ndim > 1
        else:
            is_list = isinstance(sequences, Sequence) and not isinstance(sequences, (str, bytes))
        if not is_list or not len(sequences):
            raise RNNError(
                "a sample needs at least one sequence of token ids; give a list of arrays, such "
                "as the validation text of a corpus"
            )
        super().__init__(_measures(model, sequences))

    @classmethod
    def from_torch(
        cls,
        source: Union[PathLike, Mapping[str, Array]],
        inputs: Union[Sequence[Tokens], Sequence[Array], Array],
        targets: Optional[Sequence[Tokens]] = None,
        loss_gradient: Union[Sequence[Array], Array, None] = None,
        *,
        cell: Optional[str] = None,
        names: Union[str, Mapping[str, str], None] = None,
    ) -> "Sample":
        """The gradient flow of a PyTorch module over several sequences.

        Parameters
        ----------
        source, cell, names
            As for ``Flow.from_torch``.
        inputs : list of (T,) token ids or of (T, n) real numbers
            Or an array with one more axis, the first: a batch as with ``batch_first``.
        targets : list of (T,) integers, optional
        loss_gradient : list of (T, H) arrays, optional
            One for each sequence, as for ``Flow.from_torch``.

        Raises
        ------
        RNNError
            As ``Flow.from_torch``, and for other numbers of sequences.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> shapes = {"weight_ih_l0": (2, 3), "weight_hh_l0": (2, 2)}
        >>> module = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        >>> X, E = rng.normal(size=(4, 5, 3)), np.ones((4, 5, 2))
        >>> Sample.from_torch(module, X, loss_gradient=E)
        Sample(tanh, 1 layer, H = 2, 4 texts of 5 steps)
        """
        several = several_of_torch(network_of(source, cell, names), inputs, targets, loss_gradient)
        return cls.of(several)

    @classmethod
    def of(cls, several: Iterable[OfTorch]) -> "Sample":
        """The sample of sequences that were read."""
        self = cls.__new__(cls)
        Pool.__init__(
            self,
            (Measures(each.network, each.x, each.y, None, each.loss_gradient) for each in several),
        )
        return self

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
        """
        return verdict(self, settings)


def _measures(model: RNN, sequences: Sequence[Tokens]) -> Iterator[Measures]:
    """The flow of each text."""
    for number, ids in enumerate(sequences, 1):
        name = f"sequence {number} of the sample"
        ids = validation.token_ids(ids, name, model.vocab_size)
        if len(ids) < 2:
            shown = validation.shown(ids.tolist())
            raise RNNError(f"{name} is {shown}, and needs two token ids at least")
        yield Measures(model, ids[:-1], ids[1:])
