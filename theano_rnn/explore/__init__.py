"""The page that shows backpropagation through time of a small network, one step at a time.

It is one file that loads nothing: ``page.html`` with its style and its programs put in.

``network.js``   the network, its error and the way of the error back: plain numbers
``formulas.js``  numbers, matrices and formulas as markup
``pictures.js``  the network, the product of Jacobians and the activation, as SVG
``shown.js``     what is shown at one step
``page.js``      the controls, and the steps
``style.css``    colours and places, in the light and in the dark, on a screen and on a phone
"""

import re
from importlib import resources

__all__ = ["TITLE", "page"]

#: What tells that a file is such a page; it stands near its beginning.
TITLE = "<title>How an error travels back through time</title>"


def page() -> str:
    """Return the page as HTML that needs no other file and no network.

    Examples
    --------
    >>> page()[:15]
    '<!DOCTYPE html>'
    """

    def read(name: str) -> str:
        return (resources.files("theano_rnn.explore") / name).read_text(encoding="utf-8")

    made = re.sub(
        r'<link rel="stylesheet" href="([\w.]+)">',
        lambda m: f"<style>\n{read(m[1])}</style>",
        read("page.html"),
    )
    return re.sub(
        r'<script src="([\w.]+)"></script>',
        lambda m: f"<script>\n{read(m[1])}</script>",
        made,
    )
