"""The files that install the project agree with one another."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import conftest
import pytest
from conftest import ROOT

from theano_rnn.common import theano_wheel
from theano_rnn.common.errors import RNNError

PYPROJECT = (ROOT / "pyproject.toml").read_text()
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
CONDA = (ROOT / "environment.yml").read_text()
#: The Pythons that requires-python allows.
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]


def without_comments(text):
    return re.sub(r" *#.*", "", text)


def pins(text: str) -> dict:
    """name==version, wherever they stand; a marker, or None, with each."""
    found = {}
    pattern = r"""([\w-]+)==([\w.]+)(?:; (python_version [<>]=? "[\d.]+"))?"""
    for name, version, marker in re.findall(pattern, without_comments(text)):
        found.setdefault(name, []).append((version, marker or None))
    return found


def is_meant(marker, python: str) -> bool:
    """Whether a marker such as ``python_version >= "3.12"`` holds on a Python, "3.9"."""
    if marker is None:
        return True
    _, operator, bound = marker.split()
    numbers = [tuple(map(int, text.strip('"').split("."))) for text in (python, bound)]
    assert operator in ("<", ">=")
    return (numbers[0] < numbers[1]) == (operator == "<")


def test_every_dependency_is_pinned():
    lines = [line for line in without_comments(REQUIREMENTS).splitlines() if line]
    pinned = r"""[\w-]+==[\w.]+(; python_version (<|>=) "3\.\d+")?"""
    assert lines and all(re.fullmatch(pinned, line) for line in lines)


@pytest.mark.parametrize("python", PYTHONS)
def test_a_python_has_one_version_of_each(python):
    for name, versions in pins(REQUIREMENTS + PYPROJECT).items():
        meant = [version for version, marker in versions if is_meant(marker, python)]
        assert len(set(meant)) == 1 or (name, python >= "3.12") == ("mypy", True), (name, meant)


def test_pip_refuses_no_python_that_is_not_known_to_fail_and_conda_takes_one_that_was_tried():
    (pip,) = re.findall(r'requires-python = "(.*)"', PYPROJECT)
    (conda,) = re.findall(r"^  - python(.*)$", CONDA, re.M)
    assert (pip, conda) == (f">={PYTHONS[0]},<3.15", f">={PYTHONS[0]},<3.14")


def test_conda_adds_a_compiler_and_installs_the_rest_through_the_project():
    entries = re.findall(r"^ +- (.*)$", CONDA, re.M)
    assert {"gxx", "pip", "--editable .[test]"} <= set(entries)
    # What conda pins itself, if anything, is what the project pins.
    assert all(pins(PYPROJECT).get(name) == version for name, version in pins(CONDA).items())


def test_the_build_tools_of_make_of_pip_and_of_the_doctor_are_the_same():
    script = (ROOT / "scripts" / "make_environment.sh").read_text()
    (build,) = re.findall(r"^requires = \[(.*)\]", PYPROJECT, re.M)
    doctor = " ".join(theano_wheel.BUILD_TOOLS)
    assert pins(build) == pins(script) == pins(doctor)
    assert set(pins(build)) == {"setuptools", "wheel"}


of_make = pytest.mark.skipif(
    not Path(sys.prefix, ".of").is_file(), reason="make did not make this environment"
)


@of_make
@pytest.mark.parametrize("name", ["theano.scan.op", "numpy", "pytest"])
def test_no_process_compiles_what_it_imports_again(name):
    """As each would under PYTHONDONTWRITEBYTECODE."""
    assert Path(importlib.util.find_spec(name).cached).is_file()


@of_make
def test_what_is_installed_is_what_is_pinned():
    from importlib.metadata import PackageNotFoundError, version

    (extras,) = re.findall(r"^proofs = \[\n(.*?)^\]\n\n", PYPROJECT, re.M | re.S)  # and docs
    python = ".".join(map(str, sys.version_info[:2]))
    builds = re.findall(r"^requires = .*$", PYPROJECT, re.M)[0]
    for name, versions in pins(REQUIREMENTS + PYPROJECT.replace(builds, "")).items():
        pinned = {version for version, marker in versions if is_meant(marker, python)}
        try:
            assert {version(name)} == pinned, name
        except PackageNotFoundError:
            tools = {"ruff", "mypy", "tensorboardX", *pins(extras)}
            assert name in tools, name


def test_the_container_runs_the_commands_of_the_readme_and_not_as_root():
    """Docker is not run here: that the commands exist, the Python is allowed, and the folders."""
    docker = (ROOT / "Dockerfile").read_text()
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    used = {*re.findall(r"^RUN make (\S+)", docker, re.M), container["postCreateCommand"][5:]}
    assert container["postCreateCommand"].startswith("make ") and used <= targets
    assert 'CMD ["make", "test"]' in docker and "    make test" in (ROOT / "README.md").read_text()
    (python,) = re.findall(r"^FROM python:([\d.]+)-", docker, re.M)
    assert python in PYTHONS
    stage, user = container["build"]["target"], container["remoteUser"]
    assert re.search(rf"^FROM python:.* AS {stage}$(.*\n)*^USER {user}$", docker, re.M)
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).samefile(
        ROOT / "Dockerfile"
    )
    # Nothing that belongs to this machine goes into the image.
    assert {".venv*", ".compiled", "build"} <= {*(ROOT / ".dockerignore").read_text().split()}


# ---- theano-pymc's wheel


def test_theano_is_a_release_before_python_3_12_and_a_wheel_since(tmp_path, monkeypatch):
    wheel = tmp_path / "theano_pymc-1.1.2-py3-none-any.whl"
    monkeypatch.setattr(theano_wheel, "build", lambda folder, python: folder / wheel.name)
    release = 'theano-pymc==1.1.2; python_version < "3.12"'
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    assert theano_wheel.requirements(tmp_path) == [release]
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    file = f'theano-pymc @ file://{wheel} ; python_version >= "3.12"'
    assert theano_wheel.requirements(tmp_path) == [release, file]


def test_a_wheel_that_is_there_is_not_built_again(tmp_path, monkeypatch):
    (tmp_path / "theano_pymc-1.1.2-py3-none-any.whl").touch()
    monkeypatch.setattr(theano_wheel, "build", None)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert "1.1.2-py3-none-any.whl" in theano_wheel.requirements(tmp_path)[1]


def test_the_package_is_imported_from_the_folder_that_contains_the_clone(tmp_path):
    """Where the clone itself would be a package without modules, theano_rnn/theano_rnn."""
    pytest.importorskip("setuptools")
    clone, site = tmp_path / "theano_rnn", tmp_path / "site"
    (clone / "theano_rnn").mkdir(parents=True)
    (clone / "theano_rnn" / "__init__.py").write_text("NAME = 1")
    (clone / "tests").mkdir()
    ours = re.findall(r"^\[tool\.setuptools.*?(?=^\[tool\.(?!setuptools))", PYPROJECT, re.M | re.S)
    project = '[project]\nname = "theano-rnn"\nversion = "0"\n'
    (clone / "pyproject.toml").write_text(project + "".join(ours))
    build = "import sys; from setuptools import build_meta; build_meta.build_editable(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(site)], cwd=clone, check=True, capture_output=True
    )
    (wheel,) = site.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    use = "import site, sys; site.addsitedir(sys.argv[1]); import theano_rnn; theano_rnn.NAME"
    subprocess.run([sys.executable, "-S", "-c", use, str(site)], cwd=tmp_path, check=True)


def test_what_is_lent_to_the_setup_reads_its_settings_as_python_3_11_did(tmp_path):
    """As versioneer.py:342 of theano-pymc does."""
    (tmp_path / "sitecustomize.py").write_text(theano_wheel.SITECUSTOMIZE)
    (tmp_path / "setup.cfg").write_text("[versioneer]\nVCS = git\n")
    code = (
        "import configparser; parser = configparser.SafeConfigParser(); "
        "parser.readfp(open('setup.cfg')); print(parser.get('versioneer', 'VCS'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "git\n", done.stderr


def test_a_pip_that_fails_is_the_line_that_it_printed_last():
    command = [sys.executable, "-c", "print('first'); print('no network'); raise SystemExit(1)"]
    with pytest.raises(theano_wheel.BuildError, match=r"^no network$"):
        theano_wheel.run_pip(command)


def test_the_doctor_installs_the_wheel_for_this_python_from_an_environment_of_its_own(monkeypatch):
    commands = []

    def run_pip(command, **environment):
        commands.append([*map(str, command)])
        if "--wheel-dir" in command:
            folder = command[command.index("--wheel-dir") + 1]
            folder.mkdir()
            (folder / "theano_pymc-1.1.2-py3-none-any.whl").touch()

    monkeypatch.setattr(theano_wheel, "run_pip", run_pip)
    theano_wheel.install()
    made, tools, build, install = commands
    assert made[:3] == [sys.executable, "-m", "venv"] and tools[0].startswith(made[3])
    assert tools[-2:] == [*theano_wheel.BUILD_TOOLS] and build[-1] == theano_wheel.RELEASE
    assert install[3:6] == ["--python", sys.executable, "install"]
    assert install[-1].endswith("-any.whl")


def test_a_build_that_fails_is_one_error_and_theano_that_is_there_is_left_alone(monkeypatch):
    assert theano_wheel.install_if_missing() == "theano-pymc is installed already."
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def fail():
        raise theano_wheel.BuildError("no network")

    monkeypatch.setattr(theano_wheel, "install", fail)
    with pytest.raises(
        RNNError, match=r"^theano-pymc==1\.1\.2 could not be installed: no network$"
    ):
        theano_wheel.install_if_missing()


def test_without_theano_the_first_use_says_what_installs_it():
    code = (
        "import sys; from theano_rnn.__main__ import main\n"
        "import importlib.util; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'theano' else "
        "find(name, *rest)\n"
        "sys.exit(main(['train']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "theano-pymc==1.1.2 is not installed: run theano-rnn doctor --install" in done.stderr


# ---- the files of the package


def test_the_types_are_installed_with_the_package():
    (data,) = re.findall(r"package-data\]\n(.*?)\n\n", PYPROJECT, re.S)
    assert '"theano_rnn" = ["py.typed"]' in data
    assert (ROOT / "theano_rnn" / "py.typed").is_file()


def environment(python, path=None, folder=None):
    return subprocess.run(
        [
            "sh",
            ROOT / "scripts" / "make_environment.sh",
            python,
            folder / "venv",
            folder / "stamp",
        ],
        capture_output=True,
        text=True,
        env=None if path is None else {"PATH": str(path)},
        cwd=ROOT,
    )


@pytest.mark.parametrize("version", ["3.8.18", "3.15.0"])
def test_an_unfit_python_is_told_so_in_one_line(tmp_path, version):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho {version}\n")
    fake.chmod(0o755)
    done = environment(fake, folder=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert version in done.stderr and "3.9 to 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_missing_python_is_told_so_in_one_line(tmp_path):
    done = environment("python-that-is-not-there", folder=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "PYTHON=" in done.stderr


def test_a_missing_compiler_is_told_so_in_one_line(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    done = environment(sys.executable, path=tools, folder=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "g++" in done.stderr and "apt install g++" in done.stderr


@pytest.mark.parametrize(
    "given", ["", "floatX=float64", "base_compiledir=/tmp/x", "floatX=float64,compiledir=/tmp/x"]
)
def test_the_tests_compile_into_a_cache_of_their_own_unless_one_is_named(monkeypatch, given):
    monkeypatch.setattr(conftest, "GIVEN", given)
    ours = "" if "compiledir" in given else f"base_compiledir={ROOT / '.compiled'}"
    assert conftest.theano_flags(in_c=True) == ",".join(filter(None, [given, ours]))


def test_importing_the_package_writes_nothing_and_draws_nothing(tmp_path):
    code = "import theano_rnn, sys; print(sorted(m for m in sys.modules if m == 'numpy.random'))"
    environ = {
        **os.environ,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    environ.pop("THEANO_FLAGS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environ
    )
    assert done.stdout == "[]\n" and not done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import theano_rnn

    with pytest.raises(AttributeError, match="LSTMM"):
        _ = theano_rnn.LSTMM
    assert theano_rnn.RNN.__name__ == "RNN"
