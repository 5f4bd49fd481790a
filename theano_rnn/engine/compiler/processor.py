"""The compiler's flags for this processor, noted in the compile cache.

Theano asks the compiler for them in every process, and tries them out with a program: .15 seconds,
a fifth of a start with a full cache. They are noted for a compiler and a processor.
"""

import contextlib
import functools
import json
import zlib
from pathlib import Path
from typing import Optional

from theano.configdefaults import config
from theano.link.c import cmodule
from theano.link.c.cmodule import GCC_compiler

from theano_rnn.common import files

CPUINFO = Path("/proc/cpuinfo")
#: What tells processors apart there, on x86 and on ARM.
TELLING = ("vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "Features", "CPU")


def install() -> None:
    """Read the flags from the cache where they are noted. To be called after ``clang.install``."""
    shipped = GCC_compiler.compile_args

    @functools.wraps(shipped)
    def compile_args(march_flags: bool = True) -> list[str]:
        """The shipped flags; those of the processor are found once."""
        is_asked = march_flags and GCC_compiler.march_flags is None and config.cxx
        noted = noted_in() if is_asked and "-march=" not in config.gcc__cxxflags else None
        if noted is not None:
            GCC_compiler.march_flags = read(noted)
        flags: list[str] = shipped(march_flags)
        if noted is not None and GCC_compiler.march_flags:
            write(noted, GCC_compiler.march_flags)
        return flags

    GCC_compiler.compile_args = staticmethod(compile_args)


def noted_in() -> Optional[Path]:
    """The file for this compiler and processor; None where the system does not tell."""
    try:
        lines = CPUINFO.read_text().partition("\n\n")[0].splitlines()  # of the first core
    except OSError:
        return None
    told = [line for line in lines if line.startswith(TELLING)]
    key = "\n".join([config.cxx, cmodule.gcc_version_str, config.gcc__cxxflags, *told])
    return (
        Path(config.compiledir) / f"processor_{zlib.crc32(key.encode()):08x}.json"
        if told
        else None
    )


def read(noted: Path) -> Optional[list[str]]:
    """The flags in a file; None if there is none, or another thing in it."""
    try:
        flags = json.loads(noted.read_text())
    except (OSError, ValueError):
        return None
    is_whole = isinstance(flags, list) and all(isinstance(flag, str) for flag in flags)
    return flags if is_whole and flags else None


def write(noted: Path, flags: list[str]) -> None:
    """Note the flags, if they are not there and the folder can be written."""
    if not noted.exists():
        with contextlib.suppress(OSError):
            files.replace(noted, json.dumps(flags).encode())
