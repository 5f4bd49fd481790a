"""Every refusal of the oracle: the message says what and where, and nothing has changed."""

import numpy as np
import pytest
from kinds import net as net_of

from theano_rnn.reference import (
    NumpyRNN,
    directional_difference,
    finite_differences,
    frozen_state_loss,
)


def net(seed=0, vocab_size=5):
    """Parameters of three hidden units, a random sentence of six tokens and its targets."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (3, vocab_size), "V": (vocab_size, 3), "W": (3, 3)}
    parameters = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    return parameters, rng.integers(vocab_size, size=6), rng.integers(vocab_size, size=6)


def refuses(model, message, call):
    """`call` raises ValueError with the message, and the model is as before."""
    before, truncation = model.parameters(), model.truncation
    with pytest.raises(ValueError, match=message):
        call()
    for name, value in model.parameters().items():
        assert (value == before[name]).all()
    assert model.truncation == truncation


BAD_TOKENS = [
    ([0, 5], r"x\[1\] is 5: pass token ids from 0 to 4"),
    ([-1], r"x\[0\] is -1"),
    ([2**70], r"x\[0\] is 1180591620717411303424"),
    ([1.0], r"x\[0\] is 1.0, not an integer"),
    (np.array([1.0]), "not an integer"),
    ([1, True], r"x\[1\] is True, not an integer"),
    (np.array([True]), "not an integer"),
    ([1, np.bool_(True)], "not an integer"),
    ([None], "not an integer"),
    (["1"], "not an integer"),
    ([[1], [2, 3]], "not an integer"),
    ([], "x is empty"),
    (np.zeros(0, int), "x is empty"),
    (3, "x has 0 dimensions"),
    (None, "x has 0 dimensions"),
    ("word", "x has 0 dimensions"),
    (iter([1]), "x has 0 dimensions"),
    ([[1, 2]], "x has 2 dimensions"),
]


@pytest.mark.parametrize("tokens, message", BAD_TOKENS)
def test_bad_token_ids_are_refused_and_nothing_changes(tokens, message):
    parameters, x, y = net(20)
    model = NumpyRNN(parameters, "window:2")
    for call in (model.hidden_states, model.forward_propagation, model.predict):
        refuses(model, message, lambda call=call: call(tokens))
    frozen = model.hidden_states(x)
    for call in (
        model.ce_error,
        model.bptt,
        lambda a, b: model.sgd_step(a, b, 0.1),
        lambda a, b: frozen_state_loss(parameters, frozen, a, b, "full"),
    ):
        refuses(model, message, lambda call=call: call(tokens, y))
        refuses(model, message.replace("x", "y", 1), lambda call=call: call(x, tokens))
    for method in (model.calculate_total_loss, model.calculate_loss):
        place = message.replace("x", r"Y\[1\]", 1)
        refuses(model, place, lambda method=method: method([x, x], [y, tokens]))
        place = message.replace("x", r"X\[1\]", 1)
        refuses(model, place, lambda method=method: method([x, tokens], [y, y]))


@pytest.mark.parametrize("vocab_size", [1, 2, 6])
def test_the_refusal_of_a_token_names_the_ids_that_there_are(vocab_size):
    model = NumpyRNN(net(20, vocab_size)[0])
    listed = f"from 0 to {vocab_size - 1}, the vocabulary has {vocab_size}$"
    refuses(model, listed, lambda: model.predict([vocab_size]))


def test_lengths_that_differ_are_refused_and_nothing_changes():
    parameters, x, y = net(21)
    model = NumpyRNN(parameters)
    frozen = model.hidden_states(x)
    for call in (
        lambda: model.ce_error(x, y[1:]),
        lambda: model.bptt(x, y[1:]),
        lambda: model.sgd_step(x, y[1:], 0.1),
        lambda: frozen_state_loss(parameters, frozen, x, y[1:], "full"),
    ):
        refuses(model, "x has 6 token ids and y has 5", call)
    refuses(
        model,
        r"X\[0\] has 6 token ids and Y\[0\] has 5",
        lambda: model.calculate_loss([x], [y[1:]]),
    )
    refuses(model, "X has 2 sentences and Y has 1", lambda: model.calculate_loss([x, x], [y]))
    refuses(model, "X has 1 sentences and Y has 2", lambda: model.calculate_loss([x], [y, y]))
    refuses(model, "X is empty", lambda: model.calculate_total_loss([], []))
    refuses(model, "X is a list_iterator", lambda: model.calculate_loss(iter([x]), [y]))
    refuses(model, "Y is a NoneType", lambda: model.calculate_loss([x], None))
    refuses(model, r"X\[0\] has 0 dimensions", lambda: model.calculate_loss(x, y))


@pytest.mark.parametrize("rate", [0, -0.1, np.nan, np.inf, 10**400, True, "0.1", None])
def test_learning_rates_other_than_positive_numbers_are_refused_and_nothing_changes(rate):
    parameters, x, y = net(22)
    model = NumpyRNN(parameters)
    refuses(model, "learning_rate is .*: pass a positive", lambda: model.sgd_step(x, y, rate))


def test_a_step_to_infinity_is_refused_and_nothing_changes():
    parameters, x, y = net(23)
    model = NumpyRNN({name: 10 * value for name, value in parameters.items()})
    with np.errstate(over="ignore"):
        refuses(model, "parameter .* is -?inf", lambda: model.sgd_step(x, y, 1.7e308))


BAD_PARAMETERS = [
    ({"U": None}, r"missing \['U'\], unknown \[\]"),
    ({"b": np.zeros(3)}, r"missing \[\], unknown \['b'\]"),
    ({"U": [[0.0] * 5] * 3}, "parameter U is list"),
    ({"V": np.zeros((5, 3), int)}, "parameter V is int64"),
    ({"V": np.zeros((5, 3), np.float16)}, "parameter V is float16"),
    ({"V": np.zeros((5, 3), np.float32)}, "mix dtypes"),
    ({"W": np.zeros(3)}, r"parameter W has shape \(3,\)"),
    ({"W": np.zeros((0, 0))}, r"parameter W has shape \(0, 0\)"),
    ({"W": np.zeros((4, 4))}, r"disagree: U \(3, 5\), V \(5, 3\), W \(4, 4\)"),
    ({"W": np.zeros((3, 4))}, "disagree"),
    ({"U": np.zeros((5, 3))}, "disagree"),
    ({"V": np.zeros((6, 3))}, "disagree"),
    ({"V": np.zeros((3, 5))}, "disagree"),
    ({"W": np.diag([0, 0, np.nan])}, r"parameter W\[2, 2\] is nan"),
    ({"U": np.full((3, 5), -np.inf)}, r"parameter U\[0, 0\] is -inf"),
]


@pytest.mark.parametrize("change, message", BAD_PARAMETERS)
def test_bad_parameters_are_refused_and_nothing_changes(change, message):
    parameters, x, y = net(24)
    model = NumpyRNN(parameters)
    frozen = model.hidden_states(x)
    bad = {name: p for name, p in {**parameters, **change}.items() if p is not None}
    refuses(model, message, lambda: NumpyRNN(bad))
    refuses(model, message, lambda: model.set_parameters(bad))
    refuses(model, message, lambda: frozen_state_loss(bad, frozen, x, y, "full"))


BAD_KINDS = [
    ({"cell": "LSTM"}, "cell is 'LSTM': pass one of tanh, sigmoid, relu, gru, gru_after, lstm"),
    ({"cell": None}, "cell is None: pass one of"),
    ({"cell": ["gru"]}, r"cell is \['gru'\]: pass one of"),
    ({"layers": 0}, "layers is 0: pass an integer >= 1"),
    ({"layers": -1}, "layers is -1"),
    ({"layers": 2.0}, "layers is 2.0"),
    ({"layers": True}, "layers is True"),
    ({"layers": "1"}, "layers is '1'"),
    ({"layers": 101}, "layers is more than 100: pass fewer"),
    ({"bias": 1}, "bias is 1: pass True or False"),
    ({"bias": None}, "bias is None"),
    ({"tied": "yes"}, "tied is 'yes': pass True or False"),
    (
        {"cell": "gru", "tied": True},
        r"U has 3H rows where V' has H: pass tied=False or one of tanh",
    ),
    ({"cell": "lstm", "tied": True}, "U has 4H rows .* or embedding=True, which ties V to L"),
    ({"embedding": 1}, "embedding is 1: pass True or False"),
]


@pytest.mark.parametrize("change, message", BAD_KINDS)
def test_unknown_kinds_of_network_are_refused_and_the_known_listed(change, message):
    parameters, x, y = net()
    with pytest.raises(ValueError, match=message):
        NumpyRNN(parameters, **change)
    with pytest.raises(ValueError, match=message):
        frozen_state_loss(parameters, np.zeros((7, 3)), x, y, "full", **change)


def test_a_hundred_layers_are_few_enough():
    parameters, _, _ = net_of({"layers": 100}, hidden_size=1, T=2)
    assert NumpyRNN(parameters, layers=100).layers == 100


LAYOUT = (
    r"U \(3H, vocab_size\), V \(vocab_size, H\), W \(3H, H\), b \(3H\), c \(vocab_size\), U2 .*"
)
GRU = {"cell": "gru", "layers": 2, "bias": True, "tied": False}
TIED = {"cell": "relu", "layers": 1, "bias": False, "tied": True}
BAD_OF_A_KIND = [
    (
        GRU,
        {"b": None, "U2": None},
        rf"missing \['b', 'U2'\], unknown \[\]: pass {LAYOUT} for cell",
    ),
    (GRU, {"U3": np.zeros((9, 3))}, r"unknown \['U3'\]: .* cell='gru', layers=2, bias=True"),
    (GRU, {"W2": np.zeros((3, 3))}, r"disagree: .* W2 \(3, 3\), .*: pass U \(3H, vocab_size\)"),
    (GRU, {"U": np.zeros((3, 5))}, r"disagree: U \(3, 5\)"),
    (GRU, {"b": np.zeros(3)}, r"disagree: .* b \(3,\)"),
    (GRU, {"c": np.zeros(9)}, r"disagree: .* c \(9,\)"),
    (GRU, {"b": np.zeros((9, 1))}, r"parameter b has shape \(9, 1\): pass \(3H\)"),
    (GRU, {"b2": np.zeros(9, np.float32)}, "mix dtypes: .*b2 float32"),
    (GRU, {"b2": np.full(9, np.nan)}, r"parameter b2\[0\] is nan"),
    (TIED, {"V": np.zeros((5, 3))}, r"unknown \['V'\]: pass U \(H, vocab_size\), W .* tied=True"),
    (TIED, {"c": np.zeros(5)}, r"unknown \['c'\]"),
]


@pytest.mark.parametrize("kind, change, message", BAD_OF_A_KIND)
def test_parameters_of_another_kind_of_network_are_refused_and_nothing_changes(
    kind, change, message
):
    parameters, x, y = net_of(kind)
    model = NumpyRNN(parameters, **kind)
    frozen = model.hidden_states(x)
    bad = {name: p for name, p in {**parameters, **change}.items() if p is not None}
    refuses(model, message, lambda: NumpyRNN(bad, **kind))
    refuses(model, message, lambda: model.set_parameters(bad))
    refuses(model, message, lambda: frozen_state_loss(bad, frozen, x, y, "full", **kind))


def test_parameters_of_another_model_are_refused_and_nothing_changes():
    parameters, _, _ = net(25)
    model = NumpyRNN(parameters)
    larger, _, _ = net(25, vocab_size=6)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    refuses(model, r"U is float64 \(3, 6\): the model's", lambda: model.set_parameters(larger))
    refuses(model, "U is float32", lambda: model.set_parameters(single))
    refuses(NumpyRNN(single), "U is float64", lambda: NumpyRNN(single).set_parameters(parameters))
    refuses(model, "parameters is a list", lambda: model.set_parameters(list(parameters)))


BAD_SCHEMES = ["", "none", "window", "window:", "window:0", "chunk:-1", "last:2.5", "full:3"]
BAD_SCHEMES += ["Window:2", " window:2", "last:2\n", "last:²", "window:2:3", 4, None, True, []]


@pytest.mark.parametrize("truncation", BAD_SCHEMES)
def test_unknown_schemes_are_refused_and_the_known_listed(truncation):
    parameters, x, y = net(26)
    model = NumpyRNN(parameters, "chunk:2")
    frozen = model.hidden_states(x)
    listed = "full, window:K, chunk:K, last:K with an integer K >= 1"
    refuses(model, listed, lambda: NumpyRNN(parameters, truncation))
    refuses(model, listed, lambda: frozen_state_loss(parameters, frozen, x, y, truncation))


@pytest.mark.parametrize("word", ["bptt_truncate", "truncate_gradient"])
@pytest.mark.parametrize("k", [0, -2, 2.0, True, "4"])
def test_old_words_take_positive_integers_only(word, k):
    with pytest.raises(ValueError, match=f"{word} is {k!r}: pass an integer K >= 1"):
        NumpyRNN(net()[0], **{word: k})


def test_minus_one_is_theanos_word_for_full_and_no_other():
    assert NumpyRNN(net()[0], truncate_gradient=-1).truncation == "full"
    with pytest.raises(ValueError, match="bptt_truncate is -1"):
        NumpyRNN(net()[0], bptt_truncate=-1)


@pytest.mark.parametrize(
    "words",
    [
        {"bptt_truncate": 4, "truncate_gradient": 4},
        {"bptt_truncate": 4, "truncation": "window:4"},
        {"truncate_gradient": 4, "truncation": "chunk:2"},
    ],
)
def test_two_truncations_at_once_are_refused(words):
    with pytest.raises(ValueError, match="contradict one another"):
        NumpyRNN(net()[0], **words)


def test_a_model_says_which_network_it_is():
    kind = {"cell": "gru", "layers": 2, "bias": True, "tied": True, "embedding": True}
    model = NumpyRNN(net_of(kind)[0], "chunk:3", **kind)
    assert {name: getattr(model, name) for name in kind} == kind
    assert (model.truncation, model.hidden_size, model.vocab_size) == ("chunk:3", 3, 5)


def test_truncation_cannot_be_changed_in_silence_after_construction():
    # The tutorial's gradient check sets bptt_truncate = 1000 on a finished model, to no effect.
    model = NumpyRNN(net()[0], bptt_truncate=4)
    for name in ("bptt_truncate", "truncation", "cell", "layers", "bias", "tied"):
        with pytest.raises(AttributeError):
            setattr(model, name, 1000)


@pytest.mark.parametrize(
    "frozen, message",
    [
        (np.zeros((6, 3)), r"frozen_states has shape \(6, 3\): pass \(T \+ 1, H\) = \(7, 3\)"),
        (np.zeros((7, 4)), "frozen_states has shape"),
        (np.zeros((7, 3), int), "finite floats only"),
        (np.zeros((7, 3), bool), "finite floats only"),
        (np.full((7, 3), np.nan), "finite floats only"),
        (np.ones((7, 3)), r"frozen_states\[-1\] is not zero"),
    ],
)
def test_bad_frozen_states_are_refused(frozen, message):
    parameters, x, y = net(27)
    with pytest.raises(ValueError, match=message):
        frozen_state_loss(parameters, frozen, x, y, "window:2")


def test_frozen_states_of_another_kind_of_network_are_refused():
    kind = {"cell": "lstm", "layers": 2, "bias": False, "tied": False}
    parameters, x, y = net_of(kind)
    for width in (3, 6):  # of the top layer only, of s only
        with pytest.raises(ValueError, match=r"pass \(T \+ 1, 4H\) = \(7, 12\)"):
            frozen_state_loss(parameters, np.zeros((7, width)), x, y, "full", **kind)


@pytest.mark.parametrize(
    "parameters, direction, epsilon, message",
    [
        ({"a": np.ones(2)}, {"a": np.ones(2)}, 0, "epsilon is 0"),
        ({"a": np.ones(2)}, {"a": np.ones(2)}, np.nan, "epsilon is nan"),
        ({"a": np.ones(2)}, {"a": np.ones(2)}, True, "epsilon is True"),
        ({"a": np.ones(2, int)}, {"a": np.ones(2)}, 1e-5, r"parameters\['a'\]"),
        ({"a": np.array([np.inf])}, {"a": np.ones(1)}, 1e-5, r"parameters\['a'\]"),
        ([1.0], {"a": np.ones(1)}, 1e-5, "parameters is a list"),
        ({"a": np.ones(2)}, {"a": np.ones(1)}, 1e-5, "direction and parameters differ"),
        ({"a": np.ones(2)}, {"b": np.ones(2)}, 1e-5, "direction and parameters differ"),
    ],
)
def test_differences_refuse_bad_input(parameters, direction, epsilon, message):
    with pytest.raises(ValueError, match=message):
        directional_difference(lambda p: 0.0, parameters, direction, epsilon)
    if "direction" not in message:
        with pytest.raises(ValueError, match=message):
            finite_differences(lambda p: 0.0, parameters, epsilon)
