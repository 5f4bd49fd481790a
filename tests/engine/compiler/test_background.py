"""Several compilers at once: each module once, by any of them, and none that is in the cache."""

import json
from types import SimpleNamespace

import pytest
from interpreters import run_python

from theano_rnn.engine import compiler, theano
from theano_rnn.engine.compiler import background

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")

PROGRAM = """
import json, os, sys, threading
from theano_rnn.engine import compile_function, compiler, tensor, theano
fails, compiler.background.COMPILERS = json.loads(sys.argv[1]), 2
made, compile_module = [], compiler.compile_module

def seen(name, *args, **settings):
    in_background = threading.current_thread() is not threading.main_thread()
    if in_background and fails:
        raise OSError("no room")
    made.append((name, in_background))
    return compile_module(name, *args, **settings)

compiler.compile_module = seen
x = tensor.dmatrix("x")
y = tensor.dot(x, x.T)[:2, :2] + tensor.alloc(1.5, 2, 2)
f = compile_function([x], [tensor.tanh(y).sum(axis=0), y.argmax(), tensor.diag(y)])
values = [v.tolist() for v in f([[1, 2], [3, 4]])]
left = [name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("theano_rnn_")]
print(json.dumps([made, values, left]))
"""


def run(folder, fails=False):
    own = {"base_compiledir": folder / "cache"}
    # A folder for temporary files of its own: other tests run at the same time.
    printed = run_python(PROGRAM, json.dumps(fails), flags=own, TMPDIR=str(folder))
    made, values, left = json.loads(printed)
    assert len(made) == len({name for name, _ in made})  # each once
    assert left == [] and values[1:] == [3, [6.5, 26.5]]
    assert values[0] == pytest.approx([2, 2], abs=1e-4)
    return dict(made)


@pytest.mark.slow
def test_modules_are_compiled_in_the_background_each_once_and_found_by_the_next_process(tmp_path):
    made = run(tmp_path)
    assert sum(made.values()) >= 3
    assert {"lazylinker_ext", "cutils_ext"} <= made.keys()
    assert run(tmp_path) == {}


@pytest.mark.slow
def test_a_module_that_fails_in_the_background_is_compiled_as_without_it(tmp_path):
    made = run(tmp_path, fails=True)
    assert len(made) > 4
    assert not any(made.values())


def test_theanos_own_module_is_compiled_beside_the_others_where_it_is_not_yet(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(background, "config", SimpleNamespace(compiledir=str(tmp_path)))
    (module,) = background.virtual_machine()
    assert "CLazyLinker" in module.code and module.flags
    (tmp_path / module.name).mkdir()
    (tmp_path / module.name / "mod.cpp").touch()  # also where a compiler was killed
    assert background.virtual_machine() == []


class FakeModule:
    """A module of this name, which all may be joined with."""

    shared, flags, headers, folders = "", (), "", {}

    def __init__(self, name):
        self.name = self.code = self.own = name

    def goes_with(self, other):
        return True


def test_modules_that_cannot_be_compiled_together_are_compiled_alone(tmp_path):
    tried = []

    def compiled(name, source, location, preargs):
        tried.append(source.count("good") + source.count("bad"))
        if "bad" in source:
            raise OSError("no room")
        path = tmp_path / location / f"{name}.so"
        path.write_text(source)
        (tmp_path / location / "mod.cpp").write_text(source)
        return path

    one = background.BackgroundCompiler([], compiled)
    group = [FakeModule("good 1"), FakeModule("bad"), FakeModule("good 2")]
    made = one._compiled(group, tmp_path / "0")
    assert list(made) == ["good 1", "good 2"] and tried == [3, 1, 1, 1]
    for name, folder in made.items():
        assert sorted(path.name for path in folder.iterdir()) == [f"{name}.so", "mod.cpp"]
        assert (folder / f"{name}.so").read_text() == name
    with pytest.raises(OSError, match="no room"):
        one._compiled([FakeModule("bad")], tmp_path / "1")


def test_modules_of_one_code_and_two_libraries_are_two():
    one, other = background.key_of("m", ["-O3"], ["blas"]), background.key_of("m", ["-O3"], ["m"])
    assert one != other
    assert one == background.key_of("m", ["-O3"], libs=["blas"], lib_dirs=[], include_dirs=["/a"])


def test_without_a_folder_for_temporary_files_nothing_is_begun(monkeypatch):
    def none(prefix):
        raise FileNotFoundError(prefix)

    monkeypatch.setattr(background.tempfile, "TemporaryDirectory", none)
    one = background.BackgroundCompiler([], compiler.compile_module)
    one.start()
    assert one.take(background.key_of("m", [])) is None
    one.close()


def test_a_file_that_can_have_no_second_name_is_copied(tmp_path, monkeypatch):
    def cannot(file, name):
        raise OSError("no links here")

    (tmp_path / "m.so").write_text("code")
    monkeypatch.setattr(background.os, "link", cannot)
    background._link(tmp_path / "m.so", tmp_path / "n.so")
    assert (tmp_path / "n.so").read_text() == "code"


def test_pythons_variables_are_read_before_a_thread_begins(monkeypatch):
    done = []
    read = "get_config_vars"
    monkeypatch.setattr(background.sysconfig, read, lambda *names: done.append("variables"))
    monkeypatch.setattr(background, "virtual_machine", lambda: [])
    monkeypatch.setattr(background, "ThreadPoolExecutor", lambda count: done.append("threads"))
    background.BackgroundCompiler([], compiler.compile_module).start()
    assert done == ["variables", "threads"]
