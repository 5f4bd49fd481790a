"""Remedies by name and combined."""

import pytest

from theano_rnn import RNNError
from theano_rnn.long_term import remedies
from theano_rnn.long_term.trial import Trial


def test_remedies_are_combined():
    assert remedies.parse("sgd") == remedies.PLAIN
    expected = remedies.Remedy(True, True, False, "orthogonal", "momentum")
    assert remedies.parse("clip, omega,orthogonal,momentum") == expected
    assert remedies.parse("momentum+orthogonal+omega+clip") == expected


@pytest.mark.parametrize(
    "remedy, said",
    [
        ("clip+dropout", "remedy 'dropout' is unknown; use clip, omega"),
        ("", "remedy '' is unknown"),
        ("identity+orthogonal", "initialization both identity and orthogonal"),
        ("sgd+adam", "optimizer both sgd and adam"),
        ("local+immediate", "credit both local and immediate"),
    ],
)
def test_a_bad_remedy_is_refused(remedy, said):
    with pytest.raises(RNNError) as refused:
        remedies.parse(remedy)
    assert said in str(refused.value)


def test_remedies_in_another_order_are_the_same_trial():
    assert Trial("addition", 20, remedy="orthogonal, clip") == Trial(
        "addition", 20, remedy="clip+orthogonal"
    )
    assert Trial("addition", 20, remedy="clip,sgd,clip") == Trial("addition", 20, remedy="clip")
    assert Trial("addition", 20, remedy="omega+rtrl").remedy == "omega+rtrl"  # the full gradient


def test_a_number_of_exponents_is_the_remedy_and_the_remedy_has_a_number():
    given = Trial("addition", 20, flossing=4)
    assert given.remedy == "flossing" and given == Trial("addition", 20, remedy="sgd,flossing")
    few = Trial("addition", 20, "lstm", "clip+flossing", hidden_size=1)
    assert few.flossing == 2 and Trial("addition", 20).flossing is None


@pytest.mark.parametrize(
    "cell, remedy, said",
    [
        ("gru", "snap1", "in a step of gru it reaches all units"),
        ("tanh", "omega+local", "omega is for the error that goes all ways back, not with local"),
        (
            "gru",
            "flossing+uoro",
            "flossing is for the error that goes all ways back, not with uoro",
        ),
    ],
)
def test_a_method_that_does_not_fit_is_refused(cell, remedy, said):
    with pytest.raises(RNNError, match=said):
        Trial("addition", 20, cell=cell, remedy=remedy)
