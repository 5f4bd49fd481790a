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
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

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

#: Flags of single Ops that headers compiled without them still fit.
HARMLESS = ("-fopenmp-simd",)

_making = threading.Lock()


def flags_with_headers(preargs: Sequence[str]) -> list[str]:
    """Return the compiler's flags, with the headers first and no debugging information."""
    flags = [*preargs, "-g0"]
    # The few modules without -O3 are compiled once, and each would need headers of its own.
    same = tuple(flag for flag in flags if not flag.startswith("-W") and flag not in HARMLESS)
    # So would the few with threads, for that one flag.
    if "-O3" not in flags or "-fopenmp" in flags:
        return flags
    with _making:  # while one thread makes it, the others wait
        header = precompiled(same)
    return flags if header is None else [*flags, "-include", str(header)]


@functools.cache
def precompiled(flags: tuple[str, ...]) -> Optional[Path]:
    """Return the path of the header to include first, or None if it cannot be made.

    The file is complete or not there: it is written under another name and then renamed. A hash
    of all that it depends on is in the name of its folder.
    """
    if "clang" in config.cxx:
        return None  # clang includes precompiled headers by another flag
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
        return None  # a full disk, a folder that cannot be written: slower, but no error
    return header


def _write_whole(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
