"""Files that are read, replaced, appended to and locked without trusting what is on the disk.

A file may be endless, or a link to somebody else's file. All functions raise ``OSError``, whose
``strerror`` says what is wrong; ``writing`` turns it into an ``RNNError``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import io
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Optional

from theano_rnn.common.errors import RNNError, RNNWarning

if TYPE_CHECKING:
    from theano_rnn.common.types import PathLike  # which imports NumPy

#: Most bytes of a JSON file of a run or of a grid, and of a file with a line per epoch or trial.
SMALL, LINES = 2**20, 2**26
#: Most bytes of a vocabulary: two million words.
VOCABULARY = 2**26

#: How a file system says that it has no such function: some network and FUSE file systems.
LACKING = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, without the path: "No such file or directory"."""
    return str(getattr(error, "strerror", None) or error)


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[None]:
    """A block that writes ``path``; its ``OSError`` becomes an ``RNNError`` with the path.

    >>> with writing("/nowhere/a.txt"):
    ...     open("/nowhere/a.txt", "w")
    Traceback (most recent call last):
    theano_rnn.common.errors.RNNError: /nowhere/a.txt cannot be written: No such file or directory
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        file = next((above for above in Path(path).parents if above.is_file()), None)
        why = reason(error) if file is None else f"{file} is a file; name another folder"
        raise RNNError(f"{path} cannot be written: {why}") from None
    except OSError as error:
        raise RNNError(f"{path} cannot be written: {reason(error)}") from None


def lock(file: IO[Any]) -> bool:
    """Whether this process now holds the file's lock; False if another process holds it.

    The lock ends when the file is closed, and so also when the process is killed. A file system
    without locks gives it to everybody, with a warning.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in LACKING:
            raise
        _warn_once(
            f"the file system of {Path(file.name).parent} has no locks "
            f"({reason(error)}); let only one process at a time write there"
        )
    return True


def open_locked(path: Path, flags: int = os.O_RDWR) -> Optional[io.FileIO]:
    """A file that will be changed in place, with its lock; None if another process has the lock.

    A missing file is created, a link refused. A hard link, such as ``cp -al`` makes, is replaced
    by a copy: the lock is that of one folder.
    """
    while True:
        file = io.FileIO(path, "r+", opener=lambda *_: _open_own(path, flags))
        try:
            if not lock(file):
                file.close()
                return None
            status = os.fstat(file.fileno())
            if status.st_nlink > 1:
                replace(path, read(path, LINES))
            elif _is_at(path, status):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # that of another name now, or of none


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except FileNotFoundError:
        return False


def sync(path: PathLike, descriptor: int) -> None:
    """Make a file, or the names in a folder, survive a crash of the machine.

    A file system that cannot is a warning.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in LACKING:
            raise
        _warn_once(
            f"{path} cannot be made to survive a crash of this machine: its file system does not "
            f"sync it ({reason(error)}); keep a copy elsewhere"
        )


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(folder, descriptor)
    finally:
        os.close(descriptor)


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RNNWarning, stacklevel=2)


def read(path: PathLike, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes; see ``opened``."""
    with opened(path) as file:
        return read_stream(file, most)


@contextlib.contextmanager
def opened(path: PathLike) -> Iterator[BinaryIO]:
    """A file to read, closed at the end of the block.

    Links are followed. A folder, a pipe or a device is refused: the last two may never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file but a folder, a pipe or a device")
    with open(descriptor, "rb") as file:
        yield file


def read_stream(file: BinaryIO, most: int) -> bytes:
    """The rest of an open file or pipe; OSError if that is more than ``most`` bytes."""
    parts, size = [], 0
    while part := file.read(2**20):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes, the limit here")
    return b"".join(parts)


def _open_own(path: PathLike, flags: int) -> int:
    """A descriptor of a file that will be changed in place; a missing file is created.

    A link is refused: the file it leads to may be somebody else's.
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link to another file; remove it") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file of its own; remove it")
    return descriptor


def append(path: Path, data: bytes) -> None:
    """Append all of the data to a file or none of it; create the file if it is missing.

    A link is refused. A hard link is replaced by a copy: other names keep the old content.
    """
    with open(_open_own(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0) as file:
        if os.fstat(file.fileno()).st_nlink == 1:
            return append_to(file, data)
    replace(path, read(path, LINES) + data)


def append_to(file: io.FileIO, data: bytes) -> None:
    """Append all of the data to an open file or none of it.

    The file must be unbuffered: a buffer would keep the bytes that a full disk has refused.
    """
    size = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except OSError:
        file.truncate(size)
        raise


def replace(path: Path, data: bytes) -> None:
    """Write a file atomically: after a crash there is the old content or the new one.

    If ``path`` is a link, the link is replaced, and its target stays as it is.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)  # left by a killed process, or a link set as a trap
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            sync(path.parent, file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()  # a full disk leaves half of it
        raise
