"""Print a table of Python x NumPy x compiler: what works, and how fast.

Each Python has an environment of its own, .venv-3.9 and so on, made as make makes it; with
another NumPy than the pinned one, .venv-3.11-numpy-1.23.5. What is not on this machine is said
and left out. Tests run with an empty HOME. Speeds are measured in turns, round by round.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[2]
MEASUREMENTS = Path(__file__).with_name("measurements.py")
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
COMPILERS = ("g++", "clang++")
#: The Python that speeds are relative to, with its pinned NumPy and the first compiler.
BASE = "3.11"
#: With another NumPy it fails, as it should.
OF_PINS = "tests/test_environment.py::test_what_is_installed_is_what_is_pinned"
HEADINGS = (
    "Python", "NumPy", "compiler", "tests passed", "failed", "skipped", "gradients differ by",
    "first step, cold, s", "warm, s", f"steps/s, {BASE} = 1",
)  # fmt: skip


@dataclass
class Combination:
    """An environment and a compiler, and what was found of them.

    python : the interpreter of the environment
    home : an empty folder; compiled modules go there too
    is_pinned : whether NumPy is the one that the project installs on this Python
    """

    python: Path
    compiler: str
    home: Path
    is_base: bool
    is_pinned: bool
    versions: tuple[str, str] = ("", "")
    tests: dict[str, int] = field(default_factory=dict)
    gradients: str = ""
    seconds: list[Optional[float]] = field(default_factory=list)  # cold, warm
    steps: list[float] = field(default_factory=list)

    def run(self, *arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run Python in the environment, as a user with an empty HOME has it."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return subprocess.run(
            [str(part) for part in (self.python, *arguments)],
            env={**kept, "HOME": str(self.home), "CXX": self.compiler, **settings},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    def measure(self, *arguments: object) -> Optional[dict[str, Any]]:
        """What ``measurements`` prints; None where it fails, which is told."""
        done = self.run(MEASUREMENTS, *arguments)
        if done.returncode:
            tell(f"{arguments[0]} fails: {(done.stderr.splitlines() or ['no word'])[-1]}")
            return None
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def tell(text: str) -> None:
    """Print how far it is, beside the table."""
    print(text, file=sys.stderr, flush=True)


def interpreter_of(python: str) -> Optional[str]:
    """A Python of this version that runs: on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in (which(f"python{python}"), *pyenv.glob(f"versions/{python}.*/bin/python")):
        # pyenv puts a program of this name on the PATH that fails where no such version is chosen.
        if found and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            return str(found)
    return None


def environment(python: str, numpy: Optional[str]) -> Optional[Path]:
    """Make an environment for the tests; return its interpreter, or None if it cannot be made."""
    interpreter = interpreter_of(python)
    if interpreter is None:
        tell(f"Skipped: there is no Python {python} here.")
        return None
    folder = f".venv-{python}" + (f"-numpy-{numpy}" if numpy else "")
    script, stamp = ROOT / "scripts" / "make_environment.sh", f"{folder}/.made-test"
    made = subprocess.run(
        ["sh", script, interpreter, folder, stamp, "test"], cwd=ROOT, stdout=sys.stderr
    )
    inside = ROOT / folder / "bin" / "python"
    if made.returncode == 0 and numpy:
        pip = [inside, "-m", "pip", "install", "--quiet", f"numpy=={numpy}"]
        made = subprocess.run(pip, cwd=ROOT, stdout=sys.stderr)
    if made.returncode:
        tell(f"Skipped: there is no environment for Python {python}, NumPy {numpy or 'pinned'}.")
        return None
    return inside


def run_tests(c: Combination, options: Sequence[str]) -> dict[str, int]:
    """How many tests pass, fail and are skipped."""
    report = c.home / "tests.xml"
    left_out = [] if c.is_pinned else ["--deselect", OF_PINS]
    c.run("-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", *options, *left_out,
          THEANO_FLAGS=f"base_compiledir={c.home / 'tests'}")  # fmt: skip
    try:
        suite = ElementTree.parse(report).getroot()[0]
    except (OSError, ElementTree.ParseError):
        tell("The tests wrote no report.")
        return {}
    ran, failed, skipped = (
        sum(int(suite.get(name, "0")) for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    for case in suite:
        if case.find("failure") is not None or case.find("error") is not None:
            tell(f"failed: {case.get('classname')}::{case.get('name')}")
    return {"passed": ran - failed - skipped, "failed": failed, "skipped": skipped}


def describe(c: Combination) -> tuple[str, str]:
    """The versions of Python and NumPy."""
    code = "import platform, numpy; print(platform.python_version(), numpy.__version__)"
    python, numpy = c.run("-c", code).stdout.split()
    return python, numpy


def fill(combinations: Sequence[Combination], rounds: int, tests: Optional[list[str]]) -> None:
    """Run and measure everything; tests with these arguments of pytest, or none."""
    for c in combinations:
        c.versions = describe(c)
        tell(f"Python {c.versions[0]}, NumPy {c.versions[1]}, {c.compiler} ...")
        found = c.measure("first-step"), c.measure("first-step")
        c.seconds = [None if f is None else f["seconds"] for f in found]
        checked = c.measure("gradients")
        if checked is not None:
            c.gradients = f"{checked['largest']:.1e}" + ("" if checked["passed"] else ", too much")
        if tests is not None:
            c.tests = run_tests(c, tests)
    tell("Speed, in turns ...")
    for _ in range(rounds):
        for c in combinations:
            speed = c.measure("speed", 2)
            c.steps += [] if speed is None else [speed["steps"]]


def table(combinations: Sequence[Combination]) -> str:
    """The table in Markdown; "-" stands for what could not be measured."""
    base = next((median(c.steps) for c in combinations if c.is_base and c.steps), None)
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
    for c in combinations:
        tests = [str(c.tests.get(name, "-")) for name in ("passed", "failed", "skipped")]
        seconds = ["-" if s is None else f"{s:.1f}" for s in c.seconds]
        relative = f"{median(c.steps) / base:.2f}" if c.steps and base else "-"
        row = [*c.versions, c.compiler, *tests, c.gradients or "fails", *seconds, relative]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="python -m matrix", description=__doc__)
    p.add_argument("--python", nargs="+", default=PYTHONS, metavar="X.Y",
                   help=f"versions of Python (default: {' '.join(PYTHONS)})")  # fmt: skip
    p.add_argument("--also", nargs="*", default=["3.11:1.23.5", "3.12:1.26.4"],
                   metavar="X.Y:NUMPY", help="further pairs of a Python and a NumPy (default: "
                   "%(default)s)")  # fmt: skip
    p.add_argument("--compiler", nargs="+", default=COMPILERS, metavar="CXX",
                   help=f"default: those of {' '.join(COMPILERS)} that are here")  # fmt: skip
    p.add_argument("--rounds", type=int, default=5, metavar="N",
                   help="how often speeds are measured; each figure is the median "
                   "(default: %(default)s)")  # fmt: skip
    p.add_argument("--no-tests", action="store_true", help="measure, and run no tests")
    p.add_argument("tests", nargs="*", help="arguments of pytest (default: all tests, -n auto)")
    return p.parse_args(argv)


def pairs(arguments: argparse.Namespace) -> list[tuple[str, Optional[str]]]:
    """Python and NumPy of each environment; None for the pinned NumPy."""
    further = [tuple(pair.split(":")) for pair in arguments.also]
    return [
        (python, numpy)
        for python in arguments.python
        for numpy in (None, *(numpy for of, numpy in further if of == python))
    ]


def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments = parse_arguments(argv)
    compilers = [name for name in arguments.compiler if which(name)]
    for name in set(arguments.compiler) - set(compilers):
        tell(f"Skipped: there is no {name} here.")
    tests = None if arguments.no_tests else arguments.tests or ["-n", "auto"]
    combinations = []
    with contextlib.ExitStack() as stack:
        for python, numpy in pairs(arguments):
            interpreter = environment(python, numpy)
            for compiler in compilers if interpreter else ():
                home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                is_base = python == BASE and numpy is None and compiler == compilers[0]
                combinations.append(
                    Combination(interpreter, compiler, home, is_base, numpy is None)
                )
        fill(combinations, arguments.rounds, tests)
    print(table(combinations))
    failed = any(
        c.tests.get("failed") or not c.gradients or "too much" in c.gradients for c in combinations
    )
    return 1 if failed or not combinations else 0


if __name__ == "__main__":
    sys.exit(main())
