"""What the engine refuses, and what it says about it."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers import (
    Refusal,
    RefusalCode,
    SignedRequest,
    Verified,
    Verifier,
    compile_verifier,
    generate_secret,
    get_provider,
    issue,
    provider_names,
)
from kanca.providers.schemes.hmac import HmacSignature
from tests.providers.arriving import NOW, arriving, own_spec, sent, sign, signed

STRIPE = get_provider("stripe")
GITHUB = get_provider("github")
STANDARD = get_provider("standardwebhooks")
GENERIC = get_provider("generic")

STRIPE_SECRET = generate_secret(STRIPE)
STANDARD_SECRET = generate_secret(STANDARD)
OLD, CURRENT = "the old secret", "the current secret"

HEX = "0" * 64


def code_of(verdict: object) -> RefusalCode:
    assert isinstance(verdict, Refusal), verdict
    return verdict.code


def signs_any_body(name: str) -> bool:
    """Whether the provider signs whatever the body is, with a secret that both sides have."""
    return all(
        type(signature) is HmacSignature
        and signature.header is not None
        and not signature.body_unsigned
        and not (signature.timestamp and signature.timestamp.body)
        for signature in get_provider(name).signatures
    )


SIGNING = [name for name in provider_names() if signs_any_body(name)]


# --- Changed requests ------------------------------------------------------------------------------------------------


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    body = data.draw(st.binary(min_size=1, max_size=200))
    place = data.draw(st.integers(0, len(body) - 1))
    flipped = bytes([body[place] ^ data.draw(st.integers(1, 255))])
    for name in SIGNING:
        spec = get_provider(name)
        secret = generate_secret(spec)
        request = signed(spec, secret, body)
        verifier = compile_verifier(spec)
        assert isinstance(verifier.verify(request, [secret], NOW), Verified)
        changed = SignedRequest("POST", "", request.headers, body[:place] + flipped + body[place + 1 :])
        assert code_of(verifier.verify(changed, [secret], NOW)) is RefusalCode.SIGNATURE_MISMATCH


@pytest.mark.parametrize("change", [b"", b"x", b" ", b"\x00"])
def test_a_longer_or_shorter_body_is_refused(change: bytes) -> None:
    request = signed(GITHUB, CURRENT, b"body")
    longer = SignedRequest("POST", "", request.headers, b"body" + change if change else b"bod")
    assert code_of(compile_verifier(GITHUB).verify(longer, [CURRENT], NOW)) is RefusalCode.SIGNATURE_MISMATCH


def test_a_changed_id_or_timestamp_is_refused() -> None:
    verifier = compile_verifier(STANDARD)
    later = str(int(NOW) + 1).encode()
    for name, value in ((b"webhook-id", b"msg_2"), (b"webhook-timestamp", later)):
        headers = {**signed(STANDARD, STANDARD_SECRET).headers, name: value}
        verdict = verifier.verify(SignedRequest("POST", "", headers, b"{}"), [STANDARD_SECRET], NOW)
        assert code_of(verdict) is RefusalCode.SIGNATURE_MISMATCH


@pytest.mark.parametrize("place", range(64))
def test_any_changed_digit_of_a_signature_is_refused(place: int) -> None:
    kanca = get_provider("kanca")
    right = signed(kanca, CURRENT).headers[b"x-webhook-signature"].decode()
    digit = "0" if right[place] != "0" else "1"
    changed = arriving({"X-Webhook-Signature": right[:place] + digit + right[place + 1 :]})
    assert code_of(compile_verifier(kanca).verify(changed, [CURRENT], NOW)) is RefusalCode.SIGNATURE_MISMATCH


HEADER_NAMES = [
    b"authorization", b"stripe-signature", b"x-hub-signature-256", b"x-shopify-hmac-sha256", b"x-webhook-signature",
    b"webhook-signature", b"webhook-id", b"webhook-timestamp", b"svix-signature", b"svix-id", b"svix-timestamp",
]  # fmt: skip
GARBAGE = st.binary(max_size=300) | st.sampled_from(
    [
        b"v1=" * 2000,
        b"t=1,v1=" + b"0" * 64,
        b"v1," + b"A" * 43 + b"=",
        b"sha256=" + b"0" * 64,
        b"Bearer ",
        b"bearer x",
    ]
)


@cache
def _verifiers() -> list[tuple[Verifier, str]]:
    """That of every provider, with a secret of its own: some of those are keys that take long to make."""
    specs = [get_provider(name) for name in provider_names()]
    return [(compile_verifier(spec), generate_secret(spec)) for spec in specs]


@given(st.dictionaries(st.sampled_from(HEADER_NAMES), GARBAGE), st.binary(max_size=50))
def test_any_garbage_is_refused_and_never_raises(headers: dict[bytes, bytes], body: bytes) -> None:
    for verifier, secret in _verifiers():
        verdict = verifier.verify(SignedRequest("POST", "", headers, body), [secret], NOW)
        assert isinstance(verdict, Refusal)


# --- What a refusal says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", RefusalCode.SIGNATURE_MALFORMED),
        ("t=1700000000", RefusalCode.SIGNATURE_MALFORMED),
        (f"t=1700000000,v0={HEX}", RefusalCode.SIGNATURE_MALFORMED),
        ("t=1700000000,v1=zz", RefusalCode.SIGNATURE_MALFORMED),
        (f"t=1700000000,v1={HEX[:-2]}", RefusalCode.SIGNATURE_MALFORMED),
        (f"t=1700000000,v1={HEX}00", RefusalCode.SIGNATURE_MALFORMED),
        ("t=1700000000" + f",v1={HEX}" * 11, RefusalCode.SIGNATURE_MALFORMED),
        (f"t=1700000000,v1={HEX}," + "x" * 5000, RefusalCode.SIGNATURE_MALFORMED),
        (f"v1={HEX}", RefusalCode.TIMESTAMP_MISSING),
        (f"t=,v1={HEX}", RefusalCode.TIMESTAMP_MALFORMED),
        (f"t=-1,v1={HEX}", RefusalCode.TIMESTAMP_MALFORMED),
        (f"t=1e9,v1={HEX}", RefusalCode.TIMESTAMP_MALFORMED),
        (f"t=1700000000.0,v1={HEX}", RefusalCode.TIMESTAMP_MALFORMED),
        (f"t=1700000000,v1={HEX}", RefusalCode.SIGNATURE_MISMATCH),
        (f"t=1,v1={HEX}", RefusalCode.SIGNATURE_MISMATCH),
    ],
)
def test_each_fault_of_a_signature_header_has_its_code(header: str, code: RefusalCode) -> None:
    verdict = compile_verifier(STRIPE).verify(arriving({"Stripe-Signature": header}), [STRIPE_SECRET], NOW)
    assert code_of(verdict) is code


def test_a_missing_header_is_named() -> None:
    assert compile_verifier(GITHUB).verify(arriving({}), [CURRENT], NOW) == Refusal(
        RefusalCode.SIGNATURE_MISSING, "no header `X-Hub-Signature-256`"
    )
    assert compile_verifier(STANDARD).verify(arriving({}), [STANDARD_SECRET], NOW) == Refusal(
        RefusalCode.SIGNATURE_MISSING, "no header `webhook-signature` or header `svix-signature`"
    )


def test_the_older_weaker_header_is_never_a_substitute() -> None:
    request = arriving({"X-Hub-Signature": "sha1=0000000000000000000000000000000000000000"})
    assert code_of(compile_verifier(GITHUB).verify(request, [CURRENT], NOW)) is RefusalCode.SIGNATURE_MISSING


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp"])
def test_a_signed_header_that_is_missing_is_named(missing: str) -> None:
    request = signed(STANDARD, STANDARD_SECRET)
    headers = {name: value for name, value in request.headers.items() if name != missing.encode()}
    verdict = compile_verifier(STANDARD).verify(
        SignedRequest("POST", "", headers, b"{}"), [STANDARD_SECRET], NOW
    )
    assert isinstance(verdict, Refusal)
    assert verdict.code in {RefusalCode.SIGNED_HEADER_MISSING, RefusalCode.TIMESTAMP_MISSING}
    assert missing in verdict.detail


def test_an_id_that_could_swallow_the_timestamp_is_refused() -> None:
    signature = sign(STANDARD, None, STANDARD_SECRET, b"1700000000.{}", NOW, "msg_1", "x")[
        "webhook-signature"
    ]
    shifted = {
        "webhook-id": "msg_1.1700000000",
        "webhook-timestamp": "1700000000",
        "webhook-signature": signature,
    }
    verdict = compile_verifier(STANDARD).verify(arriving(shifted), [STANDARD_SECRET], NOW)
    assert code_of(verdict) is RefusalCode.SIGNED_HEADER_MALFORMED


@pytest.mark.parametrize("name", provider_names())
def test_no_detail_shows_a_secret_or_anything_received(name: str) -> None:
    spec = get_provider(name)
    issued = issue(spec)
    right = sent(spec, None, issued.signing, now=NOW)
    secret = issued.checking
    private = [secret, *(max(re.split(r"[=, ]", value), key=len) for value in right.headers.values())]
    garbage = {**right.headers, **dict.fromkeys(right.headers, "garbage")}
    verifier = compile_verifier(spec)
    for headers, secrets, now in [
        (right.headers, [issue(spec).checking], NOW),
        (right.headers, [secret], NOW + 10_000),
        (right.headers, [], NOW),
        (garbage, [secret], NOW),
    ]:
        request = arriving(headers, right.body, url=right.url)
        request.documents = issued.documents
        verdict = verifier.verify(request, secrets, now)
        if isinstance(verdict, Refusal):
            assert not [text for text in (*private, "garbage") if len(text) > 1 and text in verdict.detail]


# --- Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "secret"),
    [("stripe", STRIPE_SECRET), ("standardwebhooks", STANDARD_SECRET)],
    ids=["stripe", "standardwebhooks"],
)
def test_a_right_signature_counts_only_within_the_tolerance(name: str, secret: str) -> None:
    spec = get_provider(name)
    verifier = compile_verifier(spec)
    request = signed(spec, secret)
    for now in (NOW - 300, NOW, NOW + 300):
        assert isinstance(verifier.verify(request, [secret], now), Verified)
    assert verifier.verify(request, [secret], NOW + 412) == Refusal(
        RefusalCode.TIMESTAMP_TOO_OLD, "timestamp is 412 s old, tolerance 300 s"
    )
    assert verifier.verify(request, [secret], NOW - 301) == Refusal(
        RefusalCode.TIMESTAMP_IN_FUTURE, "timestamp is 301 s in the future, tolerance 300 s"
    )


# --- Several secrets and signatures ----------------------------------------------------------------------------------


def test_any_live_secret_proves_a_request_and_is_named_by_its_index() -> None:
    verifier = compile_verifier(GITHUB)
    assert verifier.verify(signed(GITHUB, OLD), [CURRENT, OLD], NOW) == Verified(1)
    assert verifier.verify(signed(GITHUB, CURRENT), [CURRENT, OLD], NOW) == Verified(0)
    assert code_of(verifier.verify(signed(GITHUB, OLD), [CURRENT], NOW)) is RefusalCode.SIGNATURE_MISMATCH


def test_any_signature_of_a_list_proves_a_request() -> None:
    right = signed(STRIPE, STRIPE_SECRET).headers[b"stripe-signature"].decode().rpartition("v1=")[2]
    header = ",".join(["t=1700000000", *[f"v1={HEX}"] * 8, "v1=not-even-hex", f"v1={right}"])
    verdict = compile_verifier(STRIPE).verify(arriving({"Stripe-Signature": header}), [STRIPE_SECRET], NOW)
    assert isinstance(verdict, Verified)


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_without_a_secret_nothing_passes(secrets: list[str]) -> None:
    for spec in (GITHUB, GENERIC):
        empty = arriving({"X-Hub-Signature-256": f"sha256={HEX}", "Authorization": "Bearer "})
        assert code_of(compile_verifier(spec).verify(empty, secrets, NOW)) is RefusalCode.SECRET_MISSING


def test_a_secret_that_is_no_key_is_passed_over() -> None:
    verifier = compile_verifier(STANDARD)
    request = signed(STANDARD, STANDARD_SECRET)
    assert isinstance(verifier.verify(request, ["whsec_!", STANDARD_SECRET], NOW), Verified)
    assert code_of(verifier.verify(request, ["whsec_!"], NOW)) is RefusalCode.SECRET_UNUSABLE


# --- Alternatives ----------------------------------------------------------------------------------------------------


def as_svix(request: SignedRequest) -> dict[bytes, bytes]:
    return {name.replace(b"webhook-", b"svix-"): value for name, value in request.headers.items()}


def test_the_svix_header_names_are_as_good() -> None:
    headers = as_svix(signed(STANDARD, STANDARD_SECRET))
    verdict = compile_verifier(STANDARD).verify(
        SignedRequest("POST", "", headers, b"{}"), [STANDARD_SECRET], NOW
    )
    assert verdict == Verified(0, NOW, b"dlv-1")


def test_when_the_preferred_signature_is_wrong_no_other_is_tried() -> None:
    request = signed(STANDARD, STANDARD_SECRET)
    headers = {**as_svix(request), **request.headers, b"webhook-signature": b"v1," + b"A" * 43 + b"="}
    verdict = compile_verifier(STANDARD).verify(
        SignedRequest("POST", "", headers, b"{}"), [STANDARD_SECRET], NOW
    )
    assert code_of(verdict) is RefusalCode.SIGNATURE_MISMATCH


def test_the_signed_id_is_that_of_the_signature_that_counted() -> None:
    request = signed(STANDARD, STANDARD_SECRET)
    headers = {**as_svix(request), b"webhook-id": b"msg_unsigned"}
    verdict = compile_verifier(STANDARD).verify(
        SignedRequest("POST", "", headers, b"{}"), [STANDARD_SECRET], NOW
    )
    assert verdict == Verified(0, NOW, b"dlv-1")


# --- Tokens, and none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer wht_2", RefusalCode.TOKEN_MISMATCH),
        ("Bearer wht_1 ", RefusalCode.TOKEN_MISMATCH),
        ("Bearer WHT_1", RefusalCode.TOKEN_MISMATCH),
        ("Bearer ", RefusalCode.TOKEN_MISMATCH),
        ("Bearer", RefusalCode.TOKEN_MALFORMED),
        ("Basic wht_1", RefusalCode.TOKEN_MALFORMED),
        ("wht_1", RefusalCode.TOKEN_MALFORMED),
        ("", RefusalCode.TOKEN_MALFORMED),
    ],
)
def test_only_the_whole_token_behind_bearer_passes(header: str, code: RefusalCode) -> None:
    verdict = compile_verifier(GENERIC).verify(arriving({"Authorization": header}), ["wht_1"], NOW)
    assert code_of(verdict) is code


def test_a_token_passes_whatever_the_case_of_bearer() -> None:
    verifier = compile_verifier(GENERIC)
    assert verifier.verify(arriving({"Authorization": "Bearer wht_1"}), ["wht_0", "wht_1"], NOW) == Verified(
        1
    )
    assert verifier.verify(arriving({"Authorization": "bearer wht_1"}), ["wht_1"], NOW) == Verified(0)
    assert code_of(verifier.verify(arriving({}), ["wht_1"], NOW)) is RefusalCode.TOKEN_MISSING


def test_scheme_none_lets_everything_through_and_names_no_secret() -> None:
    verdict = compile_verifier(own_spec({"scheme": "none"})).verify(arriving({}), [], NOW)
    assert verdict == Verified(None, None, None)
