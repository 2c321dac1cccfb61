from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kanca.errors import InvalidProvider, InvalidSecret
from kanca.providers import (
    KeyNeeded,
    ProviderSpec,
    Refusal,
    RefusalCode,
    Verdict,
    Verified,
    compile_verifier,
    get_provider,
    issue,
    make_delivery,
    parse_spec,
    sign,
)
from tests.providers.arriving import NOW, arriving

PUBSUB = get_provider("google-pubsub")
KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
SECRET = "pusher@my-project.iam.gserviceaccount.com:https://kanca.example/in/shop"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": "https://kanca.example/in/shop",
    "email": "pusher@my-project.iam.gserviceaccount.com",
    "email_verified": True,
    "sub": "113774264463038321964",
    "iat": int(NOW) - 10,
    "exp": int(NOW) + 3590,
}
HMAC_KEY = "a-secret-of-at-least-32-bytes-length"


def key_set(key: Any = RSA_KEY, kid: str = "kid1", **changes: Any) -> bytes:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    entry = algorithm.to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [{**entry, "kid": kid, "use": "sig", **changes}]}).encode()


def token(key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "kid1", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def judged(
    text: str, *secrets: str, documents: dict[str, bytes] | None = None, now: float = NOW, body: bytes = b"{}"
) -> Verdict:
    request = arriving({"Authorization": f"Bearer {text}"}, body)
    request.documents = {KEYS_URL: key_set()} if documents is None else documents
    return compile_verifier(PUBSUB).verify(request, secrets or (SECRET,), now)


def code(verdict: Verdict) -> RefusalCode:
    assert isinstance(verdict, Refusal), verdict
    return verdict.code


def test_a_token_of_the_service_account_for_the_audience_is_right() -> None:
    assert judged(token()) == Verified(0, CLAIMS["iat"])
    other = "other@my-project.iam.gserviceaccount.com:https://kanca.example/in/shop"
    assert judged(token(), other, SECRET) == Verified(1, CLAIMS["iat"])


def test_the_keys_are_asked_for_once_and_again_for_an_unknown_one() -> None:
    assert judged(token(), documents={}) == KeyNeeded(KEYS_URL)
    assert judged(token(kid="kid2")) == KeyNeeded(KEYS_URL, is_outdated=True)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [1, {}]}',
        key_set(use="enc"),
        key_set(alg="RS512"),
        key_set(n="AQAB"),
        key_set(ec.generate_private_key(ec.SECP256R1())),
        key_set(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - a broken one
    ],
)
def test_what_has_no_such_key_is_as_if_it_were_outdated(document: bytes) -> None:
    assert judged(token(), documents={KEYS_URL: document}) == KeyNeeded(KEYS_URL, is_outdated=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://accounts.google.com.evil.example"},
        {"aud": "https://kanca.example/in/other"},
        {"aud": ["https://kanca.example/in/other"]},
        {"aud": None},
        {"email": "other@my-project.iam.gserviceaccount.com"},
        {"email": None},
        {"email": True},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": None},
    ],
)
def test_a_right_token_for_somebody_else_is_refused(changes: dict[str, Any]) -> None:
    assert code(judged(token(**changes))) is RefusalCode.CLAIM_MISMATCH


def test_parts_of_two_secrets_do_not_add_up() -> None:
    one = "pusher@my-project.iam.gserviceaccount.com:https://kanca.example/in/other"
    other = "other@my-project.iam.gserviceaccount.com:https://kanca.example/in/shop"
    assert code(judged(token(), one, other)) is RefusalCode.CLAIM_MISMATCH


def test_an_audience_may_be_one_of_several() -> None:
    assert isinstance(judged(token(aud=["x", "https://kanca.example/in/shop"])), Verified)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 61},
        {"exp": None},
        {"exp": True},
        {"exp": "9999999999"},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"nbf": "now"},
    ],
)
def test_a_token_counts_for_its_time_only(changes: dict[str, Any]) -> None:
    assert code(judged(token(**changes))) is RefusalCode.TOKEN_EXPIRED


@pytest.mark.parametrize("changes", [{"exp": NOW - 59}, {"iat": NOW + 59}, {"nbf": NOW + 59}])
def test_clocks_may_differ_by_a_minute(changes: dict[str, Any]) -> None:
    assert isinstance(judged(token(**changes)), Verified)


def test_another_key_of_the_same_name_is_no_key_of_the_provider() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert code(judged(token(other))) is RefusalCode.TOKEN_MISMATCH


def signed_with(public: bytes) -> str:
    """A token whose HMAC has the provider's public key for its secret."""
    header, claims, _ = token("x" * 64, "HS256").split(".")
    signature = hmac.digest(public, f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_no_token_chooses_its_algorithm() -> None:
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged = [
        token("", "none"),
        signed_with(public),
        token(RSA_KEY, "RS512"),
        token(RSA_KEY, "PS256"),
        token(ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ]
    assert {code(judged(text)) for text in forged} == {RefusalCode.TOKEN_MALFORMED}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b.c",
        "..",
        "e30.e30.",
        "\x00",
        token().rpartition(".")[0] + ".",
        token() + "." + "x",
        "x" * 9000,
        token()[:-200],
        jwt.api_jws.encode(b"not JSON", RSA_KEY, algorithm="RS256", headers={"kid": "kid1"}),
        jwt.api_jws.encode(b"[1]", RSA_KEY, algorithm="RS256", headers={"kid": "kid1"}),
        jwt.api_jws.encode(b"[" * 5000, RSA_KEY, algorithm="RS256", headers={"kid": "kid1"}),
        jwt.api_jws.encode(b"1" * 5000, RSA_KEY, algorithm="RS256", headers={"kid": "kid1"}),
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert isinstance(judged(text), Refusal)


def test_a_token_must_name_its_key_and_its_scheme() -> None:
    assert code(judged(token(kid=None))) is RefusalCode.KEY_REFUSED
    basic = arriving({"Authorization": f"Basic {token()}"})
    assert code(compile_verifier(PUBSUB).verify(basic, [SECRET], NOW)) is RefusalCode.TOKEN_MALFORMED
    missing = compile_verifier(PUBSUB).verify(arriving({}), [SECRET], NOW)
    assert code(missing) is RefusalCode.TOKEN_MISSING


def test_without_a_secret_nobody_is_the_one_that_a_token_is_for() -> None:
    request = arriving({"Authorization": f"Bearer {token()}"})
    request.documents = {KEYS_URL: key_set()}
    verifier = compile_verifier(PUBSUB)
    assert code(verifier.verify(request, [], NOW)) is RefusalCode.SECRET_MISSING
    assert code(verifier.verify(request, ["no-parts", ":", "a:"], NOW)) is RefusalCode.SECRET_UNUSABLE


def test_a_secret_that_both_have_may_be_short() -> None:
    netlify = get_provider("netlify")
    request = sign(netlify, None, "short!", make_delivery(netlify, None, now=NOW).draft).request()
    assert isinstance(compile_verifier(netlify).verify(request, ["other", "short!"], NOW), Verified)
    assert code(compile_verifier(netlify).verify(request, ["short?"], NOW)) is RefusalCode.TOKEN_MISMATCH


@pytest.mark.parametrize("claim", [None, "", "0" * 64, 5, hashlib.sha256(b"{} ").hexdigest()])
def test_the_bodys_hash_must_be_the_bodys(claim: object) -> None:
    claims = {"iss": "netlify", **({} if claim is None else {"sha256": claim})}
    text = jwt.encode(claims, HMAC_KEY, algorithm="HS256")
    verdict = compile_verifier(get_provider("netlify")).verify(
        arriving({"X-Webhook-Signature": text}), [HMAC_KEY], NOW
    )
    assert code(verdict) is RefusalCode.CLAIM_MISMATCH


def test_published_keys_may_be_of_a_curve() -> None:
    spec = own(algorithm="ES256", keys_url=KEYS_URL, claims={"aud": "{secret}"})
    issued = issue(spec)
    draft = sign(spec, None, issued.signing, make_delivery(spec, None, now=NOW).draft)
    request = draft.request()
    request.documents = issued.documents
    assert isinstance(compile_verifier(spec).verify(request, [issued.checking], NOW), Verified)
    with pytest.raises(InvalidSecret):
        sign(spec, None, issued.checking, draft)


def own(**changes: Any) -> ProviderSpec:
    described = {"name": "own", "title": "O", "summary": "O.", "label": "confirmed", "source": "wiki"}
    return parse_spec({**described, "signatures": [{"scheme": "jwt", "header": "X-Token", **changes}]})


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"},
        {"algorithm": "HS256", "keys_url": KEYS_URL, "claims": {"aud": "{secret}"}},
        {"algorithm": "RS256"},
        {"algorithm": "RS256", "keys_url": KEYS_URL},
        {"algorithm": "RS256", "keys_url": KEYS_URL, "claims": {"iss": "x"}},
        {"algorithm": "RS256", "keys_url": "http://keys.example/", "claims": {"aud": "{secret}"}},
        {"algorithm": "HS256", "claims": {"aud": "{nothing}"}},
        {"algorithm": "HS256", "form": "{token} and more"},
    ],
)
def test_a_spec_that_would_prove_nothing_is_no_spec(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidProvider):
        own(**changes)


def test_the_urls_hash_must_be_the_urls() -> None:
    spec = get_provider("messagebird")
    url = "https://kanca.example/in/reports?x=1"
    draft = sign(spec, None, "the-signing-key", make_delivery(spec, None, now=NOW, url=url).draft)
    verifier = compile_verifier(spec)
    assert isinstance(verifier.verify(draft.request(), ["the-signing-key"], NOW), Verified)
    other = arriving(draft.headers, draft.body, url="https://kanca.example/in/reports?x=2")
    assert code(verifier.verify(other, ["the-signing-key"], NOW)) is RefusalCode.CLAIM_MISMATCH
