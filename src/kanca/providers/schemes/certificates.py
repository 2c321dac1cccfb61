"""Certificates that a request names: which of them are the provider's, and what they are.

A request may name any; only addresses that the spec pins are ever fetched. What vouches for a certificate is the TLS
connection to the provider that it is fetched by; its own chain is not followed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Meta, Struct

from kanca.providers.locations import BodyPath, HeaderName
from kanca.providers.patterns import check_pattern, fits
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.place import Place
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest

Pattern = Annotated[str, Meta(min_length=1, max_length=500)]
Hash = Literal["sha256", "sha1"]

_MOST_URL_BYTES = 500
_KEPT_CERTIFICATES = 64
_LEAST_KEY_BITS = 2048


class Certificate(NamedTuple):
    """What is needed of a certificate."""

    key: rsa.RSAPublicKey
    subjects: tuple[str, ...]
    """Its common names."""
    valid_from: float
    """Unix seconds."""
    valid_until: float


class CertificateSource(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a request says which certificate it was signed with, and which it may be."""

    header: HeaderName | None = None
    body: BodyPath | None = None
    """Instead: the field of the body."""
    urls: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    """Regular expressions, of which one must fit the whole address: scheme, host and path."""
    subjects: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    """Regular expressions, of which one must fit a whole common name of the certificate's subject."""
    example_url: str
    """An address that fits, and a common name that does: for rehearsals."""
    example_subject: str

    def __post_init__(self) -> None:
        """Raise ValueError for patterns that cannot be read, or that let the address be anything but plain HTTPS."""
        self.place()
        for pattern in (*self.urls, *self.subjects):
            check_pattern(pattern)
        is_fit = _fits(self.urls, self.example_url) and _fits(self.subjects, self.example_subject)
        if not is_fit or not _is_plain_https(self.example_url):
            raise ValueError("example_url and example_subject must fit the patterns, over https")
        for host in _foreign_hosts(urlsplit(self.example_url).netloc):
            if _fits(self.urls, urlsplit(self.example_url)._replace(netloc=host).geturl()):
                raise ValueError(f"urls would fit a certificate of anybody's, at {host}")

    def place(self) -> Place:
        """Where the address is."""
        return Place(self.header, self.body, None)

    def find(self, request: SignedRequest) -> Certificate | Refusal | KeyNeeded:
        """The certificate that the request names."""
        named = self.place().find(request)
        if named is None:
            return _refused(f"no {self.place().name}, which names the certificate")
        url = named.decode("ascii", "replace")
        if len(url) > _MOST_URL_BYTES or not _is_plain_https(url) or not _fits(self.urls, url):
            return _refused("the certificate's address is not one of the provider's")
        document = request.documents.get(url)
        if document is None:
            return KeyNeeded(url)
        certificate = _read(document)
        if certificate is None:
            return _refused("what is at the certificate's address is no certificate with an RSA key")
        if not any(_fits(self.subjects, subject) for subject in certificate.subjects):
            return _refused("the certificate's subject is not the provider")
        return certificate

    def put(self, draft: Draft) -> Draft:
        """The draft naming the example."""
        return self.place().put(draft, self.example_url)


class AlgorithmChoice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a request says with which hash it was signed, and which it may be."""

    header: HeaderName | None = None
    body: BodyPath | None = None
    """Instead: the field of the body."""
    names: Annotated[dict[str, Hash], Meta(min_length=1)]
    """What stands there, and the hash that it means. The first is what rehearsals are signed with."""

    def __post_init__(self) -> None:
        """Raise ValueError when there is not exactly one place."""
        self.place()

    def place(self) -> Place:
        """Where the name is."""
        return Place(self.header, self.body, None)

    def find(self, request: SignedRequest) -> Hash | Refusal:
        """The hash that the request names."""
        named = (self.place().find(request) or b"").decode("ascii", "replace")
        chosen = self.names.get(named)
        if chosen is None:
            return _refused(f"the {self.place().name} does not name an algorithm that is allowed")
        return chosen

    def put(self, draft: Draft) -> Draft:
        """The draft naming the first."""
        return self.place().put(draft, next(iter(self.names)))


def refuse_at(certificate: Certificate, now: float) -> Refusal | None:
    """A refusal of a certificate that is not valid at ``now`` (Unix seconds)."""
    if certificate.valid_from <= now <= certificate.valid_until:
        return None
    until = datetime.fromtimestamp(certificate.valid_until, UTC).date().isoformat()
    since = datetime.fromtimestamp(certificate.valid_from, UTC).date().isoformat()
    return _refused(f"the certificate is valid from {since} to {until} only")


@lru_cache(maxsize=_KEPT_CERTIFICATES)
def _read(document: bytes) -> Certificate | None:
    """The first certificate of a PEM file: where there is a chain, the sender's own comes first."""
    try:
        certificate = x509.load_pem_x509_certificates(document)[0]
        key = certificate.public_key()
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _LEAST_KEY_BITS:
        return None
    return Certificate(
        key,
        tuple(str(name.value) for name in names),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def _is_plain_https(url: str) -> bool:
    """Whether an address is HTTPS with a host and a path, and nothing besides: no port, no user, no query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_bare = parts.netloc == parts.hostname and not (parts.query or parts.fragment)
    return parts.scheme == "https" and is_bare and url.isascii() and "\\" not in url


def _foreign_hosts(host: str) -> tuple[str, ...]:
    """Hosts that somebody else could have: another, one below another, and one without the dot before a domain."""
    beginning, dot, domain = host.rpartition(".")
    rest, _, name = beginning.rpartition(".")
    unescaped = (f"{rest}x{name}{dot}{domain}",) if rest else ()
    return ("attacker.example", f"{host}.attacker.example", *unescaped)


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return any(fits(pattern, text) for pattern in patterns)


def _refused(detail: str) -> Refusal:
    return Refusal(RefusalCode.KEY_REFUSED, detail)
