"""Constants folded by the Ops' Python: no C++ module is compiled to compute one number.

``constant_folding`` (tensor/opt:6986 of theano-pymc 1.1.2) runs an Op on constants while a graph
is rewritten. It asks the Op whether to do so in Python. Elemwise says so for scalars alone, and
other Ops do not, so that a start with an empty cache waited for the compiler several times, before
the other modules could be compiled in the background.
"""

from theano.graph.basic import Apply
from theano.graph.op import COp, Op, _NoPythonCOp
from theano.tensor.elemwise import Elemwise

#: Of more numbers than these C++ is quicker, compiling counted.
LARGEST = 1_000_000


def install() -> None:
    """Have all Ops with Python fold small constants in Python."""
    for op in (COp, Elemwise):
        op.python_constant_folding = in_python


def in_python(self: Op, node: Apply) -> bool:
    """Whether constants are folded by ``perform``."""
    has_python = type(self).perform not in (Op.perform, _NoPythonCOp.perform)
    return has_python and sum(getattr(i.data, "size", 1) for i in node.inputs) <= LARGEST
