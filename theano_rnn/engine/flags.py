"""The settings Theano starts with.

A setting the user made, in THEANO_FLAGS or in a .theanorc, is left alone. The rest gets the
defaults below, in front of the user's own THEANO_FLAGS, so that theirs are read last and win.
"""

import configparser
import importlib
import os
import shlex
from collections.abc import Mapping

from theano_rnn.common.errors import RNNError
from theano_rnn.engine.blas import Blas


def defaults(blas: Blas) -> dict[str, str]:
    """Our settings by Theano's names, each with its reason."""
    return {
        # Half the memory traffic of float64; the proofs ask for float64 explicitly.
        "floatX": "float32",
        # Never empty where a BLAS was found: with numpy >= 1.22 Theano's own search for one
        # raises (numpy.distutils.__config__ has no blas_opt_info any more).
        "blas__ldflags": blas.ldflags,
        "gcc__cxxflags": blas.defines,
        # Our modules are built with other keys and flags than stock Theano's: kept apart, so
        # that neither has to read through the other's.
        "compiledir_format": "theano_rnn_%(short_platform)s-%(python_version)s",
    }


def user_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What the user set, by Theano's names, from .theanorc files and THEANO_FLAGS."""
    files = environ.get("THEANORC", "~/.theanorc").split(os.pathsep)
    parser = configparser.RawConfigParser()
    parser.read([os.path.expanduser(f) for f in files])
    settings = {
        key if section == "global" else f"{section}__{key}": value
        for section in parser.sections()
        for key, value in parser.items(section)
    }
    settings.update(_split(environ.get("THEANO_FLAGS", "")))
    return settings


def theano_flags(blas: Blas, environ: Mapping[str, str]) -> str:
    """The value of THEANO_FLAGS to import Theano with."""
    user = user_settings(environ)
    # RawConfigParser lower-cases option names, so the comparison does too.
    taken = {key.lower() for key in user}
    ours = {key: value for key, value in defaults(blas).items() if key.lower() not in taken}
    if "blas__ldflags" in user:
        ours.pop("gcc__cxxflags", None)  # it only renames routines for our BLAS
    own = environ.get("THEANO_FLAGS", "").strip().strip(",")
    if "gcc__cxxflags" in user and "blas__ldflags" in ours and blas.defines:
        # Their compiler flags stay, but our BLAS is not reachable without its names.
        ours["gcc__cxxflags"] = f"{user['gcc__cxxflags']} {blas.defines}".strip()
        own = ",".join(
            f"{key}={_escape(value)}"
            for key, value in _split(own).items()
            if key != "gcc__cxxflags"
        )
    joined = [f"{key}={_escape(value)}" for key, value in ours.items()]
    return ",".join(joined + ([own] if own else []))


def import_theano(blas: Blas) -> None:
    """Import Theano with our settings; the environment is left as it was found.

    Raises
    ------
    RNNError
        If the folder for compiled code cannot be made or written.
    """
    own = os.environ.get("THEANO_FLAGS")
    os.environ["THEANO_FLAGS"] = theano_flags(blas, os.environ)
    try:
        # Reading compiledir makes the folder, which Theano puts off until it compiles.
        _ = importlib.import_module("theano").config.compiledir
    except ValueError as error:
        if "compiledir" not in str(error):
            raise
        raise RNNError(
            f"Theano has no folder for what it compiles ({str(error).splitlines()[0]}); name one "
            "that can be written: THEANO_FLAGS=base_compiledir=FOLDER"
        ) from None
    finally:
        if own is None:
            del os.environ["THEANO_FLAGS"]
        else:
            os.environ["THEANO_FLAGS"] = own


def _split(text: str) -> dict[str, str]:
    """THEANO_FLAGS as Theano reads it: comma separated, with shell quoting and escapes."""
    reader = shlex.shlex(text, posix=True)
    reader.whitespace = ","
    reader.whitespace_split = True
    pairs = (part.strip().split("=", 1) for part in reader if "=" in part)
    return {key: value for key, value in pairs}


def _escape(value: str) -> str:
    return "".join("\\" + c if c in "\\,'\"#" else c for c in value)
