"""RNN.sample: what it draws, how it goes on, and what it refuses; and what a model is shown as."""

import numpy as np
import pytest

from theano_rnn import RNN, RNNError, Step
from theano_rnn.common.errors import NotFinite
from theano_rnn.model.draw import Draw
from theano_rnn.reference import NumpyRNN
from theano_rnn.text.corpus import build_corpus


@pytest.fixture(scope="module")
def model():
    return RNN(7, 4, cell="lstm", seed=1)


def test_each_token_is_drawn_after_all_before_it(model):
    how = {"temperature": 0.7, "top_k": 4, "top_p": 0.9}
    tokens, _ = model.sample(6, [0, 3], seed=5, **how)
    random, draw = np.random.default_rng(5), Draw(**how)
    text = [0, 3]
    for token in tokens:
        assert draw(model.forward_propagation(text)[-1], random) == token
        text.append(int(token))


def test_it_goes_on_from_a_state_as_if_it_had_not_stopped(model):
    whole, end = model.sample(9, [2], seed=3)
    random = np.random.default_rng(3)
    first, state = model.sample(4, [2], seed=random)
    second, after = model.sample(5, first[-1:], seed=random, state=state)
    assert [*first, *second] == whole.tolist() and (after == end).all()


def test_temperature_0_takes_the_most_likely_token(model):
    tokens, _ = model.sample(5, [0], temperature=0)
    again, _ = model.sample(5, [0], temperature=0, seed=9)
    assert tokens.tolist() == again.tolist()
    assert tokens[0] == model.predict([0])[-1]


def test_the_dtype_of_a_model_cannot_be_set(model):
    before = model.dtype
    with pytest.raises(AttributeError, match="dtype is fixed when the model is made"):
        model.dtype = "float64"
    assert model.dtype == before


def test_cuts_that_are_refused_draw_nothing():
    network = RNN(5, 3, dropout=0.5, truncation="artbp:3")
    before = network.random.bit_generator.state
    with pytest.raises(RNNError):
        Step(network)([0, 1, 2], [1, 2, 3], 0.1, cuts=[1, 0])
    assert network.random.bit_generator.state == before


def test_a_state_that_overflows_and_parameters_that_are_not_finite_are_told():
    model = RNN(3, 2, cell="relu")
    model.set_parameters({n: np.full_like(v, 1e30) for n, v in model.parameters().items()})
    for call in (
        lambda: model.sample(2, [0, 0]),
        lambda: model.next_token(0, np.full(2, 1e30)),
        lambda: model.predict([0, 1, 2]),
    ):
        with pytest.raises(NotFinite, match="not finite"):
            call()


@pytest.mark.parametrize("arguments, message", [
    ({"length": 0, "prime": [0]}, "length must be a whole number of at least 1"),
    ({"length": 3, "prime": []}, "prime is empty; pass at least one token"),
    ({"length": 3, "prime": [7]}, r"prime\[0\] is 7; pass token ids from 0 to 6"),
    ({"length": 3, "prime": [0], "temperature": -1}, "temperature must be"),
    ({"length": 3, "prime": [0], "seed": -1}, "seed must be"),
    ({"length": 3, "prime": [0], "state": np.zeros(3)}, r"state has shape \(3,\)"),
])  # fmt: skip
def test_bad_arguments_are_refused(model, arguments, message):
    with pytest.raises(RNNError, match=message):
        model.sample(**arguments)


def test_what_holds_much_is_shown_with_its_sizes():
    model = RNN(7, 4)
    shown = "RNN(7, 4, truncation='full') with 72 parameters"
    assert repr(Step(model, "adam", l2=0.1)) == f"Step({shown}, 'adam', clip_by='norm', l2=0.1)"
    by_hand = NumpyRNN(model.parameters(), "window:2")
    assert repr(by_hand) == "NumpyRNN('tanh', 'window:2'; U (4, 7), V (7, 4), W (4, 4))"
    corpus = build_corpus(["the cat sat"] * 3, ["a cat"], ["a dog"])
    vocabulary = "Vocabulary(6 tokens, level 'word')"
    assert repr(corpus.vocabulary) == vocabulary
    assert repr(corpus) == f"Corpus(tokens: 12 train, 3 valid, 3 test; {vocabulary})"


def test_a_model_is_shown_with_its_sizes():
    model = RNN(8000, 100, bias=True, dropout=0.5)
    assert str(model) == (
        "RNN(8000, 100, bias=True, dropout=0.5, truncation='full') with 1,618,100 parameters"
    )
