"""Ports that are reserved."""

import socket
import subprocess
import sys

import pytest

from harness.ports import HOST, reserve_port


@pytest.mark.slow
def test_no_port_is_given_twice() -> None:
    reserved = [reserve_port() for _ in range(200)]
    code = "from harness.ports import reserve_port\nprint(*(reserve_port() for _ in range(200)))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len({*reserved, *map(int, other.stdout.split())}) == 400


def test_a_reserved_port_can_be_listened_on() -> None:
    port = reserve_port()
    with (
        socket.create_server(("", port)) as listener,
        socket.create_connection((HOST, port)) as client,
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getpeername() == client.getsockname()


def test_nobody_answers_on_it_before() -> None:
    with socket.socket() as client:
        assert client.connect_ex((HOST, reserve_port())) != 0
