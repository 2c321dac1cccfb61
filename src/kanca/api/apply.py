"""``/api/apply``: several changes as one. All of them are made, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from kanca.api.audit import About, Audited, Record, Trail
from kanca.api.audited import CREDENTIAL, ENDPOINT, EVENT_TYPE, SUBSCRIPTION, WORKFLOW
from kanca.api.changes import Change, Done, Verb, make_change
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.api.subscriptions import asked, go_on
from kanca.domain.changing import Kind
from kanca.errors import ChangedMeanwhile, Conflict, InvalidInput, KancaError, NotFound
from kanca.storage import endpoints
from kanca.storage.versions import Subject, bump_version

router = resource("As code", "/api/apply")

MOST_CHANGES = 1_000
_LOCKS: tuple[Subject, ...] = ("credentials", "endpoints", "event_types", "subscriptions", "workflows")
_KINDS = {
    Kind.EVENT_TYPE: EVENT_TYPE,
    Kind.CREDENTIAL: CREDENTIAL,
    Kind.WORKFLOW: WORKFLOW,
    Kind.ENDPOINT: ENDPOINT,
    Kind.SUBSCRIPTION: SUBSCRIPTION,
}
_DONE = {
    Verb.CREATE: "created",
    Verb.CHANGE: "changed",
    Verb.PUBLISH: "published",
    Verb.ROTATE: "secret_rotated",
    Verb.DELETE: "deleted",
}


class ApplyRequest(BaseModel):
    """Changes that belong together."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "changes": [
                        {
                            "kind": "endpoint",
                            "verb": "create",
                            "id": "orders",
                            "body": {"slug": "orders", "config": {"dedupe": "content"}},
                        },
                        {
                            "kind": "subscription",
                            "verb": "create",
                            "id": "partner",
                            "body": {
                                "url": "https://partner.example/hooks",
                                "events": ["*"],
                                "sources": ["orders"],
                            },
                        },
                    ],
                    "dry_run": True,
                }
            ]
        },
    )

    changes: list[Change] = Field(max_length=MOST_CHANGES, description="In this order.")
    dry_run: bool = Field(
        False, strict=True, description="Find out whether they can be made, and leave everything as it is."
    )


class AppliedChange(BaseModel):
    """A change that was made."""

    kind: Kind
    verb: Verb
    id: str = Field(description="Of an endpoint its `wh_…` id.")


class ChangesApplied(BaseModel):
    """All of them, or with `dry_run` what would be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "is_dry_run": False,
                    "changes": [
                        {"kind": "endpoint", "verb": "create", "id": "wh_3f0c2a9d84b1e7c65a20d9f4"},
                        {"kind": "subscription", "verb": "create", "id": "partner"},
                    ],
                }
            ]
        }
    )

    is_dry_run: bool
    changes: list[AppliedChange]


@router.post(
    "",
    summary="Make several changes as one",
    operation_id="apply_changes",
    responses=refused_with(InvalidInput, NotFound, Conflict, ChangedMeanwhile),
)
async def apply(services: Given, trail: Audited, request: ApplyRequest) -> ChangesApplied:
    """Make all the changes in one transaction, or none: the first that cannot be is the answer, `change` is its place.

    Each may build on those before it: an endpoint on the workflow that is created with it. What `kanca apply` asks.
    """
    try:
        done = await trail.write_all(_make_all, services, request.changes, is_dry=request.dry_run)
    except _Rehearsed as rehearsed:
        done = rehearsed.done
    else:
        await _see_to(services, trail, done)
    changes = [
        AppliedChange(kind=change.kind, verb=change.verb, id=each.subject)
        for change, each in zip(request.changes, done, strict=True)
    ]
    return ChangesApplied(is_dry_run=request.dry_run, changes=changes)


class _Rehearsed(Exception):
    """All of it can be done."""

    def __init__(self, done: list[Done]) -> None:
        super().__init__()
        self.done = done


def _make_all(
    connection: Connection, record: Record, services: Services, changes: Sequence[Change], *, is_dry: bool
) -> list[Done]:
    # All locks at once, always in the same order: whoever changes one of these takes its lock first.
    for subject in _LOCKS:
        bump_version(connection, subject)
    done = []
    for place, change in enumerate(changes):
        try:
            done.append(
                record(_about(connection, change), partial(make_change, services=services, change=change))
            )
        except KancaError as error:
            error.facts["change"] = place
            raise
    if is_dry:
        raise _Rehearsed(done)
    return done


def _about(connection: Connection, change: Change) -> About[Done]:
    """What the entry of the change says."""
    kind, action = _KINDS[change.kind], f"{change.kind}.{_DONE[change.verb]}"
    if change.verb is Verb.CREATE:
        return About(action, kind, made=lambda done: done.subject, detail=_by_apply)
    key = change.id
    if change.kind is Kind.ENDPOINT:
        key, _ = endpoints.by_address(connection, {change.id}).get(change.id, (change.id, ""))
    return About(action, kind, key, detail=_by_apply)


def _by_apply(_done: Done) -> dict[str, str]:
    return {"by": "apply"}


async def _see_to(services: Services, trail: Trail, done: Sequence[Done]) -> None:
    """What follows the commit, as it follows the commit of each alone; at once, for receivers take their time."""

    async def see_to(each: Done) -> None:
        if each.subscription is not None:
            if each.must_ask:
                await asked(services, trail, each.subscription)
            await go_on(services, each.subscription.number)
        elif each.deleted_number is not None:
            await go_on(services, each.deleted_number)

    await asyncio.gather(*map(see_to, done))
