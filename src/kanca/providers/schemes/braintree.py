"""Scheme ``braintree``: an HMAC over one field of a form, its key the hash of the private key.

braintree 4.48.0 (Python), webhook_notification_gateway.py and util/crypto.py. ``bt_signature`` is a list of
``public_key|signature`` with ``&`` between; ``bt_payload`` is XML in Base64, signed as it is or with a line's end.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import encodebytes
from collections.abc import Sequence
from typing import Annotated, ClassVar
from urllib.parse import parse_qsl, urlencode

from msgspec import Meta
from msgspec.structs import replace

from kanca.errors import InvalidSecret
from kanca.providers.locations import BodyPath
from kanca.providers.schemes.content import Secret
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.header_form import MAX_HEADER_BYTES
from kanca.providers.schemes.hmac import Algorithm, HmacSignature
from kanca.providers.schemes.signature_checker import SignatureChecker
from kanca.providers.schemes.signed_content import Content, SignedContent
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict

_CHALLENGE = re.compile(rb"[a-f0-9]{20,32}\n?")
"""What anybody may have signed, by the handshake: never a payload."""


class BraintreeSignature(HmacSignature, frozen=True, tag="braintree"):
    """The signature of Braintree. The secret is ``private_key:public_key``."""

    algorithm: Algorithm = "sha1"
    body: BodyPath | None = "bt_signature"
    separator: Annotated[str, Meta(pattern=r"^&\Z")] = "&"
    signed_content: Content | tuple[Content, ...] = "{body:bt_payload}"
    body_unsigned: bool = True
    signature_is_id: bool = True

    identity_is_signature: ClassVar[bool] = False

    def covers(self, slot: Slot) -> bool:
        """Also what is within the payload."""
        is_within = slot.name == "body" and slot.argument.split(".")[0] == "bt_payload"
        return is_within or super().covers(slot)

    def make(self, key: bytes, content: bytes) -> bytes:
        """The HMAC of the content."""
        return super().make(hashlib.sha1(key).digest(), content)  # noqa: S324 - the provider's way to derive its key

    def identify(self, key: bytes, content: bytes) -> bytes:
        """The signature of the payload, the same whether its last line's end came with it or not."""
        return self.make(key, content.rstrip(b"\n"))

    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether one of the signatures is that of the content, as it is or with a line's end."""
        found = False
        for expected in (self.make(key, content), self.make(key, content + b"\n")):
            for signature in signatures:
                found |= hmac.compare_digest(expected, signature)
        return found and not _CHALLENGE.fullmatch(content)

    def checker(self, secret: SecretFormat) -> SignatureChecker:
        """What checks this signature."""
        return _Checker(self, secret)

    def sign_with(self, key: bytes, parts: Secret, draft: Draft) -> Draft:
        """The draft with its proof, beside the public key. A payload that is still XML becomes Base64."""
        public_key = parts.get("public_key", "")
        if not re.fullmatch(r"[A-Za-z0-9_]+", public_key):
            raise InvalidSecret("The secret has no public key of Braintree's as its second part.")
        fields = dict(parse_qsl(draft.body.decode(errors="replace")))
        if fields.get("bt_payload", "").startswith("<"):
            payload = encodebytes(fields["bt_payload"].encode()).decode().strip()
            draft = replace(draft, body=urlencode({**fields, "bt_payload": payload}).encode())
        return SignedContent.sign_with(replace(self, form=f"{public_key}|{{signature}}"), key, parts, draft)


class _Checker(SignatureChecker):
    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge the request by the signatures that are said to be of the endpoint's own public keys."""
        pairs = [pair.rpartition(b"|") for pair in value[: MAX_HEADER_BYTES + 1].split(b"&")]
        if not any(separator for _, separator, _ in pairs):
            detail = f"the {self.place_name} is no list of public keys and signatures"
            return Refusal(RefusalCode.SIGNATURE_MALFORMED, detail)
        texts = {self._secret.split(secret).get("public_key", "") for secret in secrets} - {""}
        own = {text.encode("utf-8", "surrogatepass") for text in texts}
        signatures = [signature for public_key, _, signature in pairs if public_key in own]
        if own and not signatures:
            return Refusal(
                RefusalCode.SIGNATURE_MISMATCH, "no signature is said to be of the endpoint's public key"
            )
        return super().check(request, b"&".join(signatures) or value, secrets, now)
