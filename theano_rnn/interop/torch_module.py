"""The language model as a PyTorch module, for the files that ``RNN.to_torch`` writes.

This module imports nothing of the package, and PyTorch only when a function is called. It runs
where PyTorch is installed, which needs a newer NumPy than Theano does. The names of its tensors
are in ``theano_rnn.interop.torch_state``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: ``Cell.torch`` of each cell that has one; a test holds that they agree.
MODULES = {"tanh": "RNN", "relu": "RNN", "gru_after": "GRU", "lstm": "LSTM"}


@contextlib.contextmanager
def _needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{error.name} is not installed here: pip install torch safetensors packaging. It can "
            "go into the environment of theano_rnn (PyTorch 2.3 and later read NumPy 2); in an "
            "environment without Theano this module needs nothing else of theano_rnn"
        ) from None


def language_model(
    vocab_size: int,
    hidden_size: int,
    cell: str = "tanh",
    layers: int = 1,
    bias: bool = False,
    embedding_size: int | None = None,
) -> torch.nn.Module:
    """A module from tokens (T, B) or (T,) to logits (T, B, vocab_size) or (T, vocab_size).

    Parameters
    ----------
    vocab_size, hidden_size, layers, bias, embedding_size
        As for ``theano_rnn.RNN``; without an embedding the recurrence reads one-hot vectors.
    cell : str
        "tanh" or "relu" for nn.RNN, "gru_after" for nn.GRU, "lstm" for nn.LSTM.

    Returns
    -------
    torch.nn.Module
        With the parameters that PyTorch draws.

    Raises
    ------
    ImportError
        If PyTorch is not installed here; it says what to install.
    """
    with _needs_torch():
        from torch import nn

    class LanguageModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if embedding_size is not None:
                self.embedding = nn.Embedding(vocab_size, embedding_size)
            kind = getattr(nn, MODULES[cell])
            settings = {"nonlinearity": cell} if kind is nn.RNN else {}
            inputs = vocab_size if embedding_size is None else embedding_size
            self.rnn = kind(inputs, hidden_size, layers, bias=bias, **settings)
            self.decoder = nn.Linear(hidden_size, vocab_size, bias=bias)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            if embedding_size is None:
                x = nn.functional.one_hot(tokens, vocab_size).to(self.decoder.weight.dtype)
            else:
                x = self.embedding(tokens)
            return self.decoder(self.rnn(x)[0])

    return LanguageModel()


def load(path: str | Path) -> torch.nn.Module:
    """The module of a file that ``RNN.to_torch`` wrote, with the parameters and dtype of the file.

    Raises
    ------
    ImportError
        If PyTorch or safetensors is not installed here; it says what to install.
    ValueError
        If ``RNN.to_torch`` did not write the file.
    """
    with _needs_torch():
        import safetensors.torch

    with safetensors.safe_open(str(path), framework="pt") as file:
        cell = (file.metadata() or {}).get("cell")
    if cell not in MODULES:
        raise ValueError(f"{path} names no cell; write it with RNN.to_torch")
    state = safetensors.torch.load_file(str(path))
    vocab_size, H = state["decoder.weight"].shape
    layers = sum(name.startswith("rnn.weight_hh_l") for name in state)
    D = state["embedding.weight"].shape[1] if "embedding.weight" in state else None
    module = language_model(vocab_size, H, cell, layers, "decoder.bias" in state, D)
    module.to(state["decoder.weight"].dtype).load_state_dict(state, strict=True)
    return module
