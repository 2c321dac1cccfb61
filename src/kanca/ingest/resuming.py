"""Resume addresses: who has one may have one run go on, once. See ``kanca.domain.resume_token``.

The token is the proof, so it is nowhere kept: what goes on from here says ``/webhooks/resume/…`` in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from kanca.domain.resume_token import RESUME_PATH, ResumeToken, read_token
from kanca.domain.signed_token import ExpiredToken, InvalidToken
from kanca.errors import KancaError
from kanca.ingest import resume_pages
from kanca.ingest.arrival import Arrival
from kanca.ingest.ports import Store
from kanca.ingest.redaction import REDACTED
from kanca.ingest.refusal import Refusal, refusal_of
from kanca.ingest.request import Answer, Request, Said

_NOT_FOUND = Refusal("endpoint_not_found")
_EXPIRED = Refusal("resume_expired")
_FORM = b"application/x-www-form-urlencoded"


class Resuming:
    """Tells what resume addresses are for."""

    def __init__(self, keys: Sequence[bytes], store: Store) -> None:
        self._keys = keys
        self._store = store

    def read(self, text: str, now: float) -> ResumeToken | Refusal:
        """What the token says at ``now`` (Unix seconds); one that is forged is like any address that is not there."""
        try:
            return read_token(self._keys, text, datetime.fromtimestamp(now, UTC))
        except InvalidToken:
            return _NOT_FOUND
        except ExpiredToken:
            return _EXPIRED

    async def ask(self, arrival: Arrival, token: ResumeToken) -> Said | Refusal | None:
        """The page that asks whether to go on; None for the POST that has it go on."""
        if arrival.request.method == "POST":
            return None
        try:
            workflow_id = await self._store.workflow_of(token.address.run_id)
        except KancaError as error:
            return refusal_of(error)
        return resume_pages.confirmation(token, workflow_id)


def without_token(request: Request, text: str) -> Request:
    """The request as it may be kept and logged: the token is in no part of it."""
    path, token = shown_path(request.path), text.encode()

    def shown(value: bytes) -> bytes:
        # Some proxies repeat the address in a header of theirs; a referrer has it too.
        return REDACTED.encode() if token in value or RESUME_PATH.encode() in value else value

    headers = [(name, shown(value)) for name, value in request.headers]
    return replace(request, path=path, target=path, headers=headers)


def shown_path(path: str) -> str:
    """The path of a request, without the token that it may have."""
    return RESUME_PATH + "…" if path.startswith(RESUME_PATH) else path


def wants_page(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a person looks at the answer: a browser that opened the address, or sent the form of its page."""
    if b"text/html" not in headers.get(b"accept", b""):
        return False
    return method != "POST" or headers.get(b"content-type", b"").lower().startswith(_FORM)


def refused_page(refusal: Refusal, answer: Answer) -> Answer:
    """The answer to a refused request as a page, with the headers that matter to more than its body."""
    page = resume_pages.refused(refusal)
    kept = [pair for pair in answer.headers if pair[0] not in (b"content-type", b"content-length")]
    return Answer(page.status, [*page.headers, *kept], page.body, answer.ends_connection)
