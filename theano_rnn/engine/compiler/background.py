"""Modules compiled in background threads, on all cores, before Theano asks for them.

Theano compiles the modules of a function one after the other, on one core. Once it has to compile
a first one, the ``BackgroundCompiler`` compiles those that the other nodes need, longest first,
with as many compilers as there are cores. Theano takes each when it gets to its node. Errors in a
background compile are ignored; the normal compile reports them. A function whose modules are all
in the cache starts no thread.
"""

import sysconfig
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

from theano_rnn.engine.blas import usable_cores
from theano_rnn.engine.loop.op import NativeLoop

#: How many compilers run at once.
COMPILERS = usable_cores()

#: Of a module: the hash of its code, and the compiler's flags.
Key = tuple[str, tuple[str, ...]]


class BackgroundCompiler:
    """Compiles the modules of the nodes of one function.

    Parameters
    ----------
    nodes : list of Apply
    compile : callable
        As the ``compile_str`` of Theano's compiler.
    """

    def __init__(self, nodes: Sequence[Apply], compile: Callable[..., Any]) -> None:
        self.nodes, self.compile = nodes, compile
        self.pool: Optional[ThreadPoolExecutor] = None
        self.folder: Optional[tempfile.TemporaryDirectory[str]] = None
        self.jobs: dict[Key, Future[Path]] = {}

    def start(self, name: str, flags: Optional[Sequence[str]]) -> None:
        """Start to compile all modules that are missing, except one that is being made.

        Later calls do nothing, nor does any where there is one core.
        """
        if self.pool is not None or COMPILERS < 2:
            return
        missing: dict[Key, tuple[CLinker, Any]] = {}
        # Python before 3.12 fills its table of variables at the first call, and a second thread
        # reads it half filled: then the name of Python's library is None.
        sysconfig.get_config_vars()
        self.pool = ThreadPoolExecutor(COMPILERS)
        self.folder = tempfile.TemporaryDirectory(prefix="theano_rnn_")
        for node in self.nodes:
            linker = _missing(node)
            if linker is not None:
                module = linker.get_dynamic_module()
                missing[_key(module.code_hash, linker.compile_args())] = linker, module
        missing.pop(_key(name, flags), None)
        longest_first = sorted(missing.items(), key=lambda job: -len(job[1][1].code()))
        for n, (key, (linker, module)) in enumerate(longest_first):
            location = Path(self.folder.name) / str(n)
            location.mkdir()
            self.jobs[key] = self.pool.submit(self._compiled, linker, module, location)

    def take(self, module_name: str, flags: Optional[Sequence[str]]) -> Optional[Path]:
        """Return the folder of a module, once compiled; None if it was not begun or failed."""
        job = self.jobs.pop(_key(module_name, flags), None)
        if job is None or job.cancel():  # cancelled: no thread has begun it
            return None
        try:
            return job.result()
        except Exception:  # the normal compile reports what is wrong
            return None

    def _compiled(self, linker: CLinker, module: Any, location: Path) -> Path:
        """Compile a module into a folder, and return it."""
        self.compile(
            module.code_hash,
            module.code(),
            str(location),
            include_dirs=linker.header_dirs(),
            lib_dirs=linker.lib_dirs(),
            libs=linker.libraries(),
            preargs=linker.compile_args(),
        )
        return location

    def close(self) -> None:
        """Drop what was not taken."""
        if self.pool is not None and self.folder is not None:
            self.pool.shutdown(cancel_futures=True)
            self.folder.cleanup()


def _key(module_name: str, flags: Optional[Sequence[str]]) -> Key:
    return module_name, tuple(flags or ())


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
