"""What a request says about itself: its event type, and the id of its delivery.

Looked up only after the request was verified. Total: whatever the body is, nothing raises, and what cannot be a name
(too long, empty, with NUL or other unprintable characters) is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH
from kanca.providers.locations import header_key
from kanca.providers.options import configure
from kanca.providers.spec import ProviderSpec
from kanca.providers.values import Read, View, compile_value


class Extracted(NamedTuple):
    """What was found."""

    event_type: str | None
    delivery_id: str | None
    """The sender's own id, the same over its retries."""


class Extractor:
    """Finds event type and delivery id in the requests of one endpoint."""

    def __init__(self, spec: ProviderSpec) -> None:
        id_headers = [
            name for scheme in spec.signatures if (name := header_key(getattr(scheme, "id_header", None)))
        ]
        self._event_type = [compile_value(template, id_headers) for template in spec.event_type]
        self._delivery_id = [compile_value(template, id_headers) for template in spec.delivery_id]

    def extract(
        self,
        headers: Mapping[bytes, bytes],
        document: object,
        signed_id: bytes | None = None,
        body: bytes = b"",
    ) -> Extracted:
        """Look in the headers (lower-case names) and in what the body says, None where it could not be read.

        ``signed_id`` is ``Verified.signed_id``: where there is one, no other header can pass for it.
        """
        view = View(headers, document, signed_id, body)
        event_type = _first(self._event_type, view)
        delivery_id = _first(self._delivery_id, view)
        return Extracted(_name(event_type, MAX_TYPE_LENGTH), _name(delivery_id, MAX_SOURCE_ID_LENGTH))


def compile_extractor(spec: ProviderSpec, options: Mapping[str, Any] | None = None) -> Extractor:
    """Make the extractor of an endpoint; ``options`` are what its config sets about its provider.

    Raises InvalidProvider when the options cannot be used.
    """
    return Extractor(configure(spec, options))


def _first(readers: Sequence[Read], view: View) -> str | None:
    """What the first template gives of which every part is there."""
    for read in readers:
        value = read(view)
        if value is not None:
            return value
    return None


def _name(value: str | None, longest: int) -> str | None:
    return value if value and len(value) <= longest and value.isprintable() else None
