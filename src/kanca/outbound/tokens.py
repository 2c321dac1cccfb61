"""Tokens by the client credentials grant (RFC 6749 section 4.4)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from kanca.domain.credential import Credential, client_authorization
from kanca.egress import EgressClient
from kanca.errors import EgressError

TIMEOUT = timedelta(seconds=10)
MAX_BYTES = 64 * 1024
UNKNOWN_SECONDS = 300.0
"""How long a token is kept whose server does not say how long it lasts."""
EARLIER_SECONDS = 30.0
"""So long before its end a token is not used any more, or a tenth of its time when that is less."""

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""RFC 6749 section 5.2. Other texts of the server are not repeated."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    text: str = field(repr=False)
    kept_seconds: float
    """How long it can be used, from when it was asked for."""


class NoToken(Exception):
    """There is no token; ``reason`` is ``unreachable``, ``refused`` or ``bad_answer``."""

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        self.sentence = sentence
        super().__init__(sentence)


async def fetch_token(http: EgressClient, credential: Credential) -> Token:
    """A new token for an ``oauth2`` credential. Raises NoToken."""
    form = {"grant_type": "client_credentials"}
    if credential.values.get("scope"):
        form["scope"] = credential.values["scope"]
    try:
        response = await http.request(
            "POST",
            credential.values["token_url"],
            headers={
                "Authorization": client_authorization(credential),
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            body=urlencode(form).encode(),
            timeout=TIMEOUT,
            max_response_bytes=MAX_BYTES,
        )
    except EgressError as error:
        raise NoToken("unreachable", f"its token could not be fetched: {error.detail}") from None
    if response.status != 200:
        raise NoToken("refused", _refusal(response.status, _document(response.body)))
    return _token(_document(response.body))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(status: int, document: dict[str, Any]) -> str:
    error = document.get("error")
    known = f" {error}" if isinstance(error, str) and error in _ERRORS else ""
    return f"its token was refused with {status}{known}"


def _token(document: dict[str, Any]) -> Token:
    text = document.get("access_token")
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise NoToken("bad_answer", "its token's server answered without a token that can be sent")
    kind = document.get("token_type", "bearer")  # required, and left out by some
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoToken("bad_answer", "its token's server gave a token that is no bearer token")
    lasts = _seconds(document.get("expires_in"))
    return Token(text, lasts - min(EARLIER_SECONDS, lasts / 10))


def _seconds(value: Any) -> float:
    """How long it lasts: a number, which some write as a text."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN_SECONDS
    return max(seconds, 0.0) if math.isfinite(seconds) else UNKNOWN_SECONDS
