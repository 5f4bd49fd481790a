"""Modules compiled in background threads, on all cores, before Theano asks for them.

Theano compiles the modules of a function one after the other, on one core. Once it has to compile
a first one, the ``BackgroundCompiler`` compiles all that the nodes need, in groups (see
``joined``), loops and products first, with as many compilers as there are cores; last the module
of Theano that calls them. Theano takes each module when it gets to its node. A module that no
thread has begun, and that stands alone, Theano compiles itself. Errors in a background compile are
ignored: Theano compiles the module then, and reports them. A function whose modules are all in the
cache starts no thread.
"""

import contextlib
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from theano.configdefaults import config
from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.op import COp
from theano.link.c import cmodule
from theano.link.c.basic import CLinker, get_module_cache

from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.compiler.joined import Module, groups, source
from theano_rnn.engine.loop.op import NativeLoop

#: How many compilers run at once.
COMPILERS = usable_cores()

#: Of a module: the hash of its code, the compiler's flags, libraries and their folders.
Key = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class BackgroundCompiler:
    """Compiles the modules of the nodes of one function.

    Parameters
    ----------
    nodes : list of Apply
    compile : callable
        ``compile_module``.
    """

    def __init__(self, nodes: Sequence[Apply], compile: Callable[..., Any]) -> None:
        self.nodes, self.compile = nodes, compile
        self.pool: Optional[ThreadPoolExecutor] = None
        self.folder: Optional[tempfile.TemporaryDirectory[str]] = None
        self.jobs: dict[Key, tuple[Future[dict[str, Path]], bool]] = {}

    def start(self) -> None:
        """Start to compile all modules that are missing. Later calls do nothing."""
        if self.pool is not None:
            return
        # Python before 3.12 fills its table of variables at the first call, and a second thread
        # reads it half filled: then the name of Python's library is None.
        sysconfig.get_config_vars()
        self.pool = ThreadPoolExecutor(COMPILERS)
        missing: dict[Key, Module] = {}
        for node in self.nodes:
            linker = _missing(node)
            if linker is not None:
                module = Module(linker)
                missing[key_of(module.name, module.flags, **module.folders)] = module
        try:
            self.folder = tempfile.TemporaryDirectory(prefix="theano_rnn_")
        except OSError:  # Theano compiles all itself
            return
        queue: list[list[Any]] = [*groups(list(missing.values()), COMPILERS), virtual_machine()]
        for n, group in enumerate(filter(None, queue)):
            job = self.pool.submit(self._compiled, group, Path(self.folder.name) / str(n))
            for module in group:
                key = key_of(module.name, module.flags, **module.folders)
                self.jobs[key] = job, len(group) == 1

    def take(self, key: Key) -> Optional[Path]:
        """Return the folder of a module, once compiled; None if it was not begun or failed."""
        if key not in self.jobs:
            return None
        job, is_alone = self.jobs.pop(key)
        if is_alone and job.cancel():  # no thread has begun it
            return None
        try:
            return job.result().get(key[0])
        except Exception:  # Theano's compile reports what is wrong
            return None

    def _compiled(self, group: Sequence[Any], location: Path) -> dict[str, Path]:
        """Compile a group, or each alone where that fails; return a folder for each module."""
        location.mkdir()
        try:
            library = self.compile(
                group[0].name,
                source(group),
                str(location),
                preargs=list(group[0].flags),
                **group[0].folders,
            )
        except Exception:
            if len(group) == 1:
                raise
            made = {}
            for module in group:
                with contextlib.suppress(Exception):
                    made.update(self._compiled([module], location / module.name))
            return made
        for module in group:
            folder = location / f"of_{module.name}"
            folder.mkdir()
            _link(library, folder / f"{module.name}{library.suffix}")
            _link(location / "mod.cpp", folder / "mod.cpp")
        return {module.name: location / f"of_{module.name}" for module in group}

    def close(self) -> None:
        """Drop what was not taken."""
        if self.pool is None:
            return
        try:
            self.pool.shutdown(cancel_futures=True)
        finally:
            if self.folder is not None:
                self.folder.cleanup()


@dataclass
class VirtualMachine:
    """The module of Theano that calls the others, one after the other."""

    code: str
    flags: tuple[str, ...]
    name: str = "lazylinker_ext"
    folders: dict[str, list[str]] = field(default_factory=dict)


def virtual_machine() -> list[VirtualMachine]:
    """That module in a list, or none if the cache has it: Theano asks for it last of all."""
    made = Path(config.compiledir) / VirtualMachine.name
    if (made / "mod.cpp").exists() or any(made.glob(f"*.{cmodule.get_lib_extension()}")):
        return []
    code = (Path(cmodule.__file__).parent / "c_code" / "lazylinker_c.c").read_text("utf-8")
    return [VirtualMachine(code, tuple(cmodule.GCC_compiler.compile_args()))]


def key_of(
    name: str,
    flags: Optional[Sequence[str]],
    libs: Optional[Sequence[str]] = None,
    lib_dirs: Optional[Sequence[str]] = None,
    **others: Any,
) -> Key:
    """The key of a module, from what ``compile_str`` is given."""
    return name, tuple(flags or ()), tuple(libs or ()), tuple(lib_dirs or ())


def _link(file: Path, name: Path) -> None:
    """Give a file another name; a copy, where a file can have only one."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copyfile(file, name)


def _missing(node: Apply) -> Optional[CLinker]:
    """Return the linker of a node if its module has to be compiled, else None."""
    if not isinstance(node.op, COp) or type(node.op).make_thunk not in (
        COp.make_thunk,
        NativeLoop.make_thunk,
    ):
        return None
    try:
        node.op.prepare_node(node, storage_map=None, compute_map=None, impl="c")
        linker = CLinker().accept(FunctionGraph(node.inputs, node.outputs))
        key, cache = linker.cmodule_key(), get_module_cache()
        if key is None or key in cache.entry_from_key:
            return None
        found = cmodule.get_module_hash(linker.get_src_code(), key)
        return None if found in cache.module_hash_to_key_data else linker
    except Exception:  # the node has no C: Theano's linker finds that out, too
        return None
