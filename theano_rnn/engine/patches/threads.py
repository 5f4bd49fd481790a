"""Theano's functions, safe to call, share and compile in several threads.

The defect: a compiled function has one place for its inputs and one for each intermediate result,
and an update changes a shared variable in place while other functions read it. Two threads that
call one function (``theano.compile.function.types.Function.__call__``) mix their numbers, without
an error. Compiling keeps its state in globals, such as the flags that ``config.change_flags``
lends: several threads that compile at once fail, or compile with each other's flags.

The patch: a call holds the lock of its function, and those of all shared variables that the
function reads or updates. So a function never sees another one's update half done, and functions
that share nothing run at once. A shared variable's ``get_value`` and ``set_value`` hold its lock
too. One lock is around all compiling. A fork waits until no other thread holds a lock: the child
finds every lock free, and no update half done.
"""

import functools
import os
import threading
import time
import weakref
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

import theano
from theano.compile import builders, function
from theano.compile.function import pfunc, types
from theano.compile.function.types import Function, FunctionMaker
from theano.compile.sharedvalue import SharedVariable
from theano.scan.op import Scan

from theano_rnn.common.types import Variable

shipped_call = Function.__call__
shipped_init = Function.__init__
shipped_copy = Function.copy
shipped_get_value = SharedVariable.get_value
shipped_set_value = SharedVariable.set_value

#: Held while a graph is built or compiled.
COMPILING = threading.RLock()


class _Spent(threading.local):
    """Of one thread: how many ``building`` blocks it is in, and the seconds of those before."""

    depth, seconds = 0, 0.0


_spent = _Spent()

# The lock of a list, by its id: of the list of one element that holds the value of a shared
# variable, or of the list of a function's inputs. Whoever holds a lock holds its list, too: no id
# is used again while its lock lives.
_locks: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()
_changing_locks = threading.RLock()  # a signal's handler may read a value, too


def install() -> None:
    """Lock calls, values and compiling. To be called once."""
    Function.locks = ()  # of functions that were compiled before
    Function.__init__, Function.__call__, Function.copy = init, call, copy
    SharedVariable.get_value, SharedVariable.set_value = get_value, set_value
    locked = _one_at_a_time(types.orig_function)
    for module in (types, pfunc, function, builders, theano.compile):
        module.orig_function = locked
    # A copied or unpickled function does not go through orig_function.
    FunctionMaker.__init__ = _one_at_a_time(FunctionMaker.__init__)
    FunctionMaker.create = _one_at_a_time(FunctionMaker.create)
    os.register_at_fork(
        before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all
    )


@contextmanager
def building(**flags: Any) -> Iterator[None]:
    """Build or compile graphs in this block, one thread at a time, with these flags of Theano.

    Flags, such as floatX, are those of the whole process: another thread that builds a graph
    outside of such a block sees them. The inputs of our graphs have no test values, and some
    numbers in them are of float64: a user who has both checked gets no error for them.
    """
    unchecked = {"compute_test_value": "off", "warn_float64": "ignore"}
    begun, _spent.depth = time.perf_counter(), _spent.depth + 1
    try:
        with COMPILING, theano.config.change_flags(**{**unchecked, **flags}):
            yield
    finally:
        _spent.depth -= 1
        if _spent.depth == 0:  # a block within another is in its seconds
            _spent.seconds += time.perf_counter() - begun


def once(made: dict[Any, Any], key: Hashable, make: Callable[[], Any]) -> Any:
    """``made[key]``, which one thread makes when it is first asked for; the others wait."""
    if key not in made:
        with building():
            if key not in made:
                made[key] = make()
    return made[key]


def seconds_of_building() -> float:
    """Seconds that this thread has spent in ``building`` blocks, waiting for others included."""
    return _spent.seconds


@contextmanager
def exclusive(variables: Iterable[Variable]) -> Iterator[None]:
    """Keep functions of other threads from reading or updating these shared variables."""
    held: list[Any] = []
    try:
        _take({_lock_of(variable.container.storage) for variable in variables}, held)
        yield
    finally:
        _release(held)


@functools.wraps(shipped_init)
def init(self: Function, *args: Any, **kwargs: Any) -> None:
    """The shipped method; then find out which locks a call needs."""
    shipped_init(self, *args, **kwargs)
    locks = [_lock_of(self.input_storage)]
    locks += [_lock_of(c.storage) for c in self.input_storage if not c.required]
    for node in self.maker.fgraph.apply_nodes:
        # Functions compiled from one graph share its Scans, and with them their inner functions.
        if isinstance(node.op, Scan) and hasattr(node.op, "fn"):
            locks += node.op.fn.locks
    self.locks = tuple(set(locks))


@functools.wraps(shipped_call)
def call(self: Function, *args: Any, **kwargs: Any) -> Any:
    """The shipped method, while no other thread uses the function or its shared variables."""
    held: list[Any] = []
    try:
        _take(self.locks, held)
        return shipped_call(self, *args, **kwargs)
    finally:
        _release(held)


@functools.wraps(shipped_copy)
def copy(self: Function, share_memory: bool = False, *args: Any, **kwargs: Any) -> Function:
    """The shipped method; functions that share intermediate results run one at a time."""
    made = shipped_copy(self, share_memory, *args, **kwargs)
    if share_memory:
        made.locks = tuple({*made.locks, *self.locks})
    return made


@functools.wraps(shipped_get_value)
def get_value(self: SharedVariable, *args: Any, **kwargs: Any) -> Any:
    """The shipped method, while no function updates the variable."""
    with _lock_of(self.container.storage):
        return shipped_get_value(self, *args, **kwargs)


@functools.wraps(shipped_set_value)
def set_value(self: SharedVariable, *args: Any, **kwargs: Any) -> None:
    """The shipped method, while no function reads the variable."""
    with _lock_of(self.container.storage):
        shipped_set_value(self, *args, **kwargs)


def _lock_of(storage: list[Any]) -> Any:
    """The lock of a list, made where there is none."""
    with _changing_locks:
        lock = _locks.get(id(storage))
        if lock is None:
            lock = _locks[id(storage)] = threading.RLock()
    return lock


def _take(locks: Iterable[Any], held: list[Any]) -> None:
    """Take locks, and note them as held.

    While this waits for one of them it holds none of the others: a thread that holds one already,
    by ``exclusive``, may need those.
    """
    wanted: Any = None  # waited for, before the others are tried
    while True:
        if wanted is not None:
            wanted.acquire()
            held.append(wanted)
        for lock in locks:
            if lock is wanted:
                continue
            if not lock.acquire(blocking=False):
                break
            held.append(lock)
        else:
            return
        _release(held)
        wanted = lock


def _release(held: list[Any]) -> None:
    while held:
        held.pop().release()


def _one_at_a_time(shipped: Any) -> Any:
    """A function of Theano's that compiles, run by one thread at a time."""

    @functools.wraps(shipped)
    def compile_it(*args: Any, **kwargs: Any) -> Any:
        with COMPILING:
            return shipped(*args, **kwargs)

    return compile_it


# ---- fork

_held: list[Any] = []  # by the thread that forks


def _hold_all() -> None:
    """Take all locks."""
    held: list[Any] = []
    while True:
        with _changing_locks:
            locks = {COMPILING, *_locks.values()}
        _take(locks, held)
        _changing_locks.acquire()
        held.append(_changing_locks)
        if locks.issuperset(_locks.values()):  # none was made meanwhile
            _held[:] = held
            return
        _release(held)


def _release_all() -> None:
    _release(_held)
