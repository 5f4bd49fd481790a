"""Linking a function while something looks at the stack, as Dask's workers do (theano-pymc 1.1.2).

The defect, in ``VMLinker.make_vm`` (theano/link/vm.py): it counts the references to a list before
and after it makes the virtual machine, and asserts that they are as many. A profiler that holds a
frame in between, as the one in each worker of Dask does a hundred times a second, holds the list
too: an AssertionError without a message, in one of some hundred functions.
"""

from types import SimpleNamespace

from theano.link import vm


def install() -> None:
    """Have the linker, which uses ``sys`` for nothing else, find the same count always."""
    vm.sys = SimpleNamespace(getrefcount=lambda _: 0)
