"""The kernels of a loop, what is computed for a block of steps at once, what is stored."""

from collections import Counter

import pytest
from loops import loop_of, variable

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.loop.plan import can_raise, plan

s, x, W, U = variable("BH", "s"), variable("TBH", "x"), variable("HH", "W"), variable("HH", "U")
b = variable("H", "b")


def planned(step, first=s, sequences=(x,), fixed=(W, U)):
    first = first if isinstance(first, list) else [first]
    outputs, _ = theano.scan(step, list(sequences), first, list(fixed))
    return plan_of(outputs)


def plan_of(outputs):
    loop = loop_of(outputs)
    return loop, plan(loop)


def kinds(kernels):
    """The Ops of each kernel, as "Dot", or how many operations on elements."""
    names = [[type(node.op).__name__ for node in kernel] for kernel in kernels]
    return [len(kernel) if kernel[0] == "Elemwise" else "+".join(kernel) for kernel in names]


def lstm(x, s, c, W, U):
    H = s.shape[1]
    z = tensor.dot(x, U) + tensor.dot(s, W)
    i, f, o, g = (z[:, k * H : (k + 1) * H] for k in range(4))
    c = tensor.nnet.sigmoid(f) * c + tensor.nnet.sigmoid(i) * tensor.tanh(g)
    return tensor.nnet.sigmoid(o) * tensor.tanh(c), c


def gru(x, s, W, U):
    H = s.shape[1]
    zx, zs = tensor.dot(x, U), tensor.dot(s, W)
    r = tensor.nnet.sigmoid(zx[:, :H] + zs[:, :H])
    u = tensor.nnet.sigmoid(zx[:, H : 2 * H] + zs[:, H : 2 * H])
    return u * s + (1 - u) * tensor.tanh(zx[:, 2 * H :] + r * zs[:, 2 * H :])


def test_operations_on_elements_are_one_kernel_and_leave_only_its_end_in_memory():
    loop, made = planned(lambda x, s, W, U: tensor.tanh(2 * x + tensor.dot(s, W)) * x - s)
    assert kinds(made.step) == ["Dot", 5]
    assert made.block == []
    assert {v.owner for v in made.stored} == {made.step[0][0], loop.graph.outputs[0].owner}


def test_what_two_kernels_need_is_in_memory():
    _, made = planned(lambda x, s, W, U: tensor.dot(tensor.tanh(x - s), W) * abs(x - s))
    assert kinds(made.step) == [3, "Dot", 1]
    stored = [str(node.op) for node in made.step[0] if node.outputs[0] in made.stored]
    assert sorted(stored) == ["Elemwise{abs_,no_inplace}", "Elemwise{vectorized_tanh}"]


def test_matrices_of_two_shapes_are_two_kernels():
    _, made = planned(lambda x, s, W, U: [s * x + s, 2 * U * abs(U)], [s, None])
    assert sorted(kinds(made.step)) == [2, 2]


def test_a_product_that_needs_no_state_is_computed_for_a_block():
    _, made = planned(lambda x, s, W, U: tensor.tanh(tensor.dot(x, U) + tensor.dot(s, W)))
    assert (kinds(made.block), kinds(made.step)) == (["Dot"], ["Dot", 2])


def test_what_such_a_product_needs_is_computed_with_it_and_no_more():
    _, made = planned(lambda x, s, W, U: s + tensor.dot(tensor.tanh(x) * x, U.T) * abs(x))
    assert (kinds(made.block), kinds(made.step)) == ([2, "Dot"], [3])


#: Steps whose products all stay in the steps, and why
IN_THE_STEPS = {
    "of the state": lambda x, s, W, U: tensor.dot(s, W),
    "of what the state is in": lambda x, s, W, U: tensor.dot(x * s, W),
    "of two sequences": lambda x, s, W, U: s + tensor.dot(x, tensor.dot(s.T, x)),
    "of a matrix that is turned": lambda x, s, W, U: s + tensor.dot(x + x.T, W),
    "of what is fixed": lambda x, s, W, U: s + tensor.dot(W, U),
    "of rows that are cut": lambda x, s, W, U: tensor.inc_subtensor(s[:2], tensor.dot(x[:2], W)),
}


@pytest.mark.parametrize("why", IN_THE_STEPS)
def test_products_that_no_block_can_do_stay_in_the_steps(why):
    _, made = planned(IN_THE_STEPS[why])
    assert made.block == []
    assert "Dot" in kinds(made.step)


def test_vectors_and_scalars_of_a_sequence_are_rows_of_a_block():
    a, v = variable("T", "a"), variable("TH", "v")
    _, made = planned(
        lambda a, v, s, W, b: s + tensor.dot(a * b + v, W), b, [a, v], [W, variable("H", "c")]
    )
    assert (kinds(made.block), kinds(made.step)) == ([2, "Dot"], [1])


def gradient_plan(step, states):
    """Of the loop that goes backwards."""
    first = [variable("BH", f"s{k}") for k in range(states)]
    outputs, _ = theano.scan(step, [x], first, [W, U])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return plan_of(theano.grad((outputs[0] ** 2).sum(), [first[0], W, U]))


@pytest.mark.parametrize("step, states", [(lstm, 2), (gru, 1)], ids=["lstm", "gru"])
def test_backwards_the_gates_are_computed_for_a_block_as_their_states_are_known(step, states):
    loop, made = gradient_plan(step, states)
    in_block = Counter(kinds(made.block))
    # z = x U + s W: both products; in the steps the errors' way back to s and x, and into W and U.
    assert in_block["Dot"] == 2
    in_steps = [kernel[0] for kernel in made.step if kinds([kernel]) == ["Dot"]]
    of_states = {variable for state in loop.states for _, variable in state.reads}
    for node in in_steps:
        assert of_states & set(theano.graph.basic.ancestors(node.outputs))
    for kernel in made.block:
        assert not of_states & set(theano.graph.basic.ancestors(kernel[0].outputs))


def test_the_parts_of_a_gradient_are_added_in_one_memory():
    _, made = gradient_plan(lstm, 2)
    # Four slices of zeros: Alloc, and four additions in its memory.
    assert len(made.over) == 4
    (base,) = {made.over[node] for node in made.over} - set(made.over)
    assert type(base.op).__name__ == "Alloc"


def test_an_addition_to_what_is_read_elsewhere_is_in_a_copy():
    def step(x, s, W, U):
        zeros = tensor.alloc(tensor.cast(0, "float64"), s.shape[0], s.shape[1])
        part = tensor.inc_subtensor(zeros[:, :1], s[:, :1])
        both = tensor.inc_subtensor(part[:, 1:2], x[:, 1:2])
        return both + 2 * part

    _, made = planned(step)
    assert len(made.over) == 1


def test_an_addition_to_a_sequence_or_a_state_is_in_a_copy():
    _, made = planned(lambda x, s, W, U: tensor.inc_subtensor(s[:1], x[:1]))
    assert made.over == {}


FAIL = "/* fail */"


def scalar_operations():
    """(Elemwise node, C) of every scalar operation of Theano, of integers and of floats."""
    named = vars(theano.scalar.basic).values()
    for op in {op for op in named if isinstance(op, theano.scalar.ScalarOp) and op.nin > 0}:
        for dtype in ("int64", "float64"):
            inputs = [theano.scalar.get_scalar_type(dtype)() for _ in range(op.nin)]
            try:
                node = theano.tensor.elemwise.Elemwise(op)(
                    *[tensor.vector(dtype=dtype) for _ in inputs], return_list=True
                )[0].owner
                scalar_node = op.make_node(*inputs)
                names = [f"x{k}" for k in range(op.nin)]
                made = [f"z{k}" for k in range(len(scalar_node.outputs))]
                code = op.c_code(scalar_node, "name", names, made, {"fail": FAIL})
            except (theano.graph.utils.MethodNotDefined, NotImplementedError, TypeError):
                continue
            yield node, code


def test_only_divisions_of_integers_can_raise_whatever_theano_knows():
    found = list(scalar_operations())
    assert len(found) > 80
    for node, code in found:
        assert can_raise([node]) == (FAIL in code), node
    assert sum(can_raise([node]) for node, _ in found) == 2  # // and %
