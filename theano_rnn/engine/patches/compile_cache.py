"""Four defects of Theano's compile cache (theano-pymc 1.1.2), each with its patch."""

import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from theano.compile import compilelock
from theano.graph.fg import FunctionGraph
from theano.graph.op import ExternalCOp
from theano.link.c.basic import CLinker
from theano.link.c.cmodule import KeyData
from theano.link.c.interface import CLinkerObject
from theano.utils import hash_from_code

from theano_rnn.engine.compile_folder import write_whole

shipped_key = CLinker.cmodule_key_
shipped_version = ExternalCOp.c_code_cache_version


def version_ops_without_properties() -> None:
    """Let processes share the modules of Ops that have no properties.

    The defect, in ``CLinker.cmodule_key_``: processes share a module only if no entry of its
    version is empty, and ``op.__props__`` is one of the entries. An Op without properties has
    ``__props__ == ()``, so each process compiles Alloc, Dot22, AdvancedSubtensor1 and the softmax
    cross-entropy again.
    """
    CLinker.cmodule_key_ = cmodule_key_


def cmodule_key_(self: CLinker, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Any:
    """The shipped key, with a version made of the code versions of Ops and types alone."""
    key = shipped_key(self, fgraph, *args, **kwargs)
    if key is None or key[0]:
        return key  # not hashable, or versioned already
    _, signature = key
    versions = []
    for node in self.schedule(fgraph):
        if hasattr(node.op, "c_code_cache_version_apply"):
            versions.append(node.op.c_code_cache_version_apply(node))
        versions += [
            variable.type.c_code_cache_version()
            for variable in node.inputs + node.outputs
            if isinstance(variable.type, CLinkerObject)
        ]
        # The values of the properties are in the signature; here they only add to the version.
        versions.append(getattr(node.op, "__props__", ()) or ("no properties",))
    return (tuple(versions) if all(versions) else (), signature)


def version_c_files_by_their_text() -> None:
    """Let processes share the modules of Ops whose C stands in a file, such as DimShuffle.

    The defect, in ``ExternalCOp.c_code_cache_version``: the version is Python's ``hash`` of the
    file's text, which differs from process to process, so that each compiles the Op again.
    """
    ExternalCOp.c_code_cache_version = c_code_cache_version


def c_code_cache_version(self: ExternalCOp) -> tuple[Any, ...]:
    """The shipped version, with a hash of the C code that is the same in every process."""
    return (hash_from_code("\n".join(self.func_codes)), *shipped_version(self)[1:])


def write_keys_whole() -> None:
    """Keep the file of a module's keys whole while a key is added.

    The defect, in ``KeyData.save_pkl``: the file is emptied and then written. A process that
    starts meanwhile finds it empty, and deletes the module that others use.
    """
    KeyData.save_pkl = save_pkl


def save_pkl(self: KeyData) -> None:
    """Write the file under another name, then rename it: a reader sees the old or the new one."""
    write_whole(Path(self.key_pkl), pickle.dumps(self, protocol=pickle.HIGHEST_PROTOCOL))


def note_the_lock_once_it_is_held() -> None:
    """Let no thread compile without the lock of the cache.

    The defect, in ``compilelock.lock_ctx``: a thread notes that it holds the lock before it waits
    for it. If Ctrl-C or the end of its patience ends the wait, the note stays, and the thread
    compiles beside other processes from then on.
    """
    compilelock.filelock = SimpleNamespace(FileLock=FileLock)


class FileLock(compilelock.filelock.FileLock):
    """The lock of a folder, whose note goes where it cannot be taken."""

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().acquire(*args, **kwargs)
        except BaseException:
            folder = os.path.dirname(self.lock_file)
            compilelock.local_mem._locks.pop(f"{folder}-{os.getpid()}", None)
            raise
