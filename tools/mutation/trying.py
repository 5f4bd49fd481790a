"""One mutant under its tests."""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest

from mutation.covering import OPTIONS, Covering, digest, helpers, prepare_pytest
from mutation.mutants import Mutant, changed
from mutation.processes import Ended, Tell, forked

#: Seconds of the processor after which a mutant counts as alive, whatever tests are left.
CAP = 12.0


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    verdict: str  # "killed", "timed out" or "survived"
    before: str  # the line
    after: str  # and the mutated one
    by: str  # the test that killed it
    seconds: float


class Mutated(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module, and loads another text for it."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        super().__init__(name, str(path))
        self.text = text

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        inside = [str(Path(self.path).parent)] if self.path.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=self, submodule_search_locations=inside
        )

    def get_code(self, name: str) -> types.CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class _Chosen:
    """A plugin of pytest: only these tests, in this order; what is about to run is told."""

    def __init__(self, names: Sequence[str], seconds: dict[str, float], tell: Tell):
        self.order = {name: i for i, name in enumerate(names)}
        self.seconds, self.tell, self.failed = seconds, tell, ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if time.process_time() > CAP:  # of this fork alone
            self.tell({"verdict": "survived", "by": "no time left"})
            os._exit(0)
        within = 10 * self.seconds[item.nodeid] + 10
        self.tell({"verdict": "timed out", "by": item.nodeid, "seconds": within})
        yield

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid


def attempt(
    mutant: Mutant, root: Path, tests: dict[str, list[str]], seconds: dict[str, float],
    tell: Tell, scratch: Path,
) -> None:  # fmt: skip
    """In a fork that has not imported the module: mutate it, run the tests, tell the verdict."""
    source = (root / mutant.path).read_text(encoding="utf-8")
    text = mutant.text(source)
    name = mutant.path[: -len(".py")].replace("/", ".").replace(".__init__", "")
    assert name not in sys.modules
    sys.meta_path.insert(0, Mutated(name, root / mutant.path, text))
    prepare_pytest()
    for file, names in tests.items():
        chosen = _Chosen(names, seconds, tell)
        tell({"verdict": "timed out", "by": file, "seconds": 60})
        options = [file, "-x", *OPTIONS, f"--basetemp={scratch / 'tmp'}"]
        status = pytest.main(options, plugins=[chosen])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            tell({"verdict": "killed", "by": chosen.failed or file})
            return
    tell({"verdict": "survived", "by": ""})


class Trials:
    """Mutants tried and what became of them, also in runs before: they are kept in a file.

    A mutant that was killed stays so while its module and the tests that killed it stay as they
    are; one that lived is tried again when any test has changed.
    """

    def __init__(self, root: Path, covering: Covering, kept: Path) -> None:
        self.root, self.covering, self.kept = root, covering, kept
        self._sources: dict[str, str] = {}
        self._stamps: dict[Path, str] = {}
        tests = [*(root / "tests").rglob("test_*.py"), *helpers(root)]
        self._all = digest([p for p in tests if p.name != "test_mutation.py"])
        self._known = {}
        if kept.exists():
            for line in kept.read_text().splitlines():
                entry = json.loads(line)
                mutant = Mutant(*entry["mutant"])
                self._known[mutant] = entry
        self._killed: Counter[tuple[str, str]] = Counter()
        self._tried: Counter[tuple[str, str]] = Counter()
        self._runs: dict[Mutant, tuple[dict[str, list[str]], float]] = {}

    def source(self, path: str) -> str:
        if path not in self._sources:
            self._sources[path] = (self.root / path).read_text(encoding="utf-8")
        return self._sources[path]

    def run(self, mutants: Sequence[Mutant], jobs: int) -> Iterator[Result]:
        """The results, those known from before first."""
        new = []
        for mutant in mutants:
            known = self._remembered(mutant)
            if known is None:
                new.append(mutant)
            else:
                yield known
        for ended in forked(new, self._work, jobs):
            result = self._result(ended)
            self._keep(result)
            yield result

    def _work(self, mutant: Mutant, tell: Tell, scratch: Path) -> None:
        tests, seconds = self._ordered(mutant), self.covering.seconds
        attempt(mutant, self.root, tests, seconds, tell, scratch)

    def _ordered(self, mutant: Mutant) -> dict[str, list[str]]:
        """Its tests, the file first that has killed most in a second; its own file counts more."""
        path = mutant.path
        tests = self.covering.tests(path, self.source(path), mutant.line)

        def promise(file: str) -> float:
            rate = (self._killed[path, file] + 1) / (self._tried[path, file] + 2)
            seconds = sum(self.covering.seconds[name] for name in tests[file])
            own = 5 if Path(path).stem in file else 1
            return own * rate / (0.5 + min(seconds, 10.0))

        return {file: tests[file] for file in sorted(tests, key=lambda f: (-promise(f), f))}

    def _result(self, ended: Ended) -> Result:
        mutant, last = ended.task, ended.last
        verdict, by = last.get("verdict", "died"), last.get("by", "")
        if ended.how == "died":
            verdict = "killed"
        elif ended.how == "late":
            verdict = "timed out"
        source = self.source(mutant.path)
        before, after = changed(source, mutant.text(source), mutant.line)
        file = by.partition("::")[0]
        for other in self._ordered(mutant):
            self._tried[mutant.path, other] += 1
            if other == file:
                break
        if verdict != "survived":
            self._killed[mutant.path, file] += 1
        return Result(mutant, verdict, before, after, by, 0.0)

    def _stamp(self, *files: str) -> str:
        for file in files:
            path = self.root / file
            if path not in self._stamps:
                self._stamps[path] = digest([path]) if path.is_file() else ""
        return " ".join(self._stamps[self.root / file] for file in files)

    def _keep(self, result: Result) -> None:
        file = result.by.partition("::")[0]
        entry = {
            **result._asdict(),
            "of": self._stamp(result.mutant.path, file),
            "all": self._all,
        }
        with open(self.kept, "a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")

    def _remembered(self, mutant: Mutant) -> Optional[Result]:
        entry = self._known.get(mutant)
        if entry is None:
            return None
        file = entry["by"].partition("::")[0]
        is_true = entry["of"] == self._stamp(mutant.path, file)
        if not is_true or (entry["verdict"] == "survived" and entry["all"] != self._all):
            return None
        rest = {name: entry[name] for name in ("verdict", "before", "after", "by", "seconds")}
        return Result(mutant, **rest)
