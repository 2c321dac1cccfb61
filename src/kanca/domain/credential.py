"""Credentials: what nodes and deliveries prove themselves with to the servers that they ask, under a name.

Definitions of workflows and subscriptions name them; what they consist of stands in no definition, step or log.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import quote_plus, urlsplit

from kanca.domain.ids import CHOSEN_ID
from kanca.errors import CredentialNotFound

MAX_VALUE_LENGTH = 8192
"""Of each text that a credential consists of: what servers take as a header, at the most."""
MAX_CERTIFICATE_LENGTH = 65_536
"""Of a chain of certificates in PEM."""
MAX_PRIVATE_KEY_LENGTH = 16_384
"""Of a private key in PEM: RSA with 8192 bits has some 6,400 characters."""
MIN_HIDDEN_LENGTH = 8
"""A shorter secret is not looked for where it may come back: ordinary words would be hidden with it."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WORD = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+")
_TEXT = re.compile(r"(?!\s)[^\x00-\x1f\x7f\ud800-\udfff]*(?<!\s)")
_ANYTHING = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
_SOMETHING = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_LINES = re.compile(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]+")
_SCOPE = re.compile(r"(?:[\x21\x23-\x5b\x5d-\x7e]+(?: (?!$)|$))+")


class CredentialKind(StrEnum):
    """How a credential is shown to a server."""

    BEARER = "bearer"
    """``{token}``: the header ``Authorization: Bearer …``."""
    BASIC = "basic"
    """``{username, password}``: the header ``Authorization: Basic …`` (RFC 7617). The password may be empty."""
    HEADER = "header"
    """``{name, value}``: a header."""
    QUERY = "query"
    """``{name, value}``: a parameter of the URL."""
    OAUTH2 = "oauth2"
    """``{token_url, client_id, client_secret, scope?}``: a bearer token that the client credentials grant gives (RFC
    6749 section 4.4)."""
    MTLS = "mtls"
    """``{certificate, private_key}``, in PEM: a client certificate, perhaps with its chain behind it."""


FIELDS: Mapping[CredentialKind, tuple[str, ...]] = {
    CredentialKind.BEARER: ("token",),
    CredentialKind.BASIC: ("username", "password"),
    CredentialKind.HEADER: ("name", "value"),
    CredentialKind.QUERY: ("name", "value"),
    CredentialKind.OAUTH2: ("token_url", "client_id", "client_secret", "scope"),
    CredentialKind.MTLS: ("certificate", "private_key"),
}
"""What each kind consists of."""
PLAIN_KINDS = frozenset(CredentialKind) - {CredentialKind.OAUTH2, CredentialKind.MTLS}
"""Those that are a header or a parameter as they stand (``additions``)."""

_MAY_BE_EMPTY = frozenset({(CredentialKind.BASIC, "password")})
_MAY_BE_ABSENT = frozenset({(CredentialKind.OAUTH2, "scope")})
_LENGTHS: Mapping[tuple[CredentialKind, str], int] = {
    (CredentialKind.MTLS, "certificate"): MAX_CERTIFICATE_LENGTH,
    (CredentialKind.MTLS, "private_key"): MAX_PRIVATE_KEY_LENGTH,
}

_FORMS: Mapping[tuple[CredentialKind, str], tuple[re.Pattern[str], str]] = {
    (CredentialKind.BEARER, "token"): (_WORD, "must be a text without spaces and control characters"),
    (CredentialKind.BASIC, "username"): (
        re.compile(r"[^:\x00-\x1f\x7f\ud800-\udfff]+"),
        "must be a text without colons and control characters",
    ),
    (CredentialKind.BASIC, "password"): (_ANYTHING, "must have no control characters"),
    (CredentialKind.HEADER, "name"): (_TOKEN, "must be the name of a header"),
    (CredentialKind.HEADER, "value"): (_TEXT, "must have no control characters, and no spaces around it"),
    (CredentialKind.QUERY, "name"): (_WORD, "must be a text without spaces and control characters"),
    (CredentialKind.QUERY, "value"): (_ANYTHING, "must have no control characters"),
    (CredentialKind.OAUTH2, "token_url"): (
        re.compile(r"https?://[^\s\x00-\x1f\x7f\ud800-\udfff\\#]+", re.IGNORECASE),
        "must be a URL that begins with https:// or http:// and has no fragment",
    ),
    (CredentialKind.OAUTH2, "client_id"): (_SOMETHING, "must have no control characters"),
    (CredentialKind.OAUTH2, "client_secret"): (_SOMETHING, "must have no control characters"),
    (CredentialKind.OAUTH2, "scope"): (
        _SCOPE,
        "must be words with one space between them (RFC 6749 section 3.3)",
    ),
    (CredentialKind.MTLS, "certificate"): (_LINES, "must be a text in PEM"),
    (CredentialKind.MTLS, "private_key"): (_LINES, "must be a text in PEM"),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential in clear (it is encrypted where it is stored)."""

    name: str
    kind: CredentialKind
    values: Mapping[str, str] = field(repr=False)
    """By the names in FIELDS."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What a credential adds to a request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)


class ImpossibleCredential(ValueError):
    """A credential that cannot be; ``problems`` are ``(key, what is wrong)``, and say no value."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{key}: {what}" for key, what in problems))


class Credentials(Protocol):
    """Gives credentials by name."""

    async def get(self, name: str) -> Credential:
        """The credential as it is now. Raises CredentialNotFound, and whatever keeps it from being read."""
        ...


def credential_not_found(name: str) -> CredentialNotFound:
    """The error for a name that no credential has."""
    return CredentialNotFound(f"There is no credential {name[:64]!a}")


def read_credential(name: str, kind: str, values: Mapping[str, str]) -> Credential:
    """The credential of that kind that consists of ``values``. Raises ImpossibleCredential with all that is wrong."""
    problems: list[tuple[str, str]] = []
    if not CHOSEN_ID.fullmatch(name):
        problems.append(("credential", 'its name is 1 to 64 letters, digits, "-" or "_"'))
    if kind not in list(CredentialKind):
        known = ", ".join(CredentialKind)
        raise ImpossibleCredential([*problems, ("kind", f"must be one of: {known}")])
    read_kind = CredentialKind(kind)
    problems += [
        (key, f"is no part of {_article(read_kind)} {kind} credential")
        for key in values
        if key not in FIELDS[read_kind]
    ]
    for key in FIELDS[read_kind]:
        what = _problem(read_kind, key, values.get(key))
        if what is not None:
            problems.append((key, what))
    if problems:
        raise ImpossibleCredential(problems)
    return Credential(name, read_kind, dict(values))


def additions(credential: Credential) -> Additions:
    """What the credential adds to a request. Raises ValueError for a kind that is not among PLAIN_KINDS."""
    values = credential.values
    match credential.kind:
        case CredentialKind.BEARER:
            return Additions(headers={"Authorization": f"Bearer {values['token']}"})
        case CredentialKind.BASIC:
            return Additions(headers={"Authorization": f"Basic {_basic(values)}"})
        case CredentialKind.HEADER:
            return Additions(headers={values["name"]: values["value"]})
        case CredentialKind.QUERY:
            return Additions(query={values["name"]: values["value"]})
        case _:
            raise ValueError(f"a credential of the kind {credential.kind} is not sent as it stands")


def client_authorization(credential: Credential) -> str:
    """How the client of an ``oauth2`` credential proves itself to the token's server: the header Authorization.

    Both parts are encoded as in forms before they are joined (RFC 6749 section 2.3.1).
    """
    client_id, client_secret = (quote_plus(credential.values[key]) for key in ("client_id", "client_secret"))
    return "Basic " + b64encode(f"{client_id}:{client_secret}".encode()).decode()


def secrets_of(credential: Credential) -> frozenset[str]:
    """The texts that nobody may see, where a server sends back what it was asked with.

    Those with fewer than MIN_HIDDEN_LENGTH characters are left out.
    """
    return frozenset(
        text for text in _secrets(credential.kind, credential.values) if len(text) >= MIN_HIDDEN_LENGTH
    )


def _secrets(kind: CredentialKind, values: Mapping[str, str]) -> Iterable[str]:
    match kind:
        case CredentialKind.BEARER:
            return (values["token"],)
        case CredentialKind.BASIC:
            # A key that stands alone stands in the username's place. Not everybody writes the padding.
            return values["password"] or values["username"], _basic(values).rstrip("=")
        case CredentialKind.HEADER:
            # `Token 0123…`: what is behind the scheme is a secret without it too.
            return values["value"], values["value"].rpartition(" ")[2]
        case CredentialKind.QUERY:
            return (values["value"],)
        case CredentialKind.OAUTH2:
            return (values["client_secret"],)
        case CredentialKind.MTLS:
            return ()  # it is never sent


def _problem(kind: CredentialKind, key: str, value: str | None) -> str | None:
    if value is None and (kind, key) in _MAY_BE_ABSENT:
        return None
    if value is None or (not value and (kind, key) not in _MAY_BE_EMPTY):
        return f"{_article(kind)} {kind} credential needs it"
    longest = _LENGTHS.get((kind, key), MAX_VALUE_LENGTH)
    if len(value) > longest:
        return f"has more than {longest} characters"
    form, sentence = _FORMS[kind, key]
    if not form.fullmatch(value) or (key == "token_url" and not _is_url(value)):
        return sentence
    return None


def _article(kind: CredentialKind) -> str:
    return "an" if kind in (CredentialKind.OAUTH2, CredentialKind.MTLS) else "a"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.username is None and parts.password is None and parts.port != 0
    except ValueError:
        return False


def _basic(values: Mapping[str, str]) -> str:
    return b64encode(f"{values['username']}:{values['password']}".encode()).decode()
