"""What live tails cost ingest: accepted events per second and CPU per event, beside 0, 1 and 20 tails that take all.

``unnumbered`` is the same without the trigger that numbers events for tails, which all pay for who never look at one.
The rounds of all four are interleaved; the CPU of the tails' clients is not counted, but on a small machine it is
missing elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, text

from bench.cpu import cpu_seconds
from bench.ingest import MOST_PER_SECOND, databases
from bench.load import Load, prepared, run_wrk
from bench.report import report
from bench.servers import Running, kanca, stripe_endpoint
from kanca.storage.dialects import file_of, open_database

BODY_BYTES = 700
ROUNDS = 3
TAILS = (0, 1, 20)
_FILE_TRIGGER = """
    CREATE TRIGGER kanca.feed_events AFTER INSERT ON kanca.events
    BEGIN INSERT INTO kanca.feed (event_id) VALUES (new.id); END
"""


def main(seconds: float) -> None:
    """Measure and print."""
    rows: list[list[object]] = []
    result: dict[str, float] = {}
    with (
        prepared(BODY_BYTES, int(MOST_PER_SECOND * seconds * ROUNDS)) as (directory, requests),
        databases(directory) as stores,
    ):
        for label, (url, database_pid) in stores.items():
            for way, (rate, spent_us, ratio) in _measure(
                url, database_pid, requests, directory, seconds
            ).items():
                rows.append([f"{label}, {way}", rate, spent_us, ratio])
                result |= {f"{label.lower()}_{way}_ratio": round(ratio, 3)}
    report("tail", result, ["", "accepted/s", "CPU µs/event", "CPU ratio to 0 tails"], rows)


def _measure(
    url: str, database_pid: int, requests: Path, directory: Path, seconds: float
) -> dict[str, tuple[float, float, float]]:
    """Rate, CPU of gateway and database for each event, and how that compares with no tail; medians."""
    rounds: dict[str, list[tuple[float, float]]] = {}
    with kanca(url, directory, "--workers", "0") as server:
        target = stripe_endpoint(server)
        roots = [server.pid, *([database_pid] if database_pid else [])]
        run_wrk(target, requests, seconds / 2)  # warm
        for _ in range(ROUNDS):
            asyncio.run(_number(url, is_on=False))
            rounds.setdefault("unnumbered", []).append(_round(server, target, roots, requests, seconds, 0))
            asyncio.run(_number(url, is_on=True))
            for tails in TAILS:
                taken = _round(server, target, roots, requests, seconds, tails)
                rounds.setdefault(f"{tails} tails", []).append(taken)
    without = statistics.median(spent for _, spent in rounds["0 tails"])
    return {
        way: (
            statistics.median(rate for rate, _ in taken),
            statistics.median(spent for _, spent in taken),
            statistics.median(spent for _, spent in taken) / without,
        )
        for way, taken in rounds.items()
    }


def _round(
    server: Running, target: str, roots: list[int], requests: Path, seconds: float, tails: int
) -> tuple[float, float]:
    with _clients(server.url, tails):
        before = cpu_seconds(*roots)
        load: Load = run_wrk(target, requests, seconds)
        spent = cpu_seconds(*roots) - before
    return load.per_second, spent / max(load.requests - load.refused, 1) * 1e6


@contextmanager
def _clients(url: str, number: int) -> Iterator[None]:
    """So many clients that take whatever a tail sends."""
    address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
    sockets = [socket.create_connection(address) for _ in range(number)]
    threads = [threading.Thread(target=_take, args=(each, address[1])) for each in sockets]
    for thread in threads:
        thread.start()
    yield
    for each in sockets:
        each.shutdown(socket.SHUT_RDWR)
        each.close()
    for thread in threads:
        thread.join()


def _take(connection: socket.socket, port: int) -> None:
    connection.sendall(f"GET /api/tail HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        return


async def _number(url: str, *, is_on: bool) -> None:
    """Have events numbered, or not."""
    is_file = file_of(url) is not None
    if is_file:
        statement = _FILE_TRIGGER if is_on else "DROP TRIGGER kanca.feed_events"
    else:
        statement = f"ALTER TABLE kanca.events {'ENABLE' if is_on else 'DISABLE'} TRIGGER feed_events"

    def change(connection: Connection) -> None:
        connection.execute(text(statement))

    database = await open_database(url)
    try:
        await database.write(change)
    finally:
        await database.close()
