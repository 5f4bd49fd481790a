"""The words of a report: the facts that they tell, and all of them as words.txt keeps them.

Words that are meant to change are approved by

    APPROVE=1 python -m pytest tests/flow/test_words.py

which writes words.txt; the change of that file is then read as any other. The flows and findings
here are made of numbers; what a network has of them is proved in test_verdict and test_findings.
"""

import dataclasses
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flow.by_hand import FOUND, by_curve, flow_of, of_lstm, of_relu, of_sigmoid, of_tanh

from theano_rnn.flow.advice import advise
from theano_rnn.flow.evidence import evidence
from theano_rnn.flow.labels import UNKNOWN
from theano_rnn.flow.reasons import reasons
from theano_rnn.flow.report import figures, html, terminal
from theano_rnn.flow.verdict import _felt, verdict
from theano_rnn.flow.words import NO_ERROR, words_of
from theano_rnn.training.settings import Settings

#: The least number above 1/4 and so on: on which side of a limit is what counts.
OVER, UNDER = 1 + 1e-9, 1 - 1e-9


# ---- the verdict

#: rate, T -> kind, and the numbers that the words have.
RATES = [
    (0.6, 5, "too short to say", ["0.6 of", "1.4 steps", "longest lag, 4, 13 %", "too little"]),
    (0.5, 5, "observed to vanish", ["too short to see 1 %", "longest lag, 4, 6.2 %"]),
    (0.25, 5, "observed to vanish", ["0.25 of", "0.5 steps", "after 4 steps"]),
    (0.505, 3, "too short to say", ["0.505 of", "1.0 step.", "lag, 2, 26 %"]),
    (0.005, 3, "observed to vanish", ["0.005 of", "0.1 steps", "after 1 step."]),
    (0.99, 3, "too short to say", ["0.99 of", "69.0 steps", "98 %", "13 lags at least"]),
    (0.99, 14, "decays slowly", ["0.99 of", "69.0 steps", "lag, 13, 88 % is left"]),
    (1.0, 4, "too short to say", ["leaves 1 of", "neither", "100 % is left"]),
    (1.0, 14, "kept", ["leaves 1 of", "neither", "100 % is left"]),
    (1.01, 14, "grows slowly", ["1.01 of", "69.7 steps", "1.14 times as much is there"]),
    (3.0, 4, "observed to explode", ["3 of", "doubles in 0.6 steps", "too short to see 100"]),
    (3.0, 6, "observed to explode", ["3 of", "100 times as much is there after 5 steps"]),
    (0.5, 1, "too short to say", ["needs 3 steps", "here it is 1."]),
    (0.5, 2, "too short to say", ["needs 3 steps", "here it is 2."]),
    (0.0, 3, "observed to vanish", ["one step back", "after 1 step."]),
]
#: sigma_max, the lag of 1 %.
BOUNDS = [(0.8, 21), (0.005, 1), (0.0, 1)]


@pytest.mark.parametrize("rate, T, kind, told", RATES)
def test_the_words_of_a_rate_have_its_numbers(rate, T, kind, told):
    v = verdict(flow_of(rate, T))
    assert (v.kind, v.observed) == (kind, kind)
    assert all(number in v.words for number in told)
    assert "proves nothing" in v.bound_says and "1 x 1.5 = 1.5 > 1" in v.bound_says


#: What leaves 1 % at lag 90.
LIMIT = 0.01 ** (1 / 90)


@pytest.mark.parametrize(
    "rate, kind",
    [(LIMIT * UNDER, "observed to vanish"), (LIMIT * OVER, "decays slowly"),
     (0.5 ** (1 / 999), "decays slowly"), (0.5 ** (1 / 1001), "kept"),
     (2 ** (1 / 1001), "kept"), (2 ** (1 / 999), "grows slowly"),
     (1 / LIMIT * UNDER, "grows slowly"), (1 / LIMIT * OVER, "observed to explode")],
)  # fmt: skip
def test_both_directions_have_the_same_limits(rate, kind):
    assert verdict(flow_of(rate, 30)).kind == kind


@pytest.mark.parametrize("T, fast", [(5, 10), (14, 2)])
def test_of_a_short_text_a_tenth_has_to_be_seen_and_of_another_one_half(T, fast):
    for factor, sign, kind in (
        (fast * OVER, -1, "observed to vanish"),
        (fast * UNDER, -1, ""),
        (fast * OVER, 1, "observed to explode"),
        (fast * UNDER, 1, ""),
    ):
        rate = factor ** (sign / (T - 1))
        assert verdict(flow_of(rate, T)).kind == (kind or "too short to say"), rate


def with_zeros(n):
    norms = np.tri(5)
    norms[tuple(zip(*[(4, 1), (2, 0), (3, 1), (1, 0), (2, 1), (3, 2)][:n]))] = 0
    return flow_of(norms=norms)


def test_of_several_texts_the_spread_and_the_range_of_the_horizon_are_told():
    v = verdict(of_several())
    assert v.texts == 6 and v.spread.low < v.rate_range.low < v.rate < v.rate_range.high
    assert (v.spread.low, v.spread.high) == pytest.approx((0.506, 0.694), abs=1e-3)
    told = "in 95 % of the draws of 6 texts; single texts: 0.506 to 0.694)"
    assert told in v.words and "observed to vanish on these 6 texts" in v.words
    assert re.search(r"left after \d+ steps \(\d+ to \d+ in 95 % of the draws\)", v.words)


def test_where_more_than_half_are_zeros_it_vanishes_and_the_share_is_told():
    for n, kind in ((5, "too short to say"), (6, "observed to vanish")):
        v = verdict(with_zeros(n))
        assert v.observed == kind and v.zeros == n / 10
        assert f"{n}0% of the pairs t > k are exactly 0" in v.words


def test_what_grows_and_is_then_lost_is_told_and_advised_against():
    """A relu that doubles the error, and that a token switches off every nine steps."""
    t, k = np.arange(40)[:, None], np.arange(40)
    norms = np.where((t >= k) & (t // 9 == k // 9), 4.0 ** np.maximum(t - k, 0), 0)
    v = verdict(flow_of(norms=norms))
    assert v.observed == "observed to vanish" and v.horizon == 9
    assert "Less than 1 % is left after 9 steps. Before that it grows: 65,536 times as" in v.words
    assert CLIP in options(v.remedies) and AGAINST[0] in options(v.remedies)


@pytest.mark.parametrize("sigma, guaranteed", BOUNDS)
def test_a_bound_below_1_proves_a_lag(sigma, guaranteed):
    v = verdict(flow_of(0.5, sigma=sigma))
    expected = ("proved to vanish", "observed to vanish", guaranteed)
    assert (v.kind, v.observed, v.guaranteed) == expected
    assert "proved" in v.words and "too short to see 1 %" in v.words
    assert f"1 x {sigma:g} = {sigma:g} < 1" in v.bound_says
    assert f"after {guaranteed} step{'s' * (guaranteed > 1)}," in v.bound_says


#: A network, and what its bound's sentence has.
UNPROVED = [
    ({"sigma": 1.01}, "proves nothing here", "= 1 x 1.01 = 1.01 > 1"),
    ({"sigma": 1.0}, "proves that the gradient cannot explode", "= 1 x 1 = 1, so"),
    ({"sigma": 1 + 9e-7}, "proves that the gradient cannot explode", "= 1 x 1 = 1, so"),
    ({"sigma": 1 - 9e-7}, "proves that the gradient cannot explode", "= 1 x 1 = 1, so"),
    ({"cell": "sigmoid", "sigma": 4.0}, "cannot explode", "= 0.25 x 4 = 1, so"),
    ({"layers": 2}, "nothing is proved", "2 layers"),
    ({"cell": "lstm", "gates": {"f": [[[0.5]]]}}, "nothing is proved", "the cell lstm"),
    (
        {"cell": "mingru", "gates": {"z": [[[0.5]]]}},
        "cannot explode: ds_t/ds_{t-1} = diag(z_t), and no z exceeds 1, so",
        "whatever the text",
    ),
    ({"cell": "mingru", "layers": 2, "gates": {"z": []}}, "nothing is proved", "2 layers"),
]


@pytest.mark.parametrize("network, proved, told", UNPROVED)
def test_a_bound_of_1_proves_that_it_cannot_explode_and_a_larger_one_nothing(
    network, proved, told
):
    v = verdict(flow_of(0.5, **network))
    assert v.guaranteed is None and "proved" not in v.kind
    assert proved in v.bound_says and told in v.bound_says


#: What is left by lag of the errors (rate) and of the products, and the lag at which these alone
#: fall below 1 %.
DISAGREE = [(0.5, 0.5, ""), (0.25, 0.25, ""), (0.5, 0.005, "after 1 step:"),
            (0.5, 0.25, "after 4 steps:"), (0.25, 0.5, "do not fall below 1 %")]  # fmt: skip


@pytest.mark.parametrize("rate, of_products, told", DISAGREE)
def test_errors_and_products_that_do_not_agree_are_told(rate, of_products, told):
    f = flow_of(rate)
    words, alone = verdict(f, products=of_products ** np.arange(5)).words, verdict(f).words
    assert words.startswith(alone) and told in words
    assert ("products" in words) == bool(told)


def options(advice):
    """The options of each, without its effect."""
    return [str(each).partition(":")[0] if ":" not in str(each).split(": ")[0]
            else str(each).split(": ")[0] for each in advice]  # fmt: skip


def test_reasons_and_remedies_are_for_what_is_seen_and_nothing_else():
    kept, grows, decays = (verdict(flow_of(rate, 14)) for rate in (1.0, 3.0, 0.6))
    assert kept.reasons == kept.remedies == ()
    assert len(grows.reasons) == 1 and "1.2" in grows.reasons[0]
    assert options(grows.remedies) == [CLIP, EVEN, L2]
    assert len(decays.reasons) == 1 and options(decays.remedies) == AGAINST
    proved = verdict(flow_of(1.0, sigma=0.9, radius=0.8))
    assert proved.remedies == decays.remedies and "W shrinks the state" in proved.reasons[-1]
    nothing = verdict(flow_of(0.5, 5, norms=np.zeros((5, 5))))
    assert nothing.kind == "too short to say" and nothing.rate is nothing.left is None


def test_what_is_slow_has_remedies_where_half_of_it_is_lost_or_it_has_doubled():
    for rate, told in ((0.951, AGAINST), (0.96, []), (1.04, []), (1.0515, [CLIP, EVEN, L2])):
        v = verdict(flow_of(rate, 15))
        assert "slowly" in v.kind and v.reasons and options(v.remedies) == told, rate


# ---- reasons

GATES = {"z": [[[0.05, 0.35]], [[0.1, 0.5]]]}
#: A network that vanishes at this rate, by default 0.5 a step, and the numbers of each reason.
#: A quarter of the log of 0.5 is that of 0.84, and a half that of 0.71.
VANISHING = [
    ({}, ["no single cause"]),
    ({"rate": 0.99}, ["tanh' 0.900 1", "W alone would not shrink 1.2 1.5"]),
    ({"radius": 0.85}, ["no single cause"]),
    ({"radius": 0.84}, ["W shrinks the state 0.84 1.5"]),
    ({"radius": 0.999, "rate": 0.997}, ["tanh' 0.900", "W shrinks the state 0.999 1.5"]),
    ({"radius": 1.0, "derivative": 0.84}, ["tanh' 0.840 1", "W alone would not shrink 1 1.5"]),
    ({"derivative": 0.85}, ["no single cause"]),
    ({"saturated": 0.25, "derivative": 0.5}, ["tanh' 0.500", "W alone"]),
    ({"saturated": 0.26}, ["no single cause"]),
    ({"saturated": 0.26, "derivative": 0.5}, ["saturation 26% -0.9 0.9", "tanh' 0.5", "W alone"]),
    (
        {"cell": "sigmoid", "derivative": 0.2, "saturated": 0.5, "radius": 3.2},
        ["saturation 50% 0.1 0.9", "sigma' 0.200 1/4", "W shrinks the state 0.25 3.2 0.8 1.5"],
    ),
    (
        {"cell": "relu", "dead": 0.01, "derivative": 0.8},
        ["dead ReLUs 1%", "ReLU 1 80% 0", "W alone"],
    ),
    ({"cell": "relu", "saturated": None, "dead": 0.1}, ["no single cause"]),
    (
        {"cell": "gru", "gates": GATES, "closed": 0.26, "layers": 2},
        [
            "layer 1 z 0.20 0.00 a step over 8 lags 50% 0.1",
            "layer 2 z 0.30 0% 0.1",
            "gate r 26% 0.1",
        ],
    ),
    ({"cell": "gru", "gates": GATES, "layers": 2, "path": 0.72}, ["no single cause"]),
    (
        {"cell": "gru", "gates": GATES, "layers": 2, "path": [[1.0, 0.5, np.nan], [1, 0.9, 0.81]]},
        ["layer 1 0.50 a step over 1 lag;"],
    ),
    ({"cell": "gru", "gates": {"z": []}, "closed": 0.25}, ["no single cause"]),
    # Without W nothing else can be the cause, however little the gate explains.
    (
        {"cell": "mingru", "gates": {"z": [[[0.75]]]}, "path": 0.9},
        ["layer 1 z, the only factor of a step back 0.75 0.90 a step over 8 lags"],
    ),
    ({"overflow": "errors", "radius": 0.5}, ["not finite", "W shrinks"]),
    ({"overflow": "norms", "radius": 0.5}, ["is finite norm overflows", "W shrinks"]),
]
#: A network that explodes, and the numbers of its reason.
EXPLODING = [
    ({}, ["makes the products grow 1.2 above 1 1.5"]),
    ({"sigma": 1.0, "radius": 1.0}, []),
    ({"radius": 0.9}, ["stretches some directions 0.9 1.5"]),
    ({"cell": "sigmoid", "sigma": 4.1}, ["stretches 0.25 1.2 0.3 4.1"]),
    ({"cell": "sigmoid", "sigma": 9, "radius": 4.4}, ["makes the products grow 0.25 4.4 1.1 9"]),
]


def has(said, fact):
    """Whether a sentence has each word of the fact, in this order."""
    return re.search(".*?".join(map(re.escape, fact.split())), said) is not None


@pytest.mark.parametrize("network, told", VANISHING, ids=str)
def test_why_it_vanishes(network, told):
    found = reasons(flow_of(**network), True, False, network.get("rate", 0.5))
    assert len(found) == len(told) and all(map(has, found, told)), found


@pytest.mark.parametrize("network, told", EXPLODING, ids=str)
def test_why_it_explodes(network, told):
    found = reasons(flow_of(**network), False, True)
    assert len(found) == len(told) and all(map(has, found, told)), found


@pytest.mark.parametrize(
    "network", [{}, {"cell": "relu", "dead": 0.5, "derivative": 0.1}, {"cell": "gru"}]
)
def test_what_is_kept_has_no_reason(network):
    given = {"saturated": 0.9, "closed": 0.9, "gates": {"z": [[[0.0]]]}, **network}
    assert reasons(flow_of(**given), False, False) == []


# ---- advice

ORTHOGONAL = EVEN = "--initialization orthogonal"
IDENTITY = "--cell relu --initialization identity --clip 1"
OMEGA, LSTM, SMALL = "--omega 2", "--cell lstm --bias", "--l2 0.0001"
CLIP, L2 = "--clip 1", "--l2 1e-05"
AGAINST = [ORTHOGONAL, IDENTITY, OMEGA, LSTM]
#: A flow that vanishes, the settings of the run, and the options that are advised.
TO_KEEP = [
    ({}, {}, AGAINST),
    ({"saturated": 0.25}, {"initialization": "orthogonal"}, AGAINST[1:]),
    ({"saturated": 0.26}, {}, [ORTHOGONAL, SMALL, *AGAINST[1:]]),
    ({"saturated": 0.26}, {"l2": 1e-4}, AGAINST),
    ({}, {"clip": 1.0}, [ORTHOGONAL, IDENTITY.replace(" --clip 1", ""), OMEGA, LSTM]),
    (
        {},
        {"clip": 1.0, "clip_by": "value"},
        [ORTHOGONAL, IDENTITY.replace("--clip 1", "--clip-by norm"), OMEGA, LSTM],
    ),
    ({}, {"clip": 0.0}, AGAINST),
    ({}, {"clip": 0.5}, [ORTHOGONAL, IDENTITY.replace(" --clip 1", ""), OMEGA, LSTM]),
    ({}, {"omega": 0.5}, [ORTHOGONAL, IDENTITY, LSTM + " --omega 0"]),
    (
        {},
        {"truncation": "window:9"},
        [ORTHOGONAL, IDENTITY, "--truncation full " + OMEGA, LSTM],
    ),
    (
        {"cell": "relu", "saturated": None},
        {"cell": "relu"},
        [IDENTITY.replace("--cell relu ", ""), OMEGA, LSTM],
    ),
    (
        {"cell": "relu", "saturated": None},
        {"cell": "relu", "initialization": "identity"},
        [OMEGA, LSTM],
    ),
    (
        {"cell": "sigmoid"},
        {"cell": "sigmoid"},
        ["--cell tanh", "--initialization spectral:4", IDENTITY, OMEGA, LSTM],
    ),
    ({"cell": "gru"}, {"cell": "gru"}, [LSTM]),
    ({"cell": "gru", "bias": True}, {"cell": "gru", "bias": True}, ["--cell lstm"]),
    ({"cell": "lstm"}, {"cell": "lstm"}, ["--bias"]),
    (
        {"cell": "lstm", "bias": True},
        {"cell": "lstm", "bias": True, "epochs": 3},
        ["--epochs 6"],
    ),
    ({"tied": True}, {"tied": True}, [*AGAINST[:3], LSTM + " --embedding-size 4"]),
]
#: The same of a flow that explodes.
TO_BOUND = [
    ({}, {}, [CLIP, EVEN, L2]),
    ({}, {"clip": 1.0}, [EVEN, L2]),
    ({}, {"clip": 1.5, "l2": 1e-5}, [CLIP, EVEN]),
    ({}, {"initialization": "orthogonal", "l2": 9e-6}, [CLIP, L2]),
    ({"cell": "sigmoid"}, {"cell": "sigmoid"}, [CLIP, "--initialization spectral:4", L2]),
    ({"cell": "gru"}, {"cell": "gru"}, [CLIP, EVEN, L2]),
    ({"cell": "mingru"}, {"cell": "mingru"}, [CLIP, L2]),  # it has no W to begin with
]
#: The cosine of the run's truncation, its settings, and the options that are advised.
TO_REACH = [
    (0.9, {"truncation": "last:3"}, []),
    (0.1, {}, []),
    (0.1, {"truncation": "adaptive:0.1"}, []),  # it chooses K itself
    (0.894, {"truncation": "last:3"}, ["--truncation window:3", "--truncation full"]),
    (-0.5, {"truncation": "window:3"}, ["--truncation full"]),
    (0.5, {"truncation": "chunk:3", "stream": True}, ["--truncation chunk:6"]),
]


def advised(flow, vanishes, explodes, settings):
    return advise(flow, vanishes, explodes, Settings(hidden_size=4, **settings))


@pytest.mark.parametrize("flow, settings, told", TO_KEEP, ids=str)
def test_what_helps_against_vanishing(flow, settings, told):
    assert options(advised(flow_of(**flow), True, False, settings)) == told


@pytest.mark.parametrize("flow, settings, told", TO_BOUND, ids=str)
def test_what_helps_against_an_explosion(flow, settings, told):
    assert options(advised(flow_of(**flow), False, True, settings)) == told


@pytest.mark.parametrize("cosine, settings, told", TO_REACH, ids=str)
def test_what_helps_against_a_truncation(cosine, settings, told):
    found = advised(flow_of(cosine=cosine), False, False, settings)
    assert options(found) == told
    said = (
        f"the cosine of {settings.get('truncation')} with the full gradient is {cosine:.2f} here"
    )
    assert all(said in advice.effect for advice in found)


def test_without_settings_those_of_the_network_are_taken():
    flow = flow_of(cell="lstm", bias=True)
    with_default = advise(flow, True, True)
    assert with_default == advised(flow, True, True, {"cell": "lstm", "bias": True})
    assert options(with_default)[-1] == f"--epochs {2 * Settings().epochs}"


def test_a_gradient_of_zero_is_not_that_of_its_truncation():
    flow = flow_of(cosine=0.0)
    assert advised(flow, False, False, {"truncation": "window:3"})
    flow.truncated = lambda scheme, name: (0.0, 0.0)
    assert advised(flow, False, False, {"truncation": "window:3"}) == []


def test_reasons_are_of_the_rate_at_which_most_was_lost():
    two = np.array([0.3**n for n in range(5)] + [0.3**4] * 20)
    seen = evidence([by_curve(two)], 0)
    assert len(seen.pieces) == 2 and seen.horizon is not None
    assert _felt(seen) == seen.pieces[0].rate < 0.5 < seen.pieces[1].rate
    one = evidence([by_curve(0.9 ** np.arange(20.0))], 0)
    assert _felt(one) == one.pieces[-1].rate


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_module_of_pytorch_is_told_to_open_the_forget_gate(has_bias):
    """Its biases begin near 0, and those of --bias at 1."""
    flow = flow_of(cell="lstm", bias=has_bias)
    flow.is_module = True
    first, *_ = [each.in_torch(has_bias) for each in advise(flow, True, False)]
    gate = "bias_hh_l*[H:2*H] = 1, the forget gate's: start with the forget gate open"
    assert first.startswith(gate if has_bias else f"bias=True, {gate}")


def test_few_zeros_are_not_none():
    lags = np.subtract.outer(np.arange(20), np.arange(20))
    seen = evidence([np.tril(0.8**lags)], 0)
    said = words_of(UNKNOWN, UNKNOWN, dataclasses.replace(seen, zeros=0.001), {})
    assert "fewer than 1 % of the pairs t > k are exactly 0; for the others, each step" in said


# ---- the terminal


def test_of_errors_that_are_all_zero_there_is_still_a_map():
    f = of_tanh()
    f.norms[:] = np.tri(12) * 0
    lines = terminal.heat_map(f).splitlines()
    assert lines[1].split() == ["a&b"] and "the largest, 0:" in lines[-1]


# ---- all of them


def of_table(table):
    rows = zip(*[[str(c.header), *c.cells] for c in table.columns])
    return [str(table.title), *["  ".join(map(str, row)) for row in rows]]


def of_figure(figure):
    """The title of a figure, of its panels and axes, and the names of what it shows."""
    lines = []
    for panel in figure.panels:
        names = dict.fromkeys(mark.name for mark in panel.marks)
        lines.append(" | ".join([panel.title, panel.x.title, panel.y.title, *names]))
    return [figure.title, *lines]


def of_section(section):
    text = re.sub(r"</?m(?:ath|[a-z]+)\b[^>]*>", "", section.text)  # MathML, letter by letter
    section = dataclasses.replace(section, text=text)
    text = section.text if len(section.text) < 3000 else section.text[:900] + " ..."
    figure = [] if section.figure is None else of_figure(section.figure)
    return [f"## {section.title}", text, *figure]


def words_of_findings(f):
    width = 80 if f.T < 20 else 25
    return [
        *terminal.verdict_lines(f), *terminal.saturation_lines(f), *terminal.smallest_K_lines(f),
        *terminal.heat_map(f, width).splitlines()[:: max(1, f.T // 2)],
        *of_table(terminal.table_by_lag(f)), *of_table(terminal.table_of_truncation(f)),
        *(line for section in html.sections_of(f) for line in of_section(section)),
    ]  # fmt: skip


def of_several():
    """Evidence of several texts: a spread, and a horizon that differs."""
    rates = (0.5, 0.55, 0.6, 0.62, 0.65, 0.7)
    return SimpleNamespace(**{**vars(flow_of()), "norms": [
        flow_of(rate, 8 + 2 * i).norms for i, rate in enumerate(rates)]})  # fmt: skip


def odd_curves():
    """Curves that have no label, and why; two rates; parts of a state."""
    n = np.arange(24.0)
    yield flow_of(norms=by_curve(0.3 * 0.4 ** n[:6] + 0.7 * n[:6] ** 0))
    yield flow_of(norms=by_curve(1 / (0.05 * 0.5 ** n[:8] * 20 + 0.05)))
    yield flow_of(norms=by_curve(np.where(n < 21, 0.97**n, 0.97**n * 0.7)))
    yield flow_of(norms=by_curve(np.where(n < 10, 0.8**n, 0.8**10 * 0.99 ** (n - 10))))
    yield flow_of(0.8, 9, cell="lstm", gates={"f": [[[0.5]]]}, parts={
        "s": by_curve(0.7 ** n[:9]), "c": by_curve(0.8 ** n[:9])})  # fmt: skip


def words_of_verdicts():
    flows = [flow_of(rate, T) for rate, T, *_ in RATES] + [with_zeros(6)]
    flows += [flow_of(0.5, sigma=sigma) for sigma, _ in BOUNDS]
    flows += [flow_of(0.5, **network) for network, *_ in UNPROVED]
    for flow in flows:
        v = verdict(flow)
        yield f"{v.kind}: {v.words} {v.bound_says}"
    for flow in (of_several(), *odd_curves()):
        v = verdict(flow)
        yield f"{v.kind}: {v.words}"
    for rate, of_products, _ in DISAGREE:
        yield verdict(flow_of(rate), products=of_products ** np.arange(5)).words


def words_of_reasons():
    for vanishes, cases in ((True, VANISHING), (False, EXPLODING)):
        for network, _ in cases:
            rate = network.get("rate", 0.5 if vanishes else 2.0)
            yield from reasons(flow_of(**network), vanishes, not vanishes, rate)


def words_of_advice():
    for vanishes, cases in ((True, TO_KEEP), (False, TO_BOUND)):
        for flow, settings, _ in cases:
            yield from map(str, advised(flow_of(**flow), vanishes, not vanishes, settings))
    for cosine, settings, _ in TO_REACH:
        yield from map(str, advised(flow_of(cosine=cosine), False, False, settings))


def words():
    """All that a report can say, line by line."""
    several = [of_tanh(), of_lstm(), of_sigmoid()]
    parts = {
        "verdicts": words_of_verdicts(),
        "reasons": words_of_reasons(),
        "advice": words_of_advice(),
        **{name: words_of_findings(make()) for name, make in FOUND.items()},
        "side by side": of_table(terminal.side_by_side([*several, of_relu()])),
        "demonstration": [
            *(line for section in html.demo_sections(several, "window:4", "last:4")[:5]
              for line in of_section(section)),
            *of_figure(figures.demonstration(several, ("window:4", "last:4"))),
        ],
        "of a pair": figures.pair_texts(of_tanh(), 0)[7][:3],
    }  # fmt: skip
    for name, lines in parts.items():
        yield f"# {name}"
        yield from dict.fromkeys("\n".join(lines).splitlines())  # each once


def test_the_words_are_those_that_were_approved():
    kept, found = Path(__file__).with_name("words.txt"), [line.rstrip() for line in words()]
    if os.environ.get("APPROVE"):
        kept.write_text("\n".join(found) + "\n", encoding="utf-8")
    assert found == kept.read_text(encoding="utf-8").splitlines()


def test_without_an_error_there_is_nothing_to_follow():
    v = verdict(flow_of(norms=np.zeros((30, 30))))
    assert v.words == NO_ERROR and v.observed == "too short to say" and not v.remedies
    early = np.zeros((30, 30))
    early[:2, :2] = np.tri(2)  # of the first two outputs alone
    said = verdict(flow_of(norms=early)).words
    assert "A rate needs 3 steps up to an output that has an error; here it is 2." in said


def test_of_artbp_no_cosine_is_told_and_of_a_gradient_of_0_no_K():
    f = dataclasses.replace(of_tanh(), truncation="artbp:2")
    (line,) = [line for line in terminal.verdict_lines(f) if "artbp:2" in line]
    assert "the mean over its cuts is the full gradient" in line and "cosine" not in line
    zeros = {scheme: [0.0] * len(f.K) for scheme in f.ratios}
    (said,) = terminal.smallest_K_lines(dataclasses.replace(f, ratios=zeros))
    assert said.startswith("dE/dW is 0 on this text") and "or more" not in said
