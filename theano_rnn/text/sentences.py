"""Where the sentences of a text end."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from theano_rnn.common.validation import one_of
from theano_rnn.text.tokens import Form

#: Where a sentence ends, by the name of the option.
ENDS = {
    "auto": "as the beginning of the text suggests",
    "lines": "at each newline",
    "blank-lines": "at blank lines",
    "punctuation": "by capitals, or anywhere where the text has none",
    "capitals": "at blank lines, and at full stops before a capital",
    "anywhere": "at blank lines and full stops, whatever follows",
}
#: Characters of a text that "auto" looks at.
SAMPLE = 2**20
#: Characters of a piece of a line by the rules 1.
LONGEST_LINE = 1000
#: Words of a paragraph without a full stop that are held until one comes.
LONGEST_PARAGRAPH = 2**16

# A sentence does not end after these.
TITLES = frozenset(
    "mr mrs ms mme mlle dr st prof gen col capt lt sgt maj rev hon gov sen rep pres messrs "
    "e.g i.e vs cf viz resp approx dept est".split()
)
FOREIGN_TITLES = frozenset(
    "sr sra srta dra ud uds nr bzw z.b d.h u.a ggf evtl inkl pág núm".split()
)
BEFORE_NUMBER = frozenset("no nos p pp fig figs vol ch sec art eq".split())  # "no. 5", "No. He"
CLOSING_ONLY = "”’)]}»›」』）》】"
MONTHS = frozenset(  # "am 3. Oktober"
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
)
#: Full stops of scripts without spaces; what stands between one and the next is a sentence.
WIDE = re.compile("([。！？｡]+[」』”’）》】〉\"')]*)(?=[^\\s。！？｡」』”’）》】〉])")


#: What a line of a program has, and of prose one in twenty.
CODE = re.compile(r"[{}=;(]$|\w\(|\w\[|[=!<>+-]=|\s=\s|[{}]|^(?:#include|/?\*|//|@|import )")


@dataclass(frozen=True)
class Marks:
    """The marks at which a sentence may end.

    Attributes
    ----------
    opening, closing : str
        Quotes and brackets.
    spaced : str
        A closing quote that may have a space before it, as in « Oui. » and not in "Yes."
    stops : str
        Full stops at which a sentence ends if a capital, a digit or a quote follows.
    always : str
        Full stops of scripts without capitals: the sentence ends, whatever follows.
    titles : set of str
        Words in lower case whose full stop ends no sentence.
    """

    opening: str
    closing: str
    spaced: str
    stops: str
    always: str
    titles: frozenset[str]

    def ends(self, words: list[str], i: int, first: int, anywhere: bool) -> bool:
        """Whether the sentence that begins at word ``first`` ends after word ``i``."""
        word, following = words[i], words[i + 1]
        if word == self.spaced and i > first:
            word = words[i - 1]
        core = word.rstrip(self.closing)
        if not core or core[-1] not in self.stops + self.always:
            return False
        if not following.strip(CLOSING_ONLY):
            return False  # the quote ends, and the sentence with it
        if core[-1] in self.always:
            return True
        bare = following.lstrip(self.opening)
        # Letters without case, as in Arabic or Hindi, may begin a sentence too.
        begins = bool(bare) and bare[0].isalnum() and not bare[0].islower()
        if not (begins or following[0] in self.opening or anywhere):
            return False
        if core[-1] != ".":
            return True
        stem = core[:-1].lstrip(self.opening)
        lowered = stem.lower()
        if lowered in self.titles or (lowered in BEFORE_NUMBER and bare[:1].isdigit()):
            return False
        if len(stem) == 1 and stem.isalpha() and stem != "I":  # an initial; "I." ends a sentence
            return False
        is_number = stem.isdigit()
        if is_number and self.always and bare.rstrip(",.;:") in MONTHS:
            return False
        return not (i == first and is_number)  # "1. The first item"


#: Of the rules (see ``tokens.RULES``) 1 and 2.
MARKS = {
    1: Marks("\"'“‘«([{_*", "\"'”’»)]}_*", "", ".!?…", "", TITLES),
    2: Marks(
        "\"'“‘«„‚‹¿¡([{_*「『（《【",
        "\"'”’»«“‘›‹)]}_*」』）》】",
        "»",
        ".!?…‼⁇⁈⁉",
        "。！？｡．؟۔।॥።፧։។៕၊။།༎᠃᠉",
        TITLES | FOREIGN_TITLES,
    ),
}


def resolve(sample: str, ends: str = "auto", rules: int = 2) -> str:
    """How to split a text, from its beginning: one of ``ENDS``, not "auto" or "punctuation".

    Full stops are no guide where they are rare, as in verse without punctuation, in a program or
    in a log; nor are they in a text in lower case with a newline after each sentence. There a
    sentence ends at each newline.

    Parameters
    ----------
    sample : str
        The first ``SAMPLE`` characters of the text.
    ends : str
        One of ``ENDS``.
    rules : int
        See ``tokens.RULES``; by the rules 1 "auto" is "capitals".

    Examples
    --------
    >>> resolve("roses are red\\nviolets are blue"), resolve("the cat sat. the dog ran. it slept.")
    ('lines', 'anywhere')
    """
    one_of(ends, "sentences", ENDS)
    if ends not in ("auto", "punctuation"):
        return ends
    if rules == 1:
        return "capitals"
    upper, lower = (sum(map(kind, sample)) for kind in (str.isupper, str.islower))
    is_lower = upper < 0.005 * (upper + lower)
    punctuation = "anywhere" if is_lower else "capitals"
    lines = [line.strip() for line in sample.split("\n")]
    filled = [line for line in lines if line]
    if ends == "punctuation" or not filled:
        return punctuation
    breaks = sum(not line and bool(after) for line, after in zip(lines, lines[1:]))
    stops = sum(1 for _ in _cut(_spaced(sample).split(), punctuation, rules)) - 1
    numbered = sum(line[0].isdigit() or line[0] in "[<" for line in filled)
    code = sum(CODE.search(line) is not None for line in filled)
    are_short = sum(map(len, filled)) <= 500 * len(filled)
    if are_short and (
        stops < 0.1 * len(filled)
        or numbered > 0.5 * len(filled)
        or code > 0.3 * len(filled)
        or (is_lower and breaks < 0.05 * len(filled) and stops < 2 * len(filled))
    ):
        return "lines"
    return punctuation


def units(pieces: Iterable[str], form: Form, ends: str) -> Iterator[str]:
    """What becomes a sequence of a text that comes in pieces: sentences, or lines.

    Parameters
    ----------
    pieces : iterable of str
        Each ends with a newline, or between two words of a very long line.
    form : Form
        At the levels word and bpe the units are sentences, of a tokenized text the lines that are
        not blank, of characters all lines.
    ends : str
        Where a sentence ends, as ``resolve`` returns it. By lines, a sentence is the line as it
        is; otherwise it is its words, with single spaces between them.
    """
    if form.level == "char" and form.rules != 1:
        return _lines(pieces)
    if form.level == "char" or form.tokenized or ends == "lines":
        filled = filter(str.strip, _lines(pieces))
        return filled if form.level != "char" else chain.from_iterable(map(_parts, filled))
    return _sentences(pieces, ends, form.rules)


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    held: list[str] = []  # of a line that goes on in the next piece
    for piece in pieces:
        first, *others = piece.split("\n")
        held.append(first)
        if others:
            yield "".join(held)
            yield from others[:-1]
            held = others[-1:]
    if any(held):
        yield "".join(held)


def _sentences(pieces: Iterable[str], ends: str, rules: int) -> Iterator[str]:
    words: list[str] = []  # of the paragraph
    for piece in pieces:
        if rules != 1:
            piece = _spaced(piece)
        for line in piece.split("\n")[: -1 if piece.endswith("\n") else None]:
            found = line.split()
            if found:
                words += found
            elif words:
                yield from _cut(words, ends, rules)
                words = []
        if len(words) > LONGEST_PARAGRAPH:
            *done, rest = _cut(words, ends, rules)
            yield from done
            words = rest.split()
            if len(words) > LONGEST_PARAGRAPH:
                yield rest
                words = []
    if words:
        yield from _cut(words, ends, rules)


def _spaced(text: str) -> str:
    """The text with a space after each sentence of a script without spaces."""
    return WIDE.sub(r"\1 ", text) if any(stop in text for stop in "。！？｡") else text


def _cut(words: list[str], ends: str, rules: int) -> Iterator[str]:
    """The sentences of a paragraph."""
    first = 0
    if ends != "blank-lines" and words:
        marks, last = MARKS[rules], len(words) - 1
        may_end = set(marks.stops + marks.always + marks.closing)
        for i in [i for i, word in enumerate(words) if word[-1] in may_end]:
            if i < last and marks.ends(words, i, first, ends == "anywhere"):
                yield " ".join(words[first : i + 1])
                first = i + 1
    yield " ".join(words[first:])


def split_sentences(text: str, rules: int = 2) -> list[str]:
    """The sentences of running text with capitals, with single spaces between the words.

    A paragraph ends at a blank line. Inside it, a sentence ends with a word that

    - ends in ``.``, ``!``, ``?`` or ``…``, maybe with closing quotes or brackets after it,
    - stands before a capital, a digit, a quote or a bracket, and
    - is not an abbreviation such as Mr. or e.g., an initial, or the number of a list item;

    and at the full stops of scripts without capitals, as 。 and ।.

    Parameters
    ----------
    text : str
    rules : int
        See ``tokens.RULES``.

    Examples
    --------
    >>> split_sentences("Mr. Smith left.\\nWhy? See p. 5, e.g. Fig. 2.\\n\\nThe\\nend")
    ['Mr. Smith left.', 'Why?', 'See p. 5, e.g. Fig. 2.', 'The end']
    """
    return list(_sentences([text], "capitals", rules))


def split_text(
    text: str,
    level: str = "word",
    tokenized: bool = False,
    ends: str = "auto",
    rules: int = 2,
) -> list[str]:
    """The sentences of a text at the levels word and bpe, its lines in the other forms.

    Parameters
    ----------
    text : str
    level : {"word", "char", "bpe"}
        Lines of characters are kept as they are, blank ones too.
    tokenized : bool
        Each line that is not blank is a sentence.
    ends : str
        Where a sentence ends, one of ``ENDS``; see ``resolve``.
    rules : int
        See ``tokens.RULES``.
    """
    form = Form(level, tokenized, rules=rules)
    return list(units([text], form, resolve(text[:SAMPLE], ends, rules)))


def _parts(line: str) -> Iterator[str]:
    """A line in pieces of at most 1000 characters, cut after spaces if it has any: rules 1."""
    start = 0
    while len(line) - start > LONGEST_LINE:
        cut = line.rfind(" ", start, start + LONGEST_LINE) + 1 or start + LONGEST_LINE
        yield line[start:cut]
        start = cut
    yield line[start:]
