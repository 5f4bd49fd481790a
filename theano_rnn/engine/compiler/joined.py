"""Several modules of Theano in one source, and so in one library.

Theano writes a module for each kind of Op. Most are small: of the compiler's time for a slice more
than half goes to its start, to the headers and to the linker. And the products of an output layer
have the same 40 kB of support code. In one source all this is paid once: a first step of a
sentence takes 6.0 s in place of 8.2 (``benchmark --only startup``, an AMD EPYC, two cores).

Each module keeps its name, its code and its function ``PyInit_NAME``, and in the cache it is a
file of its own: a link to the library, or a copy where temporary files are on another disk. Its
code stands in a namespace of its own. Support code that includes headers stands before all.

Only modules are joined whose Ops and types are Theano's or ours, and whose flags, libraries and
support code with headers are the same. A macro of one would reach the next, so two are not joined
if a macro of one occurs in the other. The Ops of a user are compiled alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from theano.link.c.basic import CLinker

#: Characters of a source, at most: about the code of eight slices. With more, some cores would be
#: without work at the end.
LARGEST = 120_000

#: In the code of every module, after the headers.
AFTER_HEADERS = "////  Support Code\n"
#: Where the Ops of a joined module are defined.
KNOWN = ("theano.", "theano_rnn.")

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
    folders : dict
        Libraries, and folders of libraries and headers, as ``compile_str`` names them.
    headers, shared, own : str
        The parts of its code: headers, support code that includes more, and the rest.
    kind : object
        What modules have in common that can be joined; None if it stays alone.
    macros : set of str
        Those that are others at its end than before it.
    """

    def __init__(self, linker: CLinker) -> None:
        dynamic = linker.get_dynamic_module()
        self.code: str = dynamic.code()
        self.name: str = dynamic.code_hash
        self.flags: tuple[str, ...] = tuple(linker.compile_args())
        self.folders: dict[str, list[str]] = {
            "include_dirs": list(linker.header_dirs()),
            "lib_dirs": list(linker.lib_dirs()),
            "libs": list(linker.libraries()),
        }
        self.headers, _, self.own = self.code.partition(AFTER_HEADERS)
        shared = [part for part in dynamic.support_code if INCLUDE.search(part)]
        for part in shared:
            self.own = self.own.replace(part, "", 1)
        self.shared = "\n".join(shared)
        self.macros = set(DEFINE.findall(self.own)) ^ set(UNDEFINE.findall(self.own))
        self.kind: Any = None
        is_known = all(type(part).__module__.startswith(KNOWN) for part in _parts(linker))
        if is_known and not INCLUDE.search(self.own) and COMPLEX not in self.code:
            self.kind = self.flags, self.folders, self.shared

    def goes_with(self, other: "Module") -> bool:
        """Whether the two can be joined."""
        if self.kind is None or self.kind != other.kind:
            return False
        reaches = any(name in other.own for name in self.macros)
        return not reaches and not any(name in self.own for name in other.macros)


def _parts(linker: CLinker) -> Iterator[Any]:
    """The types of a linker's variables, its Ops, and the scalar Ops in those."""
    for variable in linker.variables:
        yield variable.type
    for node in linker.node_order:
        scalar = getattr(node.op, "scalar_op", None)
        inner = getattr(scalar, "fgraph", None)  # of a Composite
        yield node.op
        if scalar is not None:
            yield scalar
        if inner is not None:
            yield from (inside.op for inside in inner.apply_nodes)


def groups(modules: Sequence[Module], cores: int) -> list[list[Module]]:
    """Which modules to compile together, those that take longest first.

    These are loops and products, which have support code with headers.

    Parameters
    ----------
    modules : list of Module
    cores : int
        Each gets about as much to do.
    """
    most = min(LARGEST, _length(modules) // cores)
    found: list[list[Module]] = []
    for module in modules:
        for group in found:
            fits = _length([*group, module]) <= most
            if fits and all(module.goes_with(one) for one in group):
                group.append(module)
                break
        else:
            found.append([module])
    return sorted(found, key=lambda group: (not group[0].shared, -_length(group)))


def _length(modules: Sequence[Module]) -> int:
    """Of their code, in characters; shared code counts once."""
    shared = {module.shared for module in modules}
    return sum(map(len, shared)) + sum(len(module.own) for module in modules)


def source(group: Sequence[Module]) -> str:
    """The source of a group; that of a module alone is its code."""
    if len(group) == 1:
        return group[0].code
    headers = dict.fromkeys(line for module in group for line in module.headers.splitlines())
    spaces = (f"namespace theano_rnn_{n} {{\n{one.own}\n}}" for n, one in enumerate(group))
    return "\n".join([*headers, group[0].shared, *spaces])
