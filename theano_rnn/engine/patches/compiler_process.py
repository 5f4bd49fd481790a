"""Theano's compilers, kept from the Ctrl-C of a terminal.

The defect: a terminal sends Ctrl-C to every process of its group, so to the compilers that Theano
starts (``theano.utils.subprocess_Popen``) as well. Theano takes a compiler that dies of it for
"Compilation failed", and the user reads that instead of what the program says when it is
interrupted. In a session of its own the compiler finishes, and the program ends as it means to.
"""

import functools

import theano.utils
from theano.link.c import cmodule

shipped = theano.utils.subprocess_Popen


def install() -> None:
    """Start each compiler in a session of its own."""
    started = functools.partial(shipped, start_new_session=True)
    theano.utils.subprocess_Popen = cmodule.subprocess_Popen = started
