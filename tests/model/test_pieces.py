"""Long sequences in pieces: the same loss, gradients and steps as at once, in flat memory."""

import functools
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import first, function_in_python
from kinds import GATES, assert_same

from theano_rnn import RNN, RNNError
from theano_rnn.model import batch_inputs as inputs
from theano_rnn.model.batch_inputs import batch_inputs, steps_of_piece
from theano_rnn.model.pieces import pieces
from theano_rnn.optim.step import Step

VOCAB, H, T = 7, 4, 23
#: Of batches: sequences of these lengths, the longest in as many pieces.
LENGTHS = (23, 5, 12)


@pytest.fixture
def in_small_pieces(monkeypatch):
    """Whether sequences are taken in pieces of at most 8 positions; at first they are."""

    def take(is_small):
        monkeypatch.setattr(inputs, "LONG", 8 if is_small else 10**6)
        monkeypatch.setattr(inputs, "PIECE", 8)

    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", function_in_python)
    take(True)
    return take


def tokens(B=None):
    shape = (2, T) if B is None else (2, T, B)
    return np.random.default_rng(0).integers(VOCAB, size=shape)


def batch():
    return *tokens(len(LENGTHS)), np.arange(T)[:, None] < LENGTHS


def test_a_piece_is_of_whole_chunks_and_only_a_long_sequence_is_cut():
    assert steps_of_piece(inputs.LONG, 1, 100) == inputs.LONG
    assert steps_of_piece(inputs.LONG + 1, 1, 100) == inputs.PIECE // 100 * 100
    assert steps_of_piece(10**6, 5, 100) == 200  # 1000 positions
    assert steps_of_piece(10**6, 32, 100) == 100  # a chunk is never cut
    assert steps_of_piece(10**6, 1, 2 * 10**6) == steps_of_piece(10**6, 1, None) == 10**6


def test_pieces_that_are_all_padding_are_left_out(in_small_pieces):
    x, y = tokens(2)
    mask = np.arange(T)[:, None] < (5, 3)
    model = RNN(VOCAB, H, truncation="chunk:3", dtype="float64")
    found = model.loss_and_state(x, y, mask=mask), model.bptt(x, y, mask)
    expected = (
        model.loss_and_state(x[:5], y[:5], mask=mask[:5]),
        model.bptt(x[:5], y[:5], mask[:5]),
    )
    assert found[0][0] == pytest.approx(expected[0][0], rel=1e-13)
    np.testing.assert_allclose(found[0][1], expected[0][1], rtol=1e-13)
    assert_same(found[1], expected[1], 1e-13)


@pytest.mark.parametrize("is_padded", [False, True])
def test_the_pieces_of_a_batch_are_all_of_it(is_padded, in_small_pieces):
    x, y, mask = batch()
    whole = batch_inputs(x, y, mask if is_padded else None, VOCAB, align_right=False)
    parts = [whole.of_steps(steps) for steps in pieces(whole, 2)]
    assert [len(part.x) for part in parts] == [2] * 11 + [1]
    for name in ("x", "y", *(["mask"] if is_padded else [])):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert (joined == getattr(whole, name)).all()
    if is_padded:
        for part in parts:
            assert (part.position == np.flatnonzero(part.mask)).all()


@pytest.mark.parametrize(
    "cell, layers, is_batch",
    first(1, [("tanh", 1, True), *itertools.product(GATES, (2,), (False, True))]),
)
def test_gradients_and_loss_in_pieces_are_those_at_once(cell, layers, is_batch, in_small_pieces):
    kind = dict(cell=cell, layers=layers, bias=True, dtype="float64", truncation="chunk:3")
    model = RNN(VOCAB, H, **kind)
    x, y, *mask = batch() if is_batch else tokens()
    shape = (T, len(LENGTHS), layers, H) if is_batch else (T, layers, H)
    kept = np.random.default_rng(1).uniform(0, 2, shape)
    found = []
    for is_small in (True, False):
        in_small_pieces(is_small)
        loss, state = model.loss_and_state(x, y, None, *mask)
        gradients = [model.bptt(x, y, *mask), model.bptt(x, y, *mask, kept=kept)]
        found.append({"loss": loss, "state": state, **gradients[0]})
        found.append(gradients[1])
        found.append({"predicted": model.predict(x)})
    for small, large in zip(found[:3], found[3:]):
        assert_same(small, large, 1e-12)


SETTINGS = (
    {"optimizer": "adam", "l2": 0.1},
    {"clip_by": "value", "scheme": "chunk"},
    {"clip_by": None, "weight_decay": 0.1},
)


@pytest.mark.parametrize(
    "settings, is_batch",
    first(2, [*zip(SETTINGS, (True, False)), *itertools.product(SETTINGS, (False, True))]),
)
def test_steps_in_pieces_are_those_at_once(settings, is_batch, in_small_pieces):
    x, y, *mask = batch() if is_batch else tokens()
    given = {"mask": mask[0]} if mask else {}
    given.update({"K": 3} if "scheme" in settings else {})
    ends = []
    for is_small in (True, False):
        in_small_pieces(is_small)
        model = RNN(VOCAB, H, bias=True, dropout=0.3, dtype="float64", truncation="chunk:3")
        step = Step(model, **settings)
        clip = None if step.clip_by is None else 0.05
        for _ in range(2):
            loss, norm, state = step(x, y, 0.5, clip, **given)
        ends.append({**model.parameters(), "loss": loss, "norm": norm, "state": state})
    assert_same(*ends, 1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_step_in_pieces_that_is_not_finite_changes_nothing(in_small_pieces):
    model = RNN(VOCAB, H, cell="relu", truncation="chunk:3")
    model.set_parameters({n: np.full_like(p, 1e5) for n, p in model.parameters().items()})
    before, step = model.parameters(), Step(model)
    with pytest.raises(RNNError, match="not finite"):
        step(*np.random.default_rng(0).integers(VOCAB, size=(2, 50)), 0.1, 1.0)
    assert_same(model.parameters(), before)


def test_other_truncations_and_means_over_all_steps_are_taken_at_once(
    in_small_pieces, monkeypatch
):
    at_once = functools.partial(np.zeros, 3)
    others = [("window:3", {}), ("full", {}), ("artbp:3", {})]
    for truncation, settings in others + [
        ("chunk:3", {name: 2.0}) for name in ("omega", "ar", "tar")
    ]:
        step = Step(RNN(VOCAB, H, truncation=truncation), **settings)
        monkeypatch.setattr(step, "function", lambda *_, **__: lambda *arrays: at_once())
        assert step(*tokens(), 0.1, 1.0)[0] == 0.0


def test_only_a_piece_must_fit_in_the_memory(monkeypatch):
    monkeypatch.setattr("theano_rnn.common.memory.total", lambda: 2 * 4 * 1024 * VOCAB)
    x = np.zeros(10_000, int)
    batch_inputs(x, x, None, VOCAB, align_right=False, whole=10)
    for whole in (None, 1025):
        with pytest.raises(RNNError, match="do not fit in the memory"):
            batch_inputs(x, x, None, VOCAB, align_right=False, whole=whole)


@pytest.mark.slow
def test_the_memory_of_a_step_and_of_a_loss_does_not_grow_with_the_length():
    program = """
import json, sys
import numpy as np
from theano_rnn import RNN
from theano_rnn.benchmark.child import memory_in_bytes
model = RNN(64, 100, truncation="chunk:100")
x = np.random.default_rng(0).integers(64, size=1_000_001)
peaks = []
for T in (20_000, 1_000_000):
    model.sgd_step(x[:T], x[1 : T + 1], 1e-6)
    model.bptt(x[:T], x[1 : T + 1])
    model.ce_error(x[:T], x[1 : T + 1])
    model.predict(x[:T])
    peaks.append(memory_in_bytes("VmHWM"))
print(json.dumps(peaks))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    short, long = json.loads(done.stdout)
    if short is None:
        pytest.skip("the system does not tell the peak of the memory")
    # Tokens and their copies take 8 bytes each; the states alone would be 400 MB.
    assert long - short < 64e6
