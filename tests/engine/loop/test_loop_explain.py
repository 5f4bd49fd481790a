"""Which loops were lowered, and why the others were not."""

import pytest
from theano.compile.mode import get_default_mode
from theano.scan.utils import until

from theano_rnn import RNN
from theano_rnn.commands.doctor import main
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.loop import explain
from theano_rnn.optim.step import Step


def test_both_loops_of_a_step_are_lowered():
    loops = explain(Step(RNN(5, 3)).function())
    assert [(loop.name, loop.is_lowered) for loop in loops] == [
        ("recurrence", True),
        ("grad_of_recurrence", True),
    ]
    assert loops[0].words == "1 products and 1 fused loops a step"


@pytest.mark.parametrize(
    ("cell", "layers", "products"), [("gru", 1, [2]), ("gru_after", 1, [1]), ("lstm", 2, [1, 1])]
)
def test_the_inputs_are_projected_outside_of_the_loops_of_gates(cell, layers, products):
    """In a step stand the products with W alone: for gru one of z and r, and one of h."""
    loops = explain(Step(RNN(5, 3, cell=cell, layers=layers)).function())
    forward = [loop.words for loop in loops if loop.name == "recurrence"]
    assert [words.split(" products")[0] for words in forward] == [str(n) for n in products]


def test_a_loop_that_ends_on_a_condition_stays_a_scan_and_says_so():
    def doubled(x_t):
        return 2 * x_t, until(x_t > 3)

    x = tensor.dvector("x")
    y, _ = theano.scan(doubled, x, name="doubling")
    (loop,) = explain(compile_function([x], y))
    assert not loop.is_lowered and loop.name == "doubling"
    assert loop.words == "it ends on a condition (until)"


def test_a_loop_that_was_left_out_says_so():
    x = tensor.dvector("x")
    start = tensor.constant(0.0, dtype="float64")
    s, _ = theano.scan(lambda x_t, s: tensor.tanh(x_t + s), x, start, strict=True)
    (loop,) = explain(theano.function([x], s, mode=get_default_mode().excluding("native_loop")))
    assert not loop.is_lowered and loop.words == "the rewrite native_loop was left out"


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_the_command_prints_each_loop(capsys, cell):
    assert main(["explain", "--cell", cell, "--truncation", "window:2", "--mask"]) == 0
    out = capsys.readouterr().out
    assert out.count("yes") == 3 and "grad_of_recurrence" in out
    if cell == "lstm":
        assert "for a block of steps at once" in out


def test_the_command_refuses_another_cell_in_one_line(capsys):
    assert main(["explain", "--cell", "perceptron"]) == 2
    err = capsys.readouterr().err
    assert "'perceptron' is unknown" in err and len(err.splitlines()) == 1
