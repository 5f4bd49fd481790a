"""A stack of recurrences on vectors x_t, and the errors of any loss, in naive NumPy.

No token, no softmax: the inputs are X (T, n), and the loss is known by e_t = dE_t/ds_t alone. The
steps are those of the reference, forwards and backwards; ``test_real_inputs`` checks the errors
made from them by finite differences.
"""

import numpy as np

from theano_rnn.reference.cells import CELLS


class Stack:
    """The recurrences of a network by our parameters, without table and output."""

    def __init__(self, parameters, cell, layers):
        self.p, self.cell, self.layers = parameters, CELLS[cell], layers
        self.shape = (layers, self.cell.parts, len(parameters["U"]) // self.cell.gates)

    def of(self, name, l, default=0.0):
        return self.p.get(name if l == 0 else f"{name}{l + 1}", default)

    def weights(self, l):
        return [self.of(name, l) for name in self.cell.recurrent]

    def step(self, x, h):
        """h_t (S,) from x_t (n,) and h_{t-1} (S,)."""
        after, below = [], x
        for l, before in enumerate(h.reshape(self.shape)):
            p = self.of("U", l) @ below + self.of("b", l)
            after.append(self.cell.forward(p, *self.weights(l), before))
            below = after[-1][0]
        return np.array(after).ravel()

    def states(self, X, start):
        """h_0, ..., h_T, (T + 1, S)."""
        h = [start]
        for x in X:
            h.append(self.step(x, h[-1]))
        return np.array(h)

    def step_back(self, x, h, after, d, gradients):
        """dE/dh_{t-1} and dE/dx_t from d = dE/dh_t; the gradients of this step are added."""
        before, after = h.reshape(self.shape), after.reshape(self.shape)
        d = d.reshape(self.shape).copy()
        for l in reversed(range(self.layers)):
            below = x if l == 0 else after[l - 1, 0]
            p = self.of("U", l) @ below + self.of("b", l)
            dp, *d_weights, d[l] = self.cell.backward(p, *self.weights(l), before[l], d[l])
            made = {"U": np.outer(dp, below), "b": dp}
            made.update(zip(self.cell.recurrent, d_weights))
            for name, value in made.items():
                name = name if l == 0 else f"{name}{l + 1}"
                if name in self.p:
                    gradients[name] = gradients.get(name, 0) + value
            d_below = self.of("U", l).T @ dp
            if l > 0:
                d[l - 1, 0] += d_below
        return d.ravel(), d_below

    def errors(self, X, e, start):
        """dE_t/dh_k (T, T, S), the gradients by name, and dE/dx_k (T, n), E_t = e_t s_t."""
        h, T = self.states(X, start), len(X)
        errors, gradients, dX = np.zeros((T, T, h.shape[1])), {}, np.zeros_like(X)
        for t in range(T):
            d = np.zeros(self.shape)
            d[-1, 0] = e[t]
            d = d.ravel()
            for k in range(t, -1, -1):
                errors[t, k] = d
                d, dx = self.step_back(X[k], h[k], h[k + 1], d, gradients)
                dX[k] += dx
        return errors, gradients, dX
