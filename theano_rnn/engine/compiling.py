"""How the functions of this package are compiled."""

import functools
import os

import theano
import theano.utils
from theano.compile.mode import get_default_mode
from theano.link.c import cmodule

from theano_rnn.engine.flags import user_settings


def shield_compiler() -> None:
    """Keep a terminal's Ctrl-C from the compilers that Theano starts.

    It goes to every process of the terminal's group. A compiler that dies of it is "Compilation
    failed" to Theano; in a session of its own it finishes, and the program stops as it means to.
    """
    started = functools.partial(theano.utils.subprocess_Popen, start_new_session=True)
    theano.utils.subprocess_Popen = cmodule.subprocess_Popen = started


def compile_function(inputs, outputs, updates=(), name=None):
    """``theano.function`` in the default mode, keeping the buffers of intermediate results.

    A user's own ``allow_gc`` in THEANO_FLAGS or .theanorc wins. One rewrite is left out:
    ``local_dot22_to_dot22scalar`` makes ``rate * dot(a, b)`` one call of BLAS, also where
    ``dot(a, b)`` is read elsewhere, as a gradient is for its norm; the product is then computed
    twice.

    Parameters
    ----------
    inputs, outputs, updates, name
        As for ``theano.function``.

    Returns
    -------
    theano.compile.function.types.Function
    """
    mode = get_default_mode().excluding("local_dot22_to_dot22scalar")
    if "allow_gc" not in user_settings(os.environ):
        mode = mode.clone(link_kwargs={"allow_gc": False})
    return theano.function(inputs, outputs, updates=list(updates), mode=mode, name=name)
