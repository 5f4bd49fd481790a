"""The language model as a PyTorch module, for the files that ``RNN.to_torch`` writes.

Imports nothing of this package, and PyTorch when first used: it runs where PyTorch is installed,
which wants a newer NumPy than Theano does. ``theano_rnn.interop.torch_state`` has its tensors by
name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: ``Cell.torch`` of each cell that has one; a test holds that they agree.
MODULES = {"tanh": "RNN", "relu": "RNN", "gru_after": "GRU", "lstm": "LSTM"}


def language_model(
    vocab_size: int,
    hidden_size: int,
    cell: str = "tanh",
    layers: int = 1,
    bias: bool = False,
    embedding_size: int | None = None,
) -> torch.nn.Module:
    """The module: tokens (T, B) or (T,) -> logits (T, B, vocab_size) or (T, vocab_size).

    Parameters
    ----------
    vocab_size, hidden_size, layers, bias, embedding_size
        As of ``theano_rnn.RNN``; without an embedding the recurrence reads one-hot vectors.
    cell : str
        "tanh" or "relu" for nn.RNN, "gru_after" for nn.GRU, "lstm" for nn.LSTM.

    Returns
    -------
    torch.nn.Module
        A new one, its parameters as PyTorch draws them.
    """
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
    """The module of a file that ``RNN.to_torch`` wrote, with its parameters and their dtype."""
    import safetensors.torch

    with safetensors.safe_open(str(path), framework="pt") as file:
        cell = file.metadata()["cell"]
    state = safetensors.torch.load_file(str(path))
    vocab_size, H = state["decoder.weight"].shape
    layers = sum(name.startswith("rnn.weight_hh_l") for name in state)
    D = state["embedding.weight"].shape[1] if "embedding.weight" in state else None
    module = language_model(vocab_size, H, cell, layers, "decoder.bias" in state, D)
    module.to(state["decoder.weight"].dtype).load_state_dict(state, strict=True)
    return module
