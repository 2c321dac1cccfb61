"""No request chooses the key or the algorithm that it is checked with, for every provider of the catalogue."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from kanca.providers import KeyNeeded, Refusal, RefusalCode, SignedRequest
from kanca.providers.schemes.certificate import CertificateSignature
from kanca.providers.schemes.certificates import CertificateSource
from kanca.providers.schemes.jwt import JwtProof
from tests.providers.tampering import PROVEN, Case, Part, arrived, issued_to, parts, spoiled, verdict_on

CERTIFIED = [
    (case, case.scheme.certificate) for case in PROVEN if isinstance(case.scheme, CertificateSignature)
]
WITH_JWT = [(case, case.scheme) for case in PROVEN if isinstance(case.scheme, JwtProof)]


def look_alikes(url: str) -> Iterator[str]:
    """Addresses that are nearly the provider's."""
    split = urlsplit(url)
    host, path = split.netloc, split.path
    hosts = [f"{host}.evil.example", f"evil.example/{host}", f"evil.example#{host}", f"evil.example?{host}"]
    hosts += [f"{host}@evil.example", f"user@{host}", f"user:password@{host}", f"evil-{host}", f"x.{host}"]
    hosts += [f"{host}:443", f"{host}:8443", f"{host}.", host.replace(".", "-"), host.replace(".", "x", 1)]
    hosts += [f"{host}\\@evil.example", f"evil.example\\{host}", f"{host}%2eevil.example", f"[{host}]", ""]
    hosts += ["127.0.0.1", "[::1]", "169.254.169.254", host.replace("a", "\u0430"), f"{host}\t", f" {host}"]
    yield from (f"https://{name}{path}" for name in hosts)
    yield from (f"{scheme}://{host}{path}" for scheme in ("http", "file", "ftp", "httpsx", ""))
    yield from (
        f"{url}{end}" for end in ("?x=1", "#x", "/../x", "/x", "\n", " ", "\x00", "%00", ".evil.example")
    )
    yield from (
        f"https://{host}/../{path}",
        f"https://{host}//{path}",
        f"https://{host}/x.pem",
        f"\n{url}",
        "",
    )


@pytest.mark.parametrize(("case", "source"), CERTIFIED, ids=[str(case) for case, _ in CERTIFIED])
def test_no_certificate_is_asked_for_at_an_address_like_the_providers(
    case: Case, source: CertificateSource
) -> None:
    known = arrived(case)
    request = SignedRequest(known.method, known.url, known.headers, known.body)
    name = source.header.lower() if source.header else source.body
    part = next(part for part in parts(case) if part.name == name)
    for url in look_alikes(source.example_url):
        verdict = verdict_on(case, spoiled(request, part, url.encode()))
        assert isinstance(verdict, Refusal), url
        assert verdict.code is RefusalCode.KEY_REFUSED, url


def base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def forged(case: Case, token: str) -> Iterator[str]:
    """The token with another header: another algorithm, another key."""
    header, claims, signature = token.split(".")
    told = json.loads(urlsafe_b64decode(f"{header}=="))
    own: dict[str, Any] = {
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/x.pem",
        "jwk": {"kty": "oct", "k": "eA"},
    }
    changes: list[dict[str, Any]] = [
        {"alg": name} for name in ("none", "None", "NONE", "", "HS256", "HS512", "RS256", "ES256", "PS256")
    ]
    changes += [{**own, "kid": kid} for kid in ("", "../../x", "https://evil.example/keys", 0, None, ["x"])]
    for change in [*changes, own, {"crit": ["x"]}, {"b64": False, "crit": ["b64"]}]:
        if (changed := {**told, **change}) == told:
            continue
        beginning = f"{base64url(json.dumps(changed).encode())}.{claims}"
        yield f"{beginning}."
        yield f"{beginning}.{signature}"
        # What is public must be no secret: the keys that anybody can fetch, the endpoint's own name, nothing.
        for key in (b"", *issued_to(case).documents.values()):
            yield f"{beginning}.{base64url(hmac.digest(key, beginning.encode(), 'sha256'))}"


@pytest.mark.parametrize(("case", "proof"), WITH_JWT, ids=[str(case) for case, _ in WITH_JWT])
def test_no_token_chooses_its_algorithm_or_its_key(case: Case, proof: JwtProof) -> None:
    part: Part = next(part for part in parts(case) if part.name == proof.header.lower())
    beginning, space, token = part.value.decode().rpartition(" ")
    for text in forged(case, token):
        verdict = verdict_on(case, spoiled(arrived(case), part, f"{beginning}{space}{text}".encode()))
        # A key that is not in the set may be in a newer one: at the provider's own address, never at another.
        assert isinstance(verdict, Refusal) or verdict == KeyNeeded(proof.keys_url or "", True), text
