"""Theano's compiled scan loop on Python 3.11.

The defect (theano-pymc 1.1.2): Cython 0.29.21 generated ``theano/scan/c_code/scan_perform.c``,
which does not compile on Python 3.11, because it takes shortcuts into the interpreter. Theano
falls back to its Python loop only after an ImportError, so the first scan ends the program.

The patch compiles the shipped source without the shortcuts, into the place where Theano looks for
the module. If that fails too, it blocks the import, and scan runs its own, slower, Python loop.
It does so when the first Scan is compiled: a ``NativeLoop`` (``engine.loop``) needs neither.
"""

import functools
import re
import sys
from pathlib import Path
from typing import Any

import theano
from theano.compile.compilelock import lock_ctx
from theano.configdefaults import config
from theano.link.c import cmodule
from theano.scan.op import Scan

_EXTENSION = "theano.scan.scan_perform_ext"
_VERSION = 0.298  # the version scan_perform_ext asks for

# Cython's shortcuts into structures that Python 3.11 changed or hid: it can do without them.
_SHORTCUTS_OFF = [
    "-DCYTHON_FAST_THREAD_STATE=0",
    "-DCYTHON_FAST_PYCALL=0",
    "-DCYTHON_USE_PYLONG_INTERNALS=0",
    "-DCYTHON_USE_EXC_INFO_STACK=0",
]

shipped = Scan.make_thunk


def install() -> None:
    """Prepare the loop before the first Scan is compiled."""
    Scan.make_thunk = make_thunk


@functools.wraps(shipped)
def make_thunk(self: Scan, *args: Any, **kwargs: Any) -> Any:
    """The shipped method, with the loop prepared."""
    available_loop()
    return shipped(self, *args, **kwargs)


@functools.cache
def available_loop() -> str:
    """Prepare the loop, once; return which one a Scan uses, in words."""
    return prepare()


def prepare() -> str:
    """Make the compiled loop importable if possible; return which loop a Scan uses, in words."""
    if not config.cxx:
        return "the Python loop (no C++ compiler)"
    if sys.version_info < (3, 11):
        return "the compiled loop"  # Theano builds it by itself at the first scan
    try:
        _build(Path(config.compiledir) / "scan_perform")
    except Exception as error:  # Theano raises many types for a failed compilation
        sys.modules[_EXTENSION] = None
        return f"the Python loop ({str(error).splitlines()[0][:200]})"
    return "the compiled loop"


def _build(folder: Path) -> None:
    marker = folder / "__init__.py"  # written last
    if marker.exists() and marker.read_text().strip():
        return
    folder.mkdir(parents=True, exist_ok=True)
    source = (Path(theano.__file__).parent / "scan" / "c_code" / "scan_perform.c").read_text()
    preargs = ["-fwrapv", "-O2", "-fno-strict-aliasing", *_SHORTCUTS_OFF]
    with lock_ctx(str(folder)):
        if marker.exists() and marker.read_text().strip():
            return  # another process was first
        cmodule.GCC_compiler.compile_str(
            "scan_perform",
            for_python_311(source),
            location=str(folder),
            preargs=preargs + cmodule.GCC_compiler.compile_args(),
            hide_symbols=False,
            py_module=False,
        )
        marker.write_text(f"_version = {_VERSION}\n")


def for_python_311(source: str) -> str:
    """Return the generated C without two parts that serve only tracebacks into the .pyx file.

    Raises
    ------
    RuntimeError
        If the source is not the shipped one.
    """
    # PyCode_New takes other arguments now; an empty code object holds file and line as well.
    source, codes = re.subn(
        r"\bPyCode_New\(a, k, l, s, f, code, .*, lnos\)",
        'PyCode_NewEmpty("scan_perform.pyx", "perform", fline)',
        source,
    )
    # PyFrameObject is opaque now: the line number in a traceback stays unset.
    source, frames = re.subn(
        r"#define __Pyx_PyFrame_SetLineNumber\(frame, lineno\)  \(frame\)->f_lineno = \(lineno\)",
        "#define __Pyx_PyFrame_SetLineNumber(frame, lineno)",
        source,
    )
    if not (codes and frames):
        raise RuntimeError("scan_perform.c is not the one shipped with theano-pymc 1.1.2")
    return source
