"""Signed deliveries of every provider and variant, the parts that their proof rests on, and how a part is changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from kanca.providers import (
    Draft,
    Issued,
    ProviderSpec,
    SignedRequest,
    Verdict,
    Verifier,
    compile_verifier,
    configure,
    get_provider,
    issue,
    make_delivery,
    provider_names,
)
from kanca.providers.locations import scalar_of
from kanca.providers.schemes import Scheme
from kanca.providers.schemes.content import content_slots
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.template import Slot
from tests.providers.arriving import NOW

URL = "https://hooks.example.com/webhooks/x"
BODY = Slot("body", "")
FORM = b"application/x-www-form-urlencoded"


class Case(NamedTuple):
    """One way in which a provider proves itself."""

    provider: str
    variant: str | None
    alternative: int
    """Which of its signatures, where it has several."""

    @property
    def options(self) -> dict[str, Any] | None:
        return {"variant": self.variant} if self.variant else None

    @property
    def spec(self) -> ProviderSpec:
        """Without its other variants."""
        return configure(get_provider(self.provider), self.options)

    @property
    def scheme(self) -> Scheme:
        return self.spec.signatures[self.alternative]

    def __str__(self) -> str:
        return "-".join(filter(None, [self.provider, self.variant, str(self.alternative or "")]))


def _cases() -> Iterator[Case]:
    for name in provider_names():
        for variant in (None, *get_provider(name).variants):
            first = Case(name, variant, 0)
            yield from (Case(name, variant, index) for index in range(len(first.spec.signatures)))


EVERY_CASE = tuple(_cases())
PROVEN = tuple(case for case in EVERY_CASE if not isinstance(case.scheme, Unsigned))
"""Those with any proof at all."""
TIMED = tuple((case, time) for case in PROVEN if (time := getattr(case.scheme, "timestamp", None)))
BODY_SIGNED = tuple(case for case in PROVEN if case.scheme.covers(BODY))


@cache
def issued_to(case: Case, number: int = 0) -> Issued:
    """What the provider gave to the endpoint; other numbers are other endpoints."""
    return issue(case.spec)


@cache
def verifier_of(case: Case) -> Verifier:
    return compile_verifier(get_provider(case.provider), case.options)


@cache
def drafted(case: Case, now: float = NOW) -> Draft:
    """A sample, not signed yet."""
    return make_delivery(case.spec, None, now=now, url=URL, delivery_id="dlv-0001").draft


@cache
def sent_by(case: Case, now: float = NOW) -> Draft:
    """The sample, signed at ``now``."""
    return case.scheme.sign(case.spec.secret, issued_to(case).signing, drafted(case, now))


def arrived(case: Case, now: float = NOW) -> SignedRequest:
    """The signed sample as it comes in, with what a receiver would fetch to check it."""
    request = sent_by(case, now).request()
    request.documents = issued_to(case).documents
    return request


def verdict_on(case: Case, request: SignedRequest, now: float = NOW) -> Verdict:
    return verifier_of(case).verify(request, [issued_to(case).checking], now)


# --- Parts -----------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A value that the proof rests on."""

    place: Literal["header", "field", "query"]
    name: str
    """A header's name in lower case, a dotted path in the body, or a field of the query."""
    value: bytes
    is_proof: bool
    """It is the signature or token itself, maybe with a time beside it."""

    def __str__(self) -> str:
        return f"{self.place} {self.name}"


@cache
def parts(case: Case) -> tuple[Part, ...]:
    """The headers and fields that signing wrote, that the scheme names, and that are signed with them."""
    before, after = drafted(case).request(), arrived(case)
    scheme = case.scheme
    headers = {name.lower() for name in _named(scheme, frozenset({"header", "id_header"}))} | _signed(
        scheme, "header"
    )
    fields = _named(scheme, frozenset({"body", "pinned"})) | _signed(scheme, "body")
    found = [
        Part("header", name.decode(), value, _is_in_header(scheme, name.decode()))
        for name, value in after.headers.items()
        if name.decode() in headers or before.headers.get(name) != value
    ]
    earlier = dict(leaves(before.document()))
    found += [
        Part("field", path, value.encode(), _is_in_field(scheme, path))
        for path, value in leaves(after.document())
        if earlier.get(path) != value
        or (not scheme.covers(BODY) and (path in fields or scheme.covers(Slot("body", path))))
    ]
    signed_query = _signed(scheme, "query")
    found += [
        Part("query", name, value.encode(), name == getattr(scheme, "query", None))
        for name, value in after.query().items()
        if before.query().get(name) != value or name in signed_query
    ]
    return tuple(found)


def _named(scheme: Scheme, keys: frozenset[str]) -> set[str]:
    """What the scheme calls by one of these keys, at whatever level."""

    def names(described: dict[str, Any]) -> Iterator[str]:
        for key, value in described.items():
            if isinstance(value, dict):
                yield from names(value)
            elif key in keys and isinstance(value, str):
                yield value

    return set(names(msgspec.to_builtins(scheme)))


def _signed(scheme: Scheme, slot_name: str) -> set[str]:
    """The headers or fields that any template of what is signed has."""
    templates = scheme.templates() if isinstance(scheme, SignedContent) else ()
    slots = (slot for template in templates for slot in content_slots([template]))
    return {slot.argument for slot in slots if slot.name == slot_name}


def _is_in_header(scheme: Scheme, name: str) -> bool:
    header = (getattr(scheme, "header", None) or "").lower()
    return name.startswith(header[:-1]) if header.endswith("*") else name == header


def _is_in_field(scheme: Scheme, path: str) -> bool:
    each = getattr(scheme, "each", None)
    item = rf"{re.escape(each)}\.\d+\." if each else ""
    return re.fullmatch(item + re.escape(getattr(scheme, "body", None) or ""), path) is not None


def leaves(document: object, path: str = "") -> Iterator[tuple[str, str]]:
    """The texts, numbers and booleans of a document, by their dotted paths."""
    if isinstance(document, dict | list):
        entries = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in entries:
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif (text := scalar_of(document)) is not None:
        yield path, text


def spoiled(request: SignedRequest, part: Part, value: bytes | None) -> SignedRequest:
    """The request with another value there, or with none."""
    headers, url, body = dict(request.headers), request.url, request.body
    text = None if value is None else value.decode("utf-8", "surrogateescape")
    if part.place == "header" and value is not None:
        headers[part.name.encode()] = value
    elif part.place == "header":
        del headers[part.name.encode()]
    elif part.place == "query":
        split = urlsplit(url)
        url = urlunsplit(split._replace(query=_with_form_field(split.query, part.name, text)))
    else:
        body = _with_field(request, part, text)
    return SignedRequest(request.method, url, headers, body, request.documents)


def _with_field(request: SignedRequest, part: Part, value: str | None) -> bytes:
    """The body with another value in a field. What is neither JSON nor a form is changed where the value is found."""
    if FORM in request.headers.get(b"content-type", b""):
        return _with_form_field(request.body.decode(), part.name, value).encode()
    try:
        document = json.loads(request.body)
    except ValueError:
        return request.body.replace(part.value, (value or "").encode("utf-8", "surrogateescape"), 1)
    return json.dumps(_with_value(document, part.name.split("."), value)).encode()


def _with_form_field(text: str, name: str, value: str | None) -> str:
    fields = [(key, old) for key, old in parse_qsl(text, keep_blank_values=True) if key != name]
    return urlencode([*fields, *([] if value is None else [(name, value)])], errors="surrogateescape")


def _with_value(document: Any, path: list[str], value: str | None) -> Any:
    key = int(path[0]) if isinstance(document, list) else path[0]
    if path[1:]:
        document[key] = _with_value(document[key], path[1:], value)
    elif value is None:
        del document[key]
    else:
        document[key] = value
    return document
