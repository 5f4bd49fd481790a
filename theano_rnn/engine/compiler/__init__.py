"""The C++ compiler of Theano's modules, made to take less time.

Theano writes one small C++ module for each kind of Op and compiles one after the other.

``precompiled_headers``  the headers that all of them include are read by the compiler once
``background``           the modules that a function still needs compile on all cores
``joined``               several modules are one source
``build``                one module, compiled, or one error that says what is wrong
``failures``             that error, not printed by Theano's optimizer and passed over
``processor``            the compiler's flags: for this processor, and for loops over many arrays
``clang``                the processor's flags for clang++, which Theano does not find

What a module computes, and its key in the cache, depend on none of the first three: where they
fail, compiling takes longer. They stand in one function, ``compile_str``, which replaces that of
Theano's compiler: first it looks for a module that a background thread has compiled, and compiles
otherwise, starting from the headers. The background threads compile from the headers too.
"""

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from theano.link.c import cmodule
from theano.link.vm import VMLinker

from theano_rnn.engine.compiler import failures, processor
from theano_rnn.engine.compiler.background import BackgroundCompiler, key_of
from theano_rnn.engine.compiler.build import failed, library_of
from theano_rnn.engine.compiler.precompiled_headers import flags_with_headers

shipped_compile_str = cmodule.GCC_compiler.compile_str
shipped_make_all = VMLinker.make_all

_current: Optional[BackgroundCompiler] = None  # of the function that is being linked


def install() -> None:
    """Have Theano compile all functions of this process so."""
    cmodule.GCC_compiler.compile_str = staticmethod(compile_str)
    VMLinker.make_all = make_all
    failures.install()
    processor.install()


@functools.wraps(shipped_make_all)
def make_all(self: VMLinker, *args: Any, **kwargs: Any) -> Any:
    """The shipped method, with a background compiler for the nodes of the function."""
    global _current
    before, _current = _current, BackgroundCompiler(self.schedule(self.fgraph), compile_module)
    try:
        return shipped_make_all(self, *args, **kwargs)
    finally:
        made, _current = _current, before
        made.close()


def compile_module(
    module_name: str,
    src_code: str,
    location: str,
    *,
    preargs: Optional[Sequence[str]] = None,
    **settings: Any,
) -> Path:
    """Compile into a folder, starting from the precompiled headers; return the library's path."""
    flags = flags_with_headers(preargs or ())
    return library_of(module_name, src_code, location, preargs=flags, **settings)


@functools.wraps(shipped_compile_str)
def compile_str(
    module_name: str,
    src_code: str,
    location: str,
    *,
    preargs: Optional[Sequence[str]] = None,
    py_module: bool = True,
    **settings: Any,
) -> Any:
    """Return the module: one that was compiled in the background, or compile it now."""
    made = None
    if py_module and _current is not None:
        _current.start()
        made = _current.take(key_of(module_name, preargs, **settings))
    if made is not None:
        for path in made.iterdir():
            shutil.move(str(path), location)
        library = Path(location) / f"{module_name}.{cmodule.get_lib_extension()}"
    else:
        library = compile_module(module_name, src_code, location, preargs=preargs, **settings)
    if not py_module:
        return None
    (Path(location) / "__init__.py").touch()  # Theano imports it as a module of a package
    try:
        module = cmodule.dlimport(str(library))
    except ImportError as error:
        raise failed(module_name, str(error)) from None
    return module
