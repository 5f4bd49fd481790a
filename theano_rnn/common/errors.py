"""The error types of the package, each said in one message."""


class RNNError(ValueError):
    """What went wrong, where, and what to do. After bad input nothing was changed."""


class NotFinite(RNNError):
    """A step that was not taken, because the loss or the gradient is not a finite number."""
