"""What a token is, which id it gets, and that a file brings the same vocabulary back."""

import json
from collections import Counter

import numpy as np
import pytest
from conftest import first

from theano_rnn.common.errors import RNNError
from theano_rnn.text.vocabulary import Vocabulary

FORMS = {"word": ("word", False), "char": ("char", False), "tokenized": ("word", True)}
TEXT = ["the cat sat on the mat .", "The <unk> dog !", "naïve cats , 3.14 of 1,000 — 猫 🙂"]


def words(sentence):
    """The tokens of a sentence, as the vocabulary cuts it."""
    vocabulary = Vocabulary.train([sentence])
    return [vocabulary.tokens[i] for i in vocabulary.encode(sentence)[1:-1]]


def train(form, sentences=TEXT, size=None):
    level, tokenized = FORMS[form]
    return Vocabulary.train(sentences, level, size, tokenized)


def test_ids_are_specials_then_falling_frequency_then_text():
    assert train("word", ["b a c c", "d d a b c"]).tokens == (
        ["<s>", "</s>", "<unk>", "c", "a", "b", "d"]
    )
    assert train("char", ["bB", "aab"]).tokens == ["<s>", "</s>", "<unk>", "a", "b", "B"]
    assert train("tokenized", ["b B N", "N <unk>"]).tokens == ["</s>", "<unk>", "N", "B", "b"]


@pytest.mark.parametrize("form", FORMS)
def test_ids_do_not_depend_on_the_order_of_the_sentences(form):
    assert train(form).tokens == train(form, TEXT[::-1]).tokens


@pytest.mark.parametrize("form", FORMS)
def test_every_training_token_is_counted_as_encode_cuts_it(form):
    vocabulary = train(form)
    ids = np.concatenate([vocabulary.encode(s)[1:-1] for s in TEXT])
    counts = Counter(ids[ids != vocabulary.unknown].tolist())
    first = 2 if form == "tokenized" else 3
    assert set(counts) == set(range(first, vocabulary.size))
    frequencies = [counts[i] for i in range(first, vocabulary.size)]
    assert frequencies == sorted(frequencies, reverse=True)
    literal = 1 if form == "tokenized" else 0  # <unk> is spelled once in the text
    assert np.sum(ids == vocabulary.unknown) == literal


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("Don't, can't; isn’t!", ["do", "n't", ",", "ca", "n't", ";", "is", "n’t", "!"]),
        ("It's we'll I'd dogs'", ["it", "'s", "we", "'ll", "i", "'d", "dogs", "'"]),
        ("3.14 10,000 1st x86 3.", ["3.14", "10,000", "1st", "x86", "3", "."]),
        ("snake_case __init__ _it_", ["snake_case", "__init__", "_", "it", "_"]),
        ("wait... what--no?!", ["wait", "...", "what", "--", "no", "?", "!"]),
        ("“ÉTÉ” e\u0301t 猫🙂", ["“", "été", "”", "\u00e9t", "猫", "🙂"]),
    ],
)
def test_words_are_cut_as(sentence, expected):
    assert words(sentence) == expected


@pytest.mark.parametrize("form", ["word", "char"])
def test_text_that_spells_a_special_token_does_not_become_one(form):
    vocabulary = train(form, ["<s> a </s> b <unk> [UNK]"])
    ids = vocabulary.encode("<s> a </s> b <unk> [UNK]")
    assert ids[0] == vocabulary.start and ids[-1] == vocabulary.end
    assert not set(ids[1:-1].tolist()) & {vocabulary.start, vocabulary.end, vocabulary.unknown}


def test_tokenized_text_is_unchanged_and_its_unk_is_the_unknown_token():
    vocabulary = train("tokenized", ["Mr. <unk> 's N n't"])
    assert vocabulary.start == vocabulary.end == 0
    assert "<s>" not in vocabulary.tokens
    assert vocabulary.encode("Mr. <unk> mr.").tolist() == [
        0,
        vocabulary.tokens.index("Mr."),
        vocabulary.unknown,
        vocabulary.unknown,
        0,
    ]


def test_tokenized_text_may_not_contain_the_end_token():
    with pytest.raises(RNNError, match=r"contains </s> 2 times"):
        train("tokenized", ["a </s>", "b </s>"])
    with pytest.raises(RNNError, match="contains </s>; remove it"):
        train("tokenized").encode("a </s> b")


def test_encode_is_a_1d_int64_array_even_of_nothing():
    vocabulary = train("word")
    for sentence, expected in (("", [0, 1]), ("   ", [0, 1]), ("zzz", [0, 2, 1])):
        ids = vocabulary.encode(sentence)
        assert ids.dtype == np.int64 and ids.tolist() == expected


def test_newline_at_char_level_is_unknown():
    vocabulary = train("char", ["ab"])
    assert vocabulary.encode("a\nb").tolist() == [0, 3, 2, 4, 1]


@pytest.mark.parametrize("form", ["char", "tokenized"])
def test_decode_undoes_encode(form):
    vocabulary = train(form)
    for sentence in TEXT:
        assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        'he didn\'t say "no way" (really), did he?',
        "it's 3.14... or [10,000]; we'll see!",
        "a -- b: “yes” 50% off",
        "the 'name' of it.",
    ],
)
def test_decode_puts_the_usual_spaces(sentence):
    vocabulary = Vocabulary.train([sentence])
    assert vocabulary.decode(vocabulary.encode(sentence)) == sentence


def test_decode_shows_inner_ends_as_newlines_and_unknown_by_name():
    vocabulary = train("word", ["a b"])
    assert vocabulary.decode([0, 3, 1, 0, 4, 2, 1]) == "a\nb <unk>"
    assert vocabulary.decode([]) == "" and vocabulary.decode([0]) == ""
    tokenized = train("tokenized", ["a b"])
    assert tokenized.decode([0, 2, 0, 3, 0]) == "a\nb"


@pytest.mark.parametrize("index", [-1, 5])
def test_decode_refuses_an_id_outside_the_vocabulary(index):
    with pytest.raises(RNNError, match=f"id {index} is not in the vocabulary"):
        train("word", ["a b"]).decode([0, index])


def test_size_counts_the_special_tokens():
    assert train("word", ["a b b"], size=4).tokens == ["<s>", "</s>", "<unk>", "b"]
    assert train("tokenized", ["a b b"], size=3).tokens == ["</s>", "<unk>", "b"]
    assert train("word", ["a b b"], size=5).size == 5


def test_size_left_out_is_at_most_8000_but_all_of_a_tokenized_text():
    sentence = " ".join(f"w{i}" for i in range(9000))
    assert train("word", [sentence]).size == 8000
    assert train("tokenized", [sentence]).size == 9002
    assert train("word", ["a"]).size == 4


@pytest.mark.parametrize(
    "size, message",
    [
        (6, r"has 2 distinct tokens, 5 with <s>, </s>, <unk>; ask for at most 5"),
        (3, "at least 4, not 3"),
        (-1, "at least 4, not -1"),
        (4.0, "whole number"),
        (True, "whole number"),
        ("8000", "whole number"),
    ],
)
def test_wrong_sizes_are_refused(size, message):
    with pytest.raises(RNNError, match=message):
        train("word", ["a b"], size=size)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [None, 3, ["a"], "a\ud800"])
def test_what_is_not_unicode_text_is_refused(form, bad):
    with pytest.raises(RNNError, match="is not Unicode text"):
        train(form, [bad])
    with pytest.raises(RNNError, match="is not Unicode text"):
        train(form).encode(bad)


def test_no_tokens_no_vocabulary():
    for sentences in ([], [""], ["  "]):
        with pytest.raises(RNNError, match="the text is empty"):
            Vocabulary.train(sentences)


def test_unknown_level_and_tokenized_characters_are_refused():
    with pytest.raises(RNNError, match="level 'byte' is unknown"):
        Vocabulary.train(["a"], "byte")
    with pytest.raises(RNNError, match="for the level word"):
        Vocabulary.train(["a"], "char", tokenized=True)
    with pytest.raises(RNNError, match="begin with"):
        Vocabulary(["a", "b"])
    with pytest.raises(RNNError, match="5 tokens, 4 distinct"):
        Vocabulary(["<s>", "</s>", "<unk>", "a", "a"])


@pytest.mark.parametrize("form", FORMS)
def test_a_loaded_vocabulary_behaves_as_the_saved_one(form, tmp_path):
    saved = train(form)
    saved.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    for name in ("tokens", "size", "level", "tokenized", "start", "end", "unknown"):
        assert getattr(loaded, name) == getattr(saved, name)
    for sentence in [*TEXT, "THE unseen"]:
        assert loaded.encode(sentence).tolist() == saved.encode(sentence).tolist()
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    train("word").save(path)
    whole = path.read_bytes()
    assert Vocabulary.load(path).size == train("word").size
    tampered = []
    for change in (
        lambda stored: stored["model"]["vocab"].pop("cat"),
        lambda stored: stored["model"]["vocab"].update(cat=0),
        lambda stored: stored["model"]["vocab"].update(cat="7"),
        lambda stored: stored["model"].update(vocab=[5, 6]),
        lambda stored: stored["model"].update(unk_token="cat"),
        lambda stored: stored.update(normalizer=None),
        lambda stored: stored.update(post_processor=None),
        lambda stored: stored.pop("model"),
    ):
        stored = json.loads(whole)
        change(stored)
        tampered.append(json.dumps(stored).encode())
    deep = b"[" * 100_000
    for damage in [*tampered, b"", b"{}", b"[]", b"3", whole[:-20], b"\xff" + whole, deep]:
        path.write_bytes(damage)
        with pytest.raises(RNNError, match=r"damaged|not a vocabulary that this package saved"):
            Vocabulary.load(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(RNNError, match="cannot be read"):
            Vocabulary.load(path)
    with pytest.raises(RNNError, match=r"tokenizer\.json cannot be written"):
        train("word").save(tmp_path / "none" / "tokenizer.json")


@pytest.mark.parametrize(
    "word, repeats, tokens",
    first(1, [("ana’", 100_000, 200_000), ("a", 11_000_000, 1), ("1.,", 100_000, 300_000)]),
)
def test_hostile_words_do_not_make_the_library_panic(word, repeats, tokens):
    # A backtracking pattern gives up, as a panic, after ten million steps in one match.
    assert len(Vocabulary.train(["a"]).encode(word * repeats)) == tokens + 2
