"""Models that count words: a network has to beat them.

``bigram``      a unigram and an interpolated bigram model
``kneser_ney``  interpolated modified Kneser-Ney smoothing of any order
"""
