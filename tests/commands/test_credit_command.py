"""theano-rnn credit on a tiny run, and how it refuses bad input."""

import functools

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.commands import credit
from theano_rnn.flow import sentence
from theano_rnn.training import load
from theano_rnn.training.run_folder import Run


@pytest.fixture
def called(monkeypatch, caller, uncompiled):
    """Exit code, output and errors, of a run that is a model and a sentence."""
    x, y = np.random.default_rng(0).integers(4, size=(2, 5))
    model = RNN(4, 3, cell="gru", seed=1)
    words = type("Words", (), {"decode": staticmethod(lambda ids: "a b c d e f")})
    monkeypatch.setattr(load, "load", lambda run: (model, words))
    monkeypatch.setattr(load, "load_settings", lambda run: None)
    monkeypatch.setattr(Run, "open", lambda run: None)
    monkeypatch.setattr(sentence, "sentences", lambda *given: [])
    monkeypatch.setattr(sentence, "choose", lambda *given, found: (x, y, 3))
    return functools.partial(caller, credit.main, "run")


@pytest.mark.slow
def test_a_run_is_answered_with_a_table_and_a_picture(called, tmp_path):
    picture = tmp_path / "credit.png"
    code, out, err = called("--methods", "immediate", "--picture", picture)
    assert code == 0 and not err
    assert "Sentence 3, 5 steps: a b c d e f" in out
    rows = [line.split()[1] for line in out.splitlines() if line.startswith("│")]
    assert rows == ["full", "immediate"]
    assert picture.read_bytes().startswith(b"\x89PNG") and str(picture) in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--methods", "snap1"], "another cell"),
        (["--methods", "rtrl,"], "method '' is unknown"),
        (["--draws", "1"], "draws must be a whole number of at least 2"),
        (["--of", "b"], "'b' is no parameter"),
        (["--picture", "/nowhere/a.png"], "/nowhere/a.png cannot be written"),
        (["--seed", "x"], "--seed must be a whole number"),
    ],
)
def test_bad_input_is_one_line(called, arguments, words):
    code, _, err = called(*arguments)
    assert code == 2 and words in err and len(err.splitlines()) == 1
