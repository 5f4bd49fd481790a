"""Files read and written with nothing taken on trust: how long they are, and where names lead.

What is wrong is an ``OSError`` whose ``strerror`` says it, as of any other file.
"""

import contextlib
import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, Union

PathLike = Union[str, Path]

#: Most bytes of a JSON file of a run or of a grid, and of one with a line an epoch or a trial.
SMALL, LINES = 2**20, 2**26
#: Most bytes of a vocabulary: two million words.
VOCABULARY = 2**26


def read(path: PathLike, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    It is a file, at the end of a link too; a device or a pipe could go on for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file but a folder, a pipe or a device")
        return read_stream(file, most)


def read_stream(file: BinaryIO, most: int) -> bytes:
    """All that comes of an open file, a pipe too, unless it is more than ``most`` bytes."""
    parts, size = [], 0
    while part := file.read(2**20):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes, the most that is read")
    return b"".join(parts)


def open_own(path: PathLike, flags: int) -> int:
    """A descriptor of a file to be changed in place, made where it is not there.

    A link is refused: what it leads to, maybe elsewhere, is not ours to change.
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link to another file; remove it") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file of its own; remove it")
    return descriptor


def append(path: PathLike, data: bytes) -> None:
    """Add to a file, made where it is not there: all of it, or nothing. A link is refused."""
    with open(open_own(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0) as file:
        append_to(file, data)


def append_to(file: io.FileIO, data: bytes) -> None:
    """The same to an open file without a buffer, which would keep what a full disk has refused."""
    size = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except OSError:
        file.truncate(size)
        raise


def replace(path: Path, data: bytes) -> None:
    """Replace a file as one act, so that a crash leaves the old one or the new one.

    A link of its name is replaced, not followed.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)  # of a process that was killed, or a link set as a trap
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()  # half of it on a full disk
        raise
