"""The report: its numbers are those of Flow, its page stands alone, and words stay words."""

import dataclasses
import html
import json
import os
import re

import numpy as np
import pytest
from conftest import first

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.flow import Flow, by_lag, demo
from theano_rnn.flow.curves import activation, derivative, operating_points
from theano_rnn.flow.findings import measure, plain
from theano_rnn.flow.report import figures, interactive, png, terminal
from theano_rnn.flow.report.folder import Report
from theano_rnn.flow.report.headline import headline
from theano_rnn.flow.report.html import numbers_of, page, sections_of, verdict_html

#: Bytes that a page has at most, whatever the text and the state are.
LARGEST = 5 * 10**6
WORDS = ["<script>alert(1)</script>", "$x^", "a&b", "cat", "naïve", "{y}", "[bold]", "</s>"]
KINDS = [
    {},
    {"cell": "relu", "layers": 2, "embedding_size": 3, "bias": True},
    {"cell": "sigmoid", "bias": True},
    {"cell": "gru"},
    {"cell": "lstm", "bias": True},
    {"cell": "mingru", "layers": 2},
]


def measured(T=9, truncation="last:2", seed=0, hidden_size=5, **kind):
    model = RNN(len(WORDS), hidden_size, dtype="float64", **kind)
    x, y = np.random.default_rng(seed).integers(len(WORDS), size=(2, T))
    flow = Flow(model, x, y)
    inputs, targets = [WORDS[i] for i in x], [WORDS[i] for i in y]
    return flow, measure(flow, inputs, targets, "runs/<b>x", truncation=truncation)


@pytest.fixture(scope="module")
def tanh():
    return measured()


@pytest.fixture(scope="module")
def text(tanh):
    _, f = tanh
    return page("The gradient flow of <b>", headline(f), sections_of(f), numbers_of(f))


def numbers_in(text):
    (found,) = re.findall('<script type="application/json" id="numbers">(.*?)</script>', text)
    return json.loads(found)


def drawn_in(text, id):
    """The description of a figure of the page."""
    (found,) = re.findall(rf'<script type="application/json" id="{id}-data">(.*?)</script>', text)
    return json.loads(found)


def series_in(text, id):
    """The marks of a figure of the page, and the figure."""
    figure = drawn_in(text, id)
    return [mark for row in figure["rows"] for panel in row for mark in panel["marks"]], figure


def marks_of(figure):
    """The marks of a figure by name, the last of each name."""
    return {mark.name: mark for panel in figure.panels for mark in panel.marks}


# ---- the numbers


def test_the_heat_map_of_the_page_is_log10_of_the_norms_of_flow(tanh, text):
    flow, _ = tanh
    (trace,), _ = series_in(text, "heat")
    z = np.array(trace["z"], dtype=float)
    at = np.tril_indices(flow.T)
    np.testing.assert_array_equal(z[at], np.log10(flow.norms[at]))
    assert np.isnan(z[np.triu_indices(flow.T, 1)]).all()


def test_the_contributions_and_cosines_of_the_page_are_those_of_flow(tanh, text):
    flow, f = tanh
    (bars, _), _ = series_in(text, "contributions")
    np.testing.assert_array_equal(bars["y"], by_lag(flow.shares("W")))
    (*curves, own), _ = series_in(text, "truncation")
    assert len(curves) == 3 and (own["x"], own["y"]) == ([2], [f.cosine])
    for trace in curves:
        scheme = trace["name"].partition(":")[0]
        cuts = [flow.truncated(f"{scheme}:{K}") for K in trace["x"]]
        np.testing.assert_array_equal(trace["y"], [cosine for cosine, _ in cuts])
        for said, (cosine, ratio) in zip(trace["hover"], cuts):
            assert f"{cosine:.3f}" in said and f"{ratio:.3g}" in said
    assert f.K[0] == 1 and f.K[-1] == flow.T
    assert (f.cosine, f.ratio) == flow.truncated("last:2")


def test_the_bound_is_that_of_flow_at_every_lag(tanh):
    flow, f = tanh
    line = marks_of(figures.lag(f))["bound (gamma sigma_max)^n"]
    np.testing.assert_allclose(line.y, flow.bound() ** np.arange(flow.T))


def test_the_line_of_the_rate_is_the_fitted_one(tanh):
    flow, f = tanh
    line = marks_of(figures.lag(f))[f"rate {f.verdict.rate:.3g}"]
    piece = f.verdict.pieces[-1]  # of one or two
    n = np.arange(piece.first, flow.T)
    slope, start = np.polyfit(n, np.log(f.left[n]), 1, w=np.sqrt(flow.T - n))
    np.testing.assert_array_equal(line.x, n)
    np.testing.assert_allclose(line.y, np.exp(start + slope * n))
    assert abs(line.y[0] - 1) > 1e-3  # it is not put through 1


def test_the_mean_over_ends_is_drawn_as_far_as_all_of_them_reach(tanh):
    flow, f = tanh
    marks = figures.lag(f).panels[0].marks
    thin = np.array([mark.y for mark in marks if "one end" in mark.name])
    np.testing.assert_array_equal(thin, f.products)
    mean = marks_of(figures.lag(f))["|ds_t/ds_k|, mean"].y
    reached = np.isfinite(thin).all(axis=0)
    np.testing.assert_allclose(mean[reached], np.exp(np.log(thin[:, reached]).mean(axis=0)))
    assert 1 < reached.sum() < flow.T and np.isnan(mean[~reached]).all()


@pytest.mark.parametrize("kind", first(1, KINDS), ids=str)
def test_a_row_of_the_saturation_is_the_unit_it_says(kind):
    flow, f = measured(**kind)
    (shown,) = figures.saturation(f).panels[0].marks
    keeps = f.open_name.removeprefix("gate ") if f.open_name.startswith("gate") else None
    values = (
        flow.gates[keeps] if keeps else [derivative(f.cell, z) for z in f.curves.values()]
    )  # (layers, T, H)
    for row, name in zip(shown.z, shown.rows):
        *layer, unit = re.findall(r"\d+", name)
        of_layer = values[int(layer[0]) - 1 if layer else 0]
        np.testing.assert_allclose(row, of_layer[:, int(unit) - 1], atol=6e-4)
    names = list(shown.rows)
    assert len(set(names)) == len(f.open) == len(values) * flow.H
    assert [name for name in names if "layer 2" in name] == [
        name for name in names[flow.H :] if "layer" in name
    ]


def test_the_numbers_of_the_page_as_json_are_those_of_flow(tanh, text):
    flow, f = tanh
    numbers = numbers_in(text)
    np.testing.assert_array_equal(numbers["shares"], flow.shares("W"))
    assert numbers["norms"][0][1] is None and numbers["norms"][3][1] == flow.norms[3, 1]
    assert numbers["verdict"]["rate"] == f.verdict.rate and numbers["inputs"] == f.inputs
    assert numbers["saturation"] == plain(flow.saturation())


@pytest.mark.parametrize("kind", first(1, KINDS), ids=str)
def test_the_operating_points_lie_on_the_curves_where_the_states_and_gates_are(kind):
    flow, f = measured(**kind)
    for i, (name, z) in enumerate(operating_points(flow).items()):
        if name.startswith("gate"):
            value = np.concatenate(list(flow.gates[name[5:]]), axis=1)
        elif name == "tanh(c)":
            value = np.tanh(flow.states[1:, flow.H :])
        elif name in ("tanh g", "tanh h", "linear h"):
            continue  # of the candidates: in test_findings
        else:
            value = flow.hidden()[i]
        np.testing.assert_allclose(activation(name, z), value, atol=1e-12)
    mean = flow.saturation()["derivative"]
    if mean is not None:
        assert abs(f.open.mean() - mean) < 1e-12


def test_the_slider_of_the_operating_points_has_each_word(tanh, text):
    _, f = tanh
    slider = drawn_in(text, "activation")["slider"]
    assert len(slider["labels"]) == len(slider["data"]) == f.T + 1
    (z, _), _ = slider["data"][4]
    np.testing.assert_allclose(z, np.sort(f.curves["tanh"][3]), atol=1e-4)


# ---- the page


def test_the_page_loads_nothing(text):
    assert not re.search(r"<link|<img|<iframe|@import|src=|https?://|import\(|fetch\(", text)
    assert text.count('<div class="figure"') == 7


@pytest.mark.slow
def test_a_page_has_a_largest_size_whatever_the_text():
    _, f = measured(T=400, hidden_size=60, truncation="window:4", cell="gru")
    wide = ["'" * 20] * f.T  # each of them &#x27; on the page
    f = dataclasses.replace(f, inputs=wide, targets=wide)
    made = page("x", "y", sections_of(f), numbers_of(f))
    assert len(made.encode("utf-8")) < LARGEST
    assert "the last 150 of 400, heat.png has all" in made
    (trace,), _ = series_in(made, "heat")
    assert trace["x"][0] == 251 and trace["x"][-1] == 400 and len(trace["z"]) == 150
    numbers = numbers_in(made)
    assert numbers["first_step"] == 251
    np.testing.assert_array_equal(numbers["shares"][149][:150], f.shares[-1, 250:])


def test_the_page_has_the_norms_of_the_one_step_jacobians(tanh):
    flow, f = tanh
    norms = flow.one_step_norms()
    said = re.sub("<.*?>", "", verdict_html(f))
    expected = (
        f"mean {norms.mean():.3g}, max {norms.max():.3g}, above 1 at {(norms > 1).mean():.1%}"
    )
    assert expected in said


def test_the_bars_of_one_words_error_open_on_the_largest_loss_of_the_second_half(tanh, text):
    flow, f = tanh
    (bars,), figure = series_in(text, "reach")
    t = figure["slider"]["active"]
    assert flow.losses[t] == flow.losses[flow.T // 2 :].max()
    np.testing.assert_array_equal(np.array(bars["y"], float), f.norms[t])


@pytest.mark.parametrize("T", [2, 3, 9])
def test_the_ticks_of_lags_and_of_K_are_whole(T):
    _, f = measured(T=T)
    for figure in (figures.lag(f), figures.contributions(f), figures.lags([f])):
        assert isinstance(interactive.spec(figure)["rows"][0][0]["x"]["every"], int)
    K = interactive.spec(figures.truncation(f))["rows"][0][0]["x"]
    assert K["log"] and all(isinstance(tick, int) for tick in K["ticks"])


def test_reasons_and_remedies_are_lists_and_indices_stand_below(tanh):
    _, f = tanh
    made = verdict_html(f)
    assert made.count("<li>") == len(f.verdict.reasons) + len(f.verdict.remedies) > 1
    assert "<msub><mi>E</mi><mrow><mi>t</mi></mrow></msub>" in made and "dE_t" not in made


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_pictures_of_numbers_beyond_all_are_drawn_without_a_warning(tanh):
    far = 1e300 * np.ones_like(tanh[1].left), 1e-300 * np.ones_like(tanh[1].left)
    for left in far:
        products = np.concatenate([far, [np.zeros_like(left)]])
        f = dataclasses.replace(tanh[1], left=left, products=products, bound=1e60, radius=1e-60)
        assert all(png.pictures(f).values())


def test_the_words_of_a_text_never_become_markup(text):
    said = re.sub(r"<script>.*?</script>", "", text, flags=re.S)  # the program of the page
    assert "<script>alert" not in text and "runs/<b>" not in said
    assert html.escape(WORDS[0]) in said  # under the verdict
    labels = drawn_in(text, "heat")["rows"][0][0]["x"]["labels"]
    assert WORDS[0] in labels and "alert(1)\\u003c/script\\u003e" in said


@pytest.mark.parametrize("kind", first(2, KINDS), ids=str)
def test_every_cell_has_a_page_and_pictures(kind):
    _, f = measured(**kind)
    assert len(page("x", "y", sections_of(f), numbers_of(f))) > 30_000
    for name, data in png.pictures(f).items():
        assert data.startswith(b"\x89PNG"), name


@pytest.mark.parametrize("T", [1, 2])
def test_the_shortest_texts_have_a_report(T, tmp_path):
    _, f = measured(T=T)
    Report(tmp_path).write(f)
    assert terminal.heat_map(f) and terminal.table_by_lag(f).row_count == T


# ---- the terminal


def test_the_heat_map_in_characters_has_a_character_a_decade(tanh):
    flow, f = tanh
    rows = terminal.heat_map(f, width=200).splitlines()[1 : flow.T + 1]
    largest = flow.norms.max()
    for t, row in enumerate(rows):
        cells = row[terminal.BESIDE :].ljust(2 * flow.T)[: 2 * flow.T : 2]
        for k in range(t + 1):
            decade = int(np.log10(largest / flow.norms[t, k]))
            assert cells[k] == (terminal.RAMP[decade] if decade < 5 else " ")


def test_the_words_stand_beside_and_upright_under_the_map(tanh):
    _, f = tanh
    lines = terminal.heat_map(f, width=200).splitlines()
    under = lines[f.T + 1 : -1]
    read = "".join(line.ljust(100)[terminal.BESIDE] for line in under).strip()
    assert f.inputs[0].startswith(read.rstrip("~")) and read
    for t, word in enumerate(f.targets):
        assert lines[t + 1].lstrip().startswith(word[:10])


def test_a_narrow_terminal_is_shown_the_end_of_the_text(tanh):
    _, f = tanh
    lines = terminal.heat_map(f, width=terminal.BESIDE + 4).splitlines()
    assert "last 4 of 9" in lines[1] and f.targets[-1][:8] in lines[5]
    assert max(map(len, lines[2:6])) <= terminal.BESIDE + 4


# ---- the folder


def test_a_report_is_written_whole_and_leaves_nothing_else(tanh, tmp_path):
    path = Report(tmp_path / "a" / "b").write(tanh[1])
    assert path.is_file() and {p.name for p in path.parent.iterdir()} == {
        "report.html", "heat.png", "lag.png", "activation.png", "saturation.png",
        "contributions.png", "truncation.png",
    }  # fmt: skip


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path / "file", tmp_path / "file" / "in", "/proc/report"):
        with pytest.raises(RNNError, match="cannot be written"):
            Report(folder)
    assert (tmp_path / "file").read_text() == "kept"


def test_an_earlier_report_stays_where_a_new_one_fails(tanh, tmp_path, monkeypatch):
    (tmp_path / "report.html").write_text("earlier")
    report = Report(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RNNError, match="No space left"):
        report.write(tanh[1])
    report.discard()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "earlier"


def test_a_new_folder_is_removed_again_where_nothing_came_of_it(tmp_path):
    Report(tmp_path / "new").discard()
    assert not (tmp_path / "new").exists()


# ---- the demonstration


@pytest.mark.slow
def test_the_demonstration_shows_the_tutorials_fault(tmp_path):
    several = demo.findings()
    tanh = several[0]
    K = tanh.K.index(4)
    assert tanh.cosines["window"][K] > 0.99 and tanh.cosines["last"][K] < 0.5
    assert {f.name: f.verdict.kind for f in several}["ReLU, W = I"] == "decays slowly"
    text = Report(tmp_path).write_demo(several).read_text()
    (meant, done), _ = series_in(text, "fault")
    cells = [np.isfinite(np.array(trace["z"], float)).sum() for trace in (meant, done)]
    assert "Not trained; under last:4" in text and "Trained with" not in text
    for i in range(len(several)):
        assert drawn_in(text, f"lag{i}")["rows"] and drawn_in(text, f"activation{i}")["rows"]
        (opened,), _ = series_in(text, f"saturation{i}")
        assert len(opened["z"]) == demo.HIDDEN_SIZE
    assert (tmp_path / "report.html").stat().st_size < LARGEST
    assert cells == [5 * tanh.T - 10, 10]  # K+1 steps an output; the last K outputs' K, 3, ..., 1
    assert (tmp_path / "gradient_flow.png").stat().st_size < 300_000
