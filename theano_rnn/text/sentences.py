"""Where the sentences of a text end."""

from collections.abc import Iterator

from theano_rnn.text.tokens import special_tokens

LONGEST_LINE = 1000
OPENING = "\"'“‘«([{_*"
CLOSING = "\"'”’»)]}_*"
# A sentence does not end after these.
TITLES = set(
    "mr mrs ms mme mlle dr st prof gen col capt lt sgt maj rev hon gov sen rep pres messrs "
    "e.g i.e vs cf viz resp approx dept est".split()
)
BEFORE_NUMBER = set("no nos p pp fig figs vol ch sec art eq".split())  # "no. 5", but "No. He"


def split_text(text: str, level: str = "word", tokenized: bool = False) -> list[str]:
    """The sentences of a text at word level, its lines in the other forms; blank ones left out.

    Parameters
    ----------
    text : str
    level : {"word", "char"}
        At character level a line of more than ``LONGEST_LINE`` characters is cut in pieces.
    tokenized : bool
        Each line is a sentence.

    Returns
    -------
    list of str
    """
    special_tokens(level, tokenized)
    if level == "word" and not tokenized:
        return split_sentences(text)
    lines = (line for line in text.split("\n") if line.strip())
    return list(lines) if tokenized else [piece for line in lines for piece in _pieces(line)]


def _pieces(line: str) -> Iterator[str]:
    """A line in pieces of at most ``LONGEST_LINE`` characters, cut after spaces if it has any."""
    start = 0
    while len(line) - start > LONGEST_LINE:
        cut = line.rfind(" ", start, start + LONGEST_LINE) + 1 or start + LONGEST_LINE
        yield line[start:cut]
        start = cut
    yield line[start:]


def split_sentences(text: str) -> list[str]:
    """The sentences of running English text, with single spaces between the words.

    A paragraph ends at a blank line. Inside it, a sentence ends with a word that

    - ends in ``.``, ``!``, ``?`` or ``…``, maybe with closing quotes or brackets after it,
    - stands before a capital, a digit, a quote or a bracket, and
    - is not an abbreviation such as Mr. or e.g., an initial, or the number of a list item.

    The function goes over the words once, so its time is linear in the length of the text.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str

    Examples
    --------
    >>> split_sentences("Mr. Smith left.\\nWhy? See p. 5, e.g. Fig. 2.\\n\\nThe\\nend")
    ['Mr. Smith left.', 'Why?', 'See p. 5, e.g. Fig. 2.', 'The end']
    """
    sentences: list[str] = []
    words: list[str] = []
    for line in text.split("\n") + [""]:
        if line.strip():
            words.extend(line.split())
        elif words:
            sentences.extend(_paragraph_sentences(words))
            words = []
    return sentences


def _paragraph_sentences(words: list[str]) -> Iterator[str]:
    first = 0
    for i in range(len(words) - 1):
        if _ends_sentence(words[i], words[i + 1], i == first):
            yield " ".join(words[first : i + 1])
            first = i + 1
    yield " ".join(words[first:])


def _ends_sentence(word: str, following: str, is_first: bool) -> bool:
    core = word.rstrip(CLOSING)
    if not core or core[-1] not in ".!?…":
        return False
    bare = following.lstrip(OPENING)
    # Letters without case, as in Arabic or Hindi, may begin a sentence too.
    if not (bare and bare[0].isalnum() and not bare[0].islower()) and following[0] not in OPENING:
        return False
    if core[-1] != ".":
        return True
    stem = core[:-1].lstrip(OPENING)
    lowered = stem.lower()
    if lowered in TITLES or (lowered in BEFORE_NUMBER and bare[:1].isdigit()):
        return False
    if len(stem) == 1 and stem.isalpha() and stem != "I":  # an initial; "I." ends a sentence
        return False
    return not (is_first and stem.isdigit())  # "1. The first item"
