"""Six tasks whose answer lies far back: what a network must remember to solve them.

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

A task draws its sequences from a generator, time first: x (T, B, inputs), symbols as one-hot
vectors; y (answers, B), what the last ``answers`` outputs should be. All sequences of a batch
have one length, so that no batch is padded and none needs a mask: where the length varies from
sequence to sequence, in addition and multiplication, here it varies from batch to batch.

The functions of rng, length and batch below draw the sequences of the task of their name, as
``Task.generate`` says.

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

#: Of the shortest sequences that have all the places of a task: a tenth is a step.
SHORTEST = 10

#: A number is wrong if it is farther than this from the target, squared.
TOLERANCE = 0.04

#: Symbols to memorise, and of how many kinds.
MEMORY, KINDS = 10, 5


@dataclass(frozen=True)
class Task:
    """What a network for a task reads and says.

    Attributes
    ----------
    name : str
    inputs, outputs : int
        The sizes of x_t and o_t.
    draw : function (rng, length, batch) -> x, y
    answers : int
        The last so many outputs are asked for; the others are free.
    is_symbol : bool
        Whether an answer is a symbol, which o_t gives the logits of, or a number.
    baseline : float
        Share of the sequences that are answered wrongly by who knows nothing of x: by a guess
        or, where an answer is a number, by the mean of all answers.
    """

    name: str
    inputs: int
    outputs: int
    draw: Draw
    answers: int = 1
    is_symbol: bool = True
    baseline: float = 0.0

    def generate(self, rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
        """Sequences and what is asked of them.

        Parameters
        ----------
        rng : numpy.random.Generator
        length : int
            L. T is L, but from L to below 1.1 L for addition and
            multiplication and L + 20 for memorization.
        batch : int
            B, how many sequences.

        Returns
        -------
        x : (T, B, inputs) float32
        y : (answers, B) int64 or, where an answer is a number, float32

        Raises
        ------
        RNNError
            For a length below 10, or no sequence.
        """
        length = validation.whole_number(length, "length", at_least=SHORTEST)
        batch = validation.whole_number(batch, "batch", at_least=1)
        if not isinstance(rng, np.random.Generator):
            raise RNNError(f"rng must be a numpy.random.Generator, not {validation.shown(rng)}")
        if 16 * (length + 2 * MEMORY) * batch * self.inputs > memory.total() // 2:
            raise RNNError(
                f"{batch:,} sequences of length {length:,} are more than the memory of this "
                "machine holds; make fewer or shorter ones"
            )
        return self.draw(rng, length, batch)

    def is_wrong(self, output: Floats, target: Array) -> Bools:
        """Which sequences are answered wrongly.

        Parameters
        ----------
        output : (answers, B, outputs) array
            Logits or, where an answer is a number, the number.
        target : (answers, B) array

        Returns
        -------
        (B,) booleans
            Whether any answer is wrong. One that is not a number is.
        """
        if self.is_symbol:
            is_right = (output.argmax(axis=2) == target) & np.isfinite(output).all(axis=2)
        else:
            is_right = (output[:, :, 0] - target) ** 2 <= TOLERANCE
        is_wrong: Bools = ~is_right.all(axis=0)
        return is_wrong


def find(name: str) -> Task:
    """A task by name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Task

    Raises
    ------
    RNNError
        For a name that is not one of TASKS.

    Examples
    --------
    >>> find("addition").inputs, find("temporal_order").outputs
    (2, 4)
    """
    if not isinstance(name, str) or name not in TASKS:
        raise RNNError(
            f"task {validation.shown(name)} is unknown; the tasks are {', '.join(TASKS)}"
        )
    return TASKS[name]


# ---- the sequences


def temporal_order(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """A or B at p0 in [.1 L, .2 L) and at p1 in [.5 L, .6 L), else one of four distractors.

    Symbols 0 and 1 are A and B. The answer is v0 + 2 v1, of v0 at p0 and v1 at p1.
    """
    return _ordered(rng, length, batch, (1, 5))


def temporal_order_3(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """A or B at three places, from .1 L, .3 L and .6 L, each .1 L wide; v0 + 2 v1 + 4 v2."""
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
    """Numbers uniform in [0, 1), two of them marked; (a + b) / 2.

    The length of the batch is l, in [L, 1.1 L); the marks are at p0 < .1 l and at p1 in
    [.1 l, .5 l). x_t is the mark, 0 or 1, and the number.
    """
    x, a, b = _marked(rng, length, batch)
    return x, (a + b)[np.newaxis] / 2


def multiplication(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """The numbers and marks of ``addition``; a b."""
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
    """A step for each sequence, from ``first`` to below ``end`` tenths of the length."""
    return rng.integers(_tenths(first, length), _tenths(end, length), batch)


def _tenths(n: int, length: int) -> int:
    """The first step that is not before n tenths of the length."""
    return -(-n * length // 10)


def permutation(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """The first symbol is 0 or 1, the others any of 2..99; the answer is the first."""
    symbols = rng.integers(2, 100, (length, batch))
    symbols[0] = rng.integers(0, 2, batch)
    return one_hot(symbols, 100), symbols[:1].copy()


def memorization(rng: np.random.Generator, length: int, batch: int) -> tuple[Floats, Array]:
    """Ten symbols of five, L blanks, go; from there on the ten are asked for, in their order.

    Blank is the symbol 5 and go 6; blanks follow it too, as the answers take ten steps.
    """
    symbols = np.full((length + 2 * MEMORY, batch), KINDS)
    symbols[:MEMORY] = rng.integers(0, KINDS, (MEMORY, batch))
    symbols[MEMORY + length] = KINDS + 1
    return one_hot(symbols, KINDS + 2), symbols[:MEMORY].copy()


def one_hot(symbols: Ints, n: int) -> Floats:
    """(T, B, n) float32: 1 at each symbol, else 0.

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
