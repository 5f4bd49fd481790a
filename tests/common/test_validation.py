"""Checks of arguments: what passes comes back in its working form, the rest is named."""

import fractions
import math
import warnings

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.common import validation

NOT_NUMBERS = [True, np.bool_(True), "1", None, [1], 1j, math.nan, math.inf, 10**400]


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2), fractions.Fraction(2)])
def test_real_numbers_pass_as_floats(value):
    assert validation.is_finite(value)
    for check in (validation.positive, validation.at_least_zero):
        assert type(check(value, "x")) is float and check(value, "x") == 2


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -1])
def test_other_values_are_refused_by_name(value):
    assert validation.is_finite(value) == (value == -1)
    for check in (validation.positive, validation.at_least_zero):
        with pytest.raises(RNNError, match=r"^rate must be"):
            check(value, "rate")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_infinity_is_not_finite_and_a_number_is_without_a_warning_whatever_its_dtype(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in ("float32", "float64"):
            assert validation.is_finite(kind(0.5), dtype)
            assert not validation.is_finite(kind("inf"), dtype)
            assert not validation.is_finite(kind("nan"), dtype)


def test_zero_is_not_positive():
    assert validation.at_least_zero(0, "x") == 0
    with pytest.raises(RNNError, match=r"not 0$"):
        validation.positive(0, "x")


def test_a_number_must_be_finite_in_the_dtype():
    assert validation.positive(1e39, "x") == 1e39
    with pytest.raises(RNNError, match=r"not 1e.39"):
        validation.positive(1e39, "x", "float32")


@pytest.mark.parametrize("value", [2, np.int8(2), np.uint64(2)])
def test_whole_numbers_pass_as_ints(value):
    assert type(validation.whole_number(value, "n", at_least=2)) is int


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 2.0, 1, 2**63])
def test_other_values_are_no_whole_numbers(value):
    with pytest.raises(RNNError, match=r"^n must be"):
        validation.whole_number(value, "n", at_least=2)


@pytest.mark.parametrize("value", ["c", "", None, ["a"], 5])
def test_a_word_must_be_one_of_the_choices(value):
    assert validation.one_of("a", "cell", ["a", "b"]) == "a"
    with pytest.raises(RNNError, match=r"^cell .* unknown; use a, b$"):
        validation.one_of(value, "cell", ["a", "b"])


def test_a_value_is_shown_in_at_most_sixty_characters():
    class Rude:
        def __repr__(self):
            raise RuntimeError

    assert validation.shown("x" * 10**6) == "'" + "x" * 55 + " ..."
    assert validation.shown(Rude()) == "an Rude that cannot be shown"
