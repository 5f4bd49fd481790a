"""Many jobs at once: each is one task of a Dask cluster, on this machine or elsewhere."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from theano_rnn.common.errors import RNNError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

Job = TypeVar("Job")
Result = TypeVar("Result")

#: Seconds to wait for a scheduler.
TIMEOUT = 10
#: Seconds between two looks at how many workers there are.
LOOK_EVERY = 5.0

#: Settings of the workers' allocator. Dask makes glibc return freed memory at once, from 64 kB on,
#: so each update asks the system for its arrays again and takes four times as long. With these
#: thresholds a worker keeps its memory. Both are needed: once the first is set, glibc no longer
#: adapts the second.
MALLOC = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{what}_THRESHOLD_": str(size)
    for what, size in (("TRIM", 1 << 30), ("MMAP", 32 << 20))
}


@contextmanager
def connect(scheduler: Optional[str] = None, workers: Optional[int] = None) -> Iterator["Client"]:
    """A client of a Dask cluster, closed at the end of the block.

    Parameters
    ----------
    scheduler : str, optional
        The address of a running scheduler, whose workers have this package. None starts a
        cluster on this machine, and stops it at the end of the block.
    workers : int, optional
        The processes of a cluster on this machine, of one thread each; one per core by default.

    Raises
    ------
    RNNError
        If no scheduler answers at the address.
    """
    import dask
    from distributed import Client

    _silence_dask()
    if scheduler is not None:
        with _client_of(scheduler) as client:
            yield client
        return
    settings = {
        "n_workers": workers or len(os.sched_getaffinity(0)),
        "threads_per_worker": 1,
        "processes": True,
        # Any free port: another cluster may hold the usual one, and Dask would warn about it.
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(MALLOC))
        with _ctrl_c_waits():
            here = stack.enter_context(_local(settings))
            client = stack.enter_context(Client(here))
        yield client


@contextmanager
def _local(settings: dict[str, Any]) -> Iterator["LocalCluster"]:
    """A cluster on this machine, closed at the end of the block.

    Dask raises an error if a worker is still there 5 s after it was killed, as on a busy machine.
    It ends with this process at the latest.
    """
    from distributed import LocalCluster

    cluster = LocalCluster(**settings)
    try:
        yield cluster
    finally:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            cluster.close()


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, and never reaches the processes that begin in it.

    In a terminal it would reach the workers too. A cluster that it meets half made cannot be
    closed: Dask prints tracebacks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread alone
        return
    resource_tracker.ensure_running()  # when it starts, it unblocks the signal
    noted = []
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # processes inherit this
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if noted:
        signal.raise_signal(signal.SIGINT)


def _client_of(address: str) -> "Client":
    """A client of a running scheduler, or RNNError if there is none at the address."""
    from distributed import Client

    try:
        with ThreadPoolExecutor(1) as thread:  # this thread may have an event loop already
            thread.submit(asyncio.run, _check_scheduler(address)).result()
        return Client(address, timeout=TIMEOUT)
    except Exception as error:  # any type, depending on what answers there
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise RNNError(
            f"there is no Dask scheduler at {address} ({why}); "
            "start one, or leave the address out for a cluster on this machine"
        ) from None


async def _check_scheduler(address: str) -> None:
    """Raise an error unless a Dask scheduler answers at the address.

    ``Client`` alone does not do. It waits for ever for a server that says nothing; and if another
    server answers, it fails half made and closes itself when it is collected as garbage, which
    can happen while Dask's lock is held and then never ends.
    """
    from distributed.core import rpc

    async with rpc(address) as server:
        try:
            identity = await asyncio.wait_for(server.identity(), TIMEOUT)
        except asyncio.TimeoutError:
            raise OSError(f"no answer in {TIMEOUT} s") from None
    if identity["type"] != "Scheduler":
        raise OSError(f"a {identity['type']} answers")


def _silence_dask() -> None:
    """Stop Dask from logging, with tracebacks, the errors that it also raises."""
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distrib")]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def threads(client: "Client") -> int:
    """How many tasks the workers of a cluster run at once."""
    return sum(client.nthreads().values())


def run(
    function: Callable[[Job], Result], jobs: Iterable[Job], client: "Client"
) -> Generator[tuple[Job, Optional[Result], Optional[BaseException]], None, None]:
    """Run jobs on a cluster, as many at once as it has threads; a job starts when one ends.

    Parameters
    ----------
    function : function (job) -> result
        Of a module, which the workers import.
    jobs : iterable
        The next one is drawn when a thread is free for it.
    client : distributed.Client
        As ``connect`` gives it.

    Yields
    ------
    job, result or None, exception or None
        In the order in which the jobs end. An exception ends only its own job. Whoever closes
        this generator leaves the jobs that run: see ``is_abandoned``.

    Raises
    ------
    RNNError
        If the scheduler disappears.
    """
    from distributed import wait

    waiting, running = iter(jobs), dict[Any, Job]()
    try:
        while True:
            with _scheduler():
                free = max(0, threads(client) - len(running))
            drawn = list(itertools.islice(waiting, free))
            with _scheduler():
                # pure=False: else Dask could return the result of an earlier run of the same job.
                running.update((client.submit(function, job, pure=False), job) for job in drawn)
            if not running:
                if len(drawn) < free:
                    return
                time.sleep(LOOK_EVERY)  # until there is a worker
                continue
            with _scheduler(), contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                wait(list(running), LOOK_EVERY, "FIRST_COMPLETED")
            for future in [future for future in running if future.done()]:
                with _scheduler():
                    error = future.exception()
                    result = None if error else future.result()
                yield running.pop(future), result, error
    finally:
        if running and client.status == "running":
            client.cancel(list(running))


def reason(error: BaseException) -> str:
    """An error in a line; one that is not of this package with its type and where it was raised.

    Examples
    --------
    >>> reason(RNNError("the loss is not finite")), reason(KeyError("x"))
    ('the loss is not finite', "KeyError: 'x'")
    """
    text = " ".join(str(error).split())
    if isinstance(error, RNNError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {text}"


@contextmanager
def _scheduler() -> Iterator[None]:
    """A block that asks the scheduler; if it is gone, RNNError says so."""
    from distributed.utils import CancelledError

    try:
        yield
    except (OSError, CancelledError):
        raise RNNError(
            "the Dask scheduler is gone; all results so far are saved; the same command goes on"
        ) from None


def is_abandoned() -> bool:
    """Whether nobody waits any more for the result of the job that calls this.

    It is so after ``run`` is closed, and after its process is killed. Dask cannot stop what runs.
    """
    from distributed import get_worker

    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state != "executing"
