"""The examples in docstrings and in the README do what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import theano_rnn

MODULES = [
    module.name
    for module in pkgutil.walk_packages(theano_rnn.__path__, "theano_rnn.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_of_the_readme():
    readme = Path(__file__).parent.parent / "README.md"
    failed, attempted = doctest.testfile(str(readme), module_relative=False)
    assert attempted >= 8 and failed == 0
