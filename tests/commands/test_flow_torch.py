"""flow --torch as a user runs it, on files of numbers; and how it refuses bad input."""

import functools
import json
import re

import numpy as np
import pytest
import safetensors.numpy

from theano_rnn import RNN, Flow
from theano_rnn.commands import flow
from theano_rnn.flow.verdict import verdict
from theano_rnn.interop.torch_state import to_torch

T, H, N = 8, 3, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A module under other names with a part that is no recurrence, and arrays."""
    folder, random = tmp_path_factory.mktemp("torch"), np.random.default_rng(0)
    model = RNN(6, H, embedding_size=N, dtype="float64", seed=1)
    state = to_torch(model.parameters(), model.architecture)
    safetensors.numpy.save_file(state, folder / "words.safetensors")
    core = {f"net.core.{name[4:]}": a for name, a in state.items() if name[:4] == "rnn."}
    safetensors.numpy.save_file(core, folder / "bare.safetensors")
    both = {**core, "conv.weight": np.ones((2, 2))}
    safetensors.numpy.save_file(both, folder / "conv.safetensors")
    safetensors.numpy.save_file({"conv.weight": np.ones((2, 2))}, folder / "no.safetensors")
    X = random.normal(size=(T, N))
    arrays = {
        "X": X,
        "E": random.normal(size=(T, H)),
        "batch": np.stack([X, -X, 2 * X]),
        "tokens": np.arange(6),
    }
    arrays["nan"] = np.where(np.arange(N) == 2, np.nan, X)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "pickled.npy", np.array([{}]), allow_pickle=True)
    (folder / "module.pt").write_bytes(b"PK\x03\x04 a pickle")
    return folder


@pytest.fixture
def called(folder, monkeypatch, caller):
    """Exit code, output and errors of the command in this process."""
    monkeypatch.chdir(folder)
    return functools.partial(caller, flow.main)


def test_the_flow_of_a_module_is_that_of_from_torch(called, folder):
    given = "--torch conv.safetensors --inputs X.npy --loss-gradient E.npy --names net.core"
    code, out, err = called(*given.split(), "--steps", 7, "--lag", 4)
    assert code == 0 and not err
    X, E = (np.load(folder / f"{name}.npy")[:7] for name in "XE")
    expected = Flow.from_torch("conv.safetensors", X, loss_gradient=E, names="net.core")
    of = "conv.safetensors: tanh, 1 layer of 3 units, reads vectors of 4 numbers, no outputs"
    assert out.startswith(f"{of}; 7 steps\n")
    kind = verdict(expected).kind
    assert f"conv.safetensors: {kind}\n" in out
    assert f"{verdict(expected).rate:.3g} of |dE_t/ds_k|" in " ".join(out.split())
    assert "By lag" in out and "were given" not in out and "the word" not in out


@pytest.mark.slow
def test_a_file_alone_is_enough_and_the_page_is_written(called, folder):
    code, out, _ = called("--torch", "bare.safetensors", "--report", "report", "--cosine", 0.9)
    assert code == 0 and "No inputs were given: they are 24 random normal vectors of 4." in out
    said = " ".join(out.split())
    assert "No loss was given: each dE_t/ds_t is a random direction of length 1" in said
    assert re.search(r"From window:\d+ on the cosine is 0.9 or more", out)
    page = (folder / "report" / "report.html").read_text()
    (numbers,) = re.findall(r'id="numbers">(.*?)</script>', page)
    numbers = json.loads(numbers)
    assert numbers["inputs"][:2] == ["x1", "x2"] and numbers["targets"][-1] == "E24"
    assert numbers["losses"] is None and not numbers["is_text"]
    assert (folder / "report" / "heat.png").is_file()
    code, out, _ = called("--torch", "words.safetensors", "--inputs", "tokens.npy")
    assert code == 0 and "reads tokens (4), 6 outputs; 5 steps" in out
    assert "No targets were given: each token predicts the next." in out


def test_of_several_sequences_the_verdict_is_on_all(called, folder):
    code, out, _ = called("--torch", "bare.safetensors", "--inputs", "batch.npy")
    said = " ".join(out.split())
    assert code == 0
    assert (
        "The inputs are 3 sequences of 8 steps: the first is shown, the verdict is on all" in said
    )
    assert "in 95 % of the draws of 3" in said or "These 3" in said or "on 3" in said


@pytest.mark.parametrize("arguments, complaint", [
    ("--torch nowhere", "nowhere: No such file"),
    ("--torch module.pt", "module.pt is not a safetensors file"),
    ("--torch no.safetensors", "rnn.weight_ih_l0 is missing: it holds conv.weight (2, 2)"),
    ("--torch conv.safetensors", '"conv.weight" is unknown'),
    ("--torch conv.safetensors --names lstm", "no tensor begins so: it holds conv.weight (2, 2)"),
    ("--torch conv.safetensors --names net.core=rnn", '"conv.weight" is unknown'),
    ("--torch bare.safetensors --cell gru", "no module for the cell gru"),
    ("--torch bare.safetensors --inputs nan.npy", "inputs[0, 2] is nan, and 8 of its values"),
    ("--torch bare.safetensors --inputs batch.npy --loss-gradient E.npy", "are 3 sequences"),
    ("--torch bare.safetensors --inputs E.npy", "inputs has shape (8, 3), not (T, 4)"),
    ("--torch bare.safetensors --inputs none.npy", "none.npy: No such file"),
    ("--torch bare.safetensors --inputs module.pt", "module.pt is not an .npy file of an array"),
    ("--torch bare.safetensors --inputs pickled.npy", "pickled.npy is not an .npy file"),
    ("--torch bare.safetensors --inputs X.npy --loss-gradient X.npy", "(8, 4), not (8, 3)"),
    ("--torch bare.safetensors --inputs X.npy --targets tokens.npy", "has no decoder"),
    ("--torch bare.safetensors --inputs X.npy --steps 0", "--steps"),
    ("--torch bare.safetensors --inputs X.npy --lag 8", "lag 8 needs 9 steps, and the inputs"),
    ("--torch bare.safetensors --demo", "leave out --demo"),
    ("--torch bare.safetensors run --text a", "leave out the run, --text"),
    ("--torch bare.safetensors --sentence 0 --sentences 3", "leave out --sentence, --sentences"),
    ("--torch bare.safetensors --encoding utf-8", "leave out --encoding"),
    ("--demo --inputs X.npy", "need --torch FILE"),
    ("run --cell relu", "need --torch FILE"),
])  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(called, folder, arguments, complaint):
    before = sorted(folder.rglob("*"))
    code, out, err = called(*arguments.split(), "--report", "never")
    assert code == 2 and not out and complaint in err and len(err.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before
