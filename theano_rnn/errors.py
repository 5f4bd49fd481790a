"""The one error type of the package: bad input, said in one message."""


class RNNError(ValueError):
    """Bad input. The message says what was wrong, where, and what to do; nothing was changed."""
