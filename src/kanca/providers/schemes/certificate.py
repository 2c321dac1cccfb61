"""Scheme ``certificate``: signed with RSA (PKCS #1 v1.5) by a certificate that the request names by its address.

Whoever is a customer of the provider can have such signatures made. So what the endpoint has as its secret, its own id
there or the name of its topic, must be among what is signed.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kanca.errors import InvalidSecret
from kanca.providers.locations import BodyPath
from kanca.providers.schemes.certificates import (
    AlgorithmChoice,
    Certificate,
    CertificateSource,
    Hash,
    refuse_at,
)
from kanca.providers.schemes.content import content_slots
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.place import Place
from kanca.providers.schemes.signature_checker import SignatureChecker, unusable
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified

_HASHES: dict[Hash, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha1": hashes.SHA1(),  # noqa: S303 - what some senders still sign with; only where a spec names it
}
_ISSUED_AT = datetime(2020, 1, 1, tzinfo=UTC)
_ISSUED_FOR = timedelta(days=365 * 50)
_JOINT = " "


class CertificateSignature(SignedContent, frozen=True, tag="certificate"):
    """A signature with a certificate."""

    certificate: CertificateSource
    algorithm: AlgorithmChoice
    pinned: BodyPath | None = None
    """The signed field that says whom it is for and must be the endpoint's secret, where no ``{secret}`` is signed."""

    def __post_init__(self) -> None:
        """Raise ValueError where nothing that is signed says whom it is for."""
        super().__post_init__()
        has_secret = any(slot.name == "secret" for slot in content_slots(self.templates()))
        is_pinned = self.pinned is not None and self.covers(Slot("body", self.pinned))
        if has_secret == is_pinned:
            raise ValueError("either {secret} or the field that `pinned` names must be signed")
        if self.each or self.signature_is_id or self.body_forms != ("raw",):
            raise ValueError("a certificate signs requests whole: no each, signature_is_id or body_forms")

    def signature_bytes(self) -> None:
        """As long as the key."""
        return

    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature of a private key (PKCS #8, DER), with the first of the algorithms."""
        private = serialization.load_der_private_key(key, password=None)
        assert isinstance(private, rsa.RSAPrivateKey)  # noqa: S101 - ``issue`` makes no other
        name = next(iter(self.algorithm.names.values()))
        return private.sign(content, padding.PKCS1v15(), _HASHES[name])

    def issue(self, secret: SecretFormat) -> Issued:
        """A new secret, and a certificate as if the provider had it; signed with are both, with a blank between."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        der = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        text = secret.generate()
        pem = _self_signed(private, self.certificate.example_subject)
        signing = f"{text}{_JOINT}{b64encode(der).decode()}"
        return Issued(signing, text, {self.certificate.example_url: pem})

    def checker(self, secret: SecretFormat) -> CertificateChecker:
        """What checks this signature."""
        return CertificateChecker(self, secret)

    def sign(self, secret: SecretFormat, text: str, draft: Draft) -> Draft:
        """The draft with its proof; ``text`` is what ``issue`` gave to sign with."""
        own, _, key = text.rpartition(_JOINT)
        try:
            private = binascii.a2b_base64(key, strict_mode=True)
        except ValueError:
            private = b""
        if not own or not private:
            raise InvalidSecret("Only the provider can sign: an endpoint's own secret is not enough.")
        if self.pinned:
            draft = Place(None, self.pinned, None).put(draft, own)
        draft = self.algorithm.put(self.certificate.put(draft))
        return self.sign_with(private, secret.split(own), draft)


class CertificateChecker(SignatureChecker):
    """Checks with the certificate that a request names."""

    def __init__(self, signature: CertificateSignature, secret: SecretFormat) -> None:
        super().__init__(signature, secret)
        self._certificate = signature.certificate
        self._algorithm = signature.algorithm
        self._pinned = Place(None, signature.pinned, None) if signature.pinned else None

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge the request, and then whether its certificate was valid at ``now``."""
        verdict = super().check(request, value, secrets, now)
        certificate = self._certificate.find(request)
        if isinstance(verdict, Verified) and isinstance(certificate, Certificate):
            return refuse_at(certificate, now) or verdict
        return verdict

    def _match(
        self, request: SignedRequest, signatures: list[bytes], secrets: Sequence[str], written: bytes
    ) -> int | Refusal | KeyNeeded:
        algorithm = self._algorithm.find(request)
        if isinstance(algorithm, Refusal):
            return algorithm
        usable = {index: secret for index, secret in enumerate(secrets) if self._secret.key(secret)}
        if not usable:
            return unusable(secrets)
        certificate = self._certificate.find(request)
        if not isinstance(certificate, Certificate):
            return certificate
        for index, secret in usable.items():
            content = self._content.build(request, written, self._secret.split(secret))
            if isinstance(content, Refusal):
                return content
            if any(_is_right(certificate, algorithm, signature, content) for signature in signatures):
                return index if self._pinned is None else self._match_pinned(request, usable)
            if not self._content.uses_secret:
                break
        return Refusal(
            RefusalCode.SIGNATURE_MISMATCH,
            "the signature is not the certificate's: the secret is another one, or the request was changed on its way",
        )

    def _match_pinned(self, request: SignedRequest, usable: dict[int, str]) -> int | Refusal:
        """The index of the secret that names whom the request, which is signed, is for."""
        assert self._pinned is not None  # noqa: S101 - see the caller
        named = self._pinned.find(request)
        for index, secret in usable.items():
            if secret.encode() == named:
                return index
        detail = f"the signature is right, but the {self._pinned.name} is none of the endpoint's secrets"
        return Refusal(RefusalCode.CLAIM_MISMATCH, detail)


def _is_right(certificate: Certificate, algorithm: Hash, signature: bytes, content: bytes) -> bool:
    try:
        certificate.key.verify(signature, content, padding.PKCS1v15(), _HASHES[algorithm])
    except InvalidSignature:
        return False
    return True


def _self_signed(private: rsa.RSAPrivateKey, subject: str) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_ISSUED_AT)
        .not_valid_after(_ISSUED_AT + _ISSUED_FOR)
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
