"""What the API's document says of the addresses that senders call. It decides nothing: the gateway does not read it."""

from __future__ import annotations

from typing import Any

import msgspec

from kanca.domain.event import ENVELOPE_KEYS, MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH
from kanca.domain.ids import WEBHOOK_ID
from kanca.domain.status import EventStatus
from kanca.ingest.refusal import RULES, Refusal
from kanca.ingest.routes import SLUG

_TAG = "Webhooks"
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_NEVER_SENT = frozenset({"client_disconnected", "internal_error"})
"""The one reaches nobody; the other is nothing that a sender should expect."""

_OF_RESUMING = frozenset({"resume_expired"})
_OF_ENDPOINTS = frozenset({"run_failed"})

_ID = "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_AT = "2026-03-01T12:00:00Z"
_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_EVENT_ID = {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"}
_ENVELOPE_EXAMPLE = {
    "event_type": "order.created",
    "event_id": "o-4711",
    "data": {"order_id": "ORD-00004711"},
}
_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["event_type", "event_id"],
    "additionalProperties": False,
    "properties": {key: {} for key in sorted(ENVELOPE_KEYS)}
    | {
        "event_type": {"type": "string", "minLength": 1, "maxLength": MAX_TYPE_LENGTH},
        "event_id": {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE_ID_LENGTH},
        "data": {"type": "object"},
        "timestamp": {"type": ["string", "number", "null"]},
        "correlation_id": {"type": ["string", "integer", "null"], "maxLength": MAX_SOURCE_ID_LENGTH},
    },
    "examples": [_ENVELOPE_EXAMPLE],
}
_PAGE: dict[str, Any] = {"text/html": {"schema": _TEXT}}
_TOKEN = {
    "name": "token",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,400}$"},
}
_BECAME = {
    "event_status": {"enum": [status.value for status in EventStatus]},
    "processed_at": {"type": ["string", "null"], "format": "date-time"},
    "result": {"description": "What the original's work returned."},
    "retried": {"type": "boolean", "description": "The original was dead, and has been begun again."},
}


def ingest_document() -> dict[str, Any]:
    """``paths`` and ``components`` of an OpenAPI 3.1 document, whose schema ``Problem`` is the API's own."""
    return {
        "paths": {
            "/api/webhooks/{webhook_id}": {"post": _endpoint("webhook_id", f"^{WEBHOOK_ID.pattern}$")},
            "/webhooks/{slug}": {"post": _endpoint("slug", f"^{SLUG.pattern}$")},
            "/webhooks/receive": {"post": _by_id()},
            "/webhooks/receive-content-hash": {"post": _by_hash()},
            "/webhooks/resume/{token}": {"get": _ask_before_resuming(), "post": _resume()},
        },
        "components": {"responses": {_name(status): _refused(status) for status in _statuses()}},
    }


def _endpoint(parameter: str, pattern: str) -> dict[str, Any]:
    operation = _operation(
        f"send_to_{parameter}",
        "Send a webhook to an endpoint" + (" by its slug" if parameter == "slug" else ""),
        "Whatever the endpoint's provider sends, proven as the provider proves it. A provider's handshakes come to"
        " this address too, some of them with GET, HEAD or OPTIONS; they are answered as the provider wants it.",
        _any_body(),
        _accepted(
            ["success", "message", "webhook_id", "event_id", "status", "received_at", "correlation_id"],
            success={"const": True},
            message=_TEXT,
            webhook_id=_TEXT,
            event_id=_EVENT_ID,
            status={"enum": ["accepted", "duplicate"]},
            received_at=_MOMENT,
            correlation_id=_TEXT,
        ),
        {
            "success": True,
            "message": "Webhook accepted",
            "webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4",
            "event_id": _ID,
            "status": "accepted",
            "received_at": _AT,
            "correlation_id": "019503f0a1c27d3e8f00b4a6c8d2e1f0",
        },
    )
    operation["responses"]["2XX"] = {
        "description": "Where the endpoint or its provider has an answer of its own, that one, with status 200 too;"
        " where the endpoint holds its senders (`response_wait`), what the run answered, with any status."
    }
    operation["parameters"] = [
        {"name": parameter, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
    ]
    return operation


def _by_id() -> dict[str, Any]:
    return _operation(
        "receive_envelope",
        "Send an envelope with an id",
        "To the built-in endpoint, with `X-Webhook-Signature`: the hex HMAC-SHA256 of the body under"
        " KANCA_WEBHOOK_SECRET. The `event_id` says which envelopes are the same.",
        {"application/json": {"schema": _ENVELOPE}},
        _accepted(
            ["status", "event_id", "id", "received_at"],
            status={"enum": ["accepted", "already_accepted", "already_processed"]},
            event_id=_TEXT,
            id=_EVENT_ID,
            received_at=_MOMENT,
        ),
        {"status": "accepted", "event_id": "o-4711", "id": _ID, "received_at": _AT},
    )


def _by_hash() -> dict[str, Any]:
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    return _operation(
        "receive_by_content",
        "Send a JSON object without an id",
        "To the built-in endpoint, signed as for `/webhooks/receive`. What the object says, without its `timestamp`,"
        " says which are the same.",
        {"application/json": {"schema": {"type": "object", "examples": [_ENVELOPE_EXAMPLE]}}},
        _accepted(
            ["status", "content_hash", "id", "received_at"],
            status={"enum": ["accepted", "duplicate_detected"]},
            content_hash={"type": "string", "pattern": "^[0-9a-f]{64}$"},
            id=_EVENT_ID,
            received_at=_MOMENT,
        ),
        {"status": "accepted", "content_hash": digest, "id": _ID, "received_at": _AT},
    )


def _resume() -> dict[str, Any]:
    operation = _operation(
        "resume_run",
        "Have a waiting run go on",
        "To an address that a run gave away: whoever has it may use it once. What is sent, if anything, is the data of"
        " the event that resumes the run. A browser that sends the form of the page is answered with a page.",
        _any_body(),
        _closed(["status", "event_id"], status={"enum": ["accepted", "duplicate"]}, event_id=_EVENT_ID),
        {"status": "accepted", "event_id": _ID},
        without=_OF_ENDPOINTS,
    )
    operation["requestBody"]["required"] = False
    operation["responses"]["200"]["content"] |= _PAGE
    return operation | {"parameters": [_TOKEN]}


def _ask_before_resuming() -> dict[str, Any]:
    codes = ["resume_expired", "endpoint_not_found", "https_required", "ip_not_allowed", "rate_limited"]
    codes += ["payload_too_large", "body_timeout", "unsupported_encoding", "invalid_encoding"]
    codes.append("database_unavailable")
    statuses = sorted({RULES[code].status for code in codes})
    return {
        "tags": [_TAG],
        "summary": "Ask before a waiting run goes on",
        "description": "A page that says what would be done, with a button that does it. Opening it changes nothing."
        " A browser is shown a page also where it is refused.",
        "operationId": "show_resume_page",
        "security": [],
        "parameters": [_TOKEN],
        "responses": {"200": {"description": "The page.", "content": _PAGE}}
        | {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses},
    }


def _operation(
    operation_id: str,
    summary: str,
    description: str,
    body: dict[str, Any],
    schema: dict[str, Any],
    example: dict[str, Any],
    without: frozenset[str] = _OF_RESUMING,
) -> dict[str, Any]:
    """An operation that is refused for all that there is, but for the codes in ``without``."""
    accepted = {
        "description": "The event and its work are stored, or have been before.",
        "content": {"application/json": {"schema": schema, "example": example}},
    }
    refused = {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in _statuses(without)
    }
    return {
        "tags": [_TAG],
        "summary": summary,
        "description": description,
        "operationId": operation_id,
        "security": [],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": accepted} | refused,
    }


def _any_body() -> dict[str, Any]:
    examples = {"schema": {"examples": [_ENVELOPE_EXAMPLE]}}
    fields = {"schema": {"type": "object", "additionalProperties": _TEXT}}
    anything: dict[str, Any] = {"schema": _TEXT}
    return {
        "application/json": examples,
        "application/x-www-form-urlencoded": fields,
        "multipart/form-data": fields,
        "text/plain": anything,
        "application/octet-stream": {},
    }


def _accepted(required: list[str], **properties: Any) -> dict[str, Any]:
    return _closed(required, **properties, **_BECAME)


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _statuses(without: frozenset[str] = frozenset()) -> list[int]:
    return sorted({rule.status for code, rule in RULES.items() if code not in _NEVER_SENT | without})


def _name(status: int) -> str:
    return f"webhook_refused_{status}"


def _refused(status: int) -> dict[str, Any]:
    codes = [code for code, rule in RULES.items() if rule.status == status and code not in _NEVER_SENT]
    response: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {RULES[code].detail}" for code in codes),
        "content": {
            "application/problem+json": {
                "schema": _PROBLEM_REF,
                "examples": {code: {"value": msgspec.json.decode(Refusal(code).problem())} for code in codes},
            }
        },
    }
    if any(RULES[code].retry_after_s for code in codes):
        response["headers"] = {
            "Retry-After": {
                "description": "Seconds until it is worth trying again.",
                "schema": {"type": "integer"},
            }
        }
    return response
