"""Sending to a subscription at once, because a person asked for it: a test event, or the challenge."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection

from kanca.api.audit import About, Trail
from kanca.api.audited import SUBSCRIPTION
from kanca.api.services import Services
from kanca.domain.delivery import work_of
from kanca.domain.event import NewEvent, StoredEvent, as_stored
from kanca.domain.ids import EVENT, show_id
from kanca.domain.published import PUBLISHED, TEST_EVENT
from kanca.domain.status import DeliveryStatus, OutcomeStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import Delivery, Outcome
from kanca.errors import TransformFailed, Unavailable
from kanca.outbound.message import body_of
from kanca.outbound.reports import AttemptReport
from kanca.outbound.sending import Sent
from kanca.storage import event_types, subscriptions

CHALLENGE = "webhook.challenge"
NOT_ECHOED = "challenge_not_echoed"


@dataclass(frozen=True, slots=True)
class Tested:
    """A test event, and the attempt to deliver it."""

    event: NewEvent
    report: AttemptReport


async def send_test(services: Services, trail: Trail, subscription: Subscription) -> Tested:
    """Send a ``test.event`` once, whatever the subscription wants, and store it with its delivery. Raises Unavailable.

    It is stored when the attempt has ended: a test that died with its process is no event.
    """
    data = await services.database.read(_sample, subscription)
    event = _test_event(services, subscription, data)
    stored = as_stored(event)
    try:
        # In a thread: a transform that runs over lists keeps the CPU busy for up to 50 ms.
        body = await asyncio.to_thread(body_of, subscription, stored)
    except TransformFailed as error:
        now = services.now()
        report = AttemptReport(url=subscription.url, code=error.code, message=error.detail)
        sent = Sent(report, now, now, error)
    else:
        sent = await _send(services, subscription, stored, body)
    delivery, outcome = _ended(event, subscription, sent)
    detail = {"event_id": show_id(EVENT, event.id), "code": sent.report.code}
    tested = About[None]("subscription.tested", SUBSCRIPTION, subscription.id, detail=lambda _: detail)
    await trail.write(tested, subscriptions.add_test, event, delivery, outcome)
    return Tested(event, sent.report)


async def ask_to_echo(services: Services, subscription: Subscription) -> AttemptReport:
    """Send the challenge, and say how it went: without a ``code``, the receiver has echoed the token.

    That is a 2xx with ``{"challenge": token}`` or the bare token as its body. Raises Unavailable.
    """
    token = secrets.token_urlsafe(32)
    about = {"type": CHALLENGE, "challenge": token}
    event = StoredEvent(
        id=services.ids.new(),
        endpoint=PUBLISHED,
        tenant=subscription.tenant,
        type=CHALLENGE,
        received_at=services.now(),
        source_event_id=None,
        correlation_id=subscription.id,
        request=_request(subscription),
        body=_json(about),
        replay_of=None,
    )
    report = (await _send(services, subscription, event, event.body)).report
    if report.code is not None or _echoes(report, token):
        return report
    sentence = f"the receiver answered {report.status}, but not with the token"
    return msgspec.structs.replace(report, code=NOT_ECHOED, message=sentence)


async def verify(
    services: Services, trail: Trail, subscription: Subscription
) -> tuple[Subscription, AttemptReport]:
    """Send the challenge; gives the subscription, verified if its receiver echoed the token, and the attempt.

    A subscription that got another address meanwhile stays as it is. Raises Unavailable, SubscriptionNotFound.
    """
    report = await ask_to_echo(services, subscription)
    detail = {"is_echoed": report.code is None, "code": report.code}
    if report.code is not None:
        await trail.note("subscription.challenged", SUBSCRIPTION, subscription.id, **detail)
        return subscription, report

    def verified(before: Subscription) -> Subscription:
        if before.url != subscription.url:
            return before
        return replace(before, is_verified=True, updated_at=services.now())

    challenged = About[Subscription](
        "subscription.challenged", SUBSCRIPTION, subscription.id, detail=lambda _: detail
    )
    changed = await trail.write(
        challenged, subscriptions.change, services.secret_box, subscription.id, verified
    )
    return changed, report


async def _send(services: Services, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
    if services.send is None:
        raise Unavailable("No webhooks are sent by this process.")
    return await services.send(subscription, event, body)


def _sample(connection: Connection, subscription: Subscription) -> Any:
    """The data of a test event: the example of the first event type that has one."""
    examples = event_types.examples_of(connection, subscription.events)
    for event_type in subscription.events:
        if event_type in examples:
            return examples[event_type]
    return {"message": "This is a test.", "subscription_id": subscription.id}


def _test_event(services: Services, subscription: Subscription, data: Any) -> NewEvent:
    event_id = services.ids.new()
    return NewEvent(
        id=event_id,
        endpoint=PUBLISHED,
        tenant=subscription.tenant,
        type=TEST_EVENT,
        received_at=services.now(),
        source_event_id=None,
        correlation_id=show_id(EVENT, event_id),
        request=_request(subscription),
        body=_json({"event_type": TEST_EVENT, "data": data}),
        dedupe_key=None,
        dedupe_until=None,
    )


def _ended(event: NewEvent, subscription: Subscription, sent: Sent) -> tuple[Delivery, Outcome]:
    """What is recorded of the test. There is no dead letter of one that failed: the person who asked knows."""
    report = sent.report
    is_delivered = report.code is None
    delivery = Delivery(
        event_id=event.id,
        subscription=subscription.number,
        status=DeliveryStatus.DELIVERED if is_delivered else DeliveryStatus.DEAD,
        attempts=1,
        reason=report.code,
        response_status=report.status,
        started_at=sent.started_at,
        finished_at=sent.finished_at,
        attempt=msgspec.json.encode(report),
    )
    # As of any event with deliveries: they are counted by their own records.
    outcome = Outcome(event.id, "dispatch", OutcomeStatus.EXPANDED, works=1, finished_at=sent.finished_at)
    return delivery, outcome


def _echoes(report: AttemptReport, token: str) -> bool:
    """Whether the answer's body is the token, or an object that says it."""
    answered: object = report.body.strip()
    try:
        document = json.loads(report.body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        answered = document.get("challenge")
    return isinstance(answered, str) and hmac.compare_digest(
        answered.encode(errors="replace"), token.encode()
    )


def _request(subscription: Subscription) -> bytes:
    return _json(
        {"method": None, "published_by": work_of(subscription.id), "authenticated": True, "test": True}
    )


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
