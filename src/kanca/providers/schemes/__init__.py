"""How a sender proves itself: one file a scheme.

A scheme is a struct, its description in a spec, that says what it covers, makes the checker for an endpoint and signs
as the sender would. A new scheme is a new file and a name in ``Scheme``; one that signs a template of the request's
parts derives from ``SignedContent`` and adds three short methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kanca.providers.schemes.braintree import BraintreeSignature
from kanca.providers.schemes.certificate import CertificateSignature
from kanca.providers.schemes.contentful import ContentfulSignature
from kanca.providers.schemes.hash import HashSignature
from kanca.providers.schemes.hmac import HmacSignature
from kanca.providers.schemes.jwt import JwtProof
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.public_key import EcdsaSignature, Ed25519Signature, RsaSignature
from kanca.providers.schemes.token import SharedToken
from kanca.providers.schemes.twilio import TwilioSignature
from kanca.providers.verdict import RefusalCode, SignedRequest, Verdict

Scheme = (
    HmacSignature
    | HashSignature
    | Ed25519Signature
    | EcdsaSignature
    | RsaSignature
    | CertificateSignature
    | TwilioSignature
    | BraintreeSignature
    | ContentfulSignature
    | JwtProof
    | SharedToken
    | Unsigned
)
"""Told apart by ``scheme`` in a spec."""


class Checker(Protocol):
    """Checks one scheme for one endpoint."""

    @property
    def place_name(self) -> str:
        """Where the proof is looked for, in words; empty when there is nothing to look for."""

    @property
    def missing(self) -> RefusalCode:
        """What it is called when nothing is there."""

    def find(self, request: SignedRequest, /) -> bytes | None:
        """The proof, as it is written; None when there is none."""

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float, /) -> Verdict:
        """Judge the request by what was found."""
