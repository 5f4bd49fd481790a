"""How the functions of this package are compiled."""

import functools
import os
from collections.abc import Iterable
from typing import Optional

import theano
import theano.utils
from theano.compile.mode import get_default_mode
from theano.link.c import cmodule

from theano_rnn.common.types import Function, Variable, Variables
from theano_rnn.engine.flags import user_settings

#: Rewrites of Theano that make a step slower; ``compile_function`` says how.
LEFT_OUT = ("local_dot22_to_dot22scalar", "local_subtensor_merge")


def shield_compiler() -> None:
    """Keep a terminal's Ctrl-C from the compilers that Theano starts.

    It goes to every process of the terminal's group. A compiler that dies of it is "Compilation
    failed" to Theano; in a session of its own it finishes, and the program stops as it means to.
    """
    started = functools.partial(theano.utils.subprocess_Popen, start_new_session=True)
    theano.utils.subprocess_Popen = cmodule.subprocess_Popen = started


def compile_function(
    inputs: Variables,
    outputs: Variable,
    updates: Iterable[tuple[Variable, Variable]] = (),
    name: Optional[str] = None,
) -> Function:
    """``theano.function`` in the default mode, keeping the buffers of intermediate results.

    A user's own ``allow_gc`` in THEANO_FLAGS or .theanorc wins. Two rewrites are left out.
    ``local_dot22_to_dot22scalar`` makes ``rate * dot(a, b)`` one call of BLAS, also where
    ``dot(a, b)`` is read elsewhere, as a gradient is for its norm; the product is then computed
    twice. ``local_subtensor_merge`` makes one slice of two, ``s[:T][::-1]``, at the price of
    arithmetic that knows nothing of the sign of T: half of all Ops of a step, each with a module
    to compile, where a slice of a slice costs nothing.

    Parameters
    ----------
    inputs, outputs, updates, name
        As for ``theano.function``.

    Returns
    -------
    theano.compile.function.types.Function
    """
    mode = get_default_mode().excluding(*LEFT_OUT)
    if "allow_gc" not in user_settings(os.environ):
        mode = mode.clone(link_kwargs={"allow_gc": False})
    function: Function = theano.function(
        inputs, outputs, updates=list(updates), mode=mode, name=name
    )
    return function
