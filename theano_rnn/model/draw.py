"""Draw the next token from the probabilities that a model gives: temperature, top-k, top-p."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Bools, Floats


@dataclass(frozen=True)
class Draw:
    """A way to draw a token: likely ones more often, or only.

    Parameters
    ----------
    temperature : float
        The probabilities are raised to the power 1/temperature: below 1 safer, above 1 wilder. 0
        is greedy: the most likely token, always.
    top_k : int, optional
        Draw only from the k most likely tokens.
    top_p : float, optional
        Draw only from the most likely tokens that together have this probability, after the
        temperature; above 0, at most 1.

    Raises
    ------
    RNNError
        For a bad value.

    References
    ----------
    A. Holtzman et al., The curious case of neural text degeneration (2020): top-p.

    Examples
    --------
    >>> p = np.array([0.1, 0.6, 0.3])
    >>> random = np.random.default_rng(0)
    >>> Draw(temperature=0)(p, random), Draw(top_k=1)(p, random), Draw(top_p=0.5)(p, random)
    (1, 1, 1)
    """

    temperature: float = 1.0
    top_k: Optional[int] = None
    top_p: Optional[float] = None

    def __post_init__(self) -> None:
        validation.at_least_zero(self.temperature, "temperature")
        if self.top_k is not None:
            validation.whole_number(self.top_k, "top_k", at_least=1)
        if self.top_p is not None and not 0 < validation.at_least_zero(self.top_p, "top_p") <= 1:
            raise RNNError(f"top_p must be above 0 and at most 1, not {self.top_p}")

    def __call__(
        self, probabilities: Floats, random: np.random.Generator, never: Iterable[int] = ()
    ) -> int:
        """A token id.

        Parameters
        ----------
        probabilities : (vocab_size,) array
        random : numpy.random.Generator
        never : collection of int
            Tokens with probability 0.
        """
        with np.errstate(divide="ignore", over="ignore"):
            logits = np.log(np.asarray(probabilities, np.float64))
            logits[list(never)] = -np.inf
            if np.isneginf(logits).all():  # all others are 0 in float32
                logits = np.zeros(len(logits))
                logits[list(never)] = -np.inf
            if self.temperature == 0:
                return int(np.argmax(logits))
            # The largest is 0 at any temperature.
            logits = (logits - logits.max()) / self.temperature
        if self.top_k is not None or self.top_p is not None:
            logits[self._unlikely(logits)] = -np.inf
        # The largest of logit + Gumbel noise is a draw from the softmax.
        return int(np.argmax(logits + random.gumbel(size=logits.shape)))

    def _unlikely(self, logits: Floats) -> Bools:
        """Where the tokens are that top_k and top_p leave out."""
        likely = np.argsort(-logits, kind="stable")[: self.top_k]
        if self.top_p is not None:
            p = np.exp(logits[likely])
            # A token stays if those before it do not have the share yet; the first one stays.
            likely = likely[np.cumsum(p) - p < self.top_p * p.sum()]
        unlikely = np.ones(len(logits), bool)
        unlikely[likely] = False
        return unlikely
