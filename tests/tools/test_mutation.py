"""The mutation testing finds what it looks for, and what it is told to leave out is right."""

import textwrap

import pytest
from conftest import ROOT

pytest.importorskip("cosmic_ray")  # of the extra proofs

from mutation import mutants, survivors
from mutation.covering import Covering, covering
from mutation.trying import Trials

PROGRAM = """
    def larger(a: "int | None", b: int) -> "int | None":
        n = 2**64
        if b > a:
            return b
        return a if n else n
    """
TESTS = """
    from theano_rnn_small.graph import larger

    def test_the_larger_of_two():
        assert (larger(1, 2), larger(2, 1), larger(1, 1)) == (2, 2, 1)
    """


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module and one test."""
    for path, text in (
        ("theano_rnn_small/graph.py", PROGRAM),
        ("tests/room/test_small.py", TESTS),
        ("conftest.py", "import sys; sys.path.insert(0, '.')"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tried(project, line):
    """Mutated lines and verdicts of the mutants of a line."""
    path = "theano_rnn_small/graph.py"
    covered = covering(project, [path], project / "kept", jobs=1)
    found = mutants.mutants(path, (project / path).read_text())
    trials = Trials(project, covered, project / "kept" / "results.jsonl")
    chosen = [m for m in found if m.line == line]
    return {r.after: r.verdict for r in trials.run(chosen, jobs=2)}


def test_a_fault_that_a_test_sees_is_killed_and_one_that_changes_nothing_survives(project):
    verdicts = tried(project, line=4)
    assert verdicts["if b < a:"] == verdicts["if b != a:"] == "killed" != verdicts["if b >= a:"]
    assert verdicts["if b >= a:"] == "survived"  # of two equal ones either is the larger


@pytest.mark.slow
def test_the_file_stays_as_it_is_and_results_are_kept_while_it_does(project):
    path = project / "theano_rnn_small" / "graph.py"
    before = path.read_text()
    assert tried(project, line=5) == {}  # it has none
    kept = project / "kept" / "results.jsonl"
    first, lines = tried(project, line=4), kept.read_text().splitlines()
    assert path.read_text() == before and len(first) > 1
    assert tried(project, line=4) == first and len(lines) == len(first)
    assert len(kept.read_text().splitlines()) == len(lines)  # nothing was tried again
    (project / "tests" / "room" / "test_small.py").write_text("def test_nothing():\n    pass\n")
    assert set(tried(project, line=4).values()) == {"survived"}


SOURCE = """
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    N = 1 + 1


@functools.lru_cache(maxsize=1)
def f(a: "int | None" = 1 + 1, *, b: Callable[[int, 1 + 1], None]) -> 1 + 1:
    c: 1 + 1 = 2 + 2
    return {**a, "b": -c}
"""


def test_annotations_caches_and_signs_that_are_no_operator_are_left_out():
    found = mutants.mutants("theano_rnn/model/cells.py", SOURCE)
    places = {(m.operator.split("_")[0], m.line) for m in found}
    assert places == {
        ("ReplaceBinaryOperator", 10), ("NumberReplacer", 10), ("ReplaceBinaryOperator", 11),
        ("NumberReplacer", 11), ("ReplaceUnaryOperator", 12),
    }  # fmt: skip
    texts = {m.text(SOURCE) for m in found}
    assert len(texts) == len(found) == 2 * (11 + 4) + 4
    assert all('"int | None"' in t and "1 + 1]" in t and "-> 1 + 1" in t for t in texts)


def test_a_sample_has_of_each_group_its_share_or_the_least():
    sizes = {"model/cells.py": 40, "model/graph.py": 1000, "flow/page.py": 9000}
    every = [
        mutants.Mutant(f"theano_rnn/{name}", "x", i, i)
        for name, n in sizes.items()
        for i in range(n)
    ]
    drawn = mutants.sample(every, 2000, seed=0)
    groups = [m.group for m in drawn]
    assert [groups.count(g) for g in ("model/cells.py", "model/graph.py", "flow/")] == [
        40,
        199,
        1793,
    ]
    assert drawn == mutants.sample(every, 2000, seed=0) != mutants.sample(every, 2000, seed=1)
    assert len(set(drawn)) == len(drawn)


def test_a_line_is_run_by_the_tests_of_its_statement_and_a_module_s_by_all():
    source = "A = 1\n\n\ndef f(\n    a,\n):\n    return g(\n        a,\n        2,\n    )\n"
    covered = Covering([
        {"seconds": {"t.py::a": 3.0, "t.py::b": 1.0}, "lines": {"m.py": {"7": [0], "8": [1]}}},
        {"seconds": {"u.py::c": 2.0}, "lines": {"m.py": {"1": [], "5": [0]}}},
    ])  # fmt: skip
    assert covered.tests("m.py", source, 9) == {"t.py": ["t.py::b", "t.py::a"]}
    every = {"t.py": ["t.py::b", "t.py::a"], "u.py": ["u.py::c"]}
    assert covered.tests("m.py", source, 1) == covered.tests("m.py", source, 4) == every


def test_every_file_that_is_to_be_mutated_is_there():
    paths = mutants.paths(ROOT)
    assert all((ROOT / path).is_file() for path in paths)
    for group in mutants.GROUPS:
        assert any(path.startswith(f"theano_rnn/{group}") for path in paths), group


def test_a_survivor_listed_is_of_a_line_that_is_there_and_has_a_reason():
    for entry in survivors.read():
        lines = (ROOT / entry["file"]).read_text(encoding="utf-8").splitlines()
        assert entry["line"] in map(str.strip, lines), entry
        assert entry["reason"] and entry["mutants"] and entry["line"] not in entry["mutants"]
