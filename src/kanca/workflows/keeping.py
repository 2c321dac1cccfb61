"""What a run asks of the database, and what it does when there is no answer: it leaves the run to whoever goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kanca.domain.task import Completion
from kanca.errors import CommitQueueFull, Unavailable
from kanca.workflows.surroundings import Record

T = TypeVar("T")


class CannotRecord(Exception):
    """Nothing can be stored under this claim any more, or it is not known whether it was."""


async def store(record: Record, checkpoint: Completion) -> None:
    """Store a checkpoint, or raise CannotRecord. Cancelled, it is known all the same whether it was written."""
    storing = asyncio.ensure_future(record(checkpoint))
    try:
        is_stored = await asyncio.shield(storing)
    except asyncio.CancelledError:
        # What is handed back goes on from this checkpoint, so it has to be known whether it was written.
        await asyncio.wait({storing})
        if storing.cancelled() or storing.exception() is not None or not storing.result():
            raise CannotRecord from None
        raise
    except Unavailable:
        raise CannotRecord from None
    if not is_stored:
        raise CannotRecord


async def ask(asked: Awaitable[T]) -> T:
    """What the desk says, or raise CannotRecord: what is not known now is asked again by whoever goes on."""
    try:
        return await asked
    except (Unavailable, CommitQueueFull):
        raise CannotRecord from None
