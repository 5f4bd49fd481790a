"""Several modules of Theano in one source, and so in one library.

Theano writes a module for each kind of Op. Most are small: of the .16 s that the compiler takes
for a slice, .09 go to its start, to the headers and to the linker. And the products of an output
layer have the same 50 kB of support code. In one source all this is paid once: a first step of a
sentence takes 6.0 s in place of 7.9 (g++ 12, an AMD EPYC, two cores).

Each module keeps its name, its code and its function ``PyInit_NAME``, and in the cache it is a
file of its own: a link to the library. Its code stands in a namespace of its own. Support code
that includes headers stands before all: modules with the same can be joined.
"""

import re
from collections.abc import Sequence
from typing import Any

from theano.link.c.basic import CLinker

#: Characters of a source that keep one core busy for half a second. With more, the other cores
#: would have no work at the end.
LARGEST = 120_000

#: In the code of every module, after the headers.
AFTER_HEADERS = "////  Support Code\n"

INCLUDE = re.compile(r"^\s*#\s*include", re.MULTILINE)
DEFINE = re.compile(r"^\s*#\s*define\s+(\w+)", re.MULTILINE)
UNDEFINE = re.compile(r"^\s*#\s*undef\s+(\w+)", re.MULTILINE)
#: A source with this is changed in all its parts: see ``compat.generated_c``.
COMPLEX = "npy_complex"


class Module:
    """A module that has to be compiled.

    Parameters
    ----------
    linker : CLinker
        Of one node.

    Attributes
    ----------
    name, code : str
        The hash of its code, by which Theano names it, and the code.
    flags : tuple of str
        Of the compiler.
    headers, shared : list of str
        The lines that include headers; support code that includes some, too.
    own : str
        The rest of its code.
    """

    def __init__(self, linker: CLinker) -> None:
        self.linker = linker
        dynamic = linker.get_dynamic_module()
        self.code: str = dynamic.code()
        self.name: str = dynamic.code_hash
        self.flags: tuple[str, ...] = tuple(linker.compile_args())
        self.headers = [f"#include {name}" for name in dynamic.includes if name]
        self.shared = [part for part in dynamic.support_code if INCLUDE.search(part)]
        self.own = self.code.partition(AFTER_HEADERS)[2]
        for part in self.shared:
            self.own = self.own.replace(part, "", 1)

    def kind(self) -> Any:
        """Modules of the same kind can be joined; None can be joined with none."""
        if INCLUDE.search(self.own) or COMPLEX in self.code:
            return None
        return self.flags, tuple(self.shared), tuple(self.linker.header_dirs())

    def disturbs(self, other: "Module") -> bool:
        """Whether a macro that this module leaves defined occurs in another."""
        left = set(DEFINE.findall(self.own)) - set(UNDEFINE.findall(self.own))
        return any(name in other.own for name in left)


def groups(modules: Sequence[Module]) -> list[list[Module]]:
    """Which modules to compile together, those that take longest first.

    These are loops and products, whose support code has headers.
    """
    found: list[list[Module]] = []
    growing: dict[Any, list[Module]] = {}  # by kind
    for module in modules:
        kind = module.kind()
        group = growing.get(kind) if kind is not None else None
        if group is None or not _fits(module, group):
            group = growing[kind] = []
            found.append(group)
        group.append(module)
    return sorted(found, key=lambda group: (not group[0].shared, -_length(group)))


def _fits(module: Module, group: Sequence[Module]) -> bool:
    """Whether a module of their kind can be joined to these."""
    alone = not any(one.disturbs(module) or module.disturbs(one) for one in group)
    return alone and _length([*group, module]) <= LARGEST


def _length(group: Sequence[Module]) -> int:
    """Of the source of a group, in characters."""
    return sum(map(len, group[0].shared)) + sum(len(module.own) for module in group)


def source(group: Sequence[Module]) -> str:
    """The source of a group; that of a module alone is its code."""
    if len(group) == 1:
        return group[0].code
    headers = dict.fromkeys(line for module in group for line in module.headers)
    spaces = (f"namespace theano_rnn_{n} {{\n{module.own}\n}}" for n, module in enumerate(group))
    return "\n".join([*headers, *group[0].shared, *spaces])


def settings(group: Sequence[Module]) -> dict[str, list[str]]:
    """What the compiler takes beside source and flags, as ``compile_str`` names it."""
    linkers = [module.linker for module in group]
    return {
        "include_dirs": list(linkers[0].header_dirs()),
        "lib_dirs": list(dict.fromkeys(path for each in linkers for path in each.lib_dirs())),
        "libs": list(dict.fromkeys(name for each in linkers for name in each.libraries())),
    }
