"""Accepting a webhook, from the request to the answer, whatever protocol it came by.

    endpoint · method · https · address · rate limit · size · signature · parse · type · key · gates · commit · answer

Nothing reads the body before its signature is verified, and nothing is answered 2xx before the event and its work are
on disk. A refusal is a value, and ends the way at any of these steps.

This is the hot path, and its shape is copied nowhere else; ``bench ingest`` is what it is measured by.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import structs

from kanca.domain.ids import IdFactory
from kanca.errors import KancaError
from kanca.ingest import lines, responses
from kanca.ingest.admission import Admission
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
from kanca.ingest.redacting import QUICKLY_REDACTED_BYTES
from kanca.ingest.refusal import Refusal, refusal_of
from kanca.ingest.request import Answer, Request, Said, whole
from kanca.ingest.resuming import Resuming, refused_page, shown_path, wants_page, without_token
from kanca.ingest.routes import RESUME_PAGE, find_route, path_of
from kanca.ingest.settings import IngestSettings
from kanca.ingest.storing import Storing
from kanca.ingest.surroundings import Surroundings
from kanca.ingest.tracing import ingest_span
from kanca.providers import Draft, Issued, KeyNeeded
from kanca.queue.duties import Duties
from kanca.storage.ports import Accepting, Waker
from kanca.telemetry.metrics import COMMIT_QUEUE
from kanca.telemetry.sampling import Sampled
from kanca.telemetry.tracing import is_recording

log = structlog.get_logger(__name__)

MAX_DRAINED_BYTES = 1024 * 1024
DRAIN_LIMIT = timedelta(seconds=1)
"""What is read of a refused body, so that its sender is ready to read the answer."""
LOST = frozenset({"body_timeout", "client_disconnected"})
"""Refusals after which nothing more can be expected of the connection."""

_NO_ROUTE = Refusal("endpoint_not_found")


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
        self._endpoints = EndpointCache(
            store,
            settings.commit_timeout,
            around.catalogue,
            redacted_headers=settings.redact_headers,
            retention=settings.retention,
        )
        self._handshaking = Handshaking(store, around.get, self._endpoints.run_once)
        self._resuming = Resuming(around.resume_keys, store)
        self._books = Books(ids)
        self._keeper = BookKeeper(self._books, store)
        self._storing = Storing(settings, accepting, store, waker, self._books, around.clock)
        self._duties = Duties(
            {
                "endpoints": self._endpoints,
                "books": self._keeper,
                "commit queue": Sampled(COMMIT_QUEUE, lambda: self._storing.waiting),
            },
            limit=settings.commit_timeout,
        )

    async def start(self) -> None:
        """Begin to watch for changed endpoints, and to store statistics and rejections."""
        self._duties.start()

    def look_again(self) -> None:
        """Have changed endpoints noticed at once: somebody says that there are some."""
        self._duties.hurry("endpoints")

    async def stop(self, limit: timedelta) -> None:
        """Take no more webhooks, finish those at hand for up to ``limit``, and store what was counted."""
        await self._storing.close(limit)
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
        if is_recording():
            return await self._recorded(request, is_test, rehearsal)
        return await self._accept(request, is_test, rehearsal)

    async def _recorded(self, request: Request, is_test: bool, rehearsal: Issued | None) -> Answer:
        with ingest_span(request) as span:
            if span is None:
                return await self._accept(request, is_test, rehearsal)
            answer = await self._accept(structs.replace(request, trace=span.trace), is_test, rehearsal)
            span.say({"http.response.status_code": answer.status})
            if answer.status >= 500:
                span.fail(str(answer.status))
            return answer

    async def _accept(self, request: Request, is_test: bool, rehearsal: Issued | None) -> Answer:
        try:
            return await self._answer(request, is_test, rehearsal)
        except Exception:
            reference = uuid.uuid4().hex
            log.exception("internal_error", reference=reference, path=shown_path(request.path))
            detail = f"Something went wrong inside Kanca. The log has it under {reference}."
            refusal = Refusal("internal_error", detail)
            self._books.unrouted(refusal)
            lines.unrouted(request, refusal)
            return responses.problem(refusal, None, {})

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
        resume, face = None, route.face
        if route.token is not None:
            token = self._resuming.read(route.token, self._now())
            request = without_token(request, route.token)
            headers = fold_headers(request.headers)
            if isinstance(token, Refusal):
                return await self._unrouted(request, headers, token)
            resume, face = token, RESUME_PAGE if wants_page(request.method, headers) else face
        try:
            endpoint = self._endpoints.known(route.key) or await self._endpoints.find(route.key)
        except KancaError as error:
            endpoint = refusal_of(error)
        if isinstance(endpoint, Refusal):
            return await self._unrouted(request, headers, endpoint)
        if request.method == "OPTIONS" and endpoint.has_cors and not endpoint.asks_by("OPTIONS", headers):
            return responses.preflight(endpoint, headers)
        client = self._proxies.client_of(request.peer, headers)
        is_at_slug = route.key.startswith("/")
        arrival = Arrival(request, endpoint, face, headers, client, is_test, is_at_slug, rehearsal, resume)
        said = await self._take(arrival)
        if isinstance(said, Refusal):
            now = datetime.fromtimestamp(self._now(), UTC)
            self._books.refused(arrival, said, now)
            lines.refused(arrival, said)
            is_over = bool(arrival.began) or (said.code not in LOST and await self._drain(request, headers))
            answer = responses.problem(said, endpoint, headers, ends_connection=not is_over)
            return refused_page(said, answer) if face is RESUME_PAGE else answer
        lines.answered(arrival, said)
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
        arrival.proven = time.perf_counter()
        reading = arrival.face.read(arrival.endpoint, signed, arrival.signed_id)
        if isinstance(reading, Refusal):
            return reading
        identifier = self._ids.new()
        if arrival.endpoint.redaction is not None and len(arrival.body) > QUICKLY_REDACTED_BYTES:
            event = await asyncio.to_thread(make_event, arrival, reading, identifier, now)
        else:
            event = make_event(arrival, reading, identifier, now)
        if isinstance(event, Refusal):
            return event
        closed = self.closed_for()
        if closed is not None:
            return Refusal(closed)
        return await self._storing.store(arrival, event, reading)

    async def _prove(self, arrival: Arrival, now: float) -> Said | Refusal | None:
        """Why a request is not taken, or the answer to a handshake; None for a webhook that is proven."""
        if arrival.resume is not None:
            arrival.is_authenticated = True
            return await self._resuming.ask(arrival, arrival.resume)
        handshakes = arrival.endpoint.handshakes
        if handshakes is not None:
            said = await self._handshaking.answer_unproven(arrival, handshakes, now)
            if said is not None:
                return self._handshake(said)
            if not arrival.is_test and arrival.request.method not in arrival.endpoint.allowed_methods:
                why = self._handshaking.why_none(arrival, handshakes, now)
                return Refusal(arrival.endpoint.unproven, cause="handshake_refused", note=why)
        refusal = self._proof.refuse(arrival, now)
        if isinstance(refusal, KeyNeeded):
            refusal = await self._proof.fetch_and_refuse(arrival, now, refusal)
        if refusal is None and handshakes is not None:
            said = await self._handshaking.answer_proven(arrival, handshakes, now)
            return None if said is None else self._handshake(said)
        return refusal

    def _handshake(self, said: Said | Refusal) -> Said | Refusal:
        if not isinstance(said, Refusal):
            self._books.handshake()
        return said

    async def _unrouted(self, request: Request, headers: Mapping[bytes, bytes], refusal: Refusal) -> Answer:
        if refusal.endpoint is None:
            self._books.unrouted(refusal)
        else:
            client = self._proxies.client_of(request.peer, headers)
            now = datetime.fromtimestamp(self._now(), UTC)
            self._books.unusable(refusal.endpoint, request, client, refusal, now)
        lines.unrouted(request, refusal)
        is_over = await self._drain(request, headers)
        answer = responses.problem(refusal, None, {}, ends_connection=not is_over)
        is_page = refusal.code == "resume_expired" and wants_page(request.method, headers)
        return refused_page(refusal, answer) if is_page else answer

    async def _drain(self, request: Request, headers: Mapping[bytes, bytes]) -> bool:
        """Read a refused request to its end, if that is near; whether its connection can be used on.

        A connection that is closed while its client is still sending is reset, and the client may never see why.
        """
        if b"expect" in headers or declared_too_large(headers, MAX_DRAINED_BYTES):
            return False
        return await self._drains.discard(request.chunks, MAX_DRAINED_BYTES)

    def _now(self) -> float:
        return self._clock() + self._ids.correction_s
