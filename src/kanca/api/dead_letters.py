"""``/admin/dlq``: work that is out of attempts, and its way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Path, Query
from sqlalchemy import Connection

from kanca.api.answers import Json, Message
from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import A_JOB, LETTER, LETTERS
from kanca.api.callers import Caller, CallerTenant
from kanca.api.dead_letter_models import (
    AT_ONCE,
    KINDS,
    LetterFilter,
    LetterPage,
    LetterPurge,
    LetterRetry,
    LetterSearch,
    LetterWithAttempts,
    ManyPurged,
    ManyRetried,
    Retried,
    show_letter,
    show_letter_with_attempts,
)
from kanca.api.endpoints import find as find_endpoint
from kanca.api.event_views import LISTED_PAYLOAD_BYTES, SHOWN_PAYLOAD_BYTES
from kanca.api.fields import read_dead_letter_id
from kanca.api.openapi import refused_with
from kanca.api.ownership import check_endpoint
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.delivery import work_of as work_of_subscription
from kanca.domain.ids import DEAD_LETTER, JOB, show_id
from kanca.domain.job import Job, JobKind
from kanca.domain.task import DeadLetter
from kanca.errors import DeadLetterNotFound, EndpointNotFound, EventGone, InvalidInput, PayloadExpunged
from kanca.storage import dead_letters, endpoints, jobs, owners
from kanca.storage.dead_letter_jobs import filter_as_json
from kanca.storage.dead_letters import DeadLetterFilter
from kanca.storage.endpoints import EndpointName
from kanca.storage.pages import Page
from kanca.workflows.runs import work_of as work_of_workflow

router = resource("Dead letters", "/admin/dlq")

_ASKED = {
    JobKind.RETRY_DEAD_LETTERS: "dead_letters.retried",
    JobKind.PURGE_DEAD_LETTERS: "dead_letters.purged",
}
LetterPath = Annotated[
    str, Path(max_length=64, description="`dl_…`, or a position in the list of all, 0 being the oldest.")
]


@router.get(
    "",
    summary="List dead letters",
    operation_id="list_dead_letters",
    response_model=LetterPage,
    responses=refused_with(EndpointNotFound, InvalidInput),
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
    response_model=LetterWithAttempts,
    responses=refused_with(DeadLetterNotFound),
)
async def get(services: Given, caller: CallerTenant, letter: LetterPath) -> Json:
    """Read one dead letter with its cause, and each attempt that failed."""
    letter_id = await _id_of(services, caller, letter)
    found = await services.database.read(dead_letters.get, letter_id)
    if found is None:
        raise _missing(letter)
    numbers = [found.endpoint] if found.endpoint is not None else []
    names = await services.database.read(endpoints.names, numbers)
    failed = await services.database.read(dead_letters.attempts_of, found)
    return Json(show_letter_with_attempts(found, names, SHOWN_PAYLOAD_BYTES, failed))


@router.post(
    "/retry",
    summary="Retry many dead letters",
    operation_id="retry_dead_letters",
    responses=refused_with(EndpointNotFound, InvalidInput),
)
async def retry_many(
    services: Given,
    caller: CallerTenant,
    trail: Audited,
    request: Annotated[LetterRetry | None, Body()] = None,
) -> ManyRetried:
    """Give the work of all dead letters that fit back to the queue, with all its attempts.

    Work that dies again meanwhile is not retried a second time. Where they are many and there is no `limit`, a job does
    it. Those whose payload was expunged, or whose event is gone, stay.
    """
    asked = request or LetterRetry()
    wanted = await _wanted(services, caller, asked)
    wanted = replace(wanted, until=wanted.until or services.now())
    count = await services.database.read(dead_letters.count_retried, wanted)
    if asked.limit is not None:
        count = min(count, asked.limit)
    if asked.dry_run:
        return ManyRetried(status="dry_run", count=count, job_id=None)
    if count > AT_ONCE and asked.limit is None:
        job_id = await _start(services, trail, JobKind.RETRY_DEAD_LETTERS, wanted, count)
        return ManyRetried(status="retry_scheduled", count=count, job_id=job_id)
    count = await _retry_now(services, trail, wanted, count)
    return ManyRetried(status="retry_scheduled", count=count, job_id=None)


@router.post(
    "/purge",
    summary="Delete many dead letters",
    operation_id="purge_dead_letters",
    responses=refused_with(EndpointNotFound, InvalidInput),
)
async def purge(services: Given, caller: CallerTenant, trail: Audited, request: LetterPurge) -> ManyPurged:
    """Delete all dead letters that fit: their work is given up. Where they are many, a job does it."""
    if not request.all and not request.model_fields_set - {"all", "dry_run"}:
        raise InvalidInput("Say which letters: at least one condition, or `all`.")
    wanted = await _wanted(services, caller, request)
    wanted = replace(wanted, until=wanted.until or services.now())
    count = await services.database.read(dead_letters.count, wanted)
    if request.dry_run:
        return ManyPurged(status="dry_run", count=count, job_id=None)
    if count > AT_ONCE:
        job_id = await _start(services, trail, JobKind.PURGE_DEAD_LETTERS, wanted, count)
        return ManyPurged(status="purge_scheduled", count=count, job_id=job_id)
    purged = About[int]("dead_letters.purged", LETTERS, detail=_counted(wanted))
    count = await trail.write(purged, dead_letters.remove_some, wanted, AT_ONCE)
    return ManyPurged(status="purged", count=count, job_id=None)


@router.post(
    "/{letter}/retry",
    summary="Retry a dead letter",
    operation_id="retry_dead_letter",
    responses=refused_with(DeadLetterNotFound, EventGone, PayloadExpunged),
)
async def retry(services: Given, caller: CallerTenant, trail: Audited, letter: LetterPath) -> Retried:
    """Give its work back to the queue, with all its attempts."""
    letter_id = await _id_of(services, caller, letter)
    retried = About[None]("dead_letter.retried", LETTER, letter_id)
    await trail.write(retried, _retry, letter_id, letter, services.now())
    services.wake()
    return Retried(status="retry_scheduled", id=show_id(DEAD_LETTER, letter_id))


@router.delete(
    "/{letter}",
    summary="Delete a dead letter",
    operation_id="delete_dead_letter",
    responses=refused_with(DeadLetterNotFound),
)
async def delete(services: Given, caller: CallerTenant, trail: Audited, letter: LetterPath) -> Message:
    """Give its work up: it stays dead, and is listed no more."""
    letter_id = await _id_of(services, caller, letter)
    deleted = About[None]("dead_letter.deleted", LETTER, letter_id)
    await trail.write(deleted, _remove, letter_id, letter)
    return Message(message=f"Dead letter {show_id(DEAD_LETTER, letter_id)} was deleted")


def _counted(wanted: DeadLetterFilter) -> Callable[[int], dict[str, Any] | None]:
    """What an entry says of letters that fit a filter; of none at all, nothing."""
    said = filter_as_json(wanted)
    return lambda count: {"count": count, "filter": said} if count else None


async def _retry_now(services: Services, trail: Trail, wanted: DeadLetterFilter, most: int) -> int:
    """Retry so many at most, and give how many there were."""
    about = About[int]("dead_letters.retried", LETTERS, detail=_counted(wanted))
    count = 0
    while count < most:
        part = min(AT_ONCE, most - count)
        retried = await trail.write(about, dead_letters.retry_some, wanted, services.now(), part)
        count += retried
        services.wake()
        if retried < part:
            break
    return count


async def _start(
    services: Services, trail: Trail, kind: JobKind, wanted: DeadLetterFilter, total: int
) -> str:
    """Leave it to a job, and give its id."""
    job = Job(
        id=services.ids.new(),
        kind=kind,
        tenant=wanted.tenant,
        wanted=filter_as_json(wanted),
        total=total,
        created_at=services.now(),
    )
    asked = About[None](_ASKED[kind], A_JOB, made=lambda _: job.id, detail=lambda _: {"count": total})
    await trail.write(asked, jobs.create, job)
    return show_id(JOB, job.id)


async def _wanted(services: Services, caller: Caller, asked: LetterFilter) -> DeadLetterFilter:
    """The letters that are asked for. Raises EndpointNotFound, InvalidInput, NotForTenants."""
    if asked.webhook_id is not None:
        await check_endpoint(services, caller, asked.webhook_id)
    number = (await find_endpoint(services, asked.webhook_id)).number if asked.webhook_id else None
    return DeadLetterFilter(
        tenant=caller.tenant_of(asked.tenant),
        endpoint=number,
        event_type=asked.event_type,
        kinds=KINDS[asked.kind] if asked.kind else (),
        work=_work_in(asked),
        code=asked.code,
        text=asked.text,
        event_id=asked.event_id,
        since=asked.since,
        until=asked.until,
    )


def _work_in(asked: LetterFilter) -> str | None:
    """The name of the work that is asked for, in one of three ways. Raises InvalidInput for two of them."""
    names = [
        asked.work,
        work_of_subscription(asked.subscription_id) if asked.subscription_id else None,
        work_of_workflow(asked.workflow_id) if asked.workflow_id else None,
    ]
    given = [name for name in names if name is not None]
    if len(given) > 1:
        raise InvalidInput("Only one of `work`, `subscription_id` and `workflow_id` may be given.")
    return given[0] if given else None


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


def _retry(connection: Connection, letter_id: UUID, letter: str, now: datetime) -> None:
    if not dead_letters.retry(connection, letter_id, now):
        raise _missing(letter)


def _remove(connection: Connection, letter_id: UUID, letter: str) -> None:
    if not dead_letters.remove(connection, letter_id):
        raise _missing(letter)


def _missing(letter: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"There is no dead letter {letter[:64]!a}, or not any more.")


def _page(
    connection: Connection, wanted: DeadLetterFilter, limit: int, cursor: str | None
) -> tuple[int, Page[DeadLetter], dict[int, EndpointName]]:
    page = dead_letters.page(connection, wanted, limit, cursor)
    numbers = {letter.endpoint for letter in page.items if letter.endpoint is not None}
    return dead_letters.count(connection, wanted), page, endpoints.names(connection, numbers)
