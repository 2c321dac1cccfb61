"""Verifying one request by hand: what the verdict is, why, and what of the request was signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kanca.domain.event import is_envelope
from kanca.errors import InvalidSecret
from kanca.providers import (
    KeyNeeded,
    ProviderSpec,
    Refusal,
    SignedRequest,
    Verdict,
    Verified,
    check_secret,
    compile_extractor,
    compile_handshakes,
    compile_verifier,
    configure,
)
from kanca.providers.diagnosis import Failure, diagnose
from kanca.providers.schemes.content import SLOTS, ContentBuilder
from kanca.providers.schemes.header_form import HeaderForm
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.template import Slot, parse_template

Fetch = Callable[[str], bytes]
"""Gets a provider's certificate or keys. Raises EgressError."""

_MOST_FETCHES = 2


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and what it is judged by."""

    spec: ProviderSpec
    options: Mapping[str, Any] | None
    request: SignedRequest
    secrets: Sequence[str]
    now: float
    """Unix seconds."""

    def judge(self, fetch: Fetch | None) -> dict[str, Any]:
        """The verdict as JSON; nothing in it is a secret. Raises InvalidProvider, EgressError."""
        handshake = self._handshake(is_proven=False)
        verdict = self._verify(fetch)
        if isinstance(verdict, Verified):
            handshake = handshake or self._handshake(is_proven=True)
        return {
            "provider": self.spec.name,
            "is_verified": isinstance(verdict, Verified),
            **self._reason(verdict),
            "handshake": handshake,
            **self._about(verdict),
            "signed": self._signed(),
            "body_bytes": len(self.request.body),
            "notes": self._about_secrets(),
        }

    def _verify(self, fetch: Fetch | None) -> Verdict:
        verifier = compile_verifier(self.spec, self.options)
        request = self.request
        verdict = verifier.verify(request, self.secrets, self.now)
        for _ in range(_MOST_FETCHES):
            if not isinstance(verdict, KeyNeeded) or fetch is None:
                break
            request.documents = {**request.documents, verdict.url: fetch(verdict.url)}
            verdict = verifier.verify(request, self.secrets, self.now)
        return verdict

    def _reason(self, verdict: Verdict) -> dict[str, Any]:
        if isinstance(verdict, Refusal):
            failure = Failure(self.spec, self.options, self.request, self.secrets, (), self.now, verdict)
            return {"code": verdict.code.value, "reason": diagnose(failure)}
        if isinstance(verdict, KeyNeeded):
            reason = f"the proof needs a public document of the provider's, which --fetch gets: {verdict.url}"
            return {"code": "key_needed", "reason": reason}
        if verdict.secret_index is None:
            return {"code": None, "reason": "the provider proves nothing: anybody could have sent this"}
        which = f" {verdict.secret_index + 1}" if len(self.secrets) > 1 else ""
        return {"code": None, "reason": f"the proof fits the secret{which}"}

    def _about(self, verdict: Verdict) -> dict[str, Any]:
        """What the request says, and when it was signed; nothing of one that is not proven."""
        if not isinstance(verdict, Verified):
            return {"event_type": None, "delivery_id": None, "signed_at": None}
        request, document = self.request, self.request.document()
        found = compile_extractor(self.spec, self.options).extract(
            request.headers, document, verdict.signed_id, request.body
        )
        envelope: dict[str, Any] = document if is_envelope(document) else {}  # type: ignore[assignment] # it is one
        default_type = configure(self.spec, self.options).default_event_type
        signed_at = verdict.signed_at
        return {
            "event_type": found.event_type or envelope.get("event_type", default_type),
            "delivery_id": found.delivery_id or envelope.get("event_id"),
            "signed_at": None if signed_at is None else datetime.fromtimestamp(signed_at, UTC).isoformat(),
        }

    def _handshake(self, *, is_proven: bool) -> str | None:
        """The name of the handshake that the request is."""
        handshakes = compile_handshakes(self.spec, self.options, compile_verifier(self.spec, self.options))
        if handshakes is None:
            return None
        answer = handshakes.answer_proven if is_proven else handshakes.answer_unproven
        reply = answer(self.request, self.secrets, self.now)
        return None if reply is None else reply.name

    def _signed(self) -> list[dict[str, Any]]:
        """The parts of what is signed, with their lengths, of the signature that counts; None for what is not there."""
        for signature in configure(self.spec, self.options).signatures:
            if isinstance(signature, SignedContent):
                value = signature.place().find(self.request)
                if value is not None:
                    return _parts(signature, self.request, value)
        return []

    def _about_secrets(self) -> list[str]:
        """What is odd about the secrets themselves."""
        notes = []
        for secret in self.secrets:
            try:
                check_secret(self.spec, secret, self.options)
            except InvalidSecret as error:
                notes.append(error.detail)
        return notes


def _parts(signature: SignedContent, request: SignedRequest, value: bytes) -> list[dict[str, Any]]:
    written = _timestamp(signature, request, value)
    if type(signature).builder is not SignedContent.builder:
        content = signature.builder().build(request, written or b"", {})
        length = None if isinstance(content, Refusal) else len(content)
        return [{"part": "put together in the provider's own way", "bytes": length}]
    alternatives = []
    for template in signature.templates():
        parts = []
        for part in parse_template(template, SLOTS):
            if isinstance(part, str):
                parts.append({"part": part, "bytes": len(part.encode())})
            else:
                parts.append({"part": _written(part), "bytes": _length(signature, request, part, written)})
        if all(part["bytes"] is not None or str(part["part"]).startswith("{secret") for part in parts):
            return parts
        alternatives.append(parts)
    return alternatives[0]


def _timestamp(signature: SignedContent, request: SignedRequest, value: bytes) -> bytes | None:
    timestamp = signature.timestamp
    if timestamp is None:
        return None
    if timestamp.header:
        return request.headers.get(timestamp.header.lower().encode())
    if timestamp.body:
        return timestamp.written_in_body(request)
    claim = HeaderForm(signature.form, signature.separator).read(value)
    return None if isinstance(claim, Refusal) else claim.timestamp


def _length(
    signature: SignedContent, request: SignedRequest, slot: Slot, written: bytes | None
) -> int | None:
    if slot.name == "secret" or (slot.name == "timestamp" and written is None):
        return None  # the length of a secret is nobody's business
    content = ContentBuilder((_written(slot),), signature.id_header).build(request, written or b"", {})
    return None if isinstance(content, Refusal) else len(content)


def _written(slot: Slot) -> str:
    return f"{{{slot.name}:{slot.argument}}}" if slot.argument else f"{{{slot.name}}}"
