"""What comes of deliveries that somebody changed on their way, for every provider and variant of the catalogue.

Each begins as a sample that the provider signs and that is accepted as it is. What must be refused follows from the
spec: a scheme that covers the body refuses any other body, and every header or field that signing wrote, or that is
signed with it, counts to the bit.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kanca.domain.endpoint import Secret
from kanca.ingest.prepared import prepare
from kanca.providers import Catalogue, KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.template import Slot
from kanca.providers.timestamps import Timestamp
from tests.ingest.site import endpoint
from tests.providers.arriving import NOW
from tests.providers.spoiling import flipped, flips, mangled, repeated
from tests.providers.tampering import (
    BODY,
    BODY_SIGNED,
    EVERY_CASE,
    FORM,
    PROVEN,
    TIMED,
    URL,
    Case,
    arrived,
    issued_to,
    parts,
    sent_by,
    spoiled,
    verdict_on,
    verifier_of,
)

every_case = pytest.mark.parametrize("case", EVERY_CASE, ids=str)
every_proven = pytest.mark.parametrize("case", PROVEN, ids=str)


def is_refused(verdict: Verdict) -> bool:
    """Refused, or waiting for another document than those at hand: nothing came of it."""
    return isinstance(verdict, Refusal | KeyNeeded)


def with_body(request: SignedRequest, body: bytes) -> SignedRequest:
    return SignedRequest(request.method, request.url, request.headers, body, request.documents)


# --- As it was sent --------------------------------------------------------------------------------------------------


@every_case
def test_a_delivery_is_accepted_as_it_was_signed(case: Case) -> None:
    assert isinstance(verdict_on(case, arrived(case)), Verified)


@every_proven
def test_every_proof_is_in_some_part_of_the_request(case: Case) -> None:
    assert any(part.is_proof for part in parts(case)) or not isinstance(case.scheme, SignedContent)
    assert parts(case)


# --- The body --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", BODY_SIGNED, ids=str)
def test_one_flipped_bit_of_a_signed_body_is_refused(case: Case) -> None:
    request = arrived(case)
    for changed in flips(request.body):
        assert is_refused(verdict_on(case, with_body(request, changed))), changed


@pytest.mark.parametrize("case", BODY_SIGNED, ids=str)
def test_a_signed_body_cut_short_or_continued_is_refused(case: Case) -> None:
    request = arrived(case)
    body = request.body
    changes = [b"", body[:-1], body + b"\x00", b" " + body, body + b"&another=1", body + body]
    # Where the fields of a form are signed, and not their bytes, a line's end says nothing.
    changes += [body + b"\n"] if case.scheme.covers(Slot("body_sha256", "")) else []
    for changed in changes:
        assert is_refused(verdict_on(case, with_body(request, changed))), changed


@pytest.mark.parametrize("case", [case for case in EVERY_CASE if not case.scheme.covers(BODY)], ids=str)
def test_only_a_body_that_is_not_signed_can_be_continued(case: Case) -> None:
    request = arrived(case)
    is_form = request.headers.get(b"content-type", b"").startswith(FORM)
    continued = with_body(request, request.body + (b"&another=1" if is_form else b"\n"))
    assert isinstance(verdict_on(case, continued), Verified)


# --- Headers and fields ----------------------------------------------------------------------------------------------


@every_proven
def test_one_flipped_bit_of_any_part_of_a_proof_is_refused(case: Case) -> None:
    request = arrived(case)
    for part in parts(case):
        for value in flips(part.value):
            assert is_refused(verdict_on(case, spoiled(request, part, value))), (str(part), value)


@every_proven
def test_a_part_of_a_proof_that_is_cut_gone_too_long_or_foreign_is_refused(case: Case) -> None:
    request = arrived(case)
    for part in parts(case):
        for value in mangled(part.value):
            if value is None or value.strip() != part.value.strip():
                verdict = verdict_on(case, spoiled(request, part, value))
                assert is_refused(verdict), (str(part), (value or b"")[:100])


@every_proven
def test_a_proof_that_comes_twice_is_right_only_in_a_list(case: Case) -> None:
    request = arrived(case)
    for part in parts(case):
        is_list = part.is_proof and bool(getattr(case.scheme, "separator", ""))
        for value in repeated(part.value):
            verdict = verdict_on(case, spoiled(request, part, value))
            is_same = part.place == "header" and value.strip(b" \t") == part.value  # RFC 9110, 5.5
            assert is_list or is_same or is_refused(verdict), (str(part), value[:100])


@every_proven
def test_a_signed_method_or_address_cannot_be_another(case: Case) -> None:
    request = arrived(case)
    covered = {name for name in ("method", "url", "url_unescaped") if case.scheme.covers(Slot(name, ""))}
    methods = {"GET", "PUT", "post", ""} if "method" in covered else set()
    others = {request.url + "x", request.url.replace("https", "http"), URL + "/", "", "https://[", "\udcff"}
    others |= {flipped(request.url.encode(), place, 1).decode() for place in range(8, len(URL), 5)}
    urls = others if covered - {"method"} else set()
    for method, url in [(name, request.url) for name in methods] + [(request.method, url) for url in urls]:
        changed = SignedRequest(method, url, request.headers, request.body, request.documents)
        assert is_refused(verdict_on(case, changed)), (method, url)


# --- Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "timestamp"), TIMED, ids=[str(case) for case, _ in TIMED])
def test_a_signed_time_counts_within_its_tolerance_and_no_longer(case: Case, timestamp: Timestamp) -> None:
    oldest, newest = NOW - timestamp.max_age_seconds, NOW + timestamp.max_ahead_seconds
    for signed_at in (oldest, newest):
        assert isinstance(verdict_on(case, arrived(case, signed_at)), Verified)
    late = verdict_on(case, arrived(case, oldest - 1))
    assert isinstance(late, Refusal)
    assert late.code is RefusalCode.TIMESTAMP_TOO_OLD
    early = verdict_on(case, arrived(case, newest + 1))
    assert isinstance(early, Refusal)
    assert early.code is RefusalCode.TIMESTAMP_IN_FUTURE


# --- Secrets, and others' deliveries ---------------------------------------------------------------------------------


@every_proven
def test_a_proof_made_with_another_secret_is_refused(case: Case) -> None:
    other = issued_to(case, 1)
    request = arrived(case)
    for secrets in (
        [other.checking],
        [],
        [""],
        ["", ""],
        ["\x00"],
        ["ğ"],
        [":"],
        [issued_to(case).checking[2:]],
    ):
        assert isinstance(verifier_of(case).verify(request, secrets, NOW), Refusal), secrets


@every_proven
def test_either_of_two_live_secrets_proves_a_delivery(case: Case) -> None:
    own, other = issued_to(case).checking, issued_to(case, 1).checking
    verifier = verifier_of(case)
    for secrets in ([own, other], [other, own], ["", other, own]):
        verdict = verifier.verify(arrived(case), secrets, NOW)
        assert isinstance(verdict, Verified)
        assert verdict.secret_index == secrets.index(own)


@every_proven
def test_the_previous_secret_proves_a_delivery_until_its_end(case: Case) -> None:
    end = datetime.fromtimestamp(NOW + 2, UTC)
    secrets = [Secret(issued_to(case, 1).checking), Secret(issued_to(case).checking, end)]
    prepared = prepare(endpoint(case.provider, secrets, provider_options=case.options or {}), Catalogue())
    for now, is_live in ((NOW, True), (NOW + 1, True), (NOW + 2, False), (NOW + 3, False)):
        verdict = prepared.verifier.verify(arrived(case), prepared.secrets(now), now)
        assert isinstance(verdict, Verified if is_live else Refusal), now


@every_proven
def test_a_delivery_of_another_provider_is_refused(case: Case) -> None:
    for other in EVERY_CASE:
        if other.provider != case.provider:
            request = sent_by(other).request()
            request.documents = {**issued_to(other).documents, **issued_to(case).documents}
            assert is_refused(verdict_on(case, request)), str(other)


def test_only_what_says_openly_that_it_proves_nothing_needs_no_proof() -> None:
    for case in EVERY_CASE:
        request = arrived(case)
        bare = SignedRequest(request.method, URL, {}, b"", request.documents)
        assert is_refused(verdict_on(case, bare)) is not isinstance(case.scheme, Unsigned), str(case)
