"""A recurrent network that reads vectors and answers at the end of a sequence.

It has the cells and the loop of the language model, but x_t is a vector, and only the last outputs
count:

    p_t = U x_t + b,  s_t = cell(p_t, s_{t-1}),  o_t = V s_t + c

The loss of an answer is -log softmax(o_t)[y_t] for a symbol and (o_t - y_t)^2 for a number. E is
the sum over the answers of a sequence, averaged over the sequences of a batch.
"""

from typing import Any

import numpy as np

from theano_rnn.common.types import Array, Floats, Function, Variable, Variables
from theano_rnn.engine import building, compile_function, tensor, theano
from theano_rnn.long_term.remedies import PLAIN, Remedy
from theano_rnn.long_term.tasks import Task
from theano_rnn.model import graph, initialization, jacobians
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cells import CELLS
from theano_rnn.online.batch import Steps, uoro
from theano_rnn.online.compiled import random_signs
from theano_rnn.online.cut import CUT, cut
from theano_rnn.online.net import matrices
from theano_rnn.optim import clipping, flossing, optimizers, regularization

#: Flossing has Adam at this rate, whatever the optimizer of the training.
FLOSSING_RATE = 0.001


class TaskNet:
    """The parameters of a network for a task; it compiles an update and the answers.

    Parameters
    ----------
    task : theano_rnn.long_term.tasks.Task
    cell : str
    remedy : theano_rnn.long_term.remedies.Remedy
    hidden_size, seed : int
    clip : float
        The largest norm of the gradient, if the remedy is to clip.
    alpha : float
        The factor of Omega, if Omega is a remedy.
    length : int
        The length of the sequences, if chrono is a remedy.
    dtype : str
    truncation : str
        Where the gradient is cut, as ``RNN`` takes it.

    Attributes
    ----------
    shared : dict
        The parameters: U (G*H, inputs), V (outputs, H), b (G*H,), c (outputs,); W (G*H, H) if
        the cell has it; of gru_after a (H,).
    """

    def __init__(
        self,
        task: Task,
        cell: str,
        remedy: Remedy = PLAIN,
        *,
        hidden_size: int = 50,
        seed: int = 0,
        clip: float = 1.0,
        alpha: float = 2.0,
        length: int = 100,
        dtype: str = "float32",
        truncation: str = "full",
    ) -> None:
        self.task, self.cell, self.remedy, self.dtype = task, CELLS[cell], remedy, dtype
        self.clip, self.alpha, self.seed = clip, alpha, seed
        self.truncation = truncations.parse(truncation)
        # The parameters of a language model without the lookup table: x_t is a vector already.
        model = Architecture(
            task.outputs, hidden_size, cell, bias=True, embedding_size=task.inputs
        )
        shapes = {name: shape for name, shape in model.shapes.items() if name != model.table}
        values = initialization.initial(shapes, cell, remedy.initialization, seed, dtype)
        if remedy.is_chrono:
            values["b"] = chrono(cell, hidden_size, length, seed).astype(dtype)
        self.shared = {name: theano.shared(value, name) for name, value in values.items()}

    def network(
        self, x: Variable, factors: Variable = None
    ) -> tuple[Variable, Variables, Variable]:
        """The inputs of the recurrence, its states, and the outputs that count.

        Parameters
        ----------
        x : (T, B, inputs) expression
        factors : (T, B) expression, for truncation "artbp:K"

        Returns
        -------
        p : (T, B, G*H) expression
        states : list of (T, B, H) expressions
        o : (answers, B, outputs) expression
            Logits or, if an answer is a number, the number.
        """
        U, V, b, c = (self.shared[name] for name in "UVbc")
        T, B, n = x.shape[0], x.shape[1], x.shape[2]
        H = V.shape[1]
        p = (tensor.dot(x.reshape((T * B, n)), U.T) + b).reshape((T, B, U.shape[0]))
        starts = [tensor.zeros((B, H), self.dtype) for _ in range(self.cell.parts)]
        credit, whole = self.remedy.credit, self.cell.step
        step = cut(whole, credit) if credit in CUT else whole

        def run(loop: truncations.Loop, inputs: Variables, starts: Variables) -> Variables:
            (p,) = inputs
            return loop(step, p, starts, self.cell.weights(*self.recurrent.values()))

        states = truncations.states(self.truncation, run, [p], starts, factors=factors)
        A = self.task.answers
        output = states[0][-A:].reshape((A * B, H))
        o = tensor.dot(output, V.T) + c
        return p, states, o.reshape((A, B, self.task.outputs))

    @property
    def recurrent(self) -> dict[str, Variable]:
        """The parameters of the recurrence by name: W, and of gru_after a."""
        return {name: self.shared[name] for name in "Wa" if name in self.shared}

    def loss(self, o: Variable, y: Variable) -> Variable:
        """E: the loss of the answers, averaged over the sequences.

        Parameters
        ----------
        o : (answers, B, outputs) expression
        y : (answers, B) expression

        Returns
        -------
        scalar expression
        """
        B = tensor.cast(y.shape[1], self.dtype)
        if self.task.is_symbol:
            n = o.shape[0] * o.shape[1]
            return graph.cross_entropy(o.reshape((n, o.shape[2])), y.flatten()) / B
        return tensor.sqr(o[:, :, 0] - y).sum() / B

    def gradients(
        self, E: Variable, p: Variable, states: Variables, x: Variable, signs: Variable = None
    ) -> dict[str, Variable]:
        """The gradient of E by each parameter; that of W includes Omega's, if it is a remedy.

        Parameters
        ----------
        E, p, states, x
            The expressions of ``loss``, ``network`` and ``symbols``.
        signs : (T, B, S) expression, for uoro

        Returns
        -------
        dict of expressions, by the name of the parameter
        """
        if self.remedy.credit == "uoro":
            return self._by_uoro(E, p, states, x, signs)
        gradients = dict(zip(self.shared, theano.grad(E, list(self.shared.values()))))
        if self.remedy.has_omega:
            W = self.shared["W"]
            dW = regularization.omega_gradient(E, p, states[0], W)
            gradients["W"] += np.asarray(self.alpha, self.dtype) * dW
        return gradients

    def _by_uoro(
        self, E: Variable, p: Variable, states: Variables, x: Variable, signs: Variable
    ) -> dict[str, Variable]:
        recurrent = list(self.recurrent.values())
        weights = self.cell.weights(*recurrent)
        of_ones = self.cell.weights(*map(tensor.ones_like, recurrent))
        of_output = theano.grad(E, states[0])  # the outputs read s alone
        e = [of_output, *(tensor.zeros_like(s) for s in states[1:])]
        steps = Steps(x, p, before(states), tensor.concatenate(e, axis=2))
        dU_b, *d_weights = uoro(self.cell.step, steps, weights, matrices(of_ones), signs)
        found = {"U": dU_b[:-1].T, "b": dU_b[-1]}
        if recurrent:  # the matrices are the parameters rearranged; the gradient goes back so
            found.update(
                zip(self.recurrent, jacobians.vjp(matrices(weights), d_weights, recurrent))
            )
        found.update(zip("Vc", theano.grad(E, [self.shared["V"], self.shared["c"]])))
        return {name: found[name] for name in self.shared}

    def symbols(self) -> tuple[Variable, Variable]:
        """Symbolic inputs and targets of a batch.

        Returns
        -------
        x : (T, B, inputs) variable
        y : (answers, B) variable
        """
        x = tensor.tensor3("x", self.dtype)
        y = tensor.lmatrix("y") if self.task.is_symbol else tensor.matrix("y", self.dtype)
        return x, y

    def compile_update(self, learning_rate: float) -> Function:
        """A function (x, y) -> E before the update, norm of the gradient before clipping.

        Under truncation "artbp:K" it takes the factors of its cuts too, (T, B).
        """
        x, y = self.symbols()
        is_drawn = self.truncation.scheme == "artbp"
        factors = [tensor.matrix("factors", self.dtype)] if is_drawn else []
        signs = [tensor.tensor3("signs", self.dtype)] if self.remedy.credit == "uoro" else []
        with building(floatX=self.dtype):
            p, states, o = self.network(x, *factors)
            E = self.loss(o, y)
            gradients = self.gradients(E, p, states, x, *signs).values()
            clip = self.clip if self.remedy.is_clipped else np.inf
            clipped, norm = clipping.clip_by_norm(list(gradients), clip)
            optimizer = optimizers.Optimizer(self.remedy.optimizer, list(self.shared.values()))
            updates = optimizer.updates(clipped, learning_rate)
        function = compile_function([x, y, *factors, *signs], [E, norm], updates, name="update")
        return self._with_signs(function) if signs else function

    def _with_signs(self, update: Function) -> Function:
        """The update with random signs for each step of each sequence as its last argument."""
        S = self.cell.parts * self.shared["V"].get_value(borrow=True).shape[1]
        rng = np.random.default_rng([self.seed, 5])

        def drawn(*arrays: Array) -> Any:
            return update(*arrays, random_signs(rng, (*arrays[0].shape[:2], S), self.dtype))

        return drawn

    def compile_flossing(self, count: int) -> Function:
        """A function (x, Q) -> the exponents before an update that draws them to 0, (count,).

        Q (S, count) are orthonormal columns. The exponents are averaged over the sequences.
        """
        x, _ = self.symbols()
        Q = tensor.matrix("Q", self.dtype)
        parameters = [p for name, p in self.shared.items() if name not in ("V", "c")]
        with building(floatX=self.dtype):
            p, states, _ = self.network(x)
            exponents = self.exponents(p, states, Q, count)
            gradients = theano.grad(flossing.loss(exponents), parameters)
            updates = optimizers.Optimizer("adam", parameters).updates(gradients, FLOSSING_RATE)
        return compile_function([x, Q], [exponents.mean(axis=1)], updates, name="flossing")

    def exponents(self, p: Variable, states: Variables, Q: Variable, count: int) -> Variable:
        """The first Lyapunov exponents on each sequence, (count, B).

        Parameters
        ----------
        p, states
            The expressions of ``network``.
        Q : (S, count) expression
        count : int

        Returns
        -------
        (count, B) expression
        """
        weights = self.cell.weights(*self.recurrent.values())
        return flossing.exponents(self.cell.step, p, before(states), weights, Q, count)

    def compile_answer(self) -> Function:
        """A function (x) -> o (answers, B, outputs)."""
        x, _ = self.symbols()
        with building(floatX=self.dtype):
            return compile_function([x], self.network(x)[2], name="answer")


def before(states: Variables) -> Variables:
    """h_{t-1} for each step t, of h_t: the zero state comes first.

    Parameters
    ----------
    states : list of (T, B, H) expressions

    Returns
    -------
    list of (T, B, H) expressions
    """
    return [tensor.concatenate([tensor.zeros_like(s[:1]), s[:-1]]) for s in states]


def chrono(cell: str, hidden_size: int, length: int, seed: int) -> Floats:
    """Biases with which each unit keeps its state for a random time, up to ``length`` steps.

    A gate that keeps the share sigma(b) of a unit's state in each step has 1/e of it left after
    about T = 1 + exp(b) steps. So a gate that ``Cell.chrono`` opens, such as the forget gate of
    the LSTM, gets b = log(T - 1), with T - 1 uniform from 1 to length - 1. A gate that it closes,
    such as the input gate, gets -b.

    Parameters
    ----------
    cell : str
        A cell with gates.
    hidden_size, length, seed : int

    Returns
    -------
    (G*H,) array

    References
    ----------
    C. Tallec, Y. Ollivier, Can recurrent neural networks warp time? (2018).
    """
    gates, opened = CELLS[cell].gates, CELLS[cell].chrono
    b = np.log(np.random.default_rng([seed, 3]).uniform(1, length - 1, hidden_size))
    rest = np.zeros(hidden_size)
    return np.concatenate([opened[gate] * b if gate in opened else rest for gate in gates])
