"""What a spec says, in words: for the API, the command line and the pages of the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from kanca.providers.schemes import Scheme
from kanca.providers.schemes.hmac import HmacSignature
from kanca.providers.schemes.jwt import JwtProof
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.place import Place
from kanca.providers.schemes.token import SharedToken
from kanca.providers.spec import ProviderSpec
from kanca.providers.timestamps import Timestamp

LABELS: Mapping[str, str] = {
    "confirmed": "read in the provider's own documentation or code",
    "secondary": "read at third parties",
    "recalled": "from memory, and not checked against a source",
}
"""How well a provider's formula is known."""

_MADE: Mapping[str, str] = {
    "hash": "{algorithm} hash with the secret in it",
    "hmac": "HMAC-{algorithm}",
    "ed25519": "Ed25519 signature",
    "ecdsa": "ECDSA signature (P-256, SHA-256)",
    "rsa": "RSA signature (PKCS #1 v1.5, SHA-256)",
    "certificate": "RSA signature of a certificate that the request names",
}
_OWN_HMAC = "HMAC-{algorithm}, in a way of the provider's own,"
_UNITS: Mapping[str, str] = {
    "s": "Unix seconds",
    "ms": "Unix milliseconds",
    "iso": "an RFC 3339 time",
    "http-date": "an HTTP date",
}


def scheme_of(signature: Scheme) -> str:
    """The name of the scheme, as a spec has it."""
    return str(signature.__struct_config__.tag)


def place_of(signature: Scheme) -> Place | None:
    """Where the proof is; None where there is none, or the scheme has a place of its own."""
    place = getattr(signature, "place", None)
    return place() if place else None


def contents_of(signature: Scheme) -> tuple[str, ...]:
    """The templates of what is signed; empty where nothing is."""
    templates = getattr(signature, "templates", None)
    return tuple(templates()) if templates else ()


def signature_in_words(signature: Scheme) -> str:
    """How it is proven who sends, and what is proven of the request, in a sentence."""
    place = place_of(signature)
    where = f" in the {place.name}" if place else ""
    form = getattr(signature, "form", "")
    written = f", written `{form}`" if form not in ("", "{signature}", "{token}") else ""
    if isinstance(signature, Unsigned):
        return "Nothing is proven: whoever knows the address may send."
    if isinstance(signature, SharedToken):
        encoded = " in base64" if signature.encoding == "base64" else ""
        return f"A shared token{encoded}{where}{written}. Nothing of the request is signed."
    if isinstance(signature, JwtProof):
        return _token_in_words(signature)
    scheme = scheme_of(signature)
    algorithm = getattr(signature, "algorithm", "")
    made = _MADE.get(scheme) or (_OWN_HMAC if isinstance(signature, HmacSignature) else f"`{scheme}` proof")
    made = made.format(algorithm=_algorithm(algorithm))
    contents = " or of ".join(f"`{_line(content)}`" for content in contents_of(signature))
    encoding = getattr(signature, "encoding", "")
    encoded = f", in {encoding}," if encoding and where else ""
    return f"{made[0].upper()}{made[1:]}{' of ' + contents if contents else ''}{encoded}{where}{written}."


def _token_in_words(token: JwtProof) -> str:
    key = "a key that the provider publishes" if token.keys_url else "the shared secret"
    written = f", written `{token.form}`" if token.form != "{token}" else ""
    covers = f"Its claim `{token.body_claim}` has the hash of the body" if token.body_claim else ""
    covers = covers or "It says who sends, and covers nothing of the request"
    return f"JSON Web Token, signed with {key} ({token.algorithm}), in the header `{token.header}`{written}. {covers}."


def time_in_words(signature: Scheme) -> str:
    """Whether the time of a request is proven, and how far it may be from now, in a sentence."""
    if isinstance(signature, JwtProof):
        ends = "The token says when it ends" if signature.has_expiry else "The token may say when it ends"
        return f"{ends}: until {span(signature.leeway_seconds)} later it is taken."
    timestamp = timestamp_of(signature)
    if timestamp is None:
        return "No time is signed: how old a request is cannot be told."
    where = "beside the signature"
    if timestamp.header:
        where = f"in the header `{timestamp.header}`"
    elif timestamp.body:
        where = f"in the field `{timestamp.body}` of the body"
    behind, ahead = span(timestamp.max_age_seconds), span(timestamp.max_ahead_seconds)
    return f"The signed time is {where}, {_UNITS[timestamp.unit]}: at most {behind} old and {ahead} ahead."


def timestamp_of(signature: Scheme) -> Timestamp | None:
    """The time that the signature covers."""
    timestamp: Timestamp | None = getattr(signature, "timestamp", None)
    return timestamp


def other_parameters(signature: Scheme) -> dict[str, Any]:
    """What its scheme alone has, such as where a certificate is named."""
    written: dict[str, Any] = _written(signature)
    told = _TOLD | {name for name, value in written.items() if name == "algorithm" and isinstance(value, str)}
    return {name: value for name, value in written.items() if name not in told}


def as_written(spec: ProviderSpec) -> dict[str, Any]:
    """The spec as somebody would write it: ``parse_spec`` reads it back. What is as always is left out."""
    written: dict[str, Any] = _written(spec)
    if spec.variants:
        written["variants"] = {
            name: {key: _written(getattr(variant, key)) for key in changes_of(spec, variant)}
            for name, variant in spec.variants.items()
        }
    return written


def changes_of(spec: ProviderSpec, variant: ProviderSpec) -> list[str]:
    """The keys in which a variant differs from its provider."""
    return [
        key
        for key in ProviderSpec.__struct_fields__
        if key != "variants" and getattr(spec, key) != getattr(variant, key)
    ]


def span(seconds: float) -> str:
    """A duration in the unit that it is whole in: ``5 min``, ``72 h``, ``15 s``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:g} s"


_TOLD = frozenset(
    {
        "scheme",
        "header",
        "body",
        "query",
        "form",
        "encoding",
        "signed_content",
        "body_unsigned",
        "timestamp",
        "id_header",
    }
)


def _written(value: Any) -> Any:
    if isinstance(value, Struct):
        tag = {"scheme": scheme_of(value)} if value.__struct_config__.tag else {}  # type: ignore[arg-type] # only schemes have one
        return tag | {
            field.name: _written(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if getattr(value, field.name) != _default(field)
        }
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    return value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def _algorithm(name: object) -> str:
    return name.upper() if isinstance(name, str) else ""


def _line(template: str) -> str:
    return template.replace("\n", "\\n")
