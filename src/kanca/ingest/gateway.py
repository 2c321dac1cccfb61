"""Accepting a webhook, from the request to the answer, whatever protocol it came by.

    endpoint · method · https · address · rate limit · size · signature · parse · type · key · gates · commit · answer

Nothing reads the body before its signature is verified, and nothing is answered 2xx before the event and its work are
on disk. A refusal is a value, and ends the way at any of these steps.

This is the hot path, and its shape is copied nowhere else; ``bench ingest`` is what it is measured by.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from kanca.domain.event import Accepted, Appended, NewEvent
from kanca.domain.ids import IdFactory
from kanca.errors import InvalidInput, KancaError
from kanca.ingest import responses
from kanca.ingest.admission import Admission
from kanca.ingest.answers import Original
from kanca.ingest.arrival import Arrival, fold_headers
from kanca.ingest.body import BodyReader, declared_too_large, decode_body
from kanca.ingest.books import BookKeeper, Books
from kanca.ingest.client import Proxies
from kanca.ingest.endpoint_cache import EndpointCache
from kanca.ingest.event import make_event
from kanca.ingest.handshaking import Handshaking
from kanca.ingest.ports import Store
from kanca.ingest.proof import Proof, signed_request
from kanca.ingest.public_documents import PublicDocuments
from kanca.ingest.rate_limit import MemoryCounters, RateLimiter
from kanca.ingest.reading import Reading
from kanca.ingest.refusal import RULES, Refusal
from kanca.ingest.request import Answer, Request, Said, whole
from kanca.ingest.routes import find_route, path_of
from kanca.ingest.settings import IngestSettings
from kanca.ingest.surroundings import Surroundings
from kanca.ingest.wording import Wording
from kanca.providers import Draft, Issued, KeyNeeded
from kanca.queue.duties import Duties
from kanca.queue.group_commit import GroupCommit
from kanca.storage.ports import Accepting, Waker
from kanca.telemetry.metrics import ENDPOINT_COMMITS

log = structlog.get_logger(__name__)

MAX_DRAINED_BYTES = 1024 * 1024
DRAIN_LIMIT = timedelta(seconds=1)
"""What is read of a refused body, so that its sender is ready to read the answer."""
LOST = frozenset({"body_timeout", "client_disconnected"})
"""Refusals after which nothing more can be expected of the connection."""

_NO_ROUTE = Refusal("endpoint_not_found")
_NOT_STORABLE = Refusal("not_storable")


class Ingest:
    """Takes webhooks. One for each process, for the event loop that it is started on."""

    def __init__(
        self,
        settings: IngestSettings,
        accepting: Accepting,
        store: Store,
        waker: Waker,
        ids: IdFactory,
        around: Surroundings | None = None,
    ) -> None:
        """Open nothing yet. ``ids.correction_s`` moves the clock to the database's time."""
        around = around or Surroundings()
        self._settings = settings
        self._accepting = accepting
        self._waker = waker
        self._ids = ids
        self._gates = around.gates
        self._clock = around.clock
        self._proxies = Proxies(settings.trusted_proxies)
        self._admission = Admission(
            self._proxies,
            around.limiter or RateLimiter(MemoryCounters(around.clock)),
            requires_https=settings.require_https,
        )
        self._proof = Proof(PublicDocuments(around.get))
        self._bodies = BodyReader(settings.body_timeout)
        self._drains = BodyReader(DRAIN_LIMIT)
        self._endpoints = EndpointCache(store, settings.commit_timeout, around.catalogue)
        self._handshaking = Handshaking(store, around.get, self._endpoints.run_once)
        self._wording = Wording(around.clock)
        self._books = Books(ids)
        self._keeper = BookKeeper(self._books, store)
        self._duties = Duties(
            {"endpoints": self._endpoints, "books": self._keeper}, limit=settings.commit_timeout
        )
        self._commits = GroupCommit[NewEvent, Appended](
            self._append,
            timeout=settings.commit_timeout,
            max_waiting=settings.commit_queue_max,
            parallel=settings.parallel_commits,
        )
        # Duplicates come in storms: they share their queries.
        self._originals = GroupCommit[UUID, Original](
            store.originals, timeout=settings.commit_timeout, max_waiting=settings.commit_queue_max
        )

    async def start(self) -> None:
        """Begin to watch for changed endpoints, and to store statistics and rejections."""
        self._duties.start()

    async def stop(self, limit: timedelta) -> None:
        """Take no more webhooks, finish those at hand for up to ``limit``, and store what was counted."""
        await self._commits.close(limit)
        await self._originals.close(limit)
        await self._duties.stop()
        await self._endpoints.close()
        await self._keeper.finish(self._settings.commit_timeout)

    async def accept(
        self, request: Request, *, is_test: bool = False, rehearsal: Issued | None = None
    ) -> Answer:
        """Answer a request. Never raises, but for cancellation.

        ``is_test`` is for a management route's own test of an endpoint: no rate limit, list of addresses, demand for
        HTTPS or dedupe applies to it, and the event is marked. ``rehearsal`` is what its proof is checked with, where
        nobody but the provider could make one that fits the endpoint's own secret.
        """
        try:
            return await self._answer(request, is_test, rehearsal)
        except Exception:
            reference = uuid.uuid4().hex
            log.exception("internal_error", reference=reference, path=request.path)
            detail = f"Something went wrong inside Kanca. The log has it under {reference}."
            return responses.problem(Refusal("internal_error", detail), None, {})

    async def test(self, webhook_id: str, draft: Draft, rehearsal: Issued | None) -> Answer:
        """Answer a management route's test of an endpoint; ``draft`` is proven as the sender's would be."""
        path = path_of(webhook_id)
        _, mark, query = draft.url.partition("?")
        # A token that is no ASCII travels as the bytes that it is compared with.
        headers = [(name.lower().encode(), value.encode()) for name, value in draft.headers.items()]
        request = Request(
            draft.method, path, path + mark + query, "https", "127.0.0.1", headers, whole(draft.body)
        )
        return await self.accept(request, is_test=True, rehearsal=rehearsal)

    def closed_for(self) -> str | None:
        """Why nothing can be accepted now, as the code of the refusals; None when it can."""
        for gate in self._gates:
            closed = gate()
            if closed is not None:
                return closed
        return None

    async def _answer(self, request: Request, is_test: bool, rehearsal: Issued | None) -> Answer:
        headers = fold_headers(request.headers)
        route = find_route(request.path)
        if route is None:
            return await self._unrouted(request, headers, _NO_ROUTE)
        try:
            endpoint = self._endpoints.known(route.key) or await self._endpoints.find(route.key)
        except KancaError as error:
            endpoint = _refusal_of(error)
        if isinstance(endpoint, Refusal):
            return await self._unrouted(request, headers, endpoint)
        if request.method == "OPTIONS" and endpoint.has_cors and not endpoint.asks_by("OPTIONS", headers):
            return responses.preflight(endpoint, headers)
        client = self._proxies.client_of(request.peer, headers)
        is_at_slug = route.key.startswith("/")
        arrival = Arrival(request, endpoint, route.face, headers, client, is_test, is_at_slug, rehearsal)
        said = await self._take(arrival)
        if isinstance(said, Refusal):
            now = datetime.fromtimestamp(self._now(), UTC)
            self._books.refused(arrival, said, now)
            is_over = bool(arrival.began) or (said.code not in LOST and await self._drain(request, headers))
            return responses.problem(said, endpoint, headers, ends_connection=not is_over)
        return responses.success(said, endpoint, headers)

    async def _take(self, arrival: Arrival) -> Said | Refusal:
        """Go the whole way; gives what is answered."""
        refusal = await self._admission.refuse(arrival)
        if refusal is not None:
            return refusal
        body = await self._bodies.read(arrival.request.chunks, arrival.endpoint.limit_bytes)
        if isinstance(body, Refusal):
            return body
        arrival.body = body
        arrival.began = time.perf_counter()
        encoding = arrival.headers.get(b"content-encoding")
        if encoding:
            body = await decode_body(body, encoding, arrival.endpoint.limit_bytes)
            if isinstance(body, Refusal):
                return body
            arrival.body = body
        now = self._now()
        signed = arrival.signed = signed_request(arrival, self._settings.public_url)
        answered = await self._prove(arrival, now)
        if answered is not None:
            return answered
        reading = arrival.face.read(arrival.endpoint, signed, arrival.signed_id)
        if isinstance(reading, Refusal):
            return reading
        event = make_event(arrival, reading, self._ids.new(), now)
        if isinstance(event, Refusal):
            return event
        closed = self.closed_for()
        if closed is not None:
            return Refusal(closed)
        return await self._commit(arrival, event, reading)

    async def _prove(self, arrival: Arrival, now: float) -> Said | Refusal | None:
        """Why a request is not taken, or the answer to a handshake; None for a webhook that is proven."""
        handshakes = arrival.endpoint.handshakes
        if handshakes is not None:
            said = await self._handshaking.answer_unproven(arrival, handshakes, now)
            if said is not None:
                return self._handshake(arrival, said)
            if not arrival.is_test and arrival.request.method not in arrival.endpoint.allowed_methods:
                why = self._handshaking.why_none(arrival, handshakes, now)
                return Refusal(arrival.endpoint.unproven, cause="handshake_refused", note=why)
        refusal = self._proof.refuse(arrival, now)
        if isinstance(refusal, KeyNeeded):
            refusal = await self._proof.fetch_and_refuse(arrival, now, refusal)
        if refusal is None and handshakes is not None:
            said = await self._handshaking.answer_proven(arrival, handshakes, now)
            return None if said is None else self._handshake(arrival, said)
        return refusal

    def _handshake(self, arrival: Arrival, said: Said | Refusal) -> Said | Refusal:
        if not isinstance(said, Refusal):
            self._books.handshake(arrival)
        return said

    async def _commit(self, arrival: Arrival, event: NewEvent, reading: Reading) -> Said | Refusal:
        try:
            appended = await self._commits.submit(event)
            if isinstance(appended, Accepted):
                said = self._wording.accepted(arrival, event, reading)
                self._books.accepted(arrival, event, _microseconds_since(arrival.began))
                return said
            original = await self._originals.submit(appended.original)
        except KancaError as error:
            return _refusal_of(error)
        if original.is_retried:
            self._waker.wake()
        said = self._wording.repeated(arrival, event, original, reading)
        self._books.repeated(arrival, event, _microseconds_since(arrival.began))
        return said

    async def _append(self, batch: Sequence[NewEvent]) -> Sequence[Appended | Exception]:
        ENDPOINT_COMMITS.observe(len(batch))
        answers = await self._accepting.append(batch)
        if any(isinstance(answer, Accepted) for answer in answers):
            self._waker.wake()
        return answers

    async def _unrouted(self, request: Request, headers: Mapping[bytes, bytes], refusal: Refusal) -> Answer:
        self._books.unrouted(refusal)
        is_over = await self._drain(request, headers)
        return responses.problem(refusal, None, {}, ends_connection=not is_over)

    async def _drain(self, request: Request, headers: Mapping[bytes, bytes]) -> bool:
        """Read a refused request to its end, if that is near; whether its connection can be used on.

        A connection that is closed while its client is still sending is reset, and the client may never see why.
        """
        if b"expect" in headers or declared_too_large(headers, MAX_DRAINED_BYTES):
            return False
        return await self._drains.discard(request.chunks, MAX_DRAINED_BYTES)

    def _now(self) -> float:
        return self._clock() + self._ids.correction_s


def _microseconds_since(moment: float) -> int:
    return int((time.perf_counter() - moment) * 1_000_000)


def _refusal_of(error: KancaError) -> Refusal:
    if isinstance(error, InvalidInput):
        return _NOT_STORABLE
    if error.code not in RULES:
        raise error
    return Refusal(error.code)
