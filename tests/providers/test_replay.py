"""What makes two deliveries the same event, for every provider and variant of the catalogue.

``dedupe`` is ``auto``. What follows depends on the spec: a signature that covers something that tells two deliveries
apart makes a replay the same event, under whatever id it comes. A provider that only shows a token, or nothing, is
believed what it says of itself: whoever has its token needs no replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from kanca.domain.endpoint import Secret
from kanca.ingest.dedupe import Key
from kanca.ingest.prepared import Prepared, prepare
from kanca.ingest.reading import Reading, read_event
from kanca.providers import Catalogue, SignedRequest, Verified, make_delivery
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.template import Slot, slots_of
from kanca.providers.values import parse_value_template
from tests.ingest.site import endpoint
from tests.providers.arriving import NOW
from tests.providers.tampering import (
    BODY,
    EVERY_CASE,
    FORM,
    PROVEN,
    URL,
    Case,
    arrived,
    issued_to,
    verdict_on,
)

SIGNED = tuple(case for case in PROVEN if isinstance(case.scheme, SignedContent))
ID_HEADERS = (b"idempotency-key", b"x-request-id", b"webhook-id", b"svix-id", b"x-delivery-id", b"event-id")


@cache
def prepared(case: Case) -> Prepared:
    secrets = [Secret(issued_to(case).checking)]
    return prepare(endpoint(case.provider, secrets, provider_options=case.options or {}), Catalogue())


def key_of(case: Case, request: SignedRequest) -> Key | None:
    """What a delivery is recognised by, once it has been accepted."""
    verdict = verdict_on(case, request)
    assert isinstance(verdict, Verified)
    reading = read_event(prepared(case), request, verdict.signed_id)
    assert isinstance(reading, Reading)
    return reading.key


def delivery(case: Case, delivery_id: str, now: float, body: bytes | None = None) -> SignedRequest:
    """A delivery, signed at ``now``."""
    draft = make_delivery(case.spec, None, now=now, url=URL, delivery_id=delivery_id, body=body).draft
    request = case.scheme.sign(case.spec.secret, issued_to(case).signing, draft).request()
    request.documents = issued_to(case).documents
    return request


def has_key(case: Case) -> bool:
    """A provider's deliveries have a key where its spec says where an id is, or the body is Kanca's envelope."""
    return bool(case.spec.delivery_id) or b'"event_id"' in arrived(case).body


def says_what_it_is(case: Case, header: str) -> bool:
    """Whether the event type is in this header: one order comes under several topics, and they are not the same."""
    templates = [slots_of(parse_value_template(text)) for text in case.spec.event_type]
    return any(Slot("header", header) in slots for slots in templates)


def replayed(case: Case) -> Iterator[SignedRequest]:
    """The captured delivery, each time with something else in it that the signature does not cover."""
    request = arrived(case)
    for name in {*request.headers, *ID_HEADERS}:
        if name != b"content-type" and not says_what_it_is(case, name.decode()):
            headers = {**request.headers, name: b"f0e1d2c3-another"}
            yield SignedRequest(request.method, request.url, headers, request.body, request.documents)
    joint = "&" if "?" in request.url else "?"
    url = f"{request.url}{joint}id=another"
    yield SignedRequest(request.method, url, request.headers, request.body, request.documents)
    is_form = FORM in request.headers.get(b"content-type", b"")
    body = request.body + (b"&another=1" if is_form else b"\n")
    yield SignedRequest(request.method, request.url, request.headers, body, request.documents)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_the_same_delivery_is_the_same_event_and_another_is_another(case: Case) -> None:
    first = delivery(case, "dlv-0001", NOW)
    again = delivery(case, "dlv-0001", NOW)
    other = delivery(case, "dlv-0002", NOW + 1)
    assert key_of(case, first) == key_of(case, again)
    assert (key_of(case, first) is None) is not has_key(case)
    assert key_of(case, first) != key_of(case, other) or not has_key(case)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_a_retry_that_is_signed_anew_is_the_same_event(case: Case) -> None:
    first = delivery(case, "dlv-0001", NOW - 1)
    body = make_delivery(case.spec, None, now=NOW - 1, url=URL, delivery_id="dlv-0001").draft.body
    assert key_of(case, delivery(case, "dlv-0001", NOW, body)) == key_of(case, first)


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_a_captured_delivery_is_no_new_event_under_whatever_id(case: Case) -> None:
    key = key_of(case, arrived(case))
    accepted = [request for request in replayed(case) if isinstance(verdict_on(case, request), Verified)]
    assert accepted
    if key is not None:
        assert [key_of(case, request) for request in accepted] == [key] * len(accepted)


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_a_signed_provider_has_a_key_of_what_is_signed(case: Case) -> None:
    """Or none, openly: then its spec has no ``delivery_id``."""
    spec = case.spec
    assert not spec.delivery_id or spec.delivery_id_signed or case.scheme.covers(BODY)
