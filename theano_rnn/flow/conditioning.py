"""How many directions of a state survive a long product of Jacobians, and how unequally."""

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.jacobians import Jacobians


class Conditioning(Jacobians):
    """The condition number and the effective rank of dh_t/dh_{t-n} by lag n."""

    def conditioning(self, ends: int = 8) -> tuple[Floats, Floats]:
        """Condition numbers and effective ranks for lags n = 0..T-1, two (ends, T) arrays.

        A product of many Jacobians can have a long norm and still forget: it may keep one
        direction of the state and lose the others. Then the largest singular value is far above
        the smallest, and few of them count. With the singular values sigma_i of dh_t/dh_{t-n}
        and their shares p_i = sigma_i / sum sigma::

            condition number = sigma_max / sigma_min
            effective rank = exp(-sum_i p_i log p_i)

        Parameters
        ----------
        ends : int
            The number of steps t, as for ``norms_by_lag``.

        Returns
        -------
        condition : (number of ends, T) array
            1 or more; inf where sigma_min is 0, and where a product overflows. Rounding hides
            what is above 1e16 or so.
        rank : (number of ends, T) array
            From 1, where one direction is left, to S; 0 where none is left. NaN where a product
            overflows and, like ``condition``, before the first state.

        References
        ----------
        O. Roy, M. Vetterli, The effective rank: a measure of effective dimensionality (2007).
        """
        at = self._ends(ends)
        condition, rank = np.full((2, len(at), self.T), np.nan)
        for row, t in enumerate(at):
            products = self.jacobians_from(t)[: self.T]
            for n, product in enumerate(products):
                if not np.isfinite(product).all():  # it overflows
                    condition[row, n] = np.inf
                    continue
                values = np.linalg.svd(product, compute_uv=False)
                condition[row, n] = values[0] / values[-1] if values[-1] > 0 else np.inf
                rank[row, n] = effective_rank(values)
        return condition, rank


def effective_rank(values: Floats) -> float:
    """The exponential of the entropy of singular values, 0 if all are 0.

    >>> import numpy as np
    >>> effective_rank(np.array([3.0, 3.0])), effective_rank(np.array([3.0, 0.0]))
    (2.0, 1.0)
    """
    if not values.any():
        return 0.0
    p = values / values.max()  # their sum may leave the range of float64
    p = p[p > 0] / p.sum()
    return float(np.exp(-(p * np.log(p)).sum()))
