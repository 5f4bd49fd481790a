"""make matrix: what is measured in an environment, and the table."""

import json
import sys
from pathlib import Path

import pytest
from matrix.__main__ import (
    HEADINGS,
    OF_PINS,
    ROOT,
    Combination,
    environment,
    pairs,
    parse_arguments,
    run_tests,
    table,
)


def combination(home, python=sys.executable, **found):
    return Combination(Path(python), "g++", home, **{"is_base": False, "is_pinned": True, **found})


def test_the_table_has_a_line_for_each_combination_and_speeds_relative_to_the_base(tmp_path):
    tests = {"passed": 4, "failed": 1, "skipped": 2}
    base = combination(
        tmp_path, is_base=True, versions=("3.11.7", "2.0.2"), tests=tests, gradients="1.0e-15",
        seconds=[14.04, 2.5], steps=[400.0, 500.0, 600.0],
    )  # fmt: skip
    bad = combination(tmp_path, versions=("3.13.0", "2.3.5"), seconds=[None, 2.5], steps=[550.0])
    heading, _, first, second = table([base, bad]).splitlines()
    assert heading.count("|") == first.count("|") == second.count("|") == len(HEADINGS) + 1
    assert first == "| 3.11.7 | 2.0.2 | g++ | 4 | 1 | 2 | 1.0e-15 | 14.0 | 2.5 | 1.00 |"
    assert second == "| 3.13.0 | 2.3.5 | g++ | - | - | - | fails | - | 2.5 | 1.10 |"


def test_a_python_may_have_further_numpys():
    given = parse_arguments(["--python", "3.9", "3.11", "--also", "3.11:1.23.5", "3.12:1.26.4"])
    assert pairs(given) == [("3.9", None), ("3.11", None), ("3.11", "1.23.5")]


def test_a_python_that_is_not_here_is_told(capsys):
    assert environment("3.99", None) is None
    assert "no Python 3.99" in capsys.readouterr().err


def test_with_another_numpy_the_test_of_pins_is_left_out(tmp_path):
    ran = []
    c = combination(tmp_path, is_pinned=False)
    c.run = lambda *arguments, **_: ran.extend(arguments)
    run_tests(c, ["-q"])
    file, _, name = OF_PINS.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text() and ran[-2:] == ["--deselect", OF_PINS]


def test_tests_are_counted(tmp_path, capsys):
    (tmp_path / "test_few.py").write_text(
        "import pytest, os\ndef test_a(): assert os.environ['CXX'] == 'g++'\ndef test_b(): pass\n"
        "def test_c(): assert False\ndef test_d(): pytest.skip()\n"
    )
    found = run_tests(combination(tmp_path), [str(tmp_path), "--rootdir", str(tmp_path)])
    assert found == {"passed": 2, "failed": 1, "skipped": 1}
    assert capsys.readouterr().err == "failed: test_few::test_c\n"


@pytest.mark.slow
def test_what_an_environment_can_is_measured(tmp_path, capsys):
    c = combination(tmp_path)
    assert c.measure("first-step")["seconds"] > 0
    assert c.measure("speed", 0.01)["steps"] > 0
    checked = c.measure("gradients")
    assert checked["passed"] and 0 < checked["largest"] < 1e-12
    json.dumps(checked)
    assert combination(tmp_path, python="/bin/false").measure("speed") is None
    assert "speed fails" in capsys.readouterr().err
