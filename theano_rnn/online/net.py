"""One step of a network and its parameters: h_t = F(x_t, h_{t-1}; theta), for one sequence.

A parameter works in a step through a product x' M, with x (n_in,) what the step multiplies and
M (n_in, n_out) the parameters. The derivative of h_t by M[i, j] is x_i times dh_t/d(x' M)_j. So
the derivative by all of M, (S, n_in, n_out), is the outer product of x and an array (S, n_out).
A step has these blocks of parameters:

    the table      x one-hot: M is U', or with an embedding L', and a token is a row
    U              x = L[:, token], or s_t of the layer below
    b              x = 1
    W              x = s_{t-1}, or what else the cell multiplies (gru: r * s_{t-1})

The last ones are found in the graph of the cell's step, so that a new cell needs nothing here.
"""

from dataclasses import dataclass
from typing import NamedTuple

from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import tensor, theano
from theano_rnn.model import graph, jacobians
from theano_rnn.model.architecture import Architecture, named
from theano_rnn.model.cells import CELLS, StepFunction


class Product(NamedTuple):
    """A product q = x M in a step."""

    x: Variable  # (n, n_in)
    M: Variable  # (n_in, n_out)
    q: Variable  # (n, n_out)


class Block(NamedTuple):
    """Parameters M, and the derivative of n numbers by them: the outer product of x and dq."""

    x: Variable  # (n_in,), or where x is one-hot the number of the row, an integer
    dq: Variable  # (n, n_out)

    def added_to(self, a: Variable) -> Variable:
        """A sum a (n, n_in, n_out), and the derivative.

        Parameters
        ----------
        a : (n, n_in, n_out) expression

        Returns
        -------
        (n, n_in, n_out) expression
        """
        if self.x.ndim == 0:
            return tensor.inc_subtensor(a[:, self.x], self.dq)
        return a + self.x.dimshuffle("x", 0, "x") * self.dq.dimshuffle(0, "x", 1)

    def added_to_one(self, a: Variable) -> Variable:
        """The same where n = 1, for a sum a (n_in, n_out)."""
        return self.added_to(a.dimshuffle("x", 0, 1))[0]


class Layer(NamedTuple):
    """What the step of one layer reads and returns, n rows of each."""

    p: Variable  # (n, G*H)
    before: Variables
    weights: Variables
    after: Variables
    step: StepFunction


@dataclass(frozen=True)
class Net:
    """A network of which single steps are taken.

    Attributes
    ----------
    architecture : Architecture
    parameters : dict of expressions
        As ``graph.network`` takes them; the table may have only the rows of some tokens.
    """

    architecture: Architecture
    parameters: dict[str, Variable]

    @property
    def S(self) -> int:
        """Numbers in the state h_t: of all layers and parts."""
        return self.architecture.state_size

    @property
    def top(self) -> slice:
        """Where the s_t that predicts stands in h_t."""
        H, parts = self.architecture.hidden_size, CELLS[self.architecture.cell].parts
        return slice(self.S - parts * H, self.S - (parts - 1) * H)

    def columns(self, state: Variable) -> Variables:
        """The parts of a state (n, S), each (n, H)."""
        H = self.architecture.hidden_size
        return graph.columns(state, H, self.S // H)

    def step(self, token: Variable, before: Variables) -> tuple[Variable, list[Layer]]:
        """One step from n states, all with the same token.

        Parameters
        ----------
        token : integer expression
            A row of the table.
        before : list of (n, H) expressions

        Returns
        -------
        row : (G*H,) or (D,) expression
            Of the table.
        layers : list of Layer
        """
        row = self.parameters[self.architecture.table][token]
        layers: list[Layer] = []

        def loop(
            step: StepFunction, p: Variable, starts: Variables, weights: Variables
        ) -> Variables:
            layers.append(Layer(p, starts, weights, step(p, starts, weights), step))
            return layers[-1].after

        rows = tensor.zeros_like(before[0][:, 0]).dimshuffle(0, "x") + row
        p = graph.projected(self.architecture, self.parameters, rows)
        graph.stack(self.architecture, self.parameters, loop, p, before)
        return row, layers

    def shapes(self) -> list[tuple[Variable, Variable]]:
        """(n_in, n_out) of each block, in the order of ``blocks``."""
        a, p = self.architecture, self.parameters
        found = [(p[a.table].shape[0], p[a.table].shape[1])]
        for l in range(a.layers):
            if l > 0 or a.embedding_size is not None:
                U = p[named("U", l)]
                found.append((U.shape[1], U.shape[0]))
            if a.bias:
                found.append((1, p[named("b", l)].shape[0]))
        return found + [(M.shape[0], M.shape[1]) for l in range(a.layers) for M in self._of_W(l)]

    def blocks(
        self, token: Variable, row: Variable, layers: list[Layer], dp: Variables
    ) -> list[Block]:
        """The blocks of all parameters but W, from the derivatives by the p of each layer.

        Parameters
        ----------
        token, row, layers
            As ``step`` takes and returns them.
        dp : list of (n, G*H) expressions
        """
        a = self.architecture
        found = [Block(token, dp[0])]
        if a.embedding_size is not None:  # p = U L[:, token]
            found = [Block(token, tensor.dot(dp[0], self.parameters["U"])), Block(row, dp[0])]
        for l in range(a.layers):
            if l > 0:
                found.append(Block(layers[l - 1].after[0][0], dp[l]))
            if a.bias:
                found.append(Block(tensor.ones((1,), dp[l].dtype), dp[l]))
        return found

    def gradients(self, sums: Variables) -> dict[str, Variable]:
        """The gradients of the parameters, as stored, from those of the blocks.

        Parameters
        ----------
        sums : list of (n_in, n_out) expressions
            In the order of ``shapes``.

        Returns
        -------
        dict of expressions
        """
        a, p, rest = self.architecture, self.parameters, list(sums)
        found = {a.table: rest.pop(0)}
        for l in range(a.layers):
            if l > 0 or a.embedding_size is not None:
                found[named("U", l)] = rest.pop(0).T
            if a.bias:
                found[named("b", l)] = rest.pop(0)[0]
        for l in range(a.layers):
            names = [name for name in (named("W", l), named("a", l)) if name in p]
            M = self._of_W(l)
            given, rest = rest[: len(M)], rest[len(M) :]
            if M:
                # The matrices are the parameters rearranged; the gradient goes the same way back.
                found.update(zip(names, jacobians.vjp(M, given, [p[name] for name in names])))
        return found

    def squared_norm(self, sums: Variables) -> Variable:
        """The sum of the squares of all parameters' gradients, given as for ``gradients``.

        The blocks may hold more: of what a cell adds to its matrices, zeros say, is no gradient.
        """
        return sum(tensor.sqr(g).sum() for g in self.gradients(sums).values())

    def _of_W(self, layer: int) -> Variables:
        """The matrices of the recurrence of a layer."""
        names = [named(name, layer) for name in ("W", "a")]
        given = [self.parameters[name] for name in names if name in self.parameters]
        return matrices(CELLS[self.architecture.cell].weights(*given))


def matrices(weights: Variables) -> Variables:
    """Those of the weights of a step that it multiplies with."""
    return [M for M in weights if M.ndim == 2]


def products(layer: Layer) -> list[Product]:
    """The product of a step with each of its matrices, read from its graph.

    Returns
    -------
    list of Product
        In the order of the matrices.
    """
    found = {}
    for variable in theano.graph.basic.ancestors(layer.after):
        node = variable.owner
        if node is not None and isinstance(node.op, tensor.basic.Dot):
            x, M = node.inputs
            found[M] = Product(x, M, node.outputs[0])
    return [found[M] for M in matrices(layer.weights)]


def unbroadcast(a: Variable) -> Variable:
    """An expression none of whose dimensions is known to be 1.

    What is carried from step to step may not change its type, and a block may have one row.

    Parameters
    ----------
    a : expression

    Returns
    -------
    expression
    """
    return tensor.unbroadcast(a, *range(a.ndim))
