"""The words of a report: the facts that they tell, and all of them as words.txt keeps them.

Words that are meant to change are approved by

    APPROVE=1 python -m pytest tests/flow/test_words.py

which writes words.txt; the change of that file is then read as any other. The flows and findings
here are made of numbers; what a network has of them is proved in test_verdict and test_findings.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from flow.by_hand import FOUND, flow_of, of_lstm, of_relu, of_sigmoid, of_tanh

from theano_rnn.flow.advice import advise
from theano_rnn.flow.reasons import reasons
from theano_rnn.flow.report import figures, html, terminal
from theano_rnn.flow.verdict import verdict
from theano_rnn.training.settings import Settings

#: The least number above 1/4 and so on: on which side of a limit is what counts.
OVER, UNDER = 1 + 1e-9, 1 - 1e-9


# ---- the verdict

#: rate, T -> kind, and the numbers that the words have.
RATES = [
    (0.6, 5, "decays slowly", ["0.6 of", "1.4 steps", "1 %", "lag of this text, 4"]),
    (0.25, 5, "observed to vanish", ["0.25 of", "0.5 steps", "after 4 steps"]),
    (0.505, 3, "decays slowly", ["0.505 of", "1.0 step.", "text, 2"]),
    (0.005, 3, "observed to vanish", ["0.005 of", "0.1 steps", "after 1 step."]),
    (0.99, 3, "kept", ["0.99 of", "69.0 steps", "text, 2"]),
    (1.0, 4, "kept", ["leaves 1 of", "neither"]),
    (3.0, 4, "observed to explode", ["3 of", "doubles in 0.6 steps"]),
    (0.5, 1, "too short to say", ["needs 3 steps", "has 1 step."]),
    (0.5, 2, "too short to say", ["needs 3 steps", "has 2 steps."]),
    (0.0, 3, "observed to vanish", ["one step back", "after 1 step."]),
]
#: sigma_max, the lag of 1 %.
BOUNDS = [(0.8, 21), (0.005, 1), (0.0, 1)]


@pytest.mark.parametrize("rate, T, kind, told", RATES)
def test_the_words_of_a_rate_have_its_numbers(rate, T, kind, told):
    v = verdict(flow_of(rate, T))
    assert (v.kind, v.observed) == (kind, kind)
    assert all(number in v.words for number in told)
    assert "proves nothing" in v.bound_says and "1 x 1.5 = 1.5 >= 1" in v.bound_says


@pytest.mark.parametrize(
    "rate, kind",
    [(0.95 * UNDER, "decays slowly"), (0.95 * OVER, "kept"), (1 / 0.95 * UNDER, "kept"),
     (1 / 0.95 * OVER, "observed to explode")],
)  # fmt: skip
def test_what_is_left_of_a_step_is_judged_by_19_in_20(rate, kind):
    assert verdict(flow_of(rate)).kind == kind


def with_zeros(n):
    norms = np.tri(5)
    norms[tuple(zip(*[(4, 1), (2, 0), (3, 1), (1, 0), (2, 1), (3, 2)][:n]))] = 0
    return flow_of(norms=norms)


def test_where_more_than_half_are_zeros_it_vanishes_and_the_share_is_told():
    for n, kind in ((5, "kept"), (6, "observed to vanish")):
        v = verdict(with_zeros(n))
        assert v.observed == kind and v.zeros == n / 10
        assert f"{n}0% of the pairs t > k are exactly 0" in v.words


@pytest.mark.parametrize("sigma, guaranteed", BOUNDS)
def test_a_bound_below_1_proves_a_lag(sigma, guaranteed):
    v = verdict(flow_of(0.5, sigma=sigma))
    assert (v.kind, v.observed, v.guaranteed) == ("proved to vanish", "decays slowly", guaranteed)
    assert "proved" in v.words and "decays slowly" in v.words
    assert f"1 x {sigma:g} = {sigma:g} < 1" in v.bound_says
    assert f"after {guaranteed} step{'s' * (guaranteed > 1)}," in v.bound_says


#: A network, and what its bound's sentence has.
UNPROVED = [
    ({"sigma": 1.0}, "= 1 x 1 = 1 >= 1"),
    ({"cell": "sigmoid", "sigma": 4.0}, "= 0.25 x 4 = 1 >= 1"),
    ({"layers": 2}, "2 layers"),
    ({"cell": "lstm", "gates": {"f": [[[0.5]]]}}, "the cell lstm"),
]


@pytest.mark.parametrize("network, told", UNPROVED)
def test_a_bound_of_1_and_none_prove_nothing(network, told):
    v = verdict(flow_of(0.5, **network))
    assert v.guaranteed is None and "proved" not in v.kind
    assert "proves nothing" in v.bound_says and told in v.bound_says


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
    kept, grows, decays = (verdict(flow_of(rate)) for rate in (1.0, 3.0, 0.6))
    assert kept.reasons == kept.remedies == ()
    assert len(grows.reasons) == 1 and "1.2" in grows.reasons[0]
    assert options(grows.remedies) == [CLIP, EVEN, L2]
    assert len(decays.reasons) == 1 and options(decays.remedies) == AGAINST
    proved = verdict(flow_of(1.0, sigma=0.9, radius=0.8))
    assert proved.remedies == decays.remedies and "W shrinks the state" in proved.reasons[0]


# ---- reasons

GATES = {"z": [[[0.05, 0.35]], [[0.1, 0.5]]]}
#: A network that vanishes, and the numbers of each reason.
VANISHING = [
    ({}, ["W alone would not shrink 1.2 1.5"]),
    ({"radius": 0.99}, ["W shrinks the state 0.99 1.5"]),
    ({"radius": 1.0}, ["W alone would not shrink 1 1.5"]),
    ({"saturated": 0.25, "derivative": 0.5}, ["W alone"]),
    ({"saturated": 0.26}, ["saturation 26% -0.9 0.9", "W alone"]),
    ({"derivative": 0.49}, ["tanh' 0.490 1", "W alone"]),
    (
        {"cell": "sigmoid", "derivative": 0.2, "saturated": 0.5, "radius": 3.9},
        ["saturation 50% 0.1 0.9", "sigma' 0.200 1/4", "W shrinks the state 0.25 3.9 0.975 1.5"],
    ),
    (
        {"cell": "relu", "dead": 0.01, "derivative": 0.89},
        ["dead ReLUs 1%", "ReLU 1 89% 0", "W alone"],
    ),
    ({"cell": "relu", "saturated": None}, ["W alone"]),
    (
        {"cell": "gru", "gates": GATES, "closed": 0.26},
        ["layer 1 z 0.20 50% 0.1", "layer 2 z 0.30 0% 0.1", "gate r 26% 0.1"],
    ),
    ({"cell": "gru", "gates": {"z": []}, "closed": 0.25}, ["no single cause"]),
    ({"norms": [[1, 0], [np.inf, 1]]}, ["not finite", "W alone"]),
]
#: A network that explodes, and the numbers of its reason.
EXPLODING = [
    ({}, ["products grow 1.2 1.5"]),
    ({"sigma": 1.0}, []),
    ({"cell": "sigmoid", "sigma": 4.1}, ["products grow 0.25 1.2 0.3 4.1"]),
]


def has(said, fact):
    """Whether a sentence has each word of the fact, in this order."""
    return re.search(".*?".join(map(re.escape, fact.split())), said) is not None


@pytest.mark.parametrize("network, told", VANISHING, ids=str)
def test_why_it_vanishes(network, told):
    found = reasons(flow_of(**network), True, False)
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
]
#: The cosine of the run's truncation, its settings, and the options that are advised.
TO_REACH = [
    (0.9, {"truncation": "last:3"}, []),
    (0.1, {}, []),
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


def words_of_verdicts():
    flows = [flow_of(rate, T) for rate, T, *_ in RATES] + [with_zeros(6)]
    flows += [flow_of(0.5, sigma=sigma) for sigma, _ in BOUNDS]
    flows += [flow_of(0.5, **network) for network, _ in UNPROVED]
    for flow in flows:
        v = verdict(flow)
        yield f"{v.kind}: {v.words} {v.bound_says}"
    for rate, of_products, _ in DISAGREE:
        yield verdict(flow_of(rate), products=of_products ** np.arange(5)).words


def words_of_reasons():
    for vanishes, cases in ((True, VANISHING), (False, EXPLODING)):
        for network, _ in cases:
            yield from reasons(flow_of(**network), vanishes, not vanishes)


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
