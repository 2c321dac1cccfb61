"""What makes two deliveries the same event, for every provider and variant of the catalogue.

``dedupe`` is ``auto``. What follows depends on the spec: a signature that covers something that tells two deliveries
apart makes a replay the same event, under whatever id it comes. A provider that only shows a token, or nothing, is
believed what it says of itself: whoever has its token needs no replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations

import pytest
from msgspec.structs import replace

from kanca.domain.dedupe import Key
from kanca.domain.endpoint import Secret
from kanca.ingest.prepared import Prepared, prepare
from kanca.ingest.reading import Reading, read_event
from kanca.providers import Catalogue, Draft, SignedRequest, Verified, make_delivery
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.template import Slot, slots_of
from kanca.providers.values import parse_value_template
from tests.ingest.site import endpoint
from tests.providers.arriving import NOW
from tests.providers.spoiling import repeated
from tests.providers.tampering import (
    BODY,
    EVERY_CASE,
    FORM,
    PROVEN,
    URL,
    Case,
    arrived,
    drafted,
    issued_to,
    parts,
    spoiled,
    verdict_on,
)

SIGNED = tuple(case for case in PROVEN if isinstance(case.scheme, SignedContent) or case.scheme.covers(BODY))
TOLD_APART = tuple(case for case in SIGNED if case.spec.delivery_id_signed or case.scheme.covers(BODY))
"""Those that sign something that tells their deliveries apart."""
CONTENT_TYPES = (
    b"",
    b"application/json",
    b"application/octet-stream",
    b"application/x-ndjson",
    b"application/xml",
    b"text/plain",
    b"image/png",
    b"multipart/form-data; boundary=x",
    b"application/json; charset=utf-16",
    FORM,
)
ID_HEADERS = (b"idempotency-key", b"x-request-id", b"webhook-id", b"svix-id", b"x-delivery-id", b"event-id")


@cache
def prepared(case: Case) -> Prepared:
    secrets = [Secret(issued_to(case).checking)]
    return prepare(endpoint(case.provider, secrets, provider_options=case.options or {}), Catalogue())


def taken(case: Case, request: SignedRequest) -> Reading | None:
    """What becomes an event; None for what is refused."""
    verdict = verdict_on(case, request)
    if not isinstance(verdict, Verified):
        return None
    reading = read_event(prepared(case), request, verdict.signed_id)
    return reading if isinstance(reading, Reading) else None


def key_of(case: Case, request: SignedRequest) -> Key | None:
    """What an event is recognised by."""
    reading = taken(case, request)
    assert reading is not None
    return reading.key


def unsigned(case: Case, delivery_id: str, now: float, body: bytes | None = None) -> Draft:
    return make_delivery(case.spec, None, now=now, url=URL, delivery_id=delivery_id, body=body).draft


def signed(case: Case, draft: Draft) -> SignedRequest:
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
    for content_type in CONTENT_TYPES:
        headers = {**request.headers, b"content-type": content_type}
        yield SignedRequest(request.method, request.url, headers, request.body, request.documents)
    joint = "&" if "?" in request.url else "?"
    url = f"{request.url}{joint}id=another"
    yield SignedRequest(request.method, url, request.headers, request.body, request.documents)
    is_form = FORM in request.headers.get(b"content-type", b"")
    body = request.body + (b"&another=1" if is_form else b"\n")
    yield SignedRequest(request.method, request.url, request.headers, body, request.documents)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_the_same_delivery_is_the_same_event_and_another_is_another(case: Case) -> None:
    first, other = unsigned(case, "dlv-0001", NOW), unsigned(case, "dlv-0002", NOW + 1)
    key = key_of(case, signed(case, first))
    assert (key is None) is not has_key(case)
    assert key == key_of(case, signed(case, first))
    # A sample that is encoded in its field says the same every time.
    if key is not None and (first.body, first.headers) != (other.body, other.headers):
        assert key != key_of(case, signed(case, other))


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_a_retry_that_is_signed_anew_is_the_same_event(case: Case) -> None:
    first = unsigned(case, "dlv-0001", NOW - 1)
    retry = signed(case, unsigned(case, "dlv-0001", NOW, first.body))
    assert key_of(case, retry) == key_of(case, signed(case, first))


@pytest.mark.parametrize("case", TOLD_APART, ids=str)
def test_a_captured_delivery_is_no_new_event_under_whatever_id(case: Case) -> None:
    key = key_of(case, arrived(case))
    for request in replayed(case):
        reading = taken(case, request)
        assert reading is None or key is None or reading.key == key, request.headers


@pytest.mark.parametrize("case", TOLD_APART, ids=str)
def test_a_captured_delivery_is_no_new_event_with_a_proof_written_otherwise(case: Case) -> None:
    request, key = arrived(case), key_of(case, arrived(case))
    for part in parts(case):
        for value in (part.value.strip(), part.value.upper(), *repeated(part.value)):
            reading = taken(case, spoiled(request, part, value))
            assert reading is None or reading.key == key, (str(part), value[:100])


@pytest.mark.parametrize("case", TOLD_APART, ids=str)
def test_a_delivery_is_no_new_event_where_one_signed_part_ends_earlier_or_later(case: Case) -> None:
    """Some providers sign fields with nothing between them: ``12`` and ``3`` are signed like ``1`` and ``23``."""
    request, key = arrived(case), key_of(case, arrived(case))
    for one, other in permutations(parts(case), 2):
        for cut in (-1, -2):
            shorter = spoiled(request, one, one.value[:cut])
            changed = spoiled(shorter, other, one.value[cut:] + other.value)
            longer = spoiled(request, other, other.value + one.value[:-cut])
            for shifted in (changed, spoiled(longer, one, one.value[-cut:])):
                reading = taken(case, shifted)
                assert reading is None or reading.key == key, (str(one), str(other))


@pytest.mark.parametrize("case", [case for case in SIGNED if case.scheme.covers(Slot("url", ""))], ids=str)
def test_the_body_cannot_begin_in_a_signed_address(case: Case) -> None:
    request = signed(case, replace(drafted(case), url=f"{URL}?from=there"))
    key, body = key_of(case, request), request.body
    for cut in (1, 2, len(body) // 2, len(body) - 1, len(body)):
        url = request.url + body[:cut].decode()
        for content_type in (request.headers[b"content-type"], *CONTENT_TYPES):
            headers = {**request.headers, b"content-type": content_type}
            moved = SignedRequest(request.method, url, headers, body[cut:], request.documents)
            reading = taken(case, moved)
            assert reading is None or reading.key == key, (cut, content_type)


def test_a_spec_says_so_where_nothing_that_is_signed_tells_deliveries_apart() -> None:
    for case in set(SIGNED) - set(TOLD_APART):
        assert not case.spec.delivery_id or any("signed" in note for note in case.spec.notes), str(case)
