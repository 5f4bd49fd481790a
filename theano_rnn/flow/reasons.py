"""Why a gradient vanishes or explodes: saturation, dead units, the spectra of W, the gates."""

from collections.abc import Iterator

import numpy as np

from theano_rnn.flow.measures import CLOSED, GAMMA, Flow
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
    a, found = flow.architecture, flow.saturation()
    told = []
    if not np.isfinite(flow.norms).all():
        told.append("some errors are not finite: they overflow float64")
    if vanishes and a.cell in ("tanh", "sigmoid"):
        if found["saturated"] > MANY:
            told.append(f"saturation: {found['saturated']:.0%} of the states are at their ends")
        if a.cell == "sigmoid":
            told.append(f"sigma' is at most 1/4: {found['derivative']:.3f} on average here")
        elif found["derivative"] < 0.5:
            told.append(f"tanh' is {found['derivative']:.3f} on average, at most 1")
    if a.cell == "relu" and vanishes:
        if found["dead"] > 0:
            told.append(f"dead ReLUs: {found['dead']:.0%} of the units are 0 at every word")
        if found["derivative"] < 0.9:
            told.append(
                f"ReLU's derivative is 1 at {found['derivative']:.0%} of the states, 0 else"
            )
    if a.cell in GAMMA:
        told.extend(_of_spectra(flow, vanishes, explodes))
    keeps = CELLS[a.cell].carry_gate
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


def _of_spectra(flow: Flow, vanishes: bool, explodes: bool) -> Iterator[str]:
    gamma = GAMMA[flow.architecture.cell]
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
