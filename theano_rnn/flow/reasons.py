"""Why a gradient vanishes or explodes: saturation, dead units, the spectra of W, the gates."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from theano_rnn.flow.measures import Measures
from theano_rnn.flow.states import CLOSED, Saturation
from theano_rnn.model.activations import Activation
from theano_rnn.model.cells import CELLS

#: A larger share of saturated states, or of closed values of a gate, is a reason.
MANY = 0.25


def reasons(flow: Measures, vanishes: bool, explodes: bool) -> list[str]:
    """The reasons, in words, why the gradient vanishes or explodes.

    Parameters
    ----------
    flow : Flow
    vanishes, explodes : bool
        What to explain, if anything.

    Returns
    -------
    list of str
    """
    cell, found = CELLS[flow.architecture.cell], flow.saturation()
    told = []
    if not np.isfinite(flow.norms).all():
        told.append("some errors are not finite: they overflow float64")
    if vanishes and cell.is_plain:
        told.extend(_of_activation(cell.activation, found))
    if cell.gamma is not None:
        told.extend(_of_spectra(flow, cell.gamma, vanishes, explodes))
    keeps = cell.carry_gate
    if keeps is not None and vanishes:
        for layer, gate in enumerate(flow.gates[keeps], start=1):
            told.append(
                f"layer {layer}: the carry gate {keeps}, the share that each step back keeps, is "
                f"{gate.mean():.2f} on average; {(gate < CLOSED).mean():.0%} of its values are "
                f"below {CLOSED}"
            )
        for name, (closed, _) in found["gates"].items():
            if name != keeps and closed > MANY:
                few = f"{closed:.0%} of its values are below {CLOSED}"
                told.append(f"the gate {name} is nearly closed: {few}")
    if vanishes and not told:
        told.append(
            "no single cause: the derivatives and W allow more, but the Jacobians of different "
            "steps do not line up"
        )
    return told


def _of_activation(phi: Activation, found: Saturation) -> Iterator[str]:
    """The reasons in the activation of a plain cell: saturated or dead units, a small phi'."""
    derivative = found["derivative"]
    if phi.ends is None:
        if found["dead"] > 0:
            yield f"dead {phi.symbol}s: {found['dead']:.0%} of the units are 0 at every step"
        if derivative < 0.9:
            yield f"the derivative of {phi.symbol} is 1 at {derivative:.0%} of the states, else 0"
        return
    if found["saturated"] > MANY:
        low, high = phi.ends
        share = f"{found['saturated']:.0%} of the states"
        yield f"saturation: {share} are below {low:g} or above {high:g}"
    if phi.gamma < 1 or derivative < 0.5:
        most = Fraction(phi.gamma)
        yield f"{phi.symbol}' is {derivative:.3f} on average, and {most} at most"


def _of_spectra(flow: Measures, gamma: float, vanishes: bool, explodes: bool) -> Iterator[str]:
    for name, found in flow.spectra().items():
        radius, sigma = found["spectral_radius"], found["sigma_max"]
        size = f"its spectral radius is {radius:.3g}"
        if gamma != 1:
            size = f"gamma x spectral radius = {gamma:g} x {radius:.3g} = {gamma * radius:.3g}"
        if vanishes and radius * gamma < 1:
            yield f"{name} shrinks the state: {size}, below 1 (sigma_max {sigma:.3g})"
        elif vanishes:
            alone = f"{name} alone would not shrink the state: {size} (sigma_max {sigma:.3g})"
            yield f"{alone}; the derivatives do"
        elif explodes and gamma * sigma > 1:
            yield f"{name} can make products grow, and does: {size} (sigma_max {sigma:.3g})"
