"""Lyapunov exponents: how fast a small change of the state grows or shrinks along a text."""

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Floats
from theano_rnn.flow.jacobians import Jacobians

#: The starts of ``Exponents.exponent``, and the least steps of a text that has an exponent.
STARTS, LONG = 8, 100


@dataclass(frozen=True)
class Exponent:
    """The largest Lyapunov exponent of a text, and the product of its Jacobians.

    Attributes
    ----------
    steps : int
        Of the text.
    product : float
        log |J_T ... J_1| / T, nats a step; -inf of a product that is 0.
    mean, spread : float or None
        The mean over several starts, and their standard deviation, nats a step; None of a text
        shorter than ``LONG``, and where a start is lost, as in a unit of relu that is off.
    """

    steps: int
    product: float
    mean: Optional[float]
    spread: Optional[float]

    @property
    def decimals(self) -> int:
        """The digits after the point that the spread leaves to the mean: none to three."""
        if not self.spread:
            return 3
        return min(3, max(0, -math.floor(math.log10(self.spread))))


class Exponents(Jacobians):
    """Lyapunov exponents."""

    def lyapunov(self, count: Optional[int] = None, transient: int = 0) -> Floats:
        """Lyapunov exponents, the largest first, in nats a step, (count,).

        By QR (Benettin et al. 1980): Q R = J_t Q, and the mean of log |R_ii| over the text. Only
        a long text has exponents that do not depend on where it begins. The exponent of a
        direction that a step maps to 0 is -inf.

        Parameters
        ----------
        count : int, optional
            The number of exponents; all S by default.
        transient : int
            The first steps, which turn the directions and do not count.

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
        # Random directions: one along a unit that is off would be lost at the first step.
        Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(self.S, count)))
        sums = np.zeros(count)
        for t in range(1, self.T + 1):
            Q, R = np.linalg.qr(self.jacobian(t, t - 1) @ Q)
            with np.errstate(divide="ignore"):
                sums += np.log(abs(np.diag(R))) if t > transient else 0
        return np.sort(sums / (self.T - transient))[::-1]

    def exponent(self) -> Exponent:
        """The largest exponent from several starts, and the norm of the product of all Jacobians.

        A start is a random direction and a step in the first half of the text; it is followed
        over half of the text, whose first half turns the direction and does not count.
        """
        length = self.T // 2
        starts = np.linspace(0, self.T - length, STARTS).astype(int)
        Q = np.random.default_rng(0).normal(size=(self.S, STARTS))
        sums, product, log_product = np.zeros(STARTS), np.eye(self.S), 0.0
        for t in range(self.T):
            J = self.jacobian(t + 1, t)
            product = J @ product
            largest = abs(product).max()
            if largest == 0:
                return Exponent(self.T, -math.inf, None, None)
            product, log_product = product / largest, log_product + math.log(largest)
            is_on = (starts <= t) & (t < starts + length)
            Q[:, is_on] = J @ Q[:, is_on]
            norms = np.linalg.norm(Q, axis=0)
            with np.errstate(divide="ignore"):
                counts = is_on & (t >= starts + length // 2)
                sums += np.where(counts, np.log(norms), 0)
            Q /= np.where(norms > 0, norms, 1)
        log_product += math.log(np.linalg.norm(product, 2))
        mean = spread = None
        if self.T >= LONG and np.isfinite(sums).all():
            each = sums / (length - length // 2)
            mean, spread = float(each.mean()), float(each.std(ddof=1))
        return Exponent(self.T, log_product / self.T, mean, spread)
