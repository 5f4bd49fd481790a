"""One training step, compiled: gradient, regularization, clipping, update."""

from collections.abc import Mapping
from typing import Any, Callable, Optional

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
    Variables,
)
from theano_rnn.engine import building, compile_function, exclusive, ifelse, once, tensor, theano
from theano_rnn.engine.ops.finite import if_finite
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import named
from theano_rnn.model.batch_inputs import BatchInputs, batch_inputs, steps_of_piece
from theano_rnn.model.cells import CELLS
from theano_rnn.model.cuts import of_call
from theano_rnn.model.dropout import Masks, draw, kinds
from theano_rnn.model.graph import Inputs, Network
from theano_rnn.model.network import LanguageModel
from theano_rnn.model.pieces import summed
from theano_rnn.model.truncation import Truncation
from theano_rnn.optim import optimizers, regularization
from theano_rnn.optim.clipping import CLIPPINGS, global_norm
from theano_rnn.optim.precision import check_precision

#: Elements of V up to which its gradient is made, also where the update of V need not have it.
SMALL = 2**16


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
        The loss gets l2/2 times the sum of squares of each matrix. 0 is none.
    weight_decay : float
        Each matrix p, and no bias, loses learning_rate * weight_decay * p beside the step of the
        optimizer (I. Loshchilov, F. Hutter, Decoupled weight decay regularization, 2019). No
        gradient has it, so it is not clipped, nor scaled by adam; with sgd and without clipping it
        is the same as ``l2``. 0 is none.
    omega : float
        Factor of the regularizer Omega of Pascanu et al. (2013), for plain cells; see
        ``theano_rnn.optim.regularization``. 0 is none.
    ar, tar : float
        Weights of the penalties on the states of the last layer, the alpha and beta of Merity,
        McCann and Socher (2017); see ``regularization.activation_penalty``. The loss that a step
        returns is without them. 0 is none.
    scheme : str, optional
        "window" or "chunk": each step is given its own K, and no K is compiled anew. By default
        the truncation is the model's.
    precision : str
        "bf16": products of large matrices round their factors to bf16, and add in float32; the
        parameters and states stay float32. It needs a processor with AVX512-BF16. "auto": bf16
        where that is there.
    **constants
        The constants of the optimizer, such as ``momentum=0.95``.

    Raises
    ------
    RNNError
        For an unknown name, a regularizer that does not fit the model, or bf16 where the model is
        of float64 or the processor does not have it.

    Notes
    -----
    sgd without l2 touches only the rows of the table whose tokens occur. A tied table is V
    too, so all of it changes; and weight_decay changes all of every matrix. In float32 it changes
    nothing where learning_rate * weight_decay is below 3e-8. Every other optimizer goes over the
    whole table; its docstring says what happens to rows whose token did not occur.
    """

    def __init__(
        self,
        model: LanguageModel,
        optimizer: str = "sgd",
        *,
        clip_by: Optional[str] = "norm",
        l2: float = 0.0,
        weight_decay: float = 0.0,
        omega: float = 0.0,
        ar: float = 0.0,
        tar: float = 0.0,
        scheme: Optional[str] = None,
        precision: str = "float32",
        **constants: float,
    ) -> None:
        is_name = isinstance(clip_by, str) and clip_by in CLIPPINGS
        if clip_by is not None and not is_name:
            known, given = ", ".join(map(repr, CLIPPINGS)), validation.shown(clip_by)
            raise RNNError(f"clip_by {given} is unknown; use {known} or None")
        self.model, self.clip_by = model, clip_by
        self.l2 = validation.at_least_zero(l2, "l2", model.dtype)
        self.weight_decay = validation.at_least_zero(weight_decay, "weight_decay", model.dtype)
        regularization.check_decays(self.l2, self.weight_decay)
        self.omega = validation.at_least_zero(omega, "omega", model.dtype)
        self.ar = validation.at_least_zero(ar, "ar", model.dtype)
        self.tar = validation.at_least_zero(tar, "tar", model.dtype)
        if self.omega:
            cut = model.truncation if scheme is None else "one with another K in each step"
            regularization.check_omega(model.architecture.cell, cut, kinds(model.architecture))
        if scheme not in (None, "window", "chunk"):
            given = validation.shown(scheme)
            raise RNNError(f"scheme {given} has no K to give; use 'window', 'chunk' or None")
        self.scheme = scheme
        self.precision = check_precision(precision, model.dtype)
        parameters = list(model.shared.values())
        self.optimizer = optimizers.Optimizer(optimizer, parameters, **constants)
        # Clipped by value, the gradients of the two uses of a tied table must be added before.
        is_one_use = not (model.architecture.tied and clip_by == "value")
        self.is_sparse = optimizer == "sgd" and not self.l2 and is_one_use
        self._functions: dict[object, Function] = {}

    def __repr__(self) -> str:
        names = ("l2", "weight_decay", "omega", "ar", "tar")
        weights = {name: getattr(self, name) for name in names}
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
            If E or the gradient is not finite; nothing has changed then but the generator that
            drew masks and cuts. Where ``clip_by`` is None, no norm is computed, nothing is
            raised, and the parameters are lost.
        RNNError
            For bad input; nothing has changed then.
        """
        model = self.model
        steps = self._checked_K(K)
        cut = model._truncation if self.scheme is None else Truncation(self.scheme, K)
        whole = self._whole(cut)
        batch = batch_inputs(x, y, mask, model.vocab_size, cut.scheme == "last", whole)
        numbers = self._checked_numbers(learning_rate, clip)
        begin = model.checked_state(state, batch.rows)
        random = self._checked_random(random)
        call = cut, cuts, np.shape(x), random, model.dtype
        given = [] if cuts is None else of_call(*call)  # an error before anything is drawn
        masks = draw(model.architecture, batch.x.shape, random, model.dtype)
        factors = given if cuts is not None else of_call(*call)
        try:
            if steps_of_piece(len(batch.x), batch.rows, whole) < len(batch.x):
                loss, *norm, after = self._in_pieces(batch, begin, whole, masks, numbers, steps)
            else:
                function = self.function(batch.is_masked, is_single=batch.rows == 1)
                arrays = [*batch.arrays(), begin, *masks.given(), *factors, *numbers, *steps]
                loss, *norm, after = function(*arrays)
        except FloatingPointError:
            raise NotFinite(
                "the loss or the gradient is not finite, so no step was taken; use a smaller "
                "learning_rate or clip"
            ) from None
        return float(loss), float(norm[0]) if norm else np.nan, after

    def _whole(self, cut: Truncation) -> Optional[int]:
        """Steps that must stay in one piece of a long sequence; None: all of them."""
        if self.omega or self.ar or self.tar:  # means over all steps, no sums over chunks
            return None
        return cut.K if cut.scheme == "chunk" else None

    def _in_pieces(
        self,
        batch: BatchInputs,
        state: Floats,
        whole: Optional[int],
        masks: Masks,
        numbers: list[Floats],
        K: list[Array],
    ) -> list[Any]:
        """What the function of a step returns: gradients added over pieces, then one update."""
        gradients = self._once(
            ("gradients", batch.is_masked), lambda: self._compile_gradients(batch.is_masked)
        )
        update = self._once("update", self._compile_update)
        # No other thread changes the parameters between two pieces.
        with exclusive([*self.model.shared.values(), *self.optimizer.state.values()]):
            loss, sums, after = summed(gradients, batch, state, whole, masks, K)
            B = np.asarray(batch.rows, self.model.dtype)
            E = [] if self.clip_by is None else [np.asarray(loss, self.model.dtype) / B]
            return [loss, *update(*(g / B for g in sums), *E, *numbers), after]

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

    def function(self, is_masked: bool = False, is_single: bool = True) -> Function:
        """The compiled function of a step, for one sequence or a batch, with a mask or without.

        Parameters
        ----------
        is_masked : bool
            Whether sequences of a batch differ in length.
        is_single : bool
            Whether there is one sequence, and not a batch.
        """
        return self._once((is_masked, is_single), lambda: self._compile(is_masked, is_single))

    def _once(self, key: object, make: Callable[[], Function]) -> Function:
        function: Function = once(self._functions, key, make)
        return function

    def _network(self, is_masked: bool) -> tuple[list[Variable], Inputs, Network, list[Variable]]:
        """Symbols, inputs and network of a step, and K where each step has its own."""
        K = [] if self.scheme is None else [tensor.lscalar("K")]
        truncation = None if self.scheme is None else Truncation(self.scheme, *K)
        a = self.model.architecture
        return (*self.model.network(is_masked, kinds(a), a.variational, truncation), K)

    def _numbers(self) -> tuple[Variable, Optional[Variable]]:
        """The learning rate, and the clip where the step clips."""
        dtype = self.model.dtype
        clip = None if self.clip_by is None else tensor.scalar("clip", dtype)
        return tensor.scalar("learning_rate", dtype), clip

    def _compile_gradients(self, is_masked: bool) -> Function:
        """The loss of a piece, its gradients by all parameters, and the states after it."""
        symbols, _, net, K = self._network(is_masked)
        with building(floatX=self.model.dtype):
            gradients = theano.grad(net.loss, list(self.model.shared.values()))
        outputs = [net.loss, *gradients, net.after]
        return compile_function(symbols + K, outputs, name="gradients", precision=self.precision)

    def _compile_update(self) -> Function:
        """One update, by gradients that are given."""
        learning_rate, clip = self._numbers()
        E = tensor.scalar("E", self.model.dtype)
        with building(floatX=self.model.dtype):
            given = {name: p.type(f"d{name}") for name, p in self.model.shared.items()}
            gradients = dict(given)
            if self.l2:
                parameters = self.model.shared.values()
                dl2 = theano.grad(self._l2(), list(parameters), disconnected_inputs="ignore")
                gradients = {name: g + d for (name, g), d in zip(given.items(), dl2)}
            norm, updates = self._clipped_updates(list(gradients.values()), E, learning_rate, clip)
        if clip is None:
            return compile_function([*given.values(), learning_rate], [], updates, name="update")
        symbols = [*given.values(), E, learning_rate, clip]
        return compile_function(symbols, [norm], updates, name="update")

    def _compile(self, is_masked: bool, is_single: bool) -> Function:
        model = self.model
        symbols, inputs, net, K = self._network(is_masked)
        learning_rate, clip = self._numbers()
        with building(floatX=model.dtype):
            E = self._penalized(net, inputs)
            E = E if is_single else E / inputs.x.shape[1].astype(model.dtype)
            if self.is_sparse:
                norm, updates = self._row_updates(net, inputs, E, learning_rate, clip, is_single)
            else:
                norm, updates = self._whole_updates(net, inputs, E, learning_rate, clip)
        symbols += [learning_rate] + [clip] * (clip is not None) + K
        outputs = [net.loss] + [norm] * (clip is not None) + [net.after]
        return compile_function(symbols, outputs, updates, name="step", precision=self.precision)

    def _whole_updates(
        self, net: Network, inputs: Inputs, E: Variable, learning_rate: Variable, clip: Variable
    ) -> tuple[Variable, Updates]:
        """The norm of the gradient, and the updates of all rows of all parameters."""
        parameters = self.model.shared
        penalized = E + self._l2() if self.l2 else E
        gradients = theano.grad(penalized, list(parameters.values()))
        gradients = dict(zip(parameters, gradients))
        self._add_omega(gradients, net, inputs, E)
        return self._clipped_updates(list(gradients.values()), E, learning_rate, clip)

    def _l2(self) -> Variable:
        matrices = [p for p in self.model.shared.values() if p.ndim == 2]
        return np.asarray(self.l2, self.model.dtype) * regularization.l2(matrices)

    def _clipped_updates(
        self, gradients: Variables, E: Variable, learning_rate: Variable, clip: Variable
    ) -> tuple[Variable, Updates]:
        """The norm of the gradient, and the optimizer's updates by it, clipped."""
        if self.clip_by is None:
            return None, self._decayed(
                self.optimizer.updates(gradients, learning_rate), learning_rate
            )

        norm = global_norm(gradients)

        def guard(a: Variable) -> Variable:
            return if_finite(a, E + norm)

        # Every new parameter reads its clipped gradient, and that the clip: where the norm is not
        # finite, none is computed.
        clipped, _ = CLIPPINGS[self.clip_by](gradients, guard(clip))
        updates = self.optimizer.updates(clipped, learning_rate, guard)
        return norm, self._decayed(updates, learning_rate)

    def _decayed(self, updates: Updates, learning_rate: Variable) -> Updates:
        """The updates, of which those of matrices decay too."""
        if not self.weight_decay:
            return updates
        matrices = [p for p in self.model.shared.values() if p.ndim == 2]
        share = learning_rate * np.asarray(self.weight_decay, self.model.dtype)
        return [(p, new - share * p if p in matrices else new) for p, new in updates]

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
            if is_single and "V" in gradients and np.prod(architecture.shapes["V"]) > SMALL:
                squares["V"] = squared_norm_of_product(dlogits, net.output)
            if tied:
                squares["tied"] = tensor.sqr(rest[-1]).sum()
                squares["both"] = 2 * (rest[-1][tokens] * d_rows).sum()
            norm = tensor.sqrt(sum(squares.values()))
            learning_rate = if_finite(learning_rate, E + norm)  # every update reads it
        unclipped = learning_rate
        if self.clip_by == "norm":
            learning_rate = learning_rate * tensor.minimum(1, clip / norm)
        elif self.clip_by == "value":
            d_rows = tensor.clip(d_rows, -clip, clip)
            gradients = {name: tensor.clip(g, -clip, clip) for name, g in gradients.items()}
        after = table - learning_rate * rest[-1] if tied else table
        ((_, after),) = self._decayed([(table, after)], unclipped)
        updates = [(table, tensor.inc_subtensor(after[tokens], -learning_rate * d_rows))]
        others = [(shared[n], shared[n] - learning_rate * g) for n, g in gradients.items()]
        return norm, updates + self._decayed(others, unclipped)

    def _penalized(self, net: Network, inputs: Inputs) -> Variable:
        """The loss, plus the penalties on the states of the last layer."""
        if not (self.ar or self.tar):
            return net.loss
        s = net.states[-CELLS[self.model.architecture.cell].parts]
        return net.loss + regularization.activation_penalty(
            net.output, s, inputs.mask, self.ar, self.tar
        )

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
