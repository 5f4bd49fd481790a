"""The settings Theano starts with, and its import.

What the user set, in THEANO_FLAGS or in a .theanorc, stays. The defaults below go in front of the
user's own THEANO_FLAGS: Theano reads theirs last, and they win. Only what would end in a traceback
is put behind them, and ``REMARKS`` tells.
"""

import contextlib
import ctypes
import difflib
import importlib.util
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from theano_rnn.common import theano_wheel
from theano_rnn.common.errors import RNNError
from theano_rnn.engine import compile_folder
from theano_rnn.engine.blas import Blas
from theano_rnn.engine.compat import NUMPY
from theano_rnn.engine.settings import (
    FLAGS,
    compiler,
    origin,
    positive_int,
    split,
    user_settings,
)

#: What was passed over or replaced when Theano was imported, one line each.
REMARKS: list[str] = []

_ON_CPU = "theano_rnn computes on the processor"
#: Settings that have one value here, whatever the user's is, each with the reason.
REPLACED = {
    "device": ("cpu", _ON_CPU),  # without a GPU Theano prints errors, or ends
    "init_gpu_device": ("", _ON_CPU),
    "contexts": ("", _ON_CPU),
    # tensor/elemwise.py:1181 writes "{int(config.openmp_elemwise_minsize)}" into the C++ as it is.
    "openmp": ("False", "the C++ that Theano 1.1.2 writes for it does not compile"),
}

#: How often a thread of OpenMP that waits for work looks again, by GCC's count, before it sleeps:
#: half a millisecond or so, for as long as the loop of a sequence takes. By itself it looks
#: 300,000 times, for milliseconds, on a core that others may need.
SPINS = "40000"


def defaults(blas: Blas, environ: Mapping[str, str]) -> dict[str, str]:
    """Our settings, by Theano's names."""
    ours = {
        # Half the memory traffic of float64. Tests that need float64 ask for it.
        "floatX": "float32",
        # Set, so that Theano does not search for a BLAS itself: that raises with numpy >= 1.22
        # (numpy.distutils.__config__ no longer has blas_opt_info).
        "blas__ldflags": blas.ldflags,
        "gcc__cxxflags": blas.defines,
        # Seconds to wait for other processes that compile.
        "compile__timeout": "3600",
        # A cache of our own: our modules have other keys and flags than those of Theano as
        # shipped, and neither has to read through the other's. One for each NumPy: Theano's own
        # modules, as lazylinker_ext, are used whatever they were compiled against.
        "compiledir_format": f"theano_rnn_%(short_platform)s-%(python_version)s-numpy_{NUMPY}",
    }
    # The flags in CXX belong to the compiler in CXX.
    is_theirs = "cxx" in user_settings(environ)
    cxx, flags = (None, []) if is_theirs else compiler(environ)
    if cxx is not None:
        ours["cxx"] = cxx
        ours["gcc__cxxflags"] = " ".join([*flags, blas.defines]).strip()
    if not compile_folder.home_can_be_written():
        ours["base_compiledir"] = str(compile_folder.temporary())
    return ours


def theano_flags(blas: Blas, environ: Mapping[str, str]) -> str:
    """The THEANO_FLAGS to import Theano with: our defaults, then the user's own."""
    user = user_settings(environ)
    # RawConfigParser lower-cases option names, so the comparison does too.
    taken = {key.lower() for key in user}
    usual = defaults(blas, environ)
    ours = {k: v for k, v in usual.items() if k.lower() not in taken}
    own = environ.get(FLAGS, "").strip().strip(",")
    if "gcc__cxxflags" in user and usual["gcc__cxxflags"]:
        # Theirs stay; without those of our BLAS no module finds it, and CXX may have some too.
        ours["gcc__cxxflags"] = f"{user['gcc__cxxflags']} {usual['gcc__cxxflags']}".strip()
        own = ",".join(
            f"{key}={_escape(value)}"
            for key, value in split(own)[0].items()
            if key != "gcc__cxxflags"
        )
    joined = [f"{key}={_escape(value)}" for key, value in ours.items()]
    forced = [f"{key}={_escape(value)}" for key, value in replaced(environ).items()]
    return ",".join(joined + ([own] if own else []) + forced)


def replaced(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that we use instead of the user's."""
    user = user_settings(environ)
    off = ("0", "false")  # as Theano reads False
    return {
        name: value
        for name, (value, _) in REPLACED.items()
        if user.get(name, value) != value and not (name == "openmp" and user[name] in off)
    }


def import_theano(blas: Blas) -> None:
    """Import Theano with our settings; the environment is afterwards as before.

    Raises
    ------
    RNNError
        If Theano refuses a setting, or if the compile cache cannot be created, written or trusted.
    """
    if importlib.util.find_spec("theano") is None:
        raise RNNError(f"{theano_wheel.RELEASE} is not installed: run theano-rnn doctor --install")
    if "-fopenmp" in user_settings(os.environ).get("gcc__cxxflags", "").split():
        raise RNNError(
            f"-fopenmp in gcc__cxxflags (in {origin('gcc__cxxflags', os.environ)}) is refused by "
            "Theano; remove it: this package adds it itself"
        )
    changes: dict[str, Optional[str]] = {FLAGS: theano_flags(blas, os.environ)}
    # Theano wants a number, and does nothing with it; OpenMP takes a list as well ("4,2").
    if positive_int(os.environ.get("OMP_NUM_THREADS", "1")) is None:
        changes["OMP_NUM_THREADS"] = None
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        changes["GOMP_SPINCOUNT"] = SPINS
    if not compile_folder.home():
        changes["HOME"] = os.devnull  # Theano asserts that there is one, and reads its .theanorc
    try:
        # Theano's own warnings are not the user's: python -W error would end here.
        with _lent(changes), warnings.catch_warnings(), _told_by_us():
            warnings.simplefilter("ignore")
            _load_openmp()
            config = importlib.import_module("theano").config
    except Exception as error:
        refused = _refused(error)
        for name in [name for name in sys.modules if name.partition(".")[0] == "theano"]:
            del sys.modules[name]  # else a second import meets half of the first
        if refused is None:
            raise
        raise refused from None
    _offer_linkers_in_c(config)
    compile_folder.prepare(config)
    REMARKS[:] = _remarks(config)
    for remark in REMARKS:
        logging.getLogger("theano_rnn").warning(remark)


@contextlib.contextmanager
def _lent(changes: Mapping[str, Optional[str]]) -> Iterator[None]:
    """Change variables of the environment for a while; None removes one."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _load_openmp() -> None:
    """Load GCC's OpenMP, which reads its variables once, and prints where one is no number."""
    with contextlib.suppress(OSError):  # compiled modules load it, if they need it
        ctypes.CDLL("libgomp.so.1")


@contextlib.contextmanager
def _told_by_us() -> Iterator[None]:
    """Leave out Theano's warnings that there is no compiler or no BLAS: ``REMARKS`` has them."""
    loggers = [logging.getLogger(f"theano.{name}") for name in ("configdefaults", "tensor.blas")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _set(values: Mapping[str, Optional[str]]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _refused(error: Exception) -> Optional[RNNError]:
    """What to say if Theano refused a setting, None if the error is another.

    Theano's message often does not name the setting; the frame that registers it does.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "add" and "configparam" in frame.f_locals:
            name, parameter = frame.f_locals["name"], frame.f_locals["configparam"]
            break
    else:
        return None
    if name == "compiledir":
        return compile_folder.cannot_be_written(str(error).splitlines()[0])
    values = getattr(parameter, "all", None)
    advice = f"use {', '.join(sorted(values))}" if values else str(error).splitlines()[0]
    value = {key.lower(): v for key, v in user_settings(os.environ).items()}.get(name.lower())
    return RNNError(
        f"{name}={value} (in {origin(name, os.environ)}) is refused by Theano: {advice}; correct "
        "it or remove it"
    )


def _offer_linkers_in_c(config: Any) -> None:
    """Let functions run in C also where the compiler is not g++.

    Theano offers these linkers only where it finds g++ (configdefaults.py:662).
    """
    linker = config._config_var_dict["linker"]
    if config.cxx and linker.default == "vm":
        linker.all |= {"cvm", "c|py", "c", "c|py_nogc", "cvm_nogc"}
        if linker.is_default:
            config.linker = "cvm"


def _remarks(config: Any) -> list[str]:
    """What to tell the user about their settings."""
    environ, known = os.environ, list(config._config_var_dict)
    _, empty = split(environ.get(FLAGS, ""))
    remarks = [
        f"{word!r} in {FLAGS} has no value and is ignored: write {word}=VALUE" for word in empty
    ]
    for name in config._flags_dict:
        near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], 1)
        meant = next((k for k in known if near and k.lower() == near[0]), None)
        hint = f"did you mean {meant}?" if meant else "remove it"
        remarks.append(f"{name} in {FLAGS} is no setting of Theano and is ignored: {hint}")
    user = user_settings(environ)
    for name, value in replaced(environ).items():
        remarks.append(
            f"{name}={user[name]} (in {origin(name, environ)}) is ignored: {REPLACED[name][1]}; "
            f"set {name}={value} or remove it"
        )
    threads = environ.get("OMP_NUM_THREADS", "1")
    if positive_int(threads.split(",")[0]) is None:
        remarks.append(
            f"OMP_NUM_THREADS={threads} is no number of threads and is ignored: set a whole "
            "number, as 1"
        )
    if not config.cxx and "cxx" not in user:
        remarks.append(
            "there is no C++ compiler, and all runs in Python, slowly: install g++ (Debian: apt "
            "install g++)"
        )
    if not config.blas__ldflags:
        remarks.append(
            "there is no BLAS (blas__ldflags is empty), and products of matrices take longer: pip "
            "install scipy-openblas32, and remove blas__ldflags from THEANO_FLAGS and .theanorc"
        )
    if (
        "base_compiledir" not in user
        and "compiledir" not in user
        and not (compile_folder.home_can_be_written())
    ):
        remarks.append(
            f"~/.theano cannot be written: what is compiled goes to {config.compiledir}; "
            "name a lasting folder by THEANO_FLAGS=base_compiledir=FOLDER"
        )
    return remarks


def _escape(value: str) -> str:
    return "".join("\\" + c if c in "\\,'\"#" else c for c in value)
