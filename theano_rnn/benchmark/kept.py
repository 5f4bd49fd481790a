"""Today's figures beside those of a kept result: a loss of a tenth shows, on any machine.

Times are compared in units of a fixed loop, the multiplications in registers of ``roofline``: a
processor that takes half of the time for the loop should take half of it for a step too. So a
result that was kept on another machine says something, and one of the same machine says more.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record

#: What tells the rows of a section apart.
NAMES = (
    "workload", "cell", "truncation", "T", "threads", "option", "precision", "mode", "program",
)  # fmt: skip
#: The least change that is told.
CHANGE = 0.1


class Change(NamedTuple):
    """A figure that is another one now; ``times`` is now by then, in units of the loop."""

    name: str
    then: float
    now: float
    times: float


def figures(result: Record) -> Iterator[tuple[str, float]]:
    """The name of each step of ours in a result, and its median in milliseconds."""
    for section, rows in result.items():
        for row in rows if isinstance(rows, list) else ():
            name = " ".join([section, *(str(row[key]) for key in NAMES if key in row)])
            ours: Any = row.get("ours") or row.get("programs", {}).get("ours") or row
            if "ms" in ours:
                ms = float(ours["ms"]["median"])
                if not 0 < ms < math.inf:
                    raise ValueError
                yield name, ms


def is_result(value: Any) -> bool:
    """Whether a value is what ``benchmark --json`` writes."""
    try:
        dict(figures(value))
        loop = float(value["machine"]["operations_a_second"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return False
    return 0 < loop < math.inf


def changes(then: Record, now: Record) -> list[Change]:
    """The figures of two results that differ by more than ``CHANGE``, the slowest first.

    Parameters
    ----------
    then, now : dict
        What ``benchmark --json`` writes.

    Raises
    ------
    RNNError
        If ``then`` is no such result, or no step is in both.
    """
    if not is_result(then):
        raise RNNError("it is no result of benchmark --json; make it again")
    before = dict(figures(then))
    faster = now["machine"]["operations_a_second"] / then["machine"]["operations_a_second"]
    both = [(name, before[name], ms) for name, ms in figures(now) if name in before]
    if not both:
        raise RNNError(
            "no step of these sections is in it to compare with; leave --only out, or compare "
            "another file"
        )
    found = [Change(name, a, b, b / a * faster) for name, a, b in both]
    others = [each for each in found if abs(each.times - 1) > CHANGE]
    return sorted(others, key=lambda each: -each.times)
