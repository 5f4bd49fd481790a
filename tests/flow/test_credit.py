"""Ways to assign credit side by side: the numbers of the table, and what is refused."""

import numpy as np
import pytest
from conftest import cosine

from theano_rnn import RNN
from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.engine import theano
from theano_rnn.flow import credit
from theano_rnn.flow.credit import compared
from theano_rnn.flow.report import credit as shown
from theano_rnn.flow.report.marks import Level, Line
from theano_rnn.model import cuts
from theano_rnn.model.truncation import parse
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.online import online_gradients

X, Y = np.random.default_rng(0).integers(7, size=(2, 6))


@pytest.fixture(scope="module")
def found():
    mode, model = theano.compile.mode, RNN(7, 4, seed=2, dtype="float32")
    methods = ["uoro", "immediate", "window:2", "full", "uoro", "artbp:2", "artbp:3:4"]
    with pytest.MonkeyPatch.context() as patch:  # uncompiled, as that fixture of a test is
        fast = mode.predefined_modes["FAST_COMPILE"]
        patch.setattr(mode, "instantiated_default_mode", fast)
        return model, credit(model, X, Y, methods, draws=8)


def test_the_numbers_of_a_row_are_those_of_the_gradients_in_numpy(found):
    model, found = found
    parameters = {name: p.astype("float64") for name, p in model.parameters().items()}
    full = NumpyRNN(parameters).bptt(X, Y)["W"]
    assert [row.name for row in found.rows] == [
        "full", "uoro", "immediate", "window:2", "artbp:2", "artbp:3:4",
    ]  # fmt: skip
    expected = {
        "immediate": online_gradients(parameters, X, Y, "immediate")["W"],
        "window:2": NumpyRNN(parameters, "window:2").bptt(X, Y)["W"],
        "full": full,
    }
    for name, W in expected.items():
        row = found[name]
        assert abs(row.cosine - cosine(W, full)) < 1e-12
        assert abs(row.ratio - np.linalg.norm(W) / np.linalg.norm(full)) < 1e-12
        assert abs(row.bias - np.linalg.norm(W - full) / np.linalg.norm(full)) < 1e-12
        assert row.variance == row.bias_error == 0 and row.seconds > 0
    uoro = found["uoro"]
    assert uoro.variance > 0.01 and uoro.cosine < 0.999
    assert uoro.bias < 4 * uoro.bias_error  # which is that of eight draws
    for name in "artbp:2", "artbp:3:4":
        oracle, cut = NumpyRNN(parameters, name), parse(name)
        drawn = [cuts.draw(cut, (6, 1), np.random.default_rng(n))[:, 0] for n in range(8)]
        W = [oracle.bptt(X, Y, cuts=each)["W"] for each in drawn]
        bias = np.linalg.norm(np.mean(W, axis=0) - full) / np.linalg.norm(full)
        assert found[name].bias == pytest.approx(bias, rel=1e-10)
        assert found[name].variance > 0.001 and bias < 4 * found[name].bias_error
    n = len(set(X.tolist()))
    assert {row.name: row.memory for row in found.rows} == {
        "full": 8 * 6 * 4, "uoro": 8 * (8 + 4 * n + 16), "immediate": 8 * 4,
        "window:2": 8 * 3 * 4, "artbp:2": 8 * 2 * 4, "artbp:3:4": 8 * 3 * 4,
    }  # fmt: skip


def test_the_table_and_the_picture_have_every_method(found):
    _, found = found
    table = shown.table(found)
    assert table.row_count == len(found.rows)
    assert [*table.columns[0].cells] == [row.name for row in found.rows]
    figure = shown.figure(found)
    cosine, norm, error, cost = [{mark.name for mark in panel.marks} for panel in figure.panels]
    assert cosine == norm == {"window:K", "artbp:K", "artbp:K:4", "uoro", "immediate"}
    means = {f"{name}, mean of 8" for name in ("uoro", "artbp:K", "artbp:K:4")}
    assert error == cosine | means and cost == cosine | {"full"}
    lines = {m.name: m for m in figure.panels[2].marks if isinstance(m, Line)}
    assert lines["artbp:K"].x == [2] and lines["artbp:K:4"].x == [3]
    assert lines["artbp:K, mean of 8"].y == [found["artbp:2"].bias]
    assert lines["artbp:K"].y == [found["artbp:2"].error]
    levels = {m.name: m.y for m in figure.panels[2].marks if isinstance(m, Level)}
    uoro = found["uoro"]
    assert levels["uoro"] == pytest.approx((uoro.bias**2 + uoro.variance) ** 0.5)
    assert levels["uoro, mean of 8"] == uoro.bias
    assert levels["immediate"] == found["immediate"].bias
    assert shown.plot(found).axes


def test_bias_and_variance_of_known_draws():
    draws = np.array([[1.0, 2.0], [3.0, 0.0]])  # the mean is (2, 1), each sqrt(2) from it
    numbers = compared(draws, np.array([2.0, 0.0]))
    assert numbers == pytest.approx(
        ((1 / 5**0.5 + 1) / 2, (5**0.5 + 3) / 4, 0.5, (4 / 4 / 2) ** 0.5, 4 / 4)
    )


def test_of_a_cell_without_W_the_gradients_of_U_are_compared_and_two_methods_are_exact(uncompiled):
    found = credit(RNN(7, 3, cell="mingru", bias=True, seed=1), X, Y, ["snap1", "local"])
    assert found.of == "U"
    assert max(found["snap1"].bias, found["local"].bias) < 1e-14


@pytest.mark.slow
def test_by_default_all_that_is_defined_is_there_and_the_rest_has_its_reason(uncompiled):
    found = credit(RNN(7, 3, cell="gru", bias=True, seed=1), X, Y, draws=2)
    names = [row.name for row in found.rows]
    assert names[:5] == ["full", "rtrl", "uoro", "local", "immediate"]
    schemes = [f"{s}:{K}" for s in ("window", "chunk", "last", "artbp") for K in (1, 2, 4)]
    assert names[5:] == [scheme for scheme in schemes if scheme != "artbp:1"]
    assert list(found.left_out) == ["snap1"] and "gru_after" in found.left_out["snap1"]
    assert abs(found["rtrl"].cosine - 1) < 1e-12 and found["rtrl"].bias < 1e-12


@pytest.mark.slow
def test_rtrl_that_takes_minutes_is_compared_only_if_it_is_asked_for(uncompiled, monkeypatch):
    monkeypatch.setitem(credit.__globals__, "MOST_PRODUCTS", 100)
    model = RNN(7, 3, seed=1)
    found = credit(model, X, Y, draws=2)
    assert "--methods rtrl" in found.left_out["rtrl"]
    assert [row.name for row in credit(model, X, Y, ["rtrl"]).rows] == ["full", "rtrl"]


def test_what_cannot_be_compared_is_one_message(monkeypatch):
    model = RNN(7, 4, layers=2)
    for methods, words in [
        (["rtlr"], "method 'rtlr' is unknown; use rtrl, .* or a truncation"),
        (["window:0"], "K must be a whole number of at least 1"),
        (["artbp:1"], "K must be a whole number of at least 2, not 1; with 1 every step"),
        (["adaptive:0.1"], "chooses K before each epoch of a training"),
        (["snap1"], "with 2 layers"),
        ([], r"methods is \[\]; pass a list"),
        ("rtrl", "methods is 'rtrl'; pass a list"),
        ([7], "method 7 is unknown"),
    ]:
        with pytest.raises(RNNError, match=words):
            credit(model, X, Y, methods)
    with pytest.raises(RNNError, match="'b' is no parameter"):
        credit(model, X, Y, ["rtrl"], name="b")
    with pytest.raises(RNNError, match="draws must be a whole number of at least 2"):
        credit(model, X, Y, ["uoro"], draws=1)
    monkeypatch.setattr(memory, "total", lambda: 10**4)
    with pytest.raises(RNNError, match="rtrl would carry the influence of"):
        credit(model, X, Y, ["rtrl"])


def test_a_gradient_of_zero_is_said(uncompiled):
    model = RNN(7, 4, dtype="float64")
    model.set_parameters({name: 0 * p for name, p in model.parameters().items()})
    with pytest.raises(RNNError, match="the full gradient of W on this text is 0"):
        credit(model, X, Y, ["immediate"])
