"""Results of NumPy that have another shape."""

from typing import Any

from theano.graph.basic import Apply
from theano.tensor.extra_ops import Unique

shipped_unique = Unique.perform


def flatten_inverse() -> None:
    """Have ``Unique`` return the places as a vector.

    tensor/extra_ops:1239: since NumPy 2.0, ``numpy.unique`` gives them the shape of the array, or,
    in 2.0 alone, one of as many dimensions.
    """
    Unique.perform = perform_unique


def perform_unique(self: Unique, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
    """The shipped method, with the places as a vector."""
    shipped_unique(self, node, inputs, outputs)
    if self.return_inverse:
        place = outputs[1 + bool(self.return_index)]
        place[0] = place[0].reshape(-1)


SHIMS = (flatten_inverse,)
