"""Scheme ``token``: the sender shows a shared secret in a header. It proves who sent, not what: TLS must protect it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from kanca.errors import InvalidSecret
from kanca.providers.locations import HeaderName
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.signed_content import unusable
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot, parse_template
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict, Verified


class SharedToken(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="token"
):
    """A token in a header, plain or behind the name of an authentication scheme."""

    header: HeaderName
    form: Annotated[str, Meta(max_length=200)] = "{token}"
    """``{token}``, or ``Bearer {token}``: the literal text is compared without regard to case (RFC 9110, 11.1)."""

    def __post_init__(self) -> None:
        """Raise ValueError when the form is not literal text with the token behind it."""
        self.prefix()

    def prefix(self) -> str:
        """The literal text before the token."""
        *literals, slot = parse_template(self.form, {"token": False}) or ("",)
        if not isinstance(slot, Slot) or len(literals) > 1 or not self.form.isascii():
            raise ValueError(f"`{self.form}` is not literal ASCII text with {{token}} behind it")
        return "".join(str(literal) for literal in literals)

    def covers(self, _slot: Slot) -> bool:
        """A token covers nothing: who has seen one may send anything."""
        return False

    def checker(self, secret: SecretFormat) -> TokenChecker:
        """What checks the token."""
        return TokenChecker(self, secret)

    def sign(self, secret: SecretFormat, text: str, _draft: Draft) -> dict[str, str]:
        """The header that shows the token. Raises InvalidSecret when there is none."""
        if secret.key(text) is None:
            raise InvalidSecret("The token is empty.")
        return {self.header: self.prefix() + text}


class TokenChecker:
    """Compares a token in constant time."""

    missing = RefusalCode.TOKEN_MISSING

    def __init__(self, token: SharedToken, secret: SecretFormat) -> None:
        self.header: str | None = token.header
        self._secret = secret
        self._form = token.form
        self._prefix = token.prefix().lower().encode("ascii")

    def check(self, _request: SignedRequest, value: bytes, secrets: Sequence[str], _now: float) -> Verdict:
        """Judge the request by the value of the token's header."""
        if value[: len(self._prefix)].lower() != self._prefix:
            detail = f"the header `{self.header}` does not have the form `{self._form}`"
            return Refusal(RefusalCode.TOKEN_MALFORMED, detail)
        token = value[len(self._prefix) :]
        usable = False
        for index, secret in enumerate(secrets):
            key = self._secret.key(secret)
            if key is not None:
                usable = True
                if hmac.compare_digest(key, token):
                    return Verified(index)
        if usable:
            return Refusal(RefusalCode.TOKEN_MISMATCH, "the token is none of the endpoint's live ones")
        return unusable(secrets)
