"""The rooms of the package: who may import whom, and who may print, read from the source."""

import ast
import graphlib
import re
from collections import defaultdict

import pytest
from conftest import ROOT

from theano_rnn.commands.calling import COMMANDS

PACKAGE = ROOT / "theano_rnn"

#: The rooms from bottom to top. A room imports what is below it or beside it, never above.
FLOORS = [
    {"common"},
    {"engine", "reference", "text", "baselines", "explore", "studies"},
    {"model"},
    {"optim", "interop", "online"},
    {"rnn", "gradcheck"},
    {"long_term", "training"},
    {"flow"},
    {"runs"},
    {"benchmark", "search"},
    {"commands"},
    {"__init__", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: A module by the path of its names below the package: ("model", "cells"), ("model", "__init__").
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").parts: ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def module_of(dotted):
    """The module that a dotted name is, or None: "theano_rnn.model" is its ``__init__``."""
    first, *names = dotted.split(".")
    if first == "theano_rnn":
        for module in (tuple(names), (*names, "__init__")):
            if module in MODULES:
                return module
    return None


def imports(module):
    """Modules of the package that a module names in an import, wherever the import stands."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found = [module_of(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: a relative import"
            # A name may be a module, or stand in one.
            found = [
                module_of(f"{node.module}.{alias.name}") or module_of(node.module)
                for alias in node.names
            ]
        else:
            continue
        yield from filter(None, found)


IMPORTS = {module: set(imports(module)) - {module} for module in MODULES}


def folders():
    """Every folder of the package, and what its modules and folders import of one another."""
    graphs = defaultdict(lambda: defaultdict(set))
    for module, others in IMPORTS.items():
        for other in others:
            depth = next(i for i, (a, b) in enumerate(zip(module, other)) if a != b)
            graphs[module[:depth]][module[depth]].add(other[depth])
    return graphs


def test_no_modules_and_no_packages_import_each_other():
    for folder, graph in folders().items():
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            pytest.fail(f"theano_rnn/{'/'.join(folder)}: a circle: {' <- '.join(error.args[1])}")


def test_nothing_imports_upward():
    upward = {
        (module, other)
        for module, others in IMPORTS.items()
        for other in others
        if FLOOR[other[0]] > FLOOR[module[0]]
    }
    assert not upward


def test_the_reference_imports_nothing_else_of_the_package():
    others = {
        other[0] for module in MODULES if module[0] == "reference" for other in IMPORTS[module]
    }
    assert others == {"reference"}


def test_at_most_six_modules_lie_at_the_root():
    at_root = {module[0] for module in MODULES if len(module) == 1} - {"__init__", "__main__"}
    assert len(at_root) <= 6


@pytest.mark.parametrize("room", sorted({module[:-1] for module in MODULES if module[:-1]}))
def test_the_map_of_a_room_names_every_module_in_it(room):
    """A list in the docstring of ``__init__``; commands name themselves, patches are in a list."""
    text = ast.get_docstring(MODULES[(*room, "__init__")]) or ""
    inside = {module[len(room)] for module in MODULES if module[: len(room)] == room} - {
        "__init__"
    }
    if room == ("commands",):
        inside -= {module.replace("-", "_") for module in COMMANDS}
    named = set(re.findall(r"``(\w+)``", text))
    if room == ("engine", "patches"):
        named = {module[-1] for module in IMPORTS[(*room, "__init__")]}
    assert not inside - named
    assert not set(re.findall(r"^``(\w+)``", text, re.MULTILINE)) - inside  # they are gone


def prints(node):
    """Whether a node of the source writes to the terminal, and not to a file it names."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func).split(".")[-2:]
    if called == ["print"]:
        files = [ast.unparse(word.value) for word in node.keywords if word.arg == "file"]
        return not files or files[0] in ("sys.stdout", "sys.stderr")
    return called[-1] == "Console" or called in (["stdout", "write"], ["stderr", "write"])


def test_only_commands_print():
    for module, source in MODULES.items():
        if module[0] not in ("commands", "__main__"):
            lines = [node.lineno for node in ast.walk(source) if prints(node)]
            assert not lines, module


def test_an_import_of_a_name_and_one_of_a_module_are_told_apart():
    found = IMPORTS["model", "graph"]  # from theano_rnn.engine import tensor
    assert {("engine", "__init__"), ("model", "truncation")} <= found


@pytest.mark.parametrize(
    "source, expected",
    [
        ("print(1)", True),
        ("print(1, file=sys.stderr)", True),
        ("print(1, file=out)", False),
        ("rich.console.Console()", True),
        ("sys.stdout.write('')", True),
        ("out.write('')", False),
    ],
)
def test_what_prints_is_seen(source, expected):
    assert any(map(prints, ast.walk(ast.parse(source)))) == expected
