"""The errors: how much of each output's loss arrives at each step."""

import functools

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.types import Floats
from theano_rnn.flow.pairs import lengths_of, reach
from theano_rnn.flow.states import States, check_memory
from theano_rnn.model.cells import CELLS
from theano_rnn.optim.regularization import BOUND


class Errors(States):
    """dE_t/dh_k of all outputs t and steps k, and how far they reach."""

    @property
    def errors(self) -> Floats:
        """dE_t/dh_k, (T, T, S): of the whole state h_k, t rows, k columns; 0 where t < k."""
        return self._backpropagated[0]

    @functools.cached_property
    def _backpropagated(self) -> tuple[Floats, Floats]:
        """The errors, and dE_t/dh_0, (T, S)."""
        T, S = self.T, self.S
        # As they come, put together from the parts of the state, and turned round.
        what = f"the errors of {T:,} outputs at {T:,} steps of a state of {S:,} numbers"
        check_memory(what, T, 24 * S, 2)
        at_end = np.zeros((T, S))
        at_end[-1, self.top] = self.own[-1]
        own = np.concatenate([np.zeros((1, self.H)), self.own[:-1]])
        # Before step k stands h_{k-1}: row k-2 begins there, and at the start none.
        back = self.functions.backpropagated(
            self.stored, self.x, self.states[:-1], at_end, own, np.arange(T) - 1
        )  # (T, T, S), at h_{T-1}, ..., h_0
        errors = np.empty((T, T, S))
        errors[:, -1] = at_end
        for k in range(T - 1):
            errors[:, k] = back[T - 2 - k]
        return errors, back[-1].copy()  # a view would keep all of it

    @functools.cached_property
    def norms(self) -> Floats:
        """|dE_t/dh_k|, (T, T)."""
        return lengths_of(self.errors)

    @functools.cached_property
    def total(self) -> Floats:
        """dE/dh_k by all outputs together, (T, S)."""
        total: Floats = self.errors.sum(axis=0)
        return total

    @property
    def first_lag(self) -> int:
        """The lag from which on errors are in all of a state: 1 for lstm, c having none at 0."""
        return CELLS[self.architecture.cell].parts - 1

    def omega(self) -> float:
        """The regularizer Omega of Pascanu et al. (2013): how far the error's norm is from kept.

        The mean over k of ( |dE/dh_k J_k|^2 / |dE/dh_k|^2 - 1 )^2, of the steps whose error is not
        below ``regularization.BOUND``; 0 where there is none.
        """
        # dE/dh_k J_k is what h_{k-1} hears but for the output that it makes itself.
        before = np.concatenate([self._backpropagated[1].sum(axis=0)[None], self.total[:-1]])
        before[1:, self.top] -= self.own[:-1]
        norms = lengths_of(self.total)
        counts = norms >= BOUND**0.5
        with np.errstate(over="ignore"):  # infinity, of an error that explodes beyond all numbers
            ratios = (lengths_of(before)[counts] / norms[counts]) ** 2
            return float(np.mean((ratios - 1) ** 2)) if len(ratios) else 0.0

    def live_steps(self, least: float = 0.01) -> float:
        """At how many steps an output is heard, the mean over outputs.

        Heard is where at least this share of the error at its own step arrives.

        Parameters
        ----------
        least : float

        Returns
        -------
        float
            From 0 to T.
        """
        least = validation.at_least_zero(least, "least")
        own = np.diag(self.norms)[:, None]
        heard = (self.norms >= least * own) & (own > 0) & (reach("full", self.T) > 0)
        return float(heard.sum(axis=1).mean())
