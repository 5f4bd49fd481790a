"""The settings of a network and the parameters they give; test_model.py has the bad ones."""

import dataclasses

import pytest
from kinds import KINDS, PROJECTED, net
from kinds import named as name_of

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.model.architecture import Architecture, named


def architecture(kind, vocab_size=5, H=3):
    is_square = kind["tied"] and "projection" not in kind
    size = (H if is_square else H + 1) if kind["embedding"] else None
    settings = {name: kind[name] for name in ("cell", "layers", "bias", "tied")}
    return Architecture(vocab_size, H, **settings, embedding_size=size)


@pytest.mark.parametrize("kind", KINDS + PROJECTED, ids=name_of)
def test_parameters_have_the_names_order_and_shapes_of_the_oracle(kind):
    parameters, _, _ = net(kind)
    expected = [(name, value.shape) for name, value in parameters.items()]
    assert list(architecture(kind).shapes.items()) == expected


@pytest.mark.parametrize(
    "cell, layers, size", [("tanh", 1, 7), ("gru", 3, 21), ("lstm", 1, 14), ("lstm", 2, 28)]
)
def test_a_state_has_H_numbers_for_each_part_of_each_layer(cell, layers, size):
    assert Architecture(5, 7, cell=cell, layers=layers).state_size == size


def test_tokens_are_looked_up_in_L_where_there_is_one_and_in_U_elsewhere():
    assert Architecture(5, 3).table == "U"
    assert Architecture(5, 3, embedding_size=2).table == "L"


def test_a_cell_of_one_gate_is_tied_to_U_and_any_cell_to_an_embedding_of_its_size():
    assert "V" not in Architecture(5, 3, tied=True).shapes
    assert "V" not in Architecture(5, 3, cell="lstm", tied=True, embedding_size=3).shapes


def test_of_an_embedding_of_another_size_the_output_has_a_projection():
    one = Architecture(5, 3, tied=True, bias=True, embedding_size=2, layers=2)
    assert one.has_projection and one.shapes["P"] == (2, 3)
    assert one.of_output == ["L", "P", "c"]
    assert one.of_steps == ["L", "U", "W", "b", "U2", "W2", "b2"]
    assert not Architecture(5, 3, tied=True, embedding_size=3).has_projection
    assert not Architecture(5, 3, embedding_size=2).has_projection


def test_a_network_larger_than_the_memory_is_refused_before_a_number_is_drawn():
    Architecture(5, 3).check_memory()
    with pytest.raises(RNNError, match=r"has 1,000,100,000,000,000,000 parameters.*hidden_size"):
        Architecture(50_000, 10**9).check_memory()
    with pytest.raises(RNNError, match="the memory of this machine holds"):
        RNN(50_000, 10**9)


def test_the_first_layer_has_the_plain_names():
    assert [named("W", layer) for layer in range(3)] == ["W", "W2", "W3"]


def test_an_architecture_is_fixed_and_two_of_the_same_settings_are_equal():
    one = Architecture(5, 3, cell="gru", bias=True)
    assert one == Architecture(5, 3, cell="gru", bias=True) != Architecture(5, 3, cell="gru")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.bias = False
