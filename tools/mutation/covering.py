"""Which tests run which line, and how long each takes: the tests once, file by file, unmutated."""

import ast
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import Phase, settings

from mutation.processes import Tell, forked

#: Seconds that a test may take to be of use here, and those after which a file's tests end.
LONGEST, LONGEST_FILE = 20, 300

OPTIONS = (
    "-q", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0",
    "--tb=no", "--no-summary", "-p", "no:unraisableexception", "-p", "no:threadexception",
    "-p", "no:faulthandler",
)  # fmt: skip


class TooLong(BaseException):
    """A test takes longer than is worth waiting for."""


class Covering:
    """The tests by the lines they run.

    Attributes
    ----------
    seconds : dict
        By the node id of each test that passes without a compiler.
    """

    def __init__(self, of_files: Sequence[dict[str, Any]]) -> None:
        self.seconds: dict[str, float] = {}
        self._tests: dict[str, dict[int, set[str]]] = {}
        for of_file in of_files:
            self.seconds.update(of_file["seconds"])
            names = list(of_file["seconds"])
            for path, lines in of_file["lines"].items():
                of_path = self._tests.setdefault(path, {})
                for line, numbers in lines.items():
                    of_path.setdefault(int(line), set()).update(names[i] for i in numbers)

    def tests(self, path: str, source: str, line: int) -> dict[str, list[str]]:
        """The tests that run a statement, by their files, the quickest first.

        What runs when the module is imported is run by all tests that run anything of it, and by
        those of its name: what a dataclass makes of its fields has no line.
        """
        lines = self._tests.get(path, {})
        begin, end, is_within = _statement(source, line)
        names = set().union(*(lines.get(i, ()) for i in range(begin, end + 1)))
        if not is_within:
            stem = Path(path).stem
            own = {name for name in self.seconds if stem in Path(name.partition("::")[0]).stem}
            names = own.union(*lines.values())
        files: dict[str, list[str]] = {}
        for name in sorted(names, key=lambda name: (self.seconds[name], name)):
            files.setdefault(name.partition("::")[0], []).append(name)
        return files


def covering(root: Path, sources: Sequence[str], folder: Path, jobs: int) -> Covering:
    """Read it from the folder, where what is there is still true, or run the tests."""
    files = sorted(p.relative_to(root).as_posix() for p in (root / "tests").rglob("test_*.py"))
    program = digest([*(root / "theano_rnn").rglob("*.py"), *helpers(root)])
    program += hashlib.sha256(repr((OPTIONS, LONGEST, LONGEST_FILE)).encode()).hexdigest()[:8]
    kept, missing = {}, []
    for file in files:
        stamp = digest([root / file]) + program
        place = folder / f"{file.replace('/', '.')}.json"
        if place.exists() and (found := json.loads(place.read_text()))["of"] == stamp:
            kept[file] = found
        else:
            missing.append((file, stamp, place))

    def work(task: tuple[str, str, Path], tell: Tell, scratch: Path) -> None:
        file, stamp, place = task
        tell({"seconds": 2 * (LONGEST_FILE + LONGEST)})
        found = {"of": stamp, **_run(root, file, sources, scratch)}
        part = place.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(place)

    folder.mkdir(exist_ok=True)
    for (file, stamp, place), _, how in forked(missing, work, jobs):
        if how != "returned":  # its tests are of no use here, and need not be tried again
            place.write_text(json.dumps({"of": stamp, "seconds": {}, "lines": {}}))
        kept[file] = json.loads(place.read_text())
        seconds = kept[file]["seconds"]
        print(
            f"{file}: {len(seconds)} tests, {sum(seconds.values()):.0f} s, {how}", file=sys.stderr
        )
    return Covering([kept[file] for file in files])


def helpers(root: Path) -> list[Path]:
    """What the tests share."""
    return [p for p in (root / "tests").rglob("*.py") if not p.name.startswith("test_")]


def digest(files: Sequence[Path]) -> str:
    joined = hashlib.sha256()
    for file in sorted(files):
        joined.update(f"{file.name}\0".encode() + file.read_bytes())
    return joined.hexdigest()[:16]


def prepare_pytest() -> None:
    """In a fork: no plugins but its own; hypothesis need not find the smallest example."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    settings.register_profile("mutation", phases=[Phase.explicit, Phase.generate], database=None)
    settings.load_profile("mutation")


class _Recorder:
    """A plugin of pytest: the context of each test, its time and whether it passed."""

    def __init__(self, coverage: coverage.Coverage) -> None:
        self.coverage, self.seconds, self.failed = coverage, {}, set()
        self.end = time.monotonic() + LONGEST_FILE

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        start = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.seconds[item.nodeid] = time.monotonic() - start
        if time.monotonic() > self.end:
            item.session.shouldstop = "the file has taken long enough"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)


def _run(root: Path, file: str, sources: Sequence[str], scratch: Path) -> dict[str, Any]:
    def on_alarm(number: int, frame: Any) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, on_alarm)
    prepare_pytest()
    measured = coverage.Coverage(
        data_file=None, config_file=False, include=[str(root / path) for path in sources]
    )
    recorder = _Recorder(measured)
    measured.start()
    pytest.main([file, *OPTIONS, f"--basetemp={scratch / 'tmp'}"], plugins=[recorder])
    measured.stop()
    good = {n: round(s, 4) for n, s in recorder.seconds.items() if n not in recorder.failed}
    numbers = {name: i for i, name in enumerate(good)}
    data, lines = measured.get_data(), {}
    for path in sources:
        by_line = data.contexts_by_lineno(str(root / path))
        lines[path] = {
            line: [numbers[name] for name in names if name in numbers]
            for line, names in by_line.items()
        }
    return {"seconds": good, "lines": lines}


def _statement(source: str, line: int) -> tuple[int, int, bool]:
    """First and last line of the statement around a line, and whether it stands in a function."""
    best = (line, line, False)
    for function, node in _statements(ast.parse(source), False):
        end = node.end_lineno
        if isinstance(getattr(node, "body", None), list):  # its head alone
            end = max(node.lineno, node.body[0].lineno - 1)
        begin = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        if begin <= line <= end:
            best = (begin, end, function)
    return best


def _statements(node: ast.AST, is_within: bool) -> Iterator[tuple[bool, Any]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield is_within, child
        inner = is_within or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from _statements(child, inner)
