"""The headers that every generated module includes, precompiled.

Most of the time of a module goes to the same few headers, read again for each, and to debugging
information. Here the headers are compiled once for each set of compiler flags, into the cache
folder, and the debugging information is left out: that halves the time of a module (.61 to .30 s
with g++ 12). A compiler that cannot use precompiled headers reads the headers as before.
"""

import functools
import hashlib
import os
import subprocess
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from theano.configdefaults import config
from theano.graph.fg import FunctionGraph
from theano.link.c import cmodule
from theano.link.c.basic import CLinker
from theano.tensor import vector

from theano_rnn.engine.compile_folder import write_whole

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

NO_DEBUGGING = "-g0"

_making = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_making=threading.Lock()))


@functools.cache  # once in a process
def begin() -> None:
    """Start to make the headers in a thread, if they are not there.

    A graph is optimized on one core, before the compiler has anything to do: the other one can
    make the headers.
    """
    if not config.cxx or "clang" in config.cxx:
        return
    sysconfig.get_config_vars()  # see BackgroundCompiler.start
    node = vector().dimshuffle("x", 0).owner  # its module has the flags of most
    flags = CLinker().accept(FunctionGraph(node.inputs, node.outputs)).compile_args()
    if not (place(_same(flags)) / f"{NAME}.gch").exists():
        threading.Thread(target=flags_with_headers, args=[flags], name="headers").start()


def flags_with_headers(preargs: Sequence[str]) -> list[str]:
    """Return the compiler's flags, with the headers first and no debugging information."""
    flags = [*preargs, NO_DEBUGGING]
    # The few modules without -O3 are compiled once, and each would need headers of its own.
    if "-O3" not in flags:
        return flags
    with _making:  # while one thread makes it, the others wait
        header = precompiled(_same(preargs))
    return flags if header is None else [*flags, "-include", str(header)]


def _same(preargs: Sequence[str]) -> tuple[str, ...]:
    """The flags of a module that its headers must have, too."""
    flags = [*preargs, NO_DEBUGGING]
    return tuple(flag for flag in flags if not flag.startswith("-W"))


def place(flags: Sequence[str]) -> Path:
    """The folder of the headers for these flags: a hash of all they depend on is in its name."""
    versions = [config.cxx, cmodule.gcc_version_str, np.__version__, *cmodule.std_include_dirs()]
    key = hashlib.sha256("\n".join([*versions, *HEADERS, *flags]).encode()).hexdigest()
    return Path(config.compiledir) / f"headers_{key[:16]}"


@functools.cache
def precompiled(flags: tuple[str, ...]) -> Optional[Path]:
    """Return the path of the header to include first, or None if it cannot be made.

    The file is complete or not there: it is written under another name and then renamed.
    """
    if "clang" in config.cxx:
        return None  # clang includes precompiled headers by another flag
    folder = place(flags)
    header, made = folder / NAME, folder / f"{NAME}.gch"
    if made.exists():
        return header
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not header.exists():
            write_whole(header, "".join(f"#include {name}\n" for name in HEADERS).encode())
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            new = Path(beside) / made.name
            command = [config.cxx, *flags, *(f"-I{path}" for path in cmodule.std_include_dirs())]
            command += ["-fvisibility=hidden", "-x", "c++-header", str(header), "-o", str(new)]
            done = subprocess.run(command, capture_output=True, start_new_session=True)
            if done.returncode:
                return None
            os.replace(new, made)
    except OSError:
        return None  # a full disk, a folder that cannot be written: slower, but no error
    return header
