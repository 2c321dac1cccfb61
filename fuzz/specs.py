"""Provider specs as somebody writes them: any JSON is a spec or is refused, and a spec works."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from fuzz.target import Target
from kanca.bodies import Unreadable, read_json
from kanca.errors import KancaError
from kanca.providers import (
    compile_extractor,
    compile_handshakes,
    compile_verifier,
    get_provider,
    issue,
    make_delivery,
    parse_spec,
    provider_names,
    sign,
)
from tests.ingest.site import NOON

NOW = NOON.timestamp()


def check(data: bytes) -> None:
    """What is a spec can be compiled; what it signs, it can judge."""
    try:
        values = read_json(data)
    except Unreadable:
        return
    if isinstance(values, dict):
        check_spec(values)


def check_spec(values: dict[str, Any]) -> None:
    """Refuse it, or compile it, sign with it and verify that."""
    try:
        spec = parse_spec(values)
        verifier, extractor = compile_verifier(spec), compile_extractor(spec)
        compile_handshakes(spec, None, verifier)
        issued = issue(spec)
        delivery = make_delivery(spec, None, now=NOW, url="https://hooks.example.com/webhooks/own")
        request = sign(spec, None, issued.signing, delivery.draft).request()
    except KancaError:
        return
    request.documents = issued.documents
    verifier.verify(request, [issued.checking], NOW)
    extractor.extract(request.headers, request.document(), None, request.body)


def seeds() -> Iterable[bytes]:
    """The catalogue, as JSON."""
    for name in provider_names():
        values = msgspec.to_builtins(get_provider(name))
        yield json.dumps(values).encode()


TARGET = Target(
    check, seeds, (b"{body", b"{header:", b"{timestamp}", b"{signature}", b"{id}", b'"scheme"', b'"hmac"')
)
