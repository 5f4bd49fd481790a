"""The module for PyTorch imports nothing of the package: what it repeats has to agree."""

from theano_rnn.interop.torch_module import MODULES
from theano_rnn.model.cells import CELLS


def test_the_modules_of_the_cells_are_those_that_the_cells_name():
    theirs = {name: cell.torch.name for name, cell in CELLS.items() if cell.torch}
    assert {name: f"nn.{module}" for name, module in MODULES.items()} == theirs
