"""The measures of a network on several texts, pooled: what a verdict on them needs."""

import functools
from collections.abc import Iterable
from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.contributions import Names
from theano_rnn.flow.decay import geometric_mean
from theano_rnn.flow.jacobians import Spectra
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.pairs import cosine, lengths_of
from theano_rnn.flow.states import Saturation, saturation_of
from theano_rnn.model.cells import CELLS


class Pool:
    """The flows of a model on several texts; see ``Sample``."""

    def __init__(self, flows: Iterable[Measures]) -> None:
        self.flows: list[Measures] = []
        self.norms: list[Floats] = []
        self.overflow: Optional[str] = None
        parts: list[dict[str, Floats]] = []
        for flow in flows:
            self.norms.append(flow.norms)
            parts.append(flow.part_norms)
            self.overflow = self.overflow or flow.overflow
            flow.forget()
            self.flows.append(flow)
        self.architecture = self.flows[0].architecture
        self.is_module = self.flows[0].is_module
        self.part_norms = {name: [of[name] for of in parts] for name in parts[0]}
        self.recurrent = self.flows[0].recurrent
        self.first_lag = self.flows[0].first_lag

    @functools.cached_property
    def gates(self) -> dict[str, Floats]:
        """The gates by name over all texts, (layers, steps of all, H)."""
        gates = [flow.gates for flow in self.flows]
        return {name: np.concatenate([of[name] for of in gates], axis=1) for name in gates[0]}

    def saturation(self) -> Saturation:
        """As ``Flow.saturation``, over the steps of all texts."""
        s = np.concatenate([flow.hidden() for flow in self.flows], axis=1)
        return saturation_of(CELLS[self.architecture.cell], s, self.gates)

    def identity_path(self, ends: int = 8, of_units: str = "largest") -> Optional[Floats]:
        """As ``Flow.identity_path``, the mean over the texts that reach a lag, (layers, T)."""
        paths = [flow.identity_path(ends, of_units) for flow in self.flows]
        T = max(flow.T for flow in self.flows)
        rows = [
            np.pad(path, ((0, 0), (0, T - path.shape[1])), constant_values=np.nan)
            for path in paths
            if path is not None
        ]
        return geometric_mean(np.stack(rows)) if rows else None

    def spectra(self) -> Spectra:
        """As ``Flow.spectra``."""
        return self.flows[0].spectra()

    def bound(self) -> Optional[float]:
        """As ``Flow.bound``."""
        return self.flows[0].bound()

    def truncated(self, scheme: str, name: Names = "W") -> tuple[float, float]:
        """As ``Flow.truncated``, of the sum of the gradients of all texts."""
        sums: Any = [0.0, 0.0]
        for flow in self.flows:
            for i, gradient in enumerate(flow.cut_and_full(scheme, name)):
                sums[i] = sums[i] + gradient
            flow.forget()
        cut, full = sums
        norm = lengths_of(full)
        return cosine(cut, full), float(lengths_of(cut) / norm) if norm > 0 else 0.0
