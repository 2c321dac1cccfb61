"""What an endpoint may set about its provider: ``provider_options`` in its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

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


class HmacOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sender that signs with an HMAC in a way of its own: ``{"header": "X-Signature", …}``."""

    header: HeaderName = "X-Webhook-Signature"
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: Annotated[str, Meta(max_length=100)] = ""
    """What the header says before the signature, such as ``sha256=``."""
    signed_content: str | None = None
    """A template; by default ``{body}``, and ``{timestamp}.{body}`` with a timestamp."""
    timestamp_header: HeaderName | None = None
    timestamp_unit: Unit = "s"
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """How far the timestamp may be from now, either way."""
    key_encoding: KeyEncoding = "utf8"
    event_type: str | None = None
    """A template, such as ``{header:X-Event}`` or ``{body:type}``."""
    delivery_id: str | None = None

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

    variant: str | None = None
    """Which of the provider's products or ways of signing; see its ``variants``."""
    tolerance_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    """How far a signed time may be from now, either way, instead of the provider's own."""

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


def _tolerant(signature: Scheme, seconds: int) -> Scheme:
    timestamp: Timestamp | None = getattr(signature, "timestamp", None)
    if timestamp is None:
        raise ValueError("`tolerance_seconds` is for providers that sign a time")
    tolerant = msgspec.structs.replace(timestamp, max_age_seconds=seconds, max_ahead_seconds=seconds)
    return msgspec.structs.replace(signature, timestamp=tolerant)
