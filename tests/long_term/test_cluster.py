"""The client of a cluster: made only if a Dask scheduler answers at the address."""

import gc
import socket
import threading

import pytest
from conftest import first

from theano_rnn import RNNError
from theano_rnn.long_term import cluster


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
