"""Extras: what is missing is one line that says what to install."""

import re
import sys

import pytest
from conftest import ROOT

from theano_rnn.common import extras
from theano_rnn.common.errors import RNNError


@pytest.fixture(params=extras.EXTRAS)
def extra(request, monkeypatch):
    """An extra of which nothing is installed."""
    for module in extras.EXTRAS[request.param]:
        monkeypatch.setitem(sys.modules, module, None)
    return request.param


def test_the_line_names_what_is_not_installed_and_what_installs_it(extra):
    line = extras.missing(extra)
    assert all(module in line for module in extras.EXTRAS[extra])
    assert line.endswith(f"pip install 'theano-rnn[{extra}]'") and "\n" not in line


def test_an_option_that_needs_an_extra_is_refused(extra):
    with pytest.raises(RNNError, match=r"^--option needs .*\[" + extra):
        extras.need(extra, "--option")


def test_what_is_installed_is_not_missing():
    assert extras.missing("report") is None is extras.need("sweep", "--sweep")


def test_the_extras_are_those_that_pip_knows_and_tests_have_them_all():
    text = (ROOT / "pyproject.toml").read_text()
    for extra, modules in extras.EXTRAS.items():
        (pinned,) = re.findall(rf"^{extra} = \[(.*?)\]", text, re.M | re.S)
        assert all(f"{module}==" in pinned for module in modules), extra
    assert f'"theano-rnn[{",".join(extras.EXTRAS)}]"' in text
