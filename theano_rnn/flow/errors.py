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
        """dE_t/dh_k, of the whole state h_k, (T, T, S): row t, column k; 0 where t < k."""
        return self._backpropagated[0]

    @functools.cached_property
    def _backpropagated(self) -> tuple[Floats, Floats]:
        """The errors, and dE_t/dh_0, (T, S)."""
        T, S = self.T, self.S
        # Three copies: as computed, joined from the parts of the state, and in reverse order.
        what = f"the errors of {T:,} outputs at {T:,} steps of a state of {S:,} numbers"
        check_memory(what, T, 24 * S, 2)
        at_end = np.zeros((T, S))
        at_end[-1, self.top] = self.own[-1]
        own = np.concatenate([np.zeros((1, self.H)), self.own[:-1]])
        # The error of output t, row t-1, starts at h_t, before step t+1; none starts at h_0.
        back = self.functions.backpropagated(
            self.stored, self.x, self.states[:-1], at_end, own, np.arange(T) - 1
        )  # (T, T, S): at h_{T-1}, ..., h_0
        errors = np.empty((T, T, S))
        errors[:, -1] = at_end
        for k in range(T - 1):
            errors[:, k] = back[T - 2 - k]
        return errors, back[-1].copy()  # a view would keep the whole array

    @functools.cached_property
    def norms(self) -> Floats:
        """|dE_t/dh_k|, (T, T)."""
        return lengths_of(self.errors)

    @functools.cached_property
    def total(self) -> Floats:
        """dE/dh_k, the sum over all outputs, (T, S)."""
        total: Floats = self.errors.sum(axis=0)
        return total

    @property
    def first_lag(self) -> int:
        """The smallest lag with an error in the whole state: 1 for lstm (at lag 0 c has none)."""
        return CELLS[self.architecture.cell].parts - 1

    def omega(self) -> float:
        """The regularizer Omega of Pascanu et al. (2013): how much steps change the error's norm.

        The mean over k of ( |dE/dh_k J_k|^2 / |dE/dh_k|^2 - 1 )^2. Steps with |dE/dh_k|^2 below
        ``regularization.BOUND`` do not count; if none counts, Omega is 0.
        """
        # dE/dh_k J_k is the error that h_{k-1} receives, without that of its own output.
        before = np.concatenate([self._backpropagated[1].sum(axis=0)[None], self.total[:-1]])
        before[1:, self.top] -= self.own[:-1]
        norms = lengths_of(self.total)
        counts = norms >= BOUND**0.5
        with np.errstate(over="ignore"):  # inf if the error overflows
            ratios = (lengths_of(before)[counts] / norms[counts]) ** 2
            return float(np.mean((ratios - 1) ** 2)) if len(ratios) else 0.0

    def live_steps(self, least: float = 0.01) -> float:
        """The number of steps that receive the error of an output, the mean over such outputs.

        Parameters
        ----------
        least : float
            A step receives it if at least this share of the error at the output's own step
            arrives.

        Returns
        -------
        float
            From 0 to T.
        """
        least = validation.at_least_zero(least, "least")
        own = np.diag(self.norms)[:, None]
        receives = (self.norms >= least * own) & (reach("full", self.T) > 0)
        counts = receives.sum(axis=1)[own[:, 0] > 0]
        return float(counts.mean()) if len(counts) else 0.0
