"""Answers with their status and headers, around bodies made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from kanca.ingest.prepared import Prepared
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Answer, Said

Pair = tuple[bytes, bytes]

_JSON: Pair = (b"content-type", b"application/json")
_PROBLEM: Pair = (b"content-type", b"application/problem+json")
_ANY_ORIGIN: Pair = (b"access-control-allow-origin", b"*")
_EXPOSED: Pair = (
    b"access-control-expose-headers",
    b"retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset",
)
_VARY: Pair = (b"vary", b"origin")
_MOST_ECHOED = 1024
_PREFLIGHT_LASTS_S = b"600"


def as_json(body: bytes) -> Said:
    """200, and the body as JSON."""
    return Said(200, (_JSON, (b"content-length", b"%d" % len(body))), body)


def as_problem(refusal: Refusal) -> Said:
    """The problem, as the answer to what was accepted all the same."""
    body = refusal.problem()
    return Said(refusal.rule.status, (_PROBLEM, (b"content-length", b"%d" % len(body))), body)


def success(said: Said, endpoint: Prepared, headers: Mapping[bytes, bytes]) -> Answer:
    """The answer to what was accepted, or had been before."""
    pairs = list(said.headers)
    pairs += _for_page(endpoint, headers)
    return Answer(said.status, pairs, said.body)


def problem(
    refusal: Refusal,
    endpoint: Prepared | None,
    headers: Mapping[bytes, bytes],
    *,
    ends_connection: bool = False,
) -> Answer:
    """The answer to what was refused; ``endpoint`` is None where there is none."""
    status, _, _, retry_after_s = refusal.rule
    is_empty = status == 401 and endpoint is not None and endpoint.refused_is_empty
    body = b"" if is_empty else refusal.problem()
    pairs = [(b"content-length", b"%d" % len(body)), *refusal.headers]
    if body:
        pairs.append(_PROBLEM)
    if retry_after_s is not None:
        pairs.append((b"retry-after", b"%d" % retry_after_s))
    if endpoint is not None:
        if status == 401:
            pairs.append((b"www-authenticate", endpoint.challenge))
        if status == 405:
            pairs.append((b"allow", allowed_methods(endpoint)))
        pairs += _for_page(endpoint, headers, _EXPOSED)
    return Answer(status, pairs, body, ends_connection)


def preflight(endpoint: Prepared, headers: Mapping[bytes, bytes]) -> Answer:
    """The answer to a browser that asks whether a page may send (Fetch standard, CORS protocol)."""
    asked = headers.get(b"access-control-request-headers", b"")[:_MOST_ECHOED]
    methods = allowed_methods(endpoint)
    granted = (
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", asked or b"*"),
        (b"access-control-max-age", _PREFLIGHT_LASTS_S),
    )
    return Answer(204, [*_for_page(endpoint, headers, *granted), (b"allow", methods)], b"")


def allowed_methods(endpoint: Prepared) -> bytes:
    """What ``Allow`` says."""
    extra = ("OPTIONS",) if endpoint.has_cors else ()
    asked_by = sorted(endpoint.handshakes.methods) if endpoint.handshakes else ()
    return ", ".join(dict.fromkeys((*endpoint.allowed_methods, *asked_by, *extra))).encode()


def _for_page(endpoint: Prepared, headers: Mapping[bytes, bytes], *more: Pair) -> list[Pair]:
    """What lets a page see the answer, and ``more`` for it; nothing where it is not an origin of the endpoint's.

    ``Vary`` also stands where nothing is granted, so that no cache gives one origin what was meant for another.
    """
    if not endpoint.has_cors:
        return []
    origin = headers.get(b"origin")
    if endpoint.cors_origins is None:
        return [_ANY_ORIGIN, *more] if origin is not None else []
    if origin not in endpoint.cors_origins:
        return [_VARY]
    return [_VARY, (b"access-control-allow-origin", origin), *more]
