"""One training step, compiled: gradient, regularization, clipping, update."""

from collections.abc import Mapping
from typing import Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.common.types import (
    Array,
    Floats,
    Function,
    Mask,
    Parameters,
    Tokens,
    Updates,
    Variable,
)
from theano_rnn.engine import building, compile_function, exclusive, ifelse, tensor, theano
from theano_rnn.engine.ops.finite import if_finite
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import named
from theano_rnn.model.batch_inputs import BatchInputs, batch_inputs
from theano_rnn.model.cuts import of_call
from theano_rnn.model.graph import Inputs, Network
from theano_rnn.model.network import LanguageModel
from theano_rnn.model.truncation import Truncation
from theano_rnn.optim import optimizers, regularization
from theano_rnn.optim.clipping import CLIPPINGS


class Step:
    """One training step: compute the gradient, clip it, update the parameters.

    It follows the gradient of E / B, with B the number of sequences, plus the regularizers.

    Parameters
    ----------
    model : RNN
    optimizer : str
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop" or "adam"; their formulas are in
        ``theano_rnn.optim.optimizers``.
    clip_by : str or None
        "norm": the gradient is rescaled to at most the clip, all parameters taken together;
        "value": each element is cut to +-clip; None: neither, and no norm is computed.
    l2 : float
        Weight decay: the loss gets l2/2 times the sum of squares of each matrix. 0 is none.
    omega : float
        Factor of the regularizer Omega of Pascanu et al. (2013), for plain cells; see
        ``theano_rnn.optim.regularization``. 0 is none.
    scheme : str, optional
        "window" or "chunk": each step is given its own K, and no K is compiled anew. By default
        the truncation is the model's.
    **constants
        The constants of the optimizer, such as ``momentum=0.95``.

    Raises
    ------
    RNNError
        For an unknown name, or a regularizer that does not fit the model.

    Notes
    -----
    sgd without l2 touches only the rows of the table whose tokens occur. A tied table is V
    too, so all of it changes. Every other optimizer goes over the whole table; its docstring says
    what happens to rows whose token did not occur.
    """

    def __init__(
        self,
        model: LanguageModel,
        optimizer: str = "sgd",
        *,
        clip_by: Optional[str] = "norm",
        l2: float = 0.0,
        omega: float = 0.0,
        scheme: Optional[str] = None,
        **constants: float,
    ) -> None:
        is_name = isinstance(clip_by, str) and clip_by in CLIPPINGS
        if clip_by is not None and not is_name:
            known, given = ", ".join(map(repr, CLIPPINGS)), validation.shown(clip_by)
            raise RNNError(f"clip_by {given} is unknown; use {known} or None")
        self.model, self.clip_by = model, clip_by
        self.l2 = validation.at_least_zero(l2, "l2", model.dtype)
        self.omega = validation.at_least_zero(omega, "omega", model.dtype)
        if self.omega:
            cut = model.truncation if scheme is None else "one with another K in each step"
            regularization.check_omega(model.architecture.cell, cut)
        if scheme not in (None, "window", "chunk"):
            given = validation.shown(scheme)
            raise RNNError(f"scheme {given} has no K to give; use 'window', 'chunk' or None")
        self.scheme = scheme
        parameters = list(model.shared.values())
        self.optimizer = optimizers.Optimizer(optimizer, parameters, **constants)
        # Clipped by value, the gradients of the two uses of a tied table must be added before.
        is_one_use = not (model.architecture.tied and clip_by == "value")
        self.is_sparse = optimizer == "sgd" and not self.l2 and is_one_use
        self._functions: dict[tuple[bool, bool], Function] = {}

    def __repr__(self) -> str:
        weights = {"l2": self.l2, "omega": self.omega}
        given = "".join(f", {name}={value:g}" for name, value in weights.items() if value)
        return f"Step({self.model!r}, {self.optimizer.name!r}, clip_by={self.clip_by!r}{given})"

    def state(self) -> Parameters:
        """Copies of the optimizer's state by name, to be saved in a checkpoint.

        Returns
        -------
        dict of arrays
            Such as "W.velocity", of the shape of W. Empty for sgd.
        """
        with exclusive(self.optimizer.state.values()):
            return {name: shared.get_value() for name, shared in self.optimizer.state.items()}

    def set_state(self, values: Mapping[str, Array]) -> None:
        """Set the optimizer's state to one that ``state`` returned.

        Parameters
        ----------
        values : dict of arrays

        Raises
        ------
        RNNError
            If it is of another optimizer, or not finite; nothing has changed then.
        """
        state = self.optimizer.state
        shapes = {name: shared.get_value(borrow=True).shape for name, shared in state.items()}
        values = validation.parameters(values, shapes, self.model.dtype)
        with exclusive(state.values()):
            for name, value in values.items():
                state[name].set_value(value)

    @property
    def compiled(self) -> int:
        """How many functions have been compiled: one for a sequence, one for a batch, ..."""
        return len(self._functions)

    def __call__(
        self,
        x: Tokens,
        y: Tokens,
        learning_rate: float,
        clip: Optional[float] = None,
        *,
        mask: Optional[Mask] = None,
        state: Optional[Array] = None,
        random: Optional[np.random.Generator] = None,
        cuts: Optional[Array] = None,
        K: Optional[int] = None,
    ) -> tuple[float, float, Floats]:
        """Take a step.

        Parameters
        ----------
        x, y, mask
            One sequence or a batch, as ``RNN`` takes them.
        learning_rate : float
        clip : float, optional
            The largest norm, or the largest size of each element; None or 0 is none.
        state : (B, state_size) array, optional
            The state in which the sequences begin; zeros by default.
        random : numpy.random.Generator, optional
            Draws the dropout and the cuts of artbp; by default the model's own.
        cuts : array of booleans of the shape of x, optional
            Cuts of artbp that are not drawn, as ``RNN.bptt`` takes them.
        K : int, optional
            Of this step, where the Step was made with a ``scheme``.

        Returns
        -------
        loss : float
            E before the step, in nats.
        norm : float
            The norm of the gradient before clipping; NaN where ``clip_by`` is None.
        state : (B, state_size) array
            The state in which the sequences end.

        Raises
        ------
        NotFinite
            If the step clips and E or the gradient is not finite; nothing has changed then.
            Without clipping no norm is computed, and the parameters are lost.
        RNNError
            For bad input; nothing has changed then.
        """
        model = self.model
        batch = batch_inputs(x, y, mask, model.vocab_size, model.align_right)
        numbers = self._checked_numbers(learning_rate, clip)
        arrays = [*batch.arrays(), model.checked_state(state, batch.rows)]
        random = self._checked_random(random)
        arrays += self._drawn_dropout(batch, random)
        arrays += of_call(model._truncation, cuts, np.shape(x), random, model.dtype)
        arrays += numbers + self._checked_K(K)
        function = self.function(batch.is_masked, is_single=batch.rows == 1)
        try:
            loss, *norm, after = function(*arrays)
        except FloatingPointError:
            raise NotFinite(
                "the loss or the gradient is not finite, so no step was taken; use a smaller "
                "learning_rate or clip"
            ) from None
        return float(loss), float(norm[0]) if norm else np.nan, after

    def _checked_numbers(self, learning_rate: float, clip: Optional[float]) -> list[Floats]:
        """The learning rate, and the clip where the step clips, in the dtype of the model."""
        dtype = self.model.dtype
        numbers = [validation.positive(learning_rate, "learning_rate", dtype)]
        clip = validation.at_least_zero(0 if clip is None else clip, "clip", dtype)
        if self.clip_by is not None:
            numbers.append(clip or np.inf)
        elif clip:
            raise RNNError(
                f"clip is {clip}, but this step does not clip; leave it out, or make the "
                "Step with clip_by='norm'"
            )
        # Theano takes a Python float for a float32 only where floatX is float32.
        return [np.asarray(number, dtype) for number in numbers]

    def _checked_K(self, K: Optional[int]) -> list[Array]:
        """K where each step has its own; nothing elsewhere."""
        if self.scheme is None:
            if K is not None:
                raise RNNError(
                    f"K is {validation.shown(K)}, but this step is truncated as its model is; "
                    "leave it out, or make the Step with a scheme"
                )
            return []
        return [np.asarray(truncations.whole_K(K, f"{self.scheme}:K of a step"))]

    def _checked_random(self, random: Optional[np.random.Generator]) -> np.random.Generator:
        random = self.model.random if random is None else random
        if not isinstance(random, np.random.Generator):
            given = validation.shown(random)
            raise RNNError(f"random is {given}; pass a generator, numpy.random.default_rng(seed)")
        return random

    def _drawn_dropout(self, batch: BatchInputs, random: np.random.Generator) -> list[Floats]:
        """The dropout mask; nothing where the model has no dropout."""
        if not self.model.architecture.dropout:
            return []
        return [dropout_mask(self.model, batch.x.shape, random)]

    def function(self, is_masked: bool = False, is_single: bool = True) -> Function:
        """The compiled function of a step, for one sequence or a batch, with a mask or without.

        Parameters
        ----------
        is_masked : bool
            Whether sequences of a batch differ in length.
        is_single : bool
            Whether there is one sequence, and not a batch.

        Returns
        -------
        compiled function
        """
        key = is_masked, is_single
        if key not in self._functions:
            with building():  # one thread; the others wait, and find it made
                if key not in self._functions:
                    self._functions[key] = self._compile(is_masked, is_single)
        return self._functions[key]

    def _compile(self, is_masked: bool, is_single: bool) -> Function:
        model = self.model
        K = [] if self.scheme is None else [tensor.lscalar("K")]
        truncation = None if self.scheme is None else Truncation(self.scheme, *K)
        has_dropout = bool(model.architecture.dropout)
        symbols, inputs, net = model.network(is_masked, has_dropout, truncation)
        learning_rate = tensor.scalar("learning_rate", model.dtype)
        clip = None if self.clip_by is None else tensor.scalar("clip", model.dtype)
        E = net.loss if is_single else net.loss / inputs.x.shape[1].astype(model.dtype)
        with building(floatX=model.dtype):
            if self.is_sparse:
                norm, updates = self._row_updates(net, inputs, E, learning_rate, clip, is_single)
            else:
                norm, updates = self._whole_updates(net, inputs, E, learning_rate, clip)
        symbols += [learning_rate] + [clip] * (clip is not None) + K
        outputs = [net.loss] + [norm] * (clip is not None) + [net.after]
        return compile_function(symbols, outputs, updates, name="step")

    def _whole_updates(
        self, net: Network, inputs: Inputs, E: Variable, learning_rate: Variable, clip: Variable
    ) -> tuple[Variable, Updates]:
        """The norm of the gradient, and the updates of all rows of all parameters."""
        parameters = self.model.shared
        penalized = E
        if self.l2:
            matrices = [p for p in parameters.values() if p.ndim == 2]
            penalized = E + np.asarray(self.l2, E.dtype) * regularization.l2(matrices)
        gradients = theano.grad(penalized, list(parameters.values()))
        gradients = dict(zip(parameters, gradients))
        self._add_omega(gradients, net, inputs, E)
        gradients = list(gradients.values())
        if self.clip_by is None:
            return None, self.optimizer.updates(gradients, learning_rate)
        gradients, norm = CLIPPINGS[self.clip_by](gradients, clip)

        def guard(a: Variable) -> Variable:
            return if_finite(a, E + norm)

        return norm, self.optimizer.updates(gradients, learning_rate, guard)

    def _row_updates(
        self,
        net: Network,
        inputs: Inputs,
        E: Variable,
        learning_rate: Variable,
        clip: Variable,
        is_single: bool,
    ) -> tuple[Variable, Updates]:
        """The norm, and the updates of SGD that touch only the rows whose tokens occur."""
        architecture, shared = self.model.architecture, self.model.shared
        table = shared[architecture.table]
        names = [name for name in shared if name != architecture.table]
        # A tied table is multiplied as V too: its gradient there, without that of the rows.
        tied = [table] if architecture.tied else []
        wrt = [net.rows, net.logits, *(shared[name] for name in names), *tied]
        d_rows, dlogits, *rest = theano.grad(E, wrt, consider_constant=[net.rows])
        gradients = dict(zip(names, rest))
        self._add_omega(gradients, net, inputs, E)
        tokens, norm = inputs.x.flatten(), None
        if clip is not None:
            tokens, d_rows = touched(tokens, d_rows)
            squares = {name: tensor.sqr(g).sum() for name, g in gradients.items()}
            squares["table"] = tensor.sqr(d_rows).sum()
            if is_single and "V" in gradients:
                squares["V"] = squared_norm_of_product(dlogits, net.output)
            if tied:
                squares["tied"] = tensor.sqr(rest[-1]).sum()
                squares["both"] = 2 * (rest[-1][tokens] * d_rows).sum()
            norm = tensor.sqrt(sum(squares.values()))
            learning_rate = if_finite(learning_rate, E + norm)  # every update reads it
        if self.clip_by == "norm":
            learning_rate = learning_rate * tensor.minimum(1, clip / norm)
        elif self.clip_by == "value":
            d_rows = tensor.clip(d_rows, -clip, clip)
            gradients = {name: tensor.clip(g, -clip, clip) for name, g in gradients.items()}
        after = table - learning_rate * rest[-1] if tied else table
        updates = [(table, tensor.inc_subtensor(after[tokens], -learning_rate * d_rows))]
        return norm, updates + [
            (shared[name], shared[name] - learning_rate * g) for name, g in gradients.items()
        ]

    def _add_omega(
        self, gradients: dict[str, Variable], net: Network, inputs: Inputs, E: Variable
    ) -> None:
        """Add omega times dOmega/dW to the gradient of the W of each layer."""
        if not self.omega:
            return
        is_first = self.model.chunk_starts(inputs.x.shape[0])
        for layer, (p, s) in enumerate(zip(net.p, net.states)):  # the cells have one state
            W = self.model.shared[named("W", layer)]
            dW = regularization.omega_gradient(E, p, s, W, inputs.mask, is_first)
            gradients[named("W", layer)] += np.asarray(self.omega, W.dtype) * dW


def dropout_mask(
    model: LanguageModel, shape: tuple[int, ...], random: np.random.Generator
) -> Floats:
    """Factors of the states, (layers, T, B, H): 0, or 1 / (1 - dropout) to keep the mean.

    Parameters
    ----------
    model : LanguageModel
    shape : tuple
        (T, B), that of the tokens.
    random : numpy.random.Generator

    Returns
    -------
    (layers, T, B, H) array
    """
    a = model.architecture
    is_kept = random.random((a.layers, *shape, a.hidden_size), np.float32) >= a.dropout
    factor: Floats = np.asarray(1 / (1 - a.dropout), model.dtype)
    return is_kept.astype(model.dtype) * factor


def touched(x: Variable, d_rows: Variable) -> tuple[Variable, Variable]:
    """The distinct tokens of x, and the gradient of the row of each, summed where it occurs."""
    unique = tensor.extra_ops.Unique(return_inverse=True)
    tokens, position = unique(x)
    d_table = tensor.zeros((tokens.shape[0], d_rows.shape[1]), d_rows.dtype)
    return tokens, tensor.inc_subtensor(d_table[position], d_rows)


def squared_norm_of_product(dlogits: Variable, s: Variable) -> Variable:
    """|dV|^2 for dV = dlogits' s of one sequence.

    |A' B|^2 = sum((A A') * (B B')) needs only T x T matrices. So for a sentence dV, as large as
    V, is never made: the update is one product added to V. A long sequence takes the direct way,
    which is linear in T.
    """
    gram = (tensor.dot(dlogits, dlogits.T) * tensor.dot(s, s.T)).sum()
    gram = tensor.maximum(gram, 0)  # rounded, a norm of 0 could be below
    # Its own product: the gradient itself, were it read here, could not be added to V in one go.
    direct = tensor.sqr(tensor.dot(s.T, dlogits)).sum()
    return ifelse(tensor.le(s.shape[0], s.shape[1]), gram, direct)
