"""Compiled functions of a single step of a network, which the measures call.

The state h_t, (S,), is all that one step passes to the next: s_t of each layer, and for lstm
c_t too. One step is h_t = F(x_t, h_{t-1}), and dh_t/dh_k is the product of its Jacobians
J_t ... J_{k+1}, J_t = dF/dh. All numbers are float64, whatever the model's dtype: a
vanishing gradient is far below the smallest number of float32.
"""

import functools
from typing import Callable, Union

import numpy as np

from theano_rnn.common.types import Floats, Function, Parameters, Variable, Variables
from theano_rnn.engine import building, compile_function, tensor, theano
from theano_rnn.model import graph, jacobians
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.cells import CELLS, StepFunction
from theano_rnn.model.truncation import Truncation

DTYPE = "float64"

#: The inputs of a function, and its outputs, by name where the function returns a dict.
Graph = tuple[Variables, Union[Variable, dict[str, Variable]]]


def compiled(build: Callable[["Functions"], Graph]) -> "functools.cached_property[Function]":
    """The graph that ``build`` returns as a function, compiled when first used.

    The function takes the stored parameters first, ``Functions.stored``, and then its inputs.
    """

    def compile_it(self: "Functions") -> Function:
        settings = {"floatX": DTYPE, "on_unused_input": "ignore"}  # not each reads all parameters
        with building(**settings):
            if build.__name__ in vars(self):  # another thread was first
                made: Function = vars(self)[build.__name__]
                return made
            inputs, outputs = build(self)
            names = list(outputs) if isinstance(outputs, dict) else None
            if names == []:
                return lambda stored, *arguments: {}
            wanted = outputs if names is None else list(outputs.values())
            function = compile_function([*inputs, *self.parameters.values()], wanted)

        def call(stored: Parameters, *arguments: Floats) -> Union[Floats, Parameters]:
            values = function(*arguments, *(stored[name] for name in self.parameters))
            return values if names is None else dict(zip(names, values))

        return call

    property_ = functools.cached_property(compile_it)
    property_.__doc__ = build.__doc__
    return property_


class Functions:
    """The functions of one architecture, each compiled when first used, for any parameters.

    Parameters
    ----------
    architecture : Architecture

    Notes
    -----
    Tokens x (T,); before (T, S), the state before each step; n is any number of rows. Parameters
    and their gradients are as stored: the table, U or L, is transposed.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.parameters = {
            name: tensor.TensorType(DTYPE, [False] * len(shape))(name)
            for name, shape in architecture.shapes.items()
        }
        self.of_steps = architecture.of_steps

    def stored(self, parameters: Parameters) -> Parameters:
        """Parameters in the layout that the functions take; applied twice it changes nothing."""
        table = self.architecture.table
        return {n: np.ascontiguousarray(p.T) if n == table else p for n, p in parameters.items()}

    # ---- expressions

    def projected(self, x: Variable) -> Variable:
        """p = U x + b of the first layer, (n, G*H)."""
        rows = self.parameters[self.architecture.table][x]
        return graph.projected(self.architecture, self.parameters, rows)

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

        return graph.stack(self.architecture, self.parameters, once, p, before)[1]

    def columns(self, state: Variable) -> Variables:
        """The parts of a state (n, S), each (n, H)."""
        a = self.architecture
        return graph.columns(state, a.hidden_size, a.state_size // a.hidden_size)

    def top(self, state: Variable) -> Variable:
        """s of the uppermost layer, from which the output is predicted, (n, H)."""
        return self.columns(state)[-CELLS[self.architecture.cell].parts]

    def loss(self, s: Variable, y: Variable) -> Variable:
        """E_t of the predictions from s (n, H), (n,)."""
        logits = graph.predicted(self.architecture, self.parameters, s)
        return tensor.nnet.categorical_crossentropy(tensor.nnet.softmax(logits), y)

    # ---- functions

    @compiled
    def states(self) -> Graph:
        """x (T,), start (S,) -> h (T+1, S), the start first."""
        x, start = tensor.lvector("x"), tensor.vector("start", DTYPE)
        inputs = graph.Inputs(x.dimshuffle(0, "x"), tensor.zeros_like(x), start.dimshuffle("x", 0))
        net = graph.network(self.architecture, Truncation("full"), self.parameters, inputs)
        h = tensor.concatenate([s[:, 0] for s in net.states], axis=1)  # (T, S)
        return [x, start], tensor.concatenate([inputs.state, h])

    @compiled
    def own_errors(self) -> Graph:
        """h_1..h_T (T, S), y (T,) -> E_t (T,) and dE_t/ds_t of the output t alone, (T, H).

        s_t is the state of the uppermost layer, from which the output is predicted.
        """
        h, y = tensor.matrix("h", DTYPE), tensor.lvector("y")
        s = self.top(h)
        E = self.loss(s, y)
        return [h, y], [E, theano.grad(E.sum(), s)]

    @compiled
    def backpropagated(self) -> Graph:
        """Rows D multiplied by the Jacobian of each step: D_{t-1} = D_t J_t + the own errors.

        x (T,), before (T, S), D (n, S) at the last state, own (T, H) and row (T,): own[t] is
        added to row[t] of D_{t-1}, the rows at the state before step t, if there is such a row,
        in the columns of s of the uppermost layer. Returns (T, n, S), the rows at the states
        before step T, T-1, ..., 1.
        """
        x, row = tensor.lvector("x"), tensor.lvector("row")
        before, own = tensor.matrix("before", DTYPE), tensor.matrix("own", DTYPE)
        first = tensor.matrix("D", DTYPE)
        parts = len(self.columns(before))
        is_top = [part == parts - CELLS[self.architecture.cell].parts for part in range(parts)]

        def step_back(
            p_t: Variable, own_t: Variable, row_t: Variable, *rest: Variable
        ) -> Variables:
            before, D, numbers = rest[:parts], rest[parts : 2 * parts], rest[2 * parts]
            # The same state for each row, and the error that each has at the state after.
            at = [tensor.zeros_like(d) + s for s, d in zip(before, D)]
            after = self.step(p_t.dimshuffle("x", 0), at)
            back = jacobians.vjp(after, D, at)
            is_own = tensor.eq(numbers, row_t).dimshuffle(0, "x")
            added = tensor.switch(is_own, own_t.dimshuffle("x", 0), 0)
            return [d + added if top else d for d, top in zip(back, is_top)]

        D, _ = theano.scan(
            step_back,
            sequences=[self.projected(x), own, row, *self.columns(before)],
            outputs_info=self.columns(first),
            non_sequences=[tensor.arange(first.shape[0]), *self.parameters.values()],
            go_backwards=True,
            name="backpropagated",
            return_list=True,
            strict=True,
        )
        D = D[0] if parts == 1 else tensor.concatenate(D, axis=2)
        return [x, before, first, own, row], D

    @compiled
    def gradients(self) -> Graph:
        """x, before, D (T, S) -> sum_t D_t dF_t/dp for the parameters p of the steps, by name."""
        x, before, D = self._of_a_step()
        return [x, before, D], dict(zip(self.of_steps, self._summed(x, before, D)))

    @compiled
    def responses(self) -> Graph:
        """x, before, and a direction for each parameter of the steps -> dF_t in it, (T, S)."""
        x, before, _ = self._of_a_step()
        D = tensor.zeros_like(before)
        directions = [self.parameters[name].type(f"direction_{name}") for name in self.of_steps]
        along = sum((a * b).sum() for a, b in zip(self._summed(x, before, D), directions))
        # It is linear in D: its gradient there is what D multiplies.
        return [x, before, *directions], theano.grad(along, D)

    def _of_a_step(self) -> tuple[Variable, Variable, Variable]:
        return tensor.lvector("x"), tensor.matrix("before", DTYPE), tensor.matrix("D", DTYPE)

    def _summed(self, x: Variable, before: Variable, D: Variable) -> Variables:
        after = self.step(self.projected(x), self.columns(before))
        return jacobians.vjp(
            after, self.columns(D), [self.parameters[name] for name in self.of_steps]
        )

    @compiled
    def predicting_gradients(self) -> Graph:
        """h_1..h_T, y -> the gradient of E by the parameters of the output, by name.

        These are V, P and c, and a tied table in its use as V. The states are held constant.
        """
        names = self.architecture.of_output
        h, y = tensor.matrix("h", DTYPE), tensor.lvector("y")
        E = self.loss(self.top(h), y).sum()
        gradients = theano.grad(E, [self.parameters[name] for name in names])
        return [h, y], dict(zip(names, gradients))

    @compiled
    def gates(self) -> Graph:
        """x, before (T, S) -> the gates of each layer by name, each (layers, T, H)."""
        cell, found = CELLS[self.architecture.cell], []
        x, before, _ = self._of_a_step()
        before_ = self.columns(before)
        self.step(self.projected(x), before_, lambda *a: found.append(cell.gate_values(*a)))
        return [x, before], {
            name: tensor.stack([layer[name] for layer in found]) for name in found[0]
        }


@functools.lru_cache(maxsize=16)
def functions_of(architecture: Architecture) -> Functions:
    """The functions of an architecture, compiled once for all its models."""
    return Functions(architecture)
