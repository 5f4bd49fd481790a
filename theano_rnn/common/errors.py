"""The error types of the package."""


class RNNError(ValueError):
    """What was wrong, where, and what to do. Bad input changes nothing."""


class NotFinite(RNNError):
    """The loss or the gradient is not finite; the step was not taken."""
