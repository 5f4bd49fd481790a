"""What cases are drawn from: damaged bytes, altered JSON, values of every wrong kind."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

#: No damage makes a file larger than this.
LARGEST = 2**20

#: What readers stumble over, put in anywhere.
PIECES = [
    b"", b"\0", b"\xff\xff\xff\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b",",
    b"1e999", b"-1e999", b"NaN", b"Infinity", b"-0", b"-1", b"9" * 400, b"9" * 5000, b"1e308",
    b"18446744073709551615", b"9223372036854775808", b"2147483648", b"null", b"true", b"{}",
    b"[]", b"[" * 3000, b'{"a":' * 3000, b"(" * 3000, b"-" * 3000, b'"\\ud800"', b'"\\u0000"',
    b"a" * 5000, b"../../../x", b"/dev/zero", b"\x80\x04\x95", b"cos\nsystem\n(S'true'\ntR.",
    b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY\x03\x00\xff\xff\xff\xff", b"_" * 999,
    "\u0301\u200d\U0001f600".encode(),
]  # fmt: skip

NUMBERS = [0, 1, 2, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]

KINDS = ["flip", "set", "cut", "remove", "repeat", "splice", "insert", "number", "swap"]

#: Edits of bytes: a kind and two places or values.
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**30), st.integers(0, 2**30)),
    min_size=1,
    max_size=4,
)


def damage(data: bytes, edits: Sequence[tuple[str, int, int]], others: Sequence[bytes]) -> bytes:
    """Bytes after some edits; ``others`` are what is spliced in."""
    for kind, a, b in edits:
        n = len(data)
        i = a % (n + 1)
        if kind == "flip" and n:
            i = a % n
            data = data[:i] + bytes([data[i] ^ 1 << b % 8]) + data[i + 1 :]
        elif kind == "set" and n:
            i = a % n
            data = data[:i] + bytes([b % 256]) + data[i + 1 :]
        elif kind == "cut":
            data = data[:i]
        elif kind == "remove":
            data = data[:i] + data[i + 1 + b % 64 :]
        elif kind == "repeat":
            part = data[i : i + 1 + b % 64]
            data = data[:i] + part * (1 + b % 3000) + data[i:]
        elif kind == "splice":
            other = others[b % len(others)]
            data = data[:i] + other[b % (len(other) + 1) :]
        elif kind == "insert":
            data = data[:i] + PIECES[b % len(PIECES)] + data[i:]
        elif kind == "number":
            width = (2, 4, 8)[a % 3]
            value = NUMBERS[b % len(NUMBERS)] % 2 ** (8 * width)
            data = data[:i] + value.to_bytes(width, "little") + data[i + width :]
        elif kind == "swap":
            j = b % (n + 1)
            data = data[:i] + data[j : j + 16] + data[i + 16 :]
        data = data[:LARGEST]
    return data


def damaged(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of some valid files, damaged."""
    seeds = list(seeds)
    return st.tuples(st.sampled_from(seeds), EDITS).map(lambda c: damage(c[0], c[1], seeds))


# ---- JSON

TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "\0", "\ud800", "a" * 3000, "/dev/zero", "../x", "full", "1e999", "%s"]),
)

INTEGERS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([-(2**63), 2**31, 2**63 - 1, 2**63, 2**64, 10**9, 10**12, 10**30, 10**400]),
)

FLOATS = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1.0, 1e-320, 1e308, float("inf"), float("-inf"), float("nan")]),
)

SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)

JSON: st.SearchStrategy = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.dictionaries(TEXTS, SCALARS, max_size=3),
    st.just([[[[]]]]),
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all that stands in a JSON value, itself too."""
    inner: Sequence = ()
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path] + [place for key, part in inner for place in places(part, (*path, key))]


def put(value: Any, path: tuple, new: Any, act: str) -> Any:
    """A copy of a JSON value with what stands at a path replaced, removed or doubled."""
    if not path:
        return new
    copy = value.copy()
    key, rest = path[0], path[1:]
    if rest or act == "replace":
        copy[key] = put(value[key], rest, new, act)
    elif act == "remove":
        del copy[key]
    elif isinstance(copy, list):
        copy.insert(key, new)
    else:
        copy[str(new)[:20] if act == "rename" else key + "x"] = copy[key]
    return copy


@st.composite
def altered(draw: Callable, values: Sequence[Any]) -> Any:
    """One of some JSON values with a few of its parts changed."""
    value = draw(st.sampled_from(list(values)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(value)))
        act = draw(st.sampled_from(["replace"] * 6 + ["remove", "add", "rename"]))
        value = put(value, path, draw(JSON), act)
    return value


def written(value: Any) -> bytes:
    """JSON of a value, NaN, infinity and lone surrogates included."""
    try:
        return json.dumps(value).encode()
    except ValueError:  # a number of more digits than Python writes
        return b"9" * 6000


def documents(values: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """JSON files: some valid ones, altered or damaged."""
    seeds = [written(value) for value in values]
    return st.one_of(altered(values).map(written), damaged(seeds), st.sampled_from(seeds))


# ---- arguments

DTYPES = [
    "int64", "int32", "int8", "uint8", "uint64", "float32", "float64", "float16", "bool",
    "complex64", "object", "U1", "S1", "M8[s]", "longdouble", ">i8", ">f4",
]  # fmt: skip


def array(shape: Sequence[int], dtype: str, seed: int, order: str) -> np.ndarray:
    """Small numbers of some dtype and memory order."""
    values = np.random.default_rng(seed).integers(0, 5, shape)
    made = values.astype(dtype)
    if order == "F":
        return np.asfortranarray(made)
    if order == "strided":
        wide = np.repeat(made, 2, axis=-1) if made.ndim else made
        return wide[..., ::2] if made.ndim else wide
    if order == "reversed":
        return made[::-1] if made.ndim else made
    if order == "broadcast" and made.ndim:
        return np.broadcast_to(made[:1], made.shape) if len(made) else made
    if order == "frozen":
        made.flags.writeable = False
    return made


ORDERS = ["C", "F", "strided", "reversed", "broadcast", "frozen"]

ARRAYS = st.builds(
    array,
    st.lists(st.integers(0, 5), max_size=4).map(tuple),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
    st.sampled_from(ORDERS),
)


class Rude:
    """Cannot be made an array of."""

    def __array__(self, *_: object) -> np.ndarray:
        raise TypeError("no array")


#: Anything at all, fresh each time.
ODD = st.one_of(
    JSON,
    ARRAYS,
    st.binary(max_size=6),
    st.sampled_from([np.float32(1), np.int8(100), np.bool_(True), np.float64("nan"), 1j]),
    st.sampled_from([Fraction(1, 3), Decimal("0.5"), Fraction(10**400), object, print, range(3)]),
    st.builds(Rude),
    st.builds(lambda: iter([1, 2])),
    st.builds(lambda: {1, 2}),
    st.builds(lambda: memoryview(b"\1\2")),
    st.just(10**5000),
    st.just([[1], [1, 2]]),
)


def mostly(good: st.SearchStrategy, odd: st.SearchStrategy = ODD) -> st.SearchStrategy:
    """Five of six times what is meant, else anything."""
    return st.integers(0, 5).flatmap(lambda i: odd if i == 0 else good)
