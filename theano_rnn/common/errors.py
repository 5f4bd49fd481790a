"""The error types of the package, and its warning."""


class RNNError(ValueError):
    """What was wrong, where, and what to do. Bad input changes nothing."""


class RNNWarning(UserWarning):
    """What may be lost here, and what to do; the work goes on. Commands show it in a line."""


class NotFinite(RNNError):
    """The loss or the gradient is not finite; the step was not taken."""


class CompileFailed(RNNError):
    """A C++ module could not be compiled or loaded."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message  # Theano puts the node and the graph in front of the arguments

    def __reduce__(self) -> tuple[type["CompileFailed"], tuple[str]]:
        return type(self), (self.message,)
