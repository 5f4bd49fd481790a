"""Files in pieces: several of them, encodings, line ends, normal form, CSV, standard input."""

import gzip
import io
import re
import sys
import unicodedata

import pytest

from theano_rnn.common.errors import RNNError
from theano_rnn.text import reading
from theano_rnn.text.corpus import load_corpus
from theano_rnn.text.reading import absolute, read_pieces, read_whole


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write


def test_several_files_and_patterns_are_one_text_with_blank_lines_between(write, tmp_path):
    a, b = write("\ufeffone\n", "a.txt"), write("\ufefftwo\ufeff", "b.txt")
    write("three\n", "c.md")
    assert read_whole([b, a]) == "two\n\none\n"
    assert read_whole(str(tmp_path / "*.txt")) == "one\n\ntwo"
    assert read_whole([tmp_path / "[b-z].*", a]) == "two\n\nthree\n\none\n"
    write("odd\n", "[a].txt")  # a file of that name is no pattern
    assert read_whole(tmp_path / "[a].txt") == "odd\n"
    with pytest.raises(RNNError, match=r"no file matches .*\*\.html; give another"):
        read_whole([a, tmp_path / "*.html"])
    with pytest.raises(RNNError, match="no file; give at least one"):
        read_whole([])
    with pytest.raises(RNNError, match="the text is 3; pass the name"):
        read_whole([a, 3])


def test_standard_input_is_read_once_and_stays_what_it_is(monkeypatch, write):
    class Input:
        buffer = io.BytesIO(b"one\r\ntwo\r")
        is_terminal = False

        @classmethod
        def isatty(cls):
            return cls.is_terminal

    monkeypatch.setattr(sys, "stdin", Input)
    assert read_whole(["-", write("three")]) == "one\ntwo\n\nthree"
    Input.buffer = io.BytesIO(b"\xff")
    with pytest.raises(RNNError, match="standard input is not UTF-8: byte 0"):
        read_whole("-")
    again = r"standard input has no text; pipe some in, .* needs the same text again\)"
    for Input.buffer, Input.is_terminal in ((io.BytesIO(b""), False), (None, True)):
        with pytest.raises(RNNError, match=again):
            read_whole("-")
    assert absolute("-") == "-"
    assert absolute(["-", "/a/../b"]) == ["-", "/b"]


@pytest.mark.parametrize("data, what_to_do", [
    (gzip.compress(b"text", mtime=0), "packed: pipe it in, as in: gunzip -c FILE | ... --text -"),
    (bytes(range(256)), "it is no text; give a file with text in it"),
    (b"PK\3\4\xff word/document.xml", "it is a Word file: save it as text"),
    (b"%PDF-1.4\nplain", "is a PDF: save it as text"),
    ("text".encode("utf-16-le"), "has NUL characters, so it is no text in UTF-8; give its --enc"),
    ("text".encode("utf-16"), "or give its --encoding, utf-16"),
    ("caf\xe9".encode("cp1252"), "or give its --encoding, such as cp1252"),
], ids=["gzip", "binary", "docx", "pdf", "utf-16-le", "utf-16", "cp1252"])  # fmt: skip
def test_what_is_no_utf8_is_told_what_to_do(write, data, what_to_do):
    with pytest.raises(RNNError, match=re.escape(what_to_do)) as error:
        read_whole(write(data))
    assert str(error.value).count(".txt") <= 1  # the file is named once


def test_of_a_folder_its_files_are_wanted(tmp_path):
    with pytest.raises(RNNError, match=r"give its files, as in 'FOLDER/\*\.txt'"):
        read_whole(tmp_path)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_the_text_does_not_depend_on_the_pieces(write, monkeypatch, piece, encoding):
    monkeypatch.setattr(reading, "PIECE", piece)
    text = "e\u0301te\u0301 une longue ligne\r\n猫🙂\ra\r\n\r\nthe  end "
    found = list(read_pieces(write(text.encode(encoding)), encoding=encoding))
    assert "".join(found) == "\u00e9t\u00e9 une longue ligne\n猫🙂\na\n\nthe  end "
    assert all(part.endswith(("\n", " ")) for part in found) or piece < 7


def test_a_line_without_spaces_is_cut_between_characters(write, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 50)
    for letters in ("e\u0301", "\u1112\u1161\u11ab", "猫", "👨\u200d👩"):
        text = letters * 99 + "."
        pieces = list(read_pieces(write(text)))
        assert "".join(pieces) == unicodedata.normalize("NFC", text)
        assert len(pieces) > 1 or letters[0] == "👨"


def test_an_encoding_is_known_and_that_of_the_file(write):
    path = write("café".encode("cp1252"))
    assert read_whole(path, encoding="cp1252") == "café"
    with pytest.raises(RNNError, match=r"not UTF-8: byte 3 \(0xe9\).*--encoding, such as cp1252"):
        read_whole(path)
    with pytest.raises(RNNError, match=r"is not UTF-16: .*BOM"):
        read_whole(path, encoding="utf-16")
    for unknown in ("utf-9", "rot13", 3):
        with pytest.raises(RNNError, match=r"encoding .* is unknown; use utf-8"):
            read_whole(path, encoding=unknown)


def test_progress_is_told_from_the_first_piece_on(write, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 4)
    told = []
    files = [write("abcdef", "a"), write("gh", "b")]
    list(read_pieces(files, progress=lambda *sizes: told.append(sizes)))
    assert told == [(4, 8), (6, 8), (6, 8), (8, 8), (8, 8)]


def test_a_space_before_a_quote_is_no_part_of_a_cell(write):
    content = 'id, body\n1, "Well, he left. Then she came."\n2,  plain\n'
    assert read_whole(write(content, "a.csv"), "body") == "Well, he left. Then she came.\n\nplain"


@pytest.mark.parametrize("row, cells", [("1,One, two", 3), ("2,a,b,,", 5)])
def test_a_row_with_more_cells_than_the_header_is_refused_by_its_line(write, row, cells):
    path = write(f'id,body\n0,"x\ny"\n{row}\n', "a.csv")
    with pytest.raises(RNNError, match=rf"line 4 of .*\.csv has {cells} cells, and the header.*2"):
        read_whole(path, "body")


def test_a_text_with_unknown_tokens_spelled_out_gets_a_hint(write):
    path = write("The <unk> left. It was N.\n" * 9)
    (note,) = load_corpus(path).notes
    assert "<unk> 9 times" in note and "--tokenized" in note
    for form in ({"tokenized": True}, {"level": "char"}, {"level": "bpe"}):
        assert load_corpus(path, **form).notes == ()


def test_a_pattern_is_found_in_a_folder_whose_name_has_brackets(tmp_path, monkeypatch):
    (tmp_path / "a [1]").mkdir()
    (tmp_path / "a [1]" / "x.txt").write_text("one")
    monkeypatch.chdir(tmp_path / "a [1]")
    assert read_whole(absolute("*.txt")) == read_whole(absolute("x.txt")) == "one"


def test_the_encoding_of_a_byte_order_mark_is_named(tmp_path):
    for encoding in ("utf-16", "utf-32"):
        path = tmp_path / encoding
        path.write_text("one two", encoding=encoding)
        with pytest.raises(RNNError, match=f"or give its --encoding, {encoding}$"):
            read_whole(path)
        assert read_whole(path, encoding=encoding) == "one two"
