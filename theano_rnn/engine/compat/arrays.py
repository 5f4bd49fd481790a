"""Methods of arrays that are gone, and results of NumPy that have another shape."""

import hashlib
from typing import Any

import numpy as np
from theano import printing
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


def digest_by_bytes() -> None:
    """Have ``hex_digest`` call ``tobytes``.

    printing:1358 calls ``tostring``: deprecated since NumPy 1.19, gone since 2.3.
    """
    printing.hex_digest = hex_digest


def hex_digest(x: np.ndarray[Any, Any]) -> str:
    """A hash of an array's bytes, with its strides and its shape."""
    strides, shape = (",".join(map(str, sizes)) for sizes in (x.strides, x.shape))
    return f"{hashlib.sha256(x.tobytes()).hexdigest()}|strides=[{strides}]|shape=[{shape}]"


SHIMS = (flatten_inverse, digest_by_bytes)
