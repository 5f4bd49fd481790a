"""Long work in C++ lets other threads of Python run meanwhile."""

import sys
import threading

import numpy as np
import pytest

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.loop.op import NativeLoop
from theano_rnn.engine.ops.rows import SumOfSquares
from theano_rnn.engine.ops.skinny_gemm import SkinnyDot22, SkinnyGemm
from theano_rnn.engine.ops.softmax import SoftmaxCrossEntropy

x, y = (theano.shared(np.zeros((2, 2), theano.config.floatX), name) for name in "xy")
targets = theano.shared(np.zeros(800, "int64"), "targets")
z = theano.shared(np.zeros((800, 800), theano.config.floatX), "z")


def scanned():
    states, _ = theano.scan(lambda x_t, s: tensor.tanh(x_t + tensor.dot(s, y)), x, y[0])
    return states[-1]


WORK = {
    NativeLoop: lambda: scanned(),
    SkinnyDot22: lambda: tensor.dot(x, y),
    SkinnyGemm: lambda: [(z, z - 0.5 * tensor.dot(x, y))],
    SumOfSquares: lambda: tensor.sqr(x).sum() + y.sum(),
    SoftmaxCrossEntropy: lambda: tensor.nnet.categorical_crossentropy(
        tensor.nnet.softmax(x + y), targets
    ),
}


#: Arrays so large that the work takes milliseconds: a busy system starts a thread that late.
SHAPES = {SumOfSquares: (20000, 800), SoftmaxCrossEntropy: (800, 8000)}


@pytest.mark.parametrize("op", WORK)
def test_another_thread_runs_during_long_work(op):
    work = thunk(op)
    events = []

    def other(go):
        go.wait()
        events.append("other")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # from now on a thread runs until it waits or gives Python's lock
    try:
        for _ in range(100):  # the system may start the other thread too late
            events.clear()
            go = threading.Event()
            thread = threading.Thread(target=other, args=(go,))
            thread.start()
            go.set()
            work()
            events.append("this")
            thread.join()
            if events == ["other", "this"]:
                return
    finally:
        sys.setswitchinterval(interval)
    raise AssertionError("no other thread ran")


def thunk(op):
    """The C++ of this Op alone, on large arrays: NumPy's copies before it let threads run too."""
    made = WORK[op]()
    updates, outputs = (made, []) if isinstance(made, list) else ([], made)
    for variable in (x, y):
        variable.set_value(np.full(SHAPES.get(op, (800, 800)), 1e-3, theano.config.floatX))
    f = compile_function([], outputs, updates)
    f()  # fills the buffers
    (node,) = (i for i, node in enumerate(f.fn.nodes) if isinstance(node.op, op))
    return f.fn.thunks[node]
