"""What is remembered of every answer: statistics, recent rejections, metrics, and a line in the log for debugging."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import structlog

from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, IdFactory, show_id
from kanca.errors import DatabaseUnavailable
from kanca.ingest.arrival import Arrival
from kanca.ingest.describe import describe_rejected
from kanca.ingest.ports import Store
from kanca.ingest.receipts import Receipts
from kanca.ingest.refusal import Refusal
from kanca.ingest.rejections import MAX_DIAGNOSED_BYTES, Diagnose, Rejections
from kanca.ingest.request import Request
from kanca.ingest.statistics import Statistics
from kanca.providers.diagnosis import Failure, diagnose
from kanca.storage.rejections import Rejection

log = structlog.get_logger(__name__)

FLUSH = timedelta(seconds=1)


class Books:
    """Keeps count in memory; ``flush`` stores it."""

    def __init__(self, ids: IdFactory) -> None:
        self._ids = ids
        self._statistics = Statistics()
        self._rejections = Rejections()
        self._receipts = Receipts()
        # Asked once: a lazy logger costs more than an answer's body.
        self._logs_requests = log.is_enabled_for(logging.DEBUG)

    def accepted(self, arrival: Arrival, event: NewEvent, response_us: int) -> None:
        """Remember a new event."""
        self._statistics.accepted(event.endpoint, event.received_at, response_us)
        self._taken(arrival, event, "accepted", response_us)

    def repeated(self, arrival: Arrival, event: NewEvent, response_us: int) -> None:
        """Remember a duplicate."""
        self._statistics.repeated(event.endpoint, event.received_at, response_us)
        self._taken(arrival, event, "duplicate", response_us)

    def handshake(self, arrival: Arrival) -> None:
        """Remember a handshake that was answered."""
        self._receipts.handshake()
        if self._logs_requests:
            log.debug(
                "webhook", status="handshake", webhook_id=arrival.endpoint.webhook_id, client=arrival.client
            )

    def unrouted(self, refusal: Refusal) -> None:
        """Remember a request for which there is no endpoint."""
        self._receipts.refused(refusal.code)

    def unusable(self, endpoint: int, request: Request, client: str, refusal: Refusal, now: datetime) -> None:
        """Remember a refusal of an endpoint that cannot work, for its operator."""
        self._receipts.refused(refusal.precise_code)
        self._statistics.rejected(endpoint, now)

        def rejection() -> Rejection:
            # What its proofs are is not known, so of all headers only the length is kept.
            hidden = {name for name, _ in request.headers}
            described = describe_rejected(request.method, request.path, request.headers, b"", hidden=hidden)
            return self._of(endpoint, client, refusal, now, described)

        self._rejections.add(endpoint, refusal.precise_code, client, rejection)

    def refused(self, arrival: Arrival, refusal: Refusal, now: datetime) -> None:
        """Remember a refusal, for the endpoint's operator."""
        code, client = refusal.precise_code, arrival.client
        self._receipts.refused(code)
        self._statistics.rejected(arrival.endpoint.number, now)
        self._rejections.add(
            arrival.endpoint.number,
            code,
            client,
            lambda: self._rejection(arrival, refusal, now),
            lambda: _diagnosis(arrival, now.timestamp()),
        )
        if self._logs_requests:
            log.debug(
                "webhook",
                status=code,
                webhook_id=arrival.endpoint.webhook_id,
                client=client,
                detail=refusal.precise_detail,
            )

    async def flush(self, store: Store) -> None:
        """Store what there is to store. Raises DatabaseUnavailable; only what there is no room for is lost then."""
        self._receipts.flush()
        await self._statistics.flush(store)
        await self._rejections.flush(store)

    def _rejection(self, arrival: Arrival, refusal: Refusal, now: datetime) -> Rejection:
        endpoint, request = arrival.endpoint, arrival.request
        described = describe_rejected(
            request.method,
            request.path,
            request.headers,
            arrival.body,
            hidden=endpoint.proof_headers,
            hidden_fields=endpoint.proof_fields,
            # It may be cut anywhere, or be no JSON: what is not to be stored could not be found for sure.
            has_shown_body=endpoint.redaction is None,
        )
        return self._of(endpoint.number, arrival.client, refusal, now, described)

    def _of(self, endpoint: int, client: str, refusal: Refusal, now: datetime, request: bytes) -> Rejection:
        return Rejection(
            id=self._ids.new(),
            endpoint=endpoint,
            occurred_at=now,
            status=refusal.rule.status,
            code=refusal.precise_code,
            detail=refusal.precise_detail,
            client=client,
            request=request,
        )

    def _taken(self, arrival: Arrival, event: NewEvent, status: str, response_us: int) -> None:
        self._receipts.taken(event.type, status, is_authenticated=arrival.is_authenticated)
        if self._logs_requests:
            log.debug(
                "webhook",
                status=status,
                webhook_id=arrival.endpoint.webhook_id,
                event_id=show_id(EVENT, event.id),
                event_type=event.type,
                client=arrival.client,
                body_bytes=len(event.body),
                response_us=response_us,
            )


def _diagnosis(arrival: Arrival, now: float) -> Diagnose | None:
    """What finds out what is wrong with the request's proof; None for another refusal, or too large a body."""
    if arrival.failed_proof is None or len(arrival.body) > MAX_DIAGNOSED_BYTES:
        return None
    request, refusal = arrival.failed_proof
    endpoint = arrival.endpoint
    failure = Failure(
        endpoint.spec,
        endpoint.options,
        request,
        endpoint.secrets(now),
        endpoint.expired_secrets(now),
        now,
        refusal,
    )
    return lambda: diagnose(failure)


class BookKeeper:
    """Stores the books about once a second."""

    def __init__(self, books: Books, store: Store) -> None:
        self._books = books
        self._store = store
        self._flushing: asyncio.Task[None] | None = None

    async def run_once(self) -> timedelta:
        """Store them, and say when to do so again. Raises DatabaseUnavailable."""
        # A flush that is cancelled may have been stored or not: it goes on to its end whatever becomes of this turn.
        self._flushing = asyncio.create_task(self._books.flush(self._store))
        await asyncio.shield(self._flushing)
        return FLUSH

    async def finish(self, limit: timedelta) -> None:
        """Store what is left, within ``limit``; what cannot be stored is lost."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                if self._flushing is not None:
                    await asyncio.wait({self._flushing})
                await self._books.flush(self._store)
        except (DatabaseUnavailable, TimeoutError) as error:
            log.warning("statistics_lost", error=str(error) or type(error).__name__)
