"""The settings Theano starts with: ours where the user made none."""

import pytest

from theano_rnn.engine import blas, flags, theano

PREFIXED = blas.Blas("openblas", "/somewhere/lib.so", "scipy_", "-lm")


def parsed(text: str) -> dict:
    """A THEANO_FLAGS value as Theano itself reads it."""
    return theano.configparser.parse_config_string(text)


def test_defaults_stand_where_the_user_set_nothing():
    found = parsed(flags.theano_flags(PREFIXED, {"THEANORC": ""}))
    assert found["floatX"] == "float32"
    assert found["blas__ldflags"] == "-lm"
    assert "-Dsgemm_=scipy_sgemm_" in found["gcc__cxxflags"].split()


@pytest.mark.parametrize(
    "own", ["floatX=float64", " floatX=float64,", "floatX=float64,optimizer=fast_compile"]
)
def test_theano_flags_of_the_user_win(own):
    found = parsed(flags.theano_flags(PREFIXED, {"THEANO_FLAGS": own, "THEANORC": ""}))
    assert found["floatX"] == "float64"
    assert found["blas__ldflags"] == "-lm"


def test_a_theanorc_of_the_user_wins(tmp_path):
    rc = tmp_path / "rc"
    rc.write_text("[global]\nfloatX = float64\n[blas]\nldflags = -lmine\n")
    found = parsed(flags.theano_flags(PREFIXED, {"THEANORC": str(rc)}))
    assert "floatX" not in found and "blas__ldflags" not in found  # so Theano reads the file's


def test_compiler_flags_of_the_user_are_kept_and_our_blas_stays_reachable():
    environment = {"THEANO_FLAGS": r"gcc__cxxflags=-O1 -Wl\,-z,floatX=float64", "THEANORC": ""}
    found = parsed(flags.theano_flags(PREFIXED, environment))
    assert found["gcc__cxxflags"].startswith("-O1 -Wl,-z ")
    assert "-Dsgemm_=scipy_sgemm_" in found["gcc__cxxflags"]
    assert found["floatX"] == "float64"


def test_compiler_flags_of_the_user_with_their_own_blas_are_untouched():
    own = "gcc__cxxflags=-O1,blas__ldflags=-lmine"
    mine = blas.find("-lmine")
    found = parsed(flags.theano_flags(mine, {"THEANO_FLAGS": own, "THEANORC": ""}))
    assert found["gcc__cxxflags"] == "-O1" and found["blas__ldflags"] == "-lmine"


@pytest.mark.parametrize(
    "own, flag",
    [("blas__ldflags=-lmine", "-DMINE"), ("gcc__cxxflags=-O1", "-O1 -DMINE"), ("cxx=g++-9", "")],
)
def test_flags_in_cxx_go_with_the_compiler_in_cxx(tmp_path, own, flag):
    (tmp_path / "g++").write_text("#!/bin/sh\n")
    (tmp_path / "g++").chmod(0o755)
    environ = {
        "CXX": "g++ -DMINE", "PATH": str(tmp_path), "THEANO_FLAGS": own, "THEANORC": "",
    }  # fmt: skip
    found = parsed(flags.theano_flags(blas.find("-lmine"), environ))
    assert found.get("gcc__cxxflags", "") == flag
    assert found["cxx"] == ("g++-9" if own.startswith("cxx") else str(tmp_path / "g++"))


def test_a_blas_of_the_user_is_called_by_its_own_names():
    mine = blas.find("-lmine")
    found = parsed(flags.theano_flags(mine, {"THEANO_FLAGS": "blas__ldflags=-lmine"}))
    assert found["blas__ldflags"] == "-lmine" and not found.get("gcc__cxxflags")
    assert blas.find("-lmine").library is None and blas.find("-lmine").ldflags == "-lmine"


def test_commas_in_a_value_survive():
    comma = blas.Blas("x", None, "", r"-Wl,-rpath,/a\b")
    assert (
        parsed(flags.theano_flags(comma, {"THEANORC": ""}))["blas__ldflags"] == r"-Wl,-rpath,/a\b"
    )
