"""The words of a verdict, its reasons and remedies, of numbers at and beside each limit.

The flows here are made of numbers; what a network has of them is proved in test_verdict.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from theano_rnn.flow.advice import advise
from theano_rnn.flow.reasons import reasons
from theano_rnn.flow.verdict import verdict
from theano_rnn.training import build
from theano_rnn.training.settings import Settings

#: The least number above 1/4 and so on: on which side of a limit is what counts.
OVER, UNDER = 1 + 1e-9, 1 - 1e-9


def made(
    rate=0.5, T=5, sigma=1.5, radius=1.2, saturated=0.0, derivative=0.9, dead=0.0, gates=(),
    closed=0.0, norms=None, cosine=1.0, **network,
):  # fmt: skip
    """A flow of which each lag leaves ``rate``."""
    network["cell"] = "".join(network.get("cell", "tanh"))  # no literal, as from a file
    architecture = build.architecture(Settings(hidden_size=4, **network), 9)
    cell, layers = architecture.cell, architecture.layers
    gamma = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0}.get(cell)
    t, k = np.arange(T)[:, None], np.arange(T)
    if norms is None:
        norms = np.where(t >= k, rate ** abs(t - k), 0.0)
    has_bound = gamma is not None and layers == 1
    names = {"gru": "zrh", "lstm": "ifog"}.get(cell)
    W = {"W": {"sigma_max": sigma, "spectral_radius": radius}}
    return SimpleNamespace(
        T=T, norms=np.array(norms, float), first_lag=int(cell == "lstm"), recurrent=["W"],
        architecture=architecture, bound=lambda: gamma * sigma if has_bound else None,
        spectra=lambda: W, gates={n: np.array(v, float) for n, v in dict(gates).items()},
        truncated=lambda scheme, name: (cosine, 1.0),
        saturation=lambda: {
            "saturated": saturated, "derivative": derivative, "dead": dead,
            "gates": {} if names is None else {name: [closed, 0.0] for name in names[:-1]},
        },
    )  # fmt: skip


# ---- the verdict


@pytest.mark.parametrize(
    "rate, T, kind, words",
    [
        (0.6, 5, "decays slowly", "Decays slowly; 1 % is not reached within this text. A step "
         "back leaves 0.6 of |dE_t/ds_k| (0.6 to 0.6): it halves in 1.4 steps. More than 1 % is "
         "left at the longest lag of this text, 4."),
        (0.25, 5, "observed to vanish", "Observed to vanish, on this text. A step back leaves "
         "0.25 of |dE_t/ds_k| (0.25 to 0.25): it halves in 0.5 steps. Less than 1 % is left "
         "after 4 steps."),
        (0.505, 3, "decays slowly", "Decays slowly; 1 % is not reached within this text. A step "
         "back leaves 0.505 of |dE_t/ds_k| (0.505 to 0.505): it halves in 1.0 step. More than 1 % "
         "is left at the longest lag of this text, 2."),
        (0.005, 3, "observed to vanish", "Observed to vanish, on this text. A step back leaves "
         "0.005 of |dE_t/ds_k| (0.005 to 0.005): it halves in 0.1 steps. Less than 1 % is left "
         "after 1 step."),
        (0.99, 3, "kept", "Neither clearly vanishes nor clearly explodes on this text: it is "
         "kept. A step back leaves 0.99 of |dE_t/ds_k| (0.99 to 0.99): it halves in 69.0 steps. "
         "More than 1 % is left at the longest lag of this text, 2."),
        (1.0, 4, "kept", "Neither clearly vanishes nor clearly explodes on this text: it is "
         "kept. A step back leaves 1 of |dE_t/ds_k| (1 to 1): neither half nor double."),
        (3.0, 4, "observed to explode", "Observed to explode, on this text. A step back leaves "
         "3 of |dE_t/ds_k| (3 to 3): it doubles in 0.6 steps."),
        (0.5, 1, "too short to say", "Too short to say. The text has 1 step; a rate needs 3 and "
         "errors that are not 0."),
        (0.5, 2, "too short to say", "Too short to say. The text has 2 steps; a rate needs 3 and "
         "errors that are not 0."),
        (0.0, 3, "observed to vanish", "Observed to vanish, on this text. Nothing of "
         "|dE_t/ds_k| is left one step back. Less than 1 % is left after 1 step."),
    ],
)  # fmt: skip
def test_the_words_of_a_rate(rate, T, kind, words):
    v = verdict(made(rate, T))
    assert (v.kind, v.observed, v.words) == (kind, kind, words)
    assert v.bound_says == (
        "The bound is silent: gamma sigma_max(W) = 1 x 1.5 = 1.5 >= 1, which proves neither."
    )


@pytest.mark.parametrize(
    "rate, kind",
    [(0.95 * UNDER, "decays slowly"), (0.95 * OVER, "kept"), (1 / 0.95 * UNDER, "kept"),
     (1 / 0.95 * OVER, "observed to explode")],
)  # fmt: skip
def test_what_is_left_of_a_step_is_judged_by_19_in_20(rate, kind):
    assert verdict(made(rate)).kind == kind


def test_where_more_than_half_are_zeros_it_vanishes_and_the_share_is_said():
    for n, kind in ((5, "kept"), (6, "observed to vanish")):
        norms = np.tri(5)
        norms[tuple(zip(*[(4, 1), (2, 0), (3, 1), (1, 0), (2, 1), (3, 2)][:n]))] = 0
        v = verdict(made(norms=norms))
        assert v.observed == kind and v.zeros == n / 10
        assert f"{n}0% of the pairs t > k are exactly 0; of the others, a step back" in v.words


@pytest.mark.parametrize(
    "sigma, guaranteed, says",
    [
        (0.8, 21, "= 1 x 0.8 = 0.8 < 1, and no step's |ds_t/ds_{t-1}| exceeds it. At most 1 % "
         "is left after 21 steps, whatever the text."),
        (0.005, 1, "= 1 x 0.005 = 0.005 < 1, and no step's |ds_t/ds_{t-1}| exceeds it. At most "
         "1 % is left after 1 step, whatever the text."),
        (0.0, 1, "= 1 x 0 = 0 < 1, and no step's |ds_t/ds_{t-1}| exceeds it. At most 1 % is "
         "left after 1 step, whatever the text."),
    ],
)  # fmt: skip
def test_a_bound_below_1_proves_a_lag(sigma, guaranteed, says):
    v = verdict(made(0.5, sigma=sigma))
    assert (v.kind, v.observed, v.guaranteed) == ("proved to vanish", "decays slowly", guaranteed)
    assert v.words.startswith("Proved to vanish: no text can keep it. Decays slowly; 1 % is not")
    assert v.bound_says == f"The bound proves it: gamma sigma_max(W) {says}"


def test_a_bound_of_1_proves_nothing():
    v = verdict(made(0.5, sigma=1.0))
    assert (v.kind, v.guaranteed) == ("decays slowly", None)
    assert v.bound_says.endswith("= 1 x 1 = 1 >= 1, which proves neither.")
    v = verdict(made(0.5, cell="sigmoid", sigma=4.0))
    assert v.bound_says.endswith("= 0.25 x 4 = 1 >= 1, which proves neither.")
    for network, why in (({"layers": 2}, "2 layers"), ({"cell": "lstm"}, "the cell lstm")):
        gates = {"f": [[[0.5]]]}
        says = verdict(made(0.5, gates=gates, **network)).bound_says
        assert says == f"The bound is silent: none is known for {why}."


def test_errors_and_products_that_do_not_agree_are_told():
    few = (
        " The products |ds_t/ds_k| do fall below 1 %, after {}: they are of fewer t, and the "
        "errors by lag are a mean over all outputs."
    )
    many = (
        " The products |ds_t/ds_k| do not fall below 1 %: they carry directions that the errors "
        "of this text do not have."
    )
    n = np.arange(5)
    for rate, products, told in (
        (0.5, 0.5**n, ""), (0.25, 0.25**n, ""), (0.5, 0.005**n, few.format("1 step")),
        (0.5, 0.25**n, few.format("4 steps")), (0.25, 0.5**n, many),
    ):  # fmt: skip
        f = made(rate)
        assert verdict(f, products=products).words == verdict(f).words + told


def test_reasons_and_remedies_go_against_what_is_seen_and_nothing_else():
    kept, grows, decays = verdict(made(1.0)), verdict(made(3.0)), verdict(made(0.6))
    assert kept.reasons == kept.remedies == ()
    assert grows.reasons[0].endswith("the products can grow, and do")
    assert [remedy.split()[0] for remedy in grows.remedies] == [
        "--clip",
        "--initialization",
        "--l2",
    ]
    assert decays.reasons == (W_KEEPS,) and decays.remedies == (ORTHOGONAL, IDENTITY, OMEGA, LSTM)
    proved = verdict(made(1.0, sigma=0.9, radius=0.8))
    assert proved.remedies == decays.remedies and proved.reasons[0].endswith("by itself forgets")


# ---- reasons


W_FORGETS = "the spectral radius of W is 0.99, sigma_max 1.5: W by itself forgets"
W_KEEPS = (
    "the spectral radius of W is 1.2, sigma_max 1.5: W by itself would not forget; the "
    "derivatives make it"
)
NONE = (
    "no single one: derivatives and matrices allow more, but the products of different steps' "
    "Jacobians do not line up"
)


@pytest.mark.parametrize(
    "network, told",
    [
        ({}, [W_KEEPS]),
        ({"radius": 0.99}, [W_FORGETS]),
        ({"radius": 1.0}, [W_KEEPS.replace("1.2", "1")]),
        ({"saturated": 0.25, "derivative": 0.5}, [W_KEEPS]),
        ({"saturated": 0.26}, ["saturation: 26% of the states are at their ends", W_KEEPS]),
        ({"derivative": 0.49}, ["tanh' is 0.490 on average, at most 1", W_KEEPS]),
        ({"cell": "sigmoid", "derivative": 0.2, "saturated": 0.5, "radius": 3.9},
         ["saturation: 50% of the states are at their ends",
          "sigma' is at most 1/4: 0.200 on average here",
          "the spectral radius of W is 3.9, sigma_max 1.5; gamma x spectral radius = 0.25 x 3.9 "
          "= 0.975: that, below 1, forgets"]),
        ({"cell": "relu", "dead": 0.01, "derivative": 0.89},
         ["dead ReLUs: 1% of the units are 0 at every word",
          "ReLU's derivative is 1 at 89% of the states, 0 else", W_KEEPS]),
        ({"cell": "relu", "saturated": None}, [W_KEEPS]),
        ({"cell": "gru", "gates": {"z": [[[0.05, 0.35]], [[0.1, 0.5]]]}, "closed": 0.26},
         ["layer 1: the gate that keeps, z, is 0.20 on average, the share that is carried a step "
          "back; it is closed (below .1) in 50% of its values",
          "layer 2: the gate that keeps, z, is 0.30 on average, the share that is carried a step "
          "back; it is closed (below .1) in 0% of its values",
          "the gate r is closed (below .1) in 26% of its values"]),
        ({"cell": "gru", "gates": {"z": []}, "closed": 0.25}, [NONE]),
        ({"norms": [[1, 0], [np.inf, 1]]},
         ["some errors are not finite: they overflow float64", W_KEEPS]),
    ],
    ids=str,
)  # fmt: skip
def test_why_it_vanishes(network, told):
    assert reasons(made(**network), True, False) == told


def test_why_it_explodes_and_that_what_is_kept_has_no_reason():
    grows = "the spectral radius of W is 1.2, sigma_max 1.5: the products can grow, and do"
    assert reasons(made(), False, True) == [grows]
    assert reasons(made(sigma=1.0), False, True) == []
    assert reasons(made(cell="sigmoid", sigma=4.1), False, True) == [
        "the spectral radius of W is 1.2, sigma_max 4.1; gamma x spectral radius = 0.25 x 1.2 = "
        "0.3: the products can grow, and do"
    ]
    for network in ({}, {"cell": "relu", "dead": 0.5, "derivative": 0.1}, {"cell": "gru"}):
        given = {"saturated": 0.9, "closed": 0.9, "gates": {"z": [[[0.0]]]}, **network}
        assert reasons(made(**given), False, False) == []


# ---- remedies


ORTHOGONAL = "--initialization orthogonal: products of W begin at norm 1"
IDENTITY = "--cell relu --initialization identity --clip 1: a unit that is on keeps all of it"
OMEGA = "--omega 2: a term of the loss that keeps the norm from step to step"
LSTM = "--cell lstm --bias: gates that keep the state, as --cell gru has"
SMALL = "--l2 0.0001: states away from the ends, as with a smaller learning rate"
OPEN = "--cell lstm --bias: a forget gate that begins open, f at .73 and not at .5"


@pytest.mark.parametrize(
    "flow, settings, told",
    [
        ({}, {}, [ORTHOGONAL, IDENTITY, OMEGA, LSTM]),
        ({"saturated": 0.25}, {"initialization": "orthogonal"}, [IDENTITY, OMEGA, LSTM]),
        ({"saturated": 0.26}, {}, [ORTHOGONAL, SMALL, IDENTITY, OMEGA, LSTM]),
        ({"saturated": 0.26}, {"l2": 1e-4}, [ORTHOGONAL, IDENTITY, OMEGA, LSTM]),
        ({}, {"clip": 1.0}, [ORTHOGONAL, IDENTITY.replace(" --clip 1", ""), OMEGA, LSTM]),
        ({}, {"clip": 1.0, "clip_by": "value"},
         [ORTHOGONAL, IDENTITY.replace("--clip 1", "--clip-by norm"), OMEGA, LSTM]),
        ({}, {"clip": 0.0}, [ORTHOGONAL, IDENTITY, OMEGA, LSTM]),
        ({}, {"clip": 0.5}, [ORTHOGONAL, IDENTITY.replace(" --clip 1", ""), OMEGA, LSTM]),
        ({}, {"omega": 0.5},
         [ORTHOGONAL, IDENTITY, LSTM.replace("--bias", "--bias --omega 0")]),
        ({}, {"truncation": "window:9"},
         [ORTHOGONAL, IDENTITY, OMEGA.replace("--omega", "--truncation full --omega"), LSTM]),
        ({"cell": "relu", "saturated": None}, {"cell": "relu"},
         [IDENTITY.replace("--cell relu ", ""), OMEGA, LSTM]),
        ({"cell": "relu", "saturated": None}, {"cell": "relu", "initialization": "identity"},
         [OMEGA, LSTM]),
        ({"cell": "sigmoid"}, {"cell": "sigmoid"},
         ["--cell tanh: a derivative of up to 1 instead of 1/4",
          "--initialization spectral:4: a W so large that 1/4 of it does not forget",
          IDENTITY, OMEGA, LSTM]),
        ({"cell": "gru"}, {"cell": "gru"}, [OPEN]),
        ({"cell": "gru", "bias": True}, {"cell": "gru", "bias": True},
         [OPEN.replace(" --bias", "")]),
        ({"cell": "lstm"}, {"cell": "lstm"}, [OPEN.replace("--cell lstm ", "")]),
        ({"cell": "lstm", "bias": True}, {"cell": "lstm", "bias": True, "epochs": 3},
         ["--epochs 6: f is learned"]),
        ({"tied": True}, {"tied": True},
         [ORTHOGONAL, IDENTITY, OMEGA,
          LSTM.replace("--bias", "--bias --embedding-size 4")]),
    ],
    ids=str,
)  # fmt: skip
def test_what_helps_against_vanishing(flow, settings, told):
    found = advise(made(**flow), True, False, Settings(hidden_size=4, **settings))
    assert [str(remedy) for remedy in found] == told


CLIP = "--clip 1: the step stays bounded, the direction is kept"
EVEN = "--initialization orthogonal: products of W begin without growth"
L2 = "--l2 1e-05: W stays small"


@pytest.mark.parametrize(
    "flow, settings, told",
    [
        ({}, {}, [CLIP, EVEN, L2]),
        ({}, {"clip": 1.0}, [EVEN, L2]),
        ({}, {"clip": 1.5, "l2": 1e-5}, [CLIP, EVEN]),
        ({}, {"initialization": "orthogonal", "l2": 9e-6}, [CLIP, L2]),
        ({"cell": "sigmoid"}, {"cell": "sigmoid"}, [CLIP, EVEN.replace("orthogonal", "spectral:4"),
                                                    L2]),
        ({"cell": "gru"}, {"cell": "gru"}, [CLIP, EVEN, L2]),
    ],
    ids=str,
)  # fmt: skip
def test_what_helps_against_an_explosion(flow, settings, told):
    found = advise(made(**flow), False, True, Settings(hidden_size=4, **settings))
    assert [str(remedy) for remedy in found] == told


@pytest.mark.parametrize(
    "cosine, settings, told",
    [
        (0.9, {"truncation": "last:3"}, []),
        (0.1, {}, []),
        (0.894, {"truncation": "last:3"},
         ["--truncation window:3: every output is heard, 3 steps back; the cosine of last:3 with "
          "the full gradient is 0.89 here",
          "--truncation full: nothing is cut; the cosine of last:3 with the full gradient is 0.89 "
          "here"]),
        (-0.5, {"truncation": "window:3"},
         ["--truncation full: nothing is cut; the cosine of window:3 with the full gradient is "
          "-0.50 here"]),
        (0.5, {"truncation": "chunk:3", "stream": True},
         ["--truncation chunk:6: a cut less often; the cosine of chunk:3 with the full gradient "
          "is 0.50 here"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_helps_against_a_truncation(cosine, settings, told):
    settings = Settings(hidden_size=4, **settings)
    found = advise(made(cosine=cosine), False, False, settings)
    assert [str(remedy) for remedy in found] == told


def test_without_settings_those_of_the_network_are_taken():
    flow = made(cell="lstm", bias=True)
    with_default = advise(flow, True, True)
    assert with_default == advise(
        flow, True, True, Settings(hidden_size=4, cell="lstm", bias=True)
    )
    assert str(with_default[-1]) == f"--epochs {2 * Settings().epochs}: f is learned"
