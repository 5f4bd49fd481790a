"""Many trials at once: each is one task of a Dask cluster, on this machine or elsewhere."""

import asyncio
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Optional

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Record
from theano_rnn.long_term.trial import Trial, learn

if TYPE_CHECKING:
    from distributed import Client

#: Seconds to wait for a scheduler.
TIMEOUT = 10

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
    from distributed import Client, LocalCluster

    _silence_dask()
    if scheduler is not None:
        with _client_of(scheduler) as client:
            yield client
        return
    settings = {
        "n_workers": workers or len(os.sched_getaffinity(0)),
        "threads_per_worker": 1,
        "processes": True,
        # Any free port: another sweep may hold the usual one, and Dask would warn about it.
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
    }
    with dask.config.set(MALLOC), LocalCluster(**settings) as here, Client(here) as client:
        yield client


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


def run_trials(
    trials: list[Trial], client: "Client"
) -> Iterator[tuple[Trial, Optional[Record], Optional[BaseException]]]:
    """Run trials on a cluster.

    Parameters
    ----------
    trials : list of Trial
    client : distributed.Client
        As ``connect`` gives it.

    Yields
    ------
    trial, record or None, exception or None
        In the order in which the trials end. An exception ends only its own trial.

    Raises
    ------
    RNNError
        If the scheduler disappears.
    """
    from distributed import as_completed

    # pure=False: otherwise Dask could return the result of an earlier run of the same settings.
    futures = {client.submit(_learn, asdict(trial), pure=False): trial for trial in trials}
    for future in as_completed(list(futures)):
        if future.status in ("cancelled", "lost"):
            raise RNNError(
                "the Dask scheduler is gone; all results so far are saved, and the same command "
                "resumes the sweep"
            )
        trial, error = futures.pop(future), future.exception()
        yield trial, None if error else future.result(), error


def _learn(settings: Record) -> Record:
    return learn(Trial(**settings))
