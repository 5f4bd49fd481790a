"""Subwords: what they are, that no text is unknown, and that they are always the same."""

import subprocess
import sys

import numpy as np
import pytest

from theano_rnn.common.errors import RNNError
from theano_rnn.text.corpus import load_corpus
from theano_rnn.text.vocabulary import Vocabulary

SENTENCES = ["low low low lower", "newest newest widest", "low"] * 4
STRANGE = ["Zebra 猫🙂!", "<s> </s> <unk>", "  two  spaces\t", "e\u0301t\u00e9", "می\u200cخواهم"]


def test_frequent_pairs_become_tokens_and_words_begin_with_a_space():
    vocabulary = Vocabulary.train(SENTENCES, "bpe")
    assert vocabulary.tokens[:3] == ["<s>", "</s>", "<unk>"]
    assert len(set(vocabulary.tokens)) == vocabulary.size > 3 + 256
    ids = vocabulary.encode("low lower")
    assert [vocabulary.tokens[i] for i in ids] == ["<s>", "low", "Ġlower", "</s>"]


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_is_decoded_to_what_it_was(text):
    vocabulary = Vocabulary.train(SENTENCES, "bpe")
    ids = vocabulary.encode(text)
    assert vocabulary.unknown not in ids
    assert vocabulary.decode(ids) == text.replace("e\u0301", "\u00e9")
    assert "".join(vocabulary.pieces(ids[:-1])) == vocabulary.decode(ids)


def test_a_size_has_room_for_the_bytes_and_is_no_larger_than_the_text_makes():
    with pytest.raises(RNNError, match="256 bytes and <s>, </s>, <unk>; ask for at least 259"):
        Vocabulary.train(SENTENCES, "bpe", 258)
    assert Vocabulary.train(SENTENCES, "bpe", 262).size == 262
    with pytest.raises(RNNError, match=r"is 5000, but the training split makes \d+ tokens"):
        Vocabulary.train(SENTENCES, "bpe", 5000)


def test_a_saved_vocabulary_cuts_as_before(tmp_path):
    saved = Vocabulary.train(SENTENCES, "bpe", lower=True)
    saved.save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert (loaded.tokens, loaded.form) == (saved.tokens, saved.form)
    for text in [*SENTENCES, *STRANGE]:
        assert loaded.encode(text).tolist() == saved.encode(text).tolist()


def test_another_process_finds_the_same_tokens():
    code = "from theano_rnn.text.vocabulary import Vocabulary as V; import sys\n"
    code += "print(V.train(eval(sys.argv[1]), 'bpe').tokens)"
    arguments = [sys.executable, "-c", code, repr(SENTENCES)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert eval(found.stdout) == Vocabulary.train(SENTENCES, "bpe").tokens


def test_all_levels_measure_a_text_by_the_same_words_and_bytes(tmp_path):
    for name in ("train", "valid", "test"):
        lines = "".join(f"The dog isn't {n}, é.\n" for n in range(12))
        (tmp_path / name).write_text(lines, encoding="utf-8")
    files = {name: tmp_path / name for name in ("train", "valid", "test")}
    found = {level: load_corpus(**files, level=level) for level in ("word", "char", "bpe")}
    assert [c.sizes for c in found.values()] == [found["word"].sizes] * 3
    size = found["word"].sizes["test"]
    # the, dog, is, n't, the number, a comma, é, a full stop, and the end
    assert (size.words, size.bytes) == (12 * 9, (tmp_path / "test").stat().st_size)
    for level, corpus in found.items():
        assert corpus.oov_rate == 0, level
        assert all(s.dtype == np.int64 for s in corpus.test)
    assert found["word"].token_counts["test"] == size.words
    assert found["char"].token_counts["test"] == size.bytes - 12  # é is two bytes
