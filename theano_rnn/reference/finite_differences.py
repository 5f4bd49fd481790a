"""Gradients from function values alone: the judge of every hand-derived formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite

import numpy as np

from theano_rnn.reference.checks import checked_positive
from theano_rnn.reference.types import Array, Parameters

#: From a dict of arrays to a number.
Function = Callable[[Parameters], float]


def finite_differences(
    function: Function, parameters: Mapping[str, Array], epsilon: float = 1e-5
) -> Parameters:
    """The gradient of a function by central differences, element by element.

    df/dp_i = ( f(p + epsilon e_i) - f(p - epsilon e_i) ) / (2 epsilon)

    Parameters
    ----------
    function : callable
        Takes a dict of float64 arrays, the parameters, and returns a float. Each call gets
        fresh copies.
    parameters : dict of arrays
        Of any names and shapes; not changed. They are copied to float64, because in float32 the
        function's rounding is larger than the difference.
    epsilon : float
        Half the distance between the two points.

    Returns
    -------
    dict of arrays
        With the names, order and shapes of `parameters`.

    Raises
    ------
    ValueError
        If epsilon is not positive, a parameter has an element that is not a finite float, or the
        function returns NaN or infinity.

    Notes
    -----
    It evaluates the function twice for each element; for large arrays use
    `directional_difference`.

    Examples
    --------
    >>> import numpy as np
    >>> square = lambda p: float((p["a"] ** 2).sum())
    >>> finite_differences(square, {"a": np.array([1.0, -3.0])})["a"].round(6)
    array([ 2., -6.])
    """
    epsilon = checked_positive("epsilon", epsilon)
    parameters = _float64_copies("parameters", parameters)
    gradients = {}
    for name, value in parameters.items():
        gradient = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            plus, minus = _copies(parameters), _copies(parameters)
            plus[name][index] += epsilon
            minus[name][index] -= epsilon
            where = f"{name}{list(index)}"
            gradient[index] = (
                _evaluate(function, plus, f"{where} + epsilon")
                - _evaluate(function, minus, f"{where} - epsilon")
            ) / (2 * epsilon)
        gradients[name] = gradient
    return gradients


def directional_difference(
    function: Function,
    parameters: Mapping[str, Array],
    direction: Mapping[str, Array],
    epsilon: float = 1e-5,
) -> float:
    """The derivative of a function along one direction, by a central difference.

    df/dp . d = ( f(p + epsilon d) - f(p - epsilon d) ) / (2 epsilon)

    Two evaluations check a whole gradient: along a random direction, the result must be the inner
    product of the gradient and the direction.

    Parameters
    ----------
    function, parameters, epsilon
        As in `finite_differences`.
    direction : dict of arrays
        With the names and shapes of `parameters`.

    Raises
    ------
    ValueError
        As in `finite_differences`, or if the direction does not match the parameters.
    """
    epsilon = checked_positive("epsilon", epsilon)
    parameters = _float64_copies("parameters", parameters)
    direction = _float64_copies("direction", direction)
    if {n: d.shape for n, d in direction.items()} != {n: p.shape for n, p in parameters.items()}:
        raise ValueError("direction and parameters differ in names or shapes: pass the same ones")
    plus = {name: value + epsilon * direction[name] for name, value in parameters.items()}
    minus = {name: value - epsilon * direction[name] for name, value in parameters.items()}
    return (
        _evaluate(function, plus, "parameters + epsilon * direction")
        - _evaluate(function, minus, "parameters - epsilon * direction")
    ) / (2 * epsilon)


def _copies(arrays: Mapping[str, Array]) -> Parameters:
    return {name: value.copy() for name, value in arrays.items()}


def _float64_copies(what: str, arrays: Mapping[str, Array]) -> Parameters:
    if not isinstance(arrays, Mapping):
        raise ValueError(f"{what} is a {type(arrays).__name__}: pass a dict of arrays")
    copies = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{what}[{name!r}]: pass an array of finite floats")
        copies[name] = np.array(array, dtype=np.float64)
    return copies


def _evaluate(function: Function, parameters: Parameters, where: str) -> float:
    value = float(function(parameters))
    if not isfinite(value):
        raise ValueError(f"the function is {value} at {where}: pass one that is finite there")
    return value
