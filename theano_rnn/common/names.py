"""What a misspelt name may have meant."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question with the known names that begin so or are spelt alike; "" if there are none.

    >>> did_you_mean("--hiden", ["--cell", "--hidden-size"])
    'did you mean --hidden-size?'
    >>> did_you_mean("--vocab", ["--valid", "--vocab-size"])
    'did you mean --vocab-size?'
    >>> did_you_mean("x", ["tanh", "gru"])
    ''
    """
    known = list(known)
    begin = [each for each in known if each.startswith(name) and len(name) > 3]
    alike = begin[:3] or difflib.get_close_matches(name, known, n=1)
    return f"did you mean {' or '.join(alike)}?" if alike else ""
