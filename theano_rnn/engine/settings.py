"""What the user set for Theano: in THEANO_FLAGS, in .theanorc files, in variables of the shell.

Whatever cannot be understood is an RNNError that names it; whatever is passed over is a remark.
"""

import configparser
import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from theano_rnn.common.errors import RNNError

FLAGS = "THEANO_FLAGS"

#: Programs that start a compiler, as in CXX="ccache g++": Theano starts the compiler itself.
LAUNCHERS = ("ccache", "sccache", "distcc", "icecc")


def user_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's settings, by Theano's names, from .theanorc files and THEANO_FLAGS.

    Raises
    ------
    RNNError
        If a file, or THEANO_FLAGS, cannot be read as settings.
    """
    settings = {key: value for file in rc_files(environ) for key, value in read(file).items()}
    settings.update(split(environ.get(FLAGS, ""))[0])
    return settings


def rc_files(environ: Mapping[str, str]) -> list[str]:
    """The paths of the .theanorc files; later ones win."""
    paths = environ.get("THEANORC", "~/.theanorc").split(os.pathsep)
    paths = [os.path.expanduser(path) for path in paths]
    return [path for path in paths if path and not path.startswith("~")]  # a user without a home


def read(file: str) -> dict[str, str]:
    """The settings of one .theanorc file, by Theano's names; none if the file is not there."""
    parser = configparser.RawConfigParser()
    try:
        parser.read([file])
    except configparser.MissingSectionHeaderError as error:
        raise RNNError(
            f"{file}, line {error.lineno}: {str(error.line).strip()!r} stands before any "
            "[section]; write [global] in the line above it"
        ) from None
    except (configparser.Error, UnicodeDecodeError) as error:
        first = " ".join(str(error).split())
        raise RNNError(
            f"{file} cannot be read as settings of Theano ({first}); correct it, or set THEANORC "
            "to the path of another file"
        ) from None
    return {
        key if section == "global" else f"{section}__{key}": value
        for section in parser.sections()
        for key, value in parser.items(section)
    }


def split(text: str) -> tuple[dict[str, str], list[str]]:
    """Parse THEANO_FLAGS as Theano does; return the settings, and the words without a value.

    Commas separate them; quotation marks and escapes are those of a shell.
    """
    reader = shlex.shlex(text, posix=True)
    reader.whitespace = ","
    reader.whitespace_split = True
    try:
        parts = [part.strip() for part in reader]
    except ValueError as error:  # No closing quotation; No escaped character
        raise RNNError(
            f"{FLAGS}={text} cannot be read ({error}); a quotation mark or backslash inside a "
            "value needs a backslash before it"
        ) from None
    pairs = dict(part.split("=", 1) for part in parts if "=" in part)
    return pairs, [part for part in parts if part and "=" not in part]


def origin(name: str, environ: Mapping[str, str]) -> str:
    """Where the user set something: THEANO_FLAGS, or the path of a file."""
    if name in split(environ.get(FLAGS, ""))[0]:
        return FLAGS
    # RawConfigParser lower-cases option names.
    files = [file for file in rc_files(environ) if name.lower() in read(file)]
    return files[-1] if files else FLAGS


def positive_int(text: str) -> Optional[int]:
    """The number that a text is, if it is a whole number above 0."""
    try:
        return int(text) if int(text) > 0 else None
    except ValueError:
        return None


def thread_count(environ: Mapping[str, str]) -> Optional[int]:
    """The threads that OPENBLAS_NUM_THREADS or OMP_NUM_THREADS ask for, None if neither does.

    The latter may be a list, one number for each level of nesting: the first counts.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        count = positive_int(environ.get(name, "").split(",")[0])
        if count is not None:
            return count
    return None


def compiler(environ: Mapping[str, str]) -> tuple[Optional[str], list[str]]:
    """The C++ compiler to use, and flags that belong to it; None if Theano finds it by itself.

    CXX wins; without it g++ is taken, which Theano looks for, and then clang++. The empty string
    stands for no compiler.

    Raises
    ------
    RNNError
        If CXX names no program, or cannot be read.
    """
    try:
        words = shlex.split(environ.get("CXX", ""))
    except ValueError as error:
        raise RNNError(
            f"CXX={environ['CXX']} cannot be read: {str(error).lower()}; set it to a C++ compiler "
            "and its flags, or unset it"
        ) from None
    while words and Path(words[0]).name in LAUNCHERS:
        words.pop(0)
    path = environ.get("PATH")
    if words:
        found = shutil.which(words[0], path=path)
        if found is None:
            raise RNNError(
                f"CXX={environ['CXX']} names no program that can be run; set it to a C++ "
                "compiler, such as g++ or clang++, or unset it"
            )
        return _by_its_kind(found), words[1:]
    if shutil.which("g++", path=path):
        return None, []
    return shutil.which("clang++", path=path) or "", []


def _by_its_kind(compiler: str) -> str:
    """The same compiler under a name with g++ or clang++ in it: by that Theano knows its flags."""
    folder, name = os.path.split(compiler)
    names = [name, *(name.replace("c++", kind) for kind in ("g++", "clang++") if "c++" in name)]
    paths = [os.path.join(folder, name) for name in names]
    for path in [*paths, os.path.realpath(compiler)]:
        if "g++" in os.path.basename(path) and os.path.exists(path):
            return path
    return compiler
