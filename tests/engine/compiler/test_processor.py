"""The processor's flags are asked for once for a compiler and a processor."""

import json
import subprocess

import pytest

from theano_rnn.engine import theano
from theano_rnn.engine.compiler import processor

GCC = processor.GCC_compiler


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    """A function that makes this machine's processor another one."""

    def made(model, clock=1000):
        path = tmp_path / "cpuinfo"
        core = f"model name\t: {model}\ncpu MHz\t\t: {clock}\nflags\t\t: avx"
        path.write_text(f"{core}\n\n{core}\n\n")
        monkeypatch.setattr(processor, "CPUINFO", path)

    return made


def test_processors_are_told_apart_and_their_clocks_are_not(cpuinfo, monkeypatch, tmp_path):
    found = []
    for model, clock in (("Zen 4", 1000), ("Zen 4", 2000), ("Zen 2", 1000)):
        cpuinfo(model, clock)
        found.append(processor.noted_in())
    assert found[0] == found[1] != found[2]
    monkeypatch.setattr(theano.config, "cxx", "another-g++")
    assert processor.noted_in() != found[2]
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.noted_in() is None


def test_flags_that_are_noted_are_not_asked_for(monkeypatch, tmp_path):
    noted = tmp_path / "processor.json"
    monkeypatch.setattr(processor, "noted_in", lambda: noted)
    monkeypatch.setattr(GCC, "march_flags", None)
    flags = GCC.compile_args()
    if not GCC.march_flags:
        pytest.skip("this compiler tells no flags for the processor")
    assert json.loads(noted.read_text()) == GCC.march_flags and set(GCC.march_flags) <= set(flags)

    def asked(*_, **__):
        raise AssertionError("the compiler is asked again")

    monkeypatch.setattr(subprocess, "Popen", asked)
    monkeypatch.setattr(GCC, "march_flags", None)
    assert GCC.compile_args() == flags


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "[1]", '"-O3"'])
def test_a_damaged_note_is_passed_over(tmp_path, text):
    noted = tmp_path / "processor.json"
    assert processor.read(noted) is None
    noted.write_text(text)
    assert processor.read(noted) is None
