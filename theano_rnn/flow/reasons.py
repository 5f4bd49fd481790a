"""Why a gradient vanishes or explodes: saturation, dead units, the spectra of W, the gates.

A reason is told only where it explains a part of what was seen: its own factor a step must make up
at least a quarter of the logarithm of the rate, and the path through a gate half of it.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Optional, Union

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.measures import Measures
from theano_rnn.flow.pool import Pool
from theano_rnn.flow.states import CLOSED, Saturation
from theano_rnn.model.activations import Activation
from theano_rnn.model.cells import CELLS, Cell

#: What a verdict is on: one text, or several.
Measured = Union[Measures, Pool]
#: A larger share of saturated states, or of closed values of a gate, is a reason.
MANY = 0.25
#: The part of log rate that a reason explains, and that the most open path through a gate does.
EXPLAINS, GATE_EXPLAINS = 0.25, 0.5
#: What overflows.
OVERFLOWS = {
    "errors": "some errors are not finite: they overflow float64",
    "norms": "each error is finite, but the norm of some overflows float64",
}


def reasons(
    flow: Measured, vanishes: bool, explodes: bool, rate: Optional[float] = None
) -> list[str]:
    """The reasons, in words, why the gradient vanishes or explodes.

    Parameters
    ----------
    flow : Flow or Sample
    vanishes, explodes : bool
        What to explain, if anything.
    rate : float, optional
        What each step leaves. Without it, as where nothing is left, every reason counts.
    """
    cell, found = CELLS[flow.architecture.cell], flow.saturation()
    told = []
    log = math.log(rate) if rate else 0.0
    if flow.overflow is not None:
        told.append(OVERFLOWS[flow.overflow])
    if vanishes and cell.is_plain:
        told.extend(_of_activation(cell.activation, found, log))
    if cell.gamma is not None:
        told.extend(_of_spectra(flow, cell.gamma, found["derivative"], vanishes, explodes, log))
    if vanishes and cell.carry_gate is not None:
        told.extend(_of_gates(flow, cell, cell.carry_gate, found, log))
    if vanishes and not told:
        told.append("no single cause: neither the derivatives nor W or a gate alone explain it")
    return told


def explains(factor: float, log: float, part: float = EXPLAINS) -> bool:
    """Whether a factor a step makes up this part of the log of the rate.

    >>> explains(0.7, math.log(0.5)), explains(0.97, math.log(0.5)), explains(2, math.log(0.5))
    (True, False, False)
    """
    if factor <= 0:
        return True
    return math.log(factor) < 0 and math.log(factor) <= part * log


def _of_activation(phi: Activation, found: Saturation, log: float) -> Iterator[str]:
    """The reasons in the activation of a plain cell: saturated or dead units, a small phi'."""
    derivative = found["derivative"]
    if not explains(derivative, log):
        return
    if phi.ends is None:
        if found["dead"] > 0:
            yield f"dead {phi.symbol}s: {found['dead']:.0%} of the units are 0 at every step"
        yield f"the derivative of {phi.symbol} is 1 at {derivative:.0%} of the states, else 0"
        return
    if found["saturated"] > MANY:
        low, high = phi.ends
        share = f"{found['saturated']:.0%} of the states"
        yield f"saturation: {share} are below {low:g} or above {high:g}"
    most = Fraction(phi.gamma)
    yield f"{phi.symbol}' is {derivative:.3f} on average, and {most} at most"


def _of_spectra(
    flow: Measured, gamma: float, derivative: float, vanishes: bool, explodes: bool, log: float
) -> Iterator[str]:
    for name, found in flow.spectra().items():
        radius, sigma = found["spectral_radius"], found["sigma_max"]
        size = f"its spectral radius is {radius:.3g}"
        if gamma != 1:
            size = f"gamma x spectral radius = {gamma:g} x {radius:.3g} = {gamma * radius:.3g}"
        if vanishes and explains(gamma * radius, log):
            yield f"{name} shrinks the state: {size}, below 1 (sigma_max {sigma:.3g})"
        elif vanishes and gamma * radius >= 1 and explains(derivative, log):
            alone = f"{name} alone would not shrink the state: {size} (sigma_max {sigma:.3g})"
            yield f"{alone}; the derivatives do"
        elif explodes and gamma * radius > 1:
            yield f"{name} makes the products grow: {size}, above 1 (sigma_max {sigma:.3g})"
        elif explodes and gamma * sigma > 1:
            yield (
                f"{name} stretches some directions, though {size}: sigma_max is {sigma:.3g}, and "
                "the steps line up"
            )


def _of_gates(
    flow: Measured, cell: Cell, carry: str, found: Saturation, log: float
) -> Iterator[str]:
    """The carry gate, where even its most open path loses half of what is lost.

    Without W there is no other path, and the gate is the reason whatever it loses.
    """
    part, what = GATE_EXPLAINS, "the share that each step back keeps"
    if not cell.has_W:
        part, what = 0.0, "the only factor of a step back in this layer"
    paths = flow.identity_path()
    assert paths is not None
    for layer, (gate, path) in enumerate(zip(flow.gates[carry], paths), start=1):
        factor, lags = _a_step(path)
        if explains(factor, log, part):
            over = f"{lags} lag{'s' * (lags != 1)}"
            yield (
                f"layer {layer}: the carry gate {carry}, {what}, is "
                f"{gate.mean():.2f} on average; its most open path keeps {factor:.2f} a step over "
                f"{over}; {(gate < CLOSED).mean():.0%} of its values are below {CLOSED}"
            )
    for name, (closed, _) in found["gates"].items():
        if name != carry and closed > MANY:
            few = f"{closed:.0%} of its values are below {CLOSED}"
            yield f"the gate {name} is nearly closed: {few}"


def _a_step(path: Floats) -> tuple[float, int]:
    """What a path by lag keeps a step, and over how many lags it does: at most 8."""
    known = np.flatnonzero(np.isfinite(path[:9]))
    lags = int(known[-1]) if len(known) else 0
    return (float(path[lags] ** (1 / lags)), lags) if lags else (1.0, 0)
