"""gcc vectorises loops over many arrays."""

import shlex
import subprocess

import numpy as np
import pytest
from theano.link.c.basic import CLinker

from theano_rnn.engine import theano
from theano_rnn.engine.compiler.processor import HOT_LOOPS
from theano_rnn.optim.optimizers import Optimizer


def assembly(without):
    """The assembly of adam's update of a vector, compiled without these flags."""
    p = theano.shared(np.ones(3, "float32"), "p")
    g, rate = theano.tensor.fvector("g"), theano.tensor.fscalar("rate")
    updates = Optimizer("adam", [p]).updates([g], rate)
    f = theano.function([g, rate], [], updates=updates, mode="FAST_RUN")
    (node,) = (n for n in f.maker.fgraph.apply_nodes if "sqrt" in str(n.op))
    graph = theano.graph.fg.FunctionGraph(node.inputs, node.outputs, clone=True)
    linker = CLinker().accept(graph)
    flags = [flag for flag in linker.compile_args() if flag not in without]
    folders = [f"-I{folder}" for folder in linker.header_dirs()]
    command = [
        *shlex.split(theano.config.cxx),
        *flags,
        *folders,
        "-x",
        "c++",
        "-S",
        "-o",
        "-",
        "-",
    ]
    command += [f"-I{folder}" for folder in theano.link.c.cmodule.std_include_dirs()]
    done = subprocess.run(command, input=linker.get_src_code(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.in_c
def test_adams_update_is_vectorised_by_the_flag():
    if theano.link.c.cmodule.gcc_llvm():
        pytest.skip("the compiler is clang")
    assert "sqrtps" in assembly(without=[])
    assert "sqrtps" not in assembly(without=[HOT_LOOPS])
