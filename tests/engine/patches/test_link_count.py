"""Linking while a profiler holds the frame in which the virtual machine is made."""

import sys

import pytest
from conftest import COMPILED
from theano.link import vm
from theano.link.c import cvm

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.patches import link_count


@pytest.mark.skipif(not theano.config.cxx, reason="needs a compiler")
def test_a_look_at_the_stack_while_a_function_is_linked_is_no_error(monkeypatch):
    held = []  # as a profiler's sample holds the variables of the frame

    class Sampled(cvm.CVM):
        def __init__(self, *args, **kwargs):
            held.append(kwargs)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(cvm, "CVM", Sampled)
    x = tensor.dvector("x")
    assert theano.function([x], x + 1, mode=COMPILED)([1.0]) == [2.0]
    monkeypatch.setattr(vm, "sys", sys)
    with pytest.raises(AssertionError):  # the defect; without it the patch can go
        theano.function([x], x + 1, mode=COMPILED)
    link_count.install()
    assert len(held) == 2
