"""An ingest application with everything around it in memory, and a way to send it requests."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from kanca.domain.endpoint import RECEIVE_CONTENT_HASH_WEBHOOK_ID, RECEIVE_WEBHOOK_ID, Endpoint, Secret
from kanca.domain.endpoint_config import read_config
from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.domain.ids import IdFactory
from kanca.domain.status import EventStatus
from kanca.errors import DatabaseUnavailable, InvalidInput
from kanca.ingest.answers import Original
from kanca.ingest.asgi import IngestASGI
from kanca.ingest.gates import Gate
from kanca.ingest.gateway import Ingest
from kanca.ingest.public_documents import Get, nowhere
from kanca.ingest.rate_limit import RateLimiter
from kanca.ingest.settings import IngestSettings
from kanca.ingest.surroundings import Surroundings
from kanca.ingest.waiting_room import Became
from kanca.storage.rejections import Rejection
from kanca.storage.statistics import Counted

WEBHOOK_ID = "wh_" + "ab" * 12
PATH = f"/api/webhooks/{WEBHOOK_ID}"
TOKEN = "wht_" + "5" * 64
SECRET = "a-secret-of-the-sender"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
ENVELOPE: dict[str, Any] = {"event_type": "order.created", "event_id": "o-1", "data": {"total": "9.90"}}


def endpoint(provider: str = "generic", secrets: Sequence[Secret] | None = None, **config: Any) -> Endpoint:
    """An endpoint that nothing else is said of."""
    if secrets is None:
        secrets = [Secret(TOKEN if provider == "generic" else SECRET)]
    return Endpoint(
        number=100,
        webhook_id=WEBHOOK_ID,
        name="Orders",
        slug=None,
        provider=provider,
        tenant="default",
        workflow_id=None,
        node_id=None,
        config=read_config({"rate_limit_per_minute": 0} | config),
        secrets=tuple(secrets),
        is_active=True,
        is_paused=False,
        created_at=NOON,
        updated_at=NOON,
    )


def built_in() -> dict[str, Endpoint]:
    """The built-in endpoints, as the store gives them when KANCA_WEBHOOK_SECRET is set."""
    return {key: endpoint("kanca") for key in (RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID)}


def signed(body: bytes, header: str = "x-webhook-signature", prefix: str = "") -> dict[str, str]:
    """The header of a sender that signs the body."""
    return {header: prefix + hmac.digest(SECRET.encode(), body, "sha256").hex()}


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = NOON.timestamp()

    def __call__(self) -> float:
        return self.now


@dataclass
class MemoryAccepting:
    """Accepts as a database does; can be told to fail, or to hang."""

    events: dict[UUID, NewEvent] = field(default_factory=dict)
    keys: dict[UUID, UUID] = field(default_factory=dict)
    failure: Exception | None = None
    refused_types: set[str] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def append(self, batch: Sequence[NewEvent]) -> list[Appended | Exception]:
        self.asked.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return [self._append(event) for event in batch]

    def _append(self, event: NewEvent) -> Appended | Exception:
        if event.type in self.refused_types:
            return InvalidInput("The event has a value that cannot be stored")
        if event.dedupe_key is not None:
            original = self.keys.setdefault(event.dedupe_key, event.id)
            if original != event.id:
                return Duplicate(original)
        self.events[event.id] = event
        return Accepted()


@dataclass
class MemoryStore:
    """What ingest asks of storage, in memory."""

    endpoints: dict[str, Endpoint]
    version: int = 1
    is_away: bool = False
    lookups: list[Sequence[str]] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    became: dict[UUID, Original] = field(default_factory=dict)
    counted: list[Counted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ended: dict[UUID, Became] = field(default_factory=dict)
    workflows: dict[UUID, str] = field(default_factory=dict)
    looked_for: list[Sequence[UUID]] = field(default_factory=list)
    looked_for_answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
        self._check()
        self.lookups.append(keys)
        return {key: self.endpoints[key] for key in keys if key in self.endpoints}

    async def endpoints_version(self) -> int:
        self.looked.set()
        self._check()
        return self.version

    async def originals(self, event_ids: Sequence[UUID]) -> Sequence[Original]:
        self._check()
        return [
            self.became.get(event_id) or Original(event_id, "c-1", NOON, EventStatus.PENDING, None, b"null")
            for event_id in event_ids
        ]

    async def runs_became(self, event_ids: Sequence[UUID]) -> Mapping[UUID, Became]:
        self.looked_for.append(event_ids)
        self.looked_for_answers.set()
        self._check()
        return {event_id: self.ended[event_id] for event_id in event_ids if event_id in self.ended}

    async def workflow_of(self, run_id: UUID) -> str | None:
        self._check()
        return self.workflows.get(run_id)

    async def set_first_secret(self, webhook_id: str, secret: str) -> bool:
        self._check()
        before = self.endpoints[webhook_id]
        if before.secrets:
            return False
        self.endpoints[webhook_id] = replace(before, secrets=(Secret(secret),))
        self.version += 1
        return True

    async def add_statistics(self, counted: Sequence[Counted]) -> None:
        self._check()
        self.counted += counted

    async def add_rejections(self, refused: Sequence[Rejection]) -> None:
        self._check()
        self.rejected += refused

    def _check(self) -> None:
        if self.is_away:
            raise DatabaseUnavailable


@dataclass
class Waker:
    """Counts wake-ups."""

    wakes: int = 0

    def wake(self) -> None:
        self.wakes += 1

    async def wait(self, timeout: timedelta) -> bool:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem body, after a look at its form."""
        problem = self.json()
        assert self.headers["content-type"] == "application/problem+json"
        assert problem.keys() == {"type", "title", "status", "detail", "code"}
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:kanca:problem:{problem['code']}"
        return str(problem["code"])


class Site:
    """The application, and what is around it."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        settings: IngestSettings | None = None,
        gates: Sequence[Gate] = (),
        limiter: RateLimiter | None = None,
        get: Get = nowhere,
        resume_keys: Sequence[bytes] = (),
    ) -> None:
        self.clock = Clock()
        self.accepting = MemoryAccepting()
        self.store = MemoryStore(dict(endpoints))
        self.waker = Waker()
        self.ingest = Ingest(
            settings or IngestSettings(),
            self.accepting,
            self.store,
            self.waker,
            IdFactory(self.clock),
            Surroundings(gates=gates, clock=self.clock, limiter=limiter, get=get, resume_keys=resume_keys),
        )
        self.app = IngestASGI(self.ingest)

    @property
    def event(self) -> NewEvent:
        """The only event that was accepted."""
        (event,) = self.accepting.events.values()
        return event

    async def post(
        self,
        body: bytes | Mapping[str, Any] | Iterable[bytes],
        headers: Mapping[str, str] | None = None,
        *,
        path: str = PATH,
        **scope: Any,
    ) -> Reply:
        """POST a body: bytes, an object that becomes JSON, or chunks."""
        if isinstance(body, Mapping):
            body, headers = json.dumps(body).encode(), JSON | dict(headers or {})
        chunks = [body] if isinstance(body, bytes) else list(body)
        messages = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks, 1)
        ]
        return await self.request("POST", path, messages, headers, **scope)

    async def request(
        self,
        method: str,
        path: str,
        messages: Sequence[Mapping[str, Any]] = ({"type": "http.request"},),
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        **scope: Any,
    ) -> Reply:
        """Send a request whose body comes in these messages; after the last one the client stalls.

        Or one whose messages ``receive`` makes.
        """
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
        left = [*messages]
        sent: list[dict[str, Any]] = []

        async def next_message() -> dict[str, Any]:
            if not left:
                await asyncio.Event().wait()
            return dict(left.pop(0))

        async def send(message: Any) -> None:
            sent.append(message)

        default = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "scheme": "http",
            "http_version": "1.1",
            "client": ("192.0.2.7", 50000),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        }
        await self.app(default | scope, receive or next_message, send)
        return _reply(sent)


def site(
    the_endpoint: Endpoint | None = None, settings: IngestSettings | None = None, gates: Sequence[Gate] = ()
) -> Site:
    """A site with one endpoint, which has the slug ``orders``, and the built-in ones."""
    found = the_endpoint or endpoint()
    return Site({WEBHOOK_ID: found, "/orders": found, **built_in()}, settings, gates)


def _reply(sent: Sequence[Mapping[str, Any]]) -> Reply:
    if not sent:
        return Reply(0, {}, b"")
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert len(headers) == len(start["headers"]), "a header came twice"
    return Reply(start["status"], headers, body["body"])
