"""Signing deliveries, with every live secret, so that receivers can change theirs when it suits them."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence

from kanca.domain.subscription import SignatureKind
from kanca.errors import InvalidSecret
from kanca.outbound.keys import private_key, shared_key

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
HEX_HEADER = "X-Webhook-Signature"


def signature_headers(
    kind: SignatureKind,
    secrets: Sequence[str],
    message_id: str,
    timestamp: int,
    body: bytes,
    header: str | None = None,
) -> dict[str, str]:
    """The headers that prove a delivery; ``secrets`` are those that are live, the newest first.

    Always ``webhook-id`` and ``webhook-timestamp`` (Unix seconds of this attempt). Besides:

    - ``standard``: ``webhook-signature`` with one ``v1,…`` of Standard Webhooks for each secret, and
      ``X-Webhook-Signature``, the hex HMAC-SHA256 of the body.
    - ``ed25519``: ``webhook-signature`` with one ``v1a,…`` for each key.
    - ``hex``: the hex HMAC-SHA256 of the body in ``header`` (default ``X-Webhook-Signature``).

    A header for one signature has that of the oldest secret: while it is live, not every receiver knows the new one.
    Raises InvalidSecret for a secret that cannot sign in that way, or when there is none: nothing is sent unsigned.
    """
    if not secrets:
        raise InvalidSecret("The subscription has no secret that is still live.")
    headers = {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp)}
    if kind is not SignatureKind.HEX:
        content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
        sign = _sign_v1a if kind is SignatureKind.ED25519 else _sign_v1
        headers[SIGNATURE_HEADER] = " ".join(sign(secret, content) for secret in secrets)
    if kind is not SignatureKind.ED25519:
        headers[header or HEX_HEADER] = sign_hex(secrets[-1], body)
    return headers


def sign_hex(secret: str, body: bytes) -> str:
    """The hex HMAC-SHA256 of a body, keyed with all of the secret's text."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def _sign_v1(secret: str, content: bytes) -> str:
    return "v1," + b64encode(hmac.digest(shared_key(secret), content, "sha256")).decode()


def _sign_v1a(secret: str, content: bytes) -> str:
    return "v1a," + b64encode(private_key(secret).sign(content)).decode()
