"""Theano's compiled scan loop on Python 3.11 and later, and with NumPy 2.

The defect (theano-pymc 1.1.2): Cython 0.29.21 generated ``theano/scan/c_code/scan_perform.c``. It
does not compile on Python 3.11, because it takes shortcuts into the interpreter, nor with NumPy 2,
because it looks into the description of a dtype. Theano falls back to its Python loop only after
an ImportError, so the first scan ends the program.

The patch compiles the shipped source without the shortcuts, into the place where Theano looks for
the module. If that fails too, it blocks the import, and scan runs its own, slower, Python loop.
It does so when the first Scan is compiled: a ``NativeLoop`` (``engine.loop``) needs neither.

Built and run on 3.9, 3.11, 3.12 and 3.13. Python 3.14 was not at hand: of its private names the
source still uses two, _PyDict_GetItem_KnownHash and _PyObject_GetDictPtr, which 3.14 keeps.
"""

import functools
import sys
import zlib
from pathlib import Path
from typing import Any

import theano
from theano.compile.compilelock import lock_ctx
from theano.configdefaults import config
from theano.link.c import cmodule
from theano.scan.op import Scan

from theano_rnn.engine.compat import CYTHON_WORKS

_EXTENSION = "theano.scan.scan_perform_ext"
_VERSION = 0.298  # the version scan_perform_ext asks for

# Cython's shortcuts into structures that newer Pythons changed or hid: it can do without them.
_SHORTCUTS_OFF = [
    "-DCYTHON_FAST_THREAD_STATE=0",
    "-DCYTHON_FAST_PYCALL=0",
    "-DCYTHON_USE_PYLONG_INTERNALS=0",
    "-DCYTHON_USE_EXC_INFO_STACK=0",
    "-DCYTHON_USE_UNICODE_INTERNALS=0",
    "-DCYTHON_USE_DICT_VERSIONS=0",  # ma_version_tag, gone since 3.14
]

#: A text of the source, how often it occurs, and what stands in its place. Each reason says since
#: when the text does not compile, or what it does at run time.
SUBSTITUTIONS = [
    # 3.11: PyCode_New takes other arguments. An empty code object holds file and line as well.
    (
        "  PyCode_New(a, k, l, s, f, code, c, n, v, fv, cell, fn, name, fline, lnos)",
        1,
        '  PyCode_NewEmpty("scan_perform.pyx", "perform", fline)',
    ),
    # 3.11: PyFrameObject is opaque. The line number in a traceback stays unset.
    ("(frame)->f_lineno = (lineno)", 1, ""),
    # 3.12: the thread state no longer has the exception. The branch for PyPy does without.
    (
        "#if CYTHON_COMPILING_IN_PYPY\n        PyObject *tmp_type, *tmp_value, *tmp_tb;",
        1,
        "#if 1\n        PyObject *tmp_type, *tmp_value, *tmp_tb;",
    ),
    # 3.12: the size of an int is no longer its sign; asked for it, Python aborts the process.
    ("Py_SIZE(x) < 0", 3, "PyObject_RichCompareBool(x, Py_False, Py_LT) == 1"),
    # 3.13: a sixth argument. No integer of the loop is longer than a long, so it is never called.
    (
        "_PyLong_AsByteArray((PyLongObject *)v,\n"
        "                                              bytes, sizeof(val),\n"
        "                                              is_little, !is_unsigned)",
        3,
        '((void)bytes, (void)is_little, PyErr_SetString(PyExc_OverflowError, "too large"), -1)',
    ),
    # NumPy 2: the description of a dtype is opaque. Nothing calls the function.
    ("((PyObject*)__pyx_v_d->subarray->shape)", 2, "Py_None"),
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
    if CYTHON_WORKS:
        return "the compiled loop"  # Theano builds it by itself at the first scan
    try:
        _build(Path(config.compiledir) / "scan_perform")
    except Exception as error:  # Theano raises many types for a failed compilation
        sys.modules[_EXTENSION] = None  # type: ignore[assignment]  # blocks the import
        return f"the Python loop ({str(error).splitlines()[0][:200]})"
    return "the compiled loop"


def _build(folder: Path) -> None:
    marker = folder / "__init__.py"  # written last
    shipped_c = Path(theano.__file__).parent / "scan" / "c_code" / "scan_perform.c"
    source = without_shortcuts(shipped_c.read_text())
    preargs = ["-fwrapv", "-O2", "-fno-strict-aliasing", *_SHORTCUTS_OFF]
    # Another version of this package, which shares the folder, may have built it of other text.
    text = zlib.crc32("".join([source, *preargs]).encode())
    made = f"_version = {_VERSION}\n_text = {text}\n"
    if marker.exists() and marker.read_text() == made:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with lock_ctx(str(folder)):
        if marker.exists() and marker.read_text() == made:
            return  # another process was first
        cmodule.GCC_compiler.compile_str(
            "scan_perform",
            source,
            location=str(folder),
            preargs=preargs + cmodule.GCC_compiler.compile_args(),
            hide_symbols=False,
            py_module=False,
        )
        marker.write_text(made)


def without_shortcuts(source: str) -> str:
    """Return the generated C, as newer Pythons compile it.

    Raises
    ------
    RuntimeError
        If the source is not the shipped one.
    """
    for text, count, replacement in SUBSTITUTIONS:
        if source.count(text) != count:
            raise RuntimeError(
                "scan_perform.c is not the one shipped with theano-pymc 1.1.2: "
                f"{text.splitlines()[0]!r} occurs {source.count(text)} times, not {count}"
            )
        source = source.replace(text, replacement)
    return source
