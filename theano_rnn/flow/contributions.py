"""The contributions to the gradient: which output, through which step, and what truncation cuts.

E_t reaches a step k <= t by dE_t/ds_k, and W at that step by

    C[t, k] = dE_t/ds_k ds_k/dW   with s_{k-1} held constant,   dE/dW = sum over t, k of C[t, k].

What a truncation scheme does is leave some of these pairs out (``reach``).
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
from theano_rnn.flow.pairs import cosine, reach

#: A parameter's name, or those of several that are taken as one.
Names = Union[str, Sequence[str]]


class Contributions(Errors):
    """C[t, k] of each parameter, and the gradients that truncation schemes make of them."""

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


def chosen(name: Names, known: list[str], what: str) -> list[str]:
    """The names, each of which has to be known."""
    names = [name] if isinstance(name, str) or not isinstance(name, Sequence) else list(name)
    for each in names:
        if not isinstance(each, str) or each not in known:
            raise RNNError(f"{validation.shown(each)} is no {what}; they are {', '.join(known)}")
    return names
