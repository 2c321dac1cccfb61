"""Cal.com, Mux, Heroku, Fourthwall and Kick, by a package that validates them all."""

from __future__ import annotations

import binascii

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from msgspec.structs import replace

from kanca.providers import get_provider, issue
from tests.providers.senders.exchange import departs
from tests.providers.senders.validators import nuxt_accepts

SECRET = "f1a8c2d4e6b80123456789abcdef0123"


@pytest.mark.parametrize(
    ("provider", "validator"),
    [
        ("cal-com", "calcom.post"),
        ("mux", "mux.post"),
        ("heroku", "heroku"),
        ("fourthwall", "fourthwall"),
    ],
)
def test_the_package_accepts_what_we_sign_and_no_other_body(provider: str, validator: str) -> None:
    sent = departs(provider, SECRET)
    changed = replace(sent, body=sent.body + b" ")
    assert nuxt_accepts(validator, {"secretKey": SECRET}, [sent, changed]) == [True, False]


def test_it_accepts_what_we_sign_for_kick_with_a_key_of_ours() -> None:
    pair = issue(get_provider("kick"))
    key = load_der_private_key(binascii.a2b_base64(pair.signing), None).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    sent = departs("kick", pair.signing)
    changed = replace(sent, body=sent.body + b" ")
    assert nuxt_accepts("kick", {"publicKey": pem}, [sent, changed]) == [True, False]
