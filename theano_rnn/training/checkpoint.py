"""A checkpoint: arrays and the state of a training in one safetensors file, with a checksum."""

import hashlib
import json
from pathlib import Path

import safetensors.numpy

from theano_rnn.common import files, tensors
from theano_rnn.common.errors import RNNError
from theano_rnn.common.tensors import DAMAGED
from theano_rnn.common.types import Array, Parameters, Record


def encode(arrays: dict[str, Array], state: Record) -> bytes:
    """The content of a checkpoint file.

    Parameters
    ----------
    arrays : dict of arrays
    state : dict
        As JSON takes it.
    """
    text = json.dumps(state)
    metadata = {"state": text, "sha256": _checksum(arrays, text)}
    return safetensors.numpy.save(arrays, metadata=metadata)


def read(path: Path) -> tuple[dict[str, Array], Record]:
    """The arrays by name, and the state of the training.

    Raises
    ------
    RNNError
        If the file is damaged, or too large for this machine.
    """
    try:
        arrays, metadata = tensors.read(path)
        state = json.loads(metadata["state"])
        if not isinstance(state, dict):
            raise ValueError("it has no state of a training")
        # Checkpoints of older versions have no checksum.
        if metadata.get("sha256", "") not in ("", _checksum(arrays, metadata["state"])):
            raise ValueError("its content does not fit its checksum")
        return arrays, state
    except OSError as error:
        raise RNNError(f"the checkpoint {path} cannot be read: {files.reason(error)}") from None
    except DAMAGED as error:
        raise RNNError(
            f"the checkpoint {path} is damaged ({error}); use another checkpoint or run"
        ) from None


def parameters(arrays: dict[str, Array]) -> Parameters:
    """The parameters among the arrays of a checkpoint.

    The other arrays have a dot in their names, such as W.velocity, the state of an optimizer.
    """
    return {name: array for name, array in arrays.items() if "." not in name}


def _checksum(arrays: dict[str, Array], state: str) -> str:
    """SHA-256 of the names, types, shapes and numbers of all arrays, and of the state."""
    digest = hashlib.sha256(state.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
