"""Defects of theano-pymc 1.1.2, each mended by a function that replaces one of Theano's.

No patch builds on another: the list is in the order in which Theano gets to the functions.
"""

from theano_rnn.engine.patches import (
    blas_strides,
    compile_cache,
    compiler_process,
    constant_folding,
    link_count,
    many_inputs,
    scan_perform,
    scan_pushout,
    shape_feature,
    threads,
)

PATCHES = (
    scan_pushout.install,  # the gradient of W out of a truncated loop is wrong
    scan_perform.install,  # the compiled scan loop does not build on Python 3.11
    blas_strides.install,  # products of empty and of overlapping operands fail, or are wrong
    compile_cache.version_ops_without_properties,  # each process compiles them again
    compile_cache.version_c_files_by_their_text,  # each process compiles them again
    compile_cache.write_keys_whole,  # one process deletes a module that others use
    compile_cache.note_the_lock_once_it_is_held,  # after Ctrl-C a thread compiles without it
    compiler_process.install,  # Ctrl-C kills the compiler, and then "Compilation failed"
    many_inputs.install,  # a fused Op of 32 inputs fails in Python, and so in DebugMode
    constant_folding.install,  # a start waits for compilers of a few numbers
    shape_feature.install,  # some graphs with gates compile for ever
    link_count.install,  # a profiler's look at the stack fails an assertion
    threads.install,  # two threads that call one function mix their numbers
)


def install() -> None:
    """Apply all patches. To be called once, before Theano compiles anything."""
    for patch in PATCHES:
        patch()
