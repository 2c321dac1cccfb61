"""What an ingest request is refused for: one registry of codes, and a refusal as a value.

Refusing is ordinary work here, so a refusal is returned, never raised. A code never changes its meaning; with its
status and title it is part of the public contract.

Whose proof fails is told ``invalid_signature`` (or ``invalid_token``) and nothing more: what exactly was wrong would
help whoever tries to forge one. The cause is for the endpoint's operator, in rejections, metrics and logs.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.json import encode

from kanca.errors import InvalidInput, KancaError
from kanca.providers import RefusalCode

Headers = tuple[tuple[bytes, bytes], ...]


class Rule(NamedTuple):
    """What a refusal with some code is like."""

    status: int
    title: str
    detail: str
    """A sentence for the caller, where the refusal has none of its own."""
    retry_after_s: int | None = None
    """When it is worth trying again."""


_BAD_BODY = "The body cannot be read"
_BAD_EVENT = "The event is not acceptable"
_AWAY = "Webhooks cannot be stored now"
_BUSY = "Too many requests"

INVALID_SIGNATURE = "invalid_signature"
INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code, no token

CONFIG_UNREADABLE = "config_unreadable"

RULES: dict[str, Rule] = {
    "endpoint_not_found": Rule(404, "No such endpoint", "There is no endpoint at this address."),
    "endpoint_unusable": Rule(
        503, "Endpoint unusable", "The endpoint is set up in a way that cannot work.", 120
    ),
    "resume_expired": Rule(410, "Address expired", "The time in which this address could be used is over."),
    "method_not_allowed": Rule(405, "Method not allowed", "The endpoint does not take this method."),
    "https_required": Rule(403, "HTTPS required", "This address takes webhooks over HTTPS only."),
    "ip_not_allowed": Rule(403, "Address not allowed", "The endpoint takes no webhooks from this address."),
    "rate_limited": Rule(429, _BUSY, "This client has sent more requests than the endpoint's limit."),
    "rate_limit_unavailable": Rule(
        503, "Rate limits cannot be checked", "The endpoint's rate limit cannot be checked now.", 5
    ),
    "key_unavailable": Rule(
        503, "Proof cannot be checked", "What the signature is checked with cannot be fetched now.", 30
    ),
    "handshake_failed": Rule(503, "Handshake not completed", "The sender's address could not be called.", 30),
    "commit_queue_full": Rule(429, _BUSY, "More webhooks wait to be stored than this server takes.", 60),
    "headers_too_large": Rule(431, "Headers too large", "The headers are larger than 64 KB in all."),
    "payload_too_large": Rule(413, "Body too large", "The body is larger than the endpoint's limit."),
    "body_timeout": Rule(408, "Body too slow", "The body did not come in time."),
    "client_disconnected": Rule(400, "Client gone", "The client went away before its body was complete."),
    "unsupported_encoding": Rule(
        415,
        "Unsupported content encoding",
        "Bodies may be encoded with gzip, deflate and br, thrice at most.",
    ),
    "unsupported_charset": Rule(415, "Unsupported charset", "The body's charset is not one that is read."),
    INVALID_SIGNATURE: Rule(401, "Invalid signature", "invalid signature"),
    INVALID_TOKEN: Rule(401, "Invalid token", "invalid token"),
    "invalid_encoding": Rule(400, _BAD_BODY, "The body cannot be decoded as its Content-Encoding says."),
    "empty_body": Rule(400, _BAD_BODY, "The body is empty."),
    "invalid_json": Rule(400, _BAD_BODY, "The body is not valid JSON."),
    "invalid_utf8": Rule(400, _BAD_BODY, "The body is JSON, but not UTF-8."),
    "invalid_form": Rule(400, _BAD_BODY, "The body is not a valid form."),
    "invalid_multipart": Rule(400, _BAD_BODY, "The body is not valid multipart/form-data."),
    "invalid_xml": Rule(400, _BAD_BODY, "The body is not valid XML."),
    "invalid_text": Rule(400, _BAD_BODY, "The body is not in the charset that it says."),
    "too_many_parts": Rule(400, _BAD_BODY, "The body has more fields, elements or lines than are read."),
    "nested_too_deeply": Rule(400, _BAD_BODY, "The body is nested too deeply."),
    "invalid_envelope": Rule(400, _BAD_EVENT, "The body does not have the form that this address takes."),
    "invalid_event_type": Rule(400, _BAD_EVENT, "The event type must be 1 to 256 printable characters."),
    "event_type_not_allowed": Rule(400, _BAD_EVENT, "The endpoint does not take events of this type."),
    "invalid_event_id": Rule(
        400, _BAD_EVENT, "The event id must be text of at most 512 printable characters."
    ),
    "invalid_correlation_id": Rule(
        400, _BAD_EVENT, "The correlation id must be text of at most 512 printable characters."
    ),
    "invalid_idempotency_key": Rule(400, _BAD_EVENT, "The Idempotency-Key is longer than 512 bytes."),
    "cannot_redact": Rule(
        415,
        _BAD_BODY,
        "The endpoint stores no body in which it cannot redact fields: it takes JSON in UTF-8.",
    ),
    "not_storable": Rule(400, _BAD_EVENT, "The event has a value that cannot be stored."),
    "backlog_full": Rule(503, _AWAY, "Too much work is waiting already.", 120),
    "disk_full": Rule(503, _AWAY, "There is too little free disk.", 120),
    "database_unavailable": Rule(503, _AWAY, "The database cannot be reached.", 30),
    "commit_timeout": Rule(503, _AWAY, "The database did not answer in time; sending again is safe.", 30),
    "shutting_down": Rule(503, _AWAY, "This server is shutting down.", 5),
    "run_failed": Rule(500, "The run failed", "The event is stored, and the run that it started has failed."),
    "internal_error": Rule(500, "Internal error", "Something went wrong inside Kanca."),
}

CAUSES: dict[str, str] = {
    RefusalCode.SIGNATURE_MISSING: "The request carries no signature.",
    RefusalCode.SIGNATURE_MALFORMED: "The signature does not have the form that this endpoint expects.",
    RefusalCode.SIGNATURE_MISMATCH: "The signature does not fit the request.",
    RefusalCode.SIGNED_HEADER_MISSING: "A header that the signature covers is missing.",
    RefusalCode.SIGNED_HEADER_MALFORMED: "A header that the signature covers cannot be used.",
    RefusalCode.SIGNED_FIELD_MISSING: "A field that the signature covers is missing.",
    RefusalCode.TIMESTAMP_MISSING: "The time that the signature covers is missing.",
    RefusalCode.TIMESTAMP_MALFORMED: "The time that the signature covers cannot be read.",
    RefusalCode.TIMESTAMP_TOO_OLD: "The signature is too old.",
    RefusalCode.TIMESTAMP_IN_FUTURE: "The signature's time is in the future.",
    RefusalCode.TOKEN_MISSING: "The request carries no token.",
    RefusalCode.TOKEN_MALFORMED: "The token does not have the form that this endpoint expects.",
    RefusalCode.TOKEN_MISMATCH: "The token is not valid.",
    RefusalCode.TOKEN_EXPIRED: "The signed token is not valid now.",
    RefusalCode.CLAIM_MISMATCH: "The proof is for somebody else: another audience, sender, topic or body.",
    RefusalCode.KEY_REFUSED: "The certificate or key that the request names is not one that its provider would use.",
    RefusalCode.SECRET_MISSING: "The endpoint has no secret to check requests with.",
    RefusalCode.SECRET_UNUSABLE: "The endpoint has no usable secret to check requests with.",
    CONFIG_UNREADABLE: "The endpoint's config has what this version does not know: a newer one wrote it.",
}
"""What can be wrong with a proof: the causes behind ``invalid_signature`` and ``invalid_token``; and one of
``endpoint_unusable``."""


class Refusal(Struct, frozen=True):
    """Why nothing came of a request."""

    code: str
    """What the caller is told."""
    detail: str = ""
    """A sentence for the caller, instead of the rule's."""
    cause: str = ""
    """The code for the endpoint's operator, where it says more; never shown to the caller."""
    note: str = ""
    """The sentence for the endpoint's operator; never shown to the caller."""
    headers: Headers = ()
    endpoint: int | None = None
    """The number of the endpoint that it is about, where there is one but it cannot work."""

    @property
    def precise_code(self) -> str:
        """The code by which the operator finds it."""
        return self.cause or self.code

    @property
    def precise_detail(self) -> str:
        """The sentence for the operator."""
        return self.note or self.detail or self.rule.detail

    @property
    def rule(self) -> Rule:
        """What all refusals with this code have in common."""
        return RULES[self.code]

    def problem(self) -> bytes:
        """The ``application/problem+json`` body (RFC 9457)."""
        status, title, detail, _ = self.rule
        return encode(
            {
                "type": f"urn:kanca:problem:{self.code}",
                "title": title,
                "status": status,
                "detail": self.detail or detail,
                "code": self.code,
            }
        )


_NOT_STORABLE = Refusal("not_storable")


def refusal_of(error: KancaError) -> Refusal:
    """The refusal that an error of the storage is to a sender; raises the error where it is none."""
    if isinstance(error, InvalidInput):
        return _NOT_STORABLE
    if error.code not in RULES:
        raise error
    return Refusal(error.code)
