"""Serve the bare app exactly as a gateway is served: one process, Granian embedded, uvloop."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from bench.bare_app import app


async def main(port: int) -> None:
    """Serve until SIGTERM."""
    server = Server(
        app, port=port, interface=Interfaces.ASGI, log_enabled=False, websockets=False, backlog=1024
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
