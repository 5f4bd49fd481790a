"""What a search is over: a recipe, settings of all trials, and ranges of the others."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from theano_rnn.common.errors import RNNError
from theano_rnn.common.options import command_line
from theano_rnn.search.ranges import Range
from theano_rnn.text.reading import STANDARD_INPUT
from theano_rnn.training import defaults
from theano_rnn.training.recipes import RECIPES, replaced
from theano_rnn.training.settings import Settings
from theano_rnn.training.start import TEXTS

#: Most trials, of the ends of the ranges, that are tried before none is thought to fit.
MOST_ENDS = 256


@dataclass(frozen=True)
class Plan:
    """The settings of the trials.

    Parameters
    ----------
    fixed : dict
        Settings of all trials, by name.
    ranges : dict
        At least one ``Range``, by the name of its setting.
    recipe : str, optional
        The name of a recipe, whose settings the others replace.

    Raises
    ------
    RNNError
        If there is no range, the text can be read only once, threads are given, or no values of
        the ranges go together.
    """

    fixed: Mapping[str, Any]
    ranges: Mapping[str, Range]
    recipe: Optional[str] = None

    def __post_init__(self) -> None:
        if not self.ranges:
            raise RNNError(
                "no setting has a range, so there is nothing to search; give one, as in "
                "--dropout 0.2..0.6 or --hidden-size 200,300"
            )
        if self.fixed.get("threads", 1) != 1:
            raise RNNError("threads is 1 in a search, as its trials share the cores; leave it out")
        texts = (self.fixed.get(name) for name in TEXTS)
        if any(STANDARD_INPUT in (t if isinstance(t, (list, tuple)) else [t]) for t in texts):
            raise RNNError("each trial reads the text again; write standard input to a file first")
        self.example()

    @property
    def count(self) -> float:
        """How many trials there can be; infinite where a range has no steps."""
        return math.prod(each.count for each in self.ranges.values())

    @property
    def given(self) -> Optional[list[str]]:
        """The settings that a trial does not choose to fit the text; None: it chooses none."""
        return None if self.recipe is not None else [*self.fixed, *self.ranges]

    def values(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a trial, by name.

        Parameters
        ----------
        chosen : dict
            A value of each range.
        """
        recipe = {} if self.recipe is None else RECIPES[self.recipe]
        return replaced(recipe, {**self.fixed, **chosen, "threads": 1})

    def example(self) -> Settings:
        """The settings of one trial, at ends of the ranges.

        Raises
        ------
        RNNError
            If no ends go together; the message is that of the first.
        """
        first: Optional[RNNError] = None
        ends = itertools.product(*(each.ends for each in self.ranges.values()))
        for values in itertools.islice(ends, MOST_ENDS):
            try:
                settings = Settings(**self.values(dict(zip(self.ranges, values))))
                fitted = settings
                if self.given is not None:
                    chosen = defaults.fitting(settings, self.given, defaults.LARGE)
                    fitted = dataclasses.replace(settings, **chosen)
                fitted.check_given([*self.fixed, *self.ranges])
                return settings
            except RNNError as error:
                first = first or error
        assert first is not None
        raise first

    def identity(self) -> dict[str, Any]:
        """What makes it this search, as JSON has it; the text may move."""
        fixed = {name: value for name, value in self.fixed.items() if name not in TEXTS}
        ranges = {name: str(each) for name, each in self.ranges.items()}
        return {"recipe": self.recipe, **fixed, **ranges}

    def options(self, chosen: Mapping[str, Any]) -> str:
        """The options of ``train`` that train a trial again.

        Parameters
        ----------
        chosen : dict
            As for ``values``.
        """
        recipe = {} if self.recipe is None else {"recipe": self.recipe}
        texts = {name: self.fixed[name] for name in sorted(TEXTS & self.fixed.keys())}
        values = {**texts, **recipe, **self.fixed, **chosen}
        values.pop("threads", None)
        # Such as lr_decay, where the schedule of this trial does not read it.
        for name in Settings(**self.values(chosen)).without_effect(values):
            del values[name]
        return command_line(values, Settings)
