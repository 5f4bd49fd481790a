"""Other compilers: clang++ gets the processor's flags; without OpenMP there is one thread."""

import shutil

import pytest
from interpreters import run_python

from theano_rnn.engine import c_code, theano
from theano_rnn.engine.compiler import clang, processor

CLANG = shutil.which("clang++")


@pytest.fixture
def compiler(tmp_path):
    """A function that makes a compiler of a shell script."""

    def made(text):
        path = tmp_path / "clang++"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    return made


def says(processor):
    """What a clang says of a processor that it is told to compile for by -march=native."""
    return f'echo \' "clang" -cc1 "-target-cpu" "{processor}" -target-feature +avx\' >&2'


def test_processors_are_told_apart_in_the_flags_of_clang(compiler):
    flags = [clang.native_flags(compiler(says(name))) for name in ("zen4", "zen2", "zen4")]
    assert flags[0] == flags[2] != flags[1]
    assert all(processor[0] == "-march=native" for processor in flags)


def test_the_flag_is_one_that_the_compiler_takes(compiler):
    on_arm = 'case "$1" in -march*) exit 1;; esac;' + says("cortex-a72")
    assert clang.native_flags(compiler(on_arm))[0] == "-mcpu=native"
    assert clang.native_flags(compiler("exit 1")) == []


def test_a_processor_that_the_user_names_stays(compiler, monkeypatch):
    monkeypatch.setattr(theano.config, "cxx", compiler(says("zen4")))
    monkeypatch.setattr(processor.GCC_compiler, "march_flags", None)
    monkeypatch.setattr(processor.cmodule.gcc_llvm, "is_llvm", True)
    monkeypatch.setattr(processor, "noted_in", lambda: None)
    with theano.config.change_flags(gcc__cxxflags="-march=core2"):
        assert not any("PROCESSOR" in flag for flag in processor.compile_args())
    monkeypatch.setattr(processor.GCC_compiler, "march_flags", None)
    assert any("PROCESSOR" in flag for flag in processor.compile_args())


@pytest.mark.parametrize(("script", "flags"), [("exit 0", ("-fopenmp",)), ("exit 1", ())])
def test_openmp_is_used_where_the_compiler_has_it(compiler, monkeypatch, tmp_path, script, flags):
    monkeypatch.setattr(theano.config, "cxx", compiler(script))
    monkeypatch.setattr(c_code, "config", theano.config)
    monkeypatch.setattr(c_code, "_noted", lambda *_: tmp_path / "openmp")
    c_code.openmp_flags.cache_clear()
    try:
        assert c_code.openmp_flags() == flags == ("-fopenmp",) * (tmp_path / "openmp").exists()
    finally:
        c_code.openmp_flags.cache_clear()


PRODUCT = """
import numpy as np
from theano_rnn.engine import c_code, compile_function, tensor
x, y = tensor.fmatrices("x", "y")
f = compile_function([x, y], tensor.dot(x, y))
a, b = np.ones((3, 100), "float32"), np.arange(100000, dtype="float32").reshape(100, 1000)
assert np.allclose(f(a, b), a @ b) and np.allclose(f(b.T, a.T), b.T @ a.T)
print([type(node.op).__name__ for node in f.maker.fgraph.toposort()], c_code.openmp_flags())
"""


@pytest.mark.slow
def test_without_openmp_products_are_right(tmp_path):
    path = tmp_path / "g++"
    path.write_text(
        f'#!/bin/sh\ncase " $* " in *" -fopenmp "*) exit 1;; esac\nexec {theano.config.cxx} "$@"\n'
    )
    path.chmod(0o755)
    own = {"base_compiledir": tmp_path, "cxx": path, "linker": "cvm"}
    assert run_python(PRODUCT, flags=own) == "['SkinnyDot22'] ()"


@pytest.mark.slow
@pytest.mark.skipif(CLANG is None, reason="needs clang++")
def test_clang_compiles_what_gcc_does(tmp_path):
    own = {"base_compiledir": tmp_path, "cxx": CLANG, "linker": "cvm"}
    assert run_python(PRODUCT, flags=own).startswith("['SkinnyDot22']")
