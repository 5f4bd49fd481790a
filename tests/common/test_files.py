"""Atomic writes, bounded reads, locks."""

import os
import subprocess
import sys

import pytest

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError


def test_a_file_is_replaced_or_left_as_it_is(tmp_path):
    path = tmp_path / "a"
    files.replace(path, b"one")
    files.replace(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["a"]


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path):
    files.append(tmp_path / "a", b"one\n")
    with open(tmp_path / "a", "ab", buffering=0) as file:

        class Full:
            """A file on a disk with room for two more bytes."""

            def seek(self, *place):
                return file.seek(*place)

            def truncate(self, size):
                return file.truncate(size)

            def write(self, data):
                if file.tell() >= 6:
                    raise OSError(28, "No space left on device")
                return file.write(data[:2])

        with pytest.raises(OSError, match="No space"):
            files.append_to(Full(), b"two\n")
    assert (tmp_path / "a").read_bytes() == b"one\n"


def test_a_lock_keeps_another_process_out_until_the_file_is_closed(tmp_path):
    path = tmp_path / "lock"
    ask = f"from theano_rnn.common import files; print(files.lock(open({str(path)!r})))"

    def other_process_gets_it():
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
        return {"True\n": True, "False\n": False}[done.stdout]

    with open(path, "w") as file:
        assert files.lock(file)
        assert not other_process_gets_it()
    assert other_process_gets_it()


def test_what_cannot_be_written_is_named_with_its_reason(tmp_path):
    with pytest.raises(RNNError) as error, files.writing(tmp_path / "none" / "a"):
        (tmp_path / "none" / "a").touch()
    assert str(error.value) == f"{tmp_path}/none/a cannot be written: No such file or directory"


@pytest.mark.parametrize("size", [0, 9, 10])
def test_a_file_up_to_the_limit_is_read_whole(tmp_path, size):
    (tmp_path / "a").write_bytes(b"x" * size)
    assert files.read(tmp_path / "a", 10) == b"x" * size


def test_a_file_beyond_the_limit_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(OSError) as error:
        files.read(tmp_path / "a", 10)
    assert "10 bytes" in files.reason(error.value)
