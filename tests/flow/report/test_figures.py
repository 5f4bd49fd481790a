"""The figures of a report: what they show, and that the page and Matplotlib draw the same."""

import dataclasses
import itertools

import matplotlib.style
import numpy as np
import pytest
from flow.by_hand import FOUND, findings_of, of_lstm, of_relu, of_sigmoid, of_tanh, wave
from matplotlib.colors import to_hex

from theano_rnn.flow.report import axes, figures, interactive, png
from theano_rnn.flow.report.marks import Bars, Level, Line, Map
from theano_rnn.flow.report.symbols import typeset

FAULT = ("window:4", "last:4")


def several():
    return [findings_of("tanh", "tanh", 12, 0.7), of_lstm(), of_sigmoid()]


OF_ONE = {
    "heat": figures.heat,
    "one output": figures.one_output,
    "lag": figures.lag,
    "operating": figures.operating,
    "saturation": figures.saturation,
    "contributions": figures.contributions,
    "truncation": figures.truncation,
}
OF_SEVERAL = {
    "masked": lambda: figures.maps([figures.masked(several()[0], FAULT)]),
    "each": lambda: figures.maps([figures.each(several()[:2]), figures.each(several()[2:])]),
    "lags": lambda: figures.lags(several()),
    "demonstration": lambda: figures.demonstration(several(), FAULT),
}
ALL = {
    **{
        f"{name} of {of}": lambda draw=draw, make=make: draw(make())
        for (name, draw), (of, make) in itertools.product(OF_ONE.items(), FOUND.items())
    },
    **OF_SEVERAL,
}


# ---- both renderers draw what is described

DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot", "None": ""}


def described(figure):
    """Each series: what it is, colour, dash, numbers; a map's colours in place of a dash."""
    found = []
    for mark in [mark for panel in figure.panels for mark in panel.marks]:
        if isinstance(mark, Line):
            found.append(("line", mark.colour, mark.dash, mark.x, mark.y))
        elif isinstance(mark, Bars):
            found.append(("bars", mark.colour, "", mark.x, mark.y))
        elif isinstance(mark, Map):
            found.append(("map", mark.colour or "viridis", (mark.low, mark.high), mark.x, mark.z))
        elif isinstance(mark, Level):
            found.append(("level", mark.colour, mark.dash, [], [mark.y]))
    return found


def by_page(figure):
    found = []
    for mark in [m for row in interactive.spec(figure)["rows"] for panel in row
                 for m in panel["marks"]]:  # fmt: skip
        kind, colour = mark["kind"], mark["colour"]
        if kind == "level":
            found.append((kind, colour, mark["dash"], [], [mark["y"]]))
        elif kind == "map":
            ends = mark["low"], mark["high"]
            found.append((kind, colour or "viridis", ends, mark["x"], mark["z"]))
        else:
            found.append((kind, colour, mark.get("dash", ""), mark["x"], mark["y"]))
    return found


def dash_of(line):
    """The name of a line's dash; of one's own, which Matplotlib calls "--", by its lengths."""
    _, lengths = line._unscaled_dash_pattern
    own = png.DASHES["long"][1]
    return "long" if lengths == own else DASHES[line.get_linestyle()]


def by_matplotlib(figure):
    found = []
    with matplotlib.style.context("default"):
        drawn = png.drawn(figure)
    for ax in drawn.axes[: sum(map(len, figure.rows))]:
        for line in ax.lines:
            (x, y), dash = line.get_data(), dash_of(line)
            if list(x) == [0, 1] and y[0] == y[1] and line.get_transform() != ax.transData:
                found.append(("level", to_hex(line.get_color()), dash, [], y[:1]))
            elif len(x):  # what is empty stands for a map in the legend
                found.append(("line", to_hex(line.get_color()), dash, x, y))
        for bars in ax.containers:
            x = [bar.get_x() + bar.get_width() / 2 for bar in bars]
            y = [bar.get_height() for bar in bars]
            found.append(("bars", to_hex(bars[0].get_facecolor()), "", x, y))
        for image in ax.images:
            left, right, _, _ = image.get_extent()
            x, flat = np.arange(left + 0.5, right), image.cmap.N == 1
            colour = to_hex(image.cmap(0)) if flat else image.cmap.name
            z = image.get_array().filled(np.nan)
            found.append(("map", colour, image.get_clim(), x, z))
    return found


def ordered(series):
    return sorted(series, key=lambda of: (of[:3], np.nansum(np.array(of[4], float))))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("renderer", [by_page, by_matplotlib])
def test_both_renderers_draw_the_same_series_in_the_same_colours_and_dashes(name, renderer):
    figure = ALL[name]()
    expected, found = ordered(described(figure)), ordered(renderer(figure))
    assert [of[:3] for of in found] == [of[:3] for of in expected] and found
    for (*_, x, y), (*_, x_described, y_described) in zip(found, expected):
        np.testing.assert_allclose(np.array(x, float), np.array(x_described, float), atol=1e-12)
        y, y_described = np.array(y, float), np.array(y_described, float)
        y = np.where(np.isnan(y), np.nan, y)
        left_out = np.isnan(y) & (y_described <= png.DRAWN[0])  # on a logarithmic axis
        np.testing.assert_array_equal(y[~left_out], y_described[~left_out])


@pytest.mark.parametrize("name", ALL)
def test_both_renderers_have_the_same_axes(name):
    figure = ALL[name]()
    page = interactive.spec(figure)
    with matplotlib.style.context("default"):
        drawn = png.drawn(figure)
    described = [panel for row in page["rows"] for panel in row]
    for ax, panel, other in zip(drawn.axes, figure.panels, described):
        for of, a in (("x", panel.x), ("y", panel.y)):
            assert other[of].get("title", "") == a.title
            assert getattr(ax, f"get_{of}label")() == png.marked(a.title)
            is_log = getattr(ax, f"get_{of}scale")() == "log"
            assert is_log == a.is_log == other[of].get("log", False)
            if a.range is not None:
                np.testing.assert_allclose(getattr(ax, f"get_{of}lim")(), a.range)
                np.testing.assert_allclose(other[of]["range"], a.range)
            if a.ticks is not None:
                ticks = getattr(ax, f"get_{of}ticks")()
                assert list(other[of]["ticks"]) == list(ticks) == list(a.ticks)
                assert list(other[of]["labels"]) == list(a.labels)
                labels = [text.get_text() for text in getattr(ax, f"get_{of}ticklabels")()]
                assert labels == [png.marked(text) for text in a.labels]


def test_a_name_stands_in_each_legend_once():
    figure = figures.lag(of_tanh())
    names = {mark.name for mark in figure.panels[0].marks}
    assert len(names) == 6
    legend = png.drawn(figure).axes[0].get_legend()
    assert {text.get_text() for text in legend.get_texts()} == set(map(png.marked, names))


def test_words_become_neither_html_nor_mathematics():
    assert typeset("<b> & dE_t/ds_k") == ("&lt;b&gt; &amp; " + typeset("dE_t/ds_k"))
    assert png.marked("$x_t$ of ds_t/ds_{t-n}") == r"\$x_t\$ of ds$_{t}$/ds$_{t-n}$"


# ---- axes


def test_the_words_of_an_axis_stand_upright_where_they_are_more_than_ten():
    for n in (10, 11):
        axis = axes.words_axis(["a"] * n, "x")
        assert (axis.is_upright, list(axis.ticks)) == (n > 10, list(range(1, n + 1)))
        assert not axes.words_axis(["a"] * n, "y", is_x=False).is_upright
    ticks = [len(axes.words_axis(["a"] * n, "x").ticks) for n in (60, 61, 121, 500)]
    assert ticks == [60, 31, 41, 56]
    assert axes.words_axis(["a"] * 70, "x", first=8).ticks[:3] == [9, 11, 13]
    axis = axes.words_axis([str(i) for i in range(500)], "step")
    assert axis.labels[1] == str(axis.ticks[1] - 1)
    assert axis.range == axes.words_axis(["a"] * 500, "y", is_x=False).range[::-1] == (0.5, 500.5)


def test_ticks_are_about_a_dozen():
    assert [axes.whole_tick(n) for n in (12, 13, 120, 121, 10**9)] == [1, 2, 10, 20, 10**8]
    assert axes.whole_tick(10**11) == 10**11
    assert [axes.first_step(T) for T in (150, 151)] == [0, 1]


def test_a_logarithmic_range_is_of_positive_finite_numbers():
    values = np.array([0, 2, 0.5, -3, np.nan, np.inf])
    assert axes.log_range(values) == (0.5, 2) and axes.log_range(values, 5, 10) == (0.1, 20)
    assert axes.log_range(np.zeros(3)) == (0.1, 1)
    assert axes.log_range(np.array([1e-300, 1e-240, 2, 1e300])) == (1e-240, 2)


# ---- what the figures show


def test_of_many_points_and_units_every_nth_is_shown():
    values = np.arange(1201.0)[::-1]
    some = figures.subsample(values, 600)
    assert some.tolist()[:3] == [0, 2, 4] and len(some) == 600 and some[-1] == 1200
    assert len(figures.subsample(values[:600], 600)) == 600
    assert figures.subsample(values, 3).tolist() == [0, 600, 1200]
    assert [figures.farthest(np.array([z, np.inf])) for z in (-1, 10, 30)] == [4, 10.5, 20]
    f = findings_of("x", "tanh", 2, 0.5, curves={"tanh": wave(2, 401)}, open=wave(401, 2))
    rows, names = figures.units(f)
    assert rows.tolist() == list(range(0, 401, 3)) and len(set(names)) == 134
    for curves in (1, 2):
        z = {f"tanh, layer {i + 1}": wave(2, 700) for i in range(curves)}
        f = findings_of("x", "tanh", 2, 0.5, curves=z, open=wave(700 * curves, 2), layers=curves)
        slider = figures.operating(f).slider
        shown = [[len(x) for x, _ in data] for data in slider.data]
        each = 240 // curves
        assert shown == [[600] * 2 * curves, [each] * 2 * curves, [each] * 2 * curves]


def test_the_largest_of_a_map_is_finite():
    assert figures.finite_max(np.array([np.nan, -2, -np.inf])) == -2
    assert figures.finite_max(np.array([np.nan])) == 0


def test_a_map_tells_the_numbers_of_each_pair_and_nothing_above_the_diagonal():
    f = of_tanh()
    whole, _ = figures.heat(f).panels[0].marks
    for t, row in enumerate(whole.hover()):
        assert [bool(said) for said in row] == [k <= t for k in range(f.T)]
        for part in (f"{f.losses[t]:.3g} nats", f"output {t + 1}, “{f.targets[t]}”", "step 1,",
                     f"norm {f.norms[t, 0]:.3g}", f"{f.shares[t, 0]:.2%}"):  # fmt: skip
            assert part in row[0]


def test_an_error_that_is_exactly_0_is_grey():
    _, grey = figures.heat(of_tanh()).panels[0].marks
    assert np.argwhere(grey.z == 0).tolist() == [[7, 2]] and grey.colour == figures.GREY
    assert len(figures.heat(of_lstm()).panels[0].marks) == 1


def test_units_are_ranked_within_their_layer_by_how_open_they_are():
    z = {
        "tanh, layer 1": np.array([[0, 3, 1], [0, 3, 1]]),
        "tanh, layer 2": np.array([[2, 0, 9]] * 2),
    }
    f = findings_of("x", "tanh", 2, 0.5, layers=2, curves=z, open=wave(6, 2))
    rows, names = figures.units(f)
    assert names == [
        "layer 1, unit 2", "layer 1, unit 3", "layer 1, unit 1",
        "layer 2, unit 3", "layer 2, unit 1", "layer 2, unit 2",
    ]  # fmt: skip
    assert rows.tolist() == [1, 3, 4, 0, 2, 5]


def test_a_slider_has_each_word_by_its_number_and_moves_what_it_names():
    f = findings_of("x", "tanh", 3, 0.5)
    one, all_ = figures.one_output(f), figures.operating(f)
    assert one.slider.labels == ["1: a&b", "2: <b>", "3: $5"]
    assert all_.slider.labels == ["all words", "1: the", "2: a&b", "3: <b>"]
    for figure in (one, all_):
        assert interactive.spec(figure)["slider"]["labels"] == figure.slider.labels
        marks = [mark for panel in figure.panels for mark in panel.marks]
        at = figure.slider.data[figure.slider.active]
        for i, (x, y) in zip(figure.slider.marks, at):
            np.testing.assert_allclose(marks[i].x, marks[i].x if x is None else x, atol=1e-4)
            np.testing.assert_allclose(marks[i].y, y, atol=1e-4)


def test_of_errors_that_are_all_zero_there_is_still_a_figure():
    f = findings_of("x", "tanh", 3, 0.5, norms=np.tri(3) * 0)
    low, high = figures.one_output(f).panels[0].y.range
    assert 0 < low < high and interactive.spec(figures.heat(f))["rows"]


def test_a_picture_is_as_large_as_its_words_need():
    sizes = [
        (round(figure.width, 2), round(figure.height, 2))
        for figure in (figures.heat(findings_of("x", "tanh", T, 0.5)) for T in (3, 46))
    ]
    assert sizes == [(5.26, 3.66), (14.5, 12.9)]
    assert png.drawn(figures.heat(of_relu())).get_size_inches().tolist() == [5.04, 3.44]


def test_a_truncation_longer_than_the_text_is_marked_at_its_end():
    *_, star = figures.truncation(of_sigmoid()).panels[0].marks
    assert (star.x, star.y, star.marker) == ([170], [0.4567], "star")
    assert star.colour == figures.SCHEMES["chunk"][0]
    assert len(figures.truncation(of_lstm()).panels[0].marks) == 3
    drawn = dataclasses.replace(of_sigmoid(), truncation="artbp:4:4")  # its mean cuts nothing
    assert len(figures.truncation(drawn).panels[0].marks) == 3
