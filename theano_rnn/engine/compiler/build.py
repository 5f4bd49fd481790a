"""One C++ module, compiled; whatever goes wrong is one ``CompileFailed``.

The shipped ``GCC_compiler.compile_str`` prints to standard output, and raises an Exception with
all that the compiler said.
"""

import logging
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from theano.configdefaults import config
from theano.link.c import cmodule
from theano.link.c.exceptions import MissingGXX

from theano_rnn.common.errors import CompileFailed
from theano_rnn.engine.compat.generated_c import for_this_numpy
from theano_rnn.engine.compiler import clang

#: What a compiler or a loader says, and what to do about it.
REMEDIES = (
    (r"\bPython\.h\b", "install the headers of Python (Debian: apt install python3-dev)"),
    (r"numpy/\w+\.h", "install NumPy again: its headers are missing"),
    (
        r"No space left|quota exceeded|File too large",
        "free room, or name another folder: THEANO_FLAGS=base_compiledir=FOLDER",
    ),
    (
        r"failed to map segment|[Oo]peration not permitted",
        "programs may not run in the compile cache (noexec): name another folder: "
        "THEANO_FLAGS=base_compiledir=FOLDER",
    ),
    (
        r"file too short|invalid ELF header",
        "the file is damaged: delete the compile cache's folder",
    ),
    (r"Killed|signal 9", "the memory may be too small for the compiler"),
)

#: Modules that Theano keeps once for all flags: in a folder that machines share, each of them must
#: run on the processors of all. They compute nothing, so the processor's flags gain nothing.
FOR_ANY_PROCESSOR = ("lazylinker_ext", "cutils_ext", "scan_perform")
PROCESSOR_FLAGS = ("-m", "--param")

#: A compiler that ends so is run once more: the signal was sent to the processes of the terminal,
#: which this one takes as it likes, just before the compiler had a session of its own.
INTERRUPTED = (-signal.SIGINT, -signal.SIGTERM)


def library_of(
    module_name: str,
    src_code: str,
    location: str,
    *,
    include_dirs: Optional[Sequence[str]] = None,
    lib_dirs: Optional[Sequence[str]] = None,
    libs: Optional[Sequence[str]] = None,
    preargs: Optional[Sequence[str]] = None,
    hide_symbols: bool = True,
) -> Path:
    """Compile a module into a folder; return the path of the library.

    Parameters
    ----------
    module_name, src_code, location, include_dirs, lib_dirs, libs, preargs, hide_symbols
        As for ``GCC_compiler.compile_str``.

    Raises
    ------
    CompileFailed
    MissingGXX
        If there is no compiler.
    """
    if not config.cxx:
        raise MissingGXX("g++ not available! We can't compile c code.")  # Theano's words
    source = Path(location) / "mod.cpp"
    library = Path(location) / f"{module_name}.{cmodule.get_lib_extension()}"
    flags = [f for f in preargs or () if not (config.cmodule__remove_gxx_opt and f[:2] == "-O")]
    if module_name in FOR_ANY_PROCESSOR:
        own = cmodule.GCC_compiler.march_flags or ()
        flags = [f for f in flags if f not in own and not f.startswith(PROCESSOR_FLAGS)]
    command = [config.cxx, cmodule.get_gcc_shared_library_arg(), *flags]
    command += [f"-I{d}" for d in (*(include_dirs or ()), *cmodule.std_include_dirs()) if d]
    command += [f"-L{d}" for d in (*(lib_dirs or ()), *cmodule.std_lib_dirs()) if d]
    command += ["-fvisibility=hidden"] * hide_symbols
    command += [clang.NARROWING] * cmodule.gcc_llvm()
    command += ["-o", str(library), str(source)]
    command += [f"-l{name}" for name in (*(libs or ()), *cmodule.std_libs())]
    src_code = for_this_numpy(src_code)
    try:
        source.write_text(src_code if src_code.endswith("\n") else f"{src_code}\n", "utf-8")
        done = _finished(command)
        if done.returncode in INTERRUPTED:
            done = _finished(command)
    except OSError as error:  # no room for the source; the compiler is gone
        raise failed(module_name, str(error), command, src_code) from None
    said = (done.stderr + done.stdout).decode("utf-8", "replace")
    if done.returncode:
        said = (
            said if said.strip() else f"the compiler ends with {done.returncode}, and says nothing"
        )
        raise failed(module_name, said, command, src_code)
    if config.cmodule__compilation_warning and said:
        logging.getLogger("theano_rnn").warning(said)
    return library


def _finished(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a compiler to its end, in a session of its own: see the patch compiler_process."""
    english = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=english,
        start_new_session=True,
    )


def failed(name: str, said: str, command: Sequence[str] = (), src_code: str = "") -> CompileFailed:
    """The error of a module: what the compiler said first, the command, the log, what to do.

    The log has everything. The message leaves out the dozens of flags that name the processor.
    """
    parts = [f"a C++ module could not be {'compiled' if command else 'loaded'}: {first(said)}"]
    parts += [remedy for pattern, remedy in REMEDIES if re.search(pattern, said)][:1]
    library = re.search(r"cannot find -l([\w.+-]+)|library '?-?l?([\w.+-]+)'? not found", said)
    if library and config.blas__ldflags:
        parts.append(f"blas__ldflags={config.blas__ldflags} names it: correct or remove that")
    if command:
        processor = cmodule.GCC_compiler.march_flags or ()
        short = [word for word in command if word not in processor]
        parts.append(f"command: {shlex.join(short)}")
        parts.append(f"log: {_log(name, said, command, src_code)}")
    return CompileFailed("; ".join([*parts, "run theano-rnn doctor"]))


def first(said: str) -> str:
    """The line of a compiler's output that says what is wrong."""
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    telling = (
        line for line in lines if re.search("error|cannot|undefined|fatal|failed", line, re.I)
    )
    return next(telling, lines[0] if lines else "nothing was said")


def _log(name: str, said: str, command: Sequence[str], src_code: str) -> str:
    """Write what there is to know of a failed module; return the path, or why there is none."""
    path = _log_folder() / f"failed_{name[:17]}.log"
    text = f"{shlex.join(command)}\n\n{said}\n\n{src_code}"
    try:
        path.write_text(text, "utf-8", "replace")
    except OSError as error:
        return f"none ({error})"
    return str(path)


def _log_folder() -> Path:
    return Path(config.compiledir)
