"""Models that count: what a network has to beat.

``bigram``      a unigram and an interpolated bigram model
``kneser_ney``  interpolated modified Kneser-Ney smoothing of any order
"""
