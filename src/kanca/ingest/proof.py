"""Whether a request is proven to come from its sender, with what the proof needs to be fetched."""

from __future__ import annotations

from kanca.ingest.arrival import Arrival
from kanca.ingest.public_documents import PublicDocuments
from kanca.ingest.refusal import Refusal
from kanca.providers import KeyNeeded, SignedRequest, Verified

_NO_KEY = Refusal("key_unavailable")
_MOST_FETCHES = 2


def signed_request(arrival: Arrival, public_url: str | None) -> SignedRequest:
    """The request as its sender signed it: addressed to the public URL, where there is one."""
    request = arrival.request
    if public_url is None:
        host = arrival.headers.get(b"host", b"").decode("latin-1")
        public_url = f"{request.scheme}://{host}{request.mount}"
    url = public_url + request.target
    documents = {} if arrival.rehearsal is None else arrival.rehearsal.documents
    return SignedRequest(request.method, url, arrival.headers, arrival.body, documents)


class Proof:
    """Verifies requests."""

    def __init__(self, documents: PublicDocuments) -> None:
        self._documents = documents

    def refuse(self, arrival: Arrival, now: float) -> Refusal | KeyNeeded | None:
        """Why the request at ``now`` (Unix seconds) is not taken; ``KeyNeeded`` when ``fetch_and_refuse`` must say."""
        endpoint = arrival.endpoint
        if not endpoint.is_verified:
            return None
        assert arrival.signed is not None  # noqa: S101 - set once the body is there; mypy does not know
        verdict = endpoint.verifier.verify(arrival.signed, secrets_of(arrival, now), now)
        if isinstance(verdict, Verified):
            arrival.is_authenticated = verdict.secret_index is not None
            arrival.signed_id = verdict.signed_id
            return None
        if isinstance(verdict, KeyNeeded):
            return verdict
        arrival.failed_proof = arrival.signed, verdict
        return Refusal(endpoint.unproven, cause=verdict.code.value, note=verdict.detail)

    async def fetch_and_refuse(self, arrival: Arrival, now: float, needed: KeyNeeded) -> Refusal | None:
        """As ``refuse``, for a request whose proof needs a public document."""
        assert arrival.signed is not None  # noqa: S101 - as above
        for _ in range(_MOST_FETCHES):
            document = await self._documents.get(needed.url, is_outdated=needed.is_outdated)
            if document is None:
                return _NO_KEY
            arrival.signed.documents = {**arrival.signed.documents, needed.url: document}
            refusal = self.refuse(arrival, now)
            if not isinstance(refusal, KeyNeeded):
                return refusal
            if refusal == needed:
                break
            needed = refusal
        # The newest copy there is does not have the key either.
        return Refusal(
            arrival.endpoint.unproven, cause="key_refused", note="the provider has no key of this name"
        )


def secrets_of(arrival: Arrival, now: float) -> tuple[str, ...]:
    """What the request may be proven with at ``now`` (Unix seconds)."""
    if arrival.rehearsal is not None:
        return (arrival.rehearsal.checking,)
    return arrival.endpoint.secrets(now)
