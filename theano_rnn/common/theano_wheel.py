"""theano-pymc for Python 3.12 and later, which its own set-up refuses.

Its only releases are source archives. Their set-up reads a file with
``configparser.SafeConfigParser`` and ``readfp`` (versioneer.py:342), which Python 3.12 removed.
What it builds is a wheel of pure Python for any version. So pip builds that wheel with the two
names lent to it: for setup.py when the project is installed, and for ``theano-rnn doctor
--install`` where only the project's own wheel was.

This imports the standard library and the errors alone: setup.py runs it before anything is there.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from theano_rnn.common.errors import RNNError

RELEASE = "theano-pymc==1.1.2"
#: The first Python that the set-up refuses.
REFUSED_FROM = (3, 12)
#: What builds the wheel, as in pyproject.toml.
BUILD_TOOLS = ("setuptools==80.9.0", "wheel==0.45.1")

#: Python runs a module of this name when it starts.
SITECUSTOMIZE = """\
import configparser


class SafeConfigParser(configparser.ConfigParser):
    readfp = configparser.ConfigParser.read_file


configparser.SafeConfigParser = SafeConfigParser
"""


class BuildError(Exception):
    """The wheel was not built; the message is the last line that pip printed."""


def requirements(folder: Path) -> list[str]:
    """What the project requires of theano-pymc; from Python 3.12 on, a wheel in this folder.

    The wheel is built unless it is there.
    """
    first = ".".join(map(str, REFUSED_FROM))
    found = [f'{RELEASE}; python_version < "{first}"']
    if sys.version_info >= REFUSED_FROM:
        wheel = next(folder.glob("*.whl"), None) or build(folder, Path(sys.executable))
        found.append(f'theano-pymc @ {wheel.as_uri()} ; python_version >= "{first}"')
    return found


def build(folder: Path, python: Path) -> Path:
    """Build the wheel in a folder, with an interpreter that has pip and ``BUILD_TOOLS``.

    Raises
    ------
    BuildError
        If pip fails.
    """
    with tempfile.TemporaryDirectory() as lent:
        Path(lent, "sitecustomize.py").write_text(SITECUSTOMIZE)
        # pip hands packages to a build by PYTHONPATH and a sitecustomize of its own, which ours
        # hides; so what this process has goes along, if it is this Python that builds.
        own = sys.path if python == Path(sys.executable) else []
        run_pip(
            [python, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
             "--wheel-dir", folder, RELEASE],
            PYTHONPATH=os.pathsep.join([lent, *own]),
        )  # fmt: skip
    return next(folder.glob("*.whl"))


def install_if_missing() -> str:
    """Install theano-pymc for this interpreter, unless it is there; return what was done.

    Raises
    ------
    RNNError
        If pip fails, or this Python cannot make an environment.
    """
    if importlib.util.find_spec("theano") is not None:
        return "theano-pymc is installed already."
    try:
        install()
    except BuildError as error:
        raise RNNError(f"{RELEASE} could not be installed: {error}") from None
    return f"{RELEASE} is installed."


def install() -> None:
    """Build the wheel in an environment made for it, and install it for this interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        run_pip([sys.executable, "-m", "venv", folder])
        python = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        pip = [python, "-m", "pip"]
        run_pip([*pip, "install", *BUILD_TOOLS])
        wheel = build(Path(folder, "wheels"), python)
        run_pip([*pip, "--python", sys.executable, "install", wheel])


def run_pip(command: list[object], **environment: str) -> None:
    """Run pip, quietly; raise ``BuildError`` with what it said last if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise BuildError(lines[-1].strip() if lines else f"{command[0]} failed")
