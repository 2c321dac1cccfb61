"""From bytes to a document, for bodies whose sender has been verified: a refusal where reading raises."""

from __future__ import annotations

from typing import Any

from kanca.bodies import Body, Unreadable, read_json
from kanca.ingest.refusal import Refusal
from kanca.providers import SignedRequest


def parse(request: SignedRequest) -> Body | Refusal:
    """What a request's body says, or a refusal. Read once, also where the proof was in the body."""
    try:
        return request.read()
    except Unreadable as error:
        return Refusal(error.code, error.detail)


def parse_json(body: bytes) -> Any | Refusal:
    """What a JSON text says, whatever its content type, or a refusal."""
    try:
        return read_json(body)
    except Unreadable as error:
        return Refusal(error.code, error.detail)
