"""scripts/gradient_flow.py as a user runs it, on a tiny run; and how it refuses bad input."""

import dataclasses
import functools
import json
import re
import shutil
import sys

import numpy as np
import pytest
from conftest import ROOT
from interpreters import Forked

from theano_rnn import RNN
from theano_rnn.commands import flow
from theano_rnn.flow import Flow
from theano_rnn.flow.decay import geometric_mean, left_by_lag
from theano_rnn.flow.findings import measure
from theano_rnn.flow.report import terminal

SCRIPTS = ROOT / "scripts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run and texts."""
    folder = tmp_path_factory.mktemp("flow")
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    lines = [" ".join(random.choice(words, size=random.integers(2, 25))) for _ in range(60)]
    (folder / "text.txt").write_text("\n\n".join(f"{line.capitalize()}." for line in lines))
    (folder / "other.txt").write_text("The cat saw $5 and <b>a</b> dog.\n\nCafé zzz qqq.\n")
    (folder / "unknown.txt").write_text("Zzz qqq xxx.\n")
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes("naïve text".encode("latin-1"))
    given = "--text text.txt --hidden-size 5 --epochs 1 --truncation last:4 --run run".split()
    given += ["--cell", "tanh", "--embedding-size", "0", "--dropout", "0"]
    done = Forked(SCRIPTS / "train.py", *given, cwd=folder).wait()
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def called(folder, monkeypatch, caller):
    """Exit code, output and errors of the command in this process."""
    monkeypatch.chdir(folder)
    return functools.partial(caller, flow.main)


def test_a_run_is_answered_in_the_terminal(called):
    code, out, err = called("run", "--cosine", 0.99)
    assert code == 0 and not err
    assert "log10 |dE_t/ds_k|" in out and "By lag" in out and "The bound proves nothing" in out
    assert "vanish" in out or "kept" in out or "explode" in out
    assert "Trained with last:4: the cosine" in out
    said = r"From {}:\d+ on the cosine is 0.99 or more(; .* is the first that reaches it)?\."
    assert all(re.search(said.format(scheme), out) for scheme in ("window", "chunk"))
    assert not re.search(r"-0\.0*(?!\d)", out)
    assert re.search(r"One-step \|ds_t/ds_\{t-1\}\|: mean [\d.]+, max [\d.]+, above 1 at", out)
    steps = int(re.search(r", (\d+) steps:", out)[1])
    assert f" of the {(steps + 1) / 2:.1f} steps up to it" in out
    steps = int(re.search(r", (\d+) steps:", out)[1])
    assert 16 <= steps + 1 <= 32


@pytest.fixture(scope="module")
def measured():
    """Flow and findings of a network that is as it begins."""
    x, y = np.random.default_rng(0).integers(9, size=(2, 12))
    flow = Flow(RNN(9, 5, layers=2, seed=1, dtype="float64"), x, y)
    words = [list("abcdefghi"[i] for i in ids) for ids in (x, y)]
    return flow, measure(flow, *words, "net", truncation="last:4")


@pytest.mark.slow
def test_a_network_that_is_as_it_begins_is_not_said_to_be_trained(measured):
    _, found = measured
    lines = "\n".join(terminal.verdict_lines(found))
    assert "Not trained; under last:4: the cosine" in lines and not found.is_trained
    assert "Trained with" not in lines


def test_dE_dW_of_two_layers_is_that_of_both_and_said_to_be(measured):
    flow, found = measured
    assert (found.cosine, found.ratio) == flow.truncated("last:4", ["W", "W2"])
    np.testing.assert_array_equal(found.shares, flow.shares(["W", "W2"]))
    assert any("the W of all 2 layers" in line for line in terminal.verdict_lines(found))


def test_the_numbers_of_the_findings_are_those_of_the_flow(measured):
    flow, found = measured
    norms = flow.one_step_norms()
    one_step = {"mean": norms.mean(), "max": norms.max(), "above_1": (norms > 1).mean()}
    assert found.one_step == one_step
    for scheme, K in [("window", 3), ("chunk", 5), ("last", 1)]:
        i = found.K.index(K)
        cut = flow.truncated(f"{scheme}:{K}", ["W", "W2"])
        assert (found.cosines[scheme][i], found.ratios[scheme][i]) == cut
    assert (found.live, found.omega) == (flow.live_steps(), flow.omega())
    assert found.exponent == flow.exponent()
    np.testing.assert_array_equal(found.left, left_by_lag(flow.norms))
    np.testing.assert_array_equal(found.products, flow.norms_by_lag())
    assert found.layers == 2


def test_the_tables_have_the_numbers_of_the_findings(measured):
    _, found = measured
    rows = list(zip(*(column.cells for column in terminal.table_by_lag(found).columns)))
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3, 4, 5, 6, 8, 10, 11]
    up_to = np.cumsum(found.contributions)
    for lag, left, product, share, sum_ in rows:
        n = int(lag)
        assert left == f"{found.left[n]:.2g}" and share == terminal.percent(found.contributions[n])
        assert product == f"{geometric_mean(found.products)[n]:.2g}" and sum_ == terminal.percent(
            up_to[n]
        )
    rows = list(zip(*(column.cells for column in terminal.table_of_truncation(found).columns)))
    assert rows[-1] == ("12", *["1.000, 1"] * 3)
    i = found.K.index(2)
    assert rows[1][1] == f"{found.cosines['window'][i]:.3f}, {found.ratios['window'][i]:.3g}"


@pytest.mark.parametrize("first, also", [(8, "; chunk:8 is the first that reaches it"), (16, "")])
def test_the_sentence_of_the_cosine_names_the_first_K_where_a_larger_one_has_less(first, also):
    said = terminal.smallest_K_line("chunk", 0.99, 16, first)
    assert said == f"From chunk:16 on the cosine is 0.99 or more{also}."


def test_nothing_is_printed_as_less_than_nothing(measured):
    _, found = measured
    assert terminal.percent(-1e-9) == "0.0%"
    ones = dataclasses.replace(found, norms=np.where(np.tri(12) > 0, 0.999, np.nan))
    assert "the largest, 1:" in terminal.heat_map(ones)


def test_a_report_is_left_with_the_words_of_the_text(called, folder):
    code, out, err = called("run", "--text", "other.txt", "--sentence", 1, "--report", "report")
    assert code == 0, err
    assert "report/report.html" in out and (folder / "report" / "heat.png").is_file()
    page = (folder / "report" / "report.html").read_text()
    (numbers,) = re.findall(r'id="numbers">(.*?)</script>', page)
    numbers = json.loads(numbers)
    assert numbers["inputs"][:4] == ["<s>", "the", "cat", "saw"] and "<unk>" in numbers["inputs"]
    assert numbers["truncation"] == "last:4"


def test_the_verdict_is_on_several_sentences_and_tells_how_much_they_differ(called):
    code, out, err = called("run")
    assert code == 0 and not err
    n = int(re.search(r"(?:of|on|these) (\d+) texts", out)[1])
    assert 2 < n <= 50 and f"in 95 % of the draws of {n} texts; single texts: " in out
    code, out, _ = called("run", "--sentences", 1)
    assert code == 0 and "texts" not in out.split("runs")[-1] and "this text" in out
    code, out, _ = called("run", "--sentences", 5, "--steps", 9)
    assert code == 0 and "of 5 texts" in out


def test_steps_and_lag_limit_what_is_shown(called):
    code, out, _ = called("run", "--steps", 9, "--lag", 3)
    assert code == 0 and ", 9 steps:" in out
    by_lag, _ = out.split("Truncated dE/dW")
    rows = [line for line in by_lag.splitlines() if re.match(r"│\s+\d", line)]
    assert [int(row.split("│")[1]) for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["nowhere"], "not a run folder"),
        (["run", "--text", "unknown.txt"], "no word that this run knows"),
        (["run", "--text", "other.txt", "--sentence", 2], "no word that this run knows"),
        (["run", "--text", "other.txt", "--sentence", 9], "has 2 sentences"),
        (["run", "--text", "empty.txt"], "empty"),
        (["run", "--text", "latin.txt"], "UTF-8"),
        (["run", "--text", "nowhere.txt"], "cannot be read"),
        (["run", "--text", "other.txt", "--lag", 200], "lag 200 needs 201 steps"),
        (["run", "--steps", 3, "--lag", 3], "needs 4 steps"),
        (["run", "--steps", 0], "--steps"),
        (["run", "--lag", 0], "--lag"),
        (["run", "--sentences", 0], "--sentences must be a whole number of at least 1, not 0"),
        (["run", "--demo", "--sentences", 2], "--demo"),
        (["run", "--cosine", 2], "--cosine"),
        (["run", "--report", "text.txt"], "cannot be written"),
        (["run", "--report", "text.txt/in"], "cannot be written"),
        ([], "--demo"),
        (["run", "--demo"], "--demo"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_input_is_an_error_that_says_what(called, folder, arguments, complaint):
    before = sorted(folder.rglob("*"))
    code, _, err = called(*arguments)
    assert code == 2 and complaint in err and "Traceback" not in err
    assert sorted(folder.rglob("*")) == before


def test_a_run_without_checkpoint_is_refused_and_leaves_no_empty_report(called, folder):
    shutil.copytree(folder / "run", folder / "bare")
    (folder / "bare" / "best.safetensors").unlink()
    code, _, err = called("bare", "--report", "never")
    assert code == 2 and "no checkpoint best.safetensors" in err
    assert not (folder / "never").exists()


def test_the_text_of_a_run_that_has_changed_or_gone_is_told_so(called, folder):
    shutil.copytree(folder / "run", folder / "moved")
    settings = json.loads((folder / "moved" / "settings.json").read_text())
    for text, complaint in (("gone.txt", "cannot read"), ("other3.txt", "has changed")):
        (folder / "other3.txt").write_text("A b c.\n\nD e f.\n\nG h i.\n\nJ k l.\n")
        settings["text"] = str(folder / text)
        (folder / "moved" / "settings.json").write_text(json.dumps(settings))
        code, _, err = called("moved")
        assert code == 2 and complaint in err and "--text" in err


def test_a_folder_is_refused_before_anything_is_computed(called, monkeypatch):
    from theano_rnn.training import load

    monkeypatch.setattr(load, "load", lambda *_: pytest.fail("computed"))
    code, _, err = called("run", "--report", "text.txt")
    assert code == 2 and "cannot be written" in err


def test_a_report_without_what_draws_it_is_one_line(called, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = called("run", "--report", "undrawn")
    assert code == 2 and "pip install 'theano-rnn[report]'" in err
    assert len(err.splitlines()) == 1 and not (folder / "undrawn").exists()
