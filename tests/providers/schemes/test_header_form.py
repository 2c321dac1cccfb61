from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers.schemes.header_form import MAX_HEADER_BYTES, MAX_SIGNATURES, Claim, HeaderForm
from kanca.providers.verdict import Refusal, RefusalCode

STRIPE = HeaderForm("t={timestamp},v1={signature}", ",")
STANDARD = HeaderForm("v1,{signature}", " ")
GITHUB = HeaderForm("sha256={signature}", "")


@pytest.mark.parametrize(
    ("form", "value", "signatures", "timestamp"),
    [
        (STRIPE, b"t=12,v1=aa,v1=bb,v0=cc", [b"aa", b"bb"], b"12"),
        (STRIPE, b"v1=aa, t=12", [b"aa"], b"12"),
        (STRIPE, b"v1=aa", [b"aa"], None),
        (STANDARD, b"v1,aa v1a,bb v1,cc v2,dd", [b"aa", b"cc"], None),
        (GITHUB, b"sha256=aa", [b"aa"], None),
        (HeaderForm("{signature}", ""), b"aa,bb", [b"aa,bb"], None),
        (
            HeaderForm("ts={timestamp};h1={signature}", ";"),
            b"ts=1;h1=dummy;h1=aa;x=y",
            [b"dummy", b"aa"],
            b"1",
        ),
        (HeaderForm("HMAC {signature}", ""), b"HMAC aa", [b"aa"], None),
    ],
)
def test_a_header_is_read_by_its_form(
    form: HeaderForm, value: bytes, signatures: list[bytes], timestamp: bytes | None
) -> None:
    assert form.read(value) == Claim(signatures, timestamp)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (STRIPE, b""),
        (STRIPE, b"t=12"),
        (STRIPE, b"t=12,v0=aa"),
        (STRIPE, b"t=12,t=13,v1=aa"),
        (STANDARD, b"v1a,aa"),
        (STANDARD, b" ".join([b"v1,aa"] * (MAX_SIGNATURES + 1))),
        (GITHUB, b"sha1=aa"),
        (GITHUB, b"SHA256=aa"),
        (GITHUB, b"sha256=" + b"a" * MAX_HEADER_BYTES),
    ],
)
def test_a_header_of_another_form_is_malformed(form: HeaderForm, value: bytes) -> None:
    refusal = form.read(value)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    ("form", "separator"),
    [
        ("", ""), ("sha256=", ""), ("{timestamp}", ""), ("{signature}{timestamp}", ""), ("{signature}=x", ""),
        ("v1={signature},v1={signature}", ","), ("t={timestamp}", ","), ("{timestamp},{signature}", ","),
        ("v{timestamp},v1{signature}", ","), ("é={signature}", ""), ("{nonce}", ""),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_read_back_is_refused(form: str, separator: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        HeaderForm(form, separator)


@given(st.binary())
def test_reading_garbage_never_raises(value: bytes) -> None:
    for form in (STRIPE, STANDARD, GITHUB):
        form.read(value)


@given(st.from_regex(r"\A[0-9a-f]{2,64}\Z"), st.from_regex(r"\A[0-9]{1,10}\Z"))
def test_what_is_written_is_read_back(signature: str, timestamp: str) -> None:
    for form in (STRIPE, STANDARD, GITHUB):
        claim = form.read(form.write(signature, timestamp).encode())
        assert isinstance(claim, Claim)
        assert claim.signatures == [signature.encode()]
        assert claim.timestamp in {timestamp.encode(), None}
