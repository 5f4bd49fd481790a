"""Several compilers at once, for the modules of a function that are not in the cache yet.

Theano compiles the modules of a function one after the other, and so on one core. Here, once a
first one has had to be compiled, those that the later nodes will want are given to as many
compilers as there are cores, and each is taken when its turn comes. Whatever goes wrong ahead of
its turn is left to the turn itself. A function whose modules are in the cache pays nothing.
"""

import functools
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Optional

from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.op import COp
from theano.link.c import cmodule
from theano.link.c.basic import CLinker, get_module_cache
from theano.link.vm import VMLinker

from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.loop.op import NativeLoop

#: How many compilers run at once.
COMPILERS = usable_cores()

shipped_make_all = VMLinker.make_all

_current: Optional["Ahead"] = None  # of the function that is being linked
_compile: Callable[..., Any]  # the compiler's own, as it was before `mend`

#: Of a module: the hash of its code, and the compiler's flags.
Key = tuple[str, tuple[str, ...]]


def mend() -> None:
    """Have Theano's linker compile ahead. To be called after the compiler's other mends."""
    global _compile
    _compile = cmodule.GCC_compiler.compile_str
    cmodule.GCC_compiler.compile_str = staticmethod(compile_str)
    VMLinker.make_all = make_all


@functools.wraps(shipped_make_all)
def make_all(self: VMLinker, *args: Any, **kwargs: Any) -> Any:
    global _current
    before, _current = _current, Ahead(self.schedule(self.fgraph))
    try:
        return shipped_make_all(self, *args, **kwargs)
    finally:
        _current.close()
        _current = before


def compile_str(
    module_name: str,
    src_code: str,
    location: Optional[str] = None,
    *,
    preargs: Optional[Sequence[str]] = None,
    py_module: bool = True,
    **settings: Any,
) -> Any:
    """The compiler's function, with the module taken from those compiled ahead if it is there."""
    if _current is None or not py_module or location is None:
        return _compile(
            module_name, src_code, location, preargs=preargs, py_module=py_module, **settings
        )
    made = _current.taken(module_name, preargs)
    if made is None:
        module = _compile(module_name, src_code, location, preargs=preargs, **settings)
        _current.start(_key(module_name, preargs))  # now there are precompiled headers
        return module
    for path in made.iterdir():
        shutil.move(str(path), location)
    return cmodule.dlimport(str(Path(location) / f"{module_name}.{cmodule.get_lib_extension()}"))


class Ahead:
    """The modules of the nodes of one function, compiled before their turn.

    Parameters
    ----------
    nodes : list of Apply
    """

    def __init__(self, nodes: Sequence[Apply]) -> None:
        self.nodes = nodes
        self.pool: Optional[ThreadPoolExecutor] = None
        self.folder: Optional[tempfile.TemporaryDirectory[str]] = None
        self.jobs: dict[Key, Future[Path]] = {}

    def start(self, made: Key) -> None:
        """Give the modules that are missing, but the one just made, to the compilers; once."""
        if self.pool is not None or COMPILERS < 2:
            return
        self.pool = ThreadPoolExecutor(COMPILERS)
        self.folder = tempfile.TemporaryDirectory(prefix="theano_rnn_")
        for node in self.nodes:
            linker = _missing(node)
            if linker is not None:
                module = linker.get_dynamic_module()
                key = _key(module.code_hash, linker.compile_args())
                if key != made and key not in self.jobs:
                    location = Path(self.folder.name) / str(len(self.jobs))
                    location.mkdir()
                    self.jobs[key] = self.pool.submit(_made, linker, module, location)

    def taken(self, module_name: str, preargs: Optional[Sequence[str]]) -> Optional[Path]:
        """The folder of a module that was compiled ahead; None if it was not."""
        job = self.jobs.pop(_key(module_name, preargs), None)
        if job is None or job.cancel():  # it has not been begun: the turn has come first
            return None
        try:
            return job.result()
        except Exception:  # the turn itself will say what is wrong
            return None

    def close(self) -> None:
        if self.pool is not None and self.folder is not None:
            self.pool.shutdown(cancel_futures=True)
            self.folder.cleanup()


def _key(module_name: str, flags: Optional[Sequence[str]]) -> Key:
    return module_name, tuple(flags or ())


def _missing(node: Apply) -> Optional[CLinker]:
    """The linker of a node whose module has to be compiled, or None."""
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
    except Exception:  # no C, or another way to it: as without us
        return None


def _made(linker: CLinker, module: Any, location: Path) -> Path:
    _compile(
        module.code_hash,
        module.code(),
        str(location),
        include_dirs=linker.header_dirs(),
        lib_dirs=linker.lib_dirs(),
        libs=linker.libraries(),
        preargs=linker.compile_args(),
        py_module=False,
    )
    return location
