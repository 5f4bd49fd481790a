"""A new cell is one ``Cell`` and one NumPy step, and the whole package takes it: no other file."""

import numpy as np
import pytest

from theano_rnn import RNN, gradcheck
from theano_rnn.commands import train
from theano_rnn.engine import tensor
from theano_rnn.flow import Flow
from theano_rnn.flow.findings import measure
from theano_rnn.flow.report.folder import Report
from theano_rnn.model import cells
from theano_rnn.reference import cells as reference
from theano_rnn.text.corpus import build_corpus, pairs
from theano_rnn.training.load import load
from theano_rnn.training.loop import Callback, Training
from theano_rnn.training.run_folder import Run
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings

LEAK = 0.25


def leaky(p_t, before, weights, read):
    """s_t = (1 - leak) s' + leak tanh(p_t + W s'), a leaky integrator (Jaeger 2001)."""
    (s_before,), (W_T,) = before, weights
    h = tensor.tanh(p_t + tensor.dot(read(s_before), W_T))
    return {"s": (1 - LEAK) * s_before + LEAK * h}


def leaky_forward(p, W, before):
    (s_before,) = before
    return ((1 - LEAK) * s_before + LEAK * np.tanh(p + W @ s_before),)


def leaky_backward(p, W, before, d_after):
    (s_before,), (ds,) = before, d_after
    h = np.tanh(p + W @ s_before)
    dz = LEAK * ds * (1 - h**2)
    return dz, np.outer(dz, s_before), ((1 - LEAK) * ds + W.T @ dz,)


@pytest.fixture(autouse=True)
def registered(monkeypatch, uncompiled):
    """The cell is known during a test, and nothing is compiled."""
    monkeypatch.setitem(cells.CELLS, "leaky", cells.Cell(leaky))
    step = reference.Cell(1, 1, leaky_forward, leaky_backward)
    monkeypatch.setitem(reference.CELLS, "leaky", step)


def test_help_lists_it_with_the_first_line_of_its_docstring(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "lstm,mingru,leaky}" in words and "leaky: s_t = (1 - leak) s' + leak tanh" in words


def test_its_gradients_are_those_of_numpy_and_of_differences_under_every_truncation():
    rows = gradcheck.cross_check(
        hidden_size=3, vocab_size=5, length=6, nets=1, cell="leaky", layers=2, bias=True,
        schemes=["full", "window:2", "chunk:2", "last:2"],
    )  # fmt: skip
    rows = list(rows)
    assert len(rows) == 4 and all(row.passed for row in rows), rows


def test_it_is_trained_in_a_run_folder_which_opens_again_and_is_sampled_from(tmp_path):
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a".split())
    texts = [" ".join(random.choice(words, size=5)) for _ in range(12)]
    corpus = build_corpus(texts[:8], texts[8:10], texts[10:])
    settings = Settings(cell="leaky", hidden_size=4, learning_rate=0.5, epochs=2, seed=1)
    run = Run.create(tmp_path / "run")
    run.save_settings(vars(settings))
    run.save_vocabulary(corpus.vocabulary)
    training = Training(settings, run, corpus)
    before = training.model.calculate_loss(*pairs(corpus.valid))
    training.run_epochs(Callback())
    assert run.metrics()[-1]["valid_loss"] < before
    model, vocabulary = load(tmp_path / "run")
    assert model.architecture.cell == "leaky"
    samples = generate(model, vocabulary, count=3, seed=2)
    assert len(samples) == 3 and any(set(words) & set(text.split()) for text in samples)


def naive_norms(parameters, x, y):
    """|dE_t/ds_k|, (T, T), by the NumPy step: each output's error, step by step back."""
    U, V, W = (parameters[name] for name in "UVW")
    s = [np.zeros(len(W))]
    for token in x:
        (after,) = leaky_forward(U[:, token], W, (s[-1],))
        s.append(after)
    norms = np.zeros((len(x), len(x)))
    for t, target in enumerate(y):
        o = np.exp(V @ s[t + 1])
        error = o / o.sum()
        error[target] -= 1
        d = V.T @ error
        for k in range(t, -1, -1):
            norms[t, k] = np.linalg.norm(d)
            *_, (d,) = leaky_backward(U[:, x[k]], W, (s[k],), (d,))
    return norms


def test_its_gradient_is_followed_and_reported(tmp_path):
    model = RNN(6, 4, cell="leaky", seed=1, dtype="float64")
    x, y = [0, 3, 1, 2, 5], [3, 1, 2, 5, 4]
    flow = Flow(model, x, y)
    np.testing.assert_allclose(flow.norms, naive_norms(model.parameters(), x, y), rtol=1e-12)
    # It has no gate whose values say how open it is, and tanh' is not its Jacobian.
    assert flow.bound() is None and flow.identity_path() is None
    assert flow.saturation()["derivative"] is None and flow.saturation()["gates"] == {}
    found = measure(flow, list("abcde"), list("bcdef"), "leaky")
    assert "No bound is known for the cell leaky" in found.verdict.bound_says
    assert list(found.curves) == ["tanh"]
    Report(tmp_path).write(found)
    assert (tmp_path / "report.html").stat().st_size > 3 * 10**4
