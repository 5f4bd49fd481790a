"""The arrays of .npz and .npy files: nothing is unpickled, and a small file stays small."""

import io
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from theano_rnn.common import files, memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, PathLike


def load(path: PathLike) -> dict[str, Array]:
    """The arrays of an .npz file by their names.

    Raises
    ------
    RNNError
        If the file is missing or damaged, or would take far more memory than its size.
    """
    try:
        path = Path(path)
        return _arrays(path)
    except OSError as error:
        raise RNNError(f"{path}: {files.reason(error)}") from None
    except Exception as error:  # any type, depending on where the file is damaged
        raise RNNError(
            f"{path} is not an .npz file of arrays ({error}); write it with numpy.savez"
        ) from None


def load_one(path: PathLike) -> Array:
    """The array of an .npy file.

    Raises
    ------
    RNNError
        If the file is missing or damaged, or larger than the memory allows.
    """
    try:
        with files.opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size > memory.total() // 4:
                raise ValueError(f"its {size:,} bytes are more than this machine's memory holds")
            return _array(file, size, Path(path).name)
    except OSError as error:
        raise RNNError(f"{path}: {files.reason(error)}") from None
    except Exception as error:  # any type, depending on where the file is damaged
        raise RNNError(
            f"{path} is not an .npy file of an array ({error}); write it with numpy.save"
        ) from None


def _arrays(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file, if they need no more memory than the limit for its size."""
    with files.opened(path) as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        declared = sum(member.file_size for member in members)
        # Compression hardly shrinks the numbers of a network; it shrinks zeros a thousandfold.
        most = min(16 * path.stat().st_size + 2**26, memory.total() // 4)
        if declared > most:
            raise ValueError(f"it would grow to {declared:,} bytes, more than the limit {most:,}")
        return {each.filename.removesuffix(".npy"): _member(archive, each) for each in members}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in a way that NumPy does not use")
    with archive.open(member) as file:
        return _array(file, member.file_size, member.filename)


def _array(file: IO[bytes], bytes_: int, name: str) -> Array:
    """One array; its header is checked before memory for its numbers is allocated."""
    form: Any = np.lib.format  # it has no type hints
    version = form.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name[:60]!r} has another format")
    size = int.from_bytes(file.read(2 * version[0]), "little")
    if size > 10_000:
        raise ValueError(f"the header of {name[:60]!r} is too long")
    head = io.BytesIO(size.to_bytes(2, "little") + file.read(size))
    shape, is_fortran, dtype = form.read_array_header_1_0(head)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    if min(shape, default=0) < 0:
        raise ValueError(f"{name[:60]!r} has the shape {shape}")
    count = math.prod(shape)
    if count * dtype.itemsize > bytes_:
        raise ValueError(f"{name[:60]!r} has fewer numbers than it says")
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return values.reshape(shape, order="F" if is_fortran else "C")
