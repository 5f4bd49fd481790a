"""A shape that is looked for in itself: compiling never ends.

``ShapeFeature.update_shape(r, other_r)`` of theano-pymc 1.1.2 is called where r takes the place of
other_r, and takes over what is known of the shape of other_r, unless that depends on what is known
of the shape of r: that would be a cycle. It overlooks an expression that asks for the shape of r
by the Op ``Shape``, as in ``p[:, :s.shape[1]]``, which is not replaced by what is known yet. Later
it is, and sorting the graph goes round the cycle for ever.
"""

from theano.graph.basic import Variable as GraphVariable
from theano.graph.basic import ancestors
from theano.tensor.opt import Shape, ShapeFeature

from theano_rnn.common.types import Variable

shipped = ShapeFeature.update_shape


def install() -> None:
    """Keep what is known of a shape where the other expression asks for that shape."""
    ShapeFeature.update_shape = update_shape


def update_shape(self: ShapeFeature, r: Variable, other_r: Variable) -> None:
    """The shipped method, without the lengths of other_r that ask for the shape of r."""
    own, given = self.shape_of.get(r), self.shape_of[other_r]
    if own is None or given is None:
        shipped(self, r, other_r)
        return
    self.shape_of[other_r] = tuple(o if _asks(g, r) else g for o, g in zip(own, given))
    try:
        shipped(self, r, other_r)
    finally:
        self.shape_of[other_r] = given


def _asks(length: Variable, r: Variable) -> bool:
    """Whether a length is computed from the Op Shape of r."""
    if not isinstance(length, GraphVariable) or length.owner is None:
        return False
    found = (a.owner for a in ancestors([length]) if a.owner is not None)
    return any(isinstance(node.op, Shape) and node.inputs[0] is r for node in found)
