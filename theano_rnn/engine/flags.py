"""The settings Theano starts with.

What the user set, in THEANO_FLAGS or in a .theanorc, stays. The defaults below go in front of the
user's own THEANO_FLAGS: Theano reads theirs last, and they win.
"""

import configparser
import importlib
import os
import shlex
from collections.abc import Mapping

from theano_rnn.common.errors import RNNError
from theano_rnn.engine.blas import Blas


def defaults(blas: Blas) -> dict[str, str]:
    """Our settings, by Theano's names."""
    return {
        # Half the memory traffic of float64. Tests that need float64 ask for it.
        "floatX": "float32",
        # Set, so that Theano does not search for a BLAS itself: that raises with numpy >= 1.22
        # (numpy.distutils.__config__ no longer has blas_opt_info).
        "blas__ldflags": blas.ldflags,
        "gcc__cxxflags": blas.defines,
        # A cache of our own: our modules have other keys and flags than those of Theano as
        # shipped, and neither has to read through the other's.
        "compiledir_format": "theano_rnn_%(short_platform)s-%(python_version)s",
    }


def user_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's settings, by Theano's names, from .theanorc files and THEANO_FLAGS."""
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
    """The THEANO_FLAGS to import Theano with: our defaults, then the user's own."""
    user = user_settings(environ)
    # RawConfigParser lower-cases option names, so the comparison does too.
    taken = {key.lower() for key in user}
    ours = {key: value for key, value in defaults(blas).items() if key.lower() not in taken}
    if "blas__ldflags" in user:
        ours.pop("gcc__cxxflags", None)  # it only renames routines for our BLAS
    own = environ.get("THEANO_FLAGS", "").strip().strip(",")
    if "gcc__cxxflags" in user and "blas__ldflags" in ours and blas.defines:
        # Their compiler flags stay; without ours in addition, no module finds our BLAS.
        ours["gcc__cxxflags"] = f"{user['gcc__cxxflags']} {blas.defines}".strip()
        own = ",".join(
            f"{key}={_escape(value)}"
            for key, value in _split(own).items()
            if key != "gcc__cxxflags"
        )
    joined = [f"{key}={_escape(value)}" for key, value in ours.items()]
    return ",".join(joined + ([own] if own else []))


def import_theano(blas: Blas) -> None:
    """Import Theano with our settings; the environment is afterwards as before.

    Raises
    ------
    RNNError
        If the compile cache cannot be created or written.
    """
    own = os.environ.get("THEANO_FLAGS")
    os.environ["THEANO_FLAGS"] = theano_flags(blas, os.environ)
    try:
        # Reading compiledir creates the folder; Theano itself would do so when it compiles.
        _ = importlib.import_module("theano").config.compiledir
    except ValueError as error:
        if "compiledir" not in str(error):
            raise
        raise RNNError(
            f"the compile cache cannot be written ({str(error).splitlines()[0]}); name another "
            "folder: THEANO_FLAGS=base_compiledir=FOLDER"
        ) from None
    finally:
        if own is None:
            del os.environ["THEANO_FLAGS"]
        else:
            os.environ["THEANO_FLAGS"] = own


def _split(text: str) -> dict[str, str]:
    """Parse THEANO_FLAGS as Theano does: comma separated, with shell quoting and escapes."""
    reader = shlex.shlex(text, posix=True)
    reader.whitespace = ","
    reader.whitespace_split = True
    pairs = (part.strip().split("=", 1) for part in reader if "=" in part)
    return {key: value for key, value in pairs}


def _escape(value: str) -> str:
    return "".join("\\" + c if c in "\\,'\"#" else c for c in value)
