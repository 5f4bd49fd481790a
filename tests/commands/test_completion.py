"""Shells complete commands, options and values: asked of bash itself."""

import shutil
import subprocess

import pytest

from theano_rnn.commands import COMMANDS, completion


@pytest.fixture(scope="module")
def script():
    import shtab

    return shtab.complete(completion.everything(), shell="bash")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_values(script):
    def completed(*words):
        last = len(words) - 1
        ask = (
            f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={last}; "
            f"_shtab_theano_rnn {words[0]} {words[last]!r} {words[last - 1]}\n"
            'printf "%s " "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True)
        return done.stdout.split()

    assert completed("theano-rnn", "tr") == ["train"]
    assert completed("theano-rnn", "he") == ["help"]
    assert completed("theano-rnn", "help", "doc") == ["doctor"]
    assert completed("theano-rnn", "train", "--hid") == ["--hidden-size"]
    assert completed("theano-rnn", "train", "--cell", "gru") == ["gru", "gru_after"]
    assert completed("theano-rnn", "search", "--cell", "gru") == ["gru", "gru_after"]
    assert completed("theano-rnn", "search", "--tied", "") == ["yes", "no"]


def test_every_command_is_completed(script):
    assert all(f"_shtab_theano_rnn_{name}_option_strings" in script for name in COMMANDS)


def test_the_command_prints_it(script, capsys):
    assert completion.main(["bash"]) == 0
    assert capsys.readouterr().out.strip() == script.strip()
