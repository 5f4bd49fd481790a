"""Importing the engine configures Theano, and the user's own settings win."""

import re
from pathlib import Path

import pytest
from interpreters import run_python

from theano_rnn import engine
from theano_rnn.engine import compat, tensor, theano


@pytest.mark.parametrize(("own", "used"), [("", False), ("allow_gc=True", True)])
def test_allow_gc_of_the_user_wins(monkeypatch, own, used):
    monkeypatch.setenv("THEANO_FLAGS", own)
    x = tensor.vector()
    assert engine.compile_function([x], x + 1).maker.linker.allow_gc is used


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_written_is_an_error_with_advice():
    code = (
        "from theano_rnn import RNNError\n"
        "try:\n    import theano_rnn.engine\n"
        "except RNNError as error:\n    print(error)"
    )
    printed = run_python(code, flags={"base_compiledir": "/proc/none"})
    assert "THEANO_FLAGS=base_compiledir=FOLDER" in printed


def test_a_fresh_process_gets_the_users_floatx_and_keeps_its_environment():
    code = (
        "import os; from theano_rnn.engine import theano;"
        "print(theano.config.floatX, os.environ['THEANO_FLAGS'] == {0!r})"
    )
    own = "floatX=float64,base_compiledir=" + theano.config.base_compiledir
    assert run_python(code.format(own), THEANO_FLAGS=own) == "float64 True"


@pytest.mark.skipif(not compat.STARTS_ALONE, reason="Theano cannot be imported first")
def test_theano_imported_first_keeps_its_configuration():
    code = (
        "import theano; theano.config.floatX = 'float64'; from theano_rnn import engine;"
        "print(engine.WAS_IMPORTED, theano.config.floatX)"
    )
    own = "blas__ldflags=,base_compiledir=" + theano.config.base_compiledir
    assert run_python(code, THEANO_FLAGS=own).splitlines()[-1] == "True float64"


def test_the_package_has_theano_from_the_engine_which_configures_it_first():
    package = Path(engine.__file__).parents[1]
    by_itself = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if package / "engine" not in path.parents
        if re.search(r"^(import|from) theano\b", path.read_text(), re.M)
    ]
    assert by_itself == ["benchmark/stock.py"]  # which is to be Theano as it is
