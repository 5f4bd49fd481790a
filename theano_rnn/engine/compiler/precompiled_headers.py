"""The headers that every generated module includes, read by the compiler once.

Theano compiles one small C++ module for each kind of operation. Most of the time goes to the
same few headers, read anew for each, and to notes for a debugger. Here the headers are compiled
once for each set of compiler flags, into the cache folder, and the notes are left out: half the
time of a module is saved (.61 to .30 s by g++ 12). A compiler that cannot use them reads the
headers as before; nothing in a module, or in its key in the cache, depends on them.
"""

import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from theano.configdefaults import config
from theano.link.c import cmodule

HEADERS = (
    "<Python.h>",
    "<iostream>",
    '"theano_mod_helper.h"',
    "<math.h>",
    "<numpy/arrayobject.h>",
    "<numpy/arrayscalars.h>",
    "<numpy/npy_math.h>",
    "<vector>",
    "<algorithm>",
)
NAME = "headers.h"

#: Flags of single Ops with which headers compiled without them are used all the same.
HARMLESS = ("-fopenmp-simd",)

shipped = cmodule.GCC_compiler.compile_str


def mend() -> None:
    """Have Theano's compiler start from the precompiled headers."""
    cmodule.GCC_compiler.compile_str = staticmethod(compile_str)


@functools.wraps(shipped)
def compile_str(
    module_name: str,
    src_code: str,
    location: Optional[str] = None,
    *,
    preargs: Optional[Sequence[str]] = None,
    **settings: Any,
) -> Any:
    """The shipped function, with the headers put before the source and no notes for debuggers."""
    flags = [*(preargs or ()), "-g0"]
    # The few modules that are compiled once, without -O3, would each want headers of their own.
    same = tuple(flag for flag in flags if not flag.startswith("-W") and flag not in HARMLESS)
    # Nor do the few in threads: they would for the one flag.
    header = precompiled(same) if "-O3" in flags and "-fopenmp" not in flags else None
    if header is not None:
        flags += ["-include", str(header)]
    return shipped(module_name, src_code, location, preargs=flags, **settings)


@functools.cache
def precompiled(flags: tuple[str, ...]) -> Optional[Path]:
    """Path of the header to include first; None where it cannot be made.

    It is complete, or not there: it is written beside and renamed. What it depends on is in the
    name of its folder.
    """
    if "clang" in config.cxx:
        return None  # it has another way
    folders = cmodule.std_include_dirs()
    versions = [config.cxx, cmodule.gcc_version_str, np.__version__, *folders]
    key = hashlib.sha256("\n".join([*versions, *HEADERS, *flags]).encode()).hexdigest()
    folder = Path(config.compiledir) / f"headers_{key[:16]}"
    header, made = folder / NAME, folder / f"{NAME}.gch"
    if made.exists():
        return header
    try:
        folder.mkdir(exist_ok=True)
        if not header.exists():
            _write_whole(header, "".join(f"#include {name}\n" for name in HEADERS))
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            new = Path(beside) / made.name
            command = [config.cxx, *flags, *(f"-I{path}" for path in folders)]
            command += ["-fvisibility=hidden", "-x", "c++-header", str(header), "-o", str(new)]
            done = subprocess.run(command, capture_output=True, start_new_session=True)
            if done.returncode:
                return None
            os.replace(new, made)
    except OSError:
        return None  # a full disk, a folder that cannot be written: slower, and no error
    return header


def _write_whole(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
