"""The default text: the English in Python's own documentation, which every machine has.

It comes from the language reference (``pydoc_data.topics``) and from the docstrings of the
standard library, whose files are parsed and never imported. The documents are cut into blocks of
running text, without markup and code, and these into sentences. Each sentence is taken once.
"""

import ast
import importlib
import inspect
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union

from theano_rnn.common.errors import RNNError
from theano_rnn.common.files import read
from theano_rnn.common.types import PathLike
from theano_rnn.common.validation import shown
from theano_rnn.text.sentences import split_sentences

# Most bytes of a Python file; the largest of the standard library has a fifth of it.
LONGEST_SOURCE = 2**22
# Folders of tests, applications, generated tables, and packages installed beside the library.
SKIPPED = set(
    "test tests idle_test idlelib lib2to3 turtledemo site-packages dist-packages __pycache__ "
    "pydoc_data ensurepip encodings".split()
)
# An English sentence has some of these; a table, a signature or a list of names has none.
COMMON = set(
    "a an the this that these those it its they there of to in on at by for from with without as "
    "is are was be been has have had do does not no and or but if when can may will should must "
    "which what who how only all any each into than then you we".split()
)
BULLET = re.compile(r"(?:[-*+•]|\(?\d{1,3}[.)]|\(?[a-zA-Z]\)|#\.)\s+(?=\S)")
RULE = re.compile(r"([^\w\s])\1{2,}")  # ===== under a title
LITERAL = re.compile(r"\.\. (?:code|doctest|testcode|productionlist)")
FIELD = re.compile(
    r"[:@](?:param|arg|type|return|returns|rtype|raise|raises|keyword)\b[^:]{0,60}:"
)
# "name(args) -- text", "name: Text"
TERM = re.compile(
    r"""[\w.*\[\]'"]{1,60}(?:\([^()]{0,200}\))?\s*--?\s+|[a-z_][\w.]{0,60}:\s+(?=[A-Z"'])"""
)
CODE = re.compile(r"[#`|\\@{}]|==|->|>>>|\*\*")
PLAIN = re.compile(r"""["'(]{0,2}[A-Za-z]+(?:['/-][A-Za-z]+)*["').,;:!?]{0,4}""")
MARKUP = [
    (re.compile(r":[a-z:]{1,20}:`~?[.!]?([^`<>]{1,200})`"), r"\1"),  # :class:`name`
    (re.compile(r":[a-z:]{1,20}:`([^`<>]{1,200}) <[^`<>]{1,200}>`"), r"\1"),
    (re.compile(r"``([^`]{1,200})``"), r"\1"),
    (re.compile(r"`([^`<>]{1,200}?)(?: <[^`<>]{1,200}>)?`_{0,2}"), r"\1"),
    (re.compile(r"`([^`']{1,100})'"), r"\1"),  # `name' of old docstrings
    (re.compile(r"(?<![\w*])\*{1,2}([^\s*](?:[^*]{0,200}[^\s*])?)\*{1,2}(?![\w*])"), r"\1"),
    (re.compile(r'"([\w.]{1,60}(?:\(\))?)"'), r"\1"),  # "name", code in the topics
    (re.compile("[“”]"), '"'),
    (re.compile("[‘’]"), "'"),
    (re.compile(r"(?<=[a-z])- (?=[a-z])"), "-"),  # "built- in", broken at the line's end
]


#: Syntax that may have a docstring.
Documented = Union[ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef]


def python_sentences(library: Optional[PathLike] = None) -> list[str]:
    """The sentences of Python's documentation, in a fixed order, each once.

    Parameters
    ----------
    library : path, optional
        A folder of Python files with docstrings. By default the standard library of this
        interpreter, and its language reference if that is installed.

    Raises
    ------
    RNNError
        If there is no sentence.
    """
    documents = [] if library is not None else _topics()
    try:
        folder = Path(sysconfig.get_path("stdlib") if library is None else library)
    except TypeError:
        raise RNNError(f"the library is {shown(library)}; pass the path of a folder") from None
    documents.extend(_docstrings(folder))
    sentences: dict[str, str] = {}
    for document in documents:
        for sentence in english(document):
            sentences.setdefault(" ".join(sentence.lower().split()), sentence)
    if not sentences:
        raise RNNError(f"there is no documentation in {folder}; give a text of your own")
    return list(sentences.values())


def english(document: str) -> list[str]:
    """The sentences of a docstring or a help topic, without code, markup and tables.

    Examples
    --------
    >>> english("Return the *sum* of ``a`` and b::\\n\\n    add(1, 2)\\n\\n>>> add(1, 2)\\n3\\n")
    ['Return the sum of a and b:']
    """
    found = []
    for block in _blocks(document):
        text = FIELD.sub("", block, count=1).strip()
        term = TERM.match(text)
        text = text[term.end() :] if term else text
        for pattern, plain in MARKUP:
            text = pattern.sub(plain, text)
        for sentence in split_sentences(text, rules=1):  # the corpus stays as it is
            if sentence[-1] not in ".!?:)\"'":
                sentence = sentence.rstrip(",;-") + "."  # a summary line
            if _is_english(sentence):
                found.append(sentence)
    return found


def _topics() -> list[str]:
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except (ImportError, AttributeError):
        return []  # some distributions leave it out
    return [topics[name] for name in sorted(topics)]


def _docstrings(folder: Path) -> Iterator[str]:
    for path in _sources(folder):
        try:
            source = read(path, LONGEST_SOURCE)
            if b'"""' not in source and b"'''" not in source:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about invalid escapes in the sources
                tree = ast.parse(source)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue  # Python's tests have files that are broken on purpose
        yield from _documented(tree)


def _sources(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(parent, name)


def _documented(node: Documented) -> Iterator[str]:
    """The docstrings of a module, its classes and its functions, in the order of the file."""
    text = ast.get_docstring(node, clean=False)
    if text:
        yield inspect.cleandoc(text)
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _documented(child)


def _blocks(document: str) -> Iterator[str]:
    """Each paragraph, list item and definition as one line, without code and tables."""
    lines: list[str] = []
    indent = 0
    code_from = None  # lines with more indentation than this are a literal block
    doctest = False

    def flush() -> list[str]:
        block = " ".join(lines)
        lines.clear()
        return [block] if block else []

    for raw in document.expandtabs().split("\n"):
        line = raw.strip()
        here = len(raw) - len(raw.lstrip())
        if not line:
            doctest = False
            yield from flush()
            continue
        if code_from is not None and here > code_from:
            continue
        code_from = None
        if doctest or line.startswith((">>>", "... ")):
            doctest = True
            yield from flush()
        elif RULE.fullmatch(line):
            lines.clear()  # the title above it
        elif line.startswith(".. ") or "::=" in line or "    " in line or line[0] in "|+":
            yield from flush()  # a directive, grammar, a table
            code_from = here if LITERAL.match(line) else None
        else:
            bullet = BULLET.match(line)
            unfinished = lines and lines[-1][-1] not in ".:!?" and line[0].islower()
            if bullet or (lines and here != indent and not unfinished):
                yield from flush()
            lines.append(line[bullet.end() :] if bullet else line)
            if line.endswith("::"):
                code_from = here
                lines[-1] = lines[-1][:-1]
                yield from flush()
            indent = here + (bullet.end() if bullet else 0)
    yield from flush()


def _is_english(sentence: str) -> bool:
    words = sentence.split()
    plain = sum(PLAIN.fullmatch(word) is not None for word in words)
    common = sum(word.strip(",.;:()\"'").lower() in COMMON for word in words)
    return (
        4 <= len(words) <= 100
        and plain >= 0.8 * len(words)
        and common >= 0.15 * len(words)
        and (sentence[0].isupper() or words[0] not in COMMON)
        and (sentence[0].isalnum() or sentence[0] in "\"'(")
        and not CODE.search(sentence)
        and sentence.count("(") == sentence.count(")")
        and sentence.count('"') % 2 == 0
    )
