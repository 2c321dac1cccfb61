"""Why a request's proof fails, worked out by trying what usually goes wrong: an old secret, a changed body, a proxy.

For the endpoint's operator, after the request was refused: nothing that is found here makes a request right. No
sentence holds a secret, a computed signature, or text that the caller chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from kanca.errors import InvalidProvider
from kanca.providers.catalogue import get_provider, provider_names
from kanca.providers.misreadings import bodies, urls
from kanca.providers.options import configure
from kanca.providers.spec import ProviderSpec
from kanca.providers.template import Slot
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verified
from kanca.providers.verification import Verifier, compile_verifier

MOST_HASHED_BYTES = 4 * 1024 * 1024
"""What one diagnosis may hash in all, so that refusing large bodies stays cheap."""
MOST_NAMED_PROVIDERS = 3

_COST_OF_A_TRIAL_BYTES = 4096
_FITS = frozenset({RefusalCode.TIMESTAMP_TOO_OLD, RefusalCode.TIMESTAMP_IN_FUTURE})
"""Refusals of a signature that was right."""
_OF_ANYBODY = frozenset({"authorization"})
"""Headers that say nothing of who sends."""
_SECONDS = re.compile(r"timestamp is (\d{1,20}) s ")
_FIFTEEN_YEARS_S = 15 * 366 * 86_400


class Failure(Struct, frozen=True):
    """A request that was refused for its proof, and what it was checked with."""

    spec: ProviderSpec
    options: Mapping[str, Any] | None
    request: SignedRequest
    secrets: Sequence[str]
    """Those that were live."""
    expired: Sequence[tuple[str, float]]
    """Those that were rotated out, and when they ended (Unix seconds)."""
    now: float
    """Unix seconds."""
    refusal: Refusal


def diagnose(failure: Failure) -> str:
    """Say in a sentence what is wrong; what the refusal says already, when no more can be found out."""
    match failure.refusal.code:
        case RefusalCode.SIGNATURE_MISSING | RefusalCode.TOKEN_MISSING:
            return failure.refusal.detail + _looks_like(failure)
        case RefusalCode.SIGNATURE_MISMATCH | RefusalCode.TOKEN_MISMATCH:
            found = next(_found(failure), None)
            return found or f"{failure.refusal.detail}; body: {len(failure.request.body)} bytes"
        case RefusalCode.TIMESTAMP_TOO_OLD | RefusalCode.TIMESTAMP_IN_FUTURE:
            return failure.refusal.detail + _about_clocks(failure.refusal)
        case _:
            return failure.refusal.detail


class _Trials:
    """Verifies altered requests as long as the budget lasts; what is tried after that does not fit."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._left_bytes = MOST_HASHED_BYTES

    def fits(self, verifier: Verifier, request: SignedRequest, secrets: Sequence[str]) -> bool:
        """Whether the signature is right, be it in time or not."""
        self._left_bytes -= len(secrets) * (_COST_OF_A_TRIAL_BYTES + len(request.body))
        if self._left_bytes < 0 or not secrets:
            return False
        verdict = verifier.verify(request, secrets, self._now)
        return isinstance(verdict, Verified) or (isinstance(verdict, Refusal) and verdict.code in _FITS)


def _found(failure: Failure) -> Iterator[str]:
    """Every sentence that a trial bears out, the likeliest first; work is done only as far as they are asked for."""
    trials = _Trials(failure.now)
    verifier = compile_verifier(failure.spec, failure.options)
    yield from _about_secrets(failure, verifier, trials)
    request, secrets = failure.request, failure.secrets
    if _covers(failure, "url"):
        for what, url in urls(request):
            if trials.fits(verifier, _altered(request, url=url), secrets):
                yield f"the signature fits the URL {what}: set KANCA_PUBLIC_URL to the address that the sender has"
    if _covers(failure, "body"):
        for what, body in bodies(request.body):
            if trials.fits(verifier, _altered(request, body=body), secrets):
                yield f"the body differs from what was signed: {what}"


def _about_secrets(failure: Failure, verifier: Verifier, trials: _Trials) -> Iterator[str]:
    is_token = failure.refusal.code is RefusalCode.TOKEN_MISMATCH
    for secret, ended_at in failure.expired:
        if trials.fits(verifier, failure.request, [secret]):
            beginning = "the token" if is_token else "signed with a secret that"
            yield f"{beginning} was rotated out {_ago(failure.now - ended_at)}"
    for what, other_verifier, others in _other_secrets(failure, verifier):
        if trials.fits(other_verifier, failure.request, others):
            yield f"the {'token' if is_token else 'signature'} fits the secret {what}"


def _other_secrets(failure: Failure, verifier: Verifier) -> Iterator[tuple[str, Verifier, list[str]]]:
    """What secrets are taken for: how they differ, and what checks with them."""
    secrets = failure.secrets
    texts = {
        "without the blanks around it: set it again": [secret.strip() for secret in secrets],
        "with a line's end behind it: the sender's copy has one": [secret + "\n" for secret in secrets],
        "with a blank behind it: the sender's copy has one": [secret + " " for secret in secrets],
    }
    prefix = failure.spec.secret.prefix
    if prefix:
        texts[f"without its `{prefix}`"] = [secret.removeprefix(prefix) for secret in secrets]
        texts[f"with `{prefix}` before it"] = [prefix + secret for secret in secrets]
    for what, changed in texts.items():
        others = [text for text in changed if text and text not in secrets]
        if others:
            yield what, verifier, others
    configured = replace(configure(failure.spec, failure.options), options=None)
    form = configured.secret
    for encoding in ("utf8", "base64", "hex"):
        if encoding == form.key_encoding:
            continue
        what = "taken as text, not decoded" if encoding == "utf8" else f"decoded as {encoding}"
        try:
            other = compile_verifier(replace(configured, secret=replace(form, key_encoding=encoding)))
        except (InvalidProvider, ValueError):
            continue
        yield what, other, list(secrets)
        bare = [secret.removeprefix(form.prefix) for secret in secrets]
        if encoding == "utf8" and form.prefix:
            yield f"{what}, without its `{form.prefix}`", other, bare


def _covers(failure: Failure, name: str) -> bool:
    signatures = configure(failure.spec, failure.options).signatures
    return any(signature.covers(Slot(name, "")) for signature in signatures)


def _altered(request: SignedRequest, *, url: str | None = None, body: bytes | None = None) -> SignedRequest:
    # Made anew: a request may remember what it has read of its body.
    return SignedRequest(
        request.method,
        request.url if url is None else url,
        request.headers,
        request.body if body is None else body,
        request.documents,
    )


def _looks_like(failure: Failure) -> str:
    """Which other variants or providers sign with a header that is there."""
    headers, spec = failure.request.headers, failure.spec
    for name, variant in spec.variants.items():
        for header in _headers_of(variant):
            if _carries(headers, header):
                return f"; the request carries `{header}`: this looks like the variant `{name}`"
    for header, names in _providers_by_header().items():
        if _carries(headers, header) and spec.name not in names:
            return f"; the request carries `{header}`: this looks like {' or '.join(names[:MOST_NAMED_PROVIDERS])}"
    return ""


def _carries(headers: Mapping[bytes, bytes], header: str) -> bool:
    key = header.lower().encode()
    if key.endswith(b"*"):
        return any(name.startswith(key[:-1]) for name in headers)
    return key in headers


@cache
def _providers_by_header() -> Mapping[str, list[str]]:
    """The headers that carry proofs, in one spelling each, with the providers that use them."""
    spellings: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for name in provider_names():
        for header in _headers_of(get_provider(name)):
            if header.lower() not in _OF_ANYBODY:
                spelling = spellings.setdefault(header.lower(), header)
                names = found.setdefault(spelling, [])
                if name not in names:
                    names.append(name)
    return found


def _headers_of(spec: ProviderSpec) -> list[str]:
    named = (getattr(signature, "header", None) for signature in spec.signatures)
    return [header for header in named if header]


def _about_clocks(refusal: Refusal) -> str:
    """What a distance in time looks like."""
    match = _SECONDS.search(refusal.detail)
    distance_s = int(match[1]) if match else 0
    if refusal.code is RefusalCode.TIMESTAMP_IN_FUTURE:
        if distance_s > _FIFTEEN_YEARS_S:
            return ": it looks like milliseconds where seconds are expected"
        return ": the server's clock or the sender's is wrong"
    if distance_s > _FIFTEEN_YEARS_S:
        return ": it looks like seconds where milliseconds are expected"
    return ""


def _ago(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // size)
        if count >= 2:
            return f"{count} {unit}s ago"
    return "a minute ago" if seconds >= 60 else "less than a minute ago"
