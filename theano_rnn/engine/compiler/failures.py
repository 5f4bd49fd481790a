"""A failed compilation, reported once: as the CompileFailed that it is.

Theano folds constants by compiling them, and takes an error in that for one of a rewrite: it
prints the traceback and goes on, for each constant: thousands of lines, before it gets to the
error of the first node.
"""

import functools
from typing import Any

from theano.graph.opt import NavigatorOptimizer, SeqOptimizer
from theano.link.c.cmodule import ModuleCache

from theano_rnn.common.errors import CompileFailed
from theano_rnn.engine.compiler.build import failed

shipped_module_from_key = ModuleCache.module_from_key
shipped_warn = NavigatorOptimizer.warn
shipped_init = SeqOptimizer.__init__


def install() -> None:
    """Let a CompileFailed through Theano's optimizer, and make one of a module that won't load."""
    ModuleCache.module_from_key = module_from_key
    NavigatorOptimizer.warn = staticmethod(_let_through(shipped_warn))
    SeqOptimizer.__init__ = init


@functools.wraps(shipped_module_from_key)
def module_from_key(self: ModuleCache, key: Any, lnk: Any = None) -> Any:
    """The shipped method; CompileFailed if the cache cannot be written or a module not loaded."""
    try:
        return shipped_module_from_key(self, key, lnk)
    # UnboundLocalError: the shipped method deletes a folder that it could not make.
    except (OSError, ImportError, UnboundLocalError) as error:
        cause = error.__context__ if isinstance(error, UnboundLocalError) else error
        raise failed("", str(cause)) from None


@functools.wraps(shipped_init)
def init(self: SeqOptimizer, *optimizers: Any, **settings: Any) -> None:
    """The shipped method, and a callback that lets a CompileFailed through."""
    shipped_init(self, *optimizers, **settings)
    if self.failure_callback is not None:
        self.failure_callback = _let_through(self.failure_callback)


def _let_through(callback: Any) -> Any:
    @functools.wraps(callback)
    def called(error: Exception, *where: Any) -> Any:
        if isinstance(error, CompileFailed):
            raise error
        return callback(error, *where)

    return called
