"""A module that cannot be compiled or loaded is one line: what, command, log, what to do."""

import pickle
import subprocess
import sys

import pytest
from interpreters import environment

from theano_rnn.common.errors import CompileFailed
from theano_rnn.engine import theano
from theano_rnn.engine.compiler import build, failures

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")

SOURCE = "#include <Python.h>\nint theano_rnn_test() { return 3; }"


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A function that puts a shell script in the compiler's place."""

    def is_script(text):
        path = tmp_path / "g++"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setattr(build.config, "cxx", str(path))
        return path

    monkeypatch.setattr(build, "_log_folder", lambda: tmp_path / "logs")
    (tmp_path / "logs").mkdir()
    yield is_script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "echo 'In file included from x:' >&2; "
            "echo 'mod.cpp:1:10: fatal error: Python.h: No such file' >&2; exit 1",
            ["fatal error: Python.h: No such file", "python3-dev"],
        ),
        ("echo 'ld: cannot find crti.o: No such file' >&2; exit 1", ["cannot find crti.o"]),
        ("echo 'g++: fatal error: Killed signal terminated program' >&2; exit 1", ["memory"]),
        ("echo 'error: No space left on device' >&2; exit 1", ["base_compiledir=FOLDER"]),
        ("exit 3", ["ends with 3"]),
    ],
)
def test_a_failed_compilation_is_one_line(compiler, tmp_path, script, words):
    path = compiler(script)
    with pytest.raises(CompileFailed) as error:
        build.library_of("m12", SOURCE, str(tmp_path), preargs=["-O3"])
    said = str(error.value)
    log = tmp_path / "logs" / "failed_m12.log"
    for word in [*words, f"command: {path} -shared -O3", f"log: {log}", "run theano-rnn doctor"]:
        assert word in said
    assert "\n" not in said
    assert "theano_rnn_test" in log.read_text() and "mod.cpp" in log.read_text()


@pytest.mark.parametrize(
    ("name", "times"), [("INT", 1), ("TERM", 1), ("INT", 2), ("KILL", 1)], ids=str
)
def test_a_compiler_that_a_signal_ends_is_run_once_more(compiler, tmp_path, name, times):
    """Ctrl-C goes to a compiler too that is just being started, and has no session yet."""
    told = tmp_path / "times"
    compiler(f"echo x >> {told}; [ $(wc -l < {told}) -gt {times} ] || kill -{name} $$")
    if name == "KILL" or times > 1:
        with pytest.raises(CompileFailed, match=f"ends with -{9 if name == 'KILL' else 2}"):
            build.library_of("m12", SOURCE, str(tmp_path))
    else:
        assert build.library_of("m12", SOURCE, str(tmp_path)).name == "m12.so"
    assert told.read_text() == "x\n" * (1 if name == "KILL" else 2)


def test_a_library_that_is_missing_is_named_with_the_setting(compiler, tmp_path):
    compiler("echo '/usr/bin/ld: cannot find -lmine: No such file' >&2; exit 1")
    with (
        theano.config.change_flags(blas__ldflags="-lmine"),
        pytest.raises(CompileFailed, match="blas__ldflags=-lmine names it"),
    ):
        build.library_of("m12", SOURCE, str(tmp_path))


def test_a_compiler_that_is_gone_and_a_log_that_cannot_be_written_are_said(compiler, tmp_path):
    compiler("").unlink()
    (tmp_path / "logs").rmdir()
    with pytest.raises(CompileFailed, match=r"No such file .*g\+\+.*log: none"):
        build.library_of("m12", SOURCE, str(tmp_path))


def test_the_error_keeps_its_words_when_theano_adds_the_node_and_when_it_is_pickled():
    error = CompileFailed("what; what to do")
    error.args = ("The following error happened while compiling the node", None, *error.args)
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "what; what to do"


def test_theanos_optimizer_does_not_print_it_and_go_on():
    error = CompileFailed("x")
    with pytest.raises(CompileFailed):
        theano.graph.opt.NavigatorOptimizer.warn(error, None, [], None, None)
    optimizer = theano.graph.opt.SeqOptimizer(failure_callback=lambda *a: None)
    with pytest.raises(CompileFailed):
        optimizer.failure_callback(error, optimizer, None)
    assert optimizer.failure_callback(ValueError(), optimizer, None) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("m.so: failed to map segment from shared object"), "noexec.*FOLDER"),
        (ImportError("m.so: file too short"), "delete the compile cache"),
        (OSError(28, "No space left on device"), "free room"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_one_line(monkeypatch, error, words):
    def fails(*args):
        raise error

    monkeypatch.setattr(failures, "shipped_module_from_key", fails)
    with pytest.raises(CompileFailed, match=f"could not be loaded: .*{words}.*doctor"):
        failures.module_from_key(None, None)


PROGRAM = """
import _imp, sys
from theano_rnn import RNNError
from theano_rnn.engine import compile_function, tensor, theano
def create_dynamic(spec, *file, shipped=_imp.create_dynamic):
    if sys.argv[1] == "noexec" and spec.origin.startswith(theano.config.compiledir):
        raise ImportError(f"{spec.origin}: failed to map segment from shared object")
    return shipped(spec, *file)
_imp.create_dynamic = create_dynamic
x = tensor.vector()
y = tensor.exp(x) + tensor.stack([tensor.constant(i) for i in range(9)]).sum()
for compiles in compile_function, theano.function:
    try:
        compiles([x], y)
    except RNNError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [("link", "cannot find crti.o"), pytest.param("noexec", "noexec", marks=pytest.mark.slow)],
)
def test_a_program_that_cannot_compile_says_so_once_and_keeps_no_module(tmp_path, fault, words):
    path = tmp_path / "bin" / "g++"
    path.parent.mkdir()
    refuse = "echo 'ld: cannot find crti.o' >&2; exit 1" if fault == "link" else ":"
    shell = (
        f'#!/bin/sh\ncase " $* " in *" -shared "*) {refuse};; esac\nexec {theano.config.cxx} "$@"'
    )
    path.write_text(shell)
    path.chmod(0o755)
    environ = environment({"base_compiledir": tmp_path, "cxx": path})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, fault], env=environ, capture_output=True, text=True
    )
    assert done.stderr == "" and done.returncode == 0
    said = done.stdout.splitlines()
    assert len(said) == 2 and all(words in line and "doctor" in line for line in said)
    (folder,) = tmp_path.glob("theano_rnn_*")
    assert not list(folder.glob("tmp*"))


@pytest.mark.parametrize(("name", "kept"), [("m12", True), ("lazylinker_ext", False)])
def test_modules_kept_for_all_flags_run_on_any_processor(
    compiler, tmp_path, name, kept, monkeypatch
):
    compiler(f'echo "$@" > {tmp_path}/arguments')
    own = ["-march=znver4", "-mavx512f", "--param", "l1-cache-size=48"]
    monkeypatch.setattr(build.cmodule.GCC_compiler, "march_flags", own)
    build.library_of(name, SOURCE, str(tmp_path), preargs=["-O3", *own])
    arguments = (tmp_path / "arguments").read_text().split()
    assert "-O3" in arguments
    assert [flag in arguments for flag in own] == [kept] * 4
