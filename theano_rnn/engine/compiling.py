"""How the functions of this package are compiled."""

import theano
from theano.compile.mode import get_default_mode


def compile_function(inputs, outputs, updates=(), name=None):
    """``theano.function`` in the default mode, keeping the buffers of intermediate results.

    Parameters
    ----------
    inputs, outputs, updates, name
        As for ``theano.function``.

    Returns
    -------
    theano.compile.function.types.Function
    """
    mode = get_default_mode().clone(link_kwargs={"allow_gc": False})
    return theano.function(inputs, outputs, updates=list(updates), mode=mode, name=name)
