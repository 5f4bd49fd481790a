"""Why a gradient vanishes or explodes: saturation, dead units, the spectra of W, the gates."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from theano_rnn.flow.measures import CLOSED, Flow, Saturation
from theano_rnn.model.activations import Activation
from theano_rnn.model.cells import CELLS

#: So large a share of states at their ends, or of a gate's values that are closed, is a reason.
MANY = 0.25


def reasons(flow: Flow, vanishes: bool, explodes: bool) -> list[str]:
    """What was found that explains it.

    Parameters
    ----------
    flow : Flow
    vanishes, explodes : bool
        What there is to explain, if anything.

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
                f"layer {layer}: the gate that keeps, {keeps}, is {gate.mean():.2f} on average, "
                f"the share that is carried a step back; it is closed (below .1) in "
                f"{(gate < CLOSED).mean():.0%} of its values"
            )
        for name, (closed, _) in found["gates"].items():
            if name != keeps and closed > MANY:
                told.append(f"the gate {name} is closed (below .1) in {closed:.0%} of its values")
    if vanishes and not told:
        told.append(
            "no single one: derivatives and matrices allow more, but the products of different "
            "steps' Jacobians do not line up"
        )
    return told


def _of_activation(phi: Activation, found: Saturation) -> Iterator[str]:
    """Of a plain cell: where its units are, and what phi' lets through there."""
    derivative = found["derivative"]
    if phi.ends is None:
        if found["dead"] > 0:
            yield f"dead {phi.symbol}s: {found['dead']:.0%} of the units are 0 at every word"
        if derivative < 0.9:
            yield f"{phi.symbol}'s derivative is 1 at {derivative:.0%} of the states, 0 else"
        return
    if found["saturated"] > MANY:
        yield f"saturation: {found['saturated']:.0%} of the states are at their ends"
    if phi.gamma < 1:
        yield (f"{phi.symbol}' is at most {Fraction(phi.gamma)}: {derivative:.3f} on average here")
    elif derivative < 0.5:
        yield f"{phi.symbol}' is {derivative:.3f} on average, at most {phi.gamma:g}"


def _of_spectra(flow: Flow, gamma: float, vanishes: bool, explodes: bool) -> Iterator[str]:
    for name, found in flow.spectra().items():
        radius, sigma = found["spectral_radius"], found["sigma_max"]
        both = f"the spectral radius of {name} is {radius:.3g}, sigma_max {sigma:.3g}"
        if gamma != 1:
            both += f"; gamma x spectral radius = {gamma:g} x {radius:.3g} = {gamma * radius:.3g}"
        if vanishes and radius * gamma < 1:
            whose = f"{name} by itself" if gamma == 1 else "that, below 1,"
            yield f"{both}: {whose} forgets"
        elif vanishes:
            yield f"{both}: {name} by itself would not forget; the derivatives make it"
        elif explodes and gamma * sigma > 1:
            yield f"{both}: the products can grow, and do"
