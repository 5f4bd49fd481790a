"""The command that draws text: what it asks of the sampler, and where its output goes."""

import io
import os
import sys

import numpy as np
import pytest

from theano_rnn import __main__ as console
from theano_rnn.commands import calling, generate
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import load, run_folder
from theano_rnn.training.settings import Settings

LETTERS = Vocabulary.train(["ab ", "ba"], "char")
STREAM = Settings(level="char", stream=True, truncation="chunk:5")


class Model:
    """It says "a", and an end after every 50 tokens."""

    vocab_size = LETTERS.size

    def next_token(self, token, state=None):
        state = 0 if state is None else state
        token = LETTERS.end if state % 50 == 49 else LETTERS.encode("a")[1]
        return np.eye(LETTERS.size)[token], state + 1


@pytest.fixture
def called(monkeypatch, capsys):
    """Exit code, output and errors of the command, for a run with these settings."""

    def call(*arguments, settings=STREAM):
        monkeypatch.setattr(load, "load", lambda folder: (Model(), LETTERS))
        monkeypatch.setattr(load, "load_settings", lambda run: settings)
        monkeypatch.setattr(run_folder.Run, "open", lambda folder: None)
        return generate.main(["run", *map(str, arguments)]), *capsys.readouterr()

    return call


def test_an_encoding_without_a_prime_file_is_refused(called):
    code, _, err = called("--encoding", "cp1252")
    assert code == 2 and "--encoding is that of --prime-file FILE; give both" in err


def test_a_text_has_the_length_that_was_asked_for_after_its_prime(called):
    code, out, _ = called("--length", 120, "--prime", "ab\n b")
    assert code == 0 and out.startswith("ab\n ba") and out.count("\n") == 1 + 2 + 1
    assert len(out) == len("ab\n b") + 120 + len("\n")


def test_a_run_that_reads_characters_as_a_stream_prints_a_text_and_others_sentences(called):
    assert len(called()[1]) == 600 + 1
    lines = [called("--count", 3)[1], called(settings=Settings(level="char"))[1]]
    assert [text.split("\n") for text in lines] == [["a" * 49] * n + [""] for n in (3, 10)]
    assert len(called("--count", 2, "--length", 7)[1]) == 2 * 8


def test_a_prime_comes_from_a_file_or_from_standard_input(called, tmp_path, monkeypatch):
    path = tmp_path / "prime.txt"
    path.write_bytes(b"b" * 400 + b"\r\n b")
    assert called("--length", 1, "--prime-file", path)[1] == "b" * 400 + "\n ba\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\n")))
    assert called("--length", 1, "--prime-file", "-")[1] == "ab\na\n"
    path.write_bytes(b"\xff")
    for arguments, word in (
        (["--prime-file", path], "is not UTF-8"),
        (["--prime-file", tmp_path / "none"], "cannot be read: No such file"),
        (["--prime-file", path, "--prime", "a"], "not both"),
    ):
        code, out, err = called(*arguments)
        assert code == 2 and not out and word in err and len(err.splitlines()) == 1


def test_an_unknown_token_is_named_and_can_be_left_out(called):
    code, out, err = called("--prime", "aXb")
    assert code == 2 and not out and "'X'" in err and "skip" in err
    code, out, err = called("--prime", "aXb", "--skip-unknown", "--length", 1)
    assert code == 0 and out == "aba\n" and "left out of the prime: 'X'" in err


def printed_to(file, monkeypatch, capsys):
    """Exit code and errors of a command whose standard output is this file."""

    @calling.ends_in_a_line("generate")
    def main(argv=None):
        print("a line")
        return 0

    monkeypatch.setattr(sys, "stdout", file)
    code = main([])
    file.close()  # what the interpreter does when it ends
    return code, capsys.readouterr().err


def test_a_full_disk_is_one_line_and_a_reader_that_has_left_is_none(monkeypatch, capsys):
    code, err = printed_to(open("/dev/full", "w"), monkeypatch, capsys)
    assert code == 1 and len(err.splitlines()) == 1 and "No space left on device" in err
    assert err.startswith("theano-rnn generate: ") or "generate.py: " in err
    reader, writer = os.pipe()
    os.close(reader)
    assert printed_to(open(writer, "w"), monkeypatch, capsys) == (1, "")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_overview_ends_so_too(monkeypatch, capsys, option):
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))
    assert console.main([option]) == 1
    sys.stdout.close()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_error_of_another_file_is_not_taken_for_one_of_the_output():
    @calling.ends_in_a_line("generate")
    def main(argv=None):
        open("/nowhere/at/all")

    with pytest.raises(FileNotFoundError):
        main([])
