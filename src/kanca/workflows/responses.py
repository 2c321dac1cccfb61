"""What a node makes of the response to a request that it sent."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from kanca.egress import EgressResponse
from kanca.workflows.masking import Mask
from kanca.workflows.step import StepFailed
from kanca.workflows.values import NotJson, read_json

RETRIED_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
MAX_RETRY_AFTER = timedelta(hours=1)
MAX_EXCERPT_LENGTH = 300
_SLOW_CHARSETS = frozenset({"punycode", "idna"})
"""Made for host names: the time they take grows with the square of the text, and the server chooses what is used."""


def shown_response(response: EgressResponse, mask: Mask) -> dict[str, Any]:
    """``{status, headers}``, and the body under the name of what it is: ``json``, ``body`` or ``body_base64``."""
    headers = {mask.text(name): mask.text(value) for name, value in response.headers.items()}
    return {"status": response.status, "headers": headers} | _content(response, mask)


def refused(response: EgressResponse, mask: Mask) -> StepFailed:
    """The failure that a response with an unexpected status is."""
    excerpt = mask.content(response.body)[:MAX_EXCERPT_LENGTH].decode(errors="replace").strip()
    return StepFailed(
        "http_status",
        f"the server answered {response.status}" + (f": {excerpt}" if excerpt else ""),
        is_final=response.status not in RETRIED_STATUSES,
        retry_after=_retry_after(response.headers),
    )


def _content(response: EgressResponse, mask: Mask) -> dict[str, Any]:
    media_type, charset = _media_type(response.headers)
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return {"json": mask.document(response.body, read_json(response.body))}
        except NotJson:
            pass
    try:
        if codecs.lookup(charset).name not in _SLOW_CHARSETS:
            return {"body": mask.text(response.body.decode(charset))}
    except (ValueError, LookupError):
        pass
    return {"body_base64": base64.b64encode(mask.content(response.body)).decode()}


def _media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    media_type, *parameters = headers.get("content-type", "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset":
            return media_type.strip(), value.strip('" ')
    return media_type.strip(), "utf-8"


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """What the server asks for (RFC 9110, section 10.2.3), at most MAX_RETRY_AFTER."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(timedelta(seconds=min(int(asked[:10]), 10**6)), MAX_RETRY_AFTER)
    try:
        # Its own clock says how far away its date is.
        delay = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return min(max(delay, timedelta(0)), MAX_RETRY_AFTER)
