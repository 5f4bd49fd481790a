"""``compile_function``: how this package compiles Theano functions."""

import os
from collections.abc import Iterable
from typing import Optional

import theano
from theano.compile.mode import get_default_mode
from theano.link.basic import PerformLinker

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Function, Variable, Variables
from theano_rnn.engine.c_code import check_bf16
from theano_rnn.engine.compiler import precompiled_headers
from theano_rnn.engine.rewrites import LEFT_OUT
from theano_rnn.engine.settings import user_settings


def compile_function(
    inputs: Variables,
    outputs: Variable,
    updates: Iterable[tuple[Variable, Variable]] = (),
    name: Optional[str] = None,
    precision: str = "float32",
) -> Function:
    """``theano.function`` in the default mode, without ``rewrites.LEFT_OUT``.

    The function keeps the buffers of intermediate results from call to call, unless the user sets
    ``allow_gc`` in THEANO_FLAGS or .theanorc.

    Parameters
    ----------
    inputs, outputs, updates, name
        As for ``theano.function``.
    precision : str
        "bf16": products of large float32 matrices are in bf16, the sums in float32; see
        ``theano_rnn.engine.ops.bf16``. "float32": none is.

    Raises
    ------
    RNNError
        For bf16 where the processor or the compiler does not have it, or functions run in Python.
    """
    mode = get_default_mode().excluding(*LEFT_OUT)
    if precision == "bf16":
        check_bf16()
        if isinstance(mode.linker, PerformLinker):
            raise RNNError(
                "precision bf16 is computed in C++, and linker=py runs functions in Python; "
                "remove linker=py from THEANO_FLAGS and .theanorc, or use precision float32"
            )
        mode = mode.including("bf16")
    if not isinstance(mode.linker, PerformLinker):
        precompiled_headers.begin()
    if "allow_gc" not in user_settings(os.environ):
        mode = mode.clone(link_kwargs={"allow_gc": False})
    try:
        function: Function = theano.function(
            inputs, outputs, updates=list(updates), mode=mode, name=name
        )
    except NotImplementedError as error:
        if theano.config.linker != "c":
            raise
        raise RNNError(
            f"linker=c runs functions wholly in C, and {error}; set linker=cvm in THEANO_FLAGS or "
            ".theanorc, or remove it"
        ) from None
    return function
