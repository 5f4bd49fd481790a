"""Sentences cut by lookup: the same tokens as the library's, and long ones in several parts."""

import numpy as np
import pytest

from theano_rnn.text import cutting
from theano_rnn.text.corpus import build_corpus, pairs
from theano_rnn.text.cutting import Cutter
from theano_rnn.text.sequences import Sequences
from theano_rnn.text.tokens import Form
from theano_rnn.text.vocabulary import Vocabulary

FORMS = [
    Form(), Form(lower=False), Form(rules=1), Form(tokenized=True), Form("char"),
    Form("char", rules=1), Form("char", lower=True),
]  # fmt: skip
PARTS = [
    "don't", "Isn’t", "e\u0301", "\u0301", "ÉTÉ", "3.14", "snake_case", "__init__", "wait...",
    "co\u00adop", "می\u200cخواهم", "👨\u200d👩\u200d👧", "🇩🇪🇫🇷", "1\ufe0f\u20e3", "猫が", "हूँ।",
    "İ", "ß",
    "\ufeff", "\u200b", " ", "  ", "\t", "\u3000", "\u00a0", "<unk>", "'s", "_",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_cutter_finds_the_tokens_that_the_vocabulary_encodes(form):
    rng = np.random.default_rng(0)
    sentences = ["".join(rng.choice(PARTS, 12)) for _ in range(100)] + [" ".join(PARTS)]
    cutter = Cutter(form)
    found = [list(cutter.cut(sentence)) for sentence in sentences]
    types = list(cutter.types)
    vocabulary = Vocabulary.of_counts(dict.fromkeys(types, 1), form)
    for sentence, numbers in zip(sentences, found):
        ids = [i for n in numbers for i in vocabulary.ids([types[n]])[0]]
        assert ids == vocabulary.encode(sentence)[1:-1].tolist(), ascii(sentence)


def test_a_cutter_forgets_before_it_grows_without_end(monkeypatch):
    monkeypatch.setattr(cutting, "MOST_CHUNKS", 3)
    cutter = Cutter(Form())
    assert list(cutter.cut("a b c d a b")) == [0, 1, 2, 3, 0, 1]
    assert len(cutter) <= 3


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_a_long_sentence_is_several_sequences_that_predict_each_token_once(level):
    text = " ".join(f"w{n % 7}" for n in range(2500))
    corpus = build_corpus([text], ["a b"], [text], level)
    whole = corpus.vocabulary.encode(text)
    assert len(corpus.train) == len(corpus.test) > 1
    x, y = (np.concatenate(parts) for parts in pairs(corpus.train))
    assert x.tolist() == whole[:-1].tolist() and y.tolist() == whole[1:].tolist()
    assert corpus.train.lengths.max() <= (1002 if level != "bpe" else 4000)


def test_sequences_are_a_list_of_parts_of_one_array():
    few = Sequences(np.array([0, 5, 6, 1, 0, 7, 1], np.uint16), [0, 4], [4, 7])
    assert [s.tolist() for s in few] == [[0, 5, 6, 1], [0, 7, 1]]
    assert few[1].dtype == np.int64
    few[1][0] = 9  # a copy
    assert few[-1].tolist() == [0, 7, 1]
    assert few[np.array([1])][0].tolist() == [0, 7, 1]
    assert few.inputs().tolist() == [0, 5, 6, 0, 7] and few.targets().tolist() == [5, 6, 1, 7, 1]
