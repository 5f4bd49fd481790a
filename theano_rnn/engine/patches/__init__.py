"""Defects of theano-pymc 1.1.2, mended."""
