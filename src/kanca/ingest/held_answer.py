"""What the sender of a held request is answered: what the run said, or else what became of it."""

from __future__ import annotations

import asyncio

from kanca.domain.status import OutcomeStatus
from kanca.ingest.custom_answer import BODYLESS, stored_answer
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Chunks, ClientGone, Said
from kanca.ingest.responses import as_problem
from kanca.ingest.waiting_room import Became
from kanca.storage.answers import StoredAnswer

_FAILED = Refusal("run_failed")
_OF_BODY = frozenset({b"content-length", b"content-type"})


def held_answer(became: Became | None, usual: Said, timeout_status: int) -> Said:
    """The answer after the wait; ``usual`` is what a sender that is not held is answered."""
    if isinstance(became, StoredAnswer):
        return stored_answer(became)
    if became is None:
        return with_status(usual, timeout_status)
    return as_problem(_FAILED) if became is OutcomeStatus.DEAD else usual


def with_status(said: Said, status: int) -> Said:
    """The same with another status, and without a body where that has none."""
    kept = tuple(pair for pair in said.headers if pair[0] not in _OF_BODY)
    if status in BODYLESS:
        return Said(status, kept, b"")
    kinds = tuple(pair for pair in said.headers if pair[0] == b"content-type")
    return Said(status, ((b"content-length", b"%d" % len(said.body)), *kinds, *kept), said.body)


async def client_left(chunks: Chunks) -> None:
    """Wait until the client of a request that was read to its end is gone: for ever, where nobody would say so."""
    try:
        await chunks()
    except ClientGone:
        return
    await asyncio.get_running_loop().create_future()
