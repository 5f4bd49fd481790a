"""A compiler that Theano starts does not get the Ctrl-C of a terminal."""

import os
import subprocess
import sys

from theano_rnn.engine import theano
from theano_rnn.engine.patches import compiler_process

WAIT = [sys.executable, "-c", "input()"]


def session_of(start):
    """The session of a process that `start` starts."""
    process = start(WAIT, stdin=subprocess.PIPE)
    session = os.getsid(process.pid)
    process.communicate(b"\n")
    return session


def test_a_compiler_has_a_session_of_its_own_and_as_shipped_that_of_the_program():
    assert session_of(theano.utils.subprocess_Popen) != os.getsid(0)
    assert session_of(compiler_process.shipped) == os.getsid(0)
