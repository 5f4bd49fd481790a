"""The one error type of the package: bad input, said in one message."""


class RNNError(ValueError):
    """What went wrong, where, and what to do. After bad input nothing was changed."""
