"""In an odd environment Theano starts, or ends in one line: the setting, and what to do.

Each environment is that of a fresh interpreter with a home of its own. ``ends`` are the words of
the one line; where it is None, the program works. ``remark`` are words of the one line that is
then printed as well.
"""

import os
import stat
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

import pytest
from interpreters import HERE

IMPORTS = "from theano_rnn import engine; print(engine.theano.config.device)"
#: Ends as the commands do.
PROGRAM = """
import sys
from theano_rnn import RNNError
try:
    exec(sys.argv[1])
except RNNError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True)
class Odd:
    """An environment.

    variables : of the shell; {home} in a value is the home folder
    rc : text of ~/.theanorc
    programs : shell scripts in ~/bin
    """

    name: str
    variables: dict = field(default_factory=dict)
    rc: str = ""
    ends: Optional[tuple] = None
    remark: Optional[tuple] = None
    arguments: tuple = ()
    programs: dict = field(default_factory=dict)
    slow: bool = False


def flags(text):
    return {"THEANO_FLAGS": text}


STARTS = [
    Odd(
        "an old .theanorc for a GPU",
        rc="[global]\ndevice = gpu\n[nvcc]\nfastmath = True\n[lib]\ncnmem = .5\n",
        remark=("device=gpu", "{home}/.theanorc", "device=cpu"),
    ),
    Odd("a GPU of today", flags("device=cuda"), remark=("device=cuda", "device=cpu"), slow=True),
    Odd(
        "a value that Theano refuses",
        rc="[global]\noptimizer = fastest\n",
        ends=("optimizer=fastest", "{home}/.theanorc", "use None, fast_compile, fast_run"),
    ),
    Odd(
        "a number that is none",
        flags("gcc__cxxflags=,vm__lazy=2"),
        ends=("vm__lazy=2",),
        slow=True,
    ),
    Odd(
        "a float of 65 bits",
        flags("floatX=float65"),
        ends=("floatX=float65", "float32"),
        slow=True,
    ),
    Odd("a setting mistyped", flags("flotX=float64"), remark=("flotX", "did you mean floatX?")),
    Odd(
        "a setting without a value",
        flags("floatX"),
        remark=("'floatX'", "floatX=VALUE"),
        slow=True,
    ),
    Odd("a list of threads", {"OMP_NUM_THREADS": "4,2"}, slow=True),
    Odd("threads: auto", {"OMP_NUM_THREADS": "auto"}, remark=("OMP_NUM_THREADS=auto", "as 1")),
    Odd("threads: 1.0", {"OMP_NUM_THREADS": "1.0"}, remark=("OMP_NUM_THREADS=1.0",), slow=True),
    Odd("warnings are errors", arguments=("-W", "error")),
    Odd(
        "docstrings left out",
        arguments=("-OO",),
        ends=("PYTHONOPTIMIZE=2", "python -O"),
        slow=True,
    ),
    Odd(
        "g++ fails",
        {"PATH": "{home}/bin"},
        programs={"g++": "exit 1"},
        remark=("no C++ compiler", "apt install g++"),
        slow=True,
    ),
    Odd("asserts left out", arguments=("-O",), slow=True),
    Odd("not UTF-8", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, slow=True),
    Odd("no folder for temporary files", {"TMPDIR": "{home}/none"}, slow=True),
    Odd("OpenMP", flags("openmp=True"), remark=("openmp=True", "openmp=False"), slow=True),
    Odd(
        "OpenMP's flag",
        flags("gcc__cxxflags=-O1 -fopenmp"),
        ends=("-fopenmp", "gcc__cxxflags", "remove it"),
        slow=True,
    ),
    Odd("no PATH", {"PATH": ""}, remark=("no C++ compiler", "apt install g++"), slow=True),
    Odd("CXX is no program", {"CXX": "nosuch++"}, ends=("CXX=nosuch++", "unset it")),
    Odd(
        "a library's folder is missing",
        flags("blas__ldflags=-L/none -lx"),
        ends=("blas__ldflags", "/none"),
        slow=True,
    ),
    Odd(
        "an empty setting for BLAS",
        rc="[blas]\nldflags =\n",
        remark=("blas__ldflags is empty", "scipy-openblas32"),
        slow=True,
    ),
    Odd(
        "no section header",
        rc="floatX = float64\n",
        ends=("{home}/.theanorc, line 1", "[global]"),
        slow=True,
    ),
    Odd(
        "an open quotation mark",
        flags("floatX='float64"),
        ends=("THEANO_FLAGS", "quotation mark"),
        slow=True,
    ),
]


def run(home, odd, code):
    """Run code in an environment; check how it ends; return what it prints."""
    changes = {name: value.format(home=home) for name, value in odd.variables.items()}
    theirs = ("THEANO_FLAGS", "THEANORC", "OMP_NUM_THREADS", "CXX")
    environ = {name: value for name, value in os.environ.items() if name not in theirs}
    environ.update({"HOME": str(home), "PYTHONPATH": f"{HERE}{os.pathsep}{Path(HERE).parent}"})
    if odd.rc:
        (home / ".theanorc").write_text(odd.rc)
    (home / "bin").mkdir()
    for name, script in odd.programs.items():
        (home / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (home / "bin" / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, *odd.arguments, "-c", PROGRAM, code],
        env={**environ, **changes},
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = done.stderr.splitlines()
    assert (done.returncode == 0) == (odd.ends is None), done.stderr
    words = odd.ends or odd.remark or ()
    assert len(said) == bool(words), done.stderr
    for word in words:
        assert word.format(home=home) in said[0]
    return done.stdout.strip()


def parameters(cases):
    marks = {True: pytest.mark.slow, False: ()}
    return [pytest.param(case, id=case.name, marks=marks[case.slow]) for case in cases]


@pytest.mark.parametrize("odd", parameters(STARTS))
def test_theano_starts_or_one_line_names_the_setting_and_the_remedy(odd, tmp_path):
    assert run(tmp_path, odd, IMPORTS) == ("" if odd.ends else "cpu")


def test_a_user_without_home_and_passwd_entry_gets_a_folder_for_temporary_files(tmp_path):
    code = (
        "import os, pwd\n"
        "def getpwuid(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = getpwuid\n"
        "del os.environ['HOME']\n"
        "from theano_rnn import engine; print(engine.theano.config.compiledir)\n"
        "assert 'HOME' not in os.environ"
    )
    odd = Odd("", {"TMPDIR": "{home}"}, remark=("~/.theano", "base_compiledir=FOLDER"))
    folder = Path(run(tmp_path, odd, code))
    assert folder.parent.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_new_compile_folder_is_the_users_alone(tmp_path):
    code = (
        "import os; os.umask(0)\n"
        "from theano_rnn.engine import theano; print(theano.config.compiledir)"
    )
    folder = Path(run(tmp_path, Odd(""), code))
    assert [stat.S_IMODE(f.stat().st_mode) for f in (folder, folder.parent)] == [0o700, 0o700]


def test_a_current_folder_that_was_deleted_is_one_line(tmp_path):
    code = "import os; os.chdir(os.environ['HOME'] + '/bin'); os.rmdir(os.getcwd())\n" + IMPORTS
    run(tmp_path, Odd("", ends=("current folder has been deleted", "cd")), code)


#: Trains a network for a step.
TRAINS = "from theano_rnn import RNN, Step; print(Step(RNN(5, 3))([1, 2], [2, 3], .1)[0] > 0)"


@pytest.mark.parametrize(
    "odd",
    parameters(
        [
            Odd("test values are checked", flags("compute_test_value=raise"), slow=True),
            Odd("float64 is checked", flags("warn_float64=raise"), slow=True),
            Odd("halves", flags("floatX=float16"), ends=("floatX=float16", "float32", "dtype")),
        ]
    ),
)
def test_a_network_is_trained_or_one_line_says_why_not(odd, tmp_path):
    """Without a compiler, which is quicker."""
    own = {"THEANO_FLAGS": f"{odd.variables['THEANO_FLAGS']},cxx="}
    assert run(tmp_path, replace(odd, variables=own), TRAINS) == ("" if odd.ends else "True")
