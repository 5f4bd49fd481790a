"""Six tasks whose answer lies far back in the sequence.

===================  ======================  =====================================================
task                 inputs                  what is asked at the end
===================  ======================  =====================================================
temporal_order       6 symbols               the order of two marked symbols, A or B: which of 4
temporal_order_3     6 symbols               the order of three: which of 8
addition             a mark, a number        the mean of the two marked numbers
multiplication       a mark, a number        their product
permutation          100 symbols             the first symbol, 0 or 1
memorization         5 symbols, blank, go    the first ten symbols, after the blanks and the go
===================  ======================  =====================================================

A task draws its sequences from a random generator, time first: x (T, B, inputs), with symbols as
one-hot vectors, and y (answers, B), the targets of the last ``answers`` outputs. All sequences of
a batch have one length, so no batch needs padding or a mask. In the papers the length varies from
sequence to sequence in addition and multiplication; here it varies from batch to batch.

Each function of rng, length and batch below draws the sequences of the task of its name, as
``Task.generate`` returns them.

References
----------
S. Hochreiter, J. Schmidhuber, Long short-term memory (1997). J. Martens, I. Sutskever, Learning
recurrent neural networks with Hessian-free optimization (2011). R. Pascanu, T. Mikolov,
Y. Bengio, On the difficulty of training recurrent neural networks (2013), and its programs.
"""

from dataclasses import dataclass
from typing import Callable

import numpy as np

from theano_rnn.common import memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints

#: (rng, length, batch) -> x, y.
Draw = Callable[[np.random.Generator, int, int], tuple[Floats, Array]]

#: The shortest length: a tenth of it, the unit of the places in a sequence, is one step.
SHORTEST = 10

#: A number is wrong if its squared distance from the target is larger than this.
TOLERANCE = 0.04

#: Memorization: how many symbols must be remembered, and of how many kinds they are.
MEMORY, KINDS = 10, 5


@dataclass(frozen=True)
class Task:
    """A task: how to draw its sequences, and how to judge the answers.

    Attributes
    ----------
    name : str
    inputs, outputs : int
        The sizes of x_t and o_t.
    draw : function (rng, length, batch) -> x, y
    answers : int
        How many of the last outputs are judged; the others are ignored.
    is_symbol : bool
        Whether an answer is a symbol, with o_t its logits, or a number.
    baseline : float
        The error rate without looking at x: of a guess or, if the answer is a number, of always
        giving the mean of all answers.
    """

    name: str
    inputs: int
    outputs: int
    draw: Draw
    answers: int = 1
    is_symbol: bool = True
    baseline: float = 0.0

    def generate(self, rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
        """Random sequences and their targets.

        Parameters
        ----------
        rng : numpy.random.Generator
        length : int
            L. The sequences have T = L steps; for addition and multiplication T is random, from
            L to below 1.1 L, and for memorization T is L + 20.
        batch : int
            B, the number of sequences.

        Returns
        -------
        x : (T, B, inputs) float32
        y : (answers, B) int64 or, if an answer is a number, float32

        Raises
        ------
        RNNError
            For a length below 10, no sequence, or more than the memory holds.
        """
        length = validation.whole_number(length, "length", at_least=SHORTEST)
        batch = validation.whole_number(batch, "batch", at_least=1)
        if not isinstance(rng, np.random.Generator):
            raise RNNError(f"rng must be a numpy.random.Generator, not {validation.shown(rng)}")
        if 16 * (length + 2 * MEMORY) * batch * self.inputs > memory.total() // 2:
            raise RNNError(
                f"{batch:,} sequences of length {length:,} do not fit in the memory of this "
                "machine; make fewer or shorter ones"
            )
        return self.draw(rng, length, batch)

    def is_wrong(self, output: Floats, target: Array) -> Bools:
        """Whether any answer of a sequence is wrong, for each sequence.

        Parameters
        ----------
        output : (answers, B, outputs) array
            Logits or, if an answer is a number, the number.
        target : (answers, B) array

        Returns
        -------
        (B,) booleans
            An answer that is NaN or infinite is wrong.
        """
        if self.is_symbol:
            is_right = (output.argmax(axis=2) == target) & np.isfinite(output).all(axis=2)
        else:
            is_right = (output[:, :, 0] - target) ** 2 <= TOLERANCE
        is_wrong: Bools = ~is_right.all(axis=0)
        return is_wrong


# ---- the sequences


def temporal_order(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """A or B at a place p0 in [.1 L, .2 L) and at p1 in [.5 L, .6 L); elsewhere distractors.

    Symbols 0 and 1 are A and B, symbols 2 to 5 the distractors. The answer is v0 + 2 v1, with v0
    the symbol at p0 and v1 the symbol at p1.
    """
    return _ordered(rng, length, batch, (1, 5))


def temporal_order_3(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """As ``temporal_order``, with places from .1 L, .3 L and .6 L; answer v0 + 2 v1 + 4 v2."""
    return _ordered(rng, length, batch, (1, 3, 6))


def _ordered(
    rng: np.random.Generator, length: int, batch: int, tenths: tuple[int, ...]
) -> tuple[Floats, Array]:
    symbols = rng.integers(2, 6, (length, batch))
    y = np.zeros(batch, "int64")
    for i, tenth in enumerate(tenths):
        value = rng.integers(0, 2, batch)
        symbols[_place(rng, length, tenth, tenth + 1, batch), np.arange(batch)] = value
        y += value << i
    return one_hot(symbols, 6), y[np.newaxis]


def addition(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """Numbers uniform in [0, 1), two of them marked, a and b; the answer is (a + b) / 2.

    The batch has a random length l in [L, 1.1 L). The marks are at a place p0 < .1 l and at p1 in
    [.1 l, .5 l). x_t is the mark, 0 or 1, and the number.
    """
    x, a, b = _marked(rng, length, batch)
    return x, (a + b)[np.newaxis] / 2


def multiplication(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """As ``addition``; the answer is a b."""
    x, a, b = _marked(rng, length, batch)
    return x, (a * b)[np.newaxis]


def _marked(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Floats, Floats]:
    l = int(rng.integers(length, _tenths(11, length)))
    x = np.zeros((l, batch, 2), "float32")
    x[:, :, 1] = rng.random((l, batch), "float32")
    marked = []
    for first, end in ((0, 1), (1, 5)):
        p = _place(rng, l, first, end, batch)
        x[p, np.arange(batch), 0] = 1
        marked.append(x[p, np.arange(batch), 1])
    return x, *marked


def _place(rng: np.random.Generator, length: int, first: int, end: int, batch: int) -> Ints:
    """A random step for each sequence, from ``first`` to below ``end`` tenths of the length."""
    return rng.integers(_tenths(first, length), _tenths(end, length), batch)


def _tenths(n: int, length: int) -> int:
    """n tenths of the length, rounded up to a step."""
    return -(-n * length // 10)


def permutation(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """Symbols: the first is 0 or 1, all others are from 2 to 99; the answer is the first."""
    symbols = rng.integers(2, 100, (length, batch))
    symbols[0] = rng.integers(0, 2, batch)
    return one_hot(symbols, 100), symbols[:1].copy()


def memorization(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """Ten symbols of five kinds, L blanks, a go and nine blanks; the answers are the ten symbols.

    Blank is the symbol 5 and go is 6. The ten answers are due from the go on, in their order.
    """
    symbols = np.full((length + 2 * MEMORY, batch), KINDS)
    symbols[:MEMORY] = rng.integers(0, KINDS, (MEMORY, batch))
    symbols[MEMORY + length] = KINDS + 1
    return one_hot(symbols, KINDS + 2), symbols[:MEMORY].copy()


def one_hot(symbols: Ints, n: int) -> Floats:
    """One-hot vectors: 1 at the place of the symbol, 0 elsewhere.

    Parameters
    ----------
    symbols : (T, B) int array
    n : int
        How many symbols there are.

    Returns
    -------
    (T, B, n) float32 array
    """
    rows: Floats = np.eye(n, dtype="float32")[symbols]
    return rows


#: All tasks by name.
TASKS = {
    task.name: task
    for task in (
        Task("temporal_order", 6, 4, temporal_order, baseline=3 / 4),
        Task("temporal_order_3", 6, 8, temporal_order_3, baseline=7 / 8),
        Task("addition", 2, 1, addition, is_symbol=False, baseline=0.36),
        Task("multiplication", 2, 1, multiplication, is_symbol=False, baseline=0.39),
        Task("permutation", 100, 100, permutation, baseline=1 / 2),
        Task("memorization", KINDS + 2, KINDS, memorization, MEMORY, baseline=1 - 0.2**10),
    )
}
