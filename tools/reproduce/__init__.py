"""Ten steps of several nets, which any two runs can be compared by.

``steps``     the nets, and what ten steps of each leave, to the last bit
``compare``   what was left, compared within a version of Python and across versions
``all.sh``    both, in an environment for each version: ``make reproduce``
"""
