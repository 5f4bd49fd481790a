"""The colours of the page are told apart by all readers, in the light and in the dark."""

import itertools
import re

import pytest
from colours import SEEN, contrast, difference
from conftest import ROOT

STYLE = (ROOT / "theano_rnn/explore/style.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
MEANING = ("forward", "error", "bound", "ink")


def test_a_difference_is_that_of_the_literature():
    assert difference("#000000", "#ffffff") == pytest.approx(100)
    assert difference("#ff0000", "#00ff00") == pytest.approx(170.57, abs=0.05)
    # Two that readers without red cones take for one.
    assert difference("#d1495b", "#0b7a6f") > 80
    assert difference("#d1495b", "#0b7a6f", "without red cones") < 10
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("seen", SEEN)
def test_every_pair_of_colours_is_told_apart(theme, seen):
    for a, b in itertools.combinations(MEANING, 2):
        assert difference(theme[a], theme[b], seen) >= 25, (a, b)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_and_text_stand_out_from_the_page(theme):
    assert theme.keys() == LIGHT.keys()
    assert all(contrast(theme[name], theme["card"]) >= 3 for name in MEANING)
    for ground in "page", "card", "wash":
        assert all(contrast(theme[name], theme[ground]) >= 4.5 for name in ("ink", "soft"))
    assert contrast(theme["error"], theme["card"]) >= 4.5  # the word Next, on its button


def test_lines_of_other_colours_have_other_dashes():
    source = (ROOT / "theano_rnn/explore/pictures.js").read_text(encoding="utf-8")
    (dashes,) = re.findall(r"const DASHES = \{(.*?)\}", source)
    dashes = dict(re.findall(r'(\w+): "([\d ]*)"', dashes))
    assert dashes.keys() == {"bound", "product", "error"}
    assert len(set(dashes.values())) == 3
