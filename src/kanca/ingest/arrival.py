"""A request on its way, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from kanca.domain.event import NewEvent
from kanca.domain.resume_token import ResumeToken
from kanca.ingest.prepared import Prepared
from kanca.ingest.request import Request
from kanca.ingest.routes import Face
from kanca.providers import Issued, Refusal, SignedRequest


class Arrival(Struct):
    """One request to an endpoint that is there."""

    request: Request
    endpoint: Prepared
    face: Face
    headers: dict[bytes, bytes]
    """By lower-case name."""
    client: str
    is_test: bool
    is_at_slug: bool = False
    """It came to the short address, which can be guessed."""
    rehearsal: Issued | None = None
    """In a test of the endpoint: what it is checked with, in place of the endpoint's secrets."""
    resume: ResumeToken | None = None
    """What the address says that it came to, where that resumes a run."""
    body: bytes = b""
    signed: SignedRequest | None = None
    """The request as its sender signed it, once its body is there."""
    is_authenticated: bool = False
    signed_id: bytes | None = None
    """The delivery id that the signature covers."""
    failed_proof: tuple[SignedRequest, Refusal] | None = None
    """What was verified, and why it proved nothing."""
    began: float = 0.0
    """When the body was complete (``time.perf_counter``); 0 until it is."""
    proven: float = 0.0
    """When it was verified, by the same clock, as are the next."""
    submitted: float = 0.0
    """When it was handed in for a commit."""
    stored: float = 0.0
    """When that was on disk."""
    event: NewEvent | None = None
    """What it became, once it was stored or is known to have been."""
    original: UUID | None = None
    """The event that it repeats."""
    outcome: str = ""
    """``accepted``, ``duplicate``."""


def fold_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; the values of one that comes several times are joined with ``, `` (RFC 9110, section 5.3)."""
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    headers.clear()
    for name, value in pairs:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers
