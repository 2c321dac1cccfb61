"""What an endpoint may set about its provider: ``provider_options`` in its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from kanca.errors import InvalidProvider
from kanca.providers.locations import HeaderName
from kanca.providers.schemes import Scheme
from kanca.providers.schemes.encoding import Encoding
from kanca.providers.schemes.hmac import Algorithm, HmacSignature
from kanca.providers.secret_format import KeyEncoding
from kanca.providers.spec import ProviderSpec
from kanca.providers.timestamps import Timestamp, Unit


def _says(text: str) -> Meta:
    return Meta(description=text)


class Option(NamedTuple):
    """One thing that can be set, told to people."""

    name: str
    type: str
    """In words: ``text``, ``whole number, 1 to 86400``, ``one of …``."""
    choices: list[str]
    """What it can be, where that is a few texts."""
    default: str | int | None
    description: str


class HmacOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sender that signs with an HMAC in a way of its own: ``{"header": "X-Signature", …}``."""

    header: Annotated[HeaderName, _says("The header with the signature.")] = "X-Webhook-Signature"
    algorithm: Annotated[Algorithm, _says("The hash of the HMAC.")] = "sha256"
    encoding: Annotated[Encoding, _says("How the signature is written.")] = "hex"
    prefix: Annotated[
        str, Meta(max_length=100), _says("What the header says before the signature, such as `sha256=`.")
    ] = ""
    signed_content: Annotated[
        str | None, _says("A template; by default `{body}`, and `{timestamp}.{body}` with a timestamp.")
    ] = None
    timestamp_header: Annotated[HeaderName | None, _says("The header with the signed time.")] = None
    timestamp_unit: Annotated[Unit, _says("How that time is written.")] = "s"
    tolerance_seconds: Annotated[
        int, Meta(ge=1, le=86_400), _says("How far the timestamp may be from now, either way.")
    ] = 300
    key_encoding: Annotated[KeyEncoding, _says("What the text of the secret is.")] = "utf8"
    event_type: Annotated[
        str | None, _says("A template of the event type, such as `{header:X-Event}` or `{body:type}`.")
    ] = None
    delivery_id: Annotated[str | None, _says("A template of the delivery id.")] = None

    def apply(self, spec: ProviderSpec) -> ProviderSpec:
        """The spec that these options describe. Raises ValueError when it would not verify anything."""
        timestamp = None
        if self.timestamp_header:
            timestamp = Timestamp(
                header=self.timestamp_header,
                unit=self.timestamp_unit,
                max_age_seconds=self.tolerance_seconds,
                max_ahead_seconds=self.tolerance_seconds,
            )
        signature = HmacSignature(
            header=self.header,
            algorithm=self.algorithm,
            form=self.prefix + "{signature}",
            encoding=self.encoding,
            signed_content=self.signed_content or ("{timestamp}.{body}" if timestamp else "{body}"),
            timestamp=timestamp,
        )
        return msgspec.structs.replace(
            spec,
            signatures=(signature,),
            secret=msgspec.structs.replace(spec.secret, key_encoding=self.key_encoding),
            event_type=(self.event_type,) if self.event_type else spec.event_type,
            delivery_id=(self.delivery_id,) if self.delivery_id else spec.delivery_id,
        )


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an endpoint may set about any provider."""

    variant: Annotated[
        str | None, _says("Which of the provider's other products or ways of signing the endpoint is for.")
    ] = None
    tolerance_seconds: Annotated[
        Annotated[int, Meta(ge=1, le=86_400)] | None,
        _says("How far a signed time may be from now, either way, instead of the provider's own."),
    ] = None

    def apply(self, spec: ProviderSpec) -> ProviderSpec:
        """The spec with these worked in. Raises ValueError for what the provider does not have."""
        if self.variant is not None:
            if self.variant not in spec.variants:
                known = ", ".join(f"`{name}`" for name in spec.variants) or "none"
                raise ValueError(f"`variant` must be one of: {known}")
            spec = spec.variants[self.variant]
        if self.tolerance_seconds is None:
            return spec
        return msgspec.structs.replace(
            spec, signatures=tuple(_tolerant(each, self.tolerance_seconds) for each in spec.signatures)
        )


def configure(spec: ProviderSpec, options: Mapping[str, Any] | None) -> ProviderSpec:
    """The spec with an endpoint's options worked in.

    Raises InvalidProvider for an unknown option, a wrong value, or one that this provider does not have.
    """
    if not options and spec.options is None:
        return spec
    kind: type[HmacOptions | Options] = HmacOptions if spec.options == "hmac" else Options
    try:
        return msgspec.convert(options or {}, kind).apply(spec)
    except ValueError as error:  # msgspec.ValidationError is one
        raise InvalidProvider(f"the options of `{spec.name}` are not valid: {error}") from error


def options_of(spec: ProviderSpec) -> list[Option]:
    """What an endpoint may set about this provider."""
    kind: type[HmacOptions | Options] = HmacOptions if spec.options == "hmac" else Options
    schema = msgspec.json.schema_components([kind])[1][kind.__name__]["properties"]
    found = [_option(name, entry) for name, entry in schema.items()]
    if kind is HmacOptions:
        return found
    signed = [each for one in (spec, *spec.variants.values()) for each in one.signatures]
    fits = {
        "variant": bool(spec.variants),
        "tolerance_seconds": any(getattr(each, "timestamp", None) for each in signed),
    }
    return [
        option._replace(type="one of these", choices=list(spec.variants))
        if option.name == "variant"
        else option
        for option in found
        if fits[option.name]
    ]


def _option(name: str, entry: Mapping[str, Any]) -> Option:
    some = next((each for each in entry.get("anyOf", ()) if each.get("type") != "null"), entry)
    choices = [choice for choice in some.get("enum", ()) if choice is not None]
    form = "text"
    if choices:
        form = "one of these"
    elif some.get("type") == "integer":
        form = f"whole number, {some['minimum']} to {some['maximum']}"
    return Option(name, form, choices, entry.get("default"), entry.get("description", ""))


def _tolerant(signature: Scheme, seconds: int) -> Scheme:
    timestamp: Timestamp | None = getattr(signature, "timestamp", None)
    if timestamp is None:
        raise ValueError("`tolerance_seconds` is for providers that sign a time")
    tolerant = msgspec.structs.replace(timestamp, max_age_seconds=seconds, max_ahead_seconds=seconds)
    return msgspec.structs.replace(signature, timestamp=tolerant)
