"""A Scan lowered to one loop in C++: a small compiler.

``analysis``  what a Scan computes, or why it is beyond the loop
``plan``      in which kernels, and what of it is kept in memory
``emission``  the C++, with ``loop.h``, which all loops call
``op``        the Op that runs it, and the rewrites that put it in a Scan's place
``explain``   which loops of a function were lowered, and why the others were not
"""

from theano_rnn.engine.loop.explain import explain
from theano_rnn.engine.loop.op import NativeLoop

__all__ = ["NativeLoop", "explain"]
