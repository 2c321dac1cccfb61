"""Scheme ``token``: the sender shows a shared secret. It proves who sent, not what: TLS must protect it."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from kanca.errors import InvalidSecret
from kanca.providers.locations import BodyPath, FieldName, HeaderName, parse_path
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.encoding import decode
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.items import ItemsChecker, sign_items
from kanca.providers.schemes.place import Place
from kanca.providers.schemes.signature_checker import unusable
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot, parse_template
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict, Verified


class SharedToken(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="token"
):
    """A token, plain or behind the name of an authentication scheme."""

    header: HeaderName | None = None
    """The header that carries it."""
    body: BodyPath | None = None
    """Instead: the field of the body."""
    query: FieldName | None = None
    """Instead: the field of the query."""
    each: BodyPath | None = None
    """A list in the body of which every item has the token: ``body`` is then within an item."""
    form: Annotated[str, Meta(max_length=200)] = "{token}"
    """``{token}``, or ``Bearer {token}``: the literal text is compared without regard to case (RFC 9110, 11.1)."""
    encoding: Literal["plain", "base64"] = "plain"
    """``base64`` with the form ``Basic {token}`` is HTTP's Basic authentication: the secret is ``user:password``."""

    def __post_init__(self) -> None:
        """Raise ValueError when the form is not literal text with the token behind it."""
        self.place()
        self.prefix()
        if self.each:
            parse_path(self.each)
            if self.body is None:
                raise ValueError("`each` is for tokens in the body")

    def place(self) -> Place:
        """Where the token is."""
        return Place(self.header, self.body, self.query)

    def prefix(self) -> str:
        """The literal text before the token."""
        *literals, slot = parse_template(self.form, {"token": False}) or ("",)
        if not isinstance(slot, Slot) or len(literals) > 1 or not self.form.isascii():
            raise ValueError(f"`{self.form}` is not literal ASCII text with {{token}} behind it")
        return "".join(str(literal) for literal in literals)

    def covers(self, _slot: Slot) -> bool:
        """A token covers nothing: who has seen one may send anything."""
        return False

    def key_problem(self, _secret: SecretFormat, _text: str) -> str | None:
        """None: any text of the secret's form is a token."""
        return None

    def issue(self, secret: SecretFormat) -> Issued:
        """A new token."""
        text = secret.generate()
        return Issued(text, text)

    def checker(self, secret: SecretFormat) -> TokenChecker | ItemsChecker:
        """What checks the token."""
        checker = TokenChecker(self, secret)
        return ItemsChecker(checker, self.each) if self.each else checker

    def sign(self, secret: SecretFormat, text: str, draft: Draft) -> Draft:
        """The draft with the token. Raises InvalidSecret when there is none."""
        if self.each:
            one = replace(self, each=None)
            return sign_items(draft, self.each, lambda item: one.sign(secret, text, item))
        key = secret.key(text)
        if key is None:
            raise InvalidSecret("The token is empty.")
        token = b64encode(key) if self.encoding == "base64" else key
        return self.place().put(draft, self.prefix() + token.decode())


class TokenChecker:
    """Compares a token in constant time."""

    missing = RefusalCode.TOKEN_MISSING

    def __init__(self, token: SharedToken, secret: SecretFormat) -> None:
        place = token.place()
        self.place_name = place.name
        self.find: Callable[[SignedRequest], bytes | None] = place.find
        self._secret = secret
        self._form = token.form
        self._is_base64 = token.encoding == "base64"
        self._prefix = token.prefix().lower().encode("ascii")

    def check(self, _request: SignedRequest, value: bytes, secrets: Sequence[str], _now: float) -> Verdict:
        """Judge the request by what is in the token's place."""
        token = self._token(value)
        if token is None:
            detail = f"the {self.place_name} does not have the form `{self._form}`"
            return Refusal(RefusalCode.TOKEN_MALFORMED, detail)
        usable = False
        for index, secret in enumerate(secrets):
            for key in self._secret.keys(secret):
                usable = True
                if hmac.compare_digest(key, token):
                    return Verified(index)
        if usable:
            return Refusal(RefusalCode.TOKEN_MISMATCH, "the token is none of the endpoint's live ones")
        return unusable(secrets)

    def _token(self, value: bytes) -> bytes | None:
        if value[: len(self._prefix)].lower() != self._prefix:
            return None
        token = value[len(self._prefix) :]
        return decode(token, "base64") if self._is_base64 else token
