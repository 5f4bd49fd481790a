"""The cross-check passes on the package, and misses where something is broken."""

import numpy as np
import pytest
from kinds import GATES, PLAIN, is_defined

from theano_rnn import RNNError, gradcheck
from theano_rnn.commands.check import main
from theano_rnn.gradcheck import (
    cross_check,
    cross_check_online,
    differences_error,
    relative_error,
)
from theano_rnn.model import truncation as truncations
from theano_rnn.model.architecture import Architecture
from theano_rnn.online import METHODS
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.online import online_gradients

SMALL = "--hidden-size 3 --vocab-size 5 --length 6 --nets 2".split()
NONE = ["--online"]


def test_the_script_prints_a_column_for_each_scheme_and_exits_with_0(capsys):
    assert main(SMALL + NONE + ["--truncation", "full", "window:2"]) == 0
    out, err = capsys.readouterr()
    (heading,) = (line for line in out.splitlines() if "window:2" in line)
    assert heading.index("full") < heading.index("window:2")
    (verdict,) = (line for line in out.splitlines() if "pass " in line)
    assert verdict.count("pass") == 2 and "miss" not in out
    assert "All pass. Tolerance: 1e-12 for Theano = NumPy (float64)" in out.splitlines()[-1]
    assert not err


@pytest.mark.slow
def test_any_network_is_checked_parameter_by_parameter(capsys):
    kind = "--cell lstm --layers 2 --bias --embedding-size 4 --truncation chunk:2".split()
    assert main(SMALL + NONE + kind) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in "L U V W b c U2 W2 b2".split():
        assert any(f"dE/d{name} " in line for line in lines)


def test_the_script_exits_with_1_where_theanos_truncation_poses_as_the_window(capsys, monkeypatch):
    monkeypatch.setattr(truncations, "window", truncations.last)
    assert main(SMALL + NONE + ["--truncation", "window:2"]) == 1
    out = capsys.readouterr().out
    assert "miss" in out and "pass" not in out
    assert "1 of 1 columns miss." in out.splitlines()[-1]


def test_a_fault_in_the_numpy_loops_is_a_miss_against_the_differences(monkeypatch):
    bptt = NumpyRNN.bptt

    def faulty(self, x, y):
        gradients = bptt(self, x, y)
        return {**gradients, "W": gradients["W"] * (1 + 1e-4)}

    monkeypatch.setattr(NumpyRNN, "bptt", faulty)
    monkeypatch.setattr(gradcheck, "RNN", lambda **settings: NumpyModel())

    class NumpyModel(NumpyRNN):
        """In place of the compiled model: with the same fault as the oracle."""

        architecture, vocab_size, dtype = Architecture(5, 3), 5, "float64"

        def __init__(self):
            super().__init__({"U": np.zeros((3, 5)), "V": np.zeros((5, 3)), "W": np.zeros((3, 3))})

    (row,) = cross_check(3, 5, 6, ["full"])
    assert row.loss == 0 and row.gradients == {"U": 0, "V": 0, "W": 0}
    assert 1e-5 < row.differences < 2e-4
    assert not row.passed


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell, dtype", [*((cell, "float64") for cell in GATES), ("lstm", "float32")]
)
def test_every_forward_method_passes_for_every_cell_where_it_is_defined(cell, dtype, uncompiled):
    methods = [m for m in METHODS if is_defined(m, {**PLAIN, "cell": cell})]
    rows = list(cross_check_online(3, 5, 6, methods, nets=2, dtype=dtype, cell=cell, bias=True))
    assert [row.method for row in rows] == methods and all(row.passed for row in rows), rows
    assert [row.method for row in rows if row.full is not None] == ["rtrl"]


def test_rtrl_is_in_the_table_and_misses_where_a_step_forgets_the_influence(
    capsys, monkeypatch, uncompiled
):
    scheme = ["--truncation", "full"]
    assert main(SMALL + scheme) == 0
    out = capsys.readouterr().out
    assert "rtrl" in out and "full gradient" in out and "miss" not in out
    monkeypatch.setattr(gradcheck, "online_gradients", lambda *a, **kind: faulty(*a, **kind))

    def faulty(parameters, x, y, method, signs, **kind):
        return online_gradients(parameters, x, y, "immediate", **kind)

    assert main(SMALL + scheme) == 1
    assert "1 of 2 columns miss." in capsys.readouterr().out


def test_a_large_network_has_no_forward_method_unless_it_is_asked_for(monkeypatch):
    assert not list(cross_check_online(hidden_size=500))
    good = dict(gradients={"U": 0, "W": 1e-13}, full=1e-13, tolerance=1e-12)
    assert gradcheck.OnlineRow("rtrl", **good).passed
    assert gradcheck.OnlineRow("local", **{**good, "full": None}).passed
    for bad in (np.nan, 1e-4):
        for change in ({"full": bad}, {"gradients": {"U": 0, "W": bad}}):
            assert not gradcheck.OnlineRow("rtrl", **{**good, **change}).passed


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--length 0", "length must be a whole number of at least 1, not 0"),
        ("--hidden-size -1", "--hidden-size must be"),
        ("--vocab-size 0", "--vocab-size must be"),
        ("--vocab-size 1", "--vocab-size is 1, and all gradients are 0 then; use 2 or more"),
        ("--nets 0", "nets must be"),
        ("--seed -1", "seed must be"),
        ("--dtype float16", "dtype 'float16' is unknown"),
        ("--truncation full window", "truncation 'window' is unknown"),
        ("--truncation last:0", "at least 1, not 0"),
        (
            "--cell rnn",
            "cell 'rnn' is unknown; use tanh, sigmoid, relu, gru, gru_after, lstm",
        ),
        ("--cell gru --tied", "set --embedding-size 8, or"),
        ("--online rtlr", "method 'rtlr' is unknown; use rtrl, snap1"),
        ("--online snap1 --layers 2", "snap1 follows what a parameter does to its own unit"),
        (
            "--online rtrl --hidden-size 500",
            "rtrl would carry the influence of 256,000 parameters on a state of 500 numbers",
        ),
        ("--layers 0", "layers must be a whole number of at least 1"),
        ("--length ten", "--length must be a whole number, not 'ten'"),
        ("--depth 3", "--depth is unknown"),
    ],
)
def test_bad_input_is_one_line_and_exits_with_2(capsys, arguments, message):
    try:
        code = main(arguments.split())
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_help_explains_every_argument(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for name in "hidden-size vocab-size length truncation online seed nets dtype".split():
        assert f"--{name}" in out
    assert "exit code" in out


def test_bad_input_is_refused_before_anything_is_compiled():
    for bad in ({"schemes": []}, {"schemes": "full"}, {"schemes": ["full", "x"]}, {"nets": 1.5}):
        with pytest.raises(RNNError):
            cross_check(**bad)


def test_relative_error_is_in_units_of_the_largest_element():
    assert relative_error([1, 2, 4], [1, 2, 5]) == 0.2
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert relative_error([0, 0], [0, 1e-300]) == 1
    assert relative_error(3, -3) == 2
    for bad in (np.nan, np.inf):
        assert np.isnan(relative_error([1, bad], [1, bad]))


def test_not_a_number_passes_nowhere():
    good = dict(loss=0, gradients={"U": 0, "b2": 0}, differences=0)
    settings = dict(truncation="full", tolerance=1e-12)
    assert gradcheck.Row(**good, **settings).passed
    for bad in (np.nan, 1e-4):
        for change in ({"loss": bad}, {"gradients": {"U": 0, "b2": bad}}, {"differences": bad}):
            assert not gradcheck.Row(**{**good, **change}, **settings).passed


@pytest.mark.parametrize("size", [4, 40])  # element by element, and by random directions
def test_differences_error_sees_a_gradient_that_is_wrong(size):
    rng = np.random.default_rng(0)
    parameters = {"A": rng.normal(size=(size, size)), "b": rng.normal(size=(size,))}
    gradients = {"A": 3 * parameters["A"] ** 2, "b": np.cos(parameters["b"])}

    def function(p):
        return float((p["A"] ** 3).sum() + np.sin(p["b"]).sum())

    assert differences_error(function, parameters, gradients, rng) < 1e-7
    for name in parameters:
        wrong = {**gradients, name: gradients[name] * (1 + 1e-3)}
        assert differences_error(function, parameters, wrong, rng) > 1e-5
        zero = {**gradients, name: gradients[name] * 0}
        assert differences_error(function, parameters, zero, rng) > 0.5


@pytest.mark.parametrize("size", [4, 40])
def test_a_kink_within_the_step_is_no_miss_and_hides_none(size):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(size, size))
    a[0, :3] = 3e-5, -2e-6, 4e-7  # a step of 1e-4 crosses 0
    parameters, gradients = {"A": a}, {"A": (a > 0).astype(float)}

    def function(p):
        return float(np.maximum(0, p["A"]).sum())

    assert (
        differences_error(function, parameters, gradients, rng) < gradcheck.DIFFERENCES_TOLERANCE
    )
    wrong = {"A": gradients["A"] * (1 + 1e-3)}
    assert differences_error(function, parameters, wrong, rng) > gradcheck.DIFFERENCES_TOLERANCE
