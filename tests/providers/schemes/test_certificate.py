from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from kanca.errors import InvalidProvider, InvalidSecret
from kanca.providers import (
    Issued,
    KeyNeeded,
    Refusal,
    RefusalCode,
    SignedRequest,
    Verdict,
    Verified,
    compile_verifier,
    get_provider,
    issue,
    make_delivery,
    parse_spec,
    sign,
)
from tests.providers.arriving import NOW

PAYPAL = get_provider("paypal")
SNS = get_provider("aws-sns")
PAYPAL_CERTIFICATE = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
ISSUED = {"paypal": issue(PAYPAL), "aws-sns": issue(SNS)}


def sent(name: str, options: dict[str, Any] | None = None) -> tuple[SignedRequest, Issued]:
    """A sample as the provider would send it, with its certificate fetched."""
    spec, issued = get_provider(name), ISSUED[name]
    request = sign(spec, options, issued.signing, make_delivery(spec, None, now=NOW).draft).request()
    request.documents = issued.documents
    return request, issued


def judged(name: str, request: SignedRequest, *secrets: str, now: float = NOW, **options: Any) -> Verdict:
    return compile_verifier(get_provider(name), options).verify(request, secrets, now)


def refusal(verdict: Verdict) -> RefusalCode:
    assert isinstance(verdict, Refusal), verdict
    return verdict.code


def with_header(request: SignedRequest, name: str, value: str) -> SignedRequest:
    headers = {**request.headers, name.lower().encode(): value.encode()}
    return SignedRequest(request.method, request.url, headers, request.body, request.documents)


def with_field(request: SignedRequest, **fields: object) -> SignedRequest:
    body = json.dumps({**json.loads(request.body), **fields}).encode()
    return SignedRequest(request.method, request.url, request.headers, body, request.documents)


def test_the_certificate_is_asked_for_by_the_address_in_the_request() -> None:
    request, issued = sent("paypal")
    request.documents = {}
    assert judged("paypal", request, issued.checking) == KeyNeeded(PAYPAL_CERTIFICATE)


def test_with_its_certificate_a_request_is_verified_by_any_live_secret() -> None:
    request, issued = sent("paypal")
    verdict = judged("paypal", request, "another-webhook-id", issued.checking)
    assert isinstance(verdict, Verified)
    assert (verdict.secret_index, verdict.signed_at) == (1, NOW)
    assert verdict.signed_id == request.headers[b"paypal-transmission-id"]


@pytest.mark.parametrize(
    "address",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://apixpaypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../redirect",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?next=https://evil.example",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
        "https://api.paypal.com/v1/notifications/certs/CERT-1\n",
        "https://API.paypal.com/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
        "https://[",
        "",
        "https://api.paypal.com/v1/notifications/certs/" + "x" * 600,
    ],
)
def test_no_other_address_is_ever_asked_for(address: str) -> None:
    request, issued = sent("paypal")
    request.documents = {}
    verdict = judged("paypal", with_header(request, "PAYPAL-CERT-URL", address), issued.checking)
    assert refusal(verdict) is RefusalCode.KEY_REFUSED


@pytest.mark.parametrize(
    "host",
    [
        "sns.s3-us-west-2.amazonaws.com",  # a bucket that is named `sns`
        "sns.s3.amazonaws.com",
        "sns.us-east-1.amazonaws.com.evil.example",
        "sqs.us-east-1.amazonaws.com",
        "evil.sns.us-east-1.amazonaws.com",
    ],
)
def test_no_host_but_those_of_sns_is_asked_for(host: str) -> None:
    request, issued = sent("aws-sns")
    request.documents = {}
    changed = with_field(request, SigningCertURL=f"https://{host}/SimpleNotificationService-1.pem")
    assert refusal(judged("aws-sns", changed, issued.checking)) is RefusalCode.KEY_REFUSED


@pytest.mark.parametrize("region", ["us-gov-west-1", "ap-southeast-2", "cn-north-1"])
def test_every_region_has_its_certificate(region: str) -> None:
    request, issued = sent("aws-sns")
    end = ".cn" if region.startswith("cn") else ""
    url = f"https://sns.{region}.amazonaws.com{end}/SimpleNotificationService-010a.pem"
    verdict = judged("aws-sns", with_field(request, SigningCertURL=url), issued.checking)
    assert verdict == KeyNeeded(url)


def test_a_message_of_another_topic_is_refused_though_its_signature_is_right() -> None:
    request, issued = sent("aws-sns")
    assert isinstance(judged("aws-sns", request, issued.checking), Verified)
    other = judged("aws-sns", request, "arn:aws:sns:us-east-1:123456789012:other")
    assert refusal(other) is RefusalCode.CLAIM_MISMATCH


def test_each_of_several_topics_may_send() -> None:
    request, issued = sent("aws-sns")
    verdict = judged("aws-sns", request, "arn:aws:sns:us-east-1:123456789012:other", issued.checking)
    assert isinstance(verdict, Verified)
    assert verdict.secret_index == 1


def test_the_older_hash_is_accepted_until_the_variant_refuses_it() -> None:
    older = replace(SNS.signatures[0], algorithm=replace(_algorithm(SNS), names={"1": "sha1"}))
    issued = issue(SNS)
    draft = make_delivery(SNS, None, now=NOW).draft
    request = sign(replace(SNS, signatures=(older,)), None, issued.signing, draft).request()
    request.documents = issued.documents
    assert request.document()["SignatureVersion"] == "1"  # type: ignore[index] # any JSON
    assert isinstance(judged("aws-sns", request, issued.checking), Verified)
    strict = judged("aws-sns", request, issued.checking, variant="v2_only")
    assert refusal(strict) is RefusalCode.KEY_REFUSED


def _algorithm(spec: Any) -> Any:
    return spec.signatures[0].algorithm


def test_the_named_algorithm_is_the_one_that_is_checked() -> None:
    request, issued = sent("aws-sns")
    downgraded = judged("aws-sns", with_field(request, SignatureVersion="1"), issued.checking)
    assert refusal(downgraded) is RefusalCode.SIGNATURE_MISMATCH


@pytest.mark.parametrize("name", ["", "MD5withRSA", "SHA1withRSA", "none", "sha256"])
def test_no_other_algorithm_is_accepted(name: str) -> None:
    request, issued = sent("paypal")
    verdict = judged("paypal", with_header(request, "PAYPAL-AUTH-ALGO", name), issued.checking)
    assert refusal(verdict) is RefusalCode.KEY_REFUSED


def test_fields_with_a_line_each_cannot_be_cut_otherwise() -> None:
    """Whoever publishes a message chooses its text, and so could make the signed bytes read as another message."""
    issued = ISSUED["aws-sns"]
    message = {"Type": "Notification", "MessageId": "real", "Message": "x\nMessageId\nforged", "TopicArn": ""}
    body = json.dumps({**message, "Timestamp": "2023-11-14T22:13:20Z"}).encode()
    draft = make_delivery(SNS, None, now=NOW, body=body).draft
    request = sign(SNS, None, issued.signing, draft).request()
    request.documents = issued.documents
    assert isinstance(judged("aws-sns", request, issued.checking), Verified)

    forged = with_field(request, Message="x", MessageId="forged\nMessageId\nreal")

    assert refusal(judged("aws-sns", forged, issued.checking)) is RefusalCode.SIGNED_HEADER_MALFORMED


@pytest.mark.parametrize("moment", [datetime(2019, 12, 31, tzinfo=UTC), datetime(2070, 1, 1, tzinfo=UTC)])
def test_a_certificate_is_good_for_its_time_only(moment: datetime) -> None:
    spec, issued = PAYPAL, ISSUED["paypal"]
    now = moment.timestamp()
    request = sign(spec, None, issued.signing, make_delivery(spec, None, now=now).draft).request()
    request.documents = issued.documents
    verdict = judged("paypal", request, issued.checking, now=now)
    assert refusal(verdict) is RefusalCode.KEY_REFUSED


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_refused(document: bytes) -> None:
    request, issued = sent("paypal")
    request.documents = {PAYPAL_CERTIFICATE: document}
    assert refusal(judged("paypal", request, issued.checking)) is RefusalCode.KEY_REFUSED


@pytest.mark.parametrize(
    ("subject", "bits", "is_accepted"),
    [
        ("messageverificationcerts.paypal.com", 2048, True),
        ("messageverificationcerts.paypal.com", 1024, False),
        ("paypal.com.evil.example", 2048, False),
        ("notpaypal.com", 2048, False),
    ],
)
def test_the_subject_is_the_provider_and_the_key_not_a_broken_one(
    subject: str, bits: int, is_accepted: bool
) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    text = f"4JH86294D6297924G {b64encode(der).decode()}"
    request = sign(PAYPAL, None, text, make_delivery(PAYPAL, None, now=NOW).draft).request()
    request.documents = {PAYPAL_CERTIFICATE: certificate(private, subject)}
    verdict = judged("paypal", request, "4JH86294D6297924G")
    assert isinstance(verdict, Verified) is is_accepted


def test_of_a_chain_the_first_counts() -> None:
    request, issued = sent("paypal")
    other = certificate(rsa.generate_private_key(public_exponent=65537, key_size=2048), "ca.paypal.com")
    own = issued.documents[PAYPAL_CERTIFICATE]
    request.documents = {PAYPAL_CERTIFICATE: own + other}
    assert isinstance(judged("paypal", request, issued.checking), Verified)
    request.documents = {PAYPAL_CERTIFICATE: other + own}
    assert refusal(judged("paypal", request, issued.checking)) is RefusalCode.SIGNATURE_MISMATCH


def test_an_endpoints_own_secret_is_not_enough_to_sign_with() -> None:
    with pytest.raises(InvalidSecret):
        sign(PAYPAL, None, "4JH86294D6297924G", make_delivery(PAYPAL, None, now=NOW).draft)


@pytest.mark.parametrize(
    "changes",
    [
        {"signed_content": "{body}"},  # right for any customer of the provider
        {"certificate": {"urls": ["("]}},
        {"certificate": {"urls": ["http://x/y"], "example_url": "http://x/y"}},
        {"certificate": {"example_url": "https://elsewhere.example/x"}},
        {"certificate": {"urls": ["https://.*"]}},
        {"certificate": {"urls": ["https://certs.example.*/x"]}},
        {"certificate": {"urls": ["https://a.b.example/x"], "example_url": "https://a.b.example/x"}},
        {"certificate": {"subjects": ["other"]}},
        {"algorithm": {"names": {"md5": "md5"}}},
        {"algorithm": {"names": {}}},
        {"body_forms": ["ascii"]},
    ],
)
def test_a_spec_that_would_prove_nothing_is_no_spec(changes: dict[str, Any]) -> None:
    certificate_source = {
        "header": "X-Cert",
        "urls": ["https://certs\\.example/x"],
        "subjects": ["certs\\.example"],
        "example_url": "https://certs.example/x",
        "example_subject": "certs.example",
    }
    signature = {
        "scheme": "certificate",
        "header": "X-Signature",
        "signed_content": "{secret}{body}",
        **changes,
        "certificate": {**certificate_source, **changes.get("certificate", {})},
        "algorithm": {"header": "X-Algorithm", "names": {"rs256": "sha256"}, **changes.get("algorithm", {})},
    }
    described = {"name": "own", "title": "O", "summary": "O.", "label": "confirmed", "source": "wiki"}
    with pytest.raises(InvalidProvider):
        parse_spec({**described, "signatures": [signature]})


def certificate(private: rsa.RSAPrivateKey, subject: str) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    built = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    dated = built.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2060, 1, 1, tzinfo=UTC)
    )
    return dated.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
