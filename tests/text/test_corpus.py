"""From a file to sequences of ids: what is read, cut, split, counted, and refused."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from theano_rnn.baselines.bigram import bigram_perplexity, unigram_perplexity
from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.text import corpus as corpus_module
from theano_rnn.text.corpus import (
    Size,
    build_corpus,
    count_tokens,
    load_corpus,
    pairs,
    read_sentences,
    read_text,
)
from theano_rnn.text.python_docs import python_sentences
from theano_rnn.text.reading import read_whole
from theano_rnn.text.tokens import LEVELS
from theano_rnn.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def default():
    return load_corpus()


@pytest.fixture(scope="module")
def sentences():
    return python_sentences()


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


# Reading


def test_byte_order_mark_and_line_ends_are_normalised(write):
    assert read_whole(write(b"\xef\xbb\xbfa\r\nb\rc\n")) == "a\nb\nc\n"
    assert read_whole(str(write("é 猫"))) == "é 猫"


def test_csv_column_cells_become_paragraphs(write):
    content = '\ufeffid,body\r\n1,"One, two.\r\nThree."\r\n2,\r\n3\r\n4,Four'
    assert read_whole(write(content, "a.csv"), "body") == "One, two.\nThree.\n\nFour"
    assert read_whole(write("id\tbody\n1\tx, y\n", "a.TSV"), "body") == "x, y"


@pytest.mark.parametrize(
    "header, last",
    [("body,body,id", "b"), ("body,id,body", "c"), ("id,body,body", "c"), ("body,id,url", "a")],
)
def test_of_two_columns_of_one_name_the_last_is_read(write, header, last):
    assert read_whole(write(f"{header}\na,b,c\n", "a.csv"), "body") == last


def test_a_text_that_with_its_sequences_would_not_fit_the_memory_is_refused(write, monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 16 * 40 + 15)
    vocabulary = Vocabulary.train(["a b"])
    assert read_text(vocabulary, write("a" * 40)).sentences == ["a" * 40]
    with pytest.raises(RNNError, match="it is longer than 40 bytes"):
        read_text(vocabulary, write("a" * 41))


def test_csv_cell_longer_than_the_default_limit_of_the_reader(write):
    path = write("body\n" + "ab " * 100_000, "a.csv")
    assert len(read_whole(path, "body")) == 300_000
    assert csv.field_size_limit() == 131_072  # put back


@pytest.mark.parametrize("content", [b"", b"  \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_empty_file_is_refused(write, content):
    with pytest.raises(RNNError, match=r"text\.txt has no text; give another file"):
        read_whole(write(content))


@pytest.mark.parametrize(
    "content, byte",
    [(b"abc\xff", 3), (b"\xef\xbb\xbfab\xe9 c", 5), ("a".encode("utf-16"), 0), (b"caf\xc3", 3)],
)
def test_not_utf8_names_the_byte(write, content, byte):
    with pytest.raises(RNNError, match=rf"not UTF-8: byte {byte} \(0x"):
        read_whole(write(content))


def test_what_cannot_be_opened_is_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path, "a\0b"):
        with pytest.raises(RNNError, match="cannot be read"):
            read_whole(path)


def test_wrong_columns_are_refused(write):
    path = write("id,body\n1,x\n", "a.csv")
    with pytest.raises(RNNError, match="no column 'text'; its columns are 'id', 'body'"):
        read_whole(path, "text")
    with pytest.raises(RNNError, match=r"give its --column NAME.*'id', 'body'"):
        read_whole(path)
    with pytest.raises(RNNError, match=r"a column needs a \.csv"):
        read_whole(write("id,body\n1,x\n"), "body")
    with pytest.raises(RNNError, match=r"column 'body' of .* is empty"):
        read_whole(write("id,body\n1,\n2, \n", "b.csv"), "body")
    with pytest.raises(RNNError, match=r"line 2 of .* is not CSV"):
        read_whole(write('id,body\n1,"x\n', "c.csv"), "body")


# Splits


def test_penn_treebank_counts_are_words_and_one_end_a_line(write):
    train = write(" no it was n't black monday \n but while the <unk> N\n\n", "train")
    corpus = load_corpus(
        train=train,
        valid=write(" the N \n", "valid"),
        test=write(" Monday the <unk>\n the N\n", "test"),
        tokenized=True,
    )
    assert corpus.token_counts == {"train": 6 + 1 + 5 + 1, "valid": 3, "test": 4 + 3}
    # Words of the training split, of which <unk> is one, and the end; no start.
    assert corpus.vocabulary.size == len(set(train.read_text().split()) | {"</s>"}) == 12
    unknown = corpus.vocabulary.unknown
    assert [s.tolist().count(unknown) for s in corpus.test] == [2, 0]
    assert corpus.oov_rate == 2 / 5
    assert all(s[0] == s[-1] == corpus.vocabulary.end for s in corpus.train)


def test_sequences_and_pairs_by_hand():
    corpus = build_corpus(["B a a."], ["a"], ["c, a"])
    assert corpus.vocabulary.tokens == ["<s>", "</s>", "<unk>", "a", ".", "b"]
    assert corpus.train[0].tolist() == [0, 5, 3, 3, 4, 1]
    assert corpus.train[0].dtype == np.int64 and corpus.train[0].ndim == 1
    assert corpus.test[0].tolist() == [0, 2, 2, 3, 1]
    assert corpus.oov_rate == 2 / 3
    X, Y = pairs([*corpus.train, *corpus.valid])
    assert [x.tolist() for x in X] == [[0, 5, 3, 3, 4], [0, 3]]
    assert [y.tolist() for y in Y] == [[5, 3, 3, 4, 1], [3, 1]]
    assert count_tokens(corpus.train) == 5 == corpus.token_counts["train"]


def test_the_vocabulary_is_of_the_training_split_alone():
    corpus = build_corpus(["a b"], ["c c c"], ["d"])
    assert corpus.vocabulary.tokens[3:] == ["a", "b"]
    assert corpus.oov_rate == 1.0
    assert corpus.valid[0].tolist() == [0, 2, 2, 2, 1]


def test_one_text_is_shuffled_and_split_80_10_10(write):
    path = write("\n\n".join(f"word{i:03}" for i in range(100)))
    corpus = load_corpus(path)
    splits = [corpus.train, corpus.valid, corpus.test]
    assert [len(split) for split in splits] == [80, 10, 10]
    words = [corpus.vocabulary.decode(s) for s in corpus.train]
    assert words != sorted(words)
    assert words == [corpus.vocabulary.decode(s) for s in load_corpus(path, seed=0).train]
    other = load_corpus(path, seed=1)
    assert words != [other.vocabulary.decode(s) for s in other.train]


def test_no_sentence_is_lost_by_the_split(write):
    for n in (3, 4, 19, 57):
        path = write("\n".join(f"{i} x" for i in range(n)))
        corpus = load_corpus(path, tokenized=True)
        assert sum(map(len, (corpus.train, corpus.valid, corpus.test))) == n
        assert min(map(len, (corpus.train, corpus.valid, corpus.test))) >= 1


def test_characters_are_split_in_the_order_of_the_text(write):
    corpus = load_corpus(write("\n".join("abcdefghijklmnopqrst")), level="char", seed=3)
    decoded = [
        "".join(map(corpus.vocabulary.decode, split)) for split in (corpus.train, corpus.valid)
    ]
    assert decoded == ["abcdefghijklmnop", "<unk><unk>"]
    assert len(corpus.test) == 2 and corpus.oov_rate == 1.0


def decoded(corpus, name):
    return "\n".join(map(corpus.vocabulary.decode, getattr(corpus, name)))


@pytest.mark.parametrize("share", [24, 30, 36, 40, 50])  # within a line, and at its ends
def test_two_shares_are_the_first_and_the_last_characters_in_order(write, share):
    text = "ab\nab\nbaa\nabab\nb"  # 16 characters and the end of the last line
    corpus = load_corpus(write(text), level="char", split=f"{share}/{100 - share}", seed=3)
    assert not corpus.has_test and corpus.test is corpus.valid
    cut = 17 * share // 100
    assert corpus.token_counts == {"train": cut, "valid": 17 - cut}
    assert corpus.sizes["valid"].bytes == corpus.sizes["test"].bytes == 17 - cut
    found = [s.tolist() for s in (*corpus.train, *corpus.valid)]
    # The line that is cut goes on from its last character, which is read and not predicted again.
    targets = [token for s in found for token in s[1:]]
    names = {n: token for n, token in enumerate(corpus.vocabulary.tokens)}
    names[corpus.vocabulary.end] = "\n"
    assert "".join(names[t] for t in targets) == text + "\n"


def test_two_shares_of_words_end_with_a_sentence(write):
    path = write("\n".join(f"{i} x" for i in range(10)))  # 30 tokens with the ends
    corpus = load_corpus(path, tokenized=True, split="88/12")
    assert decoded(corpus, "train") == "\n".join(f"{i} x" for i in range(9))  # to token 27 of 30
    assert len(corpus.valid) == 1


def test_three_shares_are_counted_in_sentences(write):
    path = write("\n".join(f"{i} x" for i in range(40)))
    corpus = load_corpus(path, tokenized=True, split="50/20/30")
    assert [len(getattr(corpus, name)) for name in ("train", "valid", "test")] == [20, 8, 12]
    one, other = (load_corpus(path, tokenized=True, **s) for s in ({}, {"split": "80/10/10"}))
    assert decoded(one, "train") == decoded(other, "train") and one.has_test


@pytest.mark.parametrize(
    "split", ["80", "80/20/", "90/5", "0/100", "100/0", "90/10.0", "25/25/25/25", "a/b", 90, None]
)
def test_shares_that_are_none_are_refused(write, split):
    with pytest.raises(RNNError, match=r"is no split; .* add up to 100, as in 90/10"):
        load_corpus(write("a\nb\nc\n"), split=split)


def test_a_split_of_three_texts_and_of_one_too_short_are_refused(write):
    three = {name: write("a\n", name) for name in ("train", "valid", "test")}
    with pytest.raises(RNNError, match="90/10 is of one text, and three are given; leave split"):
        load_corpus(**three, split="90/10")
    with pytest.raises(RNNError, match=r"too short for a split of 90/10"):
        load_corpus(write("A."), split="90/10")


def test_characters_keep_case_and_spaces(write):
    corpus = load_corpus(write("aB  \nc\nd\n"), level="char")
    assert corpus.vocabulary.decode(corpus.train[0]) == "aB  "
    assert corpus.vocabulary.tokens[3:] == [" ", "B", "a"]


@pytest.mark.parametrize("content, n", [("One.", 1), ("One. Two.", 2)])
def test_a_text_too_short_to_split_is_refused(write, content, n):
    with pytest.raises(RNNError, match=rf"has {n} sentences?, and each of the three"):
        load_corpus(write(content))


def test_wrong_combinations_are_refused(write):
    path = write("a\nb\nc\n")
    for kwargs, message in (
        ({"text": path, "train": path}, "not both"),
        ({"train": path, "valid": path}, "test is missing"),
        ({"test": path}, "train and valid are missing"),
        ({"column": "body"}, "is for a text, and none is given"),
        ({"tokenized": True}, "is for a text, and none is given"),
        ({"text": path, "level": "byte"}, "level 'byte' is unknown"),
        ({"text": path, "level": "char", "tokenized": True}, "for the level word"),
        ({"text": path, "seed": -1, "tokenized": True}, "seed must be"),
        ({"text": path, "seed": 0.5, "tokenized": True}, "seed must be"),
        ({"text": path, "vocab_size": 100, "tokenized": True}, "1 distinct tokens, 3 with"),
        ({"text": path, "vocab_size": 2, "tokenized": True}, "at least 3"),
    ):
        with pytest.raises(RNNError, match=message):
            load_corpus(**kwargs)
    for n, sentences in ((1, "1 sentence,"), (2, "2 sentences,")):
        with pytest.raises(RNNError, match=f"the text has {sentences} and each"):
            load_corpus(write("A.\n" * n, f"{n}.txt"), tokenized=True)
    with pytest.raises(RNNError, match="the valid split has no sentence"):
        build_corpus(["a"], [], ["b"])
    for no_list in ("a", b"a", {"a"}, None):
        with pytest.raises(RNNError, match="the test split must be a list of texts"):
            build_corpus(["a"], ["b"], no_list)


def test_text_of_nothing_but_unknown_tokens():
    corpus = build_corpus(["<unk> <unk>"], ["<unk>"], ["<unk>"], tokenized=True)
    assert corpus.vocabulary.tokens == ["</s>", "<unk>"]
    assert corpus.oov_rate == 1.0


def test_a_corpus_equals_itself_alone_and_can_be_a_key():
    one, other = (build_corpus(["a"], ["a"], ["a"]) for _ in range(2))
    assert one != other and len({one: 1, other: 2}) == 2


def test_csv_corpus_by_column(write):
    path = write("id,body\n1,One two. Three.\n2,Four.\n", "a.csv")
    corpus = load_corpus(path, column="body")
    assert sum(map(len, (corpus.train, corpus.valid, corpus.test))) == 3


def test_reading_a_corpus_does_not_import_theano():
    modules = "theano_rnn.text.corpus, theano_rnn.baselines.bigram"
    code = f"import sys, {modules}; assert 'theano' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# The default corpus


@pytest.mark.slow
def test_default_corpus_is_large_enough_and_always_the_same(sentences, default):
    assert python_sentences() == sentences  # in the same order
    assert 200_000 < sum(len(s.split()) for s in sentences) < 350_000
    assert sum(default.token_counts.values()) > 250_000
    assert default.vocabulary.size == 8000
    assert 0.005 < default.oov_rate < 0.03


@pytest.mark.slow
def test_no_sentence_of_the_default_corpus_is_in_two_splits(sentences, default):
    normal = [" ".join(s.lower().split()) for s in sentences]
    assert len(set(normal)) == len(normal)
    assert sum(map(len, (default.train, default.valid, default.test))) == len(normal)


@pytest.mark.slow
def test_counting_models_on_the_default_corpus(default):
    size = default.vocabulary.size
    unigram = unigram_perplexity(default.train, default.test, size)
    bigram = bigram_perplexity(default.train, default.valid, default.test, size)
    assert 300 < unigram < 450
    assert 90 < bigram < 140


@pytest.mark.slow
def test_default_corpus_at_char_level(sentences, monkeypatch):
    monkeypatch.setattr(corpus_module, "python_sentences", lambda: sentences)
    corpus = load_corpus(level="char")
    assert 80 < corpus.vocabulary.size < 150
    assert corpus.oov_rate < 0.001


# Real texts


def data(name):
    folder = os.environ.get("THEANO_RNN_DATA")
    if not folder or not Path(folder, name).is_file():
        pytest.skip(f"needs {name} in the folder that THEANO_RNN_DATA names")
    return Path(folder, name)


def test_war_and_peace():
    files = {name: data(f"warandpeace.{name}.txt") for name in ("train", "valid", "test")}
    corpus = load_corpus(**files)
    assert corpus.token_counts["train"] > 450_000
    assert 0.01 < corpus.oov_rate < 0.05
    size = corpus.vocabulary.size
    bigram = bigram_perplexity(corpus.train, corpus.valid, corpus.test, size)
    assert 120 < bigram < unigram_perplexity(corpus.train, corpus.test, size) / 2


def test_tiny_shakespeare_characters():
    path = data("tinyshakespeare.txt")
    corpus = load_corpus(path, level="char")
    assert sum(corpus.token_counts.values()) == len(path.read_text())
    assert corpus.vocabulary.decode(corpus.train[0]) == "First Citizen:"
    assert corpus.vocabulary.size <= 65 + 3


@pytest.mark.parametrize(
    "ends, hint",
    [("auto", "end with a full stop or with the line"), ("lines", "leave out --sentences")],
)
def test_a_text_of_one_line_is_told_what_it_lacks(tmp_path, ends, hint):
    (tmp_path / "one.txt").write_text("to be or not to be that is the question\n")
    with pytest.raises(RNNError, match=f"has 1 sentence.*{hint}"):
        load_corpus(tmp_path / "one.txt", sentences=ends)


def test_a_part_of_blank_lines_has_one_word(write):
    corpus = load_corpus(write("a = f(x)\nb = g(x)\n" * 8 + "\n\n\n"), level="char")
    assert corpus.sizes["valid"] == corpus.sizes["test"] == Size(words=1, bytes=1)


@pytest.mark.parametrize("level", LEVELS)
def test_words_of_long_paragraphs_are_counted_alike_at_all_levels(write, level):
    lines = [f"{'wording ' * n}ends." for n in (300, 301, 500)]
    path = write("\n\n".join(lines) + "\n")
    corpus = load_corpus(None, path, path, path, level=level)
    assert corpus.sizes["test"].words == 300 + 301 + 500 + 3 * 3


def test_the_words_of_verse_are_those_of_its_lines(write):
    lines = ["roses are red", "and violets are", "blue my love is"] * 10
    path = write("\n".join(lines) + "\n")
    corpus = load_corpus(None, path, path, path, level="char")
    assert corpus.sizes["test"] == Size(13 * 10, sum(map(len, lines)) + 30)
    assert corpus.ends == "lines"
    read = read_sentences(corpus.vocabulary, lines[:3], corpus.ends)
    assert read.size == Size(13, sum(map(len, lines[:3])) + 3)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "text",
    [
        "One ran. Two sat.\nThree.\n\nFour.\n",
        "roses are red\nand violets are\n",
        "the cat sat. the dog ran.\nit slept.\n",
        f"{'Wording ' * 1100}ends. It does. {'go ' * 700}on.\n",
        "One \x1c two.\x1d\nThree \x85 four. Ω\n",
    ],
    ids=["prose", "verse", "small", "long", "odd spaces"],
)
def test_a_text_is_the_same_in_a_split_and_alone(write, level, text):
    prose = write("The cat sat. A dog ran home. One two.\nThree goes on, and it ends.\n\n" * 20)
    path = write(text, "other.txt")
    corpus = load_corpus(None, prose, prose, path, level=level)
    read = read_text(corpus.vocabulary, path, sentences=corpus.ends)
    assert corpus.ends == "capitals"
    assert list(map(list, read.sequences)) == list(map(list, corpus.test))
    assert read.counts.sum() == len(corpus.test) and len(read.counts) == len(read.sentences)
    assert (read.size, read.oov_rate) == (corpus.sizes["test"], corpus.oov_rate)
    again = read_sentences(corpus.vocabulary, read.sentences, corpus.ends)
    assert (again.size, again.oov_rate) == (read.size, read.oov_rate)


def test_a_long_sentence_is_several_sequences_of_one_sentence(write):
    vocabulary = Vocabulary.train(["go on"])
    read = read_text(vocabulary, write(f"Go on. {'go ' * 2499}on.\n\nGo."))
    assert read.counts.tolist() == [1, 3, 1]
    assert [len(s) - 1 for s in read.sequences] == [4, 1000, 1000, 502, 3]
