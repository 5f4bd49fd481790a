"""The headers of compiled modules, read once: used where they can be, harmless where not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from theano_rnn.engine import theano
from theano_rnn.engine.flags import user_settings
from theano_rnn.engine.patches import precompiled

pytestmark = pytest.mark.skipif(
    not theano.config.cxx or "clang" in theano.config.cxx, reason="needs g++"
)

SOURCE = (
    "#include <Python.h>\n#include <numpy/arrayobject.h>\nnpy_intp theano_rnn_test(){return 3;}"
)


@pytest.fixture
def flags():
    compiler = precompiled.cmodule.GCC_compiler
    return ["-O3", "-fno-math-errno", *compiler.compile_args()]


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A compile cache with nothing in it."""
    monkeypatch.setattr(precompiled, "config", type("C", (), vars(precompiled.config).copy()))
    monkeypatch.setattr(precompiled.config, "cxx", theano.config.cxx, raising=False)
    monkeypatch.setattr(precompiled.config, "compiledir", str(tmp_path), raising=False)
    precompiled.precompiled.cache_clear()
    yield tmp_path
    precompiled.precompiled.cache_clear()


def compile_(flags, folder):
    precompiled.compile_str("m", SOURCE, location=str(folder), preargs=flags, py_module=False)


@pytest.mark.parametrize("more", [[], ["-fopenmp-simd"], ["-Wno-unused-label"]])
def test_the_compiler_takes_the_precompiled_headers(more, flags, own_folder):
    # With -Werror the compiler refuses headers that were not made for these flags.
    compile_([*flags, *more, "-Winvalid-pch", "-Werror"], own_folder)
    assert len(list(own_folder.glob("headers_*/headers.h.gch"))) == 1


def test_other_flags_have_headers_of_their_own(flags, own_folder):
    compile_([*flags, "-Winvalid-pch", "-Werror"], own_folder)
    compile_([*flags, "-DANOTHER", "-Winvalid-pch", "-Werror"], own_folder)
    assert len(list(own_folder.glob("headers_*/headers.h.gch"))) == 2


def test_a_module_that_is_compiled_once_does_without(flags, own_folder):
    compile_(flags[1:], own_folder)
    assert not list(own_folder.glob("headers_*"))


def test_headers_that_cannot_be_written_or_are_torn_only_cost_time(flags, own_folder):
    key = tuple(flag for flag in [*flags, "-g0"] if not flag.startswith("-W"))
    folder = precompiled.precompiled(key).parent
    (folder / "headers.h.gch").write_bytes(b"torn")
    compile_(flags, own_folder)

    precompiled.precompiled.cache_clear()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("a file stands where the folder would be")
    compile_(flags, own_folder)
    assert precompiled.precompiled(key) is None


def test_two_processes_that_make_them_at_once_leave_one_that_can_be_used(flags, own_folder):
    program = (
        "import sys\n"
        "from theano_rnn.engine import precompiled\n"
        "assert precompiled.precompiled(tuple(sys.argv[1:])) is not None\n"
    )
    theirs = {**user_settings(os.environ), "base_compiledir": str(own_folder / "cache")}
    environ = {**os.environ, "THEANO_FLAGS": ",".join(f"{k}={v}" for k, v in theirs.items())}
    command = [sys.executable, "-c", program, *flags]
    processes = [subprocess.Popen(command, env=environ) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    (folder,) = Path(own_folder).glob("cache/*/headers_*")
    assert sorted(os.listdir(folder)) == ["headers.h", "headers.h.gch"]
