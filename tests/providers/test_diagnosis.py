"""What the operator is told of a proof that failed."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers import (
    ProviderSpec,
    Refusal,
    RefusalCode,
    SignedRequest,
    compile_verifier,
    get_provider,
    parse_spec,
    provider_names,
)
from kanca.providers.diagnosis import Failure, diagnose
from tests.providers.arriving import NOW, arriving, own_spec, signed

SECRET = "a-secret-of-the-sender"
OWN = own_spec({"header": "X-Own", "signed_content": "{body}"})
BY_URL = own_spec({"header": "X-Own", "signed_content": "{url}{body}"})


def _diagnosed(
    spec: ProviderSpec,
    request: SignedRequest,
    *secrets: str,
    expired: Sequence[tuple[str, float]] = (),
    options: Any = None,
    now: float = NOW,
) -> str:
    refusal = compile_verifier(spec, options).verify(request, secrets, now)
    assert isinstance(refusal, Refusal)
    return diagnose(Failure(spec, options, request, secrets, expired, now, refusal))


def _by_variant() -> ProviderSpec:
    described = {"name": "own", "title": "Own", "summary": "", "label": "confirmed", "source": "our wiki"}
    signatures = [{"scheme": "hmac", "header": "X-Own"}]
    other = {"signatures": [{"scheme": "hmac", "header": "X-Own-V2"}]}
    return parse_spec({**described, "signatures": signatures, "variants": {"second": other}})


def _with_body(request: SignedRequest, body: bytes) -> SignedRequest:
    return SignedRequest(request.method, request.url, request.headers, body)


def test_a_secret_that_was_rotated_out_is_recognised() -> None:
    request = signed(OWN, SECRET)
    for seconds, ago in (
        (5, "less than a minute"),
        (60, "a minute"),
        (3600, "60 minutes"),
        (5 * 86400, "5 days"),
    ):
        told = _diagnosed(OWN, request, "new-secret", expired=[("older", 0), (SECRET, NOW - seconds)])
        assert told == f"signed with a secret that was rotated out {ago} ago"


def test_a_token_that_was_rotated_out_is_recognised() -> None:
    spec = get_provider("generic")
    request = arriving({"Authorization": f"Bearer {SECRET}"})
    told = _diagnosed(spec, request, "new-token", expired=[(SECRET, NOW - 7200)])
    assert told == "the token was rotated out 2 hours ago"


@pytest.mark.parametrize(
    ("sender_has", "endpoint_has", "what"),
    [
        (SECRET, f" {SECRET}", "without the blanks around it"),
        (f"{SECRET}\n", SECRET, "with a line's end behind it"),
        (f"{SECRET} ", SECRET, "with a blank behind it"),
        ("whsec_" + SECRET, SECRET, "with `whsec_` before it"),
        (SECRET, "whsec_" + SECRET, "without its `whsec_`"),
    ],
)
def test_a_secret_that_was_pasted_wrongly_is_recognised(
    sender_has: str, endpoint_has: str, what: str
) -> None:
    spec = get_provider("stripe")
    told = _diagnosed(spec, signed(spec, sender_has), endpoint_has)
    assert told.startswith(f"the signature fits the secret {what}")


@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_a_key_that_is_decoded_by_one_side_only_is_recognised(encoding: str) -> None:
    text = SECRET.encode().hex() if encoding == "hex" else b64encode(SECRET.encode()).decode()
    decoding = own_spec({"header": "X-Own"}, secret={"key_encoding": encoding, "prefix": "sk_"})
    reading = own_spec({"header": "X-Own"}, secret={"prefix": "sk_"})
    assert (
        _diagnosed(reading, signed(decoding, "sk_" + text), "sk_" + text)
        == f"the signature fits the secret decoded as {encoding}"
    )
    assert (
        _diagnosed(decoding, signed(reading, "sk_" + text), "sk_" + text)
        == "the signature fits the secret taken as text, not decoded"
    )
    assert (
        _diagnosed(decoding, signed(reading, text), "sk_" + text)
        == "the signature fits the secret taken as text, not decoded, without its `sk_`"
    )


def test_a_key_is_tried_in_other_encodings_whatever_the_options() -> None:
    spec = get_provider("hmac")
    text = b64encode(SECRET.encode()).decode()
    request = arriving({"X-Own": "0" * 64})
    decoding = own_spec({"header": "X-Own"}, secret={"key_encoding": "base64"})
    request = signed(decoding, text)
    told = _diagnosed(spec, request, text, options={"header": "X-Own"})
    assert told == "the signature fits the secret decoded as base64"


DOCUMENT = {"id": "ç-1", "amount": 12, "at": "a/b", "lines": [{"n": 1}]}


@pytest.mark.parametrize(
    ("was_signed", "arrived", "what"),
    [
        (b"{}", b"{}\n", "without the blanks at its end"),
        (b"{}\n", b"{}", "with a line's end behind it"),
        (b"{\r\n}", b"{\n}", "with CRLF for LF"),
        (b"{\n}", b"{\r\n}", "with LF for CRLF"),
        (b"{}", b"\xef\xbb\xbf{}", "without its byte order mark"),
        (b"", b"{}", "empty body"),
        (json.dumps(DOCUMENT), json.dumps(DOCUMENT, separators=(",", ":")), "as JSON with blanks"),
        (json.dumps(DOCUMENT, separators=(",", ":")), json.dumps(DOCUMENT), "as JSON without blanks"),
        (json.dumps(DOCUMENT, ensure_ascii=False), json.dumps(DOCUMENT), "as JSON with blanks"),
        (json.dumps(DOCUMENT), json.dumps(DOCUMENT, ensure_ascii=False), "as JSON with blanks, in ASCII"),
        (json.dumps(DOCUMENT, indent=2, ensure_ascii=False), json.dumps(DOCUMENT), "as JSON indented by 2"),
        (
            json.dumps(DOCUMENT, separators=(",", ":")).replace("/", "\\/"),
            json.dumps(DOCUMENT, separators=(",", ":")),
            "with escaped slashes",
        ),
        (json.dumps(DOCUMENT, sort_keys=True, ensure_ascii=False), json.dumps(DOCUMENT), "its keys sorted"),
    ],
)
def test_a_body_that_was_rewritten_on_its_way_is_recognised(
    was_signed: str | bytes, arrived: str | bytes, what: str
) -> None:
    was, now_is = (each.encode() if isinstance(each, str) else each for each in (was_signed, arrived))
    told = _diagnosed(OWN, _with_body(signed(OWN, SECRET, was), now_is), "another", SECRET)
    assert told.startswith("the body differs from what was signed: ")
    assert what in told
    assert ("re-serialised by a proxy or framework" in told) == ("JSON" in told)


@pytest.mark.parametrize(
    ("was_signed", "arrived", "headers", "what"),
    [
        ("https://a.test/x?q=1", "http://a.test/x?q=1", {}, "with https for http"),
        ("http://a.test/x", "https://a.test/x", {}, "with http for https"),
        ("https://a.test/x/", "https://a.test/x", {}, "with a slash at its end"),
        ("https://a.test/x", "https://a.test/x/", {}, "without the slash at its end"),
        ("https://a.test/x", "https://a.test/x?q=1", {}, "without its query"),
        ("https://a.test/x", "https://a.test:8443/x", {}, "without its port"),
        (
            "https://b.test/x",
            "http://a.test/x",
            {"X-Forwarded-Host": "b.test, c.test"},
            "of X-Forwarded-Host",
        ),
    ],
)
def test_another_public_url_is_recognised(
    was_signed: str, arrived: str, headers: dict[str, str], what: str
) -> None:
    theirs = arriving({}, url=was_signed)
    content = theirs.url.encode() + theirs.body
    plain = signed(OWN, SECRET, content).headers
    request = SignedRequest("POST", arrived, {**plain, **arriving(headers).headers}, theirs.body)
    told = _diagnosed(BY_URL, request, SECRET)
    assert told.startswith("the signature fits the URL ")
    assert what in told
    assert told.endswith(": set KANCA_PUBLIC_URL to the address that the sender has")
    assert ".test" not in told


def test_what_fits_nothing_is_told_with_the_facts() -> None:
    request = _with_body(signed(OWN, "nobody knows"), b"[1]")
    told = _diagnosed(OWN, request, SECRET, "another", expired=[("older", 0)])
    assert told == (
        "signatures: 1, secrets: 2, and none fits any: "
        "the secret is another one, or the request was changed on its way; body: 3 bytes"
    )


def test_a_request_of_another_provider_is_recognised() -> None:
    several = _diagnosed(OWN, arriving({"X-DocuSign-Signature-2": "x"}), SECRET)
    assert several.endswith("; the request carries `X-DocuSign-Signature-*`: this looks like docusign")
    request = arriving({"X-Hub-Signature-256": "sha256=" + "0" * 64})
    told = _diagnosed(get_provider("stripe"), request, SECRET)
    assert "the request carries `X-Hub-Signature-256`: this looks like " in told
    assert "github" in told
    assert "looks like" not in _diagnosed(OWN, arriving({"Authorization": "Basic x", "X-Else": "1"}), SECRET)


def test_a_request_of_another_variant_is_recognised() -> None:
    told = _diagnosed(_by_variant(), arriving({"X-Own-V2": "0" * 64}), SECRET)
    assert told.endswith("; the request carries `X-Own-V2`: this looks like the variant `second`")


def test_clocks_are_told_apart_from_units() -> None:
    stripe = get_provider("stripe")
    request = signed(stripe, SECRET)
    told = [
        _diagnosed(stripe, request, SECRET, now=now) for now in (NOW + 412, NOW - 900, NOW / 1000, NOW * 1000)
    ]
    assert told[0] == "timestamp is 412 s old, tolerance 300 s"
    assert told[1] == (
        "timestamp is 900 s in the future, tolerance 300 s: the server's clock or the sender's is wrong"
    )
    assert told[2].endswith(": it looks like milliseconds where seconds are expected")
    assert told[3].endswith(": it looks like seconds where milliseconds are expected")


def test_other_refusals_say_what_they_say() -> None:
    refusal = Refusal(RefusalCode.SECRET_MISSING, "the endpoint has no secret")
    assert diagnose(Failure(OWN, None, arriving({}), (), (), NOW, refusal)) == refusal.detail


@pytest.mark.parametrize("size", [32_000, 1_000_000])
def test_a_diagnosis_takes_only_so_long(size: int) -> None:
    body = b"[" + b"1.5," * (size // 4) + b"1]"
    request = _with_body(signed(OWN, "nobody knows"), body)
    began = time.process_time()
    _diagnosed(OWN, request, *(f"{SECRET}-{n}" for n in range(5)), expired=[("older", 0)])
    assert time.process_time() - began < 0.5


def test_deeply_nested_and_huge_numbers_are_no_trouble() -> None:
    for body in (b"[" * 50_000, b"[" * 900 + b"]" * 900, b"1" * 50_000, b"1e999", b"NaN", b'"\\ud800"'):
        assert "none fits" in _diagnosed(OWN, _with_body(signed(OWN, "nobody knows"), body), SECRET)


MARK = "zQ7mark"
_texts = st.text(max_size=30).map(lambda text: f"{text}{MARK}{text}")
_headers = st.dictionaries(
    st.sampled_from(
        [
            b"x-own",
            b"stripe-signature",
            b"x-hub-signature-256",
            b"webhook-id",
            b"webhook-timestamp",
            b"webhook-signature",
            b"x-forwarded-host",
            b"authorization",
            b"x-docusign-signature-1",
        ]
    ),
    st.one_of(
        _texts,
        st.just("0" * 64),
        st.just("sha256=" + "0" * 64),
        st.just(f"t={int(NOW)},v1={'0' * 64}"),
        st.just(f"v1,{'A' * 43}="),
        st.just(str(int(NOW))),
        st.just(f"Bearer {MARK}"),
    ).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
_bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | _texts,
        lambda children: st.lists(children, max_size=3) | st.dictionaries(_texts, children, max_size=3),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode()),
)
_urls = st.one_of(
    _texts, st.sampled_from(["https://[", "http://a:99999/x", f"https://{MARK}.test/{MARK}?{MARK}"])
)


@given(
    spec=st.sampled_from([OWN, BY_URL, *map(get_provider, provider_names())]),
    headers=_headers,
    body=_bodies,
    url=_urls,
    secrets=st.lists(_texts, max_size=3),
    expired=st.lists(st.tuples(_texts, st.floats(0, 2e9)), max_size=2),
    now=st.floats(0, 4e9),
    code=st.none() | st.sampled_from(RefusalCode),
)
def test_a_diagnosis_never_raises_and_quotes_neither_secrets_nor_callers(
    spec: ProviderSpec,
    headers: dict[bytes, bytes],
    body: bytes,
    url: str,
    secrets: list[str],
    expired: list[tuple[str, float]],
    now: float,
    code: RefusalCode | None,
) -> None:
    request = SignedRequest("POST", url, headers, body)
    verdict = compile_verifier(spec).verify(request, secrets, now)
    if code is not None:
        verdict = Refusal(code, "something")
    if isinstance(verdict, Refusal):
        told = diagnose(Failure(spec, None, request, secrets, expired, now, verdict))
        assert told
        assert MARK not in told
        assert len(told) < 500
