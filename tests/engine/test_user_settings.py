"""The user's own settings are read as Theano reads them; what cannot be read is one line."""

import pytest

from theano_rnn import RNNError
from theano_rnn.engine import settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("floatX = float32\n", ["line 1", "'floatX = float32'", "[global]"]),
        ("[global]\nfloatX = float32\nfloatX = float64\n", ["line 3", "already exists"]),
        ("[global]\nwhat\n", ["line 2"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, text, words):
    file = tmp_path / "rc"
    file.write_text(text)
    with pytest.raises(RNNError) as refused:
        settings.user_settings({"THEANORC": str(file)})
    for word in [str(file), *words]:
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_later_files_and_then_the_flags_win(tmp_path):
    for name, value in (("one", "a"), ("two", "b")):
        (tmp_path / name).write_text(f"[global]\nmode = {value}\nprofile = {value}\n")
    environ = {
        "THEANORC": f"{tmp_path / 'one'}:{tmp_path / 'none'}:{tmp_path / 'two'}",
        "THEANO_FLAGS": "profile=c",
    }
    assert settings.user_settings(environ) == {"mode": "b", "profile": "c"}
    assert settings.origin("mode", environ) == str(tmp_path / "two")
    assert settings.origin("profile", environ) == "THEANO_FLAGS"


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "auto"}, None),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "x"}, 2),
    ],
)
def test_the_threads_asked_for_are_a_number_or_the_first_of_a_list(variables, count):
    assert settings.thread_count(variables) == count


@pytest.mark.parametrize(
    ("cxx", "programs", "found"),
    [
        (None, ["g++", "clang++"], (None, [])),
        (None, ["clang++"], ("clang++", [])),
        (None, [], ("", [])),
        ("clang++", ["g++", "clang++"], ("clang++", [])),
        ("ccache g++-13 -m64", ["ccache", "g++-13"], ("g++-13", ["-m64"])),
        ("x-gnu-c++", ["x-gnu-c++", "x-gnu-g++"], ("x-gnu-g++", [])),
        ("c++", ["c++"], ("c++", [])),
    ],
)
def test_the_compiler_is_that_of_cxx_then_gcc_then_clang(tmp_path, cxx, programs, found):
    for program in programs:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    environ = {"PATH": str(tmp_path), **({} if cxx is None else {"CXX": cxx})}
    name, flags = found
    path = str(tmp_path / name) if name else name
    assert settings.compiler(environ) == (path, flags)


def test_an_open_quotation_mark_in_cxx_is_told():
    with pytest.raises(RNNError, match=r"CXX=g\+\+ \"-O3 cannot be read: no closing quotation"):
        settings.compiler({"CXX": 'g++ "-O3', "PATH": ""})


def test_a_cxx_that_is_no_program_is_named():
    with pytest.raises(RNNError, match="CXX=nosuch names no program"):
        settings.compiler({"CXX": "nosuch", "PATH": ""})
