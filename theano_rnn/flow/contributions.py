"""The contributions to the gradient, of each output through each step.

The contribution of output t through step k <= t to the gradient of W is

    C[t, k] = dE_t/ds_k ds_k/dW   with s_{k-1} held constant,   dE/dW = sum over t, k of C[t, k].

A truncation scheme leaves some pairs t, k out of the sum (``pairs.reach``).
"""

import functools
from collections.abc import Sequence
from numbers import Real
from typing import Callable, Optional, Union

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Floats, Parameters
from theano_rnn.flow.errors import Errors
from theano_rnn.flow.pairs import cosine, lengths_of, reach

#: The name of a parameter, or the names of several that count as one.
Names = Union[str, Sequence[str]]


class Contributions(Errors):
    """The contributions C[t, k] to each parameter's gradient, and truncated gradients."""

    def gradient(self, weights: Optional[Array] = None) -> Parameters:
        """The sum over t and k of weights[t, k] C[t, k], for every parameter.

        Parameters
        ----------
        weights : (T, T) array, optional
            Ones by default, which is the full gradient; ``reach`` returns those of a truncation
            scheme. The gradients of V and c, which no scheme truncates, are always in full.

        Returns
        -------
        dict
            Names and shapes as ``RNN.bptt`` returns them; V and c are not there for a loss given
            by its gradient. Of real inputs "L" (n, T) is dE/dx_t, a column each.
        """
        weights = np.ones((self.T, self.T)) if weights is None else weights
        weights = validation.finite_array(weights, "weights", (self.T, self.T), "float64")
        f, D = self.functions, np.einsum("tk,tks->ks", weights, self.errors)
        gradients = f.gradients(self.stored, self.x, self.states[:-1], D)
        if self.y is not None:
            parts = f.predicting_gradients(self.stored, self.states[1:], self.y)
            for name, part in parts.items():
                gradients[name] = gradients.get(name, 0) + part
        names = [name for name in self.architecture.shapes if name in gradients]
        return f.stored({name: gradients[name] for name in names})

    @functools.cached_property
    def full(self) -> Parameters:
        """The full gradient: `gradient` with all weights 1."""
        return self.gradient()

    def shares(self, name: Names = "W") -> Floats:
        """The share of a parameter's gradient from output t through step k, (T, T).

        ``<C[t, k], G> / |G|^2`` with the gradient G. The shares add up to 1; that of a
        contribution against G is negative.

        Parameters
        ----------
        name : str, or list of str
            A parameter of the steps: "W", "U", "b", "W2", ... or "L"; or several that count as
            one, such as ``recurrent``.

        Returns
        -------
        (T, T) array

        Raises
        ------
        RNNError
            For any other name.
        """
        f, before = self.functions, self.states[:-1]
        names = chosen(name, f.of_steps, "parameter of the steps")
        # Of the steps alone: a tied table is also V, and that part of it has no step.
        G = f.gradients(self.stored, self.x, before, self.total)
        largest = max(float(abs(G[n]).max()) for n in names)
        if largest == 0:
            return np.zeros((self.T, self.T))
        # Divided by its largest element, whose square could overflow.
        directions = [g / largest if n in names else np.zeros_like(g) for n, g in G.items()]
        square = sum((d**2).sum() for d in directions)
        response = f.responses(self.stored, self.x, before, *directions)  # (T, S)
        shares: Floats = np.einsum("tks,ks->tk", self.errors, response) / largest / square
        return shares

    def truncated(self, scheme: str, name: Names = "W") -> tuple[float, float]:
        """cos(truncated, full) of a parameter's gradient, and |truncated| / |full|.

        Parameters
        ----------
        scheme : str
            "window:4", "chunk:10", "last:4" or "full".
        name : str, or list of str
            A parameter, or several that count as one.

        Returns
        -------
        cosine, ratio : float
            Both are 0 if the truncated gradient is 0.
        """
        cut, full = self.cut_and_full(scheme, name)
        norm = lengths_of(full)
        return cosine(cut, full), float(lengths_of(cut) / norm) if norm > 0 else 0.0

    def cut_and_full(self, scheme: str, name: Names = "W") -> tuple[Floats, Floats]:
        """The truncated and the full gradient that ``truncated`` compares, (n,) each."""
        names = chosen(name, list(self.full), "parameter")
        gradient = self.gradient(reach(scheme, self.T))
        full = np.concatenate([self.full[n].ravel() for n in names])
        cut = np.concatenate([gradient[n].ravel() for n in names])
        return cut, full

    def smallest_K(self, scheme: str, wanted: float, name: Names = "W") -> int:
        """The smallest K such that it and all larger K have a cosine of at least ``wanted``.

        The cosine is that of the truncated with the full gradient. A smaller K can reach it by
        chance: see ``first_K``.

        Parameters
        ----------
        scheme : str
            "window" or "chunk".
        wanted : float
            Above 0 and at most 1.
        name : str, or list of str
            A parameter, or several that count as one.

        Returns
        -------
        int
            From 1 to T; K = T truncates nothing.

        Raises
        ------
        RNNError
            For any other scheme or cosine.
        """
        has = self._has(scheme, wanted, name)
        return next((K + 1 for K in range(self.T - 1, 0, -1) if not has(K)), 1)

    def first_K(self, scheme: str, wanted: float, name: Names = "W") -> int:
        """The smallest K with a cosine of at least ``wanted``; larger K may fall below it again.

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
            For any other scheme or cosine.
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
            raise RNNError(f"cosine must be above 0 and at most 1, not {shown}")
        return lambda K: self.truncated(f"{scheme}:{K}", name)[0] >= wanted


def chosen(name: Names, known: list[str], what: str) -> list[str]:
    """The names as a list; RNNError if one of them is not known."""
    names = [name] if isinstance(name, str) or not isinstance(name, Sequence) else list(name)
    for each in names:
        if not isinstance(each, str) or each not in known:
            raise RNNError(f"{validation.shown(each)} is no {what}; they are {', '.join(known)}")
    return names
