"""The mutants there are: cosmic-ray's operators at every place where they change what is done.

Left out, as no test could or should tell them from the program:

- annotations of arguments, results and variables: nothing reads them when the program runs;
- the body of ``if TYPE_CHECKING``, which never runs;
- ``functools.cache`` and ``lru_cache`` removed: the results are the same, only later;
- signs that are no operator, as ``*`` before keyword-only arguments: that would be no Python.

All else is in: messages, colours and sizes of pictures, constants of every kind.
"""

import ast
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

PACKAGE = "theano_rnn"
#: What is mutated: the mathematics, the text and the gradient flow. Each is a row of the table.
GROUPS = (
    "reference/", "model/cells.py", "model/truncation.py", "model/graph.py",
    "optim/optimizers.py", "optim/clipping.py", "text/corpus.py", "text/sentences.py", "flow/",
)  # fmt: skip

#: At least so many of each group are tried, where it has them.
LEAST = 150

# These two want the names of variables, which nobody gives.
_UNUSED = ("VariableReplacer", "VariableInserter")
OPERATORS = {
    name: OperatorProvider()[name]() for name in OperatorProvider() if name not in _UNUSED
}
#: No operator: the program as it is, which all tests pass.
UNMUTATED = "none"

#: What an operator with two sides stands in.
_BINARY = ("arith_expr", "term", "power", "expr", "xor_expr", "and_expr", "shift_expr")

Place = tuple[int, int]


class Mutant(NamedTuple):
    """The ``occurrence``-th change that the operator makes to the file."""

    path: str  # from the root of the repository
    operator: str
    occurrence: int
    line: int

    @property
    def group(self) -> str:
        return next((g for g in GROUPS if self.path.startswith(f"{PACKAGE}/{g}")), "other")

    def text(self, source: str) -> str:
        """The mutated file."""
        if self.operator == UNMUTATED:
            return source
        mutated = mutate_code(source, OPERATORS[self.operator], self.occurrence)
        assert mutated is not None
        return mutated


def paths(root: Path) -> list[str]:
    """The files that are mutated."""
    found: list[Path] = []
    for group in GROUPS:
        path = root / PACKAGE / group
        found += [path] if path.suffix else sorted(path.rglob("*.py"))
    return [path.relative_to(root).as_posix() for path in found]


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a file, in the order of its operators and lines."""
    nodes = list(_nodes(parso.parse(source)))
    silent = list(_silent(source))
    found = []
    for name, operator in OPERATORS.items():
        occurrence = -1
        for node in nodes:
            for place, _ in operator.mutation_positions(node):
                occurrence += 1
                if name.startswith("ReplaceBinary") and node.parent.type not in _BINARY:
                    continue
                if not any(begin <= place < end for begin, end in silent):
                    found.append(Mutant(path, name, occurrence, place[0]))
    return found


def control(path: str) -> Mutant:
    """The file as it is, under all tests that run any of it."""
    return Mutant(path, UNMUTATED, 0, 1)


def sample(all_of_them: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """Of each group its share of the sample, or `LEAST`; the same seed draws the same ones."""
    drawn: list[Mutant] = []
    for group in dict.fromkeys(m.group for m in all_of_them):
        members = [m for m in all_of_them if m.group == group]
        share = max(LEAST, round(size * len(members) / len(all_of_them)))
        random.Random(f"{seed} {group}").shuffle(members)  # a larger sample begins with a smaller
        drawn += members[:share]
    return drawn


def changed(source: str, mutated: str, line: int) -> tuple[str, str]:
    """The line as it was and as it is."""
    before, after = source.splitlines(), mutated.splitlines()
    if before == after:
        return "", ""
    if before[line - 1] == after[line - 1]:  # cosmic-ray names the line where an expression begins
        line = next(i for i, pair in enumerate(zip(before, after), 1) if pair[0] != pair[1])
    return before[line - 1].strip(), after[line - 1].strip()


def _nodes(node: parso.tree.NodeOrLeaf) -> Iterator[parso.tree.NodeOrLeaf]:
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _silent(source: str) -> Iterator[tuple[Place, Place]]:
    """From where to where a change changes nothing that is done."""
    lines = source.splitlines()

    def place(line: int, column: int) -> Place:
        # ast counts bytes, parso characters.
        return line, len(lines[line - 1].encode()[:column].decode())

    def whole(node: ast.AST) -> tuple[Place, Place]:
        return place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            yield whole(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.returns is not None:
                yield whole(node.returns)
            for decorator in node.decorator_list:
                if any(word in ast.unparse(decorator).split("(")[0].split(".")
                       for word in ("cache", "lru_cache")):  # fmt: skip
                    (line, column), end = whole(decorator)
                    yield (line, column - 1), end  # and the @
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield whole(node)
