from __future__ import annotations

import asyncio
import socket

import pytest


def test_an_address_of_another_machine_is_refused_before_anything_is_sent() -> None:
    with socket.socket() as connection, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))


async def test_an_asynchronous_connection_to_another_machine_is_refused_too() -> None:
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        await asyncio.open_connection("192.0.2.1", 80)


def test_no_name_of_another_machine_is_looked_up() -> None:
    with pytest.raises(RuntimeError, match=r"hooks\.example\.com"):
        socket.getaddrinfo("hooks.example.com", 443)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("localhost", 0)) as server, socket.create_connection(server.getsockname()):
        pass
