"""The oracle of bf16 rounds to the nearest number, and its bound holds and is nearly reached."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theano_rnn.reference import bf16

#: All positive finite bf16 numbers that are normal, 0, and the number after the largest.
ALL = np.arange(0x80, 0x7F81, dtype=np.uint32) << 16
NUMBERS = np.concatenate([[0.0], ALL[:-1].view(np.float32).astype(np.float64), [2.0**128]])

FLOATS = st.floats(2.0**-126, 2.0**127, width=32)


@given(FLOATS)
def test_it_is_the_nearest_number(a):
    after = float(bf16.rounded(np.float32(a)))
    assert after in NUMBERS
    assert abs(after - a) == abs(NUMBERS - a).min()
    assert float(bf16.rounded(np.float32(-a))) == -after


@pytest.mark.parametrize("at", [1, 2, 3, 1000, 1001, len(NUMBERS) - 3])
def test_between_two_it_is_the_even_one(at):
    halfway = np.float32((NUMBERS[at] + NUMBERS[at + 1]) / 2)
    after = bf16.rounded(halfway)
    assert after in NUMBERS[[at, at + 1]]
    assert after.view(np.uint32) >> 16 & 1 == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0.0, 0.0), (2.0**-126, 2.0**-126), (2.0**-127, 0.0), (1.5, 1.5), (1 + 2.0**-8, 1.0),
        (3.4028235e38, np.inf), (np.inf, np.inf), (np.nan, np.nan),
    ],
)  # fmt: skip
def test_of_numbers_at_the_ends(before, after):
    for sign in (1, -1):
        found = bf16.rounded(np.float32(sign * before))
        np.testing.assert_array_equal(found, np.float32(sign * after))


def test_a_product_rounds_its_factors_only():
    x, y = np.array([[1 + 2.0**-9, 3]], np.float32), np.array([[2], [2.0**-20]], np.float32)
    assert bf16.product(x, y) == 2 + 3 * 2.0**-20


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_a_product_is_within_the_bound_of_the_exact_one(seed, k):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(5, k)).astype("float32"), rng.normal(size=(k, 4)).astype("float32")
    exact = x.astype("float64") @ y.astype("float64")
    assert (abs(bf16.product(x, y) - exact) <= bf16.bound(x, y)).all()


def test_the_bound_is_reached_to_two_percent():
    a = np.full((1, 1), 1 + 2.0**-8, np.float32)
    off = float(a) ** 2 - bf16.product(a, a)
    assert 0.98 * bf16.bound(a, a) < off < bf16.bound(a, a)
