"""The doctor prints what the machine has, what is missing, and how the loops of a network run."""

import pytest
from conftest import first
from interpreters import run_python

from theano_rnn.commands.console import CONSOLE
from theano_rnn.commands.doctor import main

DOCTOR = "import sys; from theano_rnn.commands.doctor import main; sys.exit(main([]))"


def test_the_doctor_prints_what_was_found():
    printed = run_python(DOCTOR)
    for word in ("compiler", "scipy-openblas32", "GFLOP/s", "modules", "Nothing is missing"):
        assert word in printed


def test_the_doctor_says_what_to_do_without_a_compiler():
    assert "install g++" in run_python(DOCTOR, flags={"cxx": ""})


@pytest.mark.parametrize(
    ("flags", "words"),
    first(
        1,
        [
            ({"optimizer": "fastest"}, ["does not start", "optimizer=fastest", "fast_run"]),
            ({"flotX": "float64", "device": "gpu"}, ["did you mean floatX?", "device=gpu"]),
            ({"floatX": "float16"}, ["float16 is none of a model"]),
            (
                {"blas__ldflags": "-lnone", "linker": "cvm"},
                ["fails: see below", "-lnone", "doctor"],
            ),
            ({"blas__ldflags": ""}, ["there is no BLAS", "GFLOP/s"]),
        ],
    ),
)
def test_the_doctor_survives_and_says_what_is_in_the_way(flags, words):
    printed = run_python(DOCTOR, flags=flags)
    for word in words:
        assert word in printed


@pytest.mark.parametrize("cell", first(1, ["tanh", "gru"]))
def test_the_command_prints_each_loop(capsys, monkeypatch, cell):
    monkeypatch.setattr(CONSOLE, "_width", 150)  # so that no phrase is broken
    assert main(["explain", "--cell", cell, "--truncation", "last:2", "--mask"]) == 0
    out = capsys.readouterr().out
    assert out.count("yes") == 2 and "grad_of_recurrence" in out
    if cell == "gru":
        assert "for a block of steps at once" in out


def test_the_command_says_why_a_loop_stays_theanos(capsys, monkeypatch):
    monkeypatch.setattr(CONSOLE, "_width", 150)
    assert main(["explain", "--truncation", "window:2"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "errors" in line)
    assert "no" in line and "a slice of rows, whose number it computes" in line


def test_the_command_refuses_another_cell_in_one_line(capsys):
    assert main(["explain", "--cell", "perceptron"]) == 2
    err = capsys.readouterr().err
    assert "'perceptron' is unknown" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--cell", "gru"], ["--mask"], ["explain", "--install"]])
def test_options_without_effect_are_refused(words, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and ("explain" in said)
