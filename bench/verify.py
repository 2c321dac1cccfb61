"""What proving its sender costs a webhook, as a share of all that a gateway does with it.

Each provider of the catalogue signs its own sample, and two costs are taken by turns in one process: that of
``verifier.verify``, and that of ``Ingest.accept`` with 64 webhooks at once, from the request to the answer. That is the
whole of ingest but for the server's own work on HTTP, which would only make the shares smaller: the events and their
work are committed to SQLite (``synchronous=FULL``), for nothing is answered before that, and 64 share their commits.

Ingest reads every body once, and a scheme whose proof is in the body looks into the same reading: so what is timed as
verifying is what it adds, on a body that has been read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import structlog

from bench.report import report
from kanca.bodies import Unreadable
from kanca.errors import KancaError
from kanca.ingest.request import Request
from kanca.providers import Draft, SignedRequest, Verified, provider_names
from kanca.storage.dialects import open_database
from tests.ingest.senders import Doors, Sender, arriving, sender_of

AT_ONCE = 64
MAC_SCHEMES = frozenset({"hmac"})
TARGET_PERCENT = 10.0
COLUMNS = ("provider", "scheme", "verify µs", "ingest µs", "share %")


def main(seconds: float) -> None:
    """Measure for about ``seconds`` and print."""
    # As a gateway logs: not a line for each webhook.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    senders, unsigned = _senders()
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        measured = asyncio.run(_measured(f"sqlite:///{name}/kanca.db", senders, seconds))
    rows: list[list[object]] = []
    result: dict[str, Any] = {}
    for sender, (verify_us, ingest_us) in zip(senders, measured, strict=True):
        name, scheme = sender.spec.name, _scheme(sender)
        share = verify_us / ingest_us * 100
        rows.append([name, scheme, verify_us, ingest_us, share])
        result[name] = {"scheme": scheme, "verify_us": round(verify_us, 2), "share_percent": round(share, 2)}
    rows.sort(key=lambda row: -float(str(row[-1])))
    rows += [[name, why, "", "", "not signed here"] for name, why in unsigned]
    worst = next(row for row in rows if row[1] in MAC_SCHEMES)
    summary = {
        "worst_hmac_provider": worst[0],
        "worst_hmac_share_percent": round(float(str(worst[-1])), 2),
        "target_percent": TARGET_PERCENT,
        "not_signed": [name for name, _ in unsigned],
    }
    report("verify", summary | {"providers": result}, COLUMNS, rows)


def _senders() -> tuple[list[Sender], list[tuple[str, str]]]:
    """Those that can be rehearsed, and the others with the reason."""
    found, unsigned = [], []
    for name in provider_names():
        try:
            sender = sender_of(name)
            sender.send(time.time())
        except KancaError as error:
            unsigned.append((name, error.code))
        else:
            found.append(sender)
    return found, unsigned


async def _measured(url: str, senders: Sequence[Sender], seconds: float) -> list[tuple[float, float]]:
    database = await open_database(url)
    try:
        await database.migrate()
        # The samples come again and again, and each is to be stored.
        return await _measure(Doors(senders, database.accepting, dedupe="off"), seconds)
    finally:
        await database.close()


async def _measure(doors: Doors, seconds: float) -> list[tuple[float, float]]:
    """Of each sender the microseconds of one verification, and of one webhook in all: medians of interleaved rounds."""
    senders = doors.senders
    drafts = [[sender.send(doors.clock.now) for _ in range(AT_ONCE)] for sender in senders]
    taken: list[list[tuple[float, float]]] = [[] for _ in senders]
    for sender, sent in zip(senders, drafts, strict=True):
        await _check(doors, sender, sent[0])
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at or len(taken[0]) < 3:
        for sender, sent, pairs in zip(senders, drafts, taken, strict=True):
            verify_us = _verify(sender, [sender.verifiable(draft) for draft in sent], doors.clock.now)
            pairs.append((verify_us, await _ingest(doors, [arriving(draft) for draft in sent])))
    return [
        (statistics.median(verify for verify, _ in pairs), statistics.median(whole for _, whole in pairs))
        for pairs in taken
    ]


async def _check(doors: Doors, sender: Sender, draft: Draft) -> None:
    """Let it be known when what is measured is not what is meant: a refusal costs less."""
    verdict = sender.verifier.verify(sender.verifiable(draft), [sender.issued.checking], doors.clock.now)
    status, body = await doors.take(arriving(draft))
    if not isinstance(verdict, Verified) or not 200 <= status <= 299:
        raise SystemExit(f"{sender.spec.name}: {verdict}, answered {status} {body!r}")


def _verify(sender: Sender, requests: Sequence[SignedRequest], now: float) -> float:
    secrets, verify = (sender.issued.checking,), sender.verifier.verify
    for request in requests:
        with contextlib.suppress(Unreadable):
            request.read()
    begin = time.perf_counter()
    for request in requests:
        verify(request, secrets, now)
    return (time.perf_counter() - begin) / len(requests) * 1e6


async def _ingest(doors: Doors, requests: Sequence[Request]) -> float:
    begin = time.perf_counter()
    await asyncio.gather(*(doors.ingest.accept(request) for request in requests))
    return (time.perf_counter() - begin) / len(requests) * 1e6


def _scheme(sender: Sender) -> str:
    return str(type(sender.spec.signatures[0]).__struct_config__.tag)
