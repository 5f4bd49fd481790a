"""Where the gradient goes: errors, contributions, Jacobians, exponents of a network on a text.

Indices: outputs t and steps k are counted from 1 to T as in the equations; row t-1 and column k-1
of an array are theirs. E_t reaches a step k <= t by dE_t/ds_k, and W at that step by

    C[t, k] = dE_t/ds_k ds_k/dW   with s_{k-1} held constant,   dE/dW = sum over t, k of C[t, k].

What a truncation scheme does is leave some of these pairs out (``reach``).
"""

import functools
from collections.abc import Sequence
from numbers import Real
from typing import Any, Callable, Optional, Union

import numpy as np

from theano_rnn.common import memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Ints, Parameters, Tokens
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.graphs import functions_of
from theano_rnn.flow.pairs import cosine, lengths_of, reach
from theano_rnn.model.architecture import named
from theano_rnn.model.cells import CELLS
from theano_rnn.optim.regularization import BOUND
from theano_rnn.rnn import RNN

#: A gate counts as closed below the first, as open above the second.
CLOSED, OPEN = 0.1, 0.9

#: By the name of a W: its sigma_max and spectral radius.
Spectra = dict[str, dict[str, float]]
#: As `Flow.saturation` returns it.
Saturation = dict[str, Any]
#: A parameter's name, or those of several that are taken as one.
Names = Union[str, Sequence[str]]


class Flow:
    """The gradient flow of a model on one sequence.

    Everything is computed in float64 by compiled graphs when first asked for, and kept.

    Parameters
    ----------
    model : theano_rnn.RNN
        Its dropout is off, its truncation does not matter: the flow is that of the full gradient,
        and each scheme is a choice among its contributions.
    x, y : (T,) token ids
    state : (S,) array, optional
        Before the first step; zeros where not given.

    Raises
    ------
    RNNError
        For bad tokens; and by what needs an array for each pair of steps, if that would not fit
        into memory: the message has the size.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> flow = Flow(RNN(7, 4, seed=1), [0, 3, 1, 2], [3, 1, 2, 5])
    >>> flow.norms.shape                                  # |dE_t/ds_k|, 0 above the diagonal
    (4, 4)
    >>> float(round(flow.shares("W").sum(), 12))          # all contributions are the gradient
    1.0
    """

    def __init__(self, model: RNN, x: Tokens, y: Tokens, state: Optional[Array] = None) -> None:
        self.architecture = model.architecture
        self.x, self.y = validation.token_pair(x, y, model.vocab_size)
        self.T, self.H = len(self.x), model.hidden_size
        self.S = self.architecture.state_size
        parameters = model.parameters()
        self.parameters = {n: np.asarray(p, "float64") for n, p in parameters.items()}
        self.functions = functions_of(model.architecture)
        self.stored = self.functions.stored(self.parameters)
        start = np.zeros(self.S) if state is None else state
        start = validation.finite_array(start, "state", (self.S,), "float64")
        self.states = self.functions.states(self.stored, self.x, start)  # (T+1, S)
        with np.errstate(all="ignore"):
            self.losses, self.own = self.functions.own_errors(self.stored, self.states[1:], self.y)
        if not np.isfinite(self.losses).all() or not np.isfinite(self.states).all():
            raise RNNError(
                "the states of this network overflow on this text, so there is no gradient to "
                "follow; look at a shorter text, or at an earlier checkpoint"
            )
        cell = CELLS[self.architecture.cell]
        top = self.S - cell.parts * self.H
        #: Columns of a state that predict.
        self.top = slice(top, top + self.H)

    # ---- errors

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

    # ---- contributions to the gradient

    def gradient(self, weights: Optional[Array] = None) -> Parameters:
        """The sum over t and k of weights[t, k] C[t, k], for every parameter.

        Parameters
        ----------
        weights : (T, T) array, optional
            Ones, the full gradient, where not given; ``reach`` has those of a scheme. What V and
            c do is counted in full.

        Returns
        -------
        dict
            By the names and in the shapes that ``bptt`` returns.
        """
        weights = np.ones((self.T, self.T)) if weights is None else weights
        weights = validation.finite_array(weights, "weights", (self.T, self.T), "float64")
        f, D = self.functions, np.einsum("tk,tks->ks", weights, self.errors)
        gradients = f.gradients(self.stored, self.x, self.states[:-1], D)
        for name, part in f.predicting_gradients(self.stored, self.states[1:], self.y).items():
            gradients[name] = gradients.get(name, 0) + part
        return f.stored({name: gradients[name] for name in self.architecture.shapes})

    @functools.cached_property
    def full(self) -> Parameters:
        """The full gradient, as `gradient` has it."""
        return self.gradient()

    @property
    def first_lag(self) -> int:
        """The lag from which on errors are in all of a state: 1 for lstm, c having none at 0."""
        return CELLS[self.architecture.cell].parts - 1

    @property
    def recurrent(self) -> list[str]:
        """The names of all W: "W", of more layers "W2", ... too."""
        return [named("W", layer) for layer in range(self.architecture.layers)]

    def shares(self, name: Names = "W") -> Floats:
        """How much of a parameter's gradient comes from output t through step k, (T, T).

        C[t, k] along the gradient G, ``<C[t, k], G> / |G|^2``: they add up to 1, and one that
        points against the whole is negative.

        Parameters
        ----------
        name : str, or list of str
            Of a parameter of the steps: "W", "U", "b", "W2", ... or "L"; or of several, taken as
            one, as in ``recurrent``.

        Returns
        -------
        (T, T) array

        Raises
        ------
        RNNError
            For another name.
        """
        f, before = self.functions, self.states[:-1]
        names = chosen(name, f.of_steps, "parameter of the steps")
        # Of the steps alone: the table's part as V has no step.
        G = f.gradients(self.stored, self.x, before, self.total)
        square = sum((G[n] ** 2).sum() for n in names)
        if square == 0:
            return np.zeros((self.T, self.T))
        directions = [g if n in names else np.zeros_like(g) for n, g in G.items()]
        response = f.responses(self.stored, self.x, before, *directions)  # (T, S)
        shares: Floats = np.einsum("tks,ks->tk", self.errors, response) / square
        return shares

    def truncated(self, scheme: str, name: Names = "W") -> tuple[float, float]:
        """cos(truncated, full) of a parameter's gradient, and |truncated| / |full|.

        Parameters
        ----------
        scheme : str
            "window:4", "chunk:10", "last:4" or "full".
        name : str, or list of str
            Of a parameter, or of several, taken as one.

        Returns
        -------
        cosine, ratio : float
            Both 0 where the truncated gradient is 0.
        """
        names = chosen(name, list(self.full), "parameter")
        gradient = self.gradient(reach(scheme, self.T))
        full = np.concatenate([self.full[n].ravel() for n in names])
        cut = np.concatenate([gradient[n].ravel() for n in names])
        norm = np.linalg.norm(full)
        return cosine(cut, full), float(np.linalg.norm(cut) / norm) if norm > 0 else 0.0

    def smallest_K(self, scheme: str, wanted: float, name: Names = "W") -> int:
        """The smallest K from which on every cosine with the full gradient is at least ``wanted``.

        A smaller K may have it too, by chance: see ``first_K``.

        Parameters
        ----------
        scheme : str
            "window" or "chunk".
        wanted : float
            Above 0 and at most 1.
        name : str, or list of str
            Of a parameter, or of several.

        Returns
        -------
        int
            From 1 to T: with K = T the cut is none.

        Raises
        ------
        RNNError
            For another scheme or cosine.
        """
        has = self._has(scheme, wanted, name)
        return next((K + 1 for K in range(self.T - 1, 0, -1) if not has(K)), 1)

    def first_K(self, scheme: str, wanted: float, name: Names = "W") -> int:
        """The smallest K whose cosine is at least ``wanted``; larger ones may fall below it again.

        Parameters
        ----------
        scheme, wanted, name
            As for ``smallest_K``.

        Returns
        -------
        int
            From 1 to T.

        Raises
        ------
        RNNError
            For another scheme or cosine.
        """
        has = self._has(scheme, wanted, name)
        return next((K for K in range(1, self.T) if has(K)), self.T)

    def _has(self, scheme: str, wanted: float, name: Names) -> Callable[[int], bool]:
        """K -> whether the cosine of scheme:K is at least ``wanted``."""
        if not isinstance(scheme, str) or scheme not in ("window", "chunk"):
            raise RNNError(
                f"scheme {validation.shown(scheme)} has no K to choose; use 'window' or 'chunk'"
            )
        if not isinstance(wanted, Real) or not 0 < wanted <= 1:
            shown = validation.shown(wanted)
            raise RNNError(f"the wanted cosine must be above 0 and at most 1, not {shown}")
        return lambda K: self.truncated(f"{scheme}:{K}", name)[0] >= wanted

    # ---- Jacobians

    def jacobian(self, t: int, k: int) -> Floats:
        """dh_t/dh_k, (S, S), for 0 <= k <= t <= T; row i is that of element i of h_t.

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
            For other steps.
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
            For other steps.
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
            How many t, spread from the middle of the text to its end.

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
        """So many steps t, spread from the middle of the text to its end."""
        count = validation.whole_number(count, "ends", at_least=1)
        first = min(self.T, max(1, self.T // 2))
        ends: Ints = np.unique(np.linspace(first, self.T, count).round().astype(int))
        return ends

    def singular_values(self) -> Floats:
        """Of every one-step Jacobian, (T, S), the largest first."""
        return np.array(
            [
                np.linalg.svd(self.jacobian(t, t - 1), compute_uv=False)
                for t in range(1, self.T + 1)
            ]
        )

    def identity_path(self, ends: int = 8, of_units: str = "largest") -> Optional[Floats]:
        """The part of dh_t/dh_{t-n} that the gate that keeps carries, (layers, T).

        diag(prod f_t ... f_{t-n+1}) for lstm, of z for gru, n = 0..T-1: its 2-norm, which is its
        largest element, as the geometric mean over the ends of ``norms_by_lag``.

        Parameters
        ----------
        ends : int
            As for ``norms_by_lag``.
        of_units : str
            "largest", the norm; or "mean", of what a unit keeps on average.

        Returns
        -------
        (layers, T) array or None
            None for a cell without gates.

        Raises
        ------
        RNNError
            For another ``of_units``.
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

    # ---- the matrices, and the bound

    def spectra(self) -> Spectra:
        """sigma_max and spectral radius of each W, by name; of a gated cell, of each gate's.

        Returns
        -------
        dict of dict
            By "W", "W2", ...; of a gated cell by "W[z]", "W[r]", "W[h]", ...: each a dict of
            "sigma_max" and "spectral_radius".
        """
        found = {}
        cell = CELLS[self.architecture.cell]
        gates = [f"[{gate}]" for gate in cell.gates] if cell.G > 1 else [""]
        for name in self.recurrent:
            for gate, block in zip(gates, np.split(self.parameters[name], len(gates))):
                found[name + gate] = {
                    "sigma_max": _norm(block),
                    "spectral_radius": float(abs(np.linalg.eigvals(block)).max()),
                }
        return found

    def bound(self) -> Optional[float]:
        """gamma sigma_max(W), what no one-step Jacobian's norm exceeds; None where there is none.

        It is known for one layer of a plain cell: tanh, sigmoid, relu.

        Returns
        -------
        float or None

        References
        ----------
        Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (2013),
        section 2.1.
        """
        gamma = CELLS[self.architecture.cell].gamma
        if gamma is None or self.architecture.layers > 1:
            return None
        return gamma * self.spectra()["W"]["sigma_max"]

    # ---- saturation

    @functools.cached_property
    def gates(self) -> dict[str, Floats]:
        """The gates by name, each (layers, T, H); none for a cell without."""
        gates: dict[str, Floats] = self.functions.gates(self.stored, self.x, self.states[:-1])
        return gates

    def hidden(self) -> Floats:
        """s_t of each layer, (layers, T, H)."""
        parts = CELLS[self.architecture.cell].parts
        h = self.states[1:].reshape(self.T, self.architecture.layers, parts, self.H)
        s: Floats = h[:, :, 0].transpose(1, 0, 2)
        return s

    def saturation(self) -> Saturation:
        """How much of the network is where its derivatives vanish.

        Returns
        -------
        dict
            saturated: share of s beyond the ends of the activation (|s| > .9 for tanh); dead:
            share of units that are 0 at every step, where the activation has no ends (relu);
            derivative: mean phi'(z) of a plain cell; gates: {name: [share below .1, share above
            .9]}. None where a measure does not apply.
        """
        cell, s = CELLS[self.architecture.cell], self.hidden()
        ends = cell.activation.ends
        return {
            "saturated": float(((s < ends[0]) | (s > ends[1])).mean()) if ends else None,
            "derivative": float(cell.activation.slope(s).mean()) if cell.is_plain else None,
            "dead": None if ends else float((s == 0).all(axis=1).mean()),
            "gates": {
                name: [float((gate < CLOSED).mean()), float((gate > OPEN).mean())]
                for name, gate in self.gates.items()
            },
        }

    def lyapunov(self, count: Optional[int] = None, transient: int = 0) -> Floats:
        """Lyapunov exponents, the largest first, in nats a step, (count,).

        By QR (Benettin et al. 1980): Q R = J_t Q, and the mean of log |R_ii| over the text. For
        figures that do not depend on where the text begins it has to be long. -inf where a
        direction is lost altogether.

        Parameters
        ----------
        count : int, optional
            How many; all S where not given.
        transient : int
            So many steps at the beginning turn the directions and are not counted.

        Returns
        -------
        (count,) array

        Raises
        ------
        RNNError
            For a count that is not from 1 to S, or a transient that leaves no step.

        References
        ----------
        G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Lyapunov characteristic exponents
        for smooth dynamical systems (1980).
        """
        count = validation.whole_number(self.S if count is None else count, "count", at_least=1)
        if count > self.S:
            raise RNNError(f"count is {count}, and the state has {self.S} numbers")
        transient = validation.whole_number(transient, "transient", at_least=0)
        if transient >= self.T:
            raise RNNError(f"transient is {transient}, and the text has {self.T} steps")
        # Any directions, but none along a unit: one that is off would count as all being lost.
        Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(self.S, count)))
        sums = np.zeros(count)
        for t in range(1, self.T + 1):
            Q, R = np.linalg.qr(self.jacobian(t, t - 1) @ Q)
            with np.errstate(divide="ignore"):
                sums += np.log(abs(np.diag(R))) if t > transient else 0
        return np.sort(sums / (self.T - transient))[::-1]


def chosen(name: Names, known: list[str], what: str) -> list[str]:
    """The names, each of which has to be known."""
    names = [name] if isinstance(name, str) or not isinstance(name, Sequence) else list(name)
    for each in names:
        if not isinstance(each, str) or each not in known:
            raise RNNError(f"{validation.shown(each)} is no {what}; they are {', '.join(known)}")
    return names


def check_memory(what: str, steps: int, unit: int, power: int) -> None:
    """Refuse unit * steps^power bytes where they are more than half of the memory there is."""
    needed, there = unit * steps**power, memory.total()
    if needed > there // 2:
        longest = int((there / 2 / unit) ** (1 / power))
        raise RNNError(
            f"{what} need {needed / 1e9:,.1f} GB, and this process may have {there / 1e9:,.1f}; "
            f"a text of at most {longest:,} tokens can be taken"
        )


def _norm(a: Floats) -> float:
    """The largest singular value."""
    return float(np.linalg.norm(a, 2))
