"""The text of files, in pieces: decoded, joined, in Unicode's normal form NFC."""

import codecs
import contextlib
import csv
import errno
import glob
import io
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Callable, Optional, Union

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike
from theano_rnn.common.validation import shown

#: Bytes that are read at once, and the most characters of a line in one piece.
PIECE = 2**20
#: The name that stands for standard input.
STANDARD_INPUT = "-"

#: One file, or several; a name with * or ? stands for all files that it matches.
Paths = Union[PathLike, Sequence[PathLike]]
#: What is called after each piece: the bytes read so far, and all of them if that is known.
Progress = Callable[[int, Optional[int]], None]


def expanded(paths: Paths) -> list[Path]:
    """The files that are meant, in the order given; those of a pattern sorted by name.

    Raises
    ------
    RNNError
        If a pattern matches no file, or no file is given.
    """
    found: list[Path] = []
    if not isinstance(paths, (str, os.PathLike, Sequence)):
        raise RNNError(f"a text is a path or a list of paths, not {shown(paths)}")
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        try:
            name = os.fspath(path)
            is_pattern = _is_pattern(name)
        except (TypeError, ValueError):
            raise RNNError(f"the text is {shown(path)}; pass the name of a file") from None
        if is_pattern:
            matches = sorted(filter(os.path.isfile, glob.iglob(name, recursive=True)))
            if not matches:
                raise RNNError(f"no file matches {name!s:.200}; give another pattern")
            found.extend(map(Path, matches))
        else:
            found.append(Path(name))
    if not found:
        raise RNNError("the text has no file; give at least one")
    return found


def absolute(paths: Any) -> Any:
    """The same files, named from the root; what is no path, and standard input, as it is."""
    if isinstance(paths, (list, tuple)):
        return [absolute(path) for path in paths]
    if not isinstance(paths, (str, os.PathLike)) or str(paths) == STANDARD_INPUT:
        return paths
    name = os.fspath(paths)
    if _is_pattern(name):  # the folder that it is in is none
        return os.path.join(glob.escape(os.getcwd()), name)
    return os.path.abspath(name)


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not os.path.lexists(name)


def read_pieces(
    paths: Paths,
    column: Optional[str] = None,
    encoding: str = "utf-8",
    progress: Optional[Progress] = None,
    normal: bool = True,
    most: Optional[int] = None,
) -> Iterator[str]:
    r"""The text of some files in pieces, with every line end a ``\n`` and without U+FEFF.

    A blank line is put between two files. No file is held in memory.

    Parameters
    ----------
    paths : path, or sequence of paths
        See ``expanded``; ``-`` is standard input. A plain text, or a CSV file (``.csv``; ``.tsv``
        with tabs) with a header line.
    column : str, optional
        The column of the CSV files that holds the text. A blank line separates its cells.
    encoding : str
        As Python names it.
    progress : function, optional
        See ``Progress``.
    normal : bool
        In Unicode's normal form NFC, in which one character is one code point where it can be.
    most : int, optional
        More bytes are refused.

    Yields
    ------
    str
        A piece ends with a newline, or between two words of a very long line.

    Raises
    ------
    RNNError
        If a file is missing, a folder, empty or not of this encoding; if it is a CSV file without
        this column or with a row longer than its header, or if a column is given for a file that
        is no CSV file.
    """
    known_encoding(encoding)
    found = expanded(paths)
    delimiters = [_delimiter(path, column) for path in found]
    total, size = _total(found), 0

    def count(more: int) -> None:
        nonlocal size
        size += more
        if most is not None and size > most:
            raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes, the limit here")
        if progress is not None:
            progress(size, total)

    ends_line = True
    for number, (path, delimiter) in enumerate(zip(found, delimiters)):
        name = "standard input" if str(path) == STANDARD_INPUT else str(path)[:200]
        texts = _decoded(path, name, encoding, count)
        if delimiter is None:
            pieces = _whole_lines(texts, PIECE)
        else:
            pieces = _cells(_whole_lines(texts, sys.maxsize), column, delimiter, name)
        if number:
            yield "\n" if ends_line else "\n\n"
        is_empty = ends_line = True
        for piece in pieces:
            if "\0" in piece:
                raise RNNError(
                    f"{name} has NUL characters, so it is no text in {encoding.upper()}; give its "
                    "--encoding, such as utf-16-le, or save it as text"
                )
            is_empty = is_empty and not piece.strip()
            ends_line = piece.endswith("\n")
            yield unicodedata.normalize("NFC", piece) if normal else piece
        if is_empty and column is None:
            raise RNNError(
                f"{name} {_WITHOUT_TEXT.get(str(path), 'has no text; give another file')}"
            )
        if is_empty:
            raise RNNError(f"column {column!r} of {name} is empty; give a column with text in it")


_WITHOUT_TEXT = {
    STANDARD_INPUT: "has no text; pipe some in, as in: cat FILE | ... (a run that was trained on "
    "standard input needs the same text again)"
}


def known_encoding(name: str) -> str:
    """The name, which must be that of a text encoding; RNNError otherwise."""
    try:
        if getattr(codecs.lookup(name), "_is_text_encoding", True):
            codecs.getincrementaldecoder(name)
            return name
    except (LookupError, ValueError, TypeError):
        pass
    raise RNNError(
        f"encoding {shown(name)} is unknown; use utf-8, utf-16, cp1252, gb18030 or another of "
        "Python's"
    )


def _delimiter(path: Path, column: Optional[str]) -> Optional[str]:
    """The delimiter of a CSV file; None for a plain text."""
    if str(path) == STANDARD_INPUT:
        return "," if column is not None else None
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    if column is not None and delimiter is None:
        raise RNNError(
            f"a column needs a .csv or .tsv file, but {path!s:.200} is none; leave the column out"
        )
    return delimiter


def _total(paths: Sequence[Path]) -> Optional[int]:
    """The bytes of all files; None if that is not known."""
    try:
        sizes = [os.stat(path).st_size for path in paths if str(path) != STANDARD_INPUT]
    except (OSError, ValueError):
        return None
    return sum(sizes) if len(sizes) == len(paths) and all(sizes) else None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == STANDARD_INPUT:
        if sys.stdin.isatty():
            raise RNNError(f"standard input {_WITHOUT_TEXT[STANDARD_INPUT]}")
        yield sys.stdin.buffer
    else:
        with open(path, "rb") as file:
            yield file


def _decoded(path: Path, name: str, encoding: str, count: Callable[[int], None]) -> Iterator[str]:
    """The text of a file in pieces of any length."""
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    size = 0
    try:
        with _opened(path) as file:
            while True:
                data = file.read(PIECE)
                for begin, what in DOCUMENTS.items():
                    if size == 0 and data.startswith(begin):
                        raise RNNError(f"{name} is {what}: save it as text")
                held = len(decoder.getstate()[0])
                text = decoder.decode(data, not data)
                size += len(data)
                count(len(data))
                yield newlines.decode(text, not data).replace("\ufeff", "")
                if not data:
                    return
    except OSError as error:
        of_folder = "; give its files, as in 'FOLDER/*.txt'" if path.is_dir() else ""
        raise RNNError(f"{name} cannot be read: {files.reason(error)}{of_folder}") from None
    except UnicodeDecodeError as error:
        at = size - held + error.start
        raise RNNError(
            f"{name} is not {encoding.upper()}: byte {at} (0x{error.object[error.start]:02x}), "
            f"{error.reason}; {_otherwise(error.object, at)}"
        ) from None
    except UnicodeError as error:  # of UTF-16 without a byte order mark
        raise RNNError(f"{name} is not {encoding.upper()}: {error}; give its --encoding") from None
    except RNNError:
        raise
    except ValueError as error:
        raise RNNError(f"{name} cannot be read: {error}") from None  # a NUL in its name


#: What a file of another program begins with, and what it is.
DOCUMENTS = {b"%PDF-": "a PDF", b"{\\rtf": "an RTF file", b"\xd0\xcf\x11\xe0": "a Word file"}
#: What a packed file begins with, and what unpacks it.
PACKED = {
    b"\x1f\x8b": "gunzip -c",
    b"BZh": "bunzip2 -c",
    b"\xfd7zXZ": "unxz -c",
    b"PK": "unzip -p",
}


def _otherwise(data: bytes, at: int) -> str:
    """What to do with bytes that are no text in an encoding; ``at`` is the first such byte."""
    if data.startswith(b"PK") and b"word/" in data[:4000]:
        return "it is a Word file: save it as text"
    for begin, unpack in PACKED.items():
        if at < 64 and data.startswith(begin):
            return f"it is packed: pipe it in, as in: {unpack} FILE | ... --text -"
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "convert it to UTF-8, or give its --encoding, utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and at < 2:
        return "convert it to UTF-8, or give its --encoding, utf-16"
    if b"\0" in data[:1000]:
        return "it is no text; give a file with text in it"
    return "convert it to UTF-8, or give its --encoding, such as cp1252"


def _whole_lines(texts: Iterable[str], most: int) -> Iterator[str]:
    """The same text, cut at newlines; a line of more than ``most`` characters between words."""
    rest = ""
    for text in texts:
        end = text.rfind("\n") + 1
        if end:
            yield rest + text[:end]
            rest = text[end:]
        else:
            rest += text
        if len(rest) > most:
            cut = rest.rfind(" ") + 1 or _between_letters(rest)
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
    if rest:
        yield rest


def _between_letters(text: str) -> int:
    """The last place where no character of several code points is cut; 0 if none is near."""
    for i in range(len(text) - 1, max(0, len(text) - 100), -1):
        before, after = text[max(0, i - 4) : i], text[i : i + 4]
        kinds = unicodedata.category(before[-1])[0], unicodedata.category(after[0])[0]
        # Letters can be joined too, as those of a syllable of Hangul.
        joined, *parts = (unicodedata.normalize("NFC", s) for s in (before + after, before, after))
        if kinds[0] in "LNPM" and kinds[1] in "LNP" and joined == "".join(parts):
            return i
    return 0


def _cells(
    pieces: Iterable[str], column: Optional[str], delimiter: str, name: str
) -> Iterator[str]:
    """The cells of a column that are not empty, each but the first after a blank line.

    White space before a cell is no part of it: ``1, "a, b"`` is two cells.
    """
    limit = csv.field_size_limit(sys.maxsize)  # a document can be longer than the 128 KiB allowed
    lines = (line for piece in pieces for line in io.StringIO(piece))
    # Not a DictReader, which visits every column of the header for every row.
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        columns = [cell.strip() for cell in next(filter(None, rows), [])]
        if column is None or column.strip() not in columns:
            wrong = "give its --column NAME" if column is None else f"no column {column!r}"
            names = ", ".join(f"{known!r:.60}" for known in columns[:20])
            raise RNNError(f"{name}: {wrong}; its columns are {names}")
        at = len(columns) - 1 - columns[::-1].index(column.strip())  # the last of that name
        between = ""
        for row in rows:
            if len(row) > len(columns):
                raise RNNError(
                    f"line {rows.line_num} of {name} has {len(row)} cells, and the header has "
                    f"{len(columns)}; put quotes around a cell with a {delimiter!r} in it"
                )
            if len(row) > at and row[at]:
                yield between + row[at]
                between = "\n\n"
    except csv.Error as error:
        raise RNNError(f"line {rows.line_num} of {name} is not CSV: {error}; mend it") from None
    finally:
        csv.field_size_limit(limit)


def read_whole(
    path: Paths,
    column: Optional[str] = None,
    encoding: str = "utf-8",
    most: Optional[int] = None,
) -> str:
    """The text of some files in one string; the arguments are those of ``read_pieces``."""
    return "".join(read_pieces(path, column, encoding, most=most))
