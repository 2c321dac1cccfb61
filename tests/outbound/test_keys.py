from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from kanca.domain.subscription import SignatureKind
from kanca.errors import InvalidSecret
from kanca.outbound.keys import check_secret, jwk, new_secret, public_key, verifying_key
from tests.outbound.samples import PRIVATE_KEY, PUBLIC_KEY, SECRET

STANDARD, ED25519, HEX = SignatureKind.STANDARD, SignatureKind.ED25519, SignatureKind.HEX


def whsec(length: int) -> str:
    return "whsec_" + b64encode(b"x" * length).decode()


@pytest.mark.parametrize("kind", SignatureKind)
def test_a_new_secret_can_sign_in_its_way_and_is_like_no_other(kind: SignatureKind) -> None:
    secret = new_secret(kind)
    check_secret(kind, secret)
    assert secret != new_secret(kind)


def test_a_shared_secret_has_256_bits_and_a_private_key_the_published_form() -> None:
    assert len(b64decode(new_secret(STANDARD).removeprefix("whsec_"))) == 32
    seed_and_public = b64decode(new_secret(ED25519).removeprefix("whsk_"))
    assert len(seed_and_public) == 64


@pytest.mark.parametrize("kind", [STANDARD, HEX])
@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        whsec(24),
        whsec(64),
        whsec(25).rstrip("="),
        "sixteen letters!",
        "ü" * 16,
        "x" * 512,
    ],
)
def test_what_may_be_a_shared_secret(kind: SignatureKind, secret: str) -> None:
    check_secret(kind, secret)


@pytest.mark.parametrize("kind", [STANDARD, HEX])
@pytest.mark.parametrize(
    "secret",
    [
        "",
        "fifteen letters",
        "x" * 513,
        " sixteen letters",
        "sixteen\nletters!",
        whsec(23),
        whsec(65),
        "whsec_not base64 at all, is it?",
        "whsec_",
        PRIVATE_KEY,
        PUBLIC_KEY,
    ],
)
def test_what_may_not(kind: SignatureKind, secret: str) -> None:
    with pytest.raises(InvalidSecret) as caught:
        check_secret(kind, secret)
    assert len(secret) < 7 or secret not in caught.value.detail


def test_a_private_key_is_a_seed_with_or_without_its_public_key() -> None:
    check_secret(ED25519, PRIVATE_KEY)
    seed = b64decode(PRIVATE_KEY.removeprefix("whsk_"))[:32]
    check_secret(ED25519, "whsk_" + b64encode(seed).decode())


@pytest.mark.parametrize(
    "secret",
    [
        "",
        SECRET,
        PUBLIC_KEY,
        "whsk_",
        "whsk_AAAA",
        PRIVATE_KEY[:-3],
        # the public half of another key
        "whsk_" + b64encode(b64decode(PRIVATE_KEY.removeprefix("whsk_"))[:32] + b"\1" * 32).decode(),
    ],
)
def test_anything_else_is_no_private_key(secret: str) -> None:
    with pytest.raises(InvalidSecret):
        check_secret(ED25519, secret)


def test_the_public_key_is_the_one_that_was_published_with_the_private_key() -> None:
    # svix-webhooks, server/svix-server: test_asymmetric_key_signing
    assert public_key(PRIVATE_KEY) == PUBLIC_KEY


def test_a_public_key_is_read_from_either_half() -> None:
    assert verifying_key(PUBLIC_KEY) == verifying_key(PRIVATE_KEY)
    for text in (SECRET, "whpk_AAAA", "whpk_%"):
        with pytest.raises(InvalidSecret):
            verifying_key(text)


def test_the_web_key_is_that_of_the_rfc() -> None:
    # RFC 8037, appendices A.1 to A.3
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert jwk("whsk_" + b64encode(seed).decode()) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }
