"""The network as one graph: token ids -> recurrences -> softmax -> loss.

Every function takes and returns Theano expressions. ``RNN`` and ``Step`` compile them.

The loss E is a sum over all tokens, whether they come as one sequence, a batch or a stream. A
training step divides it by B, the number of sequences or of rows of a stream, so that a learning
rate means the same for any B. Reports divide E by the number of tokens.
"""

from typing import NamedTuple

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS
from theano_rnn.model.truncation import Loop, Truncation


class Inputs(NamedTuple):
    """The inputs of a network: B sequences, time first, with N tokens to predict."""

    x: Variable  # (T, B) tokens
    y: Variable  # (N,) their targets
    state: Variable  # (B, state_size) before the first step
    # Where sequences differ in length:
    mask: Variable = None  # (T, B) true where x has a token
    position: Variable = None  # (N,) which of the T*B states predicts each target
    # In training with dropout, factors of the states as the layer above or the output reads them:
    dropout_mask: Variable = None  # (layers, T, B, H)
    # Under artbp, factors of the error on its way from each step to the one before:
    factors: Variable = None  # (T, B)


class Network(NamedTuple):
    """The expressions of a network, from its inputs to its loss."""

    rows: Variable  # (T*B, n) the touched rows of the table, one a token
    p: Variables  # (T, B, G*H) of each recurrence, in the arrangement in which it was run last
    states: Variables  # (T, B, H) each
    output: Variable  # (N, H) what V multiplies
    logits: Variable  # (N, vocab_size)
    loss: Variable  # E
    after: Variable  # (B, state_size) the states after the last step


def network(
    architecture: Architecture,
    truncation: Truncation,
    parameters: dict[str, Variable],
    inputs: Inputs,
) -> Network:
    """The recurrent language model on B sequences.

    Parameters
    ----------
    architecture : Architecture
    truncation : theano_rnn.model.truncation.Truncation
    parameters : dict of expressions
        By the names of ``architecture.shapes``, and in those shapes but for the table, U or L,
        which is transposed: a token is a row, so that only touched rows are updated.
    inputs : Inputs

    Returns
    -------
    Network
    """
    H, cell = parameters["W"].shape[1], CELLS[architecture.cell]
    (T, B), x = (inputs.x.shape[0], inputs.x.shape[1]), inputs.x.flatten()
    rows = parameters[architecture.table][x]  # (T*B, D or G*H)
    p = projected(architecture, parameters, rows).reshape((T, B, cell.G * H))
    masks = (
        []
        if inputs.dropout_mask is None
        else [inputs.dropout_mask[i] for i in range(architecture.layers)]
    )
    starts = columns(inputs.state, H, architecture.layers * cell.parts)
    p_of_layers: list[Variable] = []

    def run(loop: Loop, inputs: Variables, starts: Variables) -> Variables:
        p, *masks = inputs
        p_of_layers[:], states = stack(architecture, parameters, loop, p, starts, masks)
        return states

    states = truncations.states(truncation, run, [p, *masks], starts, inputs.mask, inputs.factors)
    top = _dropped_out(states[-cell.parts], masks, -1)
    output = top.reshape((T * B, H))
    if inputs.position is not None:
        output = output[inputs.position]  # (N, H)
    logits = predicted(architecture, parameters, output)
    after = tensor.concatenate([s[-1] for s in states], axis=1)
    loss = cross_entropy(logits, inputs.y)
    return Network(rows, p_of_layers, states, output, logits, loss, after)


def projected(
    architecture: Architecture, parameters: dict[str, Variable], rows: Variable
) -> Variable:
    """p = U x + b of the first layer, (n, G*H), for tokens given by their rows of the table.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of expressions
    rows : (n, ...) expression

    Returns
    -------
    (n, G*H) expression
    """
    p = rows if architecture.embedding_size is None else tensor.dot(rows, parameters["U"].T)
    return p + parameters["b"] if architecture.bias else p


def stack(
    architecture: Architecture,
    parameters: dict[str, Variable],
    loop: Loop,
    p: Variable,
    starts: Variables,
    dropout_masks: Variables = (),
) -> tuple[Variables, Variables]:
    """All layers, from the lowest up, each run by the loop.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of expressions
    loop : function (step, p, starts, weights) -> states
        Runs one layer, as in ``truncation.states``.
    p : (T, B, G*H) expression
        Of the first layer. All of these may be without T, of a single step.
    starts : list of (B, H) expressions
        Before the first step, of all layers.
    dropout_masks : list of (T, B, H) expressions
        One a layer; empty without dropout.

    Returns
    -------
    p_of_layers : list of (T, B, G*H) expressions
    states : list of (T, B, H) expressions, in the order of the starts
    """
    cell = CELLS[architecture.cell]
    p_of_layers: list[Variable] = []
    states: list[Variable] = []
    for layer in range(architecture.layers):
        if layer > 0:
            p = _projected_states(
                _dropped_out(states[-cell.parts], dropout_masks, layer - 1), parameters, layer
            )
        p_of_layers.append(p)
        begin = starts[len(states) : len(states) + cell.parts]
        names = [named(name, layer) for name in ("W", "a")]  # a where the net has one
        weights = cell.weights(*(parameters[name] for name in names if name in parameters))
        states += loop(cell.step, p, begin, weights)
    return p_of_layers, states


def predicted(
    architecture: Architecture, parameters: dict[str, Variable], output: Variable
) -> Variable:
    """Logits V s + c, (N, vocab_size), of the states (N, H) that are the output.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of expressions
    output : (N, H) expression

    Returns
    -------
    (N, vocab_size) expression
    """
    V = parameters[architecture.table if architecture.tied else "V"]  # (vocab_size, H)
    logits = tensor.dot(output, V.T)
    return logits + parameters["c"] if architecture.bias else logits


def columns(state: Variable, H: int, n: int) -> Variables:
    """(B, n * H) as n expressions (B, H).

    Parameters
    ----------
    state : (B, n * H) expression
    H, n : int

    Returns
    -------
    list of (B, H) expressions
    """
    if n == 1:
        return [state]
    return [state[:, i * H : (i + 1) * H] for i in range(n)]


def _dropped_out(s: Variable, dropout_masks: Variables, layer: int) -> Variable:
    """The states of a layer as the layer above or the output reads them."""
    return s * dropout_masks[layer] if dropout_masks else s


def _projected_states(s: Variable, parameters: dict[str, Variable], layer: int) -> Variable:
    """U s_t + b of a layer above the first, for all steps in one product."""
    U, b = parameters[named("U", layer)], parameters.get(named("b", layer))
    rows = s if s.ndim == 2 else s.reshape((s.shape[0] * s.shape[1], s.shape[2]))  # (T*B, H)
    p = tensor.dot(rows, U.T)  # (T*B, G*H)
    p = p if b is None else p + b
    return p if s.ndim == 2 else p.reshape((s.shape[0], s.shape[1], U.shape[0]))


def cross_entropy(logits: Variable, y: Variable) -> Variable:
    """E = -sum_t log softmax(logits_t)[y_t], summed over all tokens.

    Parameters
    ----------
    logits : (N, vocab_size) expression
    y : (N,) expression of token ids

    Returns
    -------
    scalar expression
        In nats.
    """
    o = tensor.nnet.softmax(logits)  # (N, vocab_size)
    return tensor.nnet.categorical_crossentropy(o, y).sum()


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
