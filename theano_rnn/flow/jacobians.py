"""The Jacobians of the recurrence: how a change of one state changes later ones."""

from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats, Ints
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.states import States, check_memory
from theano_rnn.model.cells import CELLS

#: sigma_max and spectral radius, by the name of a W.
Spectra = dict[str, dict[str, float]]


class Jacobians(States):
    """dh_t/dh_k, its norms, and the spectra of W that bound them."""

    def jacobian(self, t: int, k: int) -> Floats:
        """dh_t/dh_k, (S, S), for 0 <= k <= t <= T; row i belongs to element i of h_t.

        Parameters
        ----------
        t, k : int
            Steps from 1; 0 is the initial state.

        Returns
        -------
        (S, S) array

        Raises
        ------
        RNNError
            For any other t and k.
        """
        jacobian: Floats = self.jacobians_from(t, k)[-1]
        return jacobian

    def jacobians_from(self, t: int, k: int = 0) -> Floats:
        """dh_t/dh_j for j = t, t-1, ..., k, (t-k+1, S, S).

        Parameters
        ----------
        t, k : int
            As for `jacobian`.

        Returns
        -------
        (t-k+1, S, S) array

        Raises
        ------
        RNNError
            For any other t and k.
        """
        t, k = (validation.whole_number(i, "a step of the Jacobian", at_least=0) for i in (t, k))
        if not 0 <= k <= t <= self.T:
            raise RNNError(f"dh_{t}/dh_{k} needs 0 <= k <= t <= {self.T}, the length of the text")
        what = f"the Jacobians of {t - k:,} steps of a state of {self.S:,} numbers"
        check_memory(what, t - k, 24 * self.S**2, 1)
        unit = np.eye(self.S)
        if k == t:
            return unit[None]
        none = np.full(t - k, -1)
        back = self.functions.backpropagated(
            self.stored, self.x[k:t], self.states[k:t], unit, np.zeros((t - k, self.H)), none
        )
        return np.concatenate([unit[None], back])

    def one_step_norms(self) -> Floats:
        """|J_t|, the largest singular value of dh_t/dh_{t-1}, (T,)."""
        return np.array([_norm(self.jacobian(t, t - 1)) for t in range(1, self.T + 1)])

    def norms_by_lag(self, ends: int = 8) -> Floats:
        """|dh_t/dh_{t-n}| for lags n = 0..T-1, (number of ends, T); NaN before the first state.

        Parameters
        ----------
        ends : int
            The number of steps t, spread from the middle of the text to its end.

        Returns
        -------
        (number of ends, T) array
        """
        at = self._ends(ends)
        norms = np.full((len(at), self.T), np.nan)
        for row, t in zip(norms, at):
            products = self.jacobians_from(t)[: self.T]
            row[: len(products)] = [_norm(J) for J in products]
        return norms

    def _ends(self, count: int) -> Ints:
        """``count`` steps t, spread from the middle of the text to its end."""
        count = validation.whole_number(count, "ends", at_least=1)
        first = min(self.T, max(1, self.T // 2))
        ends: Ints = np.unique(np.linspace(self.T, first, count).round().astype(int))
        return ends

    def singular_values(self) -> Floats:
        """The singular values of every one-step Jacobian, (T, S), the largest first."""
        return np.array(
            [
                np.linalg.svd(self.jacobian(t, t - 1), compute_uv=False)
                for t in range(1, self.T + 1)
            ]
        )

    def identity_path(self, ends: int = 8, of_units: str = "largest") -> Optional[Floats]:
        """The 2-norm of the part of dh_t/dh_{t-n} that the carry gate makes, (layers, T).

        For lstm the part is diag(f_t ... f_{t-n+1}), for gru the same with z, n = 0..T-1; its
        2-norm is its largest element. The mean over the ends of ``norms_by_lag`` is geometric.

        Parameters
        ----------
        ends : int
            As for ``norms_by_lag``.
        of_units : str
            "largest": the norm; "mean": the mean over the units instead.

        Returns
        -------
        (layers, T) array or None
            None for a cell without gates.

        Raises
        ------
        RNNError
            For any other ``of_units``.
        """
        if of_units not in ("largest", "mean"):
            shown = validation.shown(of_units)
            raise RNNError(f"of_units must be 'largest' or 'mean', not {shown}")
        gate = CELLS[self.architecture.cell].carry_gate
        if gate is None:
            return None
        kept, at = self.gates[gate], self._ends(ends)  # (layers, T, H)
        carried = np.full((len(at), self.architecture.layers, self.T), np.nan)
        for row, t in zip(carried, at):
            products = np.cumprod(kept[:, :t][:, ::-1], axis=1)  # of 1, 2, ..., t steps
            row[:, 0] = 1
            of_lags = products.max(axis=2) if of_units == "largest" else products.mean(axis=2)
            row[:, 1 : t + 1] = of_lags[:, : self.T - 1]
        return geometric_mean(carried)

    def spectra(self) -> Spectra:
        """sigma_max and spectral radius of each W, if there are any; with gates, of each block.

        Returns
        -------
        dict of dict
            By "W", "W2", ..., or with gates by "W[z]", "W[r]", "W[h]", ...: "sigma_max" and
            "spectral_radius".
        """
        found = {}
        cell = CELLS[self.architecture.cell]
        gates = [f"[{gate}]" for gate in cell.gates] if cell.G > 1 else [""]
        for name in self.recurrent if cell.has_W else []:
            for gate, block in zip(gates, np.split(self.parameters[name], len(gates))):
                found[name + gate] = {
                    "sigma_max": _norm(block),
                    "spectral_radius": float(abs(np.linalg.eigvals(block)).max()),
                }
        return found

    def bound(self) -> Optional[float]:
        """gamma sigma_max(W), an upper bound of the norm of all one-step Jacobians.

        For a cell without W 1: its Jacobians are diagonal, and what a gate keeps is not above 1.
        None for more than one layer, or another cell that is not plain (tanh, sigmoid, relu are).

        References
        ----------
        Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (2013),
        section 2.1.
        """
        cell = CELLS[self.architecture.cell]
        if self.architecture.layers > 1:
            return None
        if not cell.has_W:
            return 1.0
        return None if cell.gamma is None else cell.gamma * self.spectra()["W"]["sigma_max"]


def _norm(a: Floats) -> float:
    """The largest singular value; inf if the matrix is not finite."""
    return float(np.linalg.norm(a, 2)) if np.isfinite(a).all() else np.inf
