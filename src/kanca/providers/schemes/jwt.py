"""Scheme ``jwt``: the sender shows a signed JSON Web Token (RFC 7519).

It is signed with a secret that both sides have, or with one of the keys that the provider publishes. The algorithm is
the spec's, never the token's. A token says who sends; what is sent it covers only where a claim has the body's hash.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import jwt
from msgspec import Meta, Struct

from kanca.errors import InvalidSecret
from kanca.providers.locations import HeaderName, header_key
from kanca.providers.schemes.claims import (
    Claim,
    HashEncoding,
    has_hash,
    hash_of,
    names_secret,
    refuse_times,
    says,
    time_of,
    wanted_claims,
)
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.key_sets import (
    REHEARSAL,
    Algorithm,
    Key,
    hmac_key,
    issue_key,
    keys_in,
    private_key,
)
from kanca.providers.schemes.signature_checker import unusable
from kanca.providers.schemes.token import SharedToken
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified

MAX_TOKEN_BYTES = 8192
_LIFETIME_S = 3600
_JOINT = " "
_UNCHECKED = dict.fromkeys(
    [f"verify_{name}" for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")],
    False,
)
_ONLY_SIGNATURE: Any = {"verify_signature": True, **_UNCHECKED}
"""Times and claims are judged here: by the clock that is given, and for each secret."""


class JwtProof(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="jwt"):
    """A token in a header."""

    header: HeaderName
    form: Annotated[str, Meta(max_length=200)] = "{token}"
    """``{token}``, or ``Bearer {token}``, as in the scheme ``token``."""
    algorithm: Algorithm
    keys_url: Annotated[str, Meta(max_length=500)] | None = None
    """Where the provider publishes its keys (a JWK set, RFC 7517). Without it the secret is the key."""
    claims: dict[str, Claim] = {}
    """What the token must say; see ``claims``."""
    body_claim: str | None = None
    """The claim that has the SHA-256 of the body."""
    body_encoding: HashEncoding = "hex"
    url_claim: str | None = None
    """The claim that has the SHA-256 of the URL, in hex."""
    has_expiry: bool = True
    """The token must say when it ends. One that says so is never taken after that, whatever stands here."""
    leeway_seconds: Annotated[int, Meta(ge=0, le=300)] = 60
    """How far the sender's clock may be off."""

    def __post_init__(self) -> None:
        """Raise ValueError for what could not be checked, or would be right for any customer of the provider."""
        self.carrier()
        is_tied = True in [names_secret(claim) for claim in self.claims.values()]
        if (self.keys_url is None) != self.algorithm.startswith("HS"):
            raise ValueError(
                "HS256 is checked with the secret, and other algorithms with the keys at keys_url"
            )
        if self.keys_url is not None and not is_tied:
            raise ValueError("no claim is tied to the secret: any customer of the provider has such tokens")
        if self.keys_url is not None and urlsplit(self.keys_url).scheme != "https":
            raise ValueError("keys_url must be an https URL")

    def carrier(self) -> SharedToken:
        """What the token is carried by."""
        return SharedToken(header=self.header, form=self.form)

    def covers(self, slot: Slot) -> bool:
        """Whether nobody can change what the slot stands for: the body, where the token has its hash."""
        return self.body_claim is not None and slot.name in ("body", "body_sha256")

    def key_problem(self, _secret: SecretFormat, _text: str) -> str | None:
        """None: any text of the secret's form is a key, or names whom the token is for."""
        return None

    def issue(self, secret: SecretFormat) -> Issued:
        """A new secret; with published keys also one of those, and both to sign with, a blank between."""
        text = secret.generate()
        if self.keys_url is None:
            return Issued(text, text)
        private, key_set = issue_key(self.algorithm)
        return Issued(f"{text}{_JOINT}{b64encode(private).decode()}", text, {self.keys_url: key_set})

    def checker(self, secret: SecretFormat) -> JwtChecker:
        """What checks the token."""
        return JwtChecker(self, secret)

    def sign(self, secret: SecretFormat, text: str, draft: Draft) -> Draft:
        """The draft with a token. Raises InvalidSecret when ``text`` is nothing to sign with."""
        own, key = self._signing(secret, text)
        claims: dict[str, Any] = {"iat": int(draft.now)}
        if self.has_expiry:
            claims["exp"] = int(draft.now) + _LIFETIME_S
        for name, wanted in wanted_claims(self.claims, secret.split(own)).items():
            claims[name] = wanted[0]
        if self.body_claim:
            claims[self.body_claim] = hash_of(draft.body, self.body_encoding)
        if self.url_claim:
            claims[self.url_claim] = hash_of(draft.url.encode(), "hex")
        headers = {} if self.keys_url is None else {"kid": REHEARSAL}
        token = jwt.encode(claims, key, algorithm=self.algorithm, headers=headers)
        return self.carrier().place().put(draft, self.carrier().prefix() + token)

    def _signing(self, secret: SecretFormat, text: str) -> tuple[str, Any]:
        if self.keys_url is None:
            key = secret.key(text)
            if key is None:
                raise InvalidSecret("The secret cannot be a key of this provider.")
            return text, hmac_key(key)
        own, _, encoded = text.rpartition(_JOINT)
        try:
            return own, private_key(binascii.a2b_base64(encoded, strict_mode=True))
        except ValueError as error:
            raise InvalidSecret(
                "Only the provider can sign: an endpoint's own secret is not enough."
            ) from error


class _Trial(NamedTuple):
    """A key, and the secrets by index of which one must be whom the token is for."""

    key: Key
    secrets: Mapping[int, str]


class JwtChecker:
    """Checks a token."""

    missing = RefusalCode.TOKEN_MISSING

    def __init__(self, proof: JwtProof, secret: SecretFormat) -> None:
        place = proof.carrier().place()
        self.place_name = place.name
        self._name = header_key(proof.header) or b""
        self._prefix = proof.carrier().prefix().lower().encode("ascii")
        self._proof = proof
        self._secret = secret

    def find(self, request: SignedRequest) -> bytes | None:
        """What is in the header."""
        return request.headers.get(self._name)

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge the request by what is in the header: the signature first, then the times, then the claims."""
        usable = {index: secret for index, secret in enumerate(secrets) if self._secret.key(secret)}
        if not usable:
            return unusable(secrets)
        if value[: len(self._prefix)].lower() != self._prefix or len(value) > MAX_TOKEN_BYTES:
            return self._malformed()
        token = value[len(self._prefix) :]
        trials = self._trials(request, token, usable)
        if not isinstance(trials, list):
            return trials
        for key, owners in trials:
            claims = self._read(token, key)
            if isinstance(claims, Refusal):
                return claims
            if claims is not None:
                return self._judge(request, claims, owners, now)
        return Refusal(
            RefusalCode.TOKEN_MISMATCH,
            "the token is not signed with the provider's key or the endpoint's secret",
        )

    def _trials(
        self, request: SignedRequest, token: bytes, usable: Mapping[int, str]
    ) -> list[_Trial] | Refusal | KeyNeeded:
        url = self._proof.keys_url
        if url is None:
            return [
                _Trial(hmac_key(key), {index: secret})
                for index, secret in usable.items()
                for key in self._secret.keys(secret)
            ]
        try:
            name = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return self._malformed()
        if not isinstance(name, str):
            return Refusal(RefusalCode.KEY_REFUSED, "the token does not name its key")
        document = request.documents.get(url)
        if document is None:
            return KeyNeeded(url)
        key = keys_in(document, self._proof.algorithm).get(name)
        return KeyNeeded(url, is_outdated=True) if key is None else [_Trial(key, usable)]

    def _read(self, token: bytes, key: Key) -> dict[str, Any] | Refusal | None:
        """The claims; None when the signature is not this key's."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[self._proof.algorithm], options=_ONLY_SIGNATURE
            )
        except jwt.InvalidSignatureError:
            return None
        except jwt.InvalidAlgorithmError:
            return Refusal(RefusalCode.TOKEN_MALFORMED, f"the token is not signed by {self._proof.algorithm}")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return self._malformed()
        return claims

    def _judge(
        self, request: SignedRequest, claims: Mapping[str, Any], owners: Mapping[int, str], now: float
    ) -> Verdict:
        """Judge by what a token that is signed says."""
        refusal = refuse_times(claims, now, self._proof.leeway_seconds, has_expiry=self._proof.has_expiry)
        if refusal is not None:
            return refusal
        proof, url = self._proof, request.url.encode(errors="replace")
        for name, what, content, encoding in (
            (proof.body_claim, "body", request.body, proof.body_encoding),
            (proof.url_claim, "URL", url, "hex"),
        ):
            if name is not None and not has_hash(claims.get(name), content, encoding):
                detail = f"the claim `{name}` is not the hash of the {what}: it was changed on its way"
                return Refusal(RefusalCode.CLAIM_MISMATCH, detail)
        wrong = ""
        for index, secret in owners.items():
            wanted = wanted_claims(self._proof.claims, self._secret.split(secret))
            wrong = next((key for key, values in wanted.items() if not says(claims, key, values)), "")
            if not wrong:
                return Verified(index, time_of(claims.get("iat")))
        detail = f"the token is right, but its claim `{wrong}` is not what the endpoint's secret or the provider says"
        return Refusal(RefusalCode.CLAIM_MISMATCH, detail)

    def _malformed(self) -> Refusal:
        detail = f"the {self.place_name} does not have the form `{self._proof.form}` with a JSON Web Token"
        return Refusal(RefusalCode.TOKEN_MALFORMED, detail)
