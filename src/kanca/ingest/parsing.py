"""From bytes to a document, for bodies whose sender has been verified: a refusal where reading raises."""

from __future__ import annotations

from typing import Any

from kanca.bodies import Body, Kind, Unreadable, read_json
from kanca.ingest.refusal import Refusal
from kanca.providers import SignedRequest


def parse(request: SignedRequest) -> Body | Refusal:
    """What a request's body says, or a refusal. Read once, also where the proof was in the body."""
    try:
        return request.read()
    except Unreadable as error:
        return Refusal(error.code, error.detail)


def parse_signed(request: SignedRequest) -> Body | Refusal:
    """As ``parse``, but a JSON object or list is that, whatever the content type: that is hardly ever signed.

    Whoever has captured a delivery could send it again as another kind of body, in which its id is nowhere to be found.
    """
    said = parse(request)
    if (
        isinstance(said, Refusal)
        or said.kind is Kind.JSON
        or not request.body.lstrip().startswith((b"{", b"["))
    ):
        return said
    document = parse_json(request.body)
    return said if isinstance(document, Refusal) else Body(Kind.JSON, document)


def parse_json(body: bytes) -> Any | Refusal:
    """What a JSON text says, whatever its content type, or a refusal."""
    try:
        return read_json(body)
    except Unreadable as error:
        return Refusal(error.code, error.detail)
