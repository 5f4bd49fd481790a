"""Kinds of values for the fields of a dataclass; checks, options and docs are made from them.

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
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError


@dataclass(frozen=True)
class Kind:
    """The values that a field takes.

    Attributes
    ----------
    check : function (value, name) -> value
        Returns the value in the form that the dataclass stores; raises RNNError for a bad value.
    words : str
        The values in words, for a table.
    option : dict
        The arguments with which argparse reads a value.
    names : collection of str
        If the value is a name, the known names. A dict may grow later.
    summary : function (name) -> str
        The meaning of such a name, in a line.
    """

    check: Callable[[Any, str], Any]
    words: str
    option: Mapping[str, Any]
    names: Collection[str] = ()
    summary: Callable[[str], str] = lambda name: ""


def setting(
    default: Any,
    kind: Kind,
    help: str,
    *,
    group: str = "",
    zero: str = "",
    old: Sequence[str] = (),
    **option: Any,
) -> Any:
    """A field of a dataclass of settings, from which ``common.options`` makes an option.

    Parameters
    ----------
    default : value
        ``dataclasses.MISSING`` if the field must be given.
    kind : Kind
        The values it takes.
    help : str
        What it does, and the effect of more or less of it.
    group : str
        The heading that begins here; the fields after it belong to it too.
    zero : str
        What 0 means as an option, if the dataclass holds None instead.
    old : sequence of str
        Names of the setting in the runs of older versions.
    **option
        Further arguments of argparse's ``add_argument``.
    """
    about = {"kind": kind, "help": help, "group": group, "zero": zero, "old": old}
    return dataclasses.field(default=default, metadata={**about, "option": option})


def check(instance: Any) -> None:
    """Replace each field that has a kind by its checked value."""
    for field in dataclasses.fields(instance):
        if "kind" in field.metadata:
            value = field.metadata["kind"].check(getattr(instance, field.name), field.name)
            object.__setattr__(instance, field.name, value)  # it may be frozen


def whole_number(at_least: int, at_most: Optional[int] = None) -> Kind:
    """A whole number, stored as a Python int: sums of NumPy's ints wrap around."""

    def checked(value: Any, name: str) -> int:
        number = validation.whole_number(value, name, at_least)
        if at_most is not None and number > at_most:
            raise RNNError(f"{name} must be at most {at_most}, not {number}")
        return number

    words = f"whole number ≥ {at_least}" + ("" if at_most is None else f", ≤ {at_most}")
    return Kind(checked, words, {"type": int, "metavar": "N"})


_NUMBER = {"type": float, "metavar": "X"}


def _number(words: str, message: str, fits: Callable[[float], bool]) -> Kind:
    def checked(value: Any, name: str) -> float:
        if not validation.is_finite(value) or not fits(value):
            raise RNNError(f"{name} must be {message}, not {validation.shown(value)}")
        return float(value)

    return Kind(checked, words, _NUMBER)


def _true_or_false(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise RNNError(f"{name} must be True or False, not {validation.shown(value)}")
    return value


def _path(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise RNNError(f"{name} must be a name or None, not {validation.shown(value)}")
    return os.fspath(value)


def _paths(value: Any, name: str) -> Union[str, tuple[str, ...]]:
    if not isinstance(value, (list, tuple)):
        return _path(value, name)
    paths = tuple(_path(one, name) for one in value)
    if not paths:
        raise RNNError(f"{name} has no file; give at least one")
    return paths if len(paths) > 1 else paths[0]


class OnOrOff(argparse.Action):
    """A switch with an option for each of its values: itself, and ``off``, or its name with no."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, off: str, **about: Any):
        super().__init__([*option_strings, off, f"--no-{dest}"], dest, nargs=0, **about)
        self._on = option_strings

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
        option_string: Optional[str] = None,
    ) -> None:  # fmt: skip
        setattr(namespace, self.dest, option_string in self._on)


POSITIVE = Kind(validation.positive, "number > 0", _NUMBER)
AT_LEAST_ZERO = Kind(validation.at_least_zero, "number ≥ 0", _NUMBER)
SHARE = _number("0 ≤ number < 1", "a number from 0 to below 1", lambda x: 0 <= x < 1)
FACTOR = _number("0 < number ≤ 1", "above 0 and at most 1", lambda x: 0 < x <= 1)
SWITCH = Kind(_true_or_false, "yes or no", {"action": argparse.BooleanOptionalAction})
FILES = Kind(_paths, "one or more files", {"metavar": "FILE", "nargs": "+"})
NAME = Kind(_path, "a name", {"metavar": "NAME"})


def one_of(names: Collection[str], summary: Callable[[str], str] = lambda name: "") -> Kind:
    """One of some names; the error for an unknown name lists them."""
    return Kind(lambda value, name: validation.one_of(value, name, names), "", {}, names, summary)


def first_line(documented: object) -> str:
    """The first line of a docstring, without its full stop.

    >>> first_line(check)
    'Replace each field that has a kind by its checked value'
    """
    return (inspect.getdoc(documented) or "").partition("\n")[0].rstrip(".")


def parsed(parse: Callable[[Any], Any], words: str, metavar: str) -> Kind:
    """A word for which ``parse`` raises no RNNError; the field stores the word itself."""

    def checked(value: Any, name: str) -> str:
        parse(value)
        return str(value)

    return Kind(checked, words, {"metavar": metavar})


def optional(kind: Kind) -> Kind:
    """A value of the kind, or None."""

    def checked(value: Any, name: str) -> Any:
        return None if value is None else kind.check(value, name)

    return dataclasses.replace(kind, check=checked)
