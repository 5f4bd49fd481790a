"""The roofline: what it counts, and that the machine is measured."""

import numpy as np
import pytest

from theano_rnn.benchmark.roofline import Machine, work


def product(m, n, k):
    """The operations of a product of matrices (m, k) and (k, n)."""
    return 2 * m * n * k


@pytest.mark.parametrize("cell, G", [("tanh", 1), ("gru", 3), ("lstm", 4)])
def test_the_products_of_a_step_are_counted(cell, G):
    T, B, H, vocab_size = 3, 2, 5, 7
    N = T * B
    recurrence = T * (product(B, G * H, H) + product(B, H, G * H)) + product(G * H, H, N)
    outputs = product(N, vocab_size, H) + product(N, H, vocab_size) + product(vocab_size, H, N)
    operations, (of_W, of_V) = work(cell, vocab_size, H, T, B)
    assert operations == recurrence + outputs
    W, V = np.zeros((G * H, H), "float32").nbytes, np.zeros((vocab_size, H), "float32").nbytes
    assert (of_W.size, of_W.bytes) == (W, 2 * T * W + 2 * W)
    assert (of_V.size, of_V.bytes) == (V, 3 * V)


@pytest.mark.in_c
def test_this_machine_multiplies_and_reads():
    """At least a thousand million operations and bytes a second, as since the year 2000."""
    machine = Machine(1)
    assert machine.operations > 1e9 and machine.bandwidth(1 << 14) > 1e9
    operations, bytes_ = machine.milliseconds("tanh", vocab_size=64, hidden_size=100, T=200)
    assert operations == pytest.approx(1000 * 6 * 200 * 16400 / machine.operations)
    assert 0 < bytes_ < 100
