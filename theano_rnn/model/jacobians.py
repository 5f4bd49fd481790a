"""Products of a vector and the Jacobian of a state; expressions with others in their place."""

from theano_rnn.common.types import Variable, Variables
from theano_rnn.model.later import tensor, theano


def vjp(after: Variables, D: Variables, wrt: Variables) -> Variables:
    """Vector-Jacobian products: the sum of D d(after)/d(wrt) over the parts of a state.

    Parameters
    ----------
    after, D : lists of expressions
        The parts, and what each is multiplied by, held constant.
    wrt : list of expressions

    Returns
    -------
    list of expressions, one for each of ``wrt``
    """
    # Its gradient is meant, not its value. (known_grads would leave out paths from part to part.)
    along = sum((a * d).sum() for a, d in zip(after, D))
    gradients: Variables = theano.grad(along, wrt, consider_constant=D)
    return gradients


def jvp(after: Variables, before: Variables, directions: Variables) -> Variables:
    """Jacobian-vector products: the change of a state where the one before changes so.

    Parameters
    ----------
    after, before : lists of expressions
        The parts of the two states.
    directions : list of expressions
        One for each part of ``before``, of its shape.

    Returns
    -------
    list of expressions, one for each of ``after``
    """
    # What goes back is linear in D: its derivative by D is what goes forward.
    D = [tensor.zeros_like(s) for s in after]
    back = vjp(after, D, before)
    along = sum((b * u).sum() for b, u in zip(back, directions))
    changes: Variables = theano.grad(along, D, consider_constant=directions)
    return changes


def replaced(
    outputs: Variables, by: dict[Variable, Variable], inputs: Variables = ()
) -> Variables:
    """Copies of expressions with some variables replaced.

    ``theano.clone`` would copy the variables that stand there instead, and all before them; in a
    scan these are inputs of its step, which have to stay the same variables.
    """
    memo = dict(by)
    theano.graph.basic.clone_get_equiv(
        [*by, *inputs], outputs, copy_inputs=False, copy_orphans=False, memo=memo
    )
    return [memo[output] for output in outputs]
