"""Providers as JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_PROVIDER: dict[str, JsonValue] = {
    "name": "stripe",
    "title": "Stripe",
    "summary": "Payments, customers, invoices and subscriptions from a Stripe account.",
    "origin": "kanca",
    "label": "confirmed",
    "signs": True,
    "secret_is_issued": True,
    "secret_where": "Developers → Webhooks → your endpoint → Signing secret",
    "docs_url": "https://docs.stripe.com/webhooks",
    "sample_event_types": ["checkout.session.completed", "payment_intent.succeeded"],
    "variants": [],
}
_SIGNATURE: dict[str, JsonValue] = {
    "scheme": "hmac",
    "algorithm": "sha256",
    "in_words": "HMAC-SHA256 of `{timestamp}.{body}`, in hex, in the header `Stripe-Signature`, "
    "written `t={timestamp},v1={signature}`.",
    "place": {"where": "header", "name": "Stripe-Signature"},
    "form": "t={timestamp},v1={signature}",
    "encoding": "hex",
    "signed_content": ["{timestamp}.{body}"],
    "body_is_signed": True,
    "timestamp": {
        "where": "signature",
        "name": None,
        "unit": "s",
        "max_age_seconds": 300,
        "max_ahead_seconds": 300,
    },
    "id_header": None,
    "parameters": {"separator": ","},
}
_DETAILS: dict[str, JsonValue] = _PROVIDER | {
    "source": "stripe 16.1 (Python), stripe/_webhook.py",
    "notes": [],
    "setup": ["Developers → Webhooks → Add endpoint: enter {url}."],
    "signatures": [_SIGNATURE],
    "secret": {
        "where": "Developers → Webhooks → your endpoint → Signing secret",
        "is_issued": True,
        "prefix": "whsec_",
        "prefix_required": True,
        "alphabet": "any",
        "min_length": 6,
        "max_length": 512,
        "key_encoding": "utf8",
        "parts": [],
    },
    "event_type": ["{body:type}"],
    "default_event_type": "webhook",
    "delivery_id": ["{body:id}"],
    "delivery_id_is_signed": True,
    "handshakes": [],
    "answer": None,
    "sender": {
        "success": "any 2xx",
        "timeout_seconds": 20,
        "retries": "for up to 3 days, ever more slowly",
        "recalled": ["timeout_seconds"],
    },
    "variants_in_detail": [],
    "options": [
        {
            "name": "tolerance_seconds",
            "type": "whole number, 1 to 86400",
            "choices": [],
            "default": None,
            "description": "How far a signed time may be from now, either way, instead of the provider's own.",
        }
    ],
    "samples": [
        {"event_type": "payment_intent.succeeded", "body": '{"id": "evt_…"}', "headers": {}, "query": ""}
    ],
    "spec": {"name": "stripe"},
}


class Provider(BaseModel):
    """Who sends."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROVIDER]})

    name: str
    title: str
    summary: str
    origin: Literal["kanca", "own"] = Field(description="`own`: this server's settings describe it.")
    label: Literal["confirmed", "secondary", "recalled"] = Field(
        description="How well the formula is known: from the provider itself, from third parties, from memory."
    )
    signs: bool = Field(description="What it sends is signed, not only its sender named by a token.")
    secret_is_issued: bool = Field(
        description="Only the provider makes its secrets; others can be chosen here."
    )
    secret_where: str = Field(description="Where the secret is found or set.")
    docs_url: str | None
    sample_event_types: list[str]
    variants: list[str] = Field(description="Its other products or ways of signing.")


class ProviderList(BaseModel):
    """All providers, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PROVIDER]}]})

    items: list[Provider]


class ProofPlace(BaseModel):
    """Where in a request the proof is."""

    where: Literal["header", "body", "query"]
    name: str


class SignedTime(BaseModel):
    """A time that the signature covers."""

    where: Literal["signature", "header", "body"] = Field(
        description="`signature`: beside it, in its header."
    )
    name: str | None
    unit: str = Field(description="`s` or `ms` since 1970, `iso` (RFC 3339), or `http-date`.")
    max_age_seconds: int
    max_ahead_seconds: int


class Signature(BaseModel):
    """How it is proven who sends, and what is proven of the request."""

    scheme: str
    algorithm: str | None
    in_words: str
    place: ProofPlace | None
    form: str | None = Field(description="How it is written there.")
    encoding: str | None
    signed_content: list[str] = Field(
        description="Of several templates, the first of which every part is there."
    )
    body_is_signed: bool = Field(
        description="The whole body is covered, not only some fields of it, or nothing."
    )
    timestamp: SignedTime | None
    id_header: str | None = Field(description="The header with the delivery id, where that is signed.")
    parameters: dict[str, Any] = Field(description="What this scheme alone has.")


class SecretForm(BaseModel):
    """What its secrets look like."""

    where: str
    is_issued: bool
    prefix: str
    prefix_required: bool
    alphabet: str
    min_length: int
    max_length: int
    key_encoding: str
    parts: list[str] = Field(description="Of several: their names, in the order in which `:` joins them.")


class HandshakeReply(BaseModel):
    """What is answered."""

    status: int
    content_type: str
    text: str | None
    json_fields: dict[str, Any] | None
    headers: dict[str, str]


class ProviderHandshake(BaseModel):
    """What the provider asks before, or between, its webhooks."""

    name: str
    about: str
    method: str
    proof: str
    when: dict[str, str] = Field(description="Values that make a request this handshake, by template.")
    reply: HandshakeReply
    stores_secret: str | None = Field(description="The secret that it brings is kept.")
    visits: str | None = Field(description="An address of the provider's that is called for it.")


class ProviderAnswer(BaseModel):
    """What the provider insists to be answered."""

    status: int
    content_type: str
    body: str
    headers: dict[str, str]
    refused_is_empty: bool


class SenderBehaviour(BaseModel):
    """What the provider does with answers."""

    success: str
    timeout_seconds: float | None
    retries: str
    recalled: list[str] = Field(description="Which of these are from memory, not from a source.")


class ProviderVariant(BaseModel):
    """Another product, or way of signing."""

    name: str
    title: str
    summary: str
    changes: list[str] = Field(description="The keys of the spec in which it differs.")
    signatures: list[Signature]
    secret: SecretForm


class ProviderOption(BaseModel):
    """What an endpoint may set in `provider_options`."""

    name: str
    type: str
    choices: list[str]
    default: JsonValue
    description: str


class ProviderSample(BaseModel):
    """A realistic delivery, with slots for what differs each time."""

    event_type: str
    body: str
    headers: dict[str, str]
    query: str


class ProviderDetails(Provider):
    """Who sends, and how it signs."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAILS]})

    source: str = Field(description="Where the formula was read.")
    notes: list[str]
    setup: list[str] = Field(description="Where to click at the provider; `{url}` is the endpoint's address.")
    signatures: list[Signature] = Field(description="The first whose header is there is the one that counts.")
    secret: SecretForm
    event_type: list[str] = Field(description="Where it is: the first template of which every part is there.")
    default_event_type: str
    delivery_id: list[str]
    delivery_id_is_signed: bool = Field(description="A replay cannot come under another id.")
    handshakes: list[ProviderHandshake]
    answer: ProviderAnswer | None
    sender: SenderBehaviour
    variants_in_detail: list[ProviderVariant]
    options: list[ProviderOption]
    samples: list[ProviderSample]
    spec: dict[str, Any] = Field(description="The spec itself, as one of your own would be written.")
