"""Fields of a dataclass that say which values they take: for the check, the options and the docs.

>>> from dataclasses import dataclass, field
>>> @dataclass(frozen=True)
... class Size:
...     rows: int = field(default=1, metadata={"kind": whole_number(1)})
...     def __post_init__(self) -> None:
...         check(self)
>>> Size(rows=0)
Traceback (most recent call last):
theano_rnn.common.errors.RNNError: rows must be a whole number of at least 1, not 0
"""

import argparse
import dataclasses
import inspect
import numbers
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError


@dataclass(frozen=True)
class Kind:
    """Which values a field takes.

    Attributes
    ----------
    check : function (value, name) -> value
        Returns the value in the form that the dataclass keeps; raises RNNError for a bad one.
    words : str
        The values in words, for a table.
    option : dict
        How argparse reads a value.
    names : collection of str
        The known names, where the value is one of them. A dict may grow later.
    summary : function (name) -> str
        What such a name means, in a line.
    """

    check: Callable[[Any, str], Any]
    words: str
    option: Mapping[str, Any]
    names: Collection[str] = ()
    summary: Callable[[str], str] = lambda name: ""


def check(instance: Any) -> None:
    """Replace each field of a dataclass by its checked value; a field without a kind stays."""
    for field in dataclasses.fields(instance):
        if "kind" in field.metadata:
            value = field.metadata["kind"].check(getattr(instance, field.name), field.name)
            object.__setattr__(instance, field.name, value)  # it may be frozen


def whole_number(at_least: int, at_most: Optional[int] = None) -> Kind:
    """An int, as an int of Python: four times a NumPy int8 is one too, and wraps around."""

    def checked(value: Any, name: str) -> int:
        number = validation.whole_number(value, name, at_least)
        if at_most is not None and number > at_most:
            raise RNNError(f"{name} must be at most {at_most}, not {number}")
        return number

    words = f"whole number ≥ {at_least}" + ("" if at_most is None else f", ≤ {at_most}")
    return Kind(checked, words, {"type": int, "metavar": "N"})


def _number(words: str, message: str, fits: Callable[[float], bool]) -> Kind:
    def checked(value: Any, name: str) -> float:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not fits(value):
            raise RNNError(f"{name} must be {message}, not {validation.shown(value)}")
        return float(value)

    return Kind(checked, words, {"type": float, "metavar": "X"})


def _true_or_false(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise RNNError(f"{name} must be True or False, not {validation.shown(value)}")
    return value


def _path(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise RNNError(f"{name} must be a name, or not given, not {validation.shown(value)}")
    return os.fspath(value)


_LARGEST = sys.float_info.max
POSITIVE = _number("number > 0", "a positive, finite number", lambda x: 0 < x <= _LARGEST)
AT_LEAST_ZERO = _number("number ≥ 0", "a finite number, 0 or more", lambda x: 0 <= x <= _LARGEST)
SHARE = _number("0 ≤ number < 1", "a number from 0 to below 1", lambda x: 0 <= x < 1)
FACTOR = _number("0 < number ≤ 1", "above 0 and at most 1", lambda x: 0 < x <= 1)
SWITCH = Kind(_true_or_false, "yes or no", {"action": argparse.BooleanOptionalAction})
FILE = Kind(_path, "a file", {"metavar": "FILE"})
NAME = Kind(_path, "a name", {"metavar": "NAME"})


def one_of(
    names: Collection[str],
    message: str = "use",
    summary: Callable[[str], str] = lambda name: "",
) -> Kind:
    """One of some names. ``message`` stands before them where a name is unknown."""

    def checked(value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in names:
            shown = validation.shown(value)
            raise RNNError(f"{name} {shown} is unknown; {message} {', '.join(names)}")
        return value

    return Kind(checked, "", {}, names, summary)


def first_line(documented: object) -> str:
    """The first line of a docstring, without its full stop.

    >>> first_line(check)
    'Replace each field of a dataclass by its checked value; a field without a kind stays'
    """
    return (inspect.getdoc(documented) or "").partition("\n")[0].rstrip(".")


def parsed(parse: Callable[[Any], Any], words: str, metavar: str) -> Kind:
    """A word that ``parse`` understands; it raises RNNError for others. The word is kept."""

    def checked(value: Any, name: str) -> str:
        parse(value)
        return str(value)

    return Kind(checked, words, {"metavar": metavar})


def optional(kind: Kind) -> Kind:
    """A value of the kind, or None."""

    def checked(value: Any, name: str) -> Any:
        return None if value is None else kind.check(value, name)

    return dataclasses.replace(kind, check=checked)
