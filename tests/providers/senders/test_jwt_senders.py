"""Senders of signed tokens: Google's package and Netlify's, as far as they have any."""

from __future__ import annotations

import hashlib
import json
import time
from types import SimpleNamespace
from typing import Any

import google.auth.crypt
import google.auth.jwt
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import id_token

from kanca.providers import RefusalCode, Verified, get_provider, issue
from tests.providers.schemes.test_jwt import KEYS_URL, key_set
from tests.providers.senders.exchange import arrives, ask_node, departs, refusal
from tests.providers.senders.validators import nuxt_accepts

EMAIL, AUDIENCE = "pusher@my-project.iam.gserviceaccount.com", "https://kanca.example/in/shop"
SECRET = f"{EMAIL}:{AUDIENCE}"
BODY = b'{"message":{"attributes":{},"data":"e30=","messageId":"2070443601311540"},"subscription":"s"}'
NETLIFY_SECRET = "a-jws-secret-token-of-32-characters-or-more"


def test_what_googles_package_signs_is_accepted() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    signer = google.auth.crypt.RSASigner.from_string(pem, key_id="kid1")
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": EMAIL,
        "email_verified": True,
        "sub": "1",
        "iat": now,
        "exp": now + 3600,
    }
    header = {"Authorization": f"Bearer {google.auth.jwt.encode(signer, claims).decode()}"}
    documents = {KEYS_URL: key_set(private)}

    assert arrives("google-pubsub", header, BODY, SECRET, documents=documents) == Verified(0, now)
    other = arrives("google-pubsub", header, BODY, f"{EMAIL}:{AUDIENCE}/other", documents=documents)
    assert refusal(other) is RefusalCode.CLAIM_MISMATCH


def test_googles_package_accepts_what_we_sign() -> None:
    issued = issue(get_provider("google-pubsub"))
    sent = departs("google-pubsub", issued.signing, BODY)
    token = sent.headers["Authorization"].removeprefix("Bearer ")

    def fetched(_url: str, method: str = "GET", **_options: Any) -> SimpleNamespace:
        return SimpleNamespace(status=200, headers={}, data=issued.documents[KEYS_URL])

    email, audience = issued.checking.split(":", 1)
    claims = id_token.verify_oauth2_token(token, fetched, audience=audience)
    assert (claims["email"], claims["email_verified"]) == (email, True)
    with pytest.raises(jwt.InvalidAudienceError):
        id_token.verify_oauth2_token(token, fetched, audience="other")


def test_what_netlifys_tokens_are_made_with_is_accepted() -> None:
    script = """
        const parts = "./node_modules/nuxt-webhook-validators/dist/runtime/server/lib/utils";
        const { createJwt } = await import(`${parts}/jwt.js`);
        return await createJwt(question.secret, { sha256: question.sha256 }, { issuer: "netlify" });
    """
    body = b'{"id":"d1","state":"ready"}'
    digest = hashlib.sha256(body).hexdigest()
    tokens = [
        ask_node(script, {"secret": NETLIFY_SECRET, "sha256": digest}),
        jwt.encode({"iss": "netlify", "sha256": digest}, NETLIFY_SECRET, algorithm="HS256"),
    ]
    for token in tokens:
        headers = {"X-Webhook-Signature": token, "Content-Type": "application/json"}
        assert isinstance(arrives("netlify", headers, body, NETLIFY_SECRET), Verified)
        changed = arrives("netlify", headers, body + b" ", NETLIFY_SECRET)
        assert refusal(changed) is RefusalCode.CLAIM_MISMATCH


def test_netlifys_validator_accepts_what_we_sign() -> None:
    sent = departs("netlify", NETLIFY_SECRET)
    changed = msgspec.structs.replace(sent, body=sent.body + b" ")
    assert nuxt_accepts("netlify", {"secretKey": NETLIFY_SECRET}, [sent, changed]) == [True, False]


def test_livekit_hashes_its_bodies_in_base64() -> None:
    sent = departs("livekit", "secret-of-livekit:APIxyz", now=time.time())
    claims = jwt.decode(
        sent.headers["Authorization"], "secret-of-livekit".ljust(64, "\0"), algorithms=["HS256"]
    )
    assert claims["iss"] == "APIxyz"
    assert json.loads(sent.body)["event"] == "room_started"
