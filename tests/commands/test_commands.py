"""The console command: it imports what is called for, and messages name it as it was called."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

from theano_rnn import __main__ as console
from theano_rnn import __version__
from theano_rnn.commands import COMMANDS, calling, compare, train
from theano_rnn.common.errors import RNNError
from theano_rnn.training import loop

CALLED = {
    "script": "scripts/{script}",
    "console": "/usr/local/bin/theano-rnn",
    "module": "/site-packages/theano_rnn/__main__.py",
}


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def called_as(monkeypatch):
    """Pretend that this process was started so, for a command."""

    def pretend(way, name="train"):
        path = CALLED[way].format(script=COMMANDS[name].script)
        monkeypatch.setattr(sys, "argv", [path])

    return pretend


def test_there_are_the_commands_and_a_script_for_each_but_the_doctor():
    assert {"train", "generate", "check", "flow", "tasks", "benchmark", "doctor"} <= set(COMMANDS)
    scripts = {path.name: path.read_text() for path in (ROOT / "scripts").glob("*.py")}
    of_commands = {c.script: name for name, c in COMMANDS.items() if c.script is not None}
    assert scripts.keys() == of_commands.keys() and "doctor" not in of_commands.values()
    assert all(f'run("{of_commands[name]}")' in text for name, text in scripts.items())


def test_pip_makes_the_console_command():
    text = (ROOT / "pyproject.toml").read_text()
    ((module, function),) = re.findall(r'^theano-rnn = "(.*):(.*)"$', text, re.M)
    assert getattr(importlib.import_module(module), function) is console.main


def test_help_and_version_wait_for_nothing():
    code = (
        "import sys; from theano_rnn.__main__ import main; "
        "codes = [main([option]) for option in ('--help', '-h', '--version')]; "
        "print(codes, {'theano', 'numpy', 'rich'} & {*sys.modules})"
    )
    done = python(code)
    assert done.stdout.splitlines()[-2:] == [f"theano-rnn {__version__}", "[0, 0, 0] set()"]
    for name, command in COMMANDS.items():
        assert done.stdout.count(f"  {name} ") >= 2 and command.summary in done.stdout


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("trian", "command 'trian' is unknown; did you mean train? the commands are"),
        ("help trian", "command 'trian' is unknown; did you mean train? the commands are"),
        ("--hiden 4", "any command; did you mean theano-rnn train --hidden-size? the commands"),
        ("train --hiden 4", "--hiden is unknown; did you mean --hidden-size? theano-rnn train"),
        ("train --hidden 4", "--hidden is unknown; did you mean --hidden-size? theano-rnn train"),
        ("train --cell gur", "--cell 'gur' is unknown; did you mean gru? theano-rnn train"),
        ("train --cell x", "--cell 'x' is unknown; use tanh, sigmoid, "),
        ("train --clip much", "--clip must be a number, not 'much'; theano-rnn train"),
        ("train book.txt", "argument 'book.txt' is one too many; theano-rnn train"),
        ("doctor explian", "what 'explian' is unknown; did you mean explain?"),
        ("compare --run a", "required: --runs; theano-rnn compare --help lists all options"),
    ],
)
def test_a_misspelt_call_is_a_line_that_says_what_was_meant(called_as, capsys, call, said):
    called_as("console")
    try:
        code = console.main(call.split())
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("theano-rnn") and said in err


def test_help_of_a_command_and_the_version_have_a_short_way(called_as, capsys):
    called_as("console")
    assert console.main(["-V"]) == console.main(["help"]) == 0
    with pytest.raises(SystemExit):
        console.main(["help", "train"])
    said = capsys.readouterr().out
    assert said.startswith(f"theano-rnn {__version__}\nusage: theano-rnn COMMAND")
    assert "--hidden-size H" in said


def test_only_the_command_that_is_called_is_imported():
    code = (
        "import sys, atexit; from theano_rnn.__main__ import main; atexit.register(lambda: print("
        "sorted(m for m in sys.modules if 'rnn.commands.' in m or m == 'theano')))\n"
        "main(['generate', '--help'])"
    )
    modules = "['theano_rnn.commands.calling', 'theano_rnn.commands.generate']"
    assert python(code).stdout.splitlines()[-1] == modules


SLOW = "theano tokenizers scipy matplotlib dask distributed tensorboardX torch".split()


@pytest.mark.parametrize("name", ["train", "tasks", "compare", "flow", "generate", "check"])
def test_the_help_of_a_command_waits_for_nothing_slow(name):
    code = (
        f"import sys, atexit; from theano_rnn.__main__ import main; atexit.register(lambda: print("
        f"*({{*{SLOW}}} & {{*sys.modules}})))\nmain(['{name}', '--help'])"
    )
    *printed, imported = python(code).stdout.splitlines()
    assert "usage:" in printed[0] and not imported


@pytest.mark.parametrize("given, wrong", [(["trian"], "'trian' is unknown"), ([], "give a comm")])
def test_an_unknown_command_is_refused_with_the_known(capsys, called_as, given, wrong):
    called_as("console")
    assert console.main(given) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("theano-rnn: ") and len(err.splitlines()) == 1
    assert wrong in err and all(name in err for name in COMMANDS)


BAD = {
    "train": ["--epochs", "0"],
    "generate": ["nowhere"],
    "check": ["--length", "0"],
    "flow": ["nowhere"],
    "tasks": ["--task", "addition"],
    "benchmark": ["--only", "speed"],
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("way", CALLED)
def test_errors_and_usage_name_the_command_as_it_was_called(called_as, capsys, way, name):
    called_as(way, name)
    expected = {
        "script": COMMANDS[name].script,
        "console": f"theano-rnn {name}",
        "module": f"python -m theano_rnn {name}",
    }[way]
    assert console.main([name, *BAD[name]]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{expected}: ") and len(err.splitlines()) == 1
    with pytest.raises(SystemExit, match="0"):
        console.main([name, "--help"])
    out = capsys.readouterr().out
    others = {other.script for other in COMMANDS.values()} - {COMMANDS[name].script, "train.py"}
    assert out.startswith(f"usage: {expected} [-h]") and not any(map(out.count, others - {None}))
    with pytest.raises(SystemExit, match="2"):
        console.main([name, "--no-such-option"])
    assert f"{expected}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "way, generate",
    [
        ("script", "python scripts/generate.py"),
        ("console", "theano-rnn generate"),
        ("module", "python -m theano_rnn generate"),
    ],
)
def test_the_next_command_is_one_that_can_be_typed(called_as, way, generate):
    called_as(way)
    assert calling.line("generate") == generate


def test_the_doctor_is_the_engines(called_as, capsys, monkeypatch):
    from theano_rnn.commands import doctor as engine

    called_as("console")
    monkeypatch.setattr(engine, "findings", lambda: ([("scan", "found")], ["Install it."]))
    assert console.main(["doctor"]) == 0
    assert "found" in (out := capsys.readouterr().out) and "Install it." in out
    monkeypatch.setattr(engine, "explained", lambda arguments: [])
    assert console.main(["doctor", "explain", "--cell", "gru"]) == 0
    assert "The loops of a" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        console.main(["doctor", "oops"])
    assert "theano-rnn doctor: what 'oops' is unknown" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train", "doctor", "generate"])
def test_without_the_packages_it_is_one_line_that_says_what_to_do(name):
    """As where no environment is active; -S leaves out what is installed."""
    command = [sys.executable, "-S", "-m", "theano_rnn", name, "run"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "is not installed for" in done.stderr and "activate" in done.stderr


@pytest.mark.slow
def test_where_theano_has_no_folder_it_is_one_line():
    code = "import sys; from theano_rnn.__main__ import main; sys.exit(main(['train']))"
    done = python(code, THEANO_FLAGS="base_compiledir=/proc/none")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("theano-rnn train: the compile cache cannot be written")


def test_compare_trains_in_processes_called_as_it_was(called_as, monkeypatch, tmp_path):
    commands = []

    def fake(command):
        commands.append(command)
        return 3

    monkeypatch.setattr(compare, "ended", fake)
    monkeypatch.chdir(tmp_path)
    options = ["--runs", "all", "--cells", "gru", "--text", "a.txt"]
    for way in CALLED:
        called_as(way, "compare")
        assert compare.main(options) == 3  # that of the training
    bin = tmp_path / "theano-rnn"
    bin.touch()
    monkeypatch.setattr(sys, "argv", [str(bin)])
    assert compare.main(options) == 3
    rest = ["--cell", "gru", "--run", "all/gru", "--text", "a.txt"]
    assert commands == [
        [sys.executable, *way, *rest]
        for way in (
            ["scripts/train.py"],
            ["-m", "theano_rnn", "train"],  # of a console command that is not there
            ["-m", "theano_rnn", "train"],
            [str(bin), "train"],
        )
    ]


def test_the_clock_of_a_training_starts_before_theano_is_imported(monkeypatch, tmp_path, capsys):
    code = "import sys; from theano_rnn.commands import calling; print('theano' in sys.modules)"
    assert python(code).stdout == "False\n"
    starts = []

    def run_epochs(self, watch, start=None):
        starts.append(start)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.Training, "run_epochs", run_epochs)
    (tmp_path / "text.txt").write_text("\n\n".join("The cat sat down. A dog ran." for _ in "abcd"))
    text, run = str(tmp_path / "text.txt"), str(tmp_path / "run")
    assert train.main(["--text", text, "--hidden-size", "3", "--run", run]) == 130
    assert starts == [calling.START] and "Stopped." in capsys.readouterr().out


@pytest.mark.slow
def test_a_wheel_has_all_files_of_the_package(tmp_path):
    pytest.importorskip("wheel", reason="the build tools are not installed")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "theano_rnn", tmp_path / "theano_rnn", ignore=ignored)
    files = {
        str(path.relative_to(tmp_path))
        for path in (tmp_path / "theano_rnn").rglob("*")
        if path.is_file()
    }
    build = "-m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir made ."
    done = subprocess.run(
        [sys.executable, *build.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "made").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("theano_rnn/")}
    assert files == packed and "theano_rnn/benchmark/peers.txt" in files


def test_a_message_for_python_names_the_option(capsys):
    @calling.ends_in_a_line("generate")
    def main(argv=None):
        raise RNNError("top_k must be 1 or more; a name such as top_p stays; or skip_unknown=True")

    assert main() == 2
    said = "--top-k must be 1 or more; a name such as top_p stays; or --skip-unknown\n"
    assert capsys.readouterr().err.endswith(said)


def test_at_a_terminal_an_error_is_broken_between_words(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    calling.complain("theano-rnn: " + "word " * 20)
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    calling.complain("theano-rnn: " + "word " * 20)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(len(line) <= 40 and line.endswith("word") for line in lines)
