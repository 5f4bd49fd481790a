"""Headers are precompiled where the compiler can use them, and harmless where it cannot."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import first
from interpreters import environment
from theano.graph.fg import FunctionGraph
from theano.link.c.basic import CLinker

from theano_rnn.engine import compiler, theano
from theano_rnn.engine.compiler import precompiled_headers as headers

pytestmark = pytest.mark.skipif(
    not theano.config.cxx or "clang" in theano.config.cxx, reason="needs g++"
)

SOURCE = (
    "#include <Python.h>\n#include <numpy/arrayobject.h>\nnpy_intp theano_rnn_test(){return 3;}"
)


@pytest.fixture
def flags():
    return ["-O3", "-fno-math-errno", *headers.cmodule.GCC_compiler.compile_args()]


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A compile cache with nothing in it."""
    monkeypatch.setattr(headers, "config", type("C", (), vars(headers.config).copy()))
    monkeypatch.setattr(headers.config, "cxx", theano.config.cxx, raising=False)
    monkeypatch.setattr(headers.config, "compiledir", str(tmp_path), raising=False)
    headers.precompiled.cache_clear()
    yield tmp_path
    headers.precompiled.cache_clear()


def compile_(flags, folder):
    compiler.compile_module("m", SOURCE, location=str(folder), preargs=flags)


@pytest.mark.parametrize("more", first(1, [[], ["-Wno-unused-label"]]))
def test_the_compiler_takes_the_precompiled_headers(more, flags, own_folder):
    # With -Werror the compiler refuses headers that were not made for these flags.
    compile_([*flags, *more, "-Winvalid-pch", "-Werror"], own_folder)
    assert len(list(own_folder.glob("headers_*/headers.h.gch"))) == 1


def test_they_are_made_while_a_graph_is_optimized_for_the_flags_of_most_modules(own_folder):
    headers.begin.cache_clear()
    headers.begin()
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if thread.name.startswith("headers"):
            thread.join()
    assert len(list(own_folder.glob("headers_*/headers.h.gch"))) == 1
    x = theano.tensor.matrix()
    for y in (theano.tensor.exp(x), x[:, 1]):
        node = FunctionGraph([x], [y], clone=True).outputs[0].owner
        flags = CLinker().accept(FunctionGraph(node.inputs, node.outputs)).compile_args()
        compile_([*flags, "-Winvalid-pch", "-Werror"], own_folder)
    assert len(list(own_folder.glob("headers_*"))) == 1


@pytest.mark.slow
def test_other_flags_have_headers_of_their_own(flags, own_folder):
    compile_([*flags, "-Winvalid-pch", "-Werror"], own_folder)
    compile_([*flags, "-DANOTHER", "-Winvalid-pch", "-Werror"], own_folder)
    assert len(list(own_folder.glob("headers_*/headers.h.gch"))) == 2


def test_a_module_that_is_compiled_once_does_without(flags, own_folder):
    compile_(flags[1:], own_folder)
    assert not list(own_folder.glob("headers_*"))


@pytest.mark.slow
def test_headers_that_cannot_be_written_or_are_torn_only_cost_time(flags, own_folder):
    key = tuple(flag for flag in [*flags, "-g0"] if not flag.startswith("-W"))
    folder = headers.precompiled(key).parent
    (folder / "headers.h.gch").write_bytes(b"torn")
    compile_(flags, own_folder)

    headers.precompiled.cache_clear()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("a file stands where the folder would be")
    compile_(flags, own_folder)
    assert headers.precompiled(key) is None


@pytest.mark.slow
def test_two_processes_that_make_them_at_once_leave_one_that_can_be_used(flags, own_folder):
    program = (
        "import sys\n"
        "from theano_rnn.engine.compiler.precompiled_headers import precompiled\n"
        "assert precompiled(tuple(sys.argv[1:])) is not None\n"
    )
    environ = environment({"base_compiledir": own_folder / "cache"})
    command = [sys.executable, "-c", program, *flags]
    processes = [subprocess.Popen(command, env=environ) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    (folder,) = Path(own_folder).glob("cache/*/headers_*")
    assert sorted(os.listdir(folder)) == ["headers.h", "headers.h.gch"]
