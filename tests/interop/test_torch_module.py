"""The module for PyTorch imports nothing of the package: what it repeats has to agree."""

import sys

import pytest

from theano_rnn import RNN
from theano_rnn.interop import torch_module
from theano_rnn.interop.torch_module import MODULES
from theano_rnn.model.cells import CELLS


def test_the_modules_of_the_cells_are_those_that_the_cells_name():
    theirs = {name: cell.torch.name for name, cell in CELLS.items() if cell.torch}
    assert {name: f"nn.{module}" for name, module in MODULES.items()} == theirs


def test_without_pytorch_it_says_what_to_install(tmp_path, monkeypatch):
    RNN(5, 2).to_torch(tmp_path / "file")
    monkeypatch.setitem(sys.modules, "torch", None)
    uses = lambda: torch_module.load(tmp_path / "file"), lambda: torch_module.language_model(5, 2)
    for use in uses:
        with pytest.raises(ImportError, match="torch is not installed here: pip install torch"):
            use()
