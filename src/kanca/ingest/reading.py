"""What a verified request says: event type, the sender's id, and what makes it the same event as another one.

Pure: bytes and headers in, a ``Reading`` or a refusal out. One function for each kind of address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from kanca.bodies import Kind
from kanca.domain.dedupe import Key
from kanca.domain.endpoint import Dedupe
from kanca.domain.event import (
    ENVELOPE_KEYS,
    MAX_SOURCE_ID_LENGTH,
    MAX_TYPE_LENGTH,
    is_envelope,
    is_name,
)
from kanca.domain.patterns import matches
from kanca.domain.resumption import RESUMED
from kanca.ingest.dedupe import (
    content_key,
    delivery_key,
    event_id_key,
    fields_key,
    idempotency_key,
    signed_content_key,
)
from kanca.ingest.parsing import parse, parse_signed
from kanca.ingest.prepared import Prepared
from kanca.ingest.refusal import Refusal
from kanca.providers import SignedRequest

Headers = Mapping[bytes, bytes]

_NOTHING: Mapping[str, Any] = {}
_NOT_JSON = Refusal("invalid_json", "The body must be JSON, and its content type say nothing else.")
_BAD_TYPE = Refusal("invalid_event_type")
_BAD_ID = Refusal("invalid_event_id")
_BAD_CORRELATION = Refusal("invalid_correlation_id")
_BAD_IDEMPOTENCY = Refusal("invalid_idempotency_key")
_NOT_ALLOWED = Refusal("event_type_not_allowed")


class Reading(NamedTuple):
    """What was found in a request."""

    event_type: str
    source_event_id: str | None
    correlation_id: str | None
    key: Key | None
    content_hash: str = ""
    """On the address for bodies without an id: what they are recognised by."""
    data: Any = None
    """The event's data, on the addresses of endpoints."""
    is_json_anyway: bool = False
    """The body is read as JSON although its content type, which nothing vouches for, says something else."""


def read_event(endpoint: Prepared, request: SignedRequest, signed_id: bytes | None) -> Reading | Refusal:
    """Read an event of an endpoint. ``signed_id`` is the delivery id that the signature covers."""
    said = parse_signed(request) if endpoint.signs_content else parse(request)
    if isinstance(said, Refusal):
        return said
    headers, body, document = request.headers, request.body, said.document
    found = endpoint.extractor.extract(headers, document, signed_id, body)
    envelope = document if said.kind is Kind.JSON and is_envelope(document) else _NOTHING
    event_type = found.event_type or envelope.get("event_type", endpoint.default_type)
    envelope_id = envelope.get("event_id")
    if envelope_id is not None:
        # Some senders number their events.
        envelope_id = str(envelope_id) if type(envelope_id) is int else envelope_id
        if not is_name(envelope_id, MAX_SOURCE_ID_LENGTH):
            return _BAD_ID
    if not is_name(event_type, MAX_TYPE_LENGTH):
        return _BAD_TYPE
    key = _key(endpoint, headers, body, document, event_type, found.delivery_id, envelope_id)
    if isinstance(key, Refusal):
        return key
    is_json_anyway = said.kind is Kind.JSON and said is not request.read()
    reading = Reading(
        event_type,
        found.delivery_id or envelope_id,
        None,
        key,
        data=said.data,
        is_json_anyway=is_json_anyway,
    )
    return _checked(endpoint, headers, envelope, reading)


def read_received(endpoint: Prepared, request: SignedRequest, _signed_id: bytes | None) -> Reading | Refusal:
    """Read an event of ``/webhooks/receive``: an envelope with an ``event_id``, and nothing else."""
    document = _only_json(request)
    if isinstance(document, Refusal):
        return document
    misfit = _misfit(document)
    if misfit is not None:
        return misfit
    event_type, event_id = document["event_type"], document["event_id"]
    key = event_id_key(event_id)
    return _checked(endpoint, request.headers, document, Reading(event_type, event_id, None, key))


def read_hashed(endpoint: Prepared, request: SignedRequest, _signed_id: bytes | None) -> Reading | Refusal:
    """Read an event of ``/webhooks/receive-content-hash``: any JSON object."""
    document = _only_json(request)
    if isinstance(document, Refusal):
        return document
    if not isinstance(document, dict):
        return Refusal("invalid_envelope", "The body must be a JSON object.")
    event_type = document.get("event_type", endpoint.default_type)
    if not is_name(event_type, MAX_TYPE_LENGTH):
        return _BAD_TYPE
    digest = content_hash(document)
    return _checked(
        endpoint,
        request.headers,
        document,
        Reading(event_type, None, None, content_key(digest.encode()), digest),
    )


def read_resumed(endpoint: Prepared, request: SignedRequest, _signed_id: bytes | None) -> Reading | Refusal:
    """Read what comes to a resume address: any body, or none. What it resumes is said by the address alone."""
    said = parse(request) if request.body else None
    if isinstance(said, Refusal):
        return said
    data = None if said is None else said.data
    return _checked(endpoint, request.headers, _NOTHING, Reading(RESUMED, None, None, None, data=data))


def content_hash(document: Mapping[str, Any]) -> str:
    """The hex SHA-256 of a JSON object without its top-level ``timestamp``, as Python's ``json`` writes it.

    That is ``json.dumps(document, sort_keys=True)``: keys sorted at every level, ``", "`` and ``": "`` between, all
    but ASCII escaped.
    """
    counted = {key: value for key, value in document.items() if key != "timestamp"}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def _only_json(request: SignedRequest) -> Any | Refusal:
    """The JSON that a body says, or a refusal.

    A body is taken only where its content type has everybody after ingest read the same: an object that came as NDJSON
    would be a list to them.
    """
    said = parse(request)
    if isinstance(said, Refusal):
        return said
    return said.document if said.kind is Kind.JSON else _NOT_JSON


def _misfit(document: object) -> Refusal | None:
    """Why a body is not what ``/webhooks/receive`` takes."""
    if not isinstance(document, dict):
        return Refusal("invalid_envelope", "The body must be a JSON object.")
    if not document.keys() <= ENVELOPE_KEYS:
        allowed = ", ".join(f"`{key}`" for key in sorted(ENVELOPE_KEYS))
        return Refusal("invalid_envelope", f"The body may have {allowed}, and no other keys.")
    if not is_name(document.get("event_type"), MAX_TYPE_LENGTH):
        return _BAD_TYPE
    if not is_name(document.get("event_id"), MAX_SOURCE_ID_LENGTH):
        return Refusal("invalid_event_id", "`event_id` must be text of 1 to 512 printable characters.")
    if not isinstance(document.get("data", {}), dict):
        return Refusal("invalid_envelope", "`data` must be a JSON object.")
    timestamp = document.get("timestamp")
    if isinstance(timestamp, bool) or not isinstance(timestamp, str | int | float | None):
        return Refusal("invalid_envelope", "`timestamp` must be text or a number.")
    return None


def _checked(
    endpoint: Prepared, headers: Headers, envelope: Mapping[str, Any], reading: Reading
) -> Reading | Refusal:
    """The reading with its correlation id, if the endpoint takes such events."""
    patterns = endpoint.allowed_types
    if patterns and not any(matches(pattern, reading.event_type) for pattern in patterns):
        return _NOT_ALLOWED
    correlation_id = envelope.get("correlation_id")
    if correlation_id is None:
        header = headers.get(b"x-correlation-id")
        if header is None:
            return reading
        # A header that nobody can use is left out: it is often set by what stands between, not by the sender.
        text = header.decode("latin-1")
        return reading._replace(correlation_id=text) if is_name(text, MAX_SOURCE_ID_LENGTH) else reading
    if type(correlation_id) is int:
        correlation_id = str(correlation_id)
    if not is_name(correlation_id, MAX_SOURCE_ID_LENGTH):
        return _BAD_CORRELATION
    return reading._replace(correlation_id=correlation_id)


def _key(
    endpoint: Prepared,
    headers: Headers,
    body: bytes,
    document: Any,
    event_type: str,
    delivery_id: str | None,
    envelope_id: str | None,
) -> Key | Refusal | None:
    if endpoint.dedupe is Dedupe.OFF:
        return None
    if endpoint.dedupe is Dedupe.CONTENT:
        fields = None if endpoint.dedupe_fields is None else endpoint.dedupe_fields.canonical(document)
        return content_key(body) if fields is None else fields_key(event_type, fields)
    if endpoint.signs_body_only:
        return _signed_key(endpoint, body, document, event_type)
    if delivery_id is not None:
        return delivery_key(delivery_id)
    if envelope_id is not None:
        return event_id_key(envelope_id)
    if endpoint.names_deliveries:
        # This one has no id. No header that the signature does not cover can stand for it.
        return _signed_key(endpoint, body, document, event_type)
    header = headers.get(b"idempotency-key")
    if not header:
        return None
    return idempotency_key(header) if len(header) <= MAX_SOURCE_ID_LENGTH else _BAD_IDEMPOTENCY


def _signed_key(endpoint: Prepared, body: bytes, document: Any, event_type: str) -> Key:
    stays = None if endpoint.volatile is None else endpoint.volatile.canonical(document)
    return signed_content_key(event_type, body) if stays is None else fields_key(event_type, stays)
