"""The errors: how much of each output's loss arrives at each step."""

import functools
from typing import Optional

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
    def part_norms(self) -> dict[str, Floats]:
        """The norms of each part of the state apart, (T, T) by its name: s and c of an lstm.

        Empty for a cell whose state is s alone.
        """
        cell, a = CELLS[self.architecture.cell], self.architecture
        if cell.parts == 1:
            return {}
        errors = self.errors.reshape(self.T, self.T, a.layers, cell.parts, self.H)
        return {
            name: lengths_of(errors[:, :, :, part].reshape(self.T, self.T, -1))
            for part, name in enumerate(cell.state)
        }

    @property
    def overflow(self) -> Optional[str]:
        """ "errors" if one of them is not finite, "norms" if only a norm is not; else None."""
        if np.isfinite(self.norms).all():
            return None
        return "norms" if np.isfinite(self.errors).all() else "errors"

    def forget(self) -> None:
        """Free the arrays of all pairs and steps, T^2 S numbers; they are made again if needed."""
        for name in ("_backpropagated", "total", "norms", "part_norms"):
            vars(self).pop(name, None)

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
