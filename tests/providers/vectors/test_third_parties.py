"""Formulas that third parties tell alike, of providers without a package or published signatures: made by hand."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode

import pytest

from kanca.providers import RefusalCode, Verified, check_secret, get_provider
from tests.providers.senders.exchange import URL, arrives, refusal

SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
IN_BASE64 = "+ZaRRMC8+mpnfGaGsBOmkIFt98bttL5YQRq3p2tXgcE="
AT = 1_700_000_000
BODY = b'{"timestamp":"2023-11-14T22:13:20.123Z","type":"t"}'
KICK = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq/+l1WnlRrGSolDMA+A86rAhMbQGmQ2SapVcGM3zq8ANXjnhDWocMqfWcTd95btD"
    "ydITa10kDvHzw9WQOqp2MZI7ZyrfzJuz5nhTPCiJwTwnEtWft7nV14BYRDHvlfqPUaZ+1KR4OCaO/wWIk/rQL/TjY0M70gse8rlBkbo2a8rK"
    "hu69RQTRsoaf4DVhDPEeSeI5jVrRDGAMGL3cGuyY6CLKGdjVEM78g3JfYOvDU/RvfqD7L89TZ3iN94jrmWdGz34JNlEI5hqK8dd7C5EFBEbZ"
    "5jgB8s8ReQV8H+MkuffjdAj3ajDDX3DOJMIut1lBrUVD1AaSrGCKHooWoL2etwIDAQAB"
)


def mac(content: bytes, key: bytes = SECRET.encode(), algorithm: str = "sha256") -> bytes:
    return hmac.new(key, content, algorithm).digest()


def hexed(content: bytes, key: bytes = SECRET.encode(), algorithm: str = "sha256") -> str:
    return mac(content, key, algorithm).hex()


def based(content: bytes, key: bytes = SECRET.encode()) -> str:
    return b64encode(mac(content, key)).decode()


IN_HEADERS = {
    "hookdeck": {"x-hookdeck-signature": based(BODY)},
    "hookdeck after its secret was rolled": {
        "x-hookdeck-signature": based(BODY, b"the new one"),
        "x-hookdeck-signature-2": based(BODY),
    },
    "tailscale": {"tailscale-webhook-signature": f"t={AT},v1={hexed(b'1700000000.' + BODY)}"},
    "langfuse": {"x-langfuse-signature": f"t={AT},v1={hexed(b'1700000000.' + BODY)}"},
    "retell": {"x-retell-signature": f"v={AT}000,d={hexed(BODY + b'1700000000000')}"},
    "plain": {"plain-request-signature": hexed(BODY)},
    "webflow": {
        "x-webflow-signature": hexed(b"1700000000000:" + BODY),
        "x-webflow-timestamp": "1700000000000",
    },
    "metronome": {
        "metronome-webhook-signature": hexed(b"Tue, 14 Nov 2023 22:13:20 GMT\n" + BODY),
        "x-metronome-date": "Tue, 14 Nov 2023 22:13:20 GMT",
    },
    "authorize-net with its key as text": {
        "X-ANET-Signature": f"sha512={hexed(BODY, algorithm='sha512').upper()}"
    },
    "authorize-net with its key decoded": {
        "X-ANET-Signature": f"sha512={hexed(BODY, bytes.fromhex(SECRET), 'sha512').upper()}"
    },
}


@pytest.mark.parametrize("name", IN_HEADERS)
def test_the_formula_is_this_one(name: str) -> None:
    provider, headers = name.partition(" ")[0], IN_HEADERS[name]
    assert isinstance(arrives(provider, headers, BODY, SECRET, now=AT), Verified)
    other = arrives(provider, headers, BODY.replace(b'"t"', b'"u"'), SECRET, now=AT)
    assert refusal(other) is RefusalCode.SIGNATURE_MISMATCH


def test_teams_decodes_its_token() -> None:
    headers = {"Authorization": f"HMAC {based(BODY, b64decode(IN_BASE64))}"}
    assert arrives("ms-teams", headers, BODY, IN_BASE64) == Verified(0)
    other = arrives("ms-teams", {"Authorization": f"HMAC {based(BODY, IN_BASE64.encode())}"}, BODY, IN_BASE64)
    assert refusal(other) is RefusalCode.SIGNATURE_MISMATCH
    bearer = arrives("ms-teams", {"Authorization": f"Bearer {based(BODY)}"}, BODY, IN_BASE64)
    assert refusal(bearer) is RefusalCode.SIGNATURE_MALFORMED


def test_pandadoc_signs_in_the_address() -> None:
    url = f"{URL}?signature={hexed(BODY)}"
    assert arrives("pandadoc", {}, BODY, SECRET, url=url) == Verified(0)
    assert refusal(arrives("pandadoc", {}, BODY, SECRET)) is RefusalCode.SIGNATURE_MISSING
    assert refusal(arrives("pandadoc", {}, BODY + b" ", SECRET, url=url)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_key_that_kick_publishes_is_a_secret_of_its_endpoints() -> None:
    spec = get_provider("kick")
    check_secret(spec, KICK)
    assert any(KICK in step for step in spec.setup)
