"""From a text to the batches that a network is trained on.

``corpus``       a text in three splits of token ids
``sentences``    where a sentence ends
``vocabulary``   tokens and their ids
``batches``      sequences in minibatches, a long text in parallel rows
``python_docs``  the default text: the English in Python's own documentation
"""
