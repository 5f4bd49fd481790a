"""A network in one safetensors file: its parameters, and in the metadata its architecture."""

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.numpy

from theano_rnn.common import files, tensors
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Parameters, PathLike
from theano_rnn.model.architecture import Architecture

#: The name of our entry in the metadata.
KEY = "theano_rnn"


def save(
    path: PathLike, parameters: Parameters, architecture: Architecture, truncation: str
) -> None:
    """Write a network; an existing file is replaced in one go.

    Parameters
    ----------
    path : path
    parameters : dict
        As ``RNN.parameters`` returns them.
    architecture : Architecture
    truncation : str

    Raises
    ------
    RNNError
        If the file cannot be written.
    """
    about = json.dumps({"architecture": asdict(architecture), "truncation": truncation})
    data = safetensors.numpy.save(parameters, metadata={KEY: about})
    with files.writing(path):
        files.replace(Path(path), data)


def load(path: PathLike) -> tuple[Parameters, Architecture, str]:
    """The parameters of a network, checked, its architecture and its truncation.

    Returns
    -------
    parameters : dict
        In the dtype of the file.
    architecture : Architecture
    truncation : str

    Raises
    ------
    RNNError
        If the file is missing, damaged, or ``save`` did not write it.
    """
    try:
        values, metadata = tensors.read(path)
        if KEY not in metadata:
            raise RNNError(
                "it has no architecture, as RNN.save writes it; RNN.from_torch reads PyTorch's "
                "parameters, and theano_rnn.load a run folder"
            )
        about = json.loads(metadata[KEY])
        architecture = Architecture(**about["architecture"])
        dtype = "float64" if any(v.dtype.itemsize > 4 for v in values.values()) else "float32"
        return architecture.check_parameters(values, dtype), architecture, str(about["truncation"])
    except OSError as error:
        raise RNNError(f"{path}: {files.reason(error)}") from None
    except RNNError as error:
        raise RNNError(f"{path}: {error}") from None
    except tensors.DAMAGED as error:
        raise RNNError(f"{path} is not a file of RNN.save, or is damaged: {error}") from None
