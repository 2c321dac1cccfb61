"""From bytes to a document, for bodies whose sender has been verified: a refusal where reading raises."""

from __future__ import annotations

from typing import Any

from kanca.bodies import Body, Unreadable, read_body, read_json
from kanca.ingest.refusal import Refusal


def parse(body: bytes, content_type: bytes | None) -> Body | Refusal:
    """What a body says, or a refusal."""
    try:
        return read_body(body, content_type)
    except Unreadable as error:
        return Refusal(error.code, error.detail)


def parse_json(body: bytes) -> Any | Refusal:
    """What a JSON text says, whatever its content type, or a refusal."""
    try:
        return read_json(body)
    except Unreadable as error:
        return Refusal(error.code, error.detail)
