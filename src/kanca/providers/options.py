"""What an endpoint may set about its provider, in its config under the provider's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from kanca.errors import InvalidProvider
from kanca.providers.locations import HeaderName
from kanca.providers.schemes.encoding import Encoding
from kanca.providers.schemes.hmac import Algorithm, HmacSignature
from kanca.providers.secret_format import KeyEncoding
from kanca.providers.spec import ProviderSpec
from kanca.providers.timestamps import Timestamp, Unit


class HmacOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sender that signs with an HMAC in a way of its own: ``config: {"hmac": {"header": "X-Signature", …}}``."""

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


def configure(spec: ProviderSpec, options: Mapping[str, Any] | None) -> ProviderSpec:
    """The spec with an endpoint's options worked in.

    Raises InvalidProvider for an unknown option, a wrong value, or options of a provider that takes none.
    """
    if spec.options is None:
        if options:
            raise InvalidProvider(f"the provider `{spec.name}` takes no options")
        return spec
    try:
        return msgspec.convert(options or {}, HmacOptions).apply(spec)
    except ValueError as error:  # msgspec.ValidationError is one
        raise InvalidProvider(f"the options of `{spec.name}` are not valid: {error}") from error
