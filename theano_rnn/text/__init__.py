"""From a text to the batches that a network is trained on.

``corpus``       a text as three splits of token ids
``sentences``    where a sentence ends
``tokens``       how a sentence is cut into tokens
``vocabulary``   tokens and their ids
``batches``      sequences in minibatches; one long text in parallel rows
``python_docs``  the default text: the English in Python's own documentation
"""
