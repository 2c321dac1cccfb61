"""Every provider of the catalogue, each with an endpoint of its own, and what it would send there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kanca.domain.endpoint import Endpoint, Secret
from kanca.domain.ids import IdFactory
from kanca.errors import EgressRefused
from kanca.ingest.gateway import Ingest
from kanca.ingest.request import Request, whole
from kanca.ingest.settings import IngestSettings
from kanca.ingest.surroundings import Surroundings
from kanca.providers import (
    Draft,
    Issued,
    ProviderSpec,
    SignedRequest,
    Verifier,
    compile_verifier,
    get_provider,
    issue,
    make_delivery,
    provider_names,
    sign,
)
from kanca.storage.ports import Accepting
from tests.ingest.site import Clock, MemoryAccepting, MemoryStore, Waker, endpoint

ORIGIN = "https://hooks.example.com"
PROXY = "192.0.2.7"
UNVERIFIED = "-unverified"
"""Behind a provider's slug: an endpoint that asks for no proof, so that what comes after it is reached by anything."""


@dataclass(frozen=True)
class Sender:
    """A provider that has been given an endpoint's address."""

    spec: ProviderSpec
    issued: Issued
    verifier: Verifier

    @property
    def path(self) -> str:
        """Where it sends."""
        return f"/webhooks/{self.spec.name}"

    def send(self, now: float) -> Draft:
        """A new delivery, signed at ``now`` (Unix seconds)."""
        delivery = make_delivery(self.spec, None, now=now, url=ORIGIN + self.path)
        return sign(self.spec, None, self.issued.signing, delivery.draft)

    def verifiable(self, draft: Draft) -> SignedRequest:
        """The request as ingest would verify it, with what it would have fetched."""
        request = draft.request()
        request.documents = self.issued.documents
        return request


def all_senders() -> list[Sender]:
    """One for each provider of the catalogue."""
    return [sender_of(name) for name in provider_names()]


def sender_of(provider: str) -> Sender:
    """That provider, with a new secret or new keys. Raises KancaError where none can be made."""
    spec = get_provider(provider)
    return Sender(spec, issue(spec), compile_verifier(spec))


class Doors:
    """Ingest with an endpoint for each sender. Without a place to accept to, it accepts at once and keeps nothing."""

    def __init__(self, senders: Sequence[Sender], accepting: Accepting | None = None, **config: Any) -> None:
        """``config`` is that of all endpoints."""
        documents = {url: text for sender in senders for url, text in sender.issued.documents.items()}

        async def get(url: str) -> tuple[int, bytes]:
            if url not in documents:
                raise EgressRefused("Nobody is there.", reason="closed")
            return 200, documents[url]

        settings = IngestSettings(public_url=ORIGIN, trusted_proxies=(f"{PROXY}/32",))
        self.senders = senders
        self.clock = Clock()
        self._memory = MemoryAccepting()
        self.ingest = Ingest(
            settings,
            accepting or self._memory,
            MemoryStore(_endpoints(senders, config)),
            Waker(),
            IdFactory(self.clock),
            Surroundings(clock=self.clock, get=get),
        )

    async def take(self, request: Request) -> tuple[int, bytes]:
        """Status and body of the answer; what was accepted is forgotten."""
        answer = await self.ingest.accept(request)
        self.forget()
        return answer.status, answer.body

    def forget(self) -> None:
        """Take whatever comes next for new."""
        self._memory.events.clear()
        self._memory.keys.clear()


def arriving(draft: Draft) -> Request:
    """The request as an adapter hands it on."""
    target = draft.url.removeprefix(ORIGIN)
    headers = [(name.lower().encode(), value.encode()) for name, value in draft.headers.items()]
    return Request(draft.method, target.partition("?")[0], target, "https", PROXY, headers, whole(draft.body))


def _endpoints(senders: Sequence[Sender], config: Mapping[str, Any]) -> dict[str, Endpoint]:
    found: dict[str, Endpoint] = {}
    for number, sender in enumerate(senders, 100):
        name = sender.spec.name
        secrets = (Secret(sender.issued.checking),)
        found[f"/{name}"] = _numbered(endpoint(name, secrets, **config), 2 * number)
        unverified = endpoint(name, secrets, authentication_required=False, **config)
        found[f"/{name}{UNVERIFIED}"] = _numbered(unverified, 2 * number + 1)
    return found


def _numbered(one: Endpoint, number: int) -> Endpoint:
    return replace(one, number=number, webhook_id=f"wh_{number:024x}")
