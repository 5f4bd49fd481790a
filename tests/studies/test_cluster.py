"""The client of a cluster: made only if a Dask scheduler answers at the address."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import first
from interpreters import environment

from theano_rnn import RNNError
from theano_rnn.studies import cluster


def say_nothing(connection):
    pass


def speak_http(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    "answer, said",
    first(1, [(speak_http, "there is no Dask"), (say_nothing, "no answer in 0.5 s")]),
)
def test_a_server_that_is_no_scheduler_gets_no_client(monkeypatch, answer, said):
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    refused = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                answer(connection)
                refused.wait()  # the connection stays open until the test has its error

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        try:
            assert_no_client(address, said)
        finally:
            refused.set()
            thread.join()


@pytest.mark.slow
def test_a_scheduler_address_must_be_one_of_a_scheduler():
    from distributed import LocalCluster

    options = {"dashboard_address": "127.0.0.1:0", "protocol": "tcp", "threads_per_worker": 1}
    with LocalCluster(n_workers=1, processes=False, **options) as local:
        assert_no_client(local.workers[0].address, "a Worker answers")
    assert_no_client("host:port", "host:port")


def assert_no_client(address, said):
    """RNNError that names the address, and no half-made client left to be collected."""
    from distributed import Client

    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, Client) for each in gc.get_objects())
        with pytest.raises(RNNError) as error, cluster.connect(address):
            pass
        assert said in str(error.value) and f"scheduler at {address}" in str(error.value)
        assert sum(isinstance(each, Client) for each in gc.get_objects()) == before
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def local():
    """A cluster with two workers of one thread, in this process."""
    from distributed import LocalCluster

    options = {"dashboard_address": "127.0.0.1:0", "protocol": "tcp", "threads_per_worker": 1}
    with LocalCluster(n_workers=2, processes=False, **options) as made:
        yield made


def square(number):
    if number == 3:
        raise ValueError("three")
    return number**2


def test_jobs_are_drawn_as_threads_get_free_and_an_error_ends_only_its_own(local):
    drawn, ended = [], []

    def jobs():
        for number in range(6):
            drawn.append(number)
            yield number

    with cluster.connect(local.scheduler_address) as client:
        assert cluster.threads(client) == 2
        for job, result, error in cluster.run(square, jobs(), client):
            ended.append(job)
            assert result == (None if job == 3 else job**2)
            assert str(error) == ("three" if job == 3 else "None")
            if job == 3:
                said = cluster.reason(error)
                assert re.fullmatch(r"ValueError in test_cluster.py:\d+: three", said)
            assert len(drawn) <= len(ended) + 2
    assert sorted(ended) == list(range(6))


BEGUN, ABANDONED = threading.Event(), threading.Event()


def work_until_abandoned(_):
    BEGUN.set()
    while not cluster.is_abandoned():
        time.sleep(0.01)
    ABANDONED.set()


def test_after_ctrl_c_a_job_learns_that_nobody_waits_for_it(local):
    # A shell has programs in the background ignore it, and so those that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press_ctrl_c():
        BEGUN.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    try:
        with cluster.connect(local.scheduler_address) as client:
            threading.Thread(target=press_ctrl_c, daemon=True).start()
            with pytest.raises(KeyboardInterrupt):
                list(cluster.run(work_until_abandoned, [1], client))
            assert ABANDONED.wait(30)
    finally:
        signal.signal(signal.SIGINT, before)


INTERRUPTED = """
import os, signal, threading
import distributed
from theano_rnn.studies import cluster

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.5, os.killpg, (0, signal.SIGINT)).start()  # as a terminal does
try:
    with cluster.connect(workers=1):
        threading.Event().wait(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_waits_until_the_cluster_has_begun_and_does_not_reach_workers():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=environment(),
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


@pytest.mark.slow
def test_a_scheduler_that_goes_is_one_error():
    from distributed import LocalCluster

    options = {"dashboard_address": "127.0.0.1:0", "protocol": "tcp", "threads_per_worker": 1}
    with LocalCluster(n_workers=1, processes=False, **options) as local:
        with cluster.connect(local.scheduler_address) as client:
            done = cluster.run(square, iter([1, 2]), client)
            next(done)
            local.close()
            with pytest.raises(RNNError, match="the Dask scheduler is gone"):
                list(done)
