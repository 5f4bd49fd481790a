"""Compiled functions of a network's single step: what the laboratory computes with.

The state of the network is all that goes from one step to the next, h_t, (S,): s_t of each layer,
for lstm s_t and c_t. One step is h_t = F(x_t, h_{t-1}), and dh_t/dh_k the product of its Jacobians
J_t ... J_{k+1}, J_t = dF/dh. All in float64, whatever the model's dtype: a gradient that vanishes
is far below what float32 can hold.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Callable, Optional

import numpy as np

from theano_rnn.common.types import Floats, Function, Parameters, Variable, Variables
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.model import graph
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cells import CELLS, StepFunction
from theano_rnn.model.truncation import Truncation

DTYPE = "float64"


class Functions:
    """The functions of one architecture, each compiled when first used.

    Parameters
    ----------
    architecture : Architecture
    parameters : dict
        As ``RNN.parameters`` returns them.

    Notes
    -----
    Tokens x (T,); before (T, S), the state before each step; n is any number of rows. As
    everywhere the table is stored transposed; gradients are returned as users see them.
    """

    def __init__(self, architecture: Architecture, parameters: Parameters) -> None:
        self.architecture = architecture
        self.shared = {
            name: theano.shared(np.zeros(self._stored_shape(name), DTYPE), name)
            for name in architecture.shapes
        }
        self.set_parameters(parameters)
        #: Parameters of the steps; the others, V and c, only predict.
        self.of_steps = [name for name in self.shared if name not in ("V", "c")]

    def _stored_shape(self, name: str) -> tuple[int, ...]:
        shape = self.architecture.shapes[name]
        return shape[::-1] if name == self.architecture.table else shape

    def set_parameters(self, parameters: Parameters) -> None:
        for name, shared in self.shared.items():
            shared.set_value(self._turned(name, np.asarray(parameters[name], DTYPE)))

    def _turned(self, name: str, a: Floats) -> Floats:
        return np.ascontiguousarray(a.T) if name == self.architecture.table else a

    def named(self, values: Iterable[Floats], names: Optional[Sequence[str]] = None) -> Parameters:
        """Gradients of the parameters of the steps, or of others, as users see them."""
        names = self.of_steps if names is None else names
        return {name: self._turned(name, value) for name, value in zip(names, values)}

    def stored_of_steps(self) -> list[tuple[str, Floats]]:
        """(name, value as it is stored) of the parameters of the steps."""
        return [(name, self.shared[name].get_value(borrow=True)) for name in self.of_steps]

    # ---- expressions

    def projected(self, x: Variable) -> Variable:
        """p = U x + b of the first layer, (n, G*H)."""
        rows = self.shared[self.architecture.table][x]
        return graph.projected(self.architecture, self.shared, rows)

    def step(
        self,
        p: Variable,
        before: Variables,
        see: Callable[[Variable, Variables, Variables], object] = lambda *arguments: None,
    ) -> Variables:
        """F: the parts of the state after a step, (n, H), from those before it, of n steps.

        ``see`` is called with the arguments of each layer's step.
        """

        def once(
            step: StepFunction, p: Variable, starts: Variables, weights: Variables
        ) -> Variables:
            see(p, starts, weights)
            return step(p, starts, weights)

        return graph.stack(self.architecture, self.shared, once, p, before)[1]

    def columns(self, state: Variable) -> Variables:
        """The parts of a state (n, S), each (n, H)."""
        a = self.architecture
        return graph.columns(state, a.hidden_size, a.state_size // a.hidden_size)

    def top(self, state: Variable) -> Variable:
        """s of the uppermost layer, which predicts, (n, H)."""
        return self.columns(state)[-CELLS[self.architecture.cell].parts]

    def loss(self, s: Variable, y: Variable) -> Variable:
        """E_t of the predictions from s (n, H), (n,)."""
        logits = graph.predicted(self.architecture, self.shared, s)
        return tensor.nnet.categorical_crossentropy(tensor.nnet.softmax(logits), y)

    # ---- functions

    @functools.cached_property
    def states(self) -> Function:
        """x (T,), start (S,) -> h (T+1, S), the start first."""
        x, start = tensor.lvector("x"), tensor.vector("start", DTYPE)
        inputs = graph.Inputs(x.dimshuffle(0, "x"), tensor.zeros_like(x), start.dimshuffle("x", 0))
        with theano.config.change_flags(floatX=DTYPE):
            net = graph.network(self.architecture, Truncation("full"), self.shared, inputs)
        h = tensor.concatenate([s[:, 0] for s in net.states], axis=1)  # (T, S)
        return self._compile([x, start], tensor.concatenate([inputs.state, h]))

    @functools.cached_property
    def own_errors(self) -> Function:
        """h_1..h_T (T, S), y (T,) -> E_t (T,) and dE_t/ds_t of the output t alone, (T, H).

        s_t is that of the uppermost layer, which alone predicts.
        """
        h, y = tensor.matrix("h", DTYPE), tensor.lvector("y")
        with theano.config.change_flags(floatX=DTYPE):
            s = self.top(h)
            E = self.loss(s, y)
            return self._compile([h, y], [E, theano.grad(E.sum(), s)])

    @functools.cached_property
    def pulled_back(self) -> Function:
        """Rows pulled back through all steps: D_{t-1} = D_t J_t + what is added there.

        x (T,), before (T, S), D (n, S) at the last state, own (T, H) and row (T,): own[t] is
        added to row[t] of D_{t-1}, the rows at the state before step t, where there is such a
        row: to the part of it that predicts. Returns (T, n, S), the rows at the states before
        step T, T-1, ..., 1.
        """
        x, row = tensor.lvector("x"), tensor.lvector("row")
        before, own = tensor.matrix("before", DTYPE), tensor.matrix("own", DTYPE)
        first = tensor.matrix("D", DTYPE)
        parts = len(self.columns(before))
        is_top = [part == parts - CELLS[self.architecture.cell].parts for part in range(parts)]

        def pull(p_t: Variable, own_t: Variable, row_t: Variable, *rest: Variable) -> Variables:
            before, D, numbers = rest[:parts], rest[parts : 2 * parts], rest[2 * parts]
            # The same state for each row, and the error that each has at the state after.
            at = [tensor.zeros_like(d) + s for s, d in zip(before, D)]
            after = self.step(p_t.dimshuffle("x", 0), at)
            back = pulled(after, D, at)
            is_own = tensor.eq(numbers, row_t).dimshuffle(0, "x")
            added = tensor.switch(is_own, own_t.dimshuffle("x", 0), 0)
            return [d + added if top else d for d, top in zip(back, is_top)]

        with theano.config.change_flags(floatX=DTYPE):
            D, _ = theano.scan(
                pull,
                sequences=[self.projected(x), own, row, *self.columns(before)],
                outputs_info=self.columns(first),
                non_sequences=[tensor.arange(first.shape[0]), *self.shared.values()],
                go_backwards=True,
                name="pulled_back",
                return_list=True,
                strict=True,
            )
        D = D[0] if parts == 1 else tensor.concatenate(D, axis=2)
        return self._compile([x, before, first, own, row], D)

    @functools.cached_property
    def gradients(self) -> Function:
        """x, before, D (T, S) -> sum_t D_t dF_t/dp for the parameters p of the steps.

        In the order of ``of_steps``, the table (vocab_size, ...).
        """
        x, before, D = self._of_a_step()
        return self._compile([x, before, D], self._summed(x, before, D))

    @functools.cached_property
    def responses(self) -> Function:
        """x, before, and a direction for each parameter of the steps -> dF_t in it, (T, S)."""
        x, before, _ = self._of_a_step()
        D = tensor.zeros_like(before)
        directions = [self.shared[name].type(f"direction_{name}") for name in self.of_steps]
        with theano.config.change_flags(floatX=DTYPE):
            along = sum((a * b).sum() for a, b in zip(self._summed(x, before, D), directions))
            # It is linear in D: its gradient there is what D multiplies.
            response = theano.grad(along, D)
        return self._compile([x, before, *directions], response)

    def _of_a_step(self) -> tuple[Variable, Variable, Variable]:
        return tensor.lvector("x"), tensor.matrix("before", DTYPE), tensor.matrix("D", DTYPE)

    def _summed(self, x: Variable, before: Variable, D: Variable) -> Variables:
        parameters = [self.shared[name] for name in self.of_steps]
        with theano.config.change_flags(floatX=DTYPE):
            after = self.step(self.projected(x), self.columns(before))
            return pulled(after, self.columns(D), parameters)

    @functools.cached_property
    def predicting_gradients(self) -> Function:
        """h_1..h_T, y -> the gradient of E where a parameter predicts, the states held constant.

        By name: of V and c; of a tied table its part as V.
        """
        a, h, y = self.architecture, tensor.matrix("h", DTYPE), tensor.lvector("y")
        names = [a.table if a.tied else "V"] + ["c"] * a.bias
        with theano.config.change_flags(floatX=DTYPE):
            E = self.loss(self.top(h), y).sum()
            gradients = theano.grad(E, [self.shared[name] for name in names])
        function = self._compile([h, y], gradients)
        return lambda h, y: self.named(function(h, y), names)

    @functools.cached_property
    def gates(self) -> Function:
        """x, before (T, S) -> the gates of each layer by name, each (layers, T, H)."""
        cell, found = CELLS[self.architecture.cell], []
        x, before, _ = self._of_a_step()
        with theano.config.change_flags(floatX=DTYPE):
            before_ = self.columns(before)
            self.step(self.projected(x), before_, lambda *a: found.append(cell.gate_values(*a)))
            stacked = [tensor.stack([layer[name] for layer in found]) for name in found[0]]
        function = self._compile([x, before], stacked) if stacked else lambda *_: []
        return lambda x, before: dict(zip(found[0], function(x, before)))

    def _compile(self, inputs: Variables, outputs: Variable) -> Function:
        return compile_function(inputs, outputs)


def pulled(after: Variables, D: Variables, wrt: Variables) -> Variables:
    """The sum of D d(after)/d(wrt) over the parts of a state."""
    # Its gradient is meant, not its value. (known_grads would leave out paths from part to part.)
    along = sum((a * d).sum() for a, d in zip(after, D))
    gradients: Variables = theano.grad(along, wrt, consider_constant=D)
    return gradients
