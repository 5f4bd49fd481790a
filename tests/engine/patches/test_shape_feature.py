"""What is known of a shape does not ask for that shape."""

import pytest

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.patches import shape_feature


def lengths_after(update, r, other_r):
    """What is known of the shape of r, once it takes the place of other_r."""
    graph = theano.graph.fg.FunctionGraph(
        [v for v in theano.graph.basic.graph_inputs([r, other_r])
         if not isinstance(v, theano.graph.basic.Constant)],
        [r + other_r], clone=False, features=[shape_feature.ShapeFeature()],
    )  # fmt: skip
    feature = graph.shape_feature
    update(feature, r, other_r)
    return feature.shape_of[r]


def asks(length, r):
    nodes = [a.owner for a in theano.graph.basic.ancestors([length]) if a.owner is not None]
    return any(isinstance(n.op, shape_feature.Shape) and n.inputs[0] is r for n in nodes)


@pytest.mark.parametrize("is_mended", [False, True])
def test_a_part_as_long_as_another_variable_says_nothing_of_its_length(is_mended):
    s, p = tensor.fmatrix("s"), tensor.fmatrix("p")
    update = shape_feature.update_shape if is_mended else shape_feature.shipped
    lengths = lengths_after(update, s, p[: s.shape[0], : s.shape[1]])
    assert [asks(length, s) for length in lengths] == [not is_mended] * 2


def test_what_else_is_known_of_a_shape_is_taken_over():
    s, p = tensor.fmatrix("s"), tensor.fmatrix("p")
    _, columns = lengths_after(shape_feature.update_shape, s, p[: s.shape[0], :3])
    assert p in theano.graph.basic.ancestors([columns])
