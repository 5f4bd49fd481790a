#!/bin/sh
# Make the virtual environment, or say in one line what is missing and what to install.
# usage: make_environment.sh PYTHON FOLDER STAMP [EXTRAS]
set -eu
python=$1 folder=$2 stamp=$3 extras=${4:-}

missing() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    missing "There is no $python here. Install Python 3.9 to 3.13, or name one: PYTHON=python3.13 make ..."
version=$("$python" -c 'import platform; print(platform.python_version())')
case $version in
3.9.* | 3.1[0-4].*) ;;
*) missing "$python is Python $version, and theano_rnn runs on 3.9 to 3.13. Install one of them and name it: PYTHON=python3.13 make ..." ;;
esac
for compiler in ${CXX:-g++ clang++} ""; do
    [ -z "$compiler" ] || ! command -v "$compiler" >/dev/null 2>&1 || break
done
[ -n "$compiler" ] ||
    missing "There is no C++ compiler ${CXX:-g++}, and Theano compiles with it. Install one (Debian: apt install g++; Fedora: dnf install gcc-c++; conda: conda install gxx)."
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -f "$headers/Python.h" ] ||
    missing "The headers of Python $version are missing ($headers/Python.h), and Theano compiles with them. Install them (Debian: apt install python3-dev; Fedora: dnf install python3-devel)."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    missing "Python $version comes without venv. Install it (Debian: apt install python3-venv)."

# Python itself, where $python is that of the environment, as after `. .venv/bin/activate`.
python=$("$python" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))')

# What the environment is made of; it is made again when this changes.
made_of="$version $PWD $(cat pyproject.toml requirements.txt setup.py | cksum)"
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_of" ] && exit 0
if [ ! -f "$folder/.of" ] || [ "$(cat "$folder/.of")" != "$version" ]; then
    [ ! -d "$folder" ] || [ -f "$folder/.of" ] ||
        missing "$folder is there and was not made by make: move it away, or use it without make."
    rm -rf "$folder"
    mkdir -p "$folder"
    echo "begun" >"$folder/.of"  # stopped here, it is made again
    "$python" -m venv "$folder"
    echo "$version" >"$folder/.of"
fi
echo "Installing into $folder for Python $version ..."
# --no-compile: pip would compile all that is installed, for ten seconds; a third of it is imported.
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check --no-compile"
# The build tools are pinned too, so that a new release of them cannot break Theano's old set-up.
$pip setuptools==80.9.0 wheel==0.45.1
$pip --no-build-isolation --editable ".${extras:+[$extras]}"
# Python keeps what it compiles, unless it is told not to: then every process would compile the same
# 350 modules of Theano and NumPy again. So they are compiled here, once.
PYTHONDONTWRITEBYTECODE='' "$folder/bin/python" - 2>/dev/null <<'IMPORTS' || true
import contextlib, importlib
for name in ("theano_rnn.commands.train", "theano_rnn.commands.flow", "theano_rnn.runs",
             "theano_rnn.search.study", "matplotlib.pyplot", "pytest", "hypothesis"):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
IMPORTS
echo "$made_of" >"$stamp"
