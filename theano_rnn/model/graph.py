"""The network as one graph: token ids -> recurrences -> softmax -> loss.

Every function takes and returns Theano expressions. ``RNN`` and ``Step`` compile them.

The loss E is a sum over all tokens, whether they come as one sequence, a batch or a stream. A
training step divides it by B, the number of sequences or of rows of a stream, so that a learning
rate means the same for any B. Reports divide E by the number of tokens.
"""

from typing import NamedTuple

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS
from theano_rnn.model.dropout import NO_MASKS, Masks
from theano_rnn.model.truncation import Loop, Truncation


class Inputs(NamedTuple):
    """The inputs of a network: B sequences, time first, with N tokens to predict."""

    x: Variable  # (T, B) tokens
    y: Variable  # (N,) their targets
    state: Variable  # (B, state_size) before the first step
    # Where sequences differ in length:
    mask: Variable = None  # (T, B) true where x has a token
    position: Variable = None  # (N,) which of the T*B states predicts each target
    # In training with dropout:
    masks: Masks = NO_MASKS
    # Under artbp, factors of the error on its way from each step to the one before:
    factors: Variable = None  # (T, B)


class Network(NamedTuple):
    """The expressions of a network, from its inputs to its loss."""

    rows: Variable  # (T*B, n) the touched rows of the table, one a token
    p: Variables  # (T, B, G*H) of each recurrence, in the arrangement in which it was run last
    states: Variables  # (T, B, H) each
    output: Variable  # (N, H) what V, or P before it, multiplies
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
    """
    cell = CELLS[architecture.cell]
    V = output_matrix(architecture, parameters)
    # H of the parameters, which may have other sizes than the architecture:
    H = (parameters["P"] if architecture.has_projection else V).shape[1]
    (T, B), x, masks = (inputs.x.shape[0], inputs.x.shape[1]), inputs.x.flatten(), inputs.masks
    rows = parameters[architecture.table][x]  # (T*B, D or G*H)
    p = projected(architecture, parameters, _input(rows, x, T, B, masks))
    p = p.reshape((T, B, cell.G * H))
    starts = columns(inputs.state, H, architecture.layers * cell.parts)
    p_of_layers: list[Variable] = []
    layers = range(architecture.layers)
    of_states = [] if masks.states is None else [masks.states[i] for i in layers]
    # (B, H) each: they are the same at all steps.
    of_recurrent = [] if masks.recurrent is None else [masks.recurrent[i][0] for i in layers]

    def run(loop: Loop, inputs: Variables, starts: Variables) -> Variables:
        p, arranged = inputs[0], inputs[1:]
        n = len(of_states)
        own = Masks(states=arranged[:n], recurrent=arranged[n:], weights=masks.weights)
        p_of_layers[:], states = stack(architecture, parameters, loop, p, starts, own)
        return states

    read = [p, *of_states, *of_recurrent]
    states = truncations.states(truncation, run, read, starts, inputs.mask, inputs.factors)
    output = _dropped_out(states[-cell.parts], of_states, -1).reshape((T * B, H))
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
    masks: Masks = NO_MASKS,
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
    masks : Masks
        Those of the states and of the recurrence may be lists, one a layer.

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
            s = _dropped_out(states[-cell.parts], masks.states, layer - 1)
            p = _projected_states(s, parameters, layer)
        p_of_layers.append(p)
        begin = starts[len(states) : len(states) + cell.parts]
        names = [named(name, layer) for name in ("W", "a")]  # where the net has them
        recurrent = [parameters[name] for name in names if name in parameters]
        if masks.weights is not None:
            recurrent[0] = recurrent[0] * masks.weights[layer]
        step, weights = cell.step, cell.weights(*recurrent)
        if masks.recurrent:
            step, weights = cell.masked_step, [*weights, masks.recurrent[layer]]
        states += loop(step, p, begin, weights)
    return p_of_layers, states


def predicted(
    architecture: Architecture, parameters: dict[str, Variable], output: Variable
) -> Variable:
    """Logits V s + c, or L' (P s) + c, (N, vocab_size), of the states (N, H) of the output.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of expressions
    output : (N, H) expression

    Returns
    -------
    (N, vocab_size) expression
    """
    if architecture.has_projection:
        output = tensor.dot(output, parameters["P"].T)  # (N, D)
    logits = tensor.dot(output, output_matrix(architecture, parameters).T)
    return logits + parameters["c"] if architecture.bias else logits


def output_matrix(architecture: Architecture, parameters: dict[str, Variable]) -> Variable:
    """V (vocab_size, H); if it is tied, the table, (vocab_size, D) with a projection.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict of expressions

    Returns
    -------
    (vocab_size, H or D) expression
    """
    return parameters[architecture.table if architecture.tied else "V"]


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


def _input(rows: Variable, x: Variable, T: Variable, B: Variable, masks: Masks) -> Variable:
    """The rows of the table (T*B, n), one a token of x (T*B,), as the first layer reads them."""
    if masks.embedding is not None:
        rows = rows * masks.embedding[x].dimshuffle(0, "x")
    if masks.input is not None:
        n = rows.shape[1]
        rows = (rows.reshape((T, B, n)) * masks.input[0]).reshape((T * B, n))
    return rows


def _dropped_out(s: Variable, masks: Variables, layer: int) -> Variable:
    """The states of a layer as the layer above or the output reads them."""
    return s * masks[layer] if masks else s


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
