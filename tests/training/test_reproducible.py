"""The same seed gives the same bits twice, and what compares runs finds what differs."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import IN_C, ROOT, function_in_python
from reproduce import compare
from reproduce.steps import NETS, STEPS, digest, ten_steps

TOOLS = ROOT / "tools"


def in_a_process(seed=0):
    """What a net leaves in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "reproduce", "--json", "--only", "tanh, sgd", "--seed", str(seed)],
        capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "TESTS_IN_C": str(int(IN_C)), "PYTHONPATH": "tools:tests"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["nets"]["tanh, sgd"]


@pytest.mark.slow
def test_two_processes_have_the_same_bits_and_another_seed_has_others():
    first, other = in_a_process(), in_a_process(seed=1)
    assert first == in_a_process() and len(first["losses"]) == STEPS
    assert all(first[what] != other[what] for what in ("losses", "drawn", "parameters"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_two_fresh_models_have_the_same_bits_and_another_seed_has_others(name, monkeypatch):
    monkeypatch.setattr("theano_rnn.optim.step.compile_function", function_in_python)
    first = ten_steps(NETS[name], seed=0)
    assert first == ten_steps(NETS[name], seed=0)
    other = ten_steps(NETS[name], seed=1)
    assert all(first[what] != other[what] for what in ("losses", "drawn", "parameters"))


def test_a_digest_is_of_every_bit():
    zeros = np.zeros(2)
    assert digest(zeros) == digest(zeros.copy()) != digest(-zeros)
    assert digest(zeros) != digest(zeros.reshape(1, 2)) and digest(zeros) != digest(zeros, zeros)


# ---- what compares them


@pytest.fixture
def records():
    """Two of each of two versions, of two nets, all alike."""
    nets = {n: {"losses": [3.0, 2.5], "drawn": "d", "parameters": "p"} for n in ("a", "b")}
    versions = "3.9.18", "3.11.7", "3.9.18", "3.11.7"
    return [{"python": version, "nets": copy.deepcopy(nets)} for version in versions]


def of_311(records):
    return [record["nets"]["b"] for record in records if record["python"] == "3.11.7"]


def test_the_same_bits_on_all_are_reproduced(records):
    table, wrong = compare.judge(records)
    assert wrong == [] and table.row_count == 2
    assert [len(found) for found in compare.by_version(records).values()] == [2, 2]
    assert list(compare.by_version(records)) == ["3.9", "3.11"]


@pytest.mark.parametrize("by, is_wrong", [(1e-8, True), (float("nan"), True), (1e-10, False)])
def test_losses_across_versions_may_differ_by_a_billionth(records, by, is_wrong):
    for net in of_311(records):
        net["losses"][1] += by
        net["parameters"] = "others"
    _, wrong = compare.judge(records)
    assert wrong == ([f"b: losses differ by {by:.1e} across versions"] if is_wrong else [])


def test_what_is_drawn_must_be_the_same_across_versions(records):
    for net in of_311(records):
        net["drawn"] = "others"
    assert compare.judge(records)[1] == ["b: what is drawn differs across versions"]


@pytest.mark.parametrize("what", ["losses", "drawn", "parameters"])
def test_within_a_version_every_bit_must_be_the_same(records, what):
    net = of_311(records)[0]
    net[what] = [3.0, 2.5 + 2**-51] if what == "losses" else "others"
    assert "b: not the same bits twice on Python 3.11" in compare.judge(records)[1]


def test_one_run_or_one_version_proves_nothing(records):
    assert compare.judge(records[:2])[1] == [
        f"{net}: not the same bits twice on Python {version}"
        for net in ("a", "b")
        for version in ("3.9", "3.11")
    ]
    assert compare.judge(records[::2])[1] == ["there are not two versions of Python to compare"]


def test_the_comparison_ends_with_1_where_something_is_wrong(records, tmp_path, capsys):
    paths = [tmp_path / f"{number}.json" for number in range(4)]
    for path, record in zip(paths, records):
        path.write_text(json.dumps(record))
    assert compare.main(paths) == 0 and "within 1e-09" in capsys.readouterr().out
    of_311(records)[0]["losses"][0] += 1e-8
    paths[1].write_text(json.dumps(records[1]))
    assert compare.main(paths) == 1 and "b: losses differ by 1.0e-08" in capsys.readouterr().out
    assert compare.main([]) == 1


def test_pythons_that_are_not_there_are_skipped_and_none_at_all_is_an_error():
    command = ["sh", str(TOOLS / "reproduce" / "all.sh"), "python-not-there", "python-nor"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and "None of these is here" in done.stderr
    assert done.stdout.splitlines() == [
        f"Skipped: there is no {name} here." for name in command[2:]
    ]
