"""``/admin/dlq``: work that is out of attempts, and its way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import Body, Path, Query
from sqlalchemy import Connection

from kanca.api.answers import Json, Message
from kanca.api.audit import audit
from kanca.api.callers import Caller, CallerTenant
from kanca.api.dead_letter_models import (
    Letter,
    LetterFilter,
    LetterPage,
    LetterRetry,
    LetterSearch,
    ManyRetried,
    Retried,
    show_letter,
)
from kanca.api.endpoints import find as find_endpoint
from kanca.api.event_views import LISTED_PAYLOAD_BYTES, SHOWN_PAYLOAD_BYTES
from kanca.api.fields import read_dead_letter_id
from kanca.api.openapi import refused_with
from kanca.api.ownership import check_endpoint
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.ids import DEAD_LETTER, show_id
from kanca.domain.task import DeadLetter
from kanca.errors import DeadLetterNotFound, EndpointNotFound
from kanca.storage import dead_letters, endpoints, owners
from kanca.storage.dead_letters import DeadLetterFilter
from kanca.storage.endpoints import EndpointName
from kanca.storage.pages import Page

router = resource("Dead letters", "/admin/dlq")

_AT_ONCE = 500
LetterPath = Annotated[
    str, Path(max_length=64, description="`dl_…`, or a position in the list of all, 0 being the oldest.")
]


@router.get(
    "",
    summary="List dead letters",
    operation_id="list_dead_letters",
    response_model=LetterPage,
    responses=refused_with(EndpointNotFound),
)
async def list_all(services: Given, caller: CallerTenant, search: Annotated[LetterSearch, Query()]) -> Json:
    """List dead letters, the oldest first."""
    wanted = await _wanted(services, caller, search)
    count, page, names = await services.database.read(_page, wanted, search.limit, search.cursor)
    items = [show_letter(letter, names, LISTED_PAYLOAD_BYTES) for letter in page.items]
    return Json(LetterPage(count=count, items=items, next_cursor=page.next_cursor))


@router.get(
    "/{letter}",
    summary="Read a dead letter",
    operation_id="get_dead_letter",
    response_model=Letter,
    responses=refused_with(DeadLetterNotFound),
)
async def get(services: Given, caller: CallerTenant, letter: LetterPath) -> Json:
    """Read one dead letter with its cause."""
    letter_id = await _id_of(services, caller, letter)
    found = await services.database.read(dead_letters.get, letter_id)
    if found is None:
        raise _missing(letter)
    numbers = [found.endpoint] if found.endpoint is not None else []
    names = await services.database.read(endpoints.names, numbers)
    return Json(show_letter(found, names, SHOWN_PAYLOAD_BYTES))


@router.post(
    "/retry",
    summary="Retry many dead letters",
    operation_id="retry_dead_letters",
    responses=refused_with(EndpointNotFound),
)
async def retry_many(
    services: Given, caller: CallerTenant, request: Annotated[LetterRetry | None, Body()] = None
) -> ManyRetried:
    """Give the work of all dead letters that fit back to the queue, with all its attempts.

    Work that dies again meanwhile is not retried a second time.
    """
    asked = request or LetterRetry()
    wanted = await _wanted(services, caller, asked)
    wanted = replace(wanted, until=wanted.until or services.now())
    count = 0
    while count < asked.limit:
        part = min(_AT_ONCE, asked.limit - count)
        retried = await services.database.write(dead_letters.retry_some, wanted, services.now(), part)
        count += retried
        services.wake()
        if retried < part:
            break
    audit("dead_letters.retried", "dlq", count=count)
    return ManyRetried(status="retry_scheduled", count=count)


@router.post(
    "/{letter}/retry",
    summary="Retry a dead letter",
    operation_id="retry_dead_letter",
    responses=refused_with(DeadLetterNotFound),
)
async def retry(services: Given, caller: CallerTenant, letter: LetterPath) -> Retried:
    """Give its work back to the queue, with all its attempts."""
    letter_id = await _id_of(services, caller, letter)
    if not await services.database.write(dead_letters.retry, letter_id, services.now()):
        raise _missing(letter)
    services.wake()
    shown = show_id(DEAD_LETTER, letter_id)
    audit("dead_letter.retried", shown)
    return Retried(status="retry_scheduled", id=shown)


@router.delete(
    "/{letter}",
    summary="Delete a dead letter",
    operation_id="delete_dead_letter",
    responses=refused_with(DeadLetterNotFound),
)
async def delete(services: Given, caller: CallerTenant, letter: LetterPath) -> Message:
    """Give its work up: it stays dead, and is listed no more."""
    letter_id = await _id_of(services, caller, letter)
    if not await services.database.write(dead_letters.remove, letter_id):
        raise _missing(letter)
    shown = show_id(DEAD_LETTER, letter_id)
    audit("dead_letter.deleted", shown)
    return Message(message=f"Dead letter {shown} was deleted")


async def _wanted(services: Services, caller: Caller, asked: LetterFilter) -> DeadLetterFilter:
    if asked.webhook_id is not None:
        await check_endpoint(services, caller, asked.webhook_id)
    number = (await find_endpoint(services, asked.webhook_id)).number if asked.webhook_id else None
    return DeadLetterFilter(
        tenant=caller.tenant_of(asked.tenant),
        endpoint=number,
        event_type=asked.event_type,
        work=asked.work,
        code=asked.code,
        event_id=asked.event_id,
        since=asked.since,
        until=asked.until,
    )


async def _id_of(services: Services, caller: Caller, letter: str) -> UUID:
    """The id of a letter that is there for the caller. Raises DeadLetterNotFound.

    It may be named by its position, by those who see the list of all.
    """
    if not letter.isascii() or not letter.isdecimal():
        named = read_dead_letter_id(letter)
        if caller.tenant is not None and not caller.owns(
            await services.database.read(owners.of_dead_letter, named)
        ):
            raise _missing(letter)
        return named
    if caller.tenant is not None:
        raise _missing(letter)
    # No list is longer than what nine digits can say.
    found = await services.database.read(dead_letters.id_at, int(letter)) if len(letter) < 10 else None
    if found is None:
        raise _missing(letter)
    return found


def _missing(letter: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"There is no dead letter {letter[:64]!a}, or not any more.")


def _page(
    connection: Connection, wanted: DeadLetterFilter, limit: int, cursor: str | None
) -> tuple[int, Page[DeadLetter], dict[int, EndpointName]]:
    page = dead_letters.page(connection, wanted, limit, cursor)
    numbers = {letter.endpoint for letter in page.items if letter.endpoint is not None}
    return dead_letters.count(connection, wanted), page, endpoints.names(connection, numbers)
