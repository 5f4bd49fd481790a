"""Safetensors files from anywhere: arrays and texts by name, without pickles."""

import os
import struct
from pathlib import Path

import safetensors

from theano_rnn.common import files, memory
from theano_rnn.common.types import Array, PathLike

#: Most bytes of the header: the names and shapes of some thousand arrays.
HEADER = 2**20

#: The errors that reading a damaged or hostile file can end in.
DAMAGED = (
    OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
    MemoryError, safetensors.SafetensorError,
)  # fmt: skip


def read(path: PathLike) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file, and its metadata.

    Raises
    ------
    OSError, or another of ``DAMAGED``
        If the file is missing, damaged, larger than this machine's memory allows, or has numbers
        that NumPy does not have.
    """
    _check_sizes(Path(path))
    with safetensors.safe_open(str(path), framework="numpy") as file:
        arrays = {}
        for name in file.keys():
            dtype = file.get_slice(name).get_dtype()
            if dtype.startswith(("BF", "F8_", "F6_", "F4")):
                raise ValueError(
                    f"{name} is {dtype.replace('BF', 'bfloat')}, which "
                    "NumPy does not have; convert to float32 first: in PyTorch, module.float()"
                )
            arrays[name] = file.get_tensor(name)
        return arrays, file.metadata() or {}


def _check_sizes(path: Path) -> None:
    """ValueError for a file that needs more memory than there is, before it is read."""
    with files.opened(path) as file:
        (header,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
        size = file.seek(0, os.SEEK_END)
    if header > HEADER:
        raise ValueError("its header is not that of a safetensors file")
    if size > memory.total() // 4:
        raise ValueError(f"its {size:,} bytes are more than the memory of this machine holds")
