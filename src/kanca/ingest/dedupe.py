"""Dedupe keys: what makes two arrivals the same event.

A key is made of a kind and a value. In the mode ``auto`` the sender's own delivery id is the value, where the sender's
signature covers it. Some providers (GitHub, Shopify) sign the body and send the id in a header beside it: whoever has
captured one request could send it again and again under new ids, each with a valid signature. There the value is what
the signature does cover, the body, together with the event type (Shopify sends one order under several topics). A
provider's own retry has the same bytes, so it is found all the same.
"""

from __future__ import annotations

from kanca.domain.dedupe import Key


def delivery_key(delivery_id: str) -> Key:
    """The provider's delivery id."""
    return Key(b"delivery", delivery_id.encode())


def event_id_key(event_id: str) -> Key:
    """The ``event_id`` of an envelope."""
    return Key(b"event_id", event_id.encode())


def idempotency_key(value: bytes) -> Key:
    """An ``Idempotency-Key`` header."""
    return Key(b"idempotency", value)


def content_key(body: bytes) -> Key:
    """The body, whatever it is called."""
    return Key(b"content", body)


def fields_key(event_type: str, fields: bytes) -> Key:
    """Some fields of the document, as ``kanca.ingest.fields`` writes them, and the type of the event."""
    return Key(b"fields", event_type.encode() + b"\x00" + fields)


def signed_content_key(event_type: str, body: bytes) -> Key:
    """The body and its type, where the signature covers nothing else that could tell two deliveries apart."""
    return Key(b"signed", event_type.encode() + b"\x00" + body)
