"""What a flow and a verdict show of themselves, in a notebook and elsewhere."""

import html

import numpy as np
import pytest

from theano_rnn import RNN, Flow, RNNError
from theano_rnn.common import extras
from theano_rnn.flow import Sample, verdict
from theano_rnn.flow.report import figures, png
from theano_rnn.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.train(["the <cat> sat", "a dog"], "word")


@pytest.fixture(scope="module")
def flow(vocabulary):
    ids = vocabulary.encode("the <cat> sat a dog the dog")
    return Flow(RNN(vocabulary.size, 4, layers=2, seed=1), ids[:-1], ids[1:])


def test_a_flow_is_shown_with_its_sizes_and_its_verdict(flow):
    assert repr(flow) == f"Flow(tanh, 2 layers, H = 4, T = {flow.T} steps)"
    shown = flow._repr_html_()
    assert repr(flow.verdict()) == f"Verdict({flow.verdict().kind!r}: {flow.verdict().words})"
    assert repr(flow) in shown and flow.verdict()._repr_html_() in shown
    assert flow.verdict() == verdict(flow)


def test_a_verdict_shows_its_words_reasons_and_remedies(flow):
    said = flow.verdict()
    shown = said._repr_html_()
    for text in (said.kind, said.words, said.bound_says, *said.reasons, *said.remedies):
        assert html.escape(text) in shown
    assert shown.count("<li>") == len(said.reasons) + len(said.remedies) > 0


@pytest.mark.parametrize("name", png.FIGURES)
def test_each_figure_of_the_report_is_plotted_and_shows_itself(flow, vocabulary, name):
    figure = flow.plot(name, vocabulary)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.axes and type(figure).__mro__[1].__module__ == "matplotlib.figure"


def test_the_axes_have_the_tokens_or_their_ids(flow, vocabulary, monkeypatch):
    drawn = []
    monkeypatch.setitem(png.FIGURES, "heat", lambda f: drawn.append(f) or figures.lag(f))
    flow.plot("heat", vocabulary)
    flow.plot("heat")
    assert drawn[0].inputs[:2] == [vocabulary.tokens[i] for i in flow.x[:2]]
    assert drawn[1].targets == [str(i) for i in flow.y]


def test_another_figure_is_refused_and_matplotlib_is_asked_for(flow, monkeypatch):
    with pytest.raises(RNNError, match="figure 'heap' is unknown; use heat, lag"):
        flow.plot("heap")
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    with pytest.raises(RNNError, match=r"flow\.plot needs more.*pip install"):
        flow.plot()


@pytest.mark.parametrize("sequences", [None, 5, "ab", [], np.zeros(3, int), [[0, 1, [2]]], [[0]]])
def test_a_sample_of_no_sequences_of_tokens_is_refused(sequences):
    with pytest.raises(RNNError):
        Sample(RNN(7, 4), sequences)
