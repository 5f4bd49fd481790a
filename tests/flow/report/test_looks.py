"""How a report looks: colours, sizes, ranges and words of findings made by hand, as looks.json.

What is drawn of the numbers is proved elsewhere; here of each long list stand only its length and
its first, middle and last element. A look that is meant to change is written again by

    python tests/test_looks.py

and then shows as a change of looks.json.
"""

import dataclasses
import functools
import json
from pathlib import Path

import matplotlib.style
import numpy as np
import plotly.io
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from theano_rnn.flow.findings import Findings
from theano_rnn.flow.report import axes, figures, html, png, terminal
from theano_rnn.flow.verdict import Verdict

LOOKS = Path(__file__).with_name("looks.json")
SCHEMES, FAULT = ("window", "chunk", "last"), ("window:4", "last:4")


# ---- findings by hand: no net, no chance


def wave(*shape):
    """Numbers from -1 to 1 with two digits, each other than its neighbours."""
    n = np.arange(np.prod(shape)).reshape(shape)
    return np.round((37 * n % 201 - 100) / 100, 2)


def made(name, cell, T, rate, **changes):
    t, k = np.arange(T)[:, None], np.arange(T)
    n = np.arange(T)
    norms = np.where(t >= k, rate ** np.maximum(t - k, 0) * (2 + wave(T, T)), np.nan)
    ends = np.array([1.1**-n, 1.2**-n, 0 * n])
    ends[0, T // 2 + 1 :] = np.nan
    words = ["the", "a&b", "<b>", "$5", "cat", "unpronounceable"]
    K = [k for k in (1, 2, 4, 8, 12) if k <= T]
    verdict = Verdict(
        kind="observed to vanish", observed="observed to vanish",
        words="Observed to vanish, on this text. A step back leaves 0.7 of |dE_t/ds_k|.",
        bound=1.25, bound_says="The bound is silent: 1.25 >= 1, which proves neither.",
        guaranteed=None, rate=rate, rate_start=0.9, half_life=1234.5, horizon=9, zeros=0.01,
        reasons=("saturation: 30% of the states",), remedies=("--cell lstm: gates",),
    )  # fmt: skip
    settings = {
        "name": name, "cell": cell, "layers": 1,
        "inputs": [words[i % 6] for i in range(T)],
        "targets": [words[(i + 1) % 6] for i in range(T)],
        "losses": 2 + wave(T), "verdict": verdict, "norms": norms,
        "shares": np.where(t >= k, wave(T, T) / T, 0), "lags": T - 1,
        "left": np.round(rate**n, 300), "products": ends,
        "bound": 1.25, "radius": 0.75, "carried": None, "carried_mean": None,
        "contributions": wave(T) / 2, "K": K,
        "cosines": {s: [k / (k + i) for k in K] for i, s in enumerate(SCHEMES)},
        "truncation": "last:2", "cosine": 0.4567, "ratio": 0.1234,
        "ratios": {s: [k / (k + 1.5) for k in K] for s in SCHEMES},
        "wanted": 0.97, "lasting": {"window": 4, "chunk": 8}, "first": {"window": 4, "chunk": 2},
        "is_trained": True, "rate_start": 0.9,
        "one_step": {"mean": 0.8765, "max": 1.2345, "above_1": 0.2468},
        "saturation": {"saturated": 0.3, "derivative": 0.4321, "dead": None, "gates": {}},
        "spectra": {"W": {"sigma_max": 1.25, "spectral_radius": 0.75}},
        "live": 3.21, "omega": 0.123456, "exponent": -0.1234,
        "curves": {cell: 3 * wave(T, 3)}, "open": abs(wave(3, T)), "open_name": f"{cell}'(z)",
    }  # fmt: skip
    return Findings(**{**settings, **changes})


def of_tanh():
    """Twelve steps, one error exactly 0."""
    f = made("runs/$x<b>", "tanh", 12, 0.7)
    f.norms[7, 2] = 0
    return f


def of_lstm():
    """Two layers with gates, four steps, as it begins, its gradient whole."""
    none = {"saturated": 0.1, "derivative": None, "dead": None}
    return made(
        "LSTM", "lstm", 4, 1.1, layers=2, bound=None, radius=None, truncation="full", wanted=None,
        is_trained=False, carried=np.array([0.5, 0.4])[:, None] ** np.arange(4), lasting={},
        carried_mean=np.array([0.4, 0.3])[:, None] ** np.arange(4), first={}, rate_start=None,
        saturation={**none, "gates": {"f": [0.25, 0.0625], "i": [0, 1]}},
        curves={"gate f": 2 * wave(4, 6), "tanh(c)": 5 * wave(4, 6)},
        open=abs(wave(6, 4)), open_name="gate f",
    )  # fmt: skip


def of_sigmoid():
    """More steps than the page shows, a truncation that is longer, lags up to 99."""
    f = made("sigmoid", "sigmoid", 170, 0.5, truncation="chunk:200", wanted=None, is_trained=False)
    f.left[90:] = 0
    return dataclasses.replace(f, lags=99)


def of_relu():
    """Two steps, and dead units."""
    saturation = {"saturated": None, "derivative": 0.5, "dead": 1 / 3, "gates": {}}
    return made("ReLU", "relu", 2, 8.0, saturation=saturation, truncation="window:1")


FOUND = {"tanh": of_tanh, "lstm": of_lstm, "sigmoid": of_sigmoid, "relu": of_relu}


# ---- how they look, as JSON


def looks(value):
    """Numbers to three digits; of a long list its length and three of its elements."""
    if isinstance(value, dict):
        return {str(key): looks(v) for key, v in value.items() if v is not None}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        n = len(value)
        return [looks(v) for v in (value if n < 5 else [n, value[0], value[n // 2], value[-1]])]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.3g}") if np.isfinite(value) else str(value)
    return int(value) if isinstance(value, np.integer) else value


def of_plotly(figure):
    assert figure.layout.template == plotly.io.templates["plotly_white"]
    drawn = figure.to_plotly_json()
    layout = {name: value for name, value in drawn["layout"].items() if name != "template"}
    traces = {f"trace {i}": dict(of) for i, of in enumerate(drawn["data"])}
    for name, trace in traces.items():
        if "text" in trace:  # one of them
            trace["text"] = trace["text"][-1][0] if name == "trace 0" else None
    return looks({"layout": layout, **traces})


def of_axis(axis, limits):
    by, minor = (type(of()).__name__ for of in (axis.get_major_locator, axis.get_minor_locator))
    found = {
        "limits": limits,
        "label": axis.get_label_text() or None,
        "scale": {"linear": None}.get(axis.get_scale(), axis.get_scale()),
        "ticks": {"AutoLocator": None}.get(by, by),
        "minor": {"NullLocator": None}.get(minor, minor),
    }
    if by == "FixedLocator":
        labels = axis.get_ticklabels()
        found["ticks"] = [(label.get_text(), at) for label, at in zip(labels, axis.get_ticklocs())]
        found["turned, size"] = [(t.get_rotation(), t.get_fontsize()) for t in labels[:1]]
    elif by == "MaxNLocator":
        found["whole"] = axis.get_major_locator()._integer
    ticks = axis.get_tick_params()
    return {**found, "grid": ticks.get("grid_alpha") if ticks["gridOn"] else None}


def of_matplotlib(figure):
    drawn = {"inches": figure.get_size_inches(), "title": figure.get_suptitle() or None}
    for i, ax in enumerate(figure.axes):
        legend = ax.get_legend()
        drawn[f"axes {i}"] = {
            "title": ax.get_title() or None,
            "x": of_axis(ax.xaxis, ax.get_xlim()), "y": of_axis(ax.yaxis, ax.get_ylim()),
            "aspect": {"auto": None}.get(ax.get_aspect(), ax.get_aspect()),
            "legend": legend and [legend.get_texts()[0].get_fontsize(),
                                  ", ".join(text.get_text() for text in legend.get_texts())],
        }  # fmt: skip
        for j, line in enumerate(ax.lines):
            style = [to_hex(line.get_color()), line.get_linestyle(), line.get_linewidth()]
            style += [line.get_marker(), line.get_markersize(), line.get_alpha()]
            at = [np.asarray(a, float) for a in line.get_data()]
            drawn[f"axes {i} line {j}"] = [line.get_label(), " ".join(map(str, style)), *at]
        for j, image in enumerate(ax.images):
            drawn[f"axes {i} image {j}"] = {
                "colours": [image.cmap.name, image.cmap.N, to_hex(image.cmap(0))],
                "range": image.get_clim(), "at": image.get_extent(), "origin": image.origin,
                "by": image.get_interpolation(), "z": image.get_array().filled(np.nan),
            }  # fmt: skip
        for j, bars in enumerate(ax.containers):
            drawn[f"axes {i} bars {j}"] = {
                "label": bars.get_label(), "colour": to_hex(bars[0].get_facecolor()),
                "x": [bar.get_x() for bar in bars], "y": [bar.get_height() for bar in bars],
            }  # fmt: skip
    return looks(drawn)


def saved(draw):
    """What was drawn into each file, and how it is written; nothing is rendered."""
    found = []

    def savefig(figure, file, **settings):
        found.append({"as": settings, **of_matplotlib(figure)})
        file.write(b"%d" % len(found))

    with pytest.MonkeyPatch.context() as patch, matplotlib.style.context("default"):
        patch.setattr(Figure, "savefig", savefig)
        files = draw()
    if isinstance(files, bytes):
        return found[int(files) - 1]
    return {name: found[int(data) - 1] for name, data in files.items()}


def of_table(table):
    return [table.title, *[[str(c.header), c.justify, *c.cells] for c in table.columns]]


def of_terminal(f):
    return {
        "verdict": terminal.verdict_lines(f), "saturation": terminal.saturation_lines(f),
        "cosine": terminal.smallest_K_lines(f), "lags": of_table(terminal.table_by_lag(f)),
        "truncation": of_table(terminal.table_of_truncation(f)),
        "heat": terminal.heat_map(f, 80 if f.T < 20 else 25).splitlines(),
        "narrow": terminal.heat_map(f, 18, terminal.ASCII_RAMP).splitlines() if f.T < 5 else None,
    }  # fmt: skip


def of_sections(sections):
    """Headings, words and figures; of very long words both ends."""
    found = {}
    for s in sections:
        text = s.text if len(s.text) < 3000 else f"{s.text[:900]} ... {s.text[-200:]}"
        found[s.id] = {"title": s.title, "text": text}
        if s.figure is not None:
            found[s.id].update(of_plotly(s.figure))
    return found


def view(of, f):
    """One kind of looks, of one network."""
    if of == "terminal":
        return of_terminal(f)
    if of == "pictures":
        return saved(lambda: png.pictures(f))
    if of == "numbers":
        return looks(html.numbers_of(f))
    return of_sections(html.sections_of(f))


def view_of_several(of):
    several = [made("tanh", "tanh", 12, 0.7), of_lstm(), of_sigmoid()]
    if of == "terminal":
        return {"side by side": of_table(terminal.side_by_side([*several, of_relu()]))}
    if of == "pictures":
        return {"gradient_flow.png": saved(lambda: png.demo_picture(several, FAULT))}
    found = of_sections(html.demo_sections(several, *FAULT))
    of_each = list(found)[5:]
    rest = {name: found.pop(name) for name in ["truncation", *of_each]}  # as on their own pages
    return {**found, "rest": {name: [of["title"], len(of["text"])] for name, of in rest.items()}}


KINDS = "terminal", "page", "pictures"
VIEWS = {f"{name}: {of}": (of, name) for name in ("tanh", "lstm", "sigmoid") for of in KINDS}
VIEWS.update({"relu: terminal": ("terminal", "relu"), "sigmoid: numbers": ("numbers", "sigmoid")})
VIEWS.update({f"several: {of}": (of, None) for of in KINDS})


@functools.cache
def view_of_tanh(of):
    return view(of, of_tanh())


def beyond(value, first):
    """What is not as in the first; null, where the first has something and this has not."""
    if not isinstance(value, dict) or not isinstance(first, dict):
        return value
    names = {**first, **value}
    return {n: beyond(value.get(n), first.get(n)) for n in names if value.get(n) != first.get(n)}


def seen(title):
    """As JSON; of other networks what is not as of the tanh net."""
    of, name = VIEWS[title]
    if name == "tanh":
        found = view_of_tanh(of)
    elif name is None:
        found = view_of_several(of)
    else:
        found = beyond(view(of, FOUND[name]()), view_of_tanh(of))
    return json.loads(json.dumps(found))


def test_the_words_of_an_axis_stand_upright_where_they_are_more_than_ten():
    for n, angle in ((10, 0), (11, -90)):
        axis = axes.words_axis(["a"] * n, "x")
        assert (axis["tickangle"], axis["tickvals"]) == (angle, list(range(1, n + 1)))
    assert [len(axes.words_axis(["a"] * n, "x")["tickvals"]) for n in (60, 61, 121)] == [
        60,
        31,
        41,
    ]
    assert axes.words_axis(["a"] * 70, "x", first=8)["tickvals"][:3] == [9, 11, 13]


def test_ticks_are_about_a_dozen():
    assert [axes.whole_tick(n) for n in (12, 13, 120, 121, 10**9)] == [1, 2, 10, 20, 10**8]
    assert axes.whole_tick(10**11) == 10**11
    assert axes.decade_tick(10**1.4) is None
    assert [axes.decade_tick(10.0**n) for n in (1.5, 12, 13, 24, 25)] == [1, 1, 2, 2, 3]
    assert [axes.first_step(T) for T in (150, 151)] == [0, 1]
    assert axes.finite_max(np.array([np.nan, -2, -np.inf])) == -2
    assert axes.finite_max(np.array([np.nan])) == 0


def test_of_many_points_and_units_every_nth_is_shown():
    values = np.arange(1201.0)[::-1]
    assert (
        figures.thinned(values).tolist()[:3] == [0, 2, 4] and len(figures.thinned(values)) == 600
    )
    assert figures.thinned(values)[-1] == 1200 and len(figures.thinned(values[:600])) == 600
    assert figures.thinned(values, 3).tolist() == [0, 600, 1200]
    assert [figures.farthest(np.array([z, np.inf])) for z in (-1, 10, 30)] == [4, 10.5, 20]
    f = made("x", "tanh", 2, 0.5, curves={"tanh": wave(2, 401)}, open=wave(401, 2))
    rows, names = figures.units(f)
    assert rows.tolist() == list(range(0, 401, 3)) and len(set(names)) == 134
    for curves in (1, 2):
        z = {f"tanh, layer {i + 1}": wave(2, 700) for i in range(curves)}
        f = made("x", "tanh", 2, 0.5, curves=z, open=wave(700 * curves, 2), layers=curves)
        (slider,) = figures.operating(f).layout.sliders
        shown = [[len(x) for x in step.args[0]["x"]] for step in slider.steps]
        each = 240 // curves
        assert shown == [[600] * 2 * curves, [each] * 2 * curves, [each] * 2 * curves]


def test_a_map_says_the_numbers_of_each_pair_and_nothing_above_the_diagonal():
    f = of_tanh()
    trace, _ = figures.heat(f).to_plotly_json()["data"]
    for t, row in enumerate(trace["text"]):
        assert [bool(said) for said in row] == [k <= t for k in range(f.T)]
        assert f"E<sub>{t + 1}</sub> = {f.losses[t]:.3g}, of" in row[t]
        assert f"|dE/ds| = {f.norms[t, 0]:.3g}<br>share of dE/dW {f.shares[t, 0]:.2%}" in row[0]


def test_units_are_ranked_within_their_layer_by_how_open_they_are():
    z = {
        "tanh, layer 1": np.array([[0, 3, 1], [0, 3, 1]]),
        "tanh, layer 2": np.array([[2, 0, 9]] * 2),
    }
    f = made("x", "tanh", 2, 0.5, layers=2, curves=z, open=wave(6, 2))
    rows, names = figures.units(f)
    assert names == [
        "layer 1, unit 2", "layer 1, unit 3", "layer 1, unit 1",
        "layer 2, unit 3", "layer 2, unit 1", "layer 2, unit 2",
    ]  # fmt: skip
    assert rows.tolist() == [1, 3, 4, 0, 2, 5]


def test_a_slider_has_each_word_by_its_number():
    f = made("x", "tanh", 3, 0.5)
    labels = [[s.label for s in of(f).layout.sliders[0].steps] for of in
              (figures.reach, figures.operating)]  # fmt: skip
    assert labels == [["1: a&amp;b", "2: &lt;b&gt;", "3: $5"],
                      ["all words", "1: the", "2: a&amp;b", "3: &lt;b&gt;"]]  # fmt: skip


def test_of_errors_that_are_all_zero_there_is_still_a_map_and_a_figure():
    f = made("x", "tanh", 3, 0.5, norms=np.tri(3) * 0)
    lines = terminal.heat_map(f).splitlines()
    assert lines[1].split() == ["a&b"] and "the largest, 1e-inf:" in lines[-1]
    assert tuple(figures.reach(f).layout.yaxis.range) == (-1, 1)


def test_the_lags_of_the_table_lie_apart_as_they_grow():
    n = np.ones(1031)
    f = dataclasses.replace(of_tanh(), lags=1030, left=n, products=n[None], contributions=n / 1031)
    (lags, *_) = (column.cells for column in terminal.table_by_lag(f).columns)
    assert [int(lag) for lag in lags] == [
        0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 1030
    ]  # fmt: skip


def test_a_word_that_does_not_fit_beside_the_map_is_cut():
    f = made("x", "tanh", 2, 0.5, inputs=["i" * 12, "j" * 13], targets=["k" * 13, "l" * 14])
    lines = terminal.heat_map(f).splitlines()
    assert lines[1].startswith("k" * 13 + " ") and lines[2].startswith("l" * 12 + "~ ")
    assert lines[-2].split() == ["i", "~"]


@pytest.mark.parametrize("width, each", [(22, 2), (21, 1)])
def test_a_step_has_two_characters_where_all_of_them_fit(width, each):
    f = made("x", "tanh", 4, 0.5, norms=np.where(np.tri(4) > 0, 1.0, np.nan))
    rows = terminal.heat_map(f, width).splitlines()[1:5]
    assert [len(row) - terminal.BESIDE for row in rows] == [each, 2 * each, 3 * each, 4 * each]


def test_a_picture_is_as_large_as_its_words_need():
    inches = {
        T: saved(lambda T=T: png.pictures(made("x", "tanh", T, 0.5)))["heat.png"]["inches"]
        for T in (3, 46)
    }
    assert inches == {3: [5.26, 3.66], 46: [14.5, 12.9]}


@pytest.mark.parametrize("title", VIEWS)
def test_a_report_looks_as_it_is_kept(title):
    kept = json.loads(LOOKS.read_text(encoding="utf-8"))[title]
    found = seen(title)
    assert list(found) == list(kept)
    for name in kept:
        assert found[name] == kept[name], name


def test_looks_are_kept_of_nothing_else():
    assert list(json.loads(LOOKS.read_text(encoding="utf-8"))) == list(VIEWS)


def main():
    """Write looks.json: a line for each figure's layout, trace, axes and text."""

    def lines(value, depth):
        if depth == 0 or not isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        inner = (f"{json.dumps(k)}: {lines(v, depth - 1)}" for k, v in value.items())
        return "{\n" + ",\n".join(inner) + "\n}"

    LOOKS.write_text(lines({title: seen(title) for title in VIEWS}, 3) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
