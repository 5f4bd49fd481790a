"""Three defects of Theano's compile cache, mended (theano-pymc 1.1.2).

The first two make a process compile again what another one has compiled.

``CLinker.cmodule_key_``: a module is shared only if every entry of its version is non-empty,
and ``op.__props__`` is appended to the version. An Op with no properties has ``__props__ == ()``,
so modules with Alloc, Dot22, AdvancedSubtensor1 or the softmax cross-entropy count as
unversioned.

``ExternalCOp.c_code_cache_version``: the version of an Op whose C stands in a file is Python's
``hash`` of that file's text, which is another in every process. DimShuffle is such an Op.

``KeyData.save_pkl``: the file of a module's keys is emptied and written anew whenever a key is
added. A process that starts meanwhile finds it empty, and deletes the module that others use.
"""

import os
import pickle
import tempfile
from typing import Any

from theano.graph.fg import FunctionGraph
from theano.graph.op import ExternalCOp
from theano.link.c.basic import CLinker
from theano.link.c.cmodule import KeyData
from theano.link.c.interface import CLinkerObject
from theano.utils import hash_from_code

shipped_key = CLinker.cmodule_key_
shipped_version = ExternalCOp.c_code_cache_version


def mend() -> None:
    """Have every Theano function of this process use the mended keys."""
    CLinker.cmodule_key_ = cmodule_key_
    ExternalCOp.c_code_cache_version = c_code_cache_version
    KeyData.save_pkl = save_pkl


def cmodule_key_(self: CLinker, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Any:
    """The shipped key, with the version told from the code versions of Ops and types alone."""
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


def c_code_cache_version(self: ExternalCOp) -> tuple[Any, ...]:
    """The shipped version, with a hash of the C code that is the same in every process."""
    return (hash_from_code("\n".join(self.func_codes)), *shipped_version(self)[1:])


def save_pkl(self: KeyData) -> None:
    """The shipped one's file, complete or as it was: it is written beside and renamed."""
    data = pickle.dumps(self, protocol=pickle.HIGHEST_PROTOCOL)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(self.key_pkl), delete=False) as file:
        file.write(data)
    os.replace(file.name, self.key_pkl)
