"""Answering handshakes: a request in, the answer that its provider asks for out. A handshake never becomes an event."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from kanca.domain.answer import SANDBOX_HEADERS
from kanca.providers.handshake_filling import Asked, Fill, asked_by, compile_fill
from kanca.providers.handshake_spec import PRESENT, Handshake, methods_of
from kanca.providers.options import configure
from kanca.providers.patterns import fits
from kanca.providers.spec import ProviderSpec
from kanca.providers.values import View, compile_value
from kanca.providers.verdict import SignedRequest, Verified
from kanca.providers.verification import Verifier

MAX_REPLY_LENGTH = 4096
"""Characters of a value that is sent back: no handshake in use has a longer one."""
MAX_UNPROVEN_BYTES = 16 * 1024
"""Larger bodies are not read to find out whether they are a handshake that nothing proves: anybody may send them."""


class HandshakeReply(Struct, frozen=True):
    """What to answer, and what to do before."""

    name: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    store_secret: str | None = None
    """Store this as the endpoint's secret first, if it still has none; without that there is no answer."""
    visit: str | None = None
    """Call this address first (GET, no redirects); without a 2xx from there, there is no answer."""


class Handshakes:
    """The handshakes of one endpoint."""

    def __init__(self, spec: ProviderSpec, verifier: Verifier) -> None:
        self.methods = methods_of(spec.handshakes)
        """The methods that handshakes come by."""
        self._open = [
            _Compiled(each, spec, verifier) for each in spec.handshakes if each.proof != "signature"
        ]
        self._proven = [
            _Compiled(each, spec, verifier) for each in spec.handshakes if each.proof == "signature"
        ]

    def answer_unproven(
        self, request: SignedRequest, secrets: Sequence[str], now: float
    ) -> HandshakeReply | None:
        """The answer to a handshake that needs no signature of the endpoint's secret; None when it is no such one."""
        if len(request.body) > MAX_UNPROVEN_BYTES:
            return None
        return self._first(self._open, request, secrets, now)

    def answer_proven(
        self, request: SignedRequest, secrets: Sequence[str], now: float
    ) -> HandshakeReply | None:
        """The answer to a handshake, of a request that was verified; None when it is a webhook."""
        return self._first(self._proven, request, secrets, now)

    def near_miss(self, request: SignedRequest, secrets: Sequence[str]) -> str | None:
        """Which unproven handshake the request nearly is, and what is missing, in words of the spec; None for none."""
        if len(request.body) > MAX_UNPROVEN_BYTES:
            return None
        misses = (each.miss(request, secrets) for each in self._open if each.method == request.method)
        return next(filter(None, misses), None)

    def _first(
        self, handshakes: Sequence[_Compiled], request: SignedRequest, secrets: Sequence[str], now: float
    ) -> HandshakeReply | None:
        for handshake in handshakes:
            if handshake.method == request.method:
                reply = handshake.answer(request, secrets, now)
                if reply is not None:
                    return reply
        return None


def compile_handshakes(
    spec: ProviderSpec, options: Mapping[str, Any] | None, verifier: Verifier
) -> Handshakes | None:
    """Make what answers an endpoint's handshakes; None where its provider has none.

    Raises InvalidProvider when the options cannot be used.
    """
    configured = configure(spec, options)
    return Handshakes(configured, verifier) if configured.handshakes else None


class _Compiled:
    def __init__(self, handshake: Handshake, spec: ProviderSpec, verifier: Verifier) -> None:
        fill = partial(compile_fill, spec=spec)
        self.method = handshake.method
        self._handshake = handshake
        self._verifier = verifier
        self._secret_form = spec.secret
        self._conditions = [
            (compile_value(template), None if wanted == PRESENT else fill(wanted), "{secret" in wanted)
            for template, wanted in handshake.when.items()
        ]
        self._patterns = [
            (compile_value(template), re.compile(pattern)) for template, pattern in handshake.patterns.items()
        ]
        self._text = fill(handshake.reply.text) if handshake.reply.text else None
        fields = (handshake.reply.json or {}).items()
        self._json = {key: fill(text) for key, text in fields if isinstance(text, str)}
        self._numbers = {key: number for key, number in fields if isinstance(number, int)}
        self._headers = {name: fill(text) for name, text in handshake.reply.headers.items()}
        self._secret = compile_value(handshake.store_secret) if handshake.store_secret else None
        self._visit = compile_value(handshake.visit) if handshake.visit else None

    def answer(self, request: SignedRequest, secrets: Sequence[str], now: float) -> HandshakeReply | None:
        """The answer, if it is this handshake."""
        asked = asked_by(request, secrets)
        view = asked.view
        if not all(self._holds(asked, *condition) for condition in self._conditions):
            return None
        if not all(fits(pattern, read(view) or "") for read, pattern in self._patterns):
            return None
        store_secret = self._secret(view) if self._secret else None
        visit = self._visit(view) if self._visit else None
        if store_secret and self._secret_form.problem(store_secret) is not None:
            return None
        if (self._secret and not store_secret) or (self._visit and not self._may_visit(visit)):
            return None
        if self._handshake.proof == "own_secret":
            verdict = self._verifier.verify(request, [store_secret or ""], now)
            if not isinstance(verdict, Verified):
                return None
        return self._reply(asked, store_secret, visit)

    def miss(self, request: SignedRequest, secrets: Sequence[str]) -> str | None:
        """What alone keeps the request from being this handshake; None where more does, or nothing is as it should."""
        asked = asked_by(request, secrets)
        wanted = self._handshake.when.items()
        failed = [
            _unmet(*text)
            for text, condition in zip(wanted, self._conditions, strict=True)
            if not self._holds(asked, *condition)
        ]
        patterns = zip(self._handshake.patterns, self._patterns, strict=True)
        failed += [
            f"`{text}` does not fit"
            for text, (read, form) in patterns
            if not fits(form, read(asked.view) or "")
        ]
        if len(failed) > 1 or len(failed) == len(self._conditions) + len(self._patterns):
            return None
        return f"`{self._handshake.name}`: {failed[0] if failed else 'what its answer needs is not there'}"

    def _holds(
        self, asked: Asked, read: Callable[[View], str | None], wanted: Fill | None, is_secret: bool
    ) -> bool:
        value = read(asked.view)
        if wanted is None:
            return value is not None
        if not is_secret:
            return (value or "") == wanted(asked)
        if value is None:
            return False
        # Each live secret may be the one; they are compared without telling how much of one was right.
        texts = [wanted(Asked(asked.view, [secret])) for secret in asked.secrets]
        said = value.encode("utf-8", "surrogatepass")
        return any(text is not None and hmac.compare_digest(text.encode(), said) for text in texts)

    def _may_visit(self, address: str | None) -> bool:
        try:
            parts = urlsplit(address or "")
            port = parts.port
        except ValueError:
            return False
        host = parts.hostname or ""
        is_pinned = any(fits(pattern, host) for pattern in self._handshake.visit_hosts)
        return parts.scheme == "https" and is_pinned and port in (None, 443) and "@" not in parts.netloc

    def _reply(self, asked: Asked, store_secret: str | None, visit: str | None) -> HandshakeReply | None:
        reply = self._handshake.reply
        text = self._text(asked) if self._text else None
        fields = {key: fill(asked) for key, fill in self._json.items()}
        headers = {name: fill(asked) for name, fill in self._headers.items()}
        filled = [*fields.values(), *headers.values(), *([text] if self._text else [])]
        if any(value is None or len(value) > MAX_REPLY_LENGTH for value in filled):
            return None
        if any(not (value or "").isprintable() for value in headers.values()):
            return None
        body = json.dumps(self._numbers | fields, separators=(",", ":")) if reply.json else text or ""
        content_type = "application/json" if reply.json else reply.content_type
        pairs = [("content-type", content_type), *SANDBOX_HEADERS]
        pairs += [(name.lower(), value or "") for name, value in headers.items()]
        return HandshakeReply(
            self._handshake.name,
            reply.status,
            tuple(pairs),
            body.encode("utf-8", "replace"),
            store_secret,
            visit,
        )


def _unmet(template: str, wanted: str) -> str:
    """What is wrong where a condition does not hold, in the words of the spec alone: the request's may be secrets."""
    if wanted in (PRESENT, ""):
        return f"`{template}` is {'missing' if wanted else 'there'}"
    whose = " of any secret of the endpoint" if "{secret" in wanted else ""
    return f"`{template}` is not `{wanted}`{whose}"
