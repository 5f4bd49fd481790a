"""A short round of the fuzzing, and that it would find what it looks for."""

import faulthandler
import os
import pickle
import signal

import conftest
import numpy as np
import pytest
from fuzz import interfaces, processes
from fuzz.hostile import damage, places, put
from fuzz.judge import Target
from fuzz.readers import readers
from hypothesis import strategies as st

from theano_rnn.common.errors import RNNError

#: Of each reader here, and of what is slower; ``make fuzz`` has thousands.
CASES, FEW = 300, 60

READERS = {target.name: target for target in readers()}
INTERFACES = {target.name: target for target in interfaces.interfaces(count=1)}
#: These wait for functions to be compiled.
COMPILED = {"RNN methods", "Step", "Flow"}


def holds(target):
    cases = conftest.some(CASES) if target.near else FEW
    tally = processes.run(target, cases, seed=1)
    assert tally.failures == {} and tally.cases == cases
    assert tally.results and tally.errors


@pytest.mark.parametrize("name", READERS)
def test_a_hostile_file_ends_in_a_result_or_an_error(name):
    holds(READERS[name])


@pytest.mark.parametrize("name", sorted(set(INTERFACES) - COMPILED))
def test_hostile_arguments_end_in_a_result_or_an_error(name, monkeypatch):
    monkeypatch.setattr("theano_rnn.model.functions.compile_function", conftest.function_in_python)
    holds(INTERFACES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(COMPILED))
def test_hostile_arguments_of_compiled_loops_end_in_a_result_or_an_error(name):
    holds(INTERFACES[name])


# ---- what a failure is


def judged(run, cases=20):
    """The failures of a function of (case, folder)."""
    return processes.run(Target("x", st.integers(0, 99), run), cases, seed=0).failures


def test_a_result_and_an_error_are_no_failures():
    def run(case, folder):
        if case % 2:
            raise RNNError("odd")

    tally = processes.run(Target("x", st.integers(0, 99), run), 100, seed=0)
    assert (tally.results > 10, tally.errors > 10, tally.failures) == (True, True, {})
    assert tally.results + tally.errors == tally.cases == 100


def test_another_error_is_a_failure_with_its_case():
    ((what, case),) = judged(lambda case, folder: 1 / 0).items()
    assert what.startswith("ZeroDivisionError") and 0 <= int(case) <= 99


def test_a_process_that_dies_is_a_failure_with_its_case():
    def run(case, folder):
        faulthandler.disable()  # pytest's, of no interest here
        os.kill(os.getpid(), signal.SIGSEGV)

    ((what, case),) = judged(run, 1).items()
    assert what == f"the process died of signal {signal.SIGSEGV:d}" and 0 <= int(case) <= 99


def test_what_takes_too_much_memory_is_a_failure_also_where_it_is_caught():
    def run(case, folder):
        try:
            np.ones(2 * processes.ROOM // 8)
        except MemoryError:
            raise RNNError("too large") from None

    (what,) = judged(run)
    assert what.startswith("memory")


@pytest.mark.parametrize(
    "act, event",
    [
        (lambda folder: pickle.loads(b"cos\nsystem\n."), "pickle.find_class"),
        (lambda folder: os.system("true"), "os.system"),
        (lambda folder: (folder.parent / "x").write_text("x"), "open"),
        (lambda folder: (folder / ".." / "x").mkdir(), "os.mkdir"),
        (lambda folder: os.rename(folder / "a", folder.parent / "a"), "os.rename"),
    ],
)
def test_code_from_a_file_and_files_elsewhere_are_failures_also_where_caught(act, event):
    def run(case, folder):
        try:
            act(folder)
        except BaseException:
            raise RNNError("hidden") from None

    (what,) = judged(run)
    assert event in what


def test_what_takes_too_long_is_a_failure(monkeypatch):
    monkeypatch.setattr("fuzz.judge.LONGEST", 0.1)

    def run(case, folder):
        while True:
            pass

    (what,) = judged(run, 1)
    assert what.startswith("TooLong")


# ---- what is drawn


def test_damage_stays_within_bounds_and_the_same_edits_do_the_same():
    rng = np.random.default_rng(0)
    data = bytes(range(200))
    for kind in ("flip", "set", "cut", "remove", "repeat", "splice", "insert", "number", "swap"):
        changed = 0
        for _ in range(50):
            edits = [(kind, int(rng.integers(2**30)), int(rng.integers(2**30)))]
            once = damage(data, edits, [data])
            assert once == damage(data, edits, [data]) and len(once) <= 2**20
            changed += once != data
        assert changed > 20, kind
        assert damage(b"", [(kind, 5, 7)], [b""]) is not None


def test_parts_of_json_are_replaced_removed_and_doubled():
    value = {"a": [1, {"b": 2}]}
    assert places(value) == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b")]
    assert put(value, ("a", 1, "b"), 3, "replace") == {"a": [1, {"b": 3}]}
    assert put(value, ("a", 0), None, "remove") == {"a": [{"b": 2}]}
    assert put(value, ("a", 0), 5, "add") == {"a": [5, 1, {"b": 2}]}
    assert value == {"a": [1, {"b": 2}]}


def test_the_program_prints_a_table_and_ends_with_0(capsys):
    from fuzz.__main__ import main

    assert main(["--cases", "30", "--only", "grid.json"]) == 0
    printed = capsys.readouterr().out
    assert "grid.json │    30" in printed and "seed 0" in printed


def test_without_atheris_it_says_so(capsys, monkeypatch):
    import sys

    from fuzz.__main__ import main

    monkeypatch.setitem(sys.modules, "atheris", None)
    assert main(["--atheris", "1"]) == 0
    assert "atheris is not installed" in capsys.readouterr().out
