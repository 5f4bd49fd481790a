"""C++ text, written line by line, and the names of variables in it."""

from theano.graph.basic import Constant

from theano_rnn.common.types import Variable


class Text:
    """Lines of C++, indented, and a number for each variable that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 1
        self.numbers: dict[Variable, int] = {}

    def put(self, *lines: str) -> None:
        """Add lines."""
        self.lines += ["    " * self.depth + line for line in lines]

    def open(self, line: str) -> None:
        """Begin a block."""
        self.put(line + " {")
        self.depth += 1

    def close(self) -> None:
        """End a block."""
        self.depth -= 1
        self.put("}")

    def fail(self, condition: str, kind: str, text: str) -> None:
        """Have the function end with an exception if the condition holds."""
        self.open(f"if ({condition})")
        self.put(f'PyErr_SetString(PyExc_{kind}, "native loop: {text}");', "return false;")
        self.close()

    def name(self, variable: Variable) -> str:
        """A variable's number, which its names end with: ``t5`` its memory, ``x5`` an element."""
        return str(self.numbers.setdefault(variable, len(self.numbers)))

    def scalar(self, variable: Variable) -> str:
        """A scalar that is known before the first step."""
        if isinstance(variable, Constant):
            return literal(variable)
        return f"x{self.name(variable)}"


def c_type(variable: Variable) -> str:
    """The C type of a variable's elements."""
    return f"npy_{variable.type.dtype}"


def literal(constant: Constant) -> str:
    """A constant of one element in C."""
    value = constant.data.item() if hasattr(constant.data, "item") else constant.data
    if isinstance(value, bool):
        return str(int(value))
    T = f"npy_{constant.type.dtype}"
    if isinstance(value, float) and value != value:
        return f"{T}(NAN)"
    if value in (float("inf"), float("-inf")):
        return f"{T}({'-' if value < 0 else ''}INFINITY)"
    return f"{T}({value!r})"
