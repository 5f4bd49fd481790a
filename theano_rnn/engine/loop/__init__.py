"""A Scan as one loop in C++: a small compiler.

``analysis``  reads what a Scan computes, by ``rules`` for each Op, or says why the loop does not
              support it; ``ir`` has the result
``plan``      fuses its nodes into kernels, and decides what is stored in memory
``emission``  writes the C++: ``kernels`` the work of a step, ``places`` where variables are,
              ``text`` lines and names; ``loop.h`` has what all loops call
``op``        the Op that runs it, and the rewrites that put it in the Scan's place
``reuse``     products that the gradient's loop need not make again
``explain``   which loops of a function run so, and why the others do not
"""

from theano_rnn.engine.loop.explain import explain
from theano_rnn.engine.loop.op import NativeLoop

__all__ = ["NativeLoop", "explain"]
