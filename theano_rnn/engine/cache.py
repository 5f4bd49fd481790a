"""Two defects in the keys of Theano's compile cache, mended.

Both make a process compile again what another one has compiled (theano-pymc 1.1.2).

``CLinker.cmodule_key_``: a module is shared only if every entry of its version is non-empty,
and ``op.__props__`` is appended to the version. An Op with no properties has ``__props__ == ()``,
so modules with Alloc, Dot22, AdvancedSubtensor1 or the softmax cross-entropy count as
unversioned.

``ExternalCOp.c_code_cache_version``: the version of an Op whose C stands in a file is Python's
``hash`` of that file's text, which is another in every process. DimShuffle is such an Op.
"""

from theano.graph.op import ExternalCOp
from theano.link.c.basic import CLinker
from theano.link.c.interface import CLinkerObject
from theano.utils import hash_from_code

shipped_key = CLinker.cmodule_key_
shipped_version = ExternalCOp.c_code_cache_version


def mend() -> None:
    """Have every Theano function of this process use the mended keys."""
    CLinker.cmodule_key_ = cmodule_key_
    ExternalCOp.c_code_cache_version = c_code_cache_version


def cmodule_key_(self, fgraph, *args, **kwargs):
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


def c_code_cache_version(self):
    """The shipped version, with a hash of the C code that is the same in every process."""
    return (hash_from_code("\n".join(self.func_codes)), *shipped_version(self)[1:])
