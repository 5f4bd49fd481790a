"""The colours and dashes of the figures are told apart, in the light and in the dark."""

import itertools
import re

import pytest
from colours import SEEN, contrast, difference
from flow.by_hand import of_lstm, of_sigmoid, of_tanh

from theano_rnn.flow.report import colours, credit, figures, png
from theano_rnn.flow.report.html import _read, palette
from theano_rnn.flow.report.marks import Line

GROUNDS = {"light": "#ffffff", "dark": "#161b22"}
THEMES = {"light": list(colours.DARK), "dark": list(colours.DARK.values())}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("seen", SEEN)
def test_every_pair_of_colours_is_told_apart(theme, seen):
    for a, b in itertools.combinations(THEMES[theme], 2):
        assert difference(a, b, seen) >= 25, (a, b)
    assert all(contrast(c, GROUNDS[theme]) >= 2 for c in THEMES[theme])


def test_the_page_has_these_colours_on_these_grounds():
    assert [re.findall(r"--card: (#\w+)", _read("report.css"))] == [list(GROUNDS.values())]
    assert all(f"--c{c[1:]}:{c};" in palette() for c in colours.DARK)
    assert all(f"--c{c[1:]}:{dark};" in palette() for c, dark in colours.DARK.items())


@pytest.mark.parametrize("seen", SEEN)
def test_the_methods_of_a_comparison_are_told_apart(seen):
    looks = [*credit.SCHEMES.values(), *((*look, "") for look in credit.LOOKS.values())]
    used = [look[0] for look in looks] + [credit.PLUM]
    assert len(used) == 10 and len({look[1:] for look in looks}) == len(looks)
    for a, b in itertools.combinations(used, 2):
        assert difference(a, b, seen) >= 25, (a, b)
    assert all(contrast(c, "#ffffff") >= 2 for c in used)
    assert {look[1] for look in looks} <= set(png.DASHES)


@pytest.mark.parametrize("of", [of_tanh, of_sigmoid, of_lstm])
def test_no_two_lines_of_a_figure_share_colour_or_dash(of):
    f = of()
    for figure in figures.lag(f), figures.truncation(f), figures.lags([f] * 4):
        lines = {m.name + m.colour: m for m in figure.panels[0].marks if isinstance(m, Line)}
        # Lines of one colour are of one kind: the layers of the gates, a scheme and its star.
        styles = {m.colour: m.dash for m in lines.values() if m.dash and m.opacity == 1}
        assert len(set(styles.values())) == len(styles)
        assert set(styles) <= set(colours.DARK) and set(styles.values()) <= set(png.DASHES)
