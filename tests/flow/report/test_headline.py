"""The first sentence of a report, and its symbols."""

import dataclasses
import math
import re

import pytest
from flow.by_hand import findings_of

from theano_rnn.flow.decay import Piece
from theano_rnn.flow.report.headline import headline
from theano_rnn.flow.report.symbols import SYMBOLS, typeset


def said(T=20, inputs=None, **numbers):
    f = findings_of("x", "tanh", T, 0.5)
    verdict = dataclasses.replace(f.verdict, **{"horizon": None, **numbers})
    return headline(dataclasses.replace(f, verdict=verdict, inputs=inputs or f.inputs))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"rate": 0.72, "half_life": 2.11, "horizon": 14},
         "The error halves every 2.1 words; after 14 words less than 1 % is left."),
        ({"rate": 0.5, "half_life": 1.0, "horizon": 1},
         "The error halves every 1 word; after 1 word less than 1 % is left."),
        ({"rate": 0.95, "half_life": 13.5, "left": 0.377},
         "The error halves every 14 words; after 19 words, the most here, 38 % is left."),
        ({"rate": 2.0, "half_life": 1.04},
         "The error doubles every 1 word, going back over 19 words."),
        ({"rate": 1.0, "half_life": math.inf},
         "The error keeps its size over all 19 words of this text."),
        ({"rate": 0.9999, "half_life": 6931.0},
         "The error keeps its size over all 19 words of this text."),
        ({"rate": 0.0, "half_life": 0.0}, "Nothing of the error is left one word back."),
        ({"rate": None, "half_life": None, "T": 2},
         "This text of 2 words is too short to say how far the error reaches."),
        ({"rate": 0.5, "half_life": 1.5, "horizon": 7, "inputs": list("some letters and so")},
         "The error halves every 1.5 characters; after 7 characters less than 1 % is left."),
        ({"rate": 1.0, "half_life": math.inf, "horizon": 7},  # of those that are not lost
         "After 7 words less than 1 % of the error is left."),
        ({"rate": 4.0, "half_life": 0.5, "horizon": 9},
         "After 9 words less than 1 % of the error is left."),
        ({"rate": 1.0, "half_life": math.inf, "zeros": 0.81},
         "81% of the errors are exactly 0 before their own word."),
        ({"rate": 1.3, "half_life": 2.6, "observed": "too short to say", "left": 2.9, "T": 5},
         "This text of 5 words is too short to say how the error goes on; after 4 words, the "
         "most here, there is 2.9 times as much of the error."),
        ({"rate": 0.5, "half_life": 1.5, "horizon": 7, "inputs": list("0123456789") * 2},
         "The error halves every 1.5 tokens; after 7 tokens less than 1 % is left."),
        ({"rate": 0.5, "half_life": 1.5, "horizon": 7, "inputs": ["␣the", "␣un", "seen"] * 7},
         "The error halves every 1.5 tokens; after 7 tokens less than 1 % is left."),
    ],
)  # fmt: skip
def test_the_first_sentence_has_the_half_life_and_the_horizon(numbers, sentence):
    assert said(**numbers) == sentence


TWO = (Piece(0, 4, 0.3, 1.0), Piece(4, 19, 1.0, 0.01))


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"horizon": 4}, "After 4 words less than 1 % of the error is left."),
        ({"grown": 5}, "After 5 words there is more than 100 times as much of the error."),
        ({"left": 0.25}, "After 19 words, the most here, 25 % of the error is left."),
        ({"left": 2.5}, "After 19 words, the most here, there is 2.5 times as much of the error."),
    ],
)
def test_where_no_one_rate_fits_the_first_sentence_has_none(numbers, sentence):
    assert said(**{"rate": 1.0, "half_life": math.inf, "pieces": TWO, **numbers}) == sentence


def test_the_longest_lag_of_a_sample_is_that_of_its_texts():
    of_many = {"rate": 1.0, "half_life": math.inf, "texts": 50, "longest": 30}
    assert said(**of_many) == "The error keeps its size over all 30 words of these 50 texts."


@pytest.mark.parametrize(
    ("plain", "letters", "meaning"),
    [
        ("|dE_t/ds_k|", "‖∂Et/∂sk‖", "the norm of how much of the error of output t arrives at"),
        ("dE/dW", "∂E/∂W", "the gradient of the loss E by W"),
        ("ds_t/ds_{t-1}", "∂st/∂st−1", "the Jacobian of one step"),
        ("|ds_t/ds_{t-n}|", "‖∂st/∂st−n‖", "the norm of the product of the Jacobians from step"),
        ("gamma sigma_max(W)", "γσmax(W)", "the bound on the norm of one Jacobian"),
        ("sigma_max", "σmax", "the largest singular value of W"),
        ("Omega", "Ω", "how far the steps are"),
    ],
)  # fmt: skip
def test_a_symbol_is_mathml_and_says_what_it_means(plain, letters, meaning):
    made = typeset(f"a < b: {plain}, twice {plain}.")
    assert made.startswith("a &lt; b: <span") and made.count("<math>") == 2
    (first, _) = re.findall(r'title="(.*?)"><math>(.*?)</math>', made)
    assert re.sub("<.*?>", "", first[1]) == letters and first[0].startswith(meaning)


def test_words_that_only_resemble_a_symbol_stay_words():
    for plain in ("gammas", "dEar/dWell", "Omegas", "a/b", "sd_t/ds"):
        assert typeset(plain) == plain
    assert typeset("(a)^n") == "(a)<sup><i>n</i></sup>" and len(SYMBOLS) == 6


def test_of_real_numbers_the_first_sentence_counts_steps():
    f = findings_of("x", "tanh", 20, 0.5, is_text=False)
    f = dataclasses.replace(f, verdict=dataclasses.replace(f.verdict, half_life=2.5, horizon=14))
    assert headline(f) == "The error halves every 2.5 steps; after 14 steps less than 1 % is left."
