"""The machine that measures: its processor, versions, load and date."""

import os
import platform
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np

from theano_rnn.common.types import Record


def describe() -> Record:
    """The machine, the versions and the date, as text and numbers for JSON."""
    from theano_rnn import engine

    theano = engine.theano
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        # A load above the number of cores means that other programs were busy.
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "cpu": cpu(),
        "vectors": vectors(),
        "cores": engine.blas.usable_cores(),
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "theano-pymc": theano.__version__,
        "numpy": np.__version__,
        "blas": engine.blas.describe(engine.BLAS),
        "scan": engine.patches.scan_perform.available_loop(),
        "compiler": compiler(theano.config.cxx),
    }


def peers() -> dict[str, str]:
    """The versions of JAX, PyTorch, PyTensor and what they need, from peers.txt."""
    pins = Path(__file__).with_name("peers.txt").read_text("utf-8").splitlines()
    return dict(line.split("#")[0].strip().split("==") for line in pins if "==" in line)


def cpu(info: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor, with its family and model: a cloud names all of a maker alike."""
    try:
        lines = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line]
    except OSError:
        lines = []
    about = {name.strip(): value.strip() for name, value in reversed(lines)}  # the first core's
    if "model name" not in about:
        return platform.processor() or platform.machine()
    if not {"cpu family", "model"} <= about.keys():
        return about["model name"]
    return f"{about['model name']}, family {about['cpu family']}, model {about['model']}"


def vectors() -> str:
    """The widest vectors of the processor that a compiler uses."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "vectors of unknown width"
    named = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "asimd": "NEON"}
    found = [name for flag, name in named.items() if flag in flags]
    products = [n for f, n in {"avx512_bf16": "bf16", "amx_tile": "AMX"}.items() if f in flags]
    return " and ".join([*found[:1], *products]) or "vectors of unknown width"


def compiler(cxx: str) -> str:
    """The version of the C++ compiler, as its first line says it."""
    if not cxx:
        return "none"
    try:
        output = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return cxx
    return output.stdout.splitlines()[0]
