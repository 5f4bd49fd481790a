"""From a text to the batches that a network is trained on.

``reading``      the text of files
``splitting``    which part of a text is to train, to validate, to test
``corpus``       a text as three splits of token ids
``sentences``    where a sentence ends
``tokens``       how a sentence is cut into tokens; ``cutting``, all of a text at once
``vocabulary``   tokens and their ids; ``bpe``, words and parts of words
``sequences``    many sequences of ids in one array
``batches``      sequences in minibatches; one long text in parallel rows
``python_docs``  the default text: the English in Python's own documentation
"""
