"""One step of training, compiled: gradient, regularization, clipping, update."""

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
from theano_rnn.engine import compile_function, ifelse, tensor, theano
from theano_rnn.model.architecture import named
from theano_rnn.model.batch_inputs import batch_inputs
from theano_rnn.model.graph import Inputs, Network
from theano_rnn.model.network import LanguageModel
from theano_rnn.optim import optimizers, regularization

CLIPPINGS = ("norm", "value")
NOT_FINITE = "E or its gradient is not finite"


class Step:
    """What changes the parameters of a model, given some sequences.

    The gradient of E / B, B the number of sequences; plus that of the regularizers; clipped;
    then handed to an optimizer.

    Parameters
    ----------
    model : RNN
    optimizer : str
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop" or "adam", see ``updates``.
    clip_by : str or None
        "norm": the gradient is rescaled to at most the clip, all parameters taken together;
        "value": each element is cut to +-clip; None: neither, and no norm is computed.
    l2 : float
        Factor of half the sum of squares of all matrices: ``l2`` times each is added to its
        gradient. 0 is none.
    omega : float
        Factor of the regularizer Omega of Pascanu et al. (2013), for cells of one gate; see
        ``regularization``. 0 is none.
    **constants
        Of the optimizer.

    Raises
    ------
    RNNError
        For an unknown name, or a regularizer that does not fit the model.

    Notes
    -----
    Under sgd without l2 only the rows of the table whose tokens occur are touched, unless it is
    tied: then it is V too, and all of it changes. Every other optimizer goes over the whole
    table; see each for what it does to rows that did not occur.
    """

    def __init__(
        self,
        model: LanguageModel,
        optimizer: str = "sgd",
        *,
        clip_by: Optional[str] = "norm",
        l2: float = 0.0,
        omega: float = 0.0,
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
            regularization.check_omega(model.architecture.cell, model.truncation)
        self.optimizer = optimizers.make(optimizer, list(model.shared.values()), **constants)
        # Cut by value, the two uses of a tied table have to be added before.
        is_one = not (model.architecture.tied and clip_by == "value")
        self.is_sparse = optimizer == "sgd" and not self.l2 and is_one
        self._functions: dict[tuple[bool, bool], Function] = {}

    def state(self) -> Parameters:
        """Copies of the optimizer's state by name, to be kept in a checkpoint.

        Returns
        -------
        dict of arrays
            Such as "W.velocity", of the shape of W. Empty for sgd.
        """
        return {name: shared.get_value() for name, shared in self.optimizer.state.items()}

    def set_state(self, values: Mapping[str, Array]) -> None:
        """Take over a state that ``state`` returned.

        Parameters
        ----------
        values : dict of arrays

        Raises
        ------
        RNNError
            If it is of another optimizer, or not finite.
        """
        state = self.optimizer.state
        shapes = {name: shared.get_value(borrow=True).shape for name, shared in state.items()}
        for name, value in validation.parameters(values, shapes, self.model.dtype).items():
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
    ) -> tuple[float, float, Floats]:
        """Take a step.

        Parameters
        ----------
        x, y, mask
            One sequence or a batch, as ``RNN`` takes them.
        learning_rate : float
        clip : float, optional
            Of the norm or of each value; None or 0 is none.
        state : (B, state_size) array, optional
            Where the sequences go on from another text; zeros where not given.
        random : numpy.random.Generator, optional
            Of the dropout; the model's own where not given.

        Returns
        -------
        loss : float
            E before the step, in nats.
        norm : float
            Of the gradient before clipping; NaN where ``clip_by`` is None.
        state : (B, state_size) array
            After the last step, to go on from.

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
        learning_rate = validation.positive(learning_rate, "learning_rate", model.dtype)
        clip = validation.at_least_zero(0 if clip is None else clip, "clip", model.dtype)
        if clip and self.clip_by is None:
            raise RNNError("clip is given, and this step does not clip; give clip_by too")
        arrays = [*batch.arrays(), model.checked_state(state, batch.rows)]
        if model.architecture.dropout:
            random = model.random if random is None else random
            if not isinstance(random, np.random.Generator):
                raise RNNError(f"random must be a Generator, not {validation.shown(random)}")
            arrays.append(dropout_mask(model, batch.x.shape, random))
        # Theano takes a Python float for a float32 only where floatX is float32.
        numbers = [learning_rate] + [clip or np.inf] * (self.clip_by is not None)
        arrays += [np.asarray(number, model.dtype) for number in numbers]
        function = self.function(batch.is_masked, batch.rows == 1)
        try:
            loss, *norm, after = function(*arrays)
        except AssertionError as error:
            if NOT_FINITE not in str(error):
                raise
            raise NotFinite("the loss or the gradient is not finite: no step was taken") from None
        return float(loss), float(norm[0]) if norm else np.nan, after

    def function(self, is_masked: bool = False, is_alone: bool = True) -> Function:
        """The compiled function of a step: with a mask or without, of one sequence or a batch.

        Parameters
        ----------
        is_masked : bool
            Whether sequences of a batch differ in length.
        is_alone : bool
            Whether there is one sequence, and not a batch.

        Returns
        -------
        compiled function
        """
        key = is_masked, is_alone
        if key not in self._functions:
            self._functions[key] = self._compile(is_masked, is_alone)
        return self._functions[key]

    def _compile(self, is_masked: bool, is_alone: bool) -> Function:
        model = self.model
        symbols, inputs, net = model.network(is_masked, bool(model.architecture.dropout))
        learning_rate = tensor.scalar("learning_rate", model.dtype)
        clip = None if self.clip_by is None else tensor.scalar("clip", model.dtype)
        E = net.loss if is_alone else net.loss / inputs.x.shape[1].astype(model.dtype)
        with theano.config.change_flags(floatX=model.dtype):
            make = self._sparse_updates if self.is_sparse else self._dense_updates
            norm, updates = make(net, inputs, E, is_alone, learning_rate, clip)
        symbols += [learning_rate] + [clip] * (clip is not None)
        outputs = [net.loss] + [norm] * (clip is not None) + [net.after]
        return compile_function(symbols, outputs, updates, name="step")

    def _dense_updates(
        self,
        net: Network,
        inputs: Inputs,
        E: Variable,
        is_alone: bool,
        learning_rate: Variable,
        clip: Variable,
    ) -> tuple[Variable, Updates]:
        parameters = self.model.shared
        penalized = E
        if self.l2:
            matrices = [p for p in parameters.values() if p.ndim == 2]
            penalized = E + np.asarray(self.l2, E.dtype) * regularization.l2(matrices)
        gradients = theano.grad(penalized, list(parameters.values()))
        gradients = dict(zip(parameters, gradients))
        self._add_omega(gradients, net, inputs, E)
        gradients = list(gradients.values())
        if clip is None:
            return None, self.optimizer.updates(gradients, learning_rate)
        is_norm = self.clip_by == "norm"
        cut = optimizers.clip_by_norm if is_norm else optimizers.clip_by_value
        gradients, norm = cut(gradients, clip)

        def waiting(a: Variable) -> Variable:
            return guarded(a, E, norm)

        # The state decays in place, which does not wait for the gradients.
        return norm, self.optimizer.updates(
            [waiting(g) for g in gradients], learning_rate, seen=waiting
        )

    def _sparse_updates(
        self,
        net: Network,
        inputs: Inputs,
        E: Variable,
        is_alone: bool,
        learning_rate: Variable,
        clip: Variable,
    ) -> tuple[Variable, Updates]:
        """SGD that touches only those rows of the table whose tokens occur."""
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
            if is_alone and "V" in gradients:
                squares["V"] = squared_norm_of_product(dlogits, net.output)
            if tied:
                squares["tied"] = tensor.sqr(rest[-1]).sum()
                squares["both"] = 2 * (rest[-1][tokens] * d_rows).sum()
            norm = tensor.sqrt(sum(squares.values()))
            learning_rate = guarded(learning_rate, E, norm)  # which every update waits for
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
        """To the gradient of each W, omega times that of Omega."""
        if not self.omega:
            return
        architecture, shared = self.model.architecture, self.model.shared
        is_first = self.model.chunk_starts(inputs.x.shape[0])
        for layer in range(architecture.layers):
            W = shared[named("W", layer)]
            dz, immediate = theano.grad(E, [net.p[layer], net.states[layer]])
            ds = regularization.total_error(immediate, dz, W, is_first)
            Omega = regularization.omega(W, dz, ds, inputs.mask, is_first)
            gradients[named("W", layer)] += np.asarray(self.omega, W.dtype) * theano.grad(Omega, W)


def dropout_mask(
    model: LanguageModel, shape: tuple[int, ...], random: np.random.Generator
) -> Floats:
    """Factors of dropout, (layers, T, B, H): 0, or 1 / (1 - dropout) to keep the mean.

    Parameters
    ----------
    model : RNN
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


def guarded(a: Variable, E: Variable, norm: Variable) -> Variable:
    """The expression a, which cannot be had where E or the norm of its gradient is not finite.

    The function ends with an AssertionError then, before anything that needs a is computed.
    """
    is_number = tensor.eq(tensor.isnan(E + norm) | tensor.isinf(E + norm), 0)
    return theano.tensor.opt.Assert(NOT_FINITE)(a, is_number)


def touched(x: Variable, d_rows: Variable) -> tuple[Variable, Variable]:
    """The different tokens of x, and the gradient of each one's row, summed over its places."""
    unique = tensor.extra_ops.Unique(return_inverse=True)
    tokens, position = unique(x)
    d_table = tensor.zeros((tokens.shape[0], d_rows.shape[1]), d_rows.dtype)
    return tokens, tensor.inc_subtensor(d_table[position], d_rows)


def squared_norm_of_product(dlogits: Variable, s: Variable) -> Variable:
    """|dV|^2 for dV = dlogits' s of one sequence.

    |A' B|^2 = sum((A A') * (B B')) needs only T x T matrices, so that for a sentence dV, of
    the size of V, is never made: the update is one product added to V. A long sequence takes
    the direct way, linear in T.
    """
    gram = (tensor.dot(dlogits, dlogits.T) * tensor.dot(s, s.T)).sum()
    gram = tensor.maximum(gram, 0)  # rounded, a norm of 0 could be below
    # Its own product: the gradient itself, were it read here, could not be added to V in one go.
    direct = tensor.sqr(tensor.dot(s.T, dlogits)).sum()
    return ifelse(tensor.le(s.shape[0], s.shape[1]), gram, direct)
