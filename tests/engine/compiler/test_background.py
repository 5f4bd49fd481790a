"""Several compilers at once: each module once, by any of them, and none where there is a cache."""

import json
import os
import subprocess
import sys

import pytest

from theano_rnn.engine import theano
from theano_rnn.engine.flags import user_settings
from theano_rnn.engine.patches import ahead

pytestmark = pytest.mark.skipif(not theano.config.cxx, reason="needs a C++ compiler")

PROGRAM = """
import json, os, sys, threading
from theano_rnn.engine import ahead, compile_function, tensor, theano
fails, ahead.COMPILERS = json.loads(sys.argv[1]), 2
made, compile_ = [], ahead._compile

def seen(name, *args, py_module=True, **settings):
    is_ahead = threading.current_thread() is not threading.main_thread()
    assert is_ahead != py_module
    if is_ahead and fails:
        raise OSError("no room")
    made.append((name, is_ahead))
    return compile_(name, *args, py_module=py_module, **settings)

ahead._compile = seen
x = tensor.dmatrix("x")
y = tensor.dot(x, x.T)[:2, :2] + tensor.alloc(1.5, 2, 2)
f = compile_function([x], [tensor.tanh(y).sum(axis=0), y.argmax(), tensor.diag(y)])
values = [v.tolist() for v in f([[1, 2], [3, 4]])]
left = [name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("theano_rnn_")]
print(json.dumps([made, values, left]))
"""


def run(folder, fails=False):
    flags = {**user_settings(os.environ), "base_compiledir": str(folder / "cache")}
    environment = {
        **os.environ,
        "TMPDIR": str(folder),  # its own: other tests run at the same time
        "THEANO_FLAGS": ",".join(f"{key}={value}" for key, value in flags.items()),
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps(fails)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, values, left = json.loads(done.stdout)
    assert left == [] and values[1:] == [3, [6.5, 26.5]]
    assert values[0] == pytest.approx([2, 2], abs=1e-4)
    return [name for name, _ in made], [is_ahead for _, is_ahead in made]


def test_modules_are_compiled_ahead_each_once_and_found_by_the_next_process(tmp_path):
    names, is_ahead = run(tmp_path)
    assert not is_ahead[0]  # whose headers the others start from
    assert sum(is_ahead) >= 3
    assert len(names) == len(set(names))
    assert run(tmp_path) == ([], [])


def test_what_fails_ahead_is_compiled_in_its_turn(tmp_path):
    names, is_ahead = run(tmp_path, fails=True)
    assert len(names) == len(set(names)) > 3
    assert not any(is_ahead)


def test_with_one_core_nothing_is_compiled_ahead(monkeypatch):
    monkeypatch.setattr(ahead, "COMPILERS", 1)
    one = ahead.Ahead([])
    one.start(None)
    assert one.pool is None and one.taken("m", []) is None
    one.close()
