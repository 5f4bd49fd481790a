"""The values that a search tries for a setting, in a word.

::

    200,300,400       one of these
    0.2..0.6          any number from 0.2 to 0.6; whole numbers where the setting takes these
    100..400:50       in steps of 50
    0.001..0.01:log   any number, its logarithm evenly

>>> parse("dropout", "0.2..0.6")
Interval(low=0.2, high=0.6, step=None, log=False)
>>> parse("cell", "lstm,gru"), parse("hidden_size", "200")
(Choices(values=('lstm', 'gru')), 200)
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Union

from theano_rnn.common.errors import RNNError
from theano_rnn.common.names import did_you_mean
from theano_rnn.common.options import option
from theano_rnn.common.validation import shown
from theano_rnn.training.settings import Settings

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: Digits that a number between two others has: more would only make it hard to read.
DIGITS = 4
#: Steps of a range, at most.
MOST_STEPS = 10**9

NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})(?::(.+))?")
RANGED = re.compile(r"\.\.|,")
HOW = "write LOW..HIGH, LOW..HIGH:STEP or LOW..HIGH:log, as in 0.2..0.6"

#: Words for the values of a switch.
SWITCH = {"yes": True, "no": False}

#: What a search keeps as it is: the groups that say what is read, so that losses compare, and
#: what does not change the network; the seed, which would be chosen by luck; and the budget.
KEPT_GROUPS, KEPT = {"text", "run"}, {"seed", "minutes"}


def _searched() -> "dict[str, Field[Any]]":
    found, group = {}, ""
    for field in fields(Settings):
        if "help" in field.metadata:
            group = field.metadata["group"] or group
            if group not in KEPT_GROUPS and field.name not in KEPT:
                found[field.name] = field
    return found


#: The settings that may have a range, by name.
SEARCHED = _searched()
#: Those whose options take a word that is read here: a range of what a search keeps is an error
#: that says so.
WORDS = {*SEARCHED, *KEPT}


@dataclass(frozen=True)
class Choices:
    """One of some values.

    Attributes
    ----------
    values : tuple
    """

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return ",".join(map(word, self.values))

    @property
    def count(self) -> float:
        """The number of values."""
        return len(self.values)

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first value and the last."""
        return self.values[0], self.values[-1]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def near(self, value: Any) -> Any:
        """The value of the range that a sampler has drawn."""
        return value

    def distribution(self) -> "BaseDistribution":
        """The range as Optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


@dataclass(frozen=True)
class Interval:
    """The numbers from ``low`` to ``high``, both included; whole ones if these are ints.

    Attributes
    ----------
    low, high : int or float
    step : int or float or None
        Between two neighbours; ``high`` is a whole number of steps above ``low``.
    log : bool
        The logarithm is drawn evenly.
    """

    low: float
    high: float
    step: Union[int, float, None] = None
    log: bool = False

    def __str__(self) -> str:
        how = ":log" if self.log else "" if self.step in (None, 1) else f":{self.step}"
        return f"{self.low}..{self.high}{how}"

    @property
    def count(self) -> float:
        """The number of values; infinite without a step."""
        return math.inf if self.step is None else self._steps + 1

    @property
    def ends(self) -> tuple[float, float]:
        """The least value and the largest."""
        return self.low, self.high

    def __iter__(self) -> Iterator[float]:
        return map(self._at, range(self._steps + 1))

    def near(self, value: float) -> float:
        """The value of the range that a sampler has drawn, with few digits."""
        if self.step is None:
            return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)
        return self._at(round((value - self.low) / self.step))

    @property
    def _steps(self) -> int:
        assert self.step is not None
        width, step = self.high - self.low, self.step
        is_whole = isinstance(width, int) and isinstance(step, int)
        return int(width // step) if is_whole else round(width / step)

    def _at(self, step: int) -> float:
        number = Decimal(str(self.low)) + step * Decimal(str(self.step))
        return type(self.low)(number)

    def distribution(self) -> "BaseDistribution":
        """The range as Optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if isinstance(self.low, int):
            return IntDistribution(self.low, int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)


Range = Union[Choices, Interval]


def parse(name: str, given: Any) -> Any:
    """The range of a setting, or its value if that is only one.

    Parameters
    ----------
    name : str
        A setting in ``SEARCHED``.
    given : str, list or value
        A word as above, a list of values, or a value.

    Raises
    ------
    RNNError
        For a range that is empty or of another kind than the setting.
    """
    field = SEARCHED[name]
    if isinstance(given, str) and ".." in given:
        return _interval(field, given)
    if isinstance(given, str):
        words = given.split(",")
        if "" in words:
            raise RNNError(f"{name} {shown(given)} has an empty value; write it as in 1,2")
        values = [_value(field, word) for word in words]
    else:
        values = [_checked(field, v) for v in (given if isinstance(given, list) else [given])]
    if not values:
        raise RNNError(f"{name} has an empty list; give values, or leave it out")
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise RNNError(f"{name} has {word(twice[0])} twice; leave one out")
    return values[0] if len(values) == 1 else Choices(tuple(values))


def parse_all(given: dict[str, Any]) -> "tuple[dict[str, Any], dict[str, Range]]":
    """Split settings into those with one value and those with a range.

    Parameters
    ----------
    given : dict
        Words, lists or values by the names of settings.

    Raises
    ------
    RNNError
        For an unknown setting, one that a search keeps as it is, or a bad range.
    """
    fixed: dict[str, Any] = {}
    ranges: dict[str, Range] = {}
    for name, value in given.items():
        if name not in SEARCHED:
            fixed[name] = _kept(name, value)
            continue
        found = parse(name, value)
        (ranges if isinstance(found, (Choices, Interval)) else fixed)[name] = found
    return fixed, ranges


def _kept(name: str, value: Any) -> Any:
    """The value of a setting that is the same in all trials."""
    known = Settings.__dataclass_fields__
    if name not in known:
        meant = did_you_mean(name, known)
        raise RNNError(f"setting {shown(name)} is unknown{meant and f'; {meant}'}")
    option = known[name].metadata["kind"].option if "help" in known[name].metadata else {}
    is_read = isinstance(value, str) and not {"type", "action"}.isdisjoint(option)
    is_list = isinstance(value, list) and "nargs" not in option
    if is_list or (is_read and RANGED.search(value)):
        raise RNNError(
            f"{name} is the same in all trials, whose losses could not be compared otherwise; "
            "give it one value"
        )
    return _value(known[name], value) if is_read else value


def _value(field: "Field[Any]", word: str) -> Any:
    """The value of a setting that a word stands for."""
    kind = field.metadata["kind"]
    of_type = kind.option.get("type", str)
    if "action" in kind.option:
        if word not in SWITCH:
            raise RNNError(f"{field.name} must be yes or no, or yes,no, not {shown(word)}")
        return SWITCH[word]
    try:
        value = of_type(word)
    except ValueError:
        what = {int: "a whole number", float: "a number"}[of_type]
        raise RNNError(f"{field.name} must be {what}, not {shown(word)}") from None
    return _checked(field, value)


def _checked(field: "Field[Any]", value: Any) -> Any:
    if value is None and not field.metadata["zero"]:
        raise RNNError(f"{field.name} is null, which is no value; leave it out")
    if value == 0 and field.metadata["zero"]:
        return None
    if isinstance(value, int) and field.metadata["kind"].option.get("type") is float:
        value = value if isinstance(value, bool) else float(value)
    return field.metadata["kind"].check(value, field.name)


def _interval(field: "Field[Any]", word: str) -> Interval:
    name = field.name
    if "type" not in field.metadata["kind"].option:
        raise RNNError(f"{name} takes no range of numbers; give values with commas between them")
    found = RANGE.fullmatch(word)
    if found is None:
        raise RNNError(f"{name} {shown(word)} is no range; {HOW}")
    low, high = (_value(field, end) for end in found.group(1, 2))
    if low is None or not low < high:
        first = "1 or more, and 0 (off) only in a list" if low is None else "below the second"
        raise RNNError(f"{name} {word} is empty; the first number must be {first}")
    how, of_type = found[3], type(low)
    if how == "log":
        if low <= 0:
            raise RNNError(f"{name} {word} has no logarithm at {low}; begin above 0")
        return Interval(low, high, 1 if of_type is int else None, log=True)
    if how is None:
        return Interval(low, high, 1 if of_type is int else None)
    try:
        step = of_type(how)
    except ValueError:
        raise RNNError(f"{name} {shown(word)} is no range; {HOW}") from None
    if not 0 < step <= high - low:
        raise RNNError(f"{name} {word} has a step of {how}; it must be above 0 and fit the range")
    if (high - low) / step > MOST_STEPS:
        raise RNNError(f"{name} {word} has more than {MOST_STEPS:,} steps; leave the step out")
    steps = (Decimal(str(high)) - Decimal(str(low))) // Decimal(str(step))
    top = of_type(Decimal(str(low)) + steps * Decimal(str(step)))
    return Interval(low, top, step)


def word(value: Any) -> str:
    """A value as an option has it.

    >>> word(True), word(None), word(0.25)
    ('yes', '0', '0.25')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "0" if value is None else str(value)


def combinations(ranges: Mapping[str, Range]) -> Iterator[dict[str, Any]]:
    """All values of ranges that have a count, together."""
    for values in itertools.product(*ranges.values()):
        yield dict(zip(ranges, values))


def line(ranges: Mapping[str, Range]) -> str:
    """Ranges as options.

    >>> line({"dropout": Interval(0.2, 0.6), "bias": Choices((True, False))})
    '--dropout 0.2..0.6 --bias yes,no'
    """
    return " ".join(f"{option(name)} {each}" for name, each in ranges.items())
