"""The loss of a text, whatever the batches and pieces it is computed in."""

import math

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.optim.step import Step
from theano_rnn.reference import NumpyRNN
from theano_rnn.text.corpus import count_tokens, pairs
from theano_rnn.training import evaluation
from theano_rnn.training.evaluation import (
    dynamic_loss,
    format_perplexity,
    sentence_loss,
    stream_loss,
)

VOCAB_SIZE, CELL = 7, "tanh"


@pytest.fixture(scope="module")
def sequences():
    random = np.random.default_rng(1)
    return [random.integers(VOCAB_SIZE, size=n) for n in random.integers(2, 12, size=41)]


@pytest.fixture(scope="module")
def model():
    return RNN(VOCAB_SIZE, 4, cell=CELL, initialization="uniform:1", dtype="float64")


@pytest.fixture(scope="module")
def step(model):
    return Step(model)


@pytest.fixture
def parameters(model):
    """Those of the model, which has them again after the test."""
    before = model.parameters()
    yield before
    model.set_parameters(before)


def one_text(sequences):
    return [np.concatenate(part) for part in pairs(sequences)]


def test_the_loss_of_sentences_is_that_of_each_alone(model, sequences):
    numpy_rnn = NumpyRNN(model.parameters(), cell=CELL)
    expected = numpy_rnn.calculate_loss(*pairs(sequences))
    assert sentence_loss(model, sequences) == pytest.approx(expected, rel=1e-12)
    assert model.calculate_loss(*pairs(sequences)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("piece", [1, 7, 100, 1000])
def test_the_loss_of_a_stream_is_that_of_one_long_sequence(model, sequences, monkeypatch, piece):
    monkeypatch.setattr(evaluation, "PIECE", piece)
    x, y = one_text(sequences)
    assert len(x) % 7 and len(x) > 200, "the test needs several pieces, the last a short one"
    expected = NumpyRNN(model.parameters(), cell=CELL).ce_error(x, y) / len(x)
    assert stream_loss(model, sequences) == pytest.approx(expected, rel=1e-12)


def test_the_state_makes_a_difference_from_sentence_to_sentence(model, sequences):
    assert abs(stream_loss(model, sequences) - sentence_loss(model, sequences)) > 1e-3


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_rows_of_a_stream_begin_at_zero_and_leave_out_less_than_a_token_each(
    model, sequences, rows
):
    x, y = one_text(sequences)
    n = len(x) // rows
    assert 0 <= len(x) - n * rows <= rows - 1
    numpy_rnn = NumpyRNN(model.parameters(), cell=CELL)
    parts = [slice(b * n, (b + 1) * n) for b in range(rows)]
    expected = sum(numpy_rnn.ce_error(x[part], y[part]) for part in parts) / (n * rows)
    assert stream_loss(model, sequences, rows) == pytest.approx(expected, rel=1e-12)


def test_a_text_shorter_than_the_rows_is_refused(model, sequences):
    with pytest.raises(RNNError, match="fewer than the 1000 rows"):
        stream_loss(model, sequences, 1000)


@pytest.mark.parametrize(("parts", "rows"), [(0.5, 1), (3, 3), (9, 4)])
def test_a_training_reads_its_validation_text_in_rows_that_are_not_short(
    model, sequences, monkeypatch, parts, rows
):
    tokens = len(one_text(sequences)[0])
    monkeypatch.setattr(evaluation, "ROWS", 4)
    monkeypatch.setattr(evaluation, "LEAST", int(tokens / parts))
    found = evaluation.text_loss(model, sequences, is_stream=True, in_rows=True)
    assert found == stream_loss(model, sequences, rows)
    assert evaluation.text_loss(model, sequences, is_stream=True) == stream_loss(model, sequences)


def test_dynamic_evaluation_judges_each_sentence_before_it_learns_from_it(
    step, sequences, parameters
):
    numpy_rnn = NumpyRNN(parameters, cell=CELL)
    losses = [numpy_rnn.sgd_step(x, y, 0.2) for x, y in zip(*pairs(sequences))]
    found = dynamic_loss(step, sequences, learning_rate=0.2, clip=0)
    assert found == pytest.approx(sum(losses) / count_tokens(sequences), rel=1e-11)
    for name, value in step.model.parameters().items():
        np.testing.assert_allclose(value, numpy_rnn.parameters()[name], rtol=1e-9, atol=1e-12)


def test_dynamic_evaluation_clips(step, sequences, parameters):
    x, y = one_text(sequences[:1])
    _, norm, _ = step(x, y, 1e-300)
    dynamic_loss(step, sequences[:1], learning_rate=0.5, clip=norm / 10)
    moved = [(p - parameters[name]).ravel() for name, p in step.model.parameters().items()]
    assert np.linalg.norm(np.concatenate(moved)) == pytest.approx(0.5 * norm / 10)


def test_dynamic_evaluation_of_a_stream_carries_the_state_and_learns_after_each_piece(
    step, sequences, parameters
):
    x, y = one_text(sequences)
    model, total, state = step.model, 0.0, None
    for start in range(0, len(x), 50):
        piece = slice(start, start + 50)
        loss, after = model.loss_and_state(x[piece], y[piece], state)
        step(x[piece], y[piece], 0.2, 1.0, state=state)
        total, state = total + loss, after
    model.set_parameters(parameters)
    found = dynamic_loss(step, sequences, learning_rate=0.2, clip=1.0, steps=50)
    assert found == pytest.approx(total / len(x), rel=1e-12)


def test_dynamic_evaluation_at_hardly_any_rate_is_the_loss_of_the_text(
    step, sequences, parameters
):
    alone, stream = (dynamic_loss(step, sequences, 1e-15, 0, steps) for steps in (None, 7))
    assert alone == pytest.approx(sentence_loss(step.model, sequences), rel=1e-9)
    assert stream == pytest.approx(stream_loss(step.model, sequences), rel=1e-9)


@pytest.fixture(scope="module")
def growing():
    """A relu whose state is ten times as large after each token, and a long text."""
    model = RNN(VOCAB_SIZE, 4, cell="relu", initialization="identity", dtype="float32")
    values = model.parameters()
    model.set_parameters({**values, "U": abs(values["U"]), "W": 10 * values["W"]})
    return model, [np.ones(500, np.int64)]


def test_the_loss_of_a_stream_is_infinite_where_the_state_outgrows_all_numbers(growing):
    model, sequences = growing
    assert stream_loss(model, sequences) == math.inf
    assert math.isfinite(stream_loss(model, [sequences[0][:20]]))


def test_so_is_that_of_dynamic_evaluation(growing):
    model, sequences = growing
    step = Step(model)
    assert dynamic_loss(step, sequences, 1e-30, clip=1.0, steps=100) == math.inf


def test_a_perplexity_beyond_all_sense_is_shown_by_its_size():
    assert format_perplexity(96.46, 1) == "96.5" and format_perplexity(5.444, 2) == "5.44"
    assert format_perplexity(999_999.0, 1) == "999999.0"
    assert format_perplexity(math.exp(708), 2) == "3.0e+307"
