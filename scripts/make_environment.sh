#!/bin/sh
# Make the virtual environment, or say in one line what is missing and what to install.
# usage: make_environment.sh PYTHON FOLDER STAMP [EXTRA]
set -eu
python=$1 folder=$2 stamp=$3 extra=${4:-}

missing() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    missing "There is no $python here. Install Python 3.9, 3.10 or 3.11, or name one: PYTHON=python3.11 make ..."
version=$("$python" -c 'import platform; print(platform.python_version())')
case $version in
3.9.* | 3.10.* | 3.11.*) ;;
*) missing "$python is Python $version, and Theano runs on 3.9, 3.10 and 3.11. Install one of them and name it: PYTHON=python3.11 make ..." ;;
esac
command -v g++ >/dev/null 2>&1 ||
    missing "There is no C++ compiler g++, and Theano compiles with it. Install it (Debian: apt install g++; Fedora: dnf install gcc-c++; conda: conda install gxx)."
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -f "$headers/Python.h" ] ||
    missing "The headers of Python $version are missing ($headers/Python.h), and Theano compiles with them. Install them (Debian: apt install python3-dev; Fedora: dnf install python3-devel)."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    missing "Python $version comes without venv. Install it (Debian: apt install python3-venv)."

# Python itself, where $python is that of the environment, as after `. .venv/bin/activate`.
python=$("$python" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))')

# What the environment is made of; it is made again when this changes.
made_of="$version $PWD $(cksum <pyproject.toml)"
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$made_of" ] && exit 0
if [ ! -f "$folder/.of" ] || [ "$(cat "$folder/.of")" != "$version" ]; then
    [ ! -d "$folder" ] || [ -f "$folder/.of" ] ||
        missing "$folder is there and was not made by make: move it away, or use it without make."
    rm -rf "$folder"
    "$python" -m venv "$folder"
    echo "$version" >"$folder/.of"
fi
echo "Installing into $folder for Python $version ..."
# --no-compile: Python compiles what it imports, a third of what is installed; pip would take ten
# seconds for all of it.
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check --no-compile"
# The build tools are pinned too, so that a new release of them cannot break Theano's old set-up.
$pip setuptools==65.5.1 wheel==0.43.0
$pip --no-build-isolation --editable ".${extra:+[$extra]}"
echo "$made_of" >"$stamp"
