"""Byte pair encoding: a vocabulary of words and parts of words.

References
----------
R. Sennrich, B. Haddow, A. Birch, Neural machine translation of rare words with subword units
(2016). A. Radford et al., Language models are unsupervised multitask learners (2019): on bytes.
"""

import json
from collections.abc import Mapping, Sequence

from theano_rnn.common.errors import RNNError


def train(
    counts: Mapping[str, int], specials: Sequence[str], size: int
) -> tuple[list[str], list[list[str]]]:
    """The tokens of a vocabulary, and the pairs of tokens that make them.

    It begins with the 256 bytes. The pair of tokens that occurs most often in the words becomes a
    new token, again and again.

    Parameters
    ----------
    counts : mapping of str to int
        How often each word occurs; a character of a word stands for a byte.
    specials : sequence of str
        The first tokens.
    size : int
        The number of tokens, special ones and bytes included.

    Returns
    -------
    tokens : list of str
        By id; fewer than ``size`` if no pair is left that occurs twice.
    merges : list of pairs of str

    Raises
    ------
    RNNError
        If the size leaves no room for the bytes.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    least = len(specials) + len(alphabet)
    if size < least:
        raise RNNError(
            f"vocab_size is {size}, but bpe begins with {len(alphabet)} bytes and "
            f"{', '.join(specials)}; ask for at least {least}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # a space is another character here
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(specials),
        min_frequency=2,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    repeated = (
        f"{word} " * min(count - done, REPEATED)
        for word, count in counts.items()
        for done in range(0, count, REPEATED)
    )
    tokenizer.train_from_iterator(repeated, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return [*specials, *tokens], [list(pair) for pair in model["merges"]]


#: Words in a string that the library is given.
REPEATED = 1000
