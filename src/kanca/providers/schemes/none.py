"""Scheme ``none``: the provider proves nothing. Whoever knows the address may send."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.issued import Issued
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.verdict import RefusalCode, SignedRequest, Verdict, Verified


class Unsigned(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="none"):
    """No proof at all, said openly: never what a missing description falls back to."""

    def covers(self, _slot: Slot) -> bool:
        """Nothing is covered."""
        return False

    def checker(self, _secret: SecretFormat) -> UnsignedChecker:
        """What lets everything through."""
        return UnsignedChecker()

    def key_problem(self, _secret: SecretFormat, _text: str) -> str | None:
        """None: no secret is used."""
        return None

    def issue(self, _secret: SecretFormat) -> Issued:
        """Nothing to sign with."""
        return Issued("", "")

    def sign(self, _secret: SecretFormat, _text: str, draft: Draft) -> Draft:
        """The draft as it is."""
        return draft


class UnsignedChecker:
    """Finds every request as good as any other."""

    missing = RefusalCode.SIGNATURE_MISSING
    place_name = ""

    def find(self, _request: SignedRequest) -> bytes | None:
        """Nothing has to be there."""
        return b""

    def check(self, _request: SignedRequest, _value: bytes, _secrets: Sequence[str], _now: float) -> Verdict:
        """Let the request through, with no secret named as its proof."""
        return Verified()
